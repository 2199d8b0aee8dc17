// What the three limits share: input arrays, clocks, the interpreter of rules, output as JSON.
//
// The numbers of the operators come from the compiler's command line (-DADD=0 …), so that they are declared once.
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LANES 16

// Sixteen numbers side by side; the compiler splits them into what the processor has.
typedef double Lanes __attribute__((vector_size(8 * LANES)));
// Half of them, for what is to stay in registers: gcc keeps vectors of one register there, wider ones in memory.
typedef double Half __attribute__((vector_size(4 * LANES)));
typedef int64_t Integers __attribute__((vector_size(4 * LANES)));
#define HALVES for (int h = 0; h < 2; h++)

typedef struct {
    int32_t opcode, destination, first, second;
} Instruction;

// The next array of the input: number of elements (int64), then the elements, each of `size` bytes.
static void *next_array(FILE *file, size_t size, int64_t *count)
{
    int64_t n;
    if (fread(&n, sizeof n, 1, file) != 1) {
        fprintf(stderr, "the input ends too early\n");
        exit(2);
    }
    void *array = aligned_alloc(128, (n * size + 255) / 128 * 128);
    if ((int64_t)fread(array, size, n, file) != n) {
        fprintf(stderr, "the input ends too early\n");
        exit(2);
    }
    if (count)
        *count = n;
    return array;
}

static FILE *open_input(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(2);
    }
    return file;
}

static double seconds_of(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec + 1e-9 * now.tv_nsec;
}

static double cpu_seconds(void) { return seconds_of(CLOCK_PROCESS_CPUTIME_ID); }
static double wall_seconds(void) { return seconds_of(CLOCK_MONOTONIC); }

// The real part of the principal value.
static inline double power(double base, double exponent)
{
    if (base < 0 && floor(exponent) != exponent)
        return pow(-base, exponent) * cos(M_PI * exponent);
    return pow(base, exponent);
}

#define OVER(expression)                                                                                               \
    _Pragma("GCC ivdep") for (int64_t i = 0; i < n; i++)                                                               \
    {                                                                                                                  \
        d[i] = expression;                                                                                             \
    }                                                                                                                  \
    break

// Run a program over n values; register r holds `width` values from registers[r * width] on.
static inline void interpret(const Instruction *program, int64_t length, double *registers, int64_t width, int64_t n)
{
    for (int64_t index = 0; index < length; index++) {
        Instruction at = program[index];
        double *d = registers + at.destination * width;
        const double *a = registers + at.first * width, *b = registers + at.second * width;
        switch (at.opcode) {
        case ADD: OVER(a[i] + b[i]);
        case SUBTRACT: OVER(a[i] - b[i]);
        case MULTIPLY: OVER(a[i] * b[i]);
        case DIVIDE: OVER(a[i] / b[i]);
        case POWER: OVER(power(a[i], b[i]));
        case NEGATE: OVER(-a[i]);
        case EXPONENTIAL: OVER(exp(a[i]));
        case LOGARITHM: OVER(log(a[i]));
        default: fprintf(stderr, "the limits have no operator %d\n", at.opcode); exit(2);
        }
    }
}

// a in the lanes where the comparison holds, b in the others.
static inline __attribute__((always_inline)) Half chosen(Integers mask, Half a, Half b)
{
    return (Half)(((Integers)a & mask) | ((Integers)b & ~mask));
}

// e**x for −700 < x < 700: x = k·ln 2 + r; a Taylor polynomial of r, and 2**k by writing its exponent.
static inline __attribute__((always_inline)) Half exponential(Half x)
{
    x = chosen(x > -700.0, x, (Half){} - 700.0);
    Integers k = __builtin_convertvector(x * M_LOG2E + 1024.5, Integers); // rounded, + 1024, so never negative
    Half r = x - (__builtin_convertvector(k, Half) - 1024.0) * M_LN2;
    Half p = (Half){} + 1.0 / 479001600.0;
    p = p * r + 1.0 / 39916800.0;
    p = p * r + 1.0 / 3628800.0;
    p = p * r + 1.0 / 362880.0;
    p = p * r + 1.0 / 40320.0;
    p = p * r + 1.0 / 5040.0;
    p = p * r + 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    return p * (Half)((k - 1) << 52);
}

static void print_array(const char *name, const double *values, int64_t n)
{
    printf("\"%s\": [", name);
    for (int64_t i = 0; i < n; i++)
        printf("%s%.17g", i ? ", " : "", values[i]);
    printf("]");
}
