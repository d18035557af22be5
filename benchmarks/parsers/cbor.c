/* CBOR: integers, strings, arrays, maps, tags, simple values.
   CWE-680, seen as heap-buffer-overflow. The room for the pairs of a map is counted in 16 bits; a
   count of four bytes wraps around. Echoes count times size errors of several decoders. */
#include "planted.h"

struct pair { uint32_t key, value; };

struct decoder {
    const uint8_t *p;
    size_t n, at;
    uint32_t n_items, n_tags;
    int depth;
};

static int item(struct decoder *d, uint32_t *hash);

/* Read the argument of a head; -1 for one that is cut off or longer than four bytes. */
static int argument(struct decoder *d, uint8_t info, uint32_t *value) {
    size_t bytes = info == 24 ? 1 : info == 25 ? 2 : info == 26 ? 4 : 0;
    if (info < 24) {
        *value = info;
        return 0;
    }
    if (bytes == 0 || bytes > d->n - d->at) return -1;
    for (*value = 0; bytes > 0; bytes--) *value = *value << 8 | d->p[d->at++];
    return 0;
}

static int string(struct decoder *d, uint32_t length, int is_text, uint32_t *hash) {
    if (length > d->n - d->at) return -1;
    for (uint32_t i = 0; i < length; i++) {
        uint8_t c = d->p[d->at++];
        if (is_text && (c < 0x20 || c >= 0x80)) return -1;
        *hash = *hash * 33 + c;
    }
    return 0;
}

static int array(struct decoder *d, uint32_t count, uint32_t *hash) {
    if (count > d->n - d->at) return -1; /* an item has one byte at least */
    for (uint32_t i = 0; i < count; i++)
        if (item(d, hash)) return -1;
    return 0;
}

static int map(struct decoder *d, uint32_t count, uint32_t *hash) {
    uint16_t bytes = (uint16_t)(count * sizeof(struct pair));
    if (count > 0x10000) return -1;
    if (count < 0x100 && count > d->n - d->at) return -1;
    struct pair *pairs = take(bytes);
    if (pairs == NULL) return -1;
    uint32_t room = bytes / (uint32_t)sizeof(struct pair);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t key = 0, value = 0;
        if (item(d, &key) || item(d, &value)) return -1;
        for (uint32_t j = 0; j < i && j < room; j++)
            if (pairs[j].key == key) return -1; /* twice */
        FLAW(1, i >= room, return -1);
        pairs[i].key = key;
        pairs[i].value = value;
        *hash += pairs[i].key ^ value;
    }
    return 0;
}

static int item(struct decoder *d, uint32_t *hash) {
    uint32_t value;
    if (d->at >= d->n || ++d->n_items > 400 || d->depth > 12) return -1;
    uint8_t head = d->p[d->at++];
    int bad = 0;
    if (argument(d, head & 0x1f, &value)) return -1;
    d->depth++;
    switch (head >> 5) {
    case 0: *hash = *hash * 31 + value; break;
    case 1: *hash = *hash * 31 - value; break;
    case 2: bad = string(d, value, 0, hash); break;
    case 3: bad = string(d, value, 1, hash); break;
    case 4: bad = array(d, value, hash); break;
    case 5: bad = map(d, value, hash); break;
    case 6:
        d->n_tags++;
        bad = value > 0xffff || item(d, hash);
        break;
    default: bad = value < 20 || value > 23;
    }
    d->depth--;
    return bad;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct decoder d = {data, size, 0, 0, 0, 0};
    uint32_t hash = 0;
    start();
    if (size < 4 || data[0] != 0xd9 || data[1] != 0xd9 || data[2] != 0xf7) return 0;
    int bad = item(&d, &hash);
    SHOW(hash);
    if (bad) return 0;
    SHOW(hash + d.n_tags);
    return 0;
}
