/* MessagePack: numbers, text, bytes, arrays, maps, extensions, and the extension for times.
   CWE-121, seen as stack-buffer-overflow. A time is of 4, 8 or 12 bytes; where the length is told
   in a byte of its own only that it is a multiple of four is seen. Echoes the extension types of
   several MessagePack readers. */
#include "planted.h"

enum { DEEPEST = 12, TIME = 0xff };

struct reader {
    const uint8_t *p;
    size_t n, at;
    uint64_t sum;
    uint32_t n_keys, n_times;
    int depth;
};

static int value(struct reader *r);

static int number(struct reader *r, size_t bytes, uint64_t *into) {
    if (r->n - r->at < bytes) return -1;
    *into = 0;
    for (size_t i = 0; i < bytes; i++) *into = *into << 8 | r->p[r->at++];
    return 0;
}

static int bytes(struct reader *r, uint64_t length, int is_text) {
    if (length > r->n - r->at) return -1;
    for (uint64_t i = 0; i < length; i++) {
        uint8_t c = r->p[r->at++];
        if (is_text && (c < 0x20 || c > 0xf4)) return -1;
        r->sum = r->sum * 31 + c;
    }
    return 0;
}

static int time_of(struct reader *r, size_t length) {
    uint8_t raw[12];
    uint64_t seconds = 0;
    if (length == 0 || length % 4 != 0) return -1;
    FLAW(1, length > sizeof raw, return -1);
    for (size_t i = 0; i < length; i++) raw[i] = r->p[r->at + i];
    if (length == 4) {
        for (int i = 0; i < 4; i++) seconds = seconds << 8 | raw[i];
    } else if (length == 8) {
        for (int i = 3; i < 8; i++) seconds = seconds << 8 | raw[i];
        seconds &= 0x3ffffffff;
    } else {
        for (int i = 4; i < 12; i++) seconds = seconds << 8 | raw[i];
    }
    SHOW(raw[length % 12]);
    r->sum ^= seconds;
    r->n_times++;
    return 0;
}

static int extension(struct reader *r, uint64_t length) {
    uint64_t type;
    if (number(r, 1, &type) || length > r->n - r->at) return -1;
    if (type == TIME) {
        if (time_of(r, (size_t)length)) return -1;
    } else if (type > 127) {
        return -1; /* kept for later */
    } else {
        r->sum += type;
    }
    r->at += length;
    return 0;
}

static int array(struct reader *r, uint64_t count) {
    while (count-- > 0)
        if (value(r)) return -1;
    return 0;
}

/* Keys are text or small numbers. */
static int map(struct reader *r, uint64_t count) {
    while (count-- > 0) {
        if (r->at >= r->n) return -1;
        uint8_t c = r->p[r->at];
        if (c > 0x7f && (c & 0xe0) != 0xa0 && c != 0xd9) return -1;
        if (value(r)) return -1;
        r->n_keys++;
        if (value(r)) return -1;
    }
    return 0;
}

static int sized(struct reader *r, uint8_t c) {
    uint64_t n;
    switch (c) {
    case 0xc0: case 0xc2: case 0xc3: return 0;
    case 0xc4: return number(r, 1, &n) || bytes(r, n, 0);
    case 0xc5: return number(r, 2, &n) || bytes(r, n, 0);
    case 0xc7: return number(r, 1, &n) || extension(r, n);
    case 0xca: return bytes(r, 4, 0);
    case 0xcb: return bytes(r, 8, 0);
    case 0xcc: case 0xcd: case 0xce: case 0xcf: return bytes(r, 1u << (c - 0xcc), 0);
    case 0xd0: case 0xd1: case 0xd2: case 0xd3: return bytes(r, 1u << (c - 0xd0), 0);
    case 0xd4: case 0xd5: case 0xd8: /* no time has 1, 2 or 16 bytes */
        if (r->at < r->n && r->p[r->at] == TIME) return -1;
        return extension(r, 1u << (c - 0xd4));
    case 0xd6: case 0xd7: return extension(r, 1u << (c - 0xd4));
    case 0xd9: return number(r, 1, &n) || bytes(r, n, 1);
    case 0xda: return number(r, 2, &n) || bytes(r, n, 1);
    case 0xdc: return number(r, 2, &n) || array(r, n);
    case 0xde: return number(r, 2, &n) || map(r, n);
    default: return -1;
    }
}

static int value(struct reader *r) {
    int bad = 0;
    if (r->at >= r->n || r->depth == DEEPEST) return -1;
    uint8_t c = r->p[r->at++];
    r->depth++;
    if (c < 0x80 || c >= 0xe0) r->sum += c;
    else if (c < 0x90) bad = map(r, c & 15);
    else if (c < 0xa0) bad = array(r, c & 15);
    else if (c < 0xc0) bad = bytes(r, c & 31, 1);
    else bad = sized(r, c);
    r->depth--;
    return bad ? -1 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct reader r = {0};
    r.p = data;
    r.n = size;
    while (r.at < size)
        if (value(&r)) return 0;
    SHOW(r.sum + r.n_keys + r.n_times);
    return 0;
}
