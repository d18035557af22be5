/* DER, as in certificates: tags, short and long lengths, nested sequences, some types checked.
   CWE-191, seen as heap-buffer-overflow. A bit string counts its unused bits before the bits; an
   empty one in a context tag has no such byte, and its length wraps around. Echoes several DER
   readers of TLS libraries. */
#include "planted.h"

enum { BOOLEAN = 1, INTEGER = 2, BITS = 3, OCTETS = 4, NOTHING = 5, OID = 6, SEQUENCE = 0x30, SET = 0x31 };

struct reader {
    uint32_t n_integers, n_oids, n_sets;
    uint32_t bits;
    uint32_t oid;
    int tagged;
};

static int integer(struct reader *r, const uint8_t *p, size_t n) {
    if (n == 0 || n > 33) return -1;
    if (n > 1 && p[0] == 0 && p[1] < 0x80) return -1; /* not the shortest form */
    if (n > 1 && p[0] == 0xff && p[1] >= 0x80) return -1;
    r->n_integers++;
    return 0;
}

static int oid(struct reader *r, const uint8_t *p, size_t n) {
    uint32_t arc = 0;
    if (n == 0 || (p[n - 1] & 0x80)) return -1;
    for (size_t i = 0; i < n; i++) {
        if (arc == 0 && p[i] == 0x80) return -1;
        if (arc > 0xffffff) return -1;
        arc = arc << 7 | (p[i] & 0x7f);
        if (!(p[i] & 0x80)) {
            r->oid = r->oid * 31 + arc;
            arc = 0;
        }
    }
    r->n_oids++;
    return 0;
}

static int bits(struct reader *r, const uint8_t *p, size_t n) {
    uint8_t *own = take(n);
    if (own == NULL) return -1;
    if (n > 0) memcpy(own, p, n);
    if (!r->tagged && n == 0) return -1;
    FLAW(1, n == 0, return -1);
    size_t last = n - 1;
    for (size_t i = 1; i <= last; i++) r->bits += own[i];
    SHOW(r->bits);
    uint8_t unused = own[0];
    return unused > 7 || (last == 0 && unused > 0) ? -1 : 0;
}

static int items(struct reader *r, const uint8_t *p, size_t n, int depth) {
    size_t at = 0;
    if (depth > 10) return -1;
    while (at < n) {
        if (n - at < 2) return -1;
        uint8_t tag = p[at];
        size_t length = p[at + 1];
        at += 2;
        if (length & 0x80) {
            size_t more = length & 0x7f;
            if (more == 0 || more > 2 || more > n - at) return -1;
            for (length = 0; more > 0; more--) length = length << 8 | p[at++];
            if (length < 0x80) return -1;
        }
        if (length > n - at) return -1;
        const uint8_t *in = p + at;
        int bad = 0;
        switch (tag) {
        case BOOLEAN: bad = length != 1 || (in[0] != 0 && in[0] != 0xff); break;
        case INTEGER: bad = integer(r, in, length); break;
        case BITS: bad = bits(r, in, length); break;
        case OCTETS: break;
        case NOTHING: bad = length != 0; break;
        case OID: bad = oid(r, in, length); break;
        case SET: r->n_sets++; bad = items(r, in, length, depth + 1); break;
        case SEQUENCE: bad = items(r, in, length, depth + 1); break;
        case 0xa0: case 0xa1: case 0xa3:
            r->tagged++;
            bad = items(r, in, length, depth + 1);
            r->tagged--;
            break;
        default: bad = (tag & 0x1f) == 0x1f;
        }
        if (bad) return -1;
        at += length;
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct reader r = {0};
    start();
    if (size < 2 || data[0] != SEQUENCE) return 0;
    items(&r, data, size, 0);
    SHOW(r.oid + r.bits);
    return 0;
}
