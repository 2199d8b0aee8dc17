// One core's limit for the correlation family: rules learn one instance, one after the other, then are read out.
//
//     correlation INPUT REPEATS
//
// Event by event. An output spike facilitates all synapses at once, as vectors; an input spike depresses one synapse,
// as scalars. Traces are kept relative to a reference time, so that decay is one factor for all of them. The readout
// runs 16 rules side by side.
#include "limit.h"

enum { N_STEPS, DELAY, REFRACTORY, THRESHOLD, MAXIMAL_WEIGHT, LEARNING_RATE, LOWER_BOUND, READOUT, FIRST_IN_BASELINE,
       MEMBRANE_DECAY, TRACE_DECAY, POTENTIAL, READOUT_POTENTIAL };
#define CHUNK 256     // synapses at a time: the registers stay in the nearest cache
#define RENEWED 4000 // steps after which traces get a new reference time

typedef struct {
    const Instruction *instructions;
    int64_t length, result;
    double *registers; // the constants in place; CHUNK values each, or one each
} Program;

static const int32_t *passes, *inputs, *windows;
static int64_t n_spikes, n_inputs, n_windows;
static const double *p;
static double *trace, *carried, *membrane_decays, *trace_decays, *growths;
static int32_t *outputs;

// exp(−n·rate) for n = 0 … TABLE − 1; later it is 0.
#define TABLE 150000
static double decays(const double *table, int64_t n) { return n < TABLE ? table[n] : 0.0; }

static int64_t learn(Program depress, Program facilitate, const double *initial, double *w, double *kept)
{
    const int64_t delay = p[DELAY], refractory = p[REFRACTORY];
    int64_t n_outputs = 0, n_arrived = 0, n_seen = 0, next = 0, arriving = 0, blocked_until = -1, V_step = 1;
    int64_t reference = 0, shown_step = 0;
    double shown = 0.0, V = p[POTENTIAL] * decays(membrane_decays, 1);
    memcpy(w, initial, 8 * n_inputs);
    memcpy(kept, initial, 8 * n_inputs);
    memset(trace, 0, 8 * n_inputs);
    if (V >= p[THRESHOLD]) {
        V = 0.0;
        blocked_until = 1 + refractory;
        outputs[n_outputs++] = 1;
    }
    while (next < n_spikes) {
        int64_t now = passes[next];
        // The membrane, far enough that every output spike which reaches the synapses by now is known.
        while (arriving < next && passes[arriving] + 2 * delay <= now) {
            int64_t step = passes[arriving] + delay;
            double total = 0.0;
            for (; arriving < next && passes[arriving] + delay == step; arriving++)
                total += carried[arriving];
            if (step <= blocked_until)
                continue;
            V = V * decays(membrane_decays, step - V_step) + p[MAXIMAL_WEIGHT] * total;
            V_step = step;
            if (V >= p[THRESHOLD]) {
                V = 0.0;
                blocked_until = step + refractory;
                outputs[n_outputs++] = step;
            }
        }
        for (; n_arrived < n_outputs && outputs[n_arrived] + delay <= now; n_arrived++) {
            double decayed = decays(trace_decays, outputs[n_arrived] + delay - reference);
            double *own = facilitate.registers, *f = own + facilitate.result * CHUNK;
            for (int64_t base = 0; base < n_inputs; base += CHUNK) {
                int64_t size = n_inputs - base < CHUNK ? n_inputs - base : CHUNK;
                for (int64_t i = 0; i < size; i++) {
                    own[i] = w[base + i];
                    own[CHUNK + i] = trace[base + i] * decayed;
                }
                interpret(facilitate.instructions, facilitate.length, own, CHUNK, size);
                for (int64_t i = 0; i < size; i++) {
                    double moved = own[i] + p[LEARNING_RATE] * f[i];
                    moved = moved > 1.0 ? 1.0 : moved;
                    w[base + i] = moved < p[LOWER_BOUND] ? p[LOWER_BOUND] : moved;
                }
            }
        }
        for (; n_seen < n_outputs && outputs[n_seen] + delay < now; n_seen++) {
            shown = shown * decays(trace_decays, outputs[n_seen] + delay - shown_step) + 1.0;
            shown_step = outputs[n_seen] + delay;
        }
        if (now - reference > RENEWED) {
            double factor = decays(trace_decays, now - reference);
            for (int64_t i = 0; i < n_inputs; i++)
                trace[i] *= factor;
            reference = now;
        }
        double x = shown * decays(trace_decays, now - shown_step);
        double one_more = growths[now - reference];
        for (; next < n_spikes && passes[next] == now; next++) {
            int32_t i = inputs[next];
            depress.registers[0] = w[i];
            depress.registers[1] = x;
            interpret(depress.instructions, depress.length, depress.registers, 1, 1);
            double moved = w[i] - p[LEARNING_RATE] * depress.registers[depress.result];
            moved = moved > 0.0 ? moved : 0.0;
            w[i] = kept[i] = carried[next] = moved;
            trace[i] += one_more;
        }
    }
    return n_outputs;
}

// Signal-to-noise ratio of up to LANES weight vectors: mean over windows of (max V − m)/σ.
static void read_out(const Half (*w)[2], double *ratio)
{
    const int64_t n_steps = p[READOUT], delay = p[DELAY];
    int64_t n_complete = 0;
    while (n_complete < n_windows && windows[2 * n_complete + 1] <= n_steps)
        n_complete++;
    const double decay = decays(membrane_decays, 1), largest = p[MAXIMAL_WEIGHT];
    const Half zero = {};
    Half V[2], mean[2] = {zero, zero}, variance[2] = {zero, zero};
    Half(*highest)[2] = aligned_alloc(128, (n_complete + 1) * sizeof *highest);
    for (int second = 0; second < 2; second++) {
        int64_t arriving = 0, window = 0, n_baseline = 0;
        HALVES V[h] = zero + p[READOUT_POTENTIAL];
        for (int64_t m = 0; m < n_complete && !second; m++)
            HALVES highest[m][h] = zero - 1e300;
        for (int64_t step = 1; step <= n_steps; step++) {
            HALVES V[h] *= decay;
            for (; arriving < n_spikes && passes[arriving] + delay == step; arriving++)
                HALVES V[h] += largest * w[inputs[arriving]][h];
            window += window < n_windows && step > windows[2 * window + 1];
            int inside = window < n_windows && step >= windows[2 * window];
            if (inside && window < n_complete && !second)
                HALVES highest[window][h] = chosen(V[h] > highest[window][h], V[h], highest[window][h]);
            if (!inside || (p[FIRST_IN_BASELINE] && window == 0)) {
                n_baseline++;
                if (second)
                    HALVES variance[h] += (V[h] - mean[h]) * (V[h] - mean[h]);
                else
                    HALVES mean[h] += V[h];
            }
        }
        HALVES
        {
            if (second)
                variance[h] /= (double)n_baseline;
            else
                mean[h] /= (double)n_baseline;
        }
    }
    for (int lane = 0; lane < LANES; lane++) {
        double total = 0.0, m = ((double *)mean)[lane], deviation = sqrt(((double *)variance)[lane]);
        for (int64_t k = 0; k < n_complete; k++)
            total += (((double *)highest[k])[lane] - m) / deviation;
        ratio[lane] = total / n_complete;
    }
    free(highest);
}

static Program next_program(const Instruction *instructions, int64_t longest, const int32_t *lengths,
                            const int32_t *results, const double *constants, int64_t n_registers, int64_t width,
                            int64_t rule)
{
    double *registers = aligned_alloc(128, 8 * n_registers * CHUNK);
    for (int64_t r = 0; r < n_registers; r++)
        for (int64_t i = 0; i < width; i++)
            registers[r * width + i] = constants[rule * n_registers + r];
    return (Program){instructions + rule * longest, lengths[rule], results[rule], registers};
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "correlation INPUT REPEATS\n");
        return 2;
    }
    FILE *file = open_input(argv[1]);
    p = next_array(file, 8, NULL);
    passes = next_array(file, 4, &n_spikes);
    inputs = next_array(file, 4, NULL);
    windows = next_array(file, 8, &n_windows); // pairs of int32
    const double *initial = next_array(file, 8, &n_inputs);
    Program *programs[2];
    int64_t n_rules;
    for (int slot = 0; slot < 2; slot++) {
        int64_t n_instructions, n_registers;
        const Instruction *instructions = next_array(file, 16, &n_instructions);
        const int32_t *lengths = next_array(file, 4, &n_rules), *results = next_array(file, 4, NULL);
        const double *constants = next_array(file, 8, &n_registers);
        programs[slot] = malloc(n_rules * sizeof(Program));
        for (int64_t rule = 0; rule < n_rules; rule++)
            programs[slot][rule] = next_program(instructions, n_instructions / n_rules, lengths, results, constants,
                                                n_registers / n_rules, slot ? CHUNK : 1, rule);
    }
    trace = aligned_alloc(128, 8 * (n_inputs + CHUNK));
    carried = malloc(8 * n_spikes);
    outputs = malloc(4 * (int64_t)(p[N_STEPS] / (p[REFRACTORY] + 1) + 2));
    double *w = aligned_alloc(128, 8 * (n_inputs + CHUNK)), *kept = malloc(8 * n_inputs * n_rules);
    double *fitness = malloc(8 * n_rules), *n_outputs = malloc(8 * n_rules);
    Half(*lanes)[2] = aligned_alloc(128, n_inputs * sizeof *lanes);
    membrane_decays = malloc(8 * TABLE), trace_decays = malloc(8 * TABLE), growths = malloc(8 * (RENEWED + 1));
    for (int64_t n = 0; n < TABLE; n++) {
        membrane_decays[n] = exp(-n * p[MEMBRANE_DECAY]);
        trace_decays[n] = exp(-n * p[TRACE_DECAY]);
        if (n <= RENEWED)
            growths[n] = exp(n * p[TRACE_DECAY]);
    }
    int repeats = atoi(argv[2]);

    double cpu = cpu_seconds(), wall = wall_seconds();
    for (int repeat = 0; repeat < repeats; repeat++) {
        for (int64_t rule = 0; rule < n_rules; rule++)
            n_outputs[rule] = learn(programs[0][rule], programs[1][rule], initial, w, kept + rule * n_inputs);
        for (int64_t first = 0; first < n_rules; first += LANES) {
            int64_t size = n_rules - first < LANES ? n_rules - first : LANES;
            memset(lanes, 0, n_inputs * sizeof *lanes);
            for (int64_t lane = 0; lane < size; lane++)
                for (int64_t i = 0; i < n_inputs; i++)
                    ((double *)lanes[i])[lane] = kept[(first + lane) * n_inputs + i];
            double ratio[LANES];
            read_out(lanes, ratio);
            for (int64_t lane = 0; lane < size; lane++)
                fitness[first + lane] = ratio[lane];
        }
    }
    cpu = cpu_seconds() - cpu, wall = wall_seconds() - wall;
    printf("{\"cpu_seconds\": %.9g, \"wall_seconds\": %.9g, ", cpu / repeats, wall / repeats);
    print_array("fitness", fitness, n_rules);
    printf(", ");
    print_array("n_outputs", n_outputs, n_rules);
    printf(", ");
    print_array("weights", kept, n_inputs * n_rules);
    printf("}\n");
}
