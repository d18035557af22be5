/* URLs: scheme, user, host, port, path, query; escapes of the query are decoded.
   CWE-125, seen as heap-buffer-overflow. The decoder steps over an escape that is cut off at the
   end, and goes on reading behind it. Echoes the percent-decoders of many small servers. */
#include "planted.h"

struct url {
    uint32_t scheme;
    uint32_t port;
    size_t n_user, n_host, n_path;
    uint32_t n_pairs;
};

static int hex(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') return (c | 0x20) - 'a' + 10;
    return -1;
}

static size_t scheme(struct url *u, const uint8_t *p, size_t n) {
    size_t at = 0;
    while (at < n && at < 12 && ((p[at] | 0x20) >= 'a' && (p[at] | 0x20) <= 'z')) {
        u->scheme = u->scheme * 31 + (p[at] | 0x20);
        at++;
    }
    if (at == 0 || n - at < 3) return 0;
    if (p[at] != ':' || p[at + 1] != '/' || p[at + 2] != '/') return 0;
    return at + 3;
}

static size_t authority(struct url *u, const uint8_t *p, size_t n, size_t at) {
    size_t from = at;
    while (at < n && p[at] != '/' && p[at] != '?') {
        if (p[at] == '@') {
            u->n_user = at - from;
            from = at + 1;
        }
        at++;
    }
    size_t end = from;
    while (end < at && p[end] != ':') end++;
    u->n_host = end - from;
    for (size_t i = end + 1; i < at; i++) {
        if (p[i] < '0' || p[i] > '9') return 0;
        u->port = u->port * 10 + (p[i] - '0');
        if (u->port > 65535) return 0;
    }
    return u->n_host > 0 ? at : 0;
}

/* Decode one pair of the query; `+` is a blank only in names. */
static void pair(struct url *u, const uint8_t *p, size_t n) {
    uint8_t *plain = take(n);
    uint8_t *text = take(n);
    size_t length = 0, in_value = 0;
    if (plain == NULL || text == NULL || n == 0) return;
    memcpy(text, p, n); /* of its own size */
    for (size_t i = 0; i < n; i++) {
        uint8_t c = text[i];
        if (c == '=') in_value = 1;
        if (c == '+' && !in_value) c = ' ';
        if (c == '%') {
            if (!in_value && n - i < 3) return;
            FLAW(1, n - i < 3, return);
            int high = hex(text[i + 1]), low = hex(text[i + 2]);
            if (high < 0 || low < 0) return;
            c = (uint8_t)(high << 4 | low);
            i += 2;
        }
        plain[length++] = c;
    }
    for (size_t i = 0; i < length; i++) u->n_pairs += plain[i] == 0;
    SHOW(u->n_pairs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct url u = {0};
    start();
    size_t at = scheme(&u, data, size);
    if (at == 0) return 0;
    at = authority(&u, data, size, at);
    if (at == 0) return 0;
    while (at < size && data[at] != '?') {
        if (data[at] <= ' ') return 0;
        u.n_path++;
        at++;
    }
    while (at < size) {
        size_t from = ++at;
        while (at < size && data[at] != '&') at++;
        if (u.n_path > 1) pair(&u, data + from, at - from);
    }
    return 0;
}
