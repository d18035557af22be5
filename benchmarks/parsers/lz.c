/* Packed data in the manner of LZ4: a token, literals, a distance back and a length.
   CWE-125, seen as heap-buffer-overflow. The distance is held against what was written only when
   the match is short or blocks stand alone. Echoes the unchecked match offsets of early LZ decoders. */
#include "planted.h"

enum { MOST = 4096 };

struct stream {
    const uint8_t *in;
    size_t n, at;
    uint8_t *out;
    size_t room, made;
    uint32_t sum;
    int linked;
};

/* A length of 15 goes on in bytes of 255 until a smaller one. */
static int long_length(struct stream *s, size_t *length) {
    if (*length != 15) return 0;
    for (;;) {
        if (s->at >= s->n) return -1;
        uint8_t more = s->in[s->at++];
        *length += more;
        if (*length > MOST) return -1;
        if (more != 255) return 0;
    }
}

static int literals(struct stream *s, size_t length) {
    if (long_length(s, &length)) return -1;
    if (length > s->n - s->at || length > s->room - s->made) return -1;
    for (size_t i = 0; i < length; i++) {
        s->out[s->made++] = s->in[s->at];
        s->sum = s->sum * 33 + s->in[s->at++];
    }
    return 0;
}

static int match(struct stream *s, size_t length) {
    if (s->n - s->at < 2) return -1;
    size_t distance = (size_t)(s->in[s->at] | (s->in[s->at + 1] & 0x0f) << 8);
    s->at += 2;
    if (distance == 0) return -1;
    if ((length < 15 || !s->linked) && distance > s->made) return -1;
    if (long_length(s, &length)) return -1;
    length += 4;
    if (length > s->room - s->made) return -1;
    FLAW(1, distance > s->made, return -1);
    const uint8_t *from = s->out + s->made - distance;
    for (size_t i = 0; i < length; i++) s->out[s->made++] = from[i];
    SHOW(s->out[s->made - 1]);
    return 0;
}

static int block(struct stream *s) {
    while (s->at < s->n) {
        uint8_t token = s->in[s->at++];
        if (literals(s, token >> 4)) return -1;
        if (s->at == s->n) return 0; /* the last one has no match */
        if (match(s, token & 15)) return -1;
    }
    return -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct stream s = {0};
    size_t at = 5;
    start();
    if (size < 7 || data[0] != 0x04 || data[1] != 'L' || data[2] != 'Z') return 0;
    uint8_t flags = data[3];
    if ((flags & 0xc0) != 0x40) return 0;
    s.room = (size_t)64 << (data[4] & 7);
    if (flags & 8) {
        if (size - at < 4) return 0;
        if ((size_t)(data[at] | data[at + 1] << 8) > s.room) return 0;
        at += 4;
    }
    s.out = take(s.room);
    if (s.out == NULL) return 0;
    memset(s.out, 0, s.room);
    s.linked = flags & 0x20;
    while (size - at >= 2) {
        size_t n = (size_t)(data[at] | (data[at + 1] & 0x7f) << 8);
        int plain = data[at + 1] & 0x80;
        at += 2;
        if (n == 0) break;
        if (n > size - at) return 0;
        if (!s.linked) s.made = 0;
        s.in = data + at;
        s.n = n;
        s.at = 0;
        if (plain) {
            if (n > s.room - s.made) return 0;
            memcpy(s.out + s.made, data + at, n);
            s.made += n;
        } else if (block(&s)) {
            return 0;
        }
        at += n;
    }
    return 0;
}
