/* Runs one input in the process it is loaded into, and says what the program did.
 *
 * Compiled together with a program that has LLVMFuzzerTestOneInput, by gcc or clang, with
 * -fsanitize-coverage=trace-pc,trace-cmp: no sanitizer runtime is needed. Edges are pairs of
 * consecutive places, as in AFL; counts are sorted into AFL's eight buckets. A planted bug, a
 * signal or too many steps end the input by a long jump, so nothing is lost but its stack. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MAP 65536
#define TOUCHED 16384
#define WORDS 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct {
    int32_t status;     /* 0 ended, 1 planted bug, 2 signal, 3 too many steps */
    int32_t number;     /* of the bug or the signal */
    uint32_t new_edges; /* edges never seen before */
    uint32_t new_counts;/* known edges, a bucket never seen before */
    uint32_t touched;   /* edges of this input */
    uint32_t steps;     /* places passed */
    uint32_t rarest;    /* edge of this input that the fewest inputs have touched */
    uint32_t known;     /* edges ever seen */
    uint64_t path;      /* hash of edges and buckets */
} inoculate_result;

static uint8_t counts[MAP], seen[MAP];
static uint32_t hits[MAP];
static uint16_t touched[TOUCHED];
static uint32_t n_touched, steps, max_steps = 200000, n_known;
static uintptr_t last_place;
static uint64_t words[WORDS];
static uint32_t n_words;
static sigjmp_buf out;
static volatile int running, status, number;
static char signal_stack[65536];

static void leave(int why, int which) {
    status = why;
    number = which;
    running = 0;
    siglongjmp(out, 1);
}

void planted_bug(int id) { leave(1, id); }

static void on_signal(int which) {
    if (running) leave(2, which);
    signal(which, SIG_DFL);
    raise(which);
}

void __sanitizer_cov_trace_pc(void) {
    if (!running) return;
    uintptr_t place = (uintptr_t)__builtin_return_address(0) - (uintptr_t)&LLVMFuzzerTestOneInput;
    place = (place ^ (place >> 16)) * 0x9E3779B1u >> 3;
    uint32_t edge = (uint32_t)((place ^ (last_place >> 1)) & (MAP - 1));
    last_place = place;
    if (!counts[edge]) {
        if (n_touched < TOUCHED) {
            touched[n_touched++] = (uint16_t)edge;
            counts[edge] = 1;
        }
    } else if (counts[edge] < 255) {
        counts[edge]++;
    }
    if (++steps > max_steps) leave(3, 0);
}

static void word(uint64_t value, int width) {
    if (!running || value + 256 < 512 || n_words >= WORDS) return;
    uint64_t key = value | (uint64_t)width << 61; /* widths 1, 2, 4 as 0 .. 2 are enough */
    for (uint32_t i = 0; i < n_words; i++)
        if (words[i] == key) return;
    words[n_words++] = key;
}

/* The first argument is the constant. Single bytes are not worth a dictionary. */
void __sanitizer_cov_trace_const_cmp1(uint8_t a, uint8_t b) { (void)a; (void)b; }
void __sanitizer_cov_trace_const_cmp2(uint16_t a, uint16_t b) { (void)b; word(a, 1); }
void __sanitizer_cov_trace_const_cmp4(uint32_t a, uint32_t b) { (void)b; word(a, 2); }
void __sanitizer_cov_trace_const_cmp8(uint64_t a, uint64_t b) { (void)b; if (a < 1ull << 32) word(a, 2); }
void __sanitizer_cov_trace_cmp1(uint8_t a, uint8_t b) { (void)a; (void)b; }
void __sanitizer_cov_trace_cmp2(uint16_t a, uint16_t b) { (void)a; (void)b; }
void __sanitizer_cov_trace_cmp4(uint32_t a, uint32_t b) { (void)a; (void)b; }
void __sanitizer_cov_trace_cmp8(uint64_t a, uint64_t b) { (void)a; (void)b; }
void __sanitizer_cov_trace_cmpf(float a, float b) { (void)a; (void)b; }
void __sanitizer_cov_trace_cmpd(double a, double b) { (void)a; (void)b; }
void __sanitizer_cov_trace_switch(uint64_t value, uint64_t *cases) {
    (void)value;
    for (uint64_t i = 0; i < cases[0]; i++)
        if (cases[1] > 8 && cases[2 + i] < 1ull << 32) word(cases[2 + i], cases[1] > 16 ? 2 : 1);
}

void inoculate_start(uint32_t most_steps) {
    memset(counts, 0, sizeof counts);
    memset(seen, 0, sizeof seen);
    memset(hits, 0, sizeof hits);
    n_touched = n_known = n_words = 0;
    max_steps = most_steps;
    stack_t stack = {.ss_sp = signal_stack, .ss_size = sizeof signal_stack};
    sigaltstack(&stack, NULL);
    int which[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    for (int i = 0; i < 5; i++) {
        struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK | SA_NODEFER};
        sigaction(which[i], &act, NULL);
    }
}

static uint8_t bucket(uint8_t n) {
    return n < 3 ? n : n == 3 ? 4 : n < 8 ? 8 : n < 16 ? 16 : n < 32 ? 32 : n < 128 ? 64 : 128;
}

/* Bits of the answer: 1 new coverage, 2 another path than `path`, 4 it did not end well. */
int inoculate_run(const uint8_t *data, size_t size, uint64_t path, inoculate_result *result) {
    n_touched = steps = 0;
    last_place = 0;
    status = number = 0;
    if (!sigsetjmp(out, 0)) {
        running = 1;
        LLVMFuzzerTestOneInput(data, size);
    }
    running = 0;
    memset(result, 0, sizeof *result);
    result->status = status;
    result->number = number;
    result->touched = n_touched;
    result->steps = steps;
    uint32_t fewest = UINT32_MAX;
    for (uint32_t i = 0; i < n_touched; i++) {
        uint32_t edge = touched[i];
        uint8_t b = bucket(counts[edge]);
        counts[edge] = 0;
        /* a sum, so that the order of edges does not count */
        result->path += ((uint64_t)(edge + 1) << 8 | b) * 0x9E3779B97F4A7C15ull ^ (uint64_t)b << 40;
        if (!seen[edge]) result->new_edges++, n_known++;
        else if (b & ~seen[edge]) result->new_counts++;
        seen[edge] |= b;
        if (hits[edge] < UINT32_MAX) hits[edge]++;
        if (hits[edge] < fewest) fewest = hits[edge], result->rarest = edge;
    }
    result->known = n_known;
    return (result->new_edges || result->new_counts) | (result->path != path) << 1 | (status != 0) << 2;
}

uint32_t inoculate_hits(uint32_t edge) { return hits[edge & (MAP - 1)]; }
uint32_t inoculate_words(uint64_t *into) {
    memcpy(into, words, n_words * sizeof *words);
    return n_words;
}
