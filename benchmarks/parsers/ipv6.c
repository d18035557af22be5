/* Lists of addresses: IPv4, IPv6 with :: and a dotted end, prefix lengths, ranges.
   CWE-787, seen as stack-buffer-overflow. Groups are counted before :: and after it, each up to
   eight, and both go into room for eight. Echoes address readers of several network tools. */
#include "planted.h"

struct list {
    uint32_t n_v4, n_v6, n_ranges;
    uint32_t sum;
};

static int hex(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') return (c | 0x20) - 'a' + 10;
    return -1;
}

/* Read a dotted address; return bytes used, 0 when it is none. */
static size_t dotted(const uint8_t *p, size_t n, uint32_t *address) {
    size_t at = 0;
    *address = 0;
    for (int i = 0; i < 4; i++) {
        uint32_t part = 0;
        size_t from = at;
        for (; at < n && p[at] >= '0' && p[at] <= '9' && at - from < 3; at++) part = part * 10 + (p[at] - '0');
        if (at == from || part > 255) return 0;
        *address = *address << 8 | part;
        if (i < 3 && (at >= n || p[at++] != '.')) return 0;
    }
    return at;
}

/* Read groups up to a double colon or the end. */
static size_t groups(const uint8_t *p, size_t n, uint16_t *into, size_t *count) {
    size_t at = 0;
    while (at < n) {
        uint32_t value = 0, dots;
        size_t from = at, used;
        for (; at < n && at - from < 4 && hex(p[at]) >= 0; at++) value = value << 4 | (uint32_t)hex(p[at]);
        if (at == from) return at;
        if (*count >= 8) return n + 1;
        if (at < n && p[at] == '.') {
            used = dotted(p + from, n - from, &dots);
            if (used == 0 || *count >= 7) return n + 1;
            into[(*count)++] = (uint16_t)(dots >> 16);
            into[(*count)++] = (uint16_t)dots;
            return from + used;
        }
        into[(*count)++] = (uint16_t)value;
        if (at >= n || p[at] != ':') return at;
        at++;
        if (at < n && p[at] == ':') return at;
    }
    return at;
}

static size_t v6(struct list *l, const uint8_t *p, size_t n) {
    uint16_t before[8], after[8], whole[8];
    size_t n_before = 0, n_after = 0, at = 0;
    if (n > 1 && p[0] == ':' && p[1] == ':') at = 1;
    else at = groups(p, n, before, &n_before);
    if (at > n) return 0;
    if (at < n && p[at] == ':') {
        at++;
        size_t used = groups(p + at, n - at, after, &n_after);
        if (used > n - at) return 0;
        at += used;
    } else if (n_before != 8) {
        return 0;
    }
    FLAW(1, n_before + n_after > 8, return 0);
    memset(whole, 0, sizeof whole);
    for (size_t i = 0; i < n_before; i++) whole[i] = before[i];
    size_t gap = n_before + n_after < 8 ? 8 - n_before - n_after : 0;
    for (size_t i = 0; i < n_after; i++) whole[n_before + gap + i] = after[i];
    for (size_t i = 0; i < 8; i++) l->sum = l->sum * 31 + whole[i];
    l->n_v6++;
    SHOW(l->sum);
    return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct list l = {0};
    size_t at = 0;
    uint32_t address;
    while (at < size) {
        if (data[at] == ' ' || data[at] == '\n' || data[at] == ',') {
            at++;
            continue;
        }
        size_t used = dotted(data + at, size - at, &address), most = 128;
        if (used > 0) {
            most = 32;
            l.n_v4++;
            l.sum ^= address;
        } else {
            used = v6(&l, data + at, size - at);
        }
        if (used == 0) return 0;
        at += used;
        if (at < size && data[at] == '/') {
            uint32_t length = 0;
            for (at++; at < size && data[at] >= '0' && data[at] <= '9' && length < 1000; at++)
                length = length * 10 + (data[at] - '0');
            if (length > most) return 0;
        } else if (at < size && data[at] == '-') {
            l.n_ranges++;
            at++;
        }
    }
    SHOW(l.sum + l.n_ranges);
    return 0;
}
