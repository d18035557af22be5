/* The index of git, versions 2 to 4: entries, extensions; in 4 a name begins as the last one did.
   CWE-191, seen as heap-buffer-overflow. How much is kept of the name before is a difference that
   is only held against the length of the whole, which long names do not tell. Echoes CVE-2018-8099
   (the prefix lengths of libgit2). */
#include "planted.h"

enum { ROOM = 256, STAT = 40, HASH = 20, LONG = 0xfff };

struct index {
    const uint8_t *p;
    size_t n, at;
    uint32_t version;
    char *name;
    size_t length;
    uint32_t n_entries, n_extensions, stage, sum;
};

static uint32_t u32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static size_t text_length(const struct index *x) {
    size_t length = 0;
    while (x->at + length < x->n && x->p[x->at + length] != 0) length++;
    return length;
}

static int ascends(const char *before, size_t n_before, const char *name, size_t n) {
    int order = memcmp(before, name, n_before < n ? n_before : n);
    return order < 0 || (order == 0 && n_before <= n);
}

/* The whole name stands there, filled up to a multiple of eight. */
static int whole_name(struct index *x, size_t begin, uint32_t told) {
    size_t length = text_length(x);
    if (length == 0 || length >= ROOM || length >= x->n - x->at) return -1;
    if (told != LONG && told != length) return -1;
    if (!ascends(x->name, x->length, (const char *)x->p + x->at, length)) return -1;
    memcpy(x->name, x->p + x->at, length);
    x->length = length;
    size_t used = (x->at + length - begin) / 8 * 8 + 8;
    if (used > x->n - begin) return -1;
    x->at = begin + used;
    return 0;
}

/* What is dropped from the end of the name before, then the new end. */
static int part_name(struct index *x, uint32_t told) {
    size_t drop = 0;
    uint8_t c;
    do {
        if (x->at >= x->n || drop > ROOM) return -1;
        c = x->p[x->at++];
        drop = drop << 7 | (c & 0x7f);
    } while (c & 0x80);
    size_t more = text_length(x);
    if (more >= ROOM || more >= x->n - x->at) return -1;
    size_t keep = x->length - drop;
    if (told != LONG && keep + more != told) return -1;
    if (keep + more >= ROOM) return -1;
    FLAW(1, drop > x->length, return -1);
    for (size_t i = 0; i < more; i++) x->name[keep + i] = (char)x->p[x->at + i];
    x->length = keep + more;
    x->at += more + 1;
    return x->length == 0 ? -1 : 0;
}

static int entry(struct index *x) {
    size_t begin = x->at;
    if (x->n - x->at < STAT + HASH + 2) return -1;
    const uint8_t *p = x->p + x->at;
    uint32_t mode = u32(p + 24), flags = (uint32_t)p[60] << 8 | p[61];
    if ((mode >> 12) != 8 && (mode >> 12) != 10 && (mode >> 12) != 14) return -1;
    x->at += STAT + HASH + 2;
    if (flags & 0x4000) {
        if (x->version < 3 || x->n - x->at < 2 || (x->p[x->at] & 0x80)) return -1;
        x->at += 2;
    }
    x->stage |= 1u << (flags >> 12 & 3);
    x->n_entries++;
    return x->version < 4 ? whole_name(x, begin, flags & LONG) : part_name(x, flags & LONG);
}

static int extension(struct index *x) {
    const uint8_t *p = x->p + x->at;
    uint32_t length = u32(p + 4);
    if (x->n - x->at - 8 < length) return -1;
    if (memcmp(p, "TREE", 4) == 0) {
        for (uint32_t i = 0; i < length && i < 32; i++) x->sum += p[8 + i];
    } else if (p[0] < 'A' || p[0] > 'Z') {
        return -1; /* not optional */
    }
    x->at += 8 + length;
    x->n_extensions++;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct index x = {0};
    start();
    if (size < 12 + HASH || memcmp(data, "DIRC", 4) != 0) return 0;
    x.p = data;
    x.n = size - HASH; /* its hash is not looked at */
    x.at = 12;
    x.version = u32(data + 4);
    if (x.version < 2 || x.version > 4) return 0;
    x.name = take(ROOM);
    if (x.name == NULL) return 0;
    memset(x.name, 0, ROOM);
    for (uint32_t i = 0; i < u32(data + 8); i++)
        if (entry(&x)) return 0;
    while (x.n - x.at >= 8)
        if (extension(&x)) return 0;
    SHOW(x.name[0] + x.n_entries + x.stage + x.sum);
    return 0;
}
