"""The C text that every generated program shares: how a planted flaw behaves, the state, a main.

``PROLOGUE`` is also ``benchmarks/parsers/planted.h``, held equal by a test; a generated program
carries it inline, so that it is one file.
"""

PROLOGUE = r"""/* How a planted flaw behaves, in four builds of one file:
   plain        the flaw is real: the check is missing, and the memory is damaged
   -DFIXED      the check is there
   -DPLANTED    the flaw tells its number before any damage; planted_bug() should not return
   -DMAIN       any of these as a program of its own: reads argv[1], or standard input
   FLAW(id, unsafe, repair) stands where a correct parser says: if (unsafe) repair; */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#if defined(PLANTED)
extern void planted_bug(int id);
#define BUG(id) planted_bug(id)
#define FLAW(id, unsafe, repair) do { if (unsafe) { BUG(id); repair; } } while (0)
#elif defined(FIXED)
#define FLAW(id, unsafe, repair) do { if (unsafe) { repair; } } while (0)
#else
#define FLAW(id, unsafe, repair) do { (void)sizeof(unsafe); } while (0)
#endif

#if defined(__clang__)
#define QUIET __attribute__((unused, no_sanitize("coverage")))
#elif defined(__GNUC__) && __GNUC__ >= 12
#define QUIET __attribute__((unused, no_sanitize_coverage))
#else
#define QUIET
#endif

/* What is shown is computed: no compiler drops a flaw because nobody looks at its bytes. */
static volatile uint32_t shown __attribute__((unused));
#define SHOW(value) (shown ^= (uint32_t)(value))
#define APART __attribute__((noinline))

/* Memory of one call: start() takes back what the call before left, so nothing leaks, even after
   a longjmp. take() returns NULL beyond 256 KB or 512 blocks, like a malloc that fails. */
enum { TAKE_BYTES = 1 << 18, TAKE_BLOCKS = 512 };
static size_t take_bytes, take_blocks;
#if defined(PLANTED)
static uint64_t take_pool[TAKE_BYTES / 8 + 2 * TAKE_BLOCKS];
static size_t take_next;
QUIET static void start(void) { take_bytes = take_blocks = take_next = 0; }
QUIET static void *take(size_t size) {
    if (take_blocks == TAKE_BLOCKS || size > TAKE_BYTES - take_bytes) return NULL;
    void *block = take_pool + take_next;
    take_next += (size + 15) / 16 * 2;
    take_bytes += size;
    take_blocks++;
    return block;
}
QUIET static void give(void *block) { (void)block; }
#else
static void *take_list[TAKE_BLOCKS];
QUIET static void start(void) {
    for (size_t i = 0; i < take_blocks; i++) free(take_list[i]);
    take_bytes = take_blocks = 0;
}
QUIET static void *take(size_t size) {
    if (take_blocks == TAKE_BLOCKS || size > TAKE_BYTES - take_bytes) return NULL;
    take_bytes += size;
    return take_list[take_blocks++] = malloc(size);
}
QUIET static void give(void *block) {
    for (size_t i = 0; i < take_blocks; i++)
        if (take_list[i] == block) take_list[i] = NULL;
    free(block);
}
#endif

/* Levels of recursion that a stack of 8 MB holds when each has a buffer of FRAME bytes. */
enum { LEVELS = 28 };
#if defined(PLANTED)
enum { FRAME = 1 << 10 };
#else
enum { FRAME = 1 << 18 };
#endif

#if defined(MAIN)
#if defined(PLANTED)
void planted_bug(int id) { printf("planted bug %d\n", id); fflush(stdout); exit(70); }
#endif
int main(int argc, char **argv) {
    static uint8_t whole[1 << 20];
    FILE *in = argc > 1 ? fopen(argv[1], "rb") : stdin;
    if (in == NULL) { perror(argv[1]); return 2; }
    size_t size = fread(whole, 1, sizeof whole, in);
    uint8_t *data = malloc(size ? size : 1); /* a block of its own: reading past it is seen */
    if (data == NULL) return 2;
    memcpy(data, whole, size);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 0;
}
#endif
"""

STATE = r"""
static struct {
    uint32_t context;
    uint32_t mode;
    uint32_t acc;
    uint32_t step[@n_bugs@];
    uint32_t kept[@n_bugs@];
    uint8_t *object[@n_bugs@];
} s;

static uint8_t check_of(const uint8_t *p, size_t n) {
    uint32_t sum = @sum_start@;
    for (size_t i = 0; i < n; i++) @sum_step@
    return (uint8_t)(@low@ + (sum & 0xff) % @span@);
}
"""

ENTRY = r"""
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    start();
    memset(&s, 0, sizeof s);
    if (size <= 512) parse(data, size);
    SHOW(s.acc);
    return 0;
}
"""


def fill(text: str, **values: object) -> str:
    """Return C text with every ``@name@`` replaced by its value."""
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    return text


def byte_text(value: int) -> str:
    """Return a byte as C writes it: a character where it can be read, else hexadecimal."""
    plain = 32 < value < 127 and chr(value) not in "'\\"
    return f"'{chr(value)}'" if plain else f"0x{value:02x}"
