/* Intel HEX: lines of hexadecimal with a length, an address, a kind, data and a sum.
   CWE-787, seen as heap-buffer-overflow. A line's address is held against the image before the
   segment is added to it. Echoes image loaders of several flashing tools. */
#include "planted.h"

enum { IMAGE = 4096, DATA = 0, END = 1, SEGMENT = 2, START = 3, LINEAR = 4 };

struct loader {
    uint8_t *image;
    uint32_t base;
    uint32_t entry;
    uint32_t n_bytes;
    int ended;
};

static int hex(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

static int byte_at(const uint8_t *p) {
    int high = hex(p[0]), low = hex(p[1]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static int data_line(struct loader *l, uint32_t address, const uint8_t *bytes, uint32_t n) {
    if (address + n > IMAGE) return -1;
    address += l->base;
    FLAW(1, address + n > IMAGE, return -1);
    for (uint32_t i = 0; i < n; i++) l->image[address + i] = bytes[i];
    l->n_bytes += n;
    if (n > 0) SHOW(l->image[address]);
    return 0;
}

static int line(struct loader *l, const uint8_t *p, size_t n) {
    uint8_t bytes[64];
    uint32_t sum = 0, count = 0;
    if (n < 11 || p[0] != ':' || n % 2 == 0) return -1;
    if ((n - 1) / 2 > sizeof bytes) return -1;
    for (size_t at = 1; at < n; at += 2) {
        int b = byte_at(p + at);
        if (b < 0) return -1;
        bytes[count++] = (uint8_t)b;
        sum += (uint32_t)b;
    }
    if (bytes[0] + 5u != count) return -1;
    if ((sum & 0xff) != 0 && bytes[3] != SEGMENT) return -1; /* old tools sum segments wrongly */
    uint32_t address = (uint32_t)(bytes[1] << 8 | bytes[2]), length = bytes[0];
    const uint8_t *in = bytes + 4;
    switch (bytes[3]) {
    case DATA:
        return data_line(l, address, in, length);
    case END:
        l->ended = 1;
        return length == 0 ? 0 : -1;
    case SEGMENT:
        if (length != 2) return -1;
        l->base = (uint32_t)(in[0] << 8 | in[1]) << 4;
        return l->base <= IMAGE ? 0 : -1;
    case START:
        if (length != 4) return -1;
        l->entry = (uint32_t)(in[2] << 8 | in[3]);
        return 0;
    case LINEAR:
        if (length != 2 || in[0] != 0 || in[1] != 0) return -1;
        l->base = 0;
        return 0;
    default:
        return -1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct loader l = {0};
    size_t at = 0;
    start();
    l.image = take(IMAGE);
    if (l.image == NULL) return 0;
    memset(l.image, 0xff, 64);
    while (at < size && !l.ended) {
        size_t end = at;
        while (end < size && data[end] != '\n') end++;
        size_t n = end - at;
        if (n > 0 && data[end - 1] == '\r') n--;
        if (n > 0 && line(&l, data + at, n)) return 0;
        at = end + 1;
    }
    SHOW(l.image[0] + l.n_bytes);
    return 0;
}
