/* DHCP: a fixed part, a cookie, options; requests are answered from a table of leases.
   CWE-415, seen as double-free. A host name that comes twice replaces the first; when the second is
   empty, the first is given back and given back again at the end. Echoes option handling of several
   DHCP clients. */
#include "planted.h"

struct lease {
    uint8_t kind;
    uint32_t address, server, seconds;
    char *host;
    int host_gone;
    uint32_t n_wanted;
    uint8_t client[16];
};

static uint32_t u32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static int host_ok(const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint8_t c = p[i];
        int fine = ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
        if (!fine) return 0;
    }
    return 1;
}

static int host(struct lease *l, const uint8_t *p, size_t n) {
    if (n > 63 || !host_ok(p, n)) return -1;
    if (l->host != NULL && !l->host_gone) {
        give(l->host);
        if (n == 0) {
            l->host_gone = 1; /* and the pointer stays */
            return 0;
        }
    }
    if (n == 0) return -1;
    l->host = take(n + 1);
    l->host_gone = 0;
    if (l->host == NULL) return -1;
    memcpy(l->host, p, n);
    l->host[n] = 0;
    return 0;
}

static int option(struct lease *l, uint8_t code, const uint8_t *p, size_t n) {
    switch (code) {
    case 1: case 3: case 6: return n < 4 || n % 4 != 0 ? -1 : 0;
    case 12: return host(l, p, n);
    case 50:
        if (n != 4) return -1;
        l->address = u32(p);
        return 0;
    case 51:
        if (n != 4) return -1;
        l->seconds = u32(p);
        return l->seconds < 60 ? -1 : 0;
    case 53:
        if (n != 1 || p[0] == 0 || p[0] > 8) return -1;
        l->kind = p[0];
        return 0;
    case 54:
        if (n != 4) return -1;
        l->server = u32(p);
        return 0;
    case 55: l->n_wanted += (uint32_t)n; return n == 0 ? -1 : 0;
    case 61:
        if (n < 2 || n > sizeof l->client) return -1;
        memcpy(l->client, p, n);
        return 0;
    default: return 0;
    }
}

static int answer(struct lease *l) {
    switch (l->kind) {
    case 1: return l->n_wanted > 0; /* discover */
    case 3: /* request */
        if (l->address == 0) return 0;
        if (l->host != NULL) {
            FLAW(1, l->host_gone, return 0);
            give(l->host);
        }
        return l->server != 0;
    case 7: return l->client[0] != 0; /* release */
    default: return 0;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct lease l = {0};
    size_t at = 24;
    start();
    if (size < 28) return 0;
    if (data[0] != 1 && data[0] != 2) return 0;
    if (data[1] != 1 || data[2] != 6 || data[3] > 16) return 0;
    if (u32(data + at) != 0x63825363) return 0;
    at += 4;
    while (at < size && data[at] != 255) {
        uint8_t code = data[at++];
        if (code == 0) continue;
        if (at >= size || data[at] > size - at - 1) return 0;
        size_t n = data[at++];
        if (option(&l, code, data + at, n)) return 0;
        at += n;
    }
    if (at >= size) return 0;
    SHOW(answer(&l) + l.seconds);
    return 0;
}
