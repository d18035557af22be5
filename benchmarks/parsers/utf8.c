/* UTF-8 to UTF-16, with a byte order mark, a check of overlong forms and a table of blocks.
   CWE-131, seen as heap-buffer-overflow. Room is taken for one unit a character; a character
   above U+FFFF needs two. Echoes converters written before such characters were common. */
#include "planted.h"

struct text {
    const uint8_t *p;
    size_t n, at;
    uint32_t n_latin, n_greek, n_han, n_other;
};

/* Return the next character, or -1. */
static int32_t next(struct text *t) {
    uint8_t lead = t->p[t->at++];
    uint32_t found, least;
    int more;
    if (lead < 0x80) return lead;
    if (lead >= 0xc2 && lead <= 0xdf) {
        more = 1;
        found = lead & 0x1f;
        least = 0x80;
    } else if (lead >= 0xe0 && lead <= 0xef) {
        more = 2;
        found = lead & 0x0f;
        least = 0x800;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
        more = 3;
        found = lead & 0x07;
        least = 0x10000;
    } else {
        return -1;
    }
    for (; more > 0; more--) {
        if (t->at >= t->n) return -1;
        uint8_t c = t->p[t->at++];
        if ((c & 0xc0) != 0x80) return -1;
        found = found << 6 | (c & 0x3f);
    }
    if (found < least || found > 0x10ffff) return -1;
    if (found >= 0xd800 && found <= 0xdfff) return -1;
    return (int32_t)found;
}

static void tell(struct text *t, int32_t c) {
    if (c < 0x250) t->n_latin++;
    else if (c >= 0x370 && c < 0x400) t->n_greek++;
    else if (c >= 0x4e00 && c < 0xa000) t->n_han++;
    else t->n_other++;
}

/* Return the number of characters, 0 where the text is bad. */
static size_t count(struct text *t) {
    size_t n = 0;
    while (t->at < t->n) {
        int32_t c = next(t);
        if (c < 0) return 0;
        tell(t, c);
        n++;
    }
    return n;
}

static uint32_t convert(struct text *t, size_t room) {
    uint16_t *out = take(room * sizeof *out);
    size_t made = 0;
    uint32_t sum = 0;
    if (out == NULL) return 0;
    while (t->at < t->n) {
        int32_t c = next(t);
        if (c >= 0x10000) {
            FLAW(1, room - made < 2, return 0);
            out[made++] = (uint16_t)(0xd800 + ((c - 0x10000) >> 10));
            out[made++] = (uint16_t)(0xdc00 + ((c - 0x10000) & 0x3ff));
        } else {
            FLAW(1, made >= room, return 0);
            out[made++] = (uint16_t)c;
        }
    }
    for (size_t i = 0; i < made && i < room; i++) sum += out[i];
    SHOW(sum);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct text t = {data, size, 0, 0, 0, 0, 0};
    size_t from = 0;
    start();
    if (size >= 3 && data[0] == 0xef && data[1] == 0xbb && data[2] == 0xbf) from = 3;
    t.at = from;
    size_t n = count(&t);
    if (n < 4) return 0;
    if (t.n_latin + t.n_greek <= t.n_other) return 0; /* hardly text */
    t.at = from;
    convert(&t, n);
    return 0;
}
