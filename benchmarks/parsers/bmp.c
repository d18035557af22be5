/* BMP pictures: file header, info header, a palette, rows without compression or run-length.
   CWE-190, seen as heap-buffer-overflow. The bytes of the picture are counted in 32 bits: a wide
   and high picture gets a short block. Echoes the size overflows of many picture readers. */
#include "planted.h"

struct picture {
    uint32_t width, height, bits, row, bytes;
    uint8_t *pixels;
    uint32_t palette[256];
};

static uint32_t u16(const uint8_t *p) { return (uint32_t)(p[0] | p[1] << 8); }
static uint32_t u32(const uint8_t *p) { return u16(p) | u16(p + 2) << 16; }

/* A picture whose bytes wrapped in 32 bits has rows that its block does not. */
static int beyond(const struct picture *b, uint32_t x, uint32_t y, uint32_t count) {
    return (uint64_t)y * b->row + x + count > b->bytes;
}

static int rows(struct picture *b, const uint8_t *p, size_t n) {
    uint32_t in_file = (b->width * b->bits / 8 + 3) & ~3u;
    for (uint32_t y = 0; y < b->height; y++) {
        if (n < in_file || in_file == 0) return -1;
        for (uint32_t x = 0; x < b->width; x += 8) {
            FLAW(1, beyond(b, x, y, 1), return -1);
            b->pixels[(size_t)y * b->row + x] = p[x * b->bits / 8];
        }
        p += in_file;
        n -= in_file;
    }
    return 0;
}

static int runs(struct picture *b, const uint8_t *p, size_t n) {
    uint32_t x = 0, y = 0;
    for (size_t at = 0; n - at >= 2; at += 2) {
        uint32_t count = p[at], value = p[at + 1];
        if (count == 0 && value == 1) return 0;
        if (count == 0 && value == 0) {
            x = 0;
            y++;
            continue;
        }
        if (y >= b->height || count > b->width - x) return -1;
        FLAW(1, beyond(b, x, y, count), return -1);
        memset(b->pixels + (size_t)y * b->row + x, (int)(b->palette[value] & 0xff), count);
        x += count;
    }
    return -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct picture b;
    start();
    if (size < 54 || data[0] != 'B' || data[1] != 'M') return 0;
    size_t offset = u32(data + 10);
    uint32_t header = u32(data + 14), method = u32(data + 30), colours = u32(data + 46);
    if (header < 40 || header > 124 || header > size - 14) return 0;
    if (u16(data + 26) != 1) return 0;
    b.width = u32(data + 18);
    b.height = u32(data + 22);
    b.bits = u16(data + 28);
    if ((int32_t)b.height < 0) b.height = 0u - b.height; /* rows from the top */
    if (b.bits != 8 && b.bits != 16 && b.bits != 24) return 0;
    if (b.width == 0 || b.height == 0 || b.width > 0xffffff || b.height > 0xffffff) return 0;
    size_t at = 14 + header;
    memset(b.palette, 0, sizeof b.palette);
    if (b.bits == 8) {
        if (colours == 0) colours = 4;
        if (colours > 256 || colours * 4 > size - at) return 0;
        for (uint32_t i = 0; i < colours; i++, at += 4) b.palette[i] = u32(data + at);
    }
    if (offset < at || offset > size) return 0;
    b.row = b.width;
    b.bytes = b.row * b.height;
    if (b.bytes == 0 || b.bytes > 0x30000) return 0;
    b.pixels = take(b.bytes);
    if (b.pixels == NULL) return 0;
    memset(b.pixels, 0, b.bytes < 4096 ? b.bytes : 4096);
    if (method == 1 && b.bits == 8) runs(&b, data + offset, size - offset);
    else if (method == 0) rows(&b, data + offset, size - offset);
    SHOW(b.pixels[b.bytes / 2]);
    return 0;
}
