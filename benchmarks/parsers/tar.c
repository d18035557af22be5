/* tar archives: blocks of 512 bytes, octal numbers, a sum over each header, long names.
   CWE-122, seen as heap-buffer-overflow. A long name is kept in a block of a fixed size, which a
   link's long target is not held against. Echoes the long-name handling of older tar readers. */
#include "planted.h"

enum { BLOCK = 512, LONGEST = 128 };

struct archive {
    uint32_t n_files, n_folders, n_links;
    uint64_t bytes;
    char *name;
    char *target;
};

static int octal(const uint8_t *p, size_t n, uint64_t *value) {
    size_t at = 0;
    *value = 0;
    while (at < n && p[at] == ' ') at++;
    size_t from = at;
    for (; at < n && p[at] >= '0' && p[at] <= '7'; at++) *value = *value << 3 | (p[at] - '0');
    return at > from && (at == n || p[at] == ' ' || p[at] == 0) ? 0 : -1;
}

static uint32_t sum_of(const uint8_t *p) {
    uint32_t sum = 0;
    for (size_t i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? ' ' : p[i];
    return sum;
}

static int is_zero(const uint8_t *p) {
    for (size_t i = 0; i < BLOCK; i++)
        if (p[i]) return 0;
    return 1;
}

static int long_name(struct archive *a, const uint8_t *p, size_t n) {
    if (n > LONGEST || n == 0) return -1;
    if (a->name == NULL) a->name = take(LONGEST);
    if (a->name == NULL) return -1;
    memcpy(a->name, p, n);
    a->name[n - 1] = 0;
    return 0;
}

static int long_target(struct archive *a, const uint8_t *p, size_t n) {
    if (n == 0) return -1;
    if (a->target == NULL) a->target = take(LONGEST);
    if (a->target == NULL) return -1;
    FLAW(1, n > LONGEST, return -1);
    memcpy(a->target, p, n);
    a->target[n - 1] = 0;
    SHOW(a->target[n / 2]);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct archive a = {0};
    size_t at = 0;
    start();
    while (size - at >= BLOCK) {
        const uint8_t *h = data + at;
        uint64_t n, sum, mode;
        if (is_zero(h)) return 0;
        if (octal(h + 148, 8, &sum) || sum != sum_of(h)) return 0;
        if (octal(h + 100, 8, &mode) || octal(h + 124, 12, &n)) return 0;
        at += BLOCK;
        if (n > size - at) return 0;
        switch (h[156]) {
        case 0:
        case '0':
            a.n_files++;
            a.bytes += n;
            a.name = NULL;
            break;
        case '1':
        case '2':
            a.n_links++;
            if (h[157] == 0 && a.target == NULL) return 0;
            break;
        case '5':
            a.n_folders++;
            if ((mode & 0100) == 0) return 0;
            break;
        case 'L': if (long_name(&a, data + at, (size_t)n)) return 0; break;
        case 'K': if (long_target(&a, data + at, (size_t)n)) return 0; break;
        case 'x':
        case 'g': break;
        default: return 0;
        }
        at += (size_t)n + (BLOCK - n % BLOCK) % BLOCK;
        if (at > size) return 0;
    }
    SHOW(a.bytes + a.n_folders);
    return 0;
}
