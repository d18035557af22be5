/* LDAP search filters: (&(a=b)(|(c>=d)(e=*f*))(!(g=h))), with escapes and extensible matches.
   CWE-674, seen as stack-overflow. Filters in a list count how deep they are, the one that a
   negation holds does not, and every level has a buffer. Echoes CVE-2020-12243 (slapd). */
#include "planted.h"

enum { DEEPEST = 10 };

struct filter {
    const uint8_t *p;
    size_t n, at;
    uint32_t hash;
    uint32_t n_items, n_lists, n_negated;
    int lists;
};

static int hex(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') return (c | 0x20) - 'a' + 10;
    return -1;
}

static uint8_t peek(const struct filter *f) { return f->at < f->n ? f->p[f->at] : 0; }

static int name(struct filter *f) {
    size_t from = f->at;
    while (f->at < f->n) {
        uint8_t c = f->p[f->at], low = c | 0x20;
        int digit = c == '-' || c == '.' || (c >= '0' && c <= '9');
        if (!(low >= 'a' && low <= 'z') && !(digit && f->at > from)) break;
        f->hash = f->hash * 31 + low;
        f->at++;
    }
    return f->at > from ? 0 : -1;
}

/* A value up to the closing bracket; its bytes unescaped, its stars counted. */
static int text(struct filter *f, uint8_t *into, size_t room, size_t *length, int *stars) {
    *length = 0;
    *stars = 0;
    while (f->at < f->n && f->p[f->at] != ')') {
        uint8_t c = f->p[f->at++];
        if (c == '(' || c == 0 || *length == room) return -1;
        if (c == '\\') {
            if (f->n - f->at < 2) return -1;
            int high = hex(f->p[f->at]), low = hex(f->p[f->at + 1]);
            if (high < 0 || low < 0) return -1;
            c = (uint8_t)(high << 4 | low);
            f->at += 2;
        } else if (c == '*') {
            ++*stars;
            continue;
        }
        into[(*length)++] = c;
    }
    return f->at < f->n ? 0 : -1;
}

static int item(struct filter *f, uint8_t *buffer) {
    size_t length;
    int stars;
    if (peek(f) != ':' && name(f)) return -1;
    uint8_t kind = peek(f);
    if (kind == ':') {
        f->at++;
        if (name(f) || peek(f) != ':') return -1;
        f->at++;
    } else if (kind == '<' || kind == '>' || kind == '~') {
        f->at++;
    }
    if (peek(f) != '=') return -1;
    f->at++;
    if (text(f, buffer, FRAME, &length, &stars)) return -1;
    if (stars > 0 && kind != '=') return -1;
    if (length == 0 && stars == 0) return -1;
    for (size_t i = 0; i < length; i++) f->hash = f->hash * 33 + buffer[i];
    f->hash += (uint32_t)stars;
    f->n_items++;
    return 0;
}

APART static int filter(struct filter *f, int level) {
    uint8_t buffer[FRAME];
    int bad = 0;
    if (peek(f) != '(') return -1;
    f->at++;
    FLAW(1, level >= LEVELS, return -1);
    buffer[0] = peek(f);
    switch (buffer[0]) {
    case '&':
    case '|':
        f->at++;
        if (++f->lists > DEEPEST) return -1;
        while (!bad && peek(f) == '(') bad = filter(f, level + 1);
        f->lists--;
        f->n_lists++;
        break;
    case '!':
        f->at++;
        bad = filter(f, level + 1);
        f->n_negated++;
        break;
    default:
        bad = item(f, buffer);
    }
    SHOW(buffer[0]);
    if (bad || peek(f) != ')') return -1;
    f->at++;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct filter f = {0};
    if (size > 600) return 0;
    f.p = data;
    f.n = size;
    while (f.at < size) {
        if (filter(&f, 0)) return 0;
        while (peek(&f) == '\n') f.at++;
    }
    SHOW(f.hash + f.n_items + f.n_lists + f.n_negated);
    return 0;
}
