// One core's limit for the correlation family: rules learn one instance, one after the other, then are read out.
//
//     correlation INPUT REPEATS
//
// Event by event. An output spike facilitates all synapses at once, as vectors; input spikes from different inputs
// depress in blocks, as vectors too, and what an output spike within the block makes wrong is done again. Traces are
// kept relative to a reference time, so that decay is one factor for all of them. The readout goes from arrival to
// arrival: sums over the steps between are tables of their number. What all rules share of the input (which spikes come
// from different inputs, the readout's arrivals) is laid out before the clock starts.
#include "limit.h"

enum { N_STEPS, DELAY, REFRACTORY, THRESHOLD, MAXIMAL_WEIGHT, LEARNING_RATE, LOWER_BOUND, READOUT,
       MEMBRANE_DECAY, TRACE_DECAY, POTENTIAL, READOUT_POTENTIAL };
#define CHUNK 512    // synapses at a time: the registers stay in the nearest cache
#define BLOCK 64     // input spikes at a time
#define RENEWED 4000 // steps after which traces get a new reference time

typedef struct {
    const Instruction *instructions;
    int64_t length, result;
    double *registers; // the constants in place; CHUNK values each, or BLOCK
} Program;

static const int32_t *passes, *inputs, *windows;
static int64_t n_spikes, n_inputs, n_windows;
static const double *p;
static double *trace, *carried, *membrane_decays, *trace_decays, *growths;
static int32_t *outputs;

// exp(−n·rate) for n = 0 … TABLE − 1; later it is 0.
#define TABLE 150000
static double decays(const double *table, int64_t n) { return n < TABLE ? table[n] : 0.0; }

// Spikes from each one up to this index come from different inputs.
static int64_t *distinct_until;

static void find_distinct(void)
{
    int64_t *following = malloc(8 * n_inputs), end = n_spikes;
    for (int64_t i = 0; i < n_inputs; i++)
        following[i] = n_spikes;
    distinct_until = malloc(8 * n_spikes);
    for (int64_t index = n_spikes - 1; index >= 0; index--) {
        end = following[inputs[index]] < end ? following[inputs[index]] : end;
        following[inputs[index]] = index;
        distinct_until[index] = end;
    }
    free(following);
}

static int64_t learn(Program depress, Program facilitate, const double *initial, double *w, double *kept)
{
    const int64_t delay = p[DELAY], refractory = p[REFRACTORY];
    const double threshold = p[THRESHOLD], largest = p[MAXIMAL_WEIGHT], rate = p[LEARNING_RATE], lower = p[LOWER_BOUND];
    int64_t n_outputs = 0, n_arrived = 0, n_seen = 0, start = 0, arriving = 0, blocked_until = -1, V_pass = 1 - delay;
    int64_t reference = 0, shown_step = 0;
    double shown = 0.0, V = p[POTENTIAL] * decays(membrane_decays, 1);
    double *own = depress.registers, *change = own + depress.result * BLOCK;
    memcpy(w, initial, 8 * n_inputs);
    memset(trace, 0, 8 * n_inputs);
    if (V >= threshold) {
        V = 0.0;
        blocked_until = 1 + refractory;
        outputs[n_outputs++] = 1;
    }
    while (start < n_spikes) {
        int64_t now = passes[start];
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
                    double moved = own[i] + rate * f[i];
                    moved = moved > 1.0 ? 1.0 : moved;
                    w[base + i] = moved < lower ? lower : moved;
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

        // A block, up to where the next known output spike reaches the synapses. One that does so now shows later.
        int64_t end = distinct_until[start] < start + BLOCK ? distinct_until[start] : start + BLOCK;
        int64_t upto = reference + RENEWED;
        if (n_seen < n_arrived)
            upto = now;
        else if (n_arrived < n_outputs && outputs[n_arrived] + delay - 1 < upto)
            upto = outputs[n_arrived] + delay - 1;
        while (passes[end - 1] > upto)
            end--;
        int64_t size = end - start;
        for (int64_t j = 0; j < size; j++) {
            own[j] = w[inputs[start + j]];
            own[BLOCK + j] = shown * decays(trace_decays, passes[start + j] - shown_step);
        }
        interpret(depress.instructions, depress.length, own, BLOCK, size);
        for (int64_t j = 0; j < size; j++) {
            double moved = own[j] - rate * change[j];
            carried[start + j] = moved > 0.0 ? moved : 0.0;
        }

        // The membrane, far enough that every output spike which reaches the synapses by the next block is known.
        for (int fired = 1; fired;) {
            int64_t limit = end < n_spikes ? passes[end] - 2 * delay : (int64_t)p[N_STEPS] - delay, last = end;
            fired = 0;
            while (last > arriving && passes[last - 1] > limit)
                last--;
            while (arriving < last && passes[arriving] + delay <= blocked_until)
                arriving++;
            while (arriving < last && !fired) {
                int64_t step = passes[arriving];
                V = V * decays(membrane_decays, step - V_pass) + largest * carried[arriving++];
                V_pass = step;
                fired = V >= threshold;
            }
            if (fired) {
                while (arriving < end && passes[arriving] == V_pass)
                    arriving++;
                V = 0.0;
                blocked_until = V_pass + delay + refractory;
                outputs[n_outputs++] = V_pass + delay;
                while (passes[end - 1] >= V_pass + 2 * delay)
                    end--;
            }
        }
        for (int64_t index = start; index < end; index++) {
            w[inputs[index]] = carried[index];
            trace[inputs[index]] += growths[passes[index] - reference];
        }
        start = end;
    }
    memcpy(kept, initial, 8 * n_inputs);
    for (int64_t index = 0; index < n_spikes; index++)
        kept[inputs[index]] = carried[index];
    return n_outputs;
}

// The readout's steps from one arrival or edge of a window to the next: whose spike begins them (n_inputs: nobody's),
// how many they are, and, at the edges, which window begins (−1: none is complete) and whether the steps are baseline.
typedef struct {
    int64_t until, window, baseline;
} Run;
static int32_t *beginners, *lengths;
static Run *runs;
static int64_t n_runs, n_complete, n_baseline;
static double *begun_with, *highest;
// Over n steps of decay d: dⁿ, Σ dʲ, Σ d²ʲ, Σ dʲ(1 − dʲ), Σ (1 − dʲ)².
typedef struct {
    double decay, sum, squares, mixed, rest;
} Sums;
static Sums *sums;

static void lay_out_readout(void)
{
    const int64_t n_steps = p[READOUT], delay = p[DELAY], most = n_spikes + 4 * n_windows + 4;
    int64_t n = 0, arriving = 0, window = 0, begun = 0;
    beginners = malloc(4 * most), lengths = malloc(4 * most), runs = malloc(sizeof(Run) * (2 * n_windows + 2));
    n_complete = 0, n_runs = 0, n_baseline = 0;
    while (n_complete < n_windows && windows[2 * n_complete + 1] <= n_steps)
        n_complete++;
    for (int64_t step = 1; step <= n_steps; step++) {
        window += window < n_windows && step > windows[2 * window + 1];
        int inside = window < n_windows && step >= windows[2 * window];
        int first = window < n_windows && step == windows[2 * window];
        int after = window > 0 && step == windows[2 * window - 1] + 1;
        int comes = arriving < n_spikes && passes[arriving] + delay == step;
        int baseline = !inside;
        if (step == 1 || first || after) {
            if (n_runs)
                runs[n_runs - 1].until = n;
            runs[n_runs++] = (Run){0, inside && window < n_complete ? window : -1, baseline};
        }
        if ((step == 1 || first || after || comes) && n)
            lengths[n - 1] = step - begun;
        if (comes) {
            for (; arriving < n_spikes && passes[arriving] + delay == step; arriving++, n++)
                beginners[n] = inputs[arriving], lengths[n] = 0, begun = step;
        } else if (step == 1 || first || after)
            beginners[n] = n_inputs, lengths[n++] = 0, begun = step;
        n_baseline += baseline;
    }
    lengths[n - 1] = n_steps + 1 - begun;
    runs[n_runs - 1].until = n;
    int64_t longest = 0;
    for (int64_t index = 0; index < n; index++)
        longest = lengths[index] > longest ? lengths[index] : longest;
    begun_with = malloc(8 * n), highest = malloc(8 * (n_complete + 1)), sums = calloc(longest + 1, sizeof *sums);
    sums[0].decay = 1.0;
    for (int64_t k = 1; k <= longest; k++) {
        double d = sums[k - 1].decay;
        sums[k] = (Sums){decays(membrane_decays, k), sums[k - 1].sum + d, sums[k - 1].squares + d * d,
                         sums[k - 1].mixed + d * (1.0 - d), sums[k - 1].rest + (1.0 - d) * (1.0 - d)};
    }
}

// Signal-to-noise ratio of one weight vector, with a 0 behind its end: mean over windows of (max V − m)/σ.
static double read_out(const double *w)
{
    const double largest = p[MAXIMAL_WEIGHT];
    double V = p[READOUT_POTENTIAL], decay = decays(membrane_decays, 1), mean = 0.0, variance = 0.0, total = 0.0;
    for (int64_t run = 0, index = 0; run < n_runs; run++) {
        double sum = 0.0, most = -1e300;
        for (; index < runs[run].until; index++) {
            V = V * decay + largest * w[beginners[index]];
            begun_with[index] = V;
            const Sums *over = sums + lengths[index];
            decay = over->decay;
            sum += V * over->sum;
            most = V > most ? V : most;
        }
        double at_end = V * sums[lengths[index - 1] - 1].decay; // V rises from below 0
        if (runs[run].window >= 0)
            highest[runs[run].window] = most > at_end ? most : at_end;
        mean += runs[run].baseline ? sum : 0.0;
    }
    mean /= n_baseline;
    for (int64_t run = 0, index = 0; run < n_runs; run++) {
        if (runs[run].baseline)
            for (; index < runs[run].until; index++) {
                const Sums *over = sums + lengths[index];
                double u = begun_with[index] - mean;
                variance += u * (u * over->squares - 2.0 * mean * over->mixed) + mean * mean * over->rest;
            }
        index = runs[run].until;
    }
    for (int64_t k = 0; k < n_complete; k++)
        total += (highest[k] - mean) / sqrt(variance / n_baseline);
    return total / n_complete;
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
                                                n_registers / n_rules, slot ? CHUNK : BLOCK, rule);
    }
    trace = aligned_alloc(128, 8 * (n_inputs + CHUNK));
    carried = malloc(8 * n_spikes);
    outputs = malloc(4 * (int64_t)(p[N_STEPS] / (p[REFRACTORY] + 1) + 2));
    double *w = aligned_alloc(128, 8 * (n_inputs + CHUNK)), *kept = malloc(8 * n_inputs * n_rules);
    double *fitness = malloc(8 * n_rules), *n_outputs = malloc(8 * n_rules), *frozen = malloc(8 * (n_inputs + 1));
    membrane_decays = malloc(8 * TABLE), trace_decays = malloc(8 * TABLE), growths = malloc(8 * (RENEWED + 1));
    for (int64_t n = 0; n < TABLE; n++) {
        membrane_decays[n] = exp(-n * p[MEMBRANE_DECAY]);
        trace_decays[n] = exp(-n * p[TRACE_DECAY]);
        if (n <= RENEWED)
            growths[n] = exp(n * p[TRACE_DECAY]);
    }
    find_distinct();
    lay_out_readout();
    int repeats = atoi(argv[2]);

    double cpu = cpu_seconds(), wall = wall_seconds();
    for (int repeat = 0; repeat < repeats; repeat++)
        for (int64_t rule = 0; rule < n_rules; rule++) {
            n_outputs[rule] = learn(programs[0][rule], programs[1][rule], initial, w, kept + rule * n_inputs);
            memcpy(frozen, kept + rule * n_inputs, 8 * n_inputs);
            frozen[n_inputs] = 0.0;
            fitness[rule] = read_out(frozen);
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
