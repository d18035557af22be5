/* GIF pictures: screen, colour tables, extensions, frames of LZW codes.
   CWE-787, seen as heap-buffer-overflow. A frame that is to be taken away again afterwards is not
   held against the screen. Echoes the frame offsets of several animation readers. */
#include "planted.h"

enum { CODES = 4096, MOST_PIXELS = 4096, RESTORE = 3 };

struct picture {
    const uint8_t *p;
    size_t n, at;
    uint32_t width, height;
    uint8_t *canvas;
    uint32_t left, top, wide, high;
    uint32_t drawn;
    int interlaced, disposal, clear;
};

static uint16_t prefix[CODES];
static uint8_t suffix[CODES], stack[CODES];

static uint32_t u16(const uint8_t *p) { return (uint32_t)(p[0] | p[1] << 8); }

static int skip_colours(struct picture *g, uint8_t flags) {
    size_t bytes = flags & 0x80 ? (size_t)6 << (flags & 7) : 0;
    if (bytes > g->n - g->at) return -1;
    g->at += bytes;
    return 0;
}

/* Join sub-blocks until an empty one; NULL: the input ends before. */
static uint8_t *sub_blocks(struct picture *g, size_t *length) {
    uint8_t *into = take(g->n - g->at + 1);
    *length = 0;
    while (into != NULL && g->at < g->n) {
        size_t more = g->p[g->at++];
        if (more == 0) return into;
        if (more > g->n - g->at) return NULL;
        memcpy(into + *length, g->p + g->at, more);
        g->at += more;
        *length += more;
    }
    return NULL;
}

static int draw(struct picture *g, uint8_t colour) {
    if (g->drawn >= g->wide * g->high) return -1;
    uint32_t x = g->drawn % g->wide, y = g->drawn / g->wide;
    if (g->interlaced) y = y < (g->high + 1) / 2 ? y * 2 : (y - (g->high + 1) / 2) * 2 + 1;
    size_t place = (size_t)(g->top + y) * g->width + g->left + x;
    g->drawn++;
    FLAW(1, place >= (size_t)g->width * g->height, return -1);
    g->canvas[place] = colour;
    return 0;
}

static void unpack(struct picture *g, const uint8_t *p, size_t n, uint32_t bits) {
    uint32_t clear = 1u << bits, next = clear + 2, width = bits + 1, held = 0, n_held = 0;
    uint32_t last = CODES;
    for (size_t at = 0; at < n;) {
        while (n_held < width && at < n) {
            held |= (uint32_t)p[at++] << n_held;
            n_held += 8;
        }
        if (n_held < width) return;
        uint32_t code = held & ((1u << width) - 1), c = code, depth = 0;
        held >>= width;
        n_held -= width;
        if (code == clear) {
            next = clear + 2;
            width = bits + 1;
            last = CODES;
            continue;
        }
        if (code == clear + 1 || code > next || (code == next && last == CODES)) return;
        if (code == next) c = last;
        while (c > clear && depth < CODES - 1) {
            stack[depth++] = suffix[c];
            c = prefix[c];
        }
        uint8_t first = (uint8_t)c;
        if (draw(g, first)) return;
        while (depth > 0)
            if (draw(g, stack[--depth])) return;
        if (code == next && draw(g, first)) return;
        if (last != CODES && next < CODES) {
            prefix[next] = (uint16_t)last;
            suffix[next++] = first;
            if (next == 1u << width && width < 12) width++;
        }
        last = code;
    }
}

static int frame(struct picture *g) {
    if (g->n - g->at < 9) return -1;
    const uint8_t *p = g->p + g->at;
    g->left = u16(p);
    g->top = u16(p + 2);
    g->wide = u16(p + 4);
    g->high = u16(p + 6);
    g->interlaced = p[8] >> 6 & 1;
    g->at += 9;
    if (g->wide == 0 || g->high == 0 || g->wide > 512 || g->high > 512) return -1;
    int outside = g->left + g->wide > g->width || g->top + g->high > g->height;
    if (outside && g->disposal != RESTORE) return -1;
    if (skip_colours(g, p[8]) || g->at >= g->n) return -1;
    uint32_t bits = g->p[g->at++];
    size_t length;
    if (bits < 2 || bits > 8) return -1;
    uint8_t *codes = sub_blocks(g, &length);
    if (codes == NULL) return -1;
    g->drawn = 0;
    unpack(g, codes, length, bits);
    g->disposal = 0;
    return 0;
}

static int extension(struct picture *g) {
    size_t length;
    if (g->at >= g->n) return -1;
    uint8_t label = g->p[g->at++];
    uint8_t *block = sub_blocks(g, &length);
    if (block == NULL) return -1;
    if (label == 0xf9) {
        if (length != 4) return -1;
        g->disposal = block[0] >> 2 & 7;
        g->clear = block[0] & 1;
    } else if (label == 0xff && length < 11) {
        return -1;
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct picture g = {0};
    start();
    if (size < 14 || memcmp(data, "GIF8", 4) != 0 || data[5] != 'a') return 0;
    if (data[4] != '7' && data[4] != '9') return 0;
    g.p = data;
    g.n = size;
    g.at = 13;
    g.width = u16(data + 6);
    g.height = u16(data + 8);
    if (g.width == 0 || g.height == 0 || g.width * (uint64_t)g.height > MOST_PIXELS) return 0;
    if (skip_colours(&g, data[10])) return 0;
    g.canvas = take((size_t)g.width * g.height);
    if (g.canvas == NULL) return 0;
    memset(g.canvas, 0, (size_t)g.width * g.height);
    while (g.at < size) {
        uint8_t kind = data[g.at++];
        if (kind == 0x3b) break;
        if (kind == 0x21 ? extension(&g) : kind != 0x2c || frame(&g)) return 0;
    }
    for (uint32_t i = 0; i < g.width; i++) SHOW(g.canvas[i]);
    return 0;
}
