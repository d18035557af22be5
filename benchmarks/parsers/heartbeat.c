/* A record protocol in the manner of TLS: hello, data and heartbeat messages.
   CWE-125, seen as heap-buffer-overflow. A heartbeat is answered with as many bytes as it says it
   has, not as many as came. Echoes CVE-2014-0160 (Heartbleed in OpenSSL). */
#include "planted.h"

enum { HELLO = 1, KEYS = 2, ALERT = 21, DATA = 23, HEARTBEAT = 24 };

struct session {
    int version;
    int has_hello;
    int has_keys;
    int may_beat;
    uint32_t received;
    uint8_t answer[256];
};

static uint32_t u16(const uint8_t *p) { return (uint32_t)(p[0] << 8 | p[1]); }

static int on_hello(struct session *s, const uint8_t *p, size_t n) {
    if (n < 4) return -1;
    s->version = p[0] << 8 | p[1];
    if (s->version < 0x0301 || s->version > 0x0304) return -1;
    size_t at = 3, n_suites = p[2];
    if (n_suites == 0 || n_suites * 2 > n - at) return -1;
    for (size_t i = 0; i < n_suites; i++, at += 2) {
        uint32_t suite = u16(p + at);
        if (suite == 0x002f || suite == 0x0035) s->has_hello = 1;
    }
    while (n - at >= 3) { /* extensions: type, length, value */
        size_t length = p[at + 1];
        if (length > n - at - 2) return -1;
        if (p[at] == 15 && length == 1) s->may_beat = p[at + 2] == 1;
        at += 2 + length;
    }
    return 0;
}

static int on_keys(struct session *s, const uint8_t *p, size_t n) {
    if (!s->has_hello || n < 2) return -1;
    uint32_t sum = 0;
    for (size_t i = 0; i < n; i++) sum += p[i];
    s->has_keys = sum != 0;
    return 0;
}

static int on_heartbeat(struct session *s, const uint8_t *p, size_t n) {
    if (!s->has_keys || !s->may_beat || n < 3) return -1;
    if (p[0] != 1) return 0; /* an answer */
    size_t length = u16(p + 1);
    if (length > sizeof s->answer) return -1;
    FLAW(1, length > n - 3, return -1);
    memcpy(s->answer, p + 3, length);
    for (size_t i = 0; i < length; i++) s->received += s->answer[i];
    SHOW(s->received);
    return 0;
}

static int on_alert(struct session *s, const uint8_t *p, size_t n) {
    if (n != 2) return -1;
    if (p[0] == 2) return -1;
    if (p[0] == 1 && p[1] == 0) s->has_keys = 0;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct session s = {0};
    size_t at = 0;
    start();
    while (size - at >= 3) {
        uint32_t type = data[at], n = u16(data + at + 1);
        int bad = 0;
        if (n > size - at - 3) return 0;
        uint8_t *p = take(n); /* a message has a block of its own */
        if (p == NULL) return 0;
        memcpy(p, data + at + 3, n);
        switch (type) {
        case HELLO: bad = on_hello(&s, p, n); break;
        case KEYS: bad = on_keys(&s, p, n); break;
        case ALERT: bad = on_alert(&s, p, n); break;
        case DATA: if (s.has_keys) s.received += n; break;
        case HEARTBEAT: bad = on_heartbeat(&s, p, n); break;
        default: bad = 1;
        }
        if (bad) return 0;
        at += 3 + n;
    }
    return 0;
}
