/* Bencode, as in torrent files: integers, strings, lists, dictionaries with sorted keys.
   CWE-190, seen as heap-buffer-overflow. Where a string ends is summed up in 16 bits, and only a
   key has its length alone held against the input. Echoes the length sums of torrent clients. */
#include "planted.h"

enum { DEEPEST = 16, MOST_DIGITS = 7 };

struct reader {
    const uint8_t *p;
    size_t n, at;
    uint32_t hash;
    uint32_t n_strings, n_numbers;
    int depth;
};

static int value(struct reader *r);

static int digits(struct reader *r, uint8_t stop, uint32_t *number) {
    size_t from = r->at;
    *number = 0;
    while (r->at < r->n && r->p[r->at] >= '0' && r->p[r->at] <= '9') {
        if (r->at - from == MOST_DIGITS) return -1;
        *number = *number * 10 + (r->p[r->at++] - '0');
    }
    if (r->at == from || r->at == r->n || r->p[r->at] != stop) return -1;
    if (r->p[from] == '0' && r->at - from > 1) return -1;
    r->at++;
    return 0;
}

static int string(struct reader *r, int key) {
    uint32_t length;
    if (digits(r, ':', &length)) return -1;
    if (key && (length == 0 || length > r->n - r->at)) return -1;
    uint16_t end = (uint16_t)(r->at + length);
    if (end > r->n) return -1;
    FLAW(1, length > r->n - r->at, return -1);
    for (size_t i = 0; i < length; i++) r->hash = r->hash * 31 + r->p[r->at + i];
    SHOW(r->hash);
    r->at += length;
    r->n_strings++;
    return 0;
}

static int integer(struct reader *r) {
    uint32_t number;
    r->at++;
    int negative = r->at < r->n && r->p[r->at] == '-';
    if (negative) r->at++;
    if (digits(r, 'e', &number)) return -1;
    if (negative && number == 0) return -1;
    r->hash += negative ? 0u - number : number;
    r->n_numbers++;
    return 0;
}

static int list(struct reader *r) {
    r->at++;
    while (r->at < r->n && r->p[r->at] != 'e')
        if (value(r)) return -1;
    if (r->at == r->n) return -1;
    r->at++;
    return 0;
}

/* Keys ascend; each has a value. */
static int dictionary(struct reader *r) {
    const uint8_t *last = NULL;
    size_t n_last = 0;
    r->at++;
    while (r->at < r->n && r->p[r->at] != 'e') {
        if (string(r, 1)) return -1;
        size_t length = 0;
        while (length < r->at && r->p[r->at - 1 - length] != ':') length++;
        const uint8_t *key = r->p + r->at - length;
        if (last != NULL) {
            int order = memcmp(last, key, n_last < length ? n_last : length);
            if (order > 0 || (order == 0 && n_last >= length)) return -1;
        }
        last = key;
        n_last = length;
        if (value(r)) return -1;
    }
    if (r->at == r->n) return -1;
    r->at++;
    return 0;
}

static int value(struct reader *r) {
    if (r->at >= r->n || r->depth == DEEPEST) return -1;
    int bad;
    r->depth++;
    switch (r->p[r->at]) {
    case 'i': bad = integer(r); break;
    case 'l': bad = list(r); break;
    case 'd': bad = dictionary(r); break;
    default: bad = string(r, 0);
    }
    r->depth--;
    return bad;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct reader r = {0};
    if (size == 0 || size > 1024 || data[0] != 'd') return 0;
    r.p = data;
    r.n = size;
    if (value(&r)) return 0;
    SHOW(r.hash + r.n_strings + r.n_numbers);
    return 0;
}
