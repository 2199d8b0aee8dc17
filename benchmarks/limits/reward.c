// One core's limit for the reward family: 16 rules in lanes learn one instance.
//
//     reward INPUT REPEATS
//
// The membrane has two numbers per lane; between two arrivals two sums of g = spike − φ(V)·h are kept, weighted with
// the two exponentials of a unit response; a backward pass over the segments gives the eligibilities. Learns as the
// kernel does: R from the output spikes and the label, one exponential number per output spike. δ_E/δ = 25 is built in.
#include "limit.h"

enum { MEMBRANE, SYNAPTIC, COUPLING, AMPLITUDE, THRESHOLD, INVERSE_SCALE, HAZARD_SCALE, COMPENSATION, GAIN,
       REFRACTORY_STEPS, LEARNING_RATE, N_STEPS, DISCOUNT };

static double exponential_deviate(uint64_t seed, uint64_t count)
{
    uint64_t z = seed + (count + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return -log(((double)(z >> 11) + 0.5) * 0x1p-53);
}

static inline int any_at_most_zero(Half a, Half b)
{
    Integers negative = (a <= 0.0) | (b <= 0.0);
    int64_t any = 0;
    for (int lane = 0; lane < LANES / 2; lane++)
        any |= negative[lane];
    return any != 0;
}

typedef struct {
    Half slow[2], fast[2];
    int start;
} Segment;

// One trial: the spikes of each lane are counted in n_spikes, the eligibility of each input is written.
static void run_trial(const double *p, const int32_t *steps, const int32_t *inputs, int64_t n_arrivals, uint64_t seed,
                      const Half (*weights)[2], int64_t n_inputs, Half (*eligibilities)[2], int64_t *n_spikes,
                      Segment *segments, const double *slow_powers, const double *fast_powers,
                      const double *slow_factors, const double *fast_factors, const double *discounts)
{
    const Half zero = {};
    const double membrane = p[MEMBRANE], synaptic = p[SYNAPTIC], coupling = p[COUPLING], threshold = p[THRESHOLD];
    const double inverse_scale = p[INVERSE_SCALE], hazard_scale = p[HAZARD_SCALE], compensation = p[COMPENSATION];
    const double gain = p[GAIN], amplitude = p[AMPLITUDE];
    const int n_steps = (int)p[N_STEPS];
    Half V[2], I[2], free_from[2], remaining[2], slow_sum[2], fast_sum[2];
    HALVES V[h] = I[h] = free_from[h] = zero, remaining[h] = zero + exponential_deviate(seed, 0);
    int64_t arrival = 0, n_segments = 0;
    for (int lane = 0; lane < LANES; lane++)
        n_spikes[lane] = 0;
    for (int start = 0; start < n_steps;) {
        int end = arrival < n_arrivals ? steps[arrival] : n_steps;
        HALVES slow_sum[h] = fast_sum[h] = zero;
        for (int step = start + 1; step <= end; step++) {
            double slow = slow_factors[step - start], fast = fast_factors[step - start];
            Half now = zero + (double)step;
            HALVES
            {
                V[h] = chosen(now >= free_from[h], V[h] * membrane + I[h] * coupling, zero);
                I[h] *= synaptic;
                Half x = exponential((V[h] - threshold) * inverse_scale), x2 = x * x, x4 = x2 * x2, x8 = x4 * x4;
                remaining[h] -= hazard_scale * (x8 * x8 * x8 * x);
                slow_sum[h] -= x * (compensation * slow);
                fast_sum[h] -= x * (compensation * fast);
            }
            if (__builtin_expect(any_at_most_zero(remaining[0], remaining[1]), 0))
                HALVES for (int lane = 0; lane < LANES / 2; lane++) if (remaining[h][lane] <= 0.0)
                {
                    remaining[h][lane] = exponential_deviate(seed, ++n_spikes[h * LANES / 2 + lane]);
                    free_from[h][lane] = step + p[REFRACTORY_STEPS] + 1.0;
                    V[h][lane] = 0.0;
                    slow_sum[h][lane] += gain * slow;
                    fast_sum[h][lane] += gain * fast;
                }
        }
        HALVES segments[n_segments].slow[h] = slow_sum[h] * discounts[start];
        HALVES segments[n_segments].fast[h] = fast_sum[h] * discounts[start];
        segments[n_segments++].start = start;
        for (; arrival < n_arrivals && steps[arrival] == end; arrival++)
            HALVES I[h] += weights[inputs[arrival]][h];
        start = end;
    }
    for (int64_t j = 0; j < n_inputs; j++)
        HALVES eligibilities[j][h] = zero;
    HALVES slow_sum[h] = fast_sum[h] = zero;
    int end = n_steps;
    for (int64_t s = n_segments - 1; s > 0; s--) {
        int start = segments[s].start;
        HALVES slow_sum[h] = slow_sum[h] * slow_powers[end - start] + segments[s].slow[h];
        HALVES fast_sum[h] = fast_sum[h] * fast_powers[end - start] + segments[s].fast[h];
        end = start;
        for (; arrival > 0 && steps[arrival - 1] == start; arrival--)
            HALVES eligibilities[inputs[arrival - 1]][h] += amplitude * (slow_sum[h] - fast_sum[h]);
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "reward INPUT REPEATS\n");
        return 2;
    }
    FILE *file = open_input(argv[1]);
    int64_t n_trials, n_inputs, n_rules, n_patterns, n_instructions, n_registers;
    const double *p = next_array(file, 8, NULL);
    const int32_t *order = next_array(file, 4, &n_trials);
    const double *labels = next_array(file, 8, &n_patterns);
    const int64_t *offsets = next_array(file, 8, NULL);
    const int32_t *steps = next_array(file, 4, NULL), *inputs = next_array(file, 4, NULL);
    const double *initial = next_array(file, 8, &n_inputs);
    const uint64_t *seeds = next_array(file, 8, NULL);
    const Instruction *instructions = next_array(file, 16, &n_instructions);
    const int32_t *lengths = next_array(file, 4, &n_rules), *results = next_array(file, 4, NULL);
    double *registers = next_array(file, 8, &n_registers);
    n_instructions /= n_rules;
    n_registers /= n_rules;

    int n_steps = (int)p[N_STEPS];
    double *tables[5]; // powers of both propagators, these without the discount of the segment's start, the discount
    for (int table = 0; table < 5; table++)
        tables[table] = malloc(8 * (n_steps + 1));
    for (int n = 0; n <= n_steps; n++) {
        tables[0][n] = pow(p[MEMBRANE], n);
        tables[1][n] = pow(p[SYNAPTIC], n);
        tables[2][n] = tables[0][n] * exp(n * p[DISCOUNT]);
        tables[3][n] = tables[1][n] * exp(n * p[DISCOUNT]);
        tables[4][n] = exp(-(n_steps - n) * p[DISCOUNT]);
    }
    int64_t longest = 2;
    for (int64_t m = 0; m < n_patterns; m++)
        if (offsets[m + 1] - offsets[m] + 2 > longest)
            longest = offsets[m + 1] - offsets[m] + 2;
    Segment *segments = aligned_alloc(128, (longest + 1) / 2 * 2 * sizeof(Segment));
    Half(*weights)[2] = aligned_alloc(128, n_inputs * sizeof *weights);
    Half(*eligibilities)[2] = aligned_alloc(128, n_inputs * sizeof *eligibilities);
    int64_t n_spikes[LANES];
    double fitness[LANES], cpu, wall;
    int repeats = atoi(argv[2]);

    cpu = cpu_seconds(), wall = wall_seconds();
    for (int repeat = 0; repeat < repeats; repeat++) {
        memset(fitness, 0, sizeof fitness);
        for (int64_t j = 0; j < n_inputs; j++)
            for (int lane = 0; lane < LANES; lane++)
                ((double *)weights[j])[lane] = lane < n_rules ? initial[j] : 0.0;
        for (int64_t trial = 0; trial < n_trials; trial++) {
            int pattern = order[trial];
            int64_t begin = offsets[pattern];
            run_trial(p, steps + begin, inputs + begin, offsets[pattern + 1] - begin, seeds[trial], weights, n_inputs,
                      eligibilities, n_spikes, segments, tables[0], tables[1], tables[2], tables[3], tables[4]);
            for (int rule = 0; rule < n_rules; rule++) {
                double *own = registers + rule * n_registers;
                double R = (n_spikes[rule] > 0 ? 1.0 : -1.0) == labels[pattern] ? 1.0 : -1.0;
                fitness[rule] += R;
                for (int64_t j = 0; j < n_inputs; j++) {
                    own[j] = R; // the first two registers are R and E
                    own[n_inputs + j] = ((double *)eligibilities[j])[rule];
                }
                interpret(instructions + rule * n_instructions, lengths[rule], own, n_inputs, n_inputs);
                for (int64_t j = 0; j < n_inputs; j++)
                    ((double *)weights[j])[rule] += p[LEARNING_RATE] * own[results[rule] * n_inputs + j];
            }
        }
    }
    cpu = cpu_seconds() - cpu, wall = wall_seconds() - wall;
    printf("{\"cpu_seconds\": %.9g, \"wall_seconds\": %.9g, ", cpu / repeats, wall / repeats);
    print_array("fitness", fitness, n_rules);
    printf(", ");
    print_array("weights", (const double *)weights, n_inputs * LANES);
    printf("}\n");
}
