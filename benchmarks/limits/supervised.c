// One core's limit for the supervised family: one interpreted rule in 16 experiments, side by side in lanes.
//
//     supervised INPUT REPEATS
//
// A weight is read some time before it reaches the membrane, so potential, rule and weights may be computed for that
// many steps at a time; `block` says for how many, and 1 is step by step. The rule comes as instructions over blocks:
// what does not read s once, then the rest for every input.
#include "limit.h"

enum { MEMBRANE, SYNAPTIC, COUPLING, REST, SMOOTHING, LEARNING, N_INPUTS, N_STEPS, BLOCK, DELAY, READING_DELAY,
       HOLD_PHASE, HOLD_INTERVAL, COMPARISON_START, COMPARISON_INTERVAL };

typedef struct {
    int32_t step, lane, input;
    double weight;
} Spike;

static int by_step(const void *a, const void *b)
{
    int32_t x = ((const Spike *)a)->step, y = ((const Spike *)b)->step;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "supervised INPUT REPEATS\n");
        return 2;
    }
    FILE *file = open_input(argv[1]);
    int64_t n_spikes, n_registers;
    const double *p = next_array(file, 8, NULL);
    const int64_t *steps = next_array(file, 8, &n_spikes), *inputs = next_array(file, 8, NULL);
    const int64_t *lanes = next_array(file, 8, NULL);
    const Half(*held)[2] = next_array(file, 8, NULL), (*compared)[2] = next_array(file, 8, NULL);
    const Half(*initial)[2] = next_array(file, 8, NULL);
    const Instruction *code = next_array(file, 16, NULL);
    const int64_t *bounds = next_array(file, 8, NULL), *results = next_array(file, 8, NULL);
    Half(*registers)[2] = next_array(file, 8, &n_registers);

    const int64_t n_inputs = p[N_INPUTS], n_steps = p[N_STEPS], block = p[BLOCK], delay = p[DELAY];
    const int64_t reading = p[READING_DELAY], width = block * LANES, phase = p[HOLD_PHASE], hold = p[HOLD_INTERVAL];
    const int64_t first_compared = p[COMPARISON_START], between = p[COMPARISON_INTERVAL];
    Spike *spikes = malloc(n_spikes * sizeof(Spike));
    for (int64_t k = 0; k < n_spikes; k++)
        spikes[k] = (Spike){steps[k], lanes[k], inputs[k], 0.0};
    qsort(spikes, n_spikes, sizeof(Spike), by_step);

    // Everything below counts in halves of the lanes: place n of a block is at 2·n and 2·n + 1.
    size_t per_input = n_inputs * sizeof(Half[2]), per_block = n_inputs * block * sizeof(Half[2]);
    Half(*w)[2] = aligned_alloc(128, per_input), (*q)[2] = aligned_alloc(128, per_input);
    Half(*response_v)[2] = aligned_alloc(128, per_input), (*response_i)[2] = aligned_alloc(128, per_input);
    Half(*impulses)[2] = aligned_alloc(128, per_block), (*history)[2] = aligned_alloc(128, per_block);
    Half(*arriving)[2] = aligned_alloc(128, block * sizeof(Half[2]));
    Half(*target)[2] = registers, (*potential)[2] = registers + block, (*response)[2] = registers + 2 * block;
    const Half zero = {};
    Half error[2];
    const double membrane = p[MEMBRANE], synaptic = p[SYNAPTIC], coupling = p[COUPLING], rest = p[REST];
    const double smoothing = p[SMOOTHING], complement = 1.0 - p[SMOOTHING], learning = p[LEARNING];
    int repeats = atoi(argv[2]);

    double cpu = cpu_seconds(), wall = wall_seconds();
    for (int repeat = 0; repeat < repeats; repeat++) {
        Half V[2], I[2];
        HALVES V[h] = I[h] = error[h] = zero;
        memcpy(w, initial, per_input);
        memset(q, 0, per_input);
        memset(response_v, 0, per_input);
        memset(response_i, 0, per_input);
        memset(impulses, 0, per_block);
        memset(arriving, 0, block * sizeof(Half[2]));
        int64_t next_read = 0, next_arrival = 0, next_compared = first_compared;
        for (int64_t begin = 0; begin < n_steps; begin += block) {
            int64_t count = n_steps - begin < block ? n_steps - begin : block, end = begin + count;
            int64_t first_arrival = next_arrival;
            for (; next_arrival < n_spikes && spikes[next_arrival].step + delay <= end; next_arrival++) {
                const Spike *spike = spikes + next_arrival;
                int64_t n = spike->step + delay - begin - 1;
                ((double *)impulses[spike->input * block + n])[spike->lane] += 1.0;
                ((double *)arriving[n])[spike->lane] += spike->weight;
            }
            for (int64_t n = 0; n < count; n++) {
                int64_t since = begin + n - phase, sample = since >= 0 ? since / hold + 1 : 0;
                HALVES
                {
                    target[n][h] = held[sample][h];
                    V[h] = V[h] * membrane + I[h] * coupling;
                    I[h] = I[h] * synaptic + arriving[n][h];
                    potential[n][h] = V[h] + rest;
                }
            }
            for (int64_t j = 0; j < n_inputs; j++) {
                Half v[2], i[2];
                HALVES v[h] = response_v[j][h], i[h] = response_i[j][h];
                for (int64_t n = 0; n < count; n++)
                    HALVES
                    {
                        v[h] = v[h] * membrane + i[h] * coupling;
                        i[h] = i[h] * synaptic + impulses[j * block + n][h];
                        response[j * block + n][h] = v[h];
                    }
                HALVES response_v[j][h] = v[h], response_i[j][h] = i[h];
            }
            for (int64_t k = first_arrival; k < next_arrival; k++) {
                int64_t n = spikes[k].step + delay - begin - 1;
                ((double *)impulses[spikes[k].input * block + n])[spikes[k].lane] = 0.0;
                ((double *)arriving[n])[spikes[k].lane] = 0.0;
            }
            interpret(code + bounds[0], bounds[1] - bounds[0], (double *)registers, width, count * LANES);
            for (int64_t j = 0; j < n_inputs; j++) {
                interpret(code + bounds[j + 1], bounds[j + 2] - bounds[j + 1], (double *)registers, width,
                          count * LANES);
                const Half(*f)[2] = registers + results[j] * block;
                Half filtered[2], weight[2];
                HALVES filtered[h] = q[j][h], weight[h] = w[j][h];
                for (int64_t n = 0; n < count; n++)
                    HALVES
                    {
                        filtered[h] = filtered[h] * smoothing + f[n][h] * complement;
                        weight[h] += filtered[h] * learning;
                        history[j * block + n][h] = weight[h];
                    }
                HALVES q[j][h] = filtered[h], w[j][h] = weight[h];
            }
            for (; next_read < n_spikes && spikes[next_read].step + reading <= end; next_read++) {
                Spike *spike = spikes + next_read;
                int64_t n = spike->step + reading - begin - 1;
                spike->weight = ((double *)history[spike->input * block + n])[spike->lane];
            }
            for (; next_compared <= end; next_compared += between)
                if (next_compared > 0)
                    HALVES
                    {
                        Half difference = potential[next_compared - begin - 1][h]
                                          - compared[(next_compared - first_compared) / between][h];
                        error[h] += difference * difference;
                    }
        }
    }
    cpu = cpu_seconds() - cpu, wall = wall_seconds() - wall;
    double fitness[LANES];
    for (int lane = 0; lane < LANES; lane++)
        fitness[lane] = -sqrt(((const double *)error)[lane]);
    printf("{\"cpu_seconds\": %.9g, \"wall_seconds\": %.9g, ", cpu / repeats, wall / repeats);
    print_array("fitness", fitness, LANES);
    printf(", ");
    print_array("weights", (const double *)w, n_inputs * LANES);
    printf("}\n");
}
