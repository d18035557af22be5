/* A packer's file: blocks that are stored, runs, or Huffman codes given by their lengths.
   CWE-787, seen as heap-buffer-overflow. Whether the codes fill the table is counted in a byte, for
   which twice full is full. Echoes CVE-2023-4863 (tables of Huffman codes in libwebp). */
#include "planted.h"

enum { BITS = 8, TABLE = 1 << BITS, MOST_OUT = 4096 };

struct entry {
    uint8_t symbol, length;
};

struct packed {
    const uint8_t *p;
    size_t n, at;
    size_t made;
    uint32_t sum;
    uint32_t n_blocks;
};

static int put(struct packed *k, uint8_t c) {
    if (k->made == MOST_OUT) return -1;
    k->made++;
    k->sum = (k->sum << 5 | k->sum >> 27) ^ c;
    return 0;
}

static int stored(struct packed *k) {
    if (k->at >= k->n) return -1;
    size_t length = k->p[k->at++];
    if (length == 0 || length > k->n - k->at) return -1;
    while (length-- > 0)
        if (put(k, k->p[k->at++])) return -1;
    return 0;
}

/* Pairs of a count and a byte, until a count of zero. */
static int runs(struct packed *k) {
    for (;;) {
        if (k->at >= k->n) return -1;
        uint8_t count = k->p[k->at++];
        if (count == 0) return 0;
        if (k->at >= k->n) return -1;
        uint8_t c = k->p[k->at++];
        while (count-- > 0)
            if (put(k, c)) return -1;
    }
}

/* Two lengths in a byte, the high half first; 15 repeats the length before three times. */
static int lengths(struct packed *k, uint8_t *of, size_t count) {
    size_t i = 0;
    for (size_t half = 0; i < count; half++) {
        if (k->at >= k->n) return -1;
        uint8_t length = half & 1 ? k->p[k->at] & 15 : k->p[k->at] >> 4;
        if (half & 1) k->at++;
        if (length == 15) {
            if (i == 0) return -1;
            for (int again = 0; again < 3 && i < count; again++, i++) of[i] = of[i - 1];
        } else {
            if (length > BITS) return -1;
            of[i++] = length;
        }
        if (i >= count && !(half & 1)) k->at++;
    }
    return 0;
}

static int table(struct entry *into, const uint8_t *of, size_t count) {
    uint8_t filled = 0;
    size_t next = 0;
    for (size_t i = 0; i < count; i++)
        if (of[i] > 0) filled = (uint8_t)(filled + (TABLE >> of[i]));
    if (filled != 0) return -1; /* a full table comes round to zero */
    for (uint8_t length = 1; length <= BITS; length++)
        for (size_t i = 0; i < count; i++) {
            if (of[i] != length) continue;
            size_t places = (size_t)TABLE >> length;
            FLAW(1, places > TABLE - next, return -1);
            for (size_t to = next + places; next < to; next++)
                into[next] = (struct entry){(uint8_t)i, length};
        }
    return next == 0 ? -1 : 0;
}

static int coded(struct packed *k) {
    uint8_t of[64];
    if (k->n - k->at < 3) return -1;
    size_t count = k->p[k->at], wanted = k->p[k->at + 1];
    k->at += 2;
    if (count < 2 || count > sizeof of || lengths(k, of, count)) return -1;
    struct entry *codes = take(TABLE * sizeof *codes);
    if (codes == NULL || table(codes, of, count)) return -1;
    uint32_t held = 0, n_held = 0;
    while (wanted-- > 0) {
        while (n_held < BITS) {
            held = held << 8 | (k->at < k->n ? k->p[k->at] : 0);
            if (k->at++ >= k->n + 1) return -1;
            n_held += 8;
        }
        struct entry e = codes[held >> (n_held - BITS) & (TABLE - 1)];
        n_held -= e.length;
        if (put(k, (uint8_t)(' ' + e.symbol))) return -1;
    }
    while (n_held >= 8) n_held -= 8, k->at--;
    return k->at > k->n ? -1 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct packed k = {0};
    int bad = 0;
    start();
    if (size < 5 || memcmp(data, "PK1", 3) != 0) return 0;
    k.p = data;
    k.n = size;
    k.at = 3;
    while (!bad && k.at < size && k.n_blocks++ < 16) {
        uint8_t kind = data[k.at++];
        switch (kind) {
        case 0: bad = stored(&k); break;
        case 1: bad = runs(&k); break;
        case 2: bad = coded(&k); break;
        default: bad = 1; break;
        }
    }
    SHOW(k.sum + k.made);
    return 0;
}
