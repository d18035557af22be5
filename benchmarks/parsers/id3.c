/* ID3 tags of sound files, versions 2.3 and 2.4: frames of text, comments, links, pictures.
   CWE-835, seen as hang. A list of 16-bit strings whose last byte stands alone is never used up.
   Echoes CVE-2008-2109 (libid3tag). */
#include "planted.h"

enum { LATIN = 0, UTF16 = 1, UTF16BE = 2, UTF8 = 3 };

struct tag {
    uint32_t version;
    uint32_t n_frames, n_strings, n_pictures;
    uint32_t hash;
};

static uint32_t u32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Seven bits a byte; -1 where a high bit is set. */
static int safe32(const uint8_t *p, uint32_t *value) {
    if ((p[0] | p[1] | p[2] | p[3]) & 0x80) return -1;
    *value = (uint32_t)p[0] << 21 | (uint32_t)p[1] << 14 | (uint32_t)p[2] << 7 | p[3];
    return 0;
}

/* How many bytes a string and its end mark take. */
static size_t one_string(struct tag *t, const uint8_t *p, size_t n, int encoding) {
    size_t at = 0;
    if (encoding == UTF16 || encoding == UTF16BE) {
        while (n - at >= 2) {
            uint32_t unit = (uint32_t)p[at] << 8 | p[at + 1];
            at += 2;
            if (unit == 0) break;
            t->hash = t->hash * 17 + unit;
        }
    } else {
        while (at < n) {
            uint8_t c = p[at++];
            if (c == 0) break;
            t->hash = t->hash * 17 + c;
        }
    }
    SHOW(t->hash);
    t->n_strings++;
    return at;
}

static int encoding_ok(const struct tag *t, const uint8_t *p, size_t n) {
    if (p[0] > UTF8 || (p[0] > UTF16 && t->version < 4)) return 0;
    if (p[0] != UTF16) return 1;
    if (n < 3 || n % 2 == 0) return 0;
    return (p[1] == 0xff && p[2] == 0xfe) || (p[1] == 0xfe && p[2] == 0xff);
}

static int text_frame(struct tag *t, const uint8_t *p, size_t n) {
    if (n < 2 || !encoding_ok(t, p, n)) return -1;
    int encoding = p[0];
    p++, n--;
    if (t->version == 3) {
        one_string(t, p, n, encoding);
        return 0; /* only the first counts */
    }
    while (n > 0) {
        FLAW(1, n == 1 && encoding == UTF16BE, return -1);
        size_t used = one_string(t, p, n, encoding);
        p += used;
        n -= used;
    }
    return 0;
}

static int comment(struct tag *t, const uint8_t *p, size_t n) {
    if (n < 5 || !encoding_ok(t, p, n) || p[0] == UTF16) return -1;
    for (int i = 1; i < 4; i++)
        if (p[i] < 'a' || p[i] > 'z') return -1;
    size_t used = one_string(t, p + 4, n - 4, p[0]);
    if (used < n - 4) one_string(t, p + 4 + used, n - 4 - used, p[0]);
    return 0;
}

static int picture(struct tag *t, const uint8_t *p, size_t n) {
    if (n < 4 || p[0] != LATIN) return -1;
    size_t used = one_string(t, p + 1, n - 1, LATIN);
    if (used + 2 > n || p[1 + used] > 20) return -1;
    t->n_pictures++;
    return 0;
}

static int frame(struct tag *t, const uint8_t *p, size_t n, size_t *used) {
    uint32_t length = u32(p + 4);
    if (t->version == 4 && safe32(p + 4, &length)) return -1;
    for (int i = 0; i < 4; i++)
        if (!((p[i] >= 'A' && p[i] <= 'Z') || (i > 0 && p[i] >= '0' && p[i] <= '9'))) return -1;
    if (length == 0 || length > n - 10) return -1;
    *used = 10 + length;
    t->n_frames++;
    if (p[9] & 0xc0) return 0; /* packed or locked */
    if (p[0] == 'T') return text_frame(t, p + 10, length);
    if (p[0] == 'W') one_string(t, p + 10, length, LATIN);
    if (memcmp(p, "COMM", 4) == 0) return comment(t, p + 10, length);
    if (memcmp(p, "APIC", 4) == 0) return picture(t, p + 10, length);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tag t = {0};
    uint32_t length, extended = 0;
    if (size < 20 || memcmp(data, "ID3", 3) != 0 || safe32(data + 6, &length)) return 0;
    t.version = data[3];
    if (t.version < 3 || t.version > 4 || length > size - 10) return 0;
    const uint8_t *p = data + 10, *end = p + length;
    if (data[5] & 0x40) {
        if (length < 4 || safe32(p, &extended) || extended < 4 || extended > length) return 0;
        p += extended;
    }
    while (end - p > 10 && *p != 0) {
        size_t used;
        if (frame(&t, p, (size_t)(end - p), &used)) return 0;
        p += used;
    }
    SHOW(t.n_frames + t.n_strings + t.n_pictures);
    return 0;
}
