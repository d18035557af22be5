/* DNS messages: header, questions and records, names with compression pointers.
   CWE-835, seen as hang. A pointer may point at itself or forwards, and the jumps of a name inside
   a record's data are not counted. Echoes the pointer loops of many DNS readers, among them those of the NAME:WRECK report. */
#include "planted.h"

struct message {
    const uint8_t *p;
    size_t n;
    uint32_t n_names;
    uint32_t hash;
};

static uint32_t u16(const uint8_t *p) { return (uint32_t)(p[0] << 8 | p[1]); }

static int label_ok(const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint8_t c = p[i];
        int letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '_') return 0;
    }
    return n == 0 || (p[0] != '-' && p[n - 1] != '-');
}

/* Return where the name ends in the message, 0 when it is bad. */
static size_t name(struct message *m, size_t at, int inside) {
    size_t end = 0, length = 0;
    uint32_t jumps = 0;
    while (at < m->n) {
        uint8_t c = m->p[at];
        if (c == 0) {
            m->n_names++;
            SHOW(m->hash);
            return end ? end : at + 1;
        }
        if ((c & 0xc0) == 0xc0) {
            if (m->n - at < 2) return 0;
            size_t to = (size_t)(c & 0x3f) << 8 | m->p[at + 1];
            if (end == 0) end = at + 2;
            if (to < 12) return 0;
            jumps++;
            if (!inside && jumps > 16) return 0;
            FLAW(1, jumps > 64, return 0);
            m->hash += jumps & 1;
            at = to;
            continue;
        }
        if (c & 0xc0) return 0;
        if (c >= m->n - at || !label_ok(m->p + at + 1, c)) return 0;
        if (jumps == 0) length += c + 1u;
        if (length > 255) return 0;
        m->hash = m->hash * 33 + m->p[at + 1];
        at += c + 1u;
    }
    return 0;
}

static size_t record(struct message *m, size_t at) {
    at = name(m, at, 0);
    if (at == 0 || m->n - at < 10) return 0;
    uint32_t type = u16(m->p + at), n = u16(m->p + at + 8);
    at += 10;
    if (n > m->n - at) return 0;
    switch (type) {
    case 1: if (n != 4) return 0; break;
    case 28: if (n != 16) return 0; break;
    case 2: case 5: case 12: if (name(m, at, 1) == 0) return 0; break;
    case 15: if (n < 3 || name(m, at + 2, 1) == 0) return 0; break;
    case 16:
        for (size_t i = 0; i < n; i += m->p[at + i] + 1u)
            if (m->p[at + i] >= n - i) return 0;
        break;
    default: m->hash ^= type;
    }
    return at + n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct message m = {data, size, 0, 0};
    if (size < 12 || size > 4096) return 0;
    if ((data[2] & 0x78) != 0 || (data[3] & 0x40)) return 0;
    uint32_t n_questions = u16(data + 4), n_records = u16(data + 6) + u16(data + 8) + u16(data + 10);
    if (n_questions > 4 || n_records > 64) return 0;
    size_t at = 12;
    for (uint32_t i = 0; i < n_questions; i++) {
        at = name(&m, at, 0);
        if (at == 0 || m.n - at < 4) return 0;
        if (u16(data + at + 2) != 1) return 0;
        at += 4;
    }
    for (uint32_t i = 0; i < n_records && at != 0; i++) at = record(&m, at);
    return 0;
}
