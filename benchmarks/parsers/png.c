/* PNG chunks: IHDR, PLTE, tRNS, tEXt, IDAT, IEND, each with a CRC.
   CWE-121, seen as stack-buffer-overflow. The transparency of a palette may be longer than the
   palette when the palette came first. Echoes CVE-2004-0597 (tRNS in libpng). */
#include "planted.h"

struct image {
    uint32_t width, height;
    uint8_t depth, colour;
    uint32_t n_palette, n_alpha;
    uint32_t n_bytes;
    uint32_t n_texts;
    uint32_t warnings;
};

static uint32_t u32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t crc_of(const uint8_t *p, size_t n) {
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

static int header(struct image *m, const uint8_t *p, size_t n) {
    if (n != 13 || m->width != 0) return -1;
    m->width = u32(p);
    m->height = u32(p + 4);
    m->depth = p[8];
    m->colour = p[9];
    if (m->width == 0 || m->height == 0 || m->width > 1 << 20 || m->height > 1 << 20) return -1;
    if (m->depth != 1 && m->depth != 2 && m->depth != 4 && m->depth != 8 && m->depth != 16) return -1;
    if (m->colour == 3 && m->depth == 16) return -1;
    return p[10] == 0 && p[11] == 0 && p[12] <= 1 ? 0 : -1;
}

static int transparency(struct image *m, const uint8_t *p, size_t n) {
    uint8_t alpha[24];
    if (m->colour == 0 && n == 2) return 0;
    if (m->colour == 2 && n == 6) return 0;
    if (m->colour != 3) return -1;
    if (m->n_palette == 0) {
        m->warnings++; /* out of place: only as much as there is room for */
        if (n > sizeof alpha) return -1;
    }
    FLAW(1, n > sizeof alpha, return -1);
    memcpy(alpha, p, n);
    for (size_t i = 0; i < n && i < sizeof alpha; i++) m->n_alpha += alpha[i] < 255;
    SHOW(m->n_alpha);
    return 0;
}

static int chunk(struct image *m, const uint8_t *type, const uint8_t *p, size_t n) {
    switch (u32(type)) {
    case 0x49484452: return header(m, p, n);
    case 0x504c5445:
        if (n % 3 != 0 || n == 0 || n > 24 * 3) return -1;
        m->n_palette = (uint32_t)(n / 3);
        return 0;
    case 0x74524e53: return transparency(m, p, n);
    case 0x74455874:
        for (size_t i = 0; i < n; i++)
            if (p[i] == 0 && i > 0 && i < 80) {
                m->n_texts++;
                return 0;
            }
        return -1;
    case 0x49444154:
        if (m->colour == 3 && m->n_palette == 0) return -1;
        m->n_bytes += (uint32_t)n;
        return 0;
    case 0x49454e44: return 1;
    default: return type[0] & 0x20 ? 0 : -1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const uint8_t magic[8] = {0x89, 'P', 'N', 'G', 13, 10, 26, 10};
    struct image m = {0};
    if (size < 8 || memcmp(data, magic, 8) != 0) return 0;
    size_t at = 8;
    while (size - at >= 12) {
        uint32_t n = u32(data + at);
        const uint8_t *type = data + at + 4;
        if (n > size - at - 12) return 0;
        if (u32(type + 4 + n) != crc_of(type, n + 4)) {
            if (!(type[0] & 0x20)) return 0; /* a chunk that matters */
            m.warnings++;
        }
        if (m.width == 0 && at > 8) return 0;
        if (chunk(&m, type, type + 4, n)) return 0;
        at += 12 + n;
    }
    return 0;
}
