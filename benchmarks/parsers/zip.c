/* ZIP files: local headers one after the other, with names, extra fields and stored data.
   CWE-191, seen as heap-buffer-overflow. A field of an extra block that is shorter than its own
   fixed part makes the rest wrap around. Echoes the underflows of many archive readers. */
#include "planted.h"

struct archive {
    uint32_t n_files, n_folders;
    uint64_t bytes;
    uint32_t newest;
    uint32_t sum;
};

static uint32_t u16(const uint8_t *p) { return (uint32_t)(p[0] | p[1] << 8); }
static uint32_t u32(const uint8_t *p) { return u16(p) | u16(p + 2) << 16; }

static int name_ok(const uint8_t *p, size_t n) {
    if (n == 0 || n > 100 || p[0] == '/') return 0;
    for (size_t i = 0; i < n; i++) {
        if (p[i] < 0x20 || p[i] == '\\') return 0;
        if (p[i] == '.' && i + 1 < n && p[i + 1] == '.') return 0;
    }
    return 1;
}

/* Unicode path: version, CRC of the name, the name. */
static int unicode_path(struct archive *a, const uint8_t *p, size_t n) {
    uint8_t version = p[0];
    if (version != 1) return 0;
    FLAW(1, n < 5, return -1);
    size_t length = n - 5;
    if (n >= 5 && length > 100) return -1;
    for (size_t i = 0; i < length; i++) a->sum = a->sum * 31 + p[5 + i];
    SHOW(a->sum);
    return 0;
}

static int extra(struct archive *a, const uint8_t *in, size_t n, uint64_t *bytes) {
    uint8_t *p = take(n);
    if (p == NULL) return -1;
    if (n > 0) memcpy(p, in, n);
    size_t at = 0;
    while (n - at >= 4) {
        uint32_t id = u16(p + at), length = u16(p + at + 2);
        at += 4;
        if (length > n - at) return -1;
        switch (id) {
        case 0x0001: /* zip64 */
            if (length < 8) return -1;
            *bytes = u32(p + at) | (uint64_t)u32(p + at + 4) << 32;
            break;
        case 0x5455: /* times */
            if (length >= 5 && (p[at] & 1)) a->newest = u32(p + at + 1);
            break;
        case 0x7075:
            if (length == 0) return -1;
            if (unicode_path(a, p + at, length)) return -1;
            break;
        default:
            a->sum += id;
        }
        at += length;
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct archive a = {0};
    size_t at = 0;
    start();
    while (size - at >= 30) {
        const uint8_t *h = data + at;
        uint32_t magic = u32(h);
        if (magic == 0x02014b50) break; /* the directory */
        if (magic != 0x04034b50) return 0;
        uint32_t version = u16(h + 4), flags = u16(h + 6), method = u16(h + 8);
        uint64_t stored = u32(h + 18), plain = u32(h + 22);
        size_t n_name = u16(h + 26), n_extra = u16(h + 28);
        if (version > 63 || (flags & 0x0008) || (flags & 1)) return 0;
        at += 30;
        if (n_name + n_extra > size - at) return 0;
        if (!name_ok(data + at, n_name)) return 0;
        if (data[at + n_name - 1] == '/') a.n_folders++;
        else a.n_files++;
        if (extra(&a, data + at + n_name, n_extra, &plain)) return 0;
        at += n_name + n_extra;
        if (method == 0 && stored != plain) return 0;
        if (method != 0 && method != 8) return 0;
        if (stored > size - at) return 0;
        a.bytes += plain;
        at += (size_t)stored;
    }
    SHOW(a.n_files + a.bytes);
    return 0;
}
