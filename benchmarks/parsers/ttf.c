/* TrueType fonts: a directory of tables, head, maxp, hhea, hmtx, cmap of format 4.
   CWE-369, seen as FPE. Widths are scaled by the size of the square that letters are drawn in,
   which a short head table does not tell; only fonts of the new kind are refused then. Echoes the
   divisions by the units per em of several font readers. */
#include "planted.h"

enum { PIXELS = 16, MOST_TABLES = 16 };

struct table {
    const uint8_t *p;
    size_t n;
};

struct font {
    struct table head, maxp, hhea, hmtx, cmap;
    uint32_t units;
    uint32_t n_glyphs, n_wide;
    int old, short_places;
    uint32_t sum;
};

static uint32_t u16(const uint8_t *p) { return (uint32_t)(p[0] << 8 | p[1]); }
static uint32_t u32(const uint8_t *p) { return u16(p) << 16 | u16(p + 2); }

static struct table *slot(struct font *f, const uint8_t *tag) {
    if (memcmp(tag, "head", 4) == 0) return &f->head;
    if (memcmp(tag, "maxp", 4) == 0) return &f->maxp;
    if (memcmp(tag, "hhea", 4) == 0) return &f->hhea;
    if (memcmp(tag, "hmtx", 4) == 0) return &f->hmtx;
    if (memcmp(tag, "cmap", 4) == 0) return &f->cmap;
    return NULL;
}

static int directory(struct font *f, const uint8_t *p, size_t n) {
    uint32_t count = u16(p + 4);
    if (u32(p) != 0x00010000 && memcmp(p, "true", 4) != 0) return -1;
    if (count == 0 || count > MOST_TABLES || n < 12 + 16 * (size_t)count) return -1;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *record = p + 12 + 16 * (size_t)i;
        uint32_t from = u32(record + 8), length = u32(record + 12);
        struct table *t = slot(f, record);
        if (from > n || length > n - from) return -1;
        if (t == NULL) continue;
        if (t->p != NULL) return -1; /* there twice */
        *t = (struct table){p + from, length};
    }
    return 0;
}

static int maxp(struct font *f) {
    if (f->maxp.n < 6) return -1;
    uint32_t version = u32(f->maxp.p);
    if (version > 0x00010000) return -1;
    f->old = version < 0x00010000;
    if (!f->old && f->maxp.n < 12) return -1;
    f->n_glyphs = u16(f->maxp.p + 4);
    return f->n_glyphs == 0 ? -1 : 0;
}

static int head(struct font *f) {
    if (f->head.n < 8 || u16(f->head.p) != 1) return -1;
    if (f->head.n >= 20) {
        f->units = u16(f->head.p + 18);
        if (f->units < 16 || f->units > 16384) return -1;
    } else if (!f->old) {
        return -1;
    }
    f->short_places = f->head.n >= 52 && u16(f->head.p + 50) == 0;
    return 0;
}

static int widths(struct font *f) {
    if (f->hhea.n < 8 || f->hmtx.p == NULL) return -1;
    f->n_wide = u16(f->hhea.p + f->hhea.n - 2);
    if (f->n_wide == 0 || f->n_wide > f->n_glyphs || f->hmtx.n / 4 < f->n_wide) return -1;
    for (uint32_t i = 0; i < f->n_wide; i++) {
        uint32_t wide = u16(f->hmtx.p + 4 * (size_t)i) * PIXELS;
        if (wide == 0) continue;
        FLAW(1, f->units == 0, return -1);
        f->sum += (wide + f->units / 2) / f->units;
        SHOW(f->sum);
    }
    return 0;
}

/* Segments: ends, a gap, begins, deltas. */
static int characters(struct font *f) {
    const uint8_t *p = f->cmap.p;
    size_t n = f->cmap.n;
    if (n < 12 || u16(p) != 0 || u16(p + 2) == 0) return -1;
    size_t from = u32(p + 8);
    if (from > n || n - from < 14 || u16(p + from) != 4) return -1;
    size_t twice = u16(p + from + 6);
    if (twice == 0 || twice % 2 != 0 || n - from < 16 + 3 * twice) return -1;
    const uint8_t *ends = p + from + 14, *begins = ends + twice + 2;
    for (size_t i = 0; i < twice; i += 2) {
        uint32_t begin = u16(begins + i), end = u16(ends + i);
        if (begin > end || (i > 0 && begin <= u16(ends + i - 2))) return -1;
        f->sum ^= (begin + u16(begins + twice + i)) & 0xffff;
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct font f = {0};
    if (size < 12 || size > 4096 || directory(&f, data, size)) return 0;
    if (f.head.p == NULL || maxp(&f) || head(&f)) return 0;
    if (f.cmap.p != NULL && characters(&f)) return 0;
    if (f.hhea.p != NULL && widths(&f)) return 0;
    SHOW(f.sum + f.n_glyphs + (uint32_t)f.short_places);
    return 0;
}
