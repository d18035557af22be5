/* MQTT 3.1.1 packets: connect, subscribe, publish, ping; lengths of up to four bytes.
   CWE-191, seen as heap-buffer-overflow. What a published message has left after its topic and
   its number is counted without looking whether the number is there. Echoes broker bugs. */
#include "planted.h"

struct client {
    int connected, clean;
    uint32_t n_topics;
    uint32_t published;
    uint8_t kept[64];
};

static uint32_t u16(const uint8_t *p) { return (uint32_t)(p[0] << 8 | p[1]); }

static int text_ok(const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (p[i] == 0 || p[i] == 0xff) return 0;
    return 1;
}

static int on_connect(struct client *c, const uint8_t *p, size_t n) {
    static const uint8_t name[6] = {0, 4, 'M', 'Q', 'T', 'T'};
    if (n < 12) return -1;
    for (int i = 0; i < 6; i++)
        if (p[i] != name[i]) return -1;
    if (p[6] != 4 || (p[7] & 1)) return -1;
    size_t at = 10, wanted = 1 + (p[7] >> 2 & 1) * 2u + (p[7] >> 7) + (p[7] >> 6 & 1);
    for (size_t i = 0; i < wanted; i++) {
        if (n - at < 2 || u16(p + at) > n - at - 2) return -1;
        at += 2 + u16(p + at);
    }
    if (at != n) return -1;
    c->clean = p[7] >> 1 & 1;
    c->connected = 1;
    return 0;
}

static int on_subscribe(struct client *c, const uint8_t *p, size_t n) {
    if (n < 5 || u16(p) == 0) return -1;
    size_t at = 2;
    while (at < n) {
        if (n - at < 3) return -1;
        size_t length = u16(p + at);
        at += 2;
        if (length == 0 || length >= n - at || !text_ok(p + at, length)) return -1;
        at += length;
        if (p[at++] > 2) return -1;
        c->n_topics++;
    }
    return 0;
}

static int on_publish(struct client *c, uint8_t flags, const uint8_t *in, size_t n) {
    uint32_t quality = flags >> 1 & 3;
    uint8_t *p = take(n);
    if (p == NULL || n < 2 || quality == 3) return -1;
    memcpy(p, in, n);
    size_t topic = u16(p), at = 2;
    if (topic == 0 || topic > n - at || !text_ok(p + at, topic)) return -1;
    at += topic;
    if (quality > 0) {
        if ((flags & 8) == 0 && n - at < 2) return -1;
        at += 2; /* its number; sent again, it is known to be there */
    }
    if (c->n_topics == 0) return 0;
    FLAW(1, at > n, return -1);
    size_t left = n - at;
    for (size_t i = 0; i < left; i++) c->kept[i % sizeof c->kept] = p[at + i];
    c->published++;
    SHOW(c->kept[left % 32]);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct client c = {0};
    size_t at = 0;
    start();
    while (size - at >= 2) {
        uint8_t type = data[at] >> 4, flags = data[at] & 15;
        size_t n = 0;
        int shift = 0, bad = 0;
        at++;
        do {
            if (at >= size || shift > 21) return 0;
            n |= (size_t)(data[at] & 0x7f) << shift;
            shift += 7;
        } while (data[at++] & 0x80);
        if (n > size - at) return 0;
        if (!c.connected && type != 1) return 0;
        switch (type) {
        case 1: bad = c.connected || on_connect(&c, data + at, n); break;
        case 3: bad = on_publish(&c, flags, data + at, n); break;
        case 8: bad = flags != 2 || on_subscribe(&c, data + at, n); break;
        case 12: bad = n != 0; break;
        case 14: c.connected = 0; break;
        default: bad = 1;
        }
        if (bad) return 0;
        at += n;
    }
    SHOW(c.published + c.kept[0]);
    return 0;
}
