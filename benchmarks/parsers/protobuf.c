/* Protocol buffers: an order with lines, a customer and an optional discount.
   CWE-476, seen as SEGV. A line that refers to the discount uses it, whether or not the message
   had one. Echoes optional fields taken for granted in many services. */
#include "planted.h"

struct discount { uint32_t percent, code; };

struct order {
    uint64_t id;
    uint32_t n_lines;
    uint64_t total;
    struct discount *discount;
    char customer[16];
};

struct field {
    uint32_t number, kind;
    uint64_t value;
    const uint8_t *p;
};

static int varint(const uint8_t *p, size_t n, size_t *at, uint64_t *value) {
    *value = 0;
    for (int shift = 0; shift < 63 && *at < n; shift += 7) {
        uint8_t c = p[(*at)++];
        *value |= (uint64_t)(c & 0x7f) << shift;
        if (!(c & 0x80)) return 0;
    }
    return -1;
}

/* Read one field; bytes of a string or a message are at p, value is their number. */
static int next(const uint8_t *p, size_t n, size_t *at, struct field *f) {
    uint64_t key;
    if (varint(p, n, at, &key) || key >> 3 == 0 || key >> 3 > 1000) return -1;
    f->number = (uint32_t)(key >> 3);
    f->kind = key & 7;
    switch (f->kind) {
    case 0: return varint(p, n, at, &f->value);
    case 1:
        if (n - *at < 8) return -1;
        f->value = p[*at];
        *at += 8;
        return 0;
    case 2:
        if (varint(p, n, at, &f->value) || f->value > n - *at) return -1;
        f->p = p + *at;
        *at += (size_t)f->value;
        return 0;
    case 5:
        if (n - *at < 4) return -1;
        f->value = p[*at];
        *at += 4;
        return 0;
    default: return -1;
    }
}

static int discount(struct order *o, const uint8_t *p, size_t n) {
    struct field f;
    struct discount *d = take(sizeof *d);
    if (d == NULL) return -1;
    d->percent = d->code = 0;
    for (size_t at = 0; at < n;) {
        if (next(p, n, &at, &f)) return -1;
        if (f.number == 1 && f.kind == 0) d->percent = (uint32_t)f.value;
        else if (f.number == 2 && f.kind == 0) d->code = (uint32_t)f.value;
    }
    if (d->percent > 100) return -1;
    o->discount = d;
    return 0;
}

static int line(struct order *o, const uint8_t *p, size_t n) {
    struct field f;
    uint64_t price = 0, count = 1, code = 0;
    for (size_t at = 0; at < n;) {
        if (next(p, n, &at, &f)) return -1;
        if (f.number == 1 && f.kind == 2 && f.value > 40) return -1;
        if (f.number == 2 && f.kind == 0) price = f.value;
        if (f.number == 3 && f.kind == 0) count = f.value;
        if (f.number == 4 && f.kind == 0) code = f.value;
    }
    if (count == 0 || count > 1000 || price > 1000000) return -1;
    if (code > 100 && price > 50) {
        FLAW(1, o->discount == NULL, return -1);
        if (o->discount->code == code) price -= price * o->discount->percent / 100;
    }
    o->total += price * count;
    SHOW(o->total);
    o->n_lines++;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct order o = {0};
    struct field f;
    start();
    for (size_t at = 0; at < size;) {
        if (next(data, size, &at, &f)) return 0;
        if (f.number == 1 && f.kind == 0) o.id = f.value;
        else if (f.number == 2 && f.kind == 2) {
            if (f.value >= sizeof o.customer) return 0;
            memcpy(o.customer, f.p, (size_t)f.value);
        } else if (f.number == 3 && f.kind == 2) {
            if (discount(&o, f.p, (size_t)f.value)) return 0;
        } else if (f.number == 4 && f.kind == 2) {
            if (o.id == 0 || line(&o, f.p, (size_t)f.value)) return 0;
        }
    }
    SHOW(o.total + o.customer[0]);
    return 0;
}
