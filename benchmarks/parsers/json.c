/* JSON: objects, arrays, strings with escapes, numbers, words.
   CWE-674, seen as stack-overflow. Arrays are counted when they nest, objects are not, and every
   level holds a buffer. Echoes the uncontrolled recursion of many JSON readers. */
#include "planted.h"

enum { DEEPEST = 40 };

struct text {
    const uint8_t *p;
    size_t n;
    size_t at;
    uint32_t hash;
    int arrays;
};

static int value(struct text *t, int depth);

static void blanks(struct text *t) {
    while (t->at < t->n && (t->p[t->at] == ' ' || t->p[t->at] == '\n' || t->p[t->at] == '\t')) t->at++;
}

static int next_is(struct text *t, uint8_t c) {
    blanks(t);
    if (t->at >= t->n || t->p[t->at] != c) return 0;
    t->at++;
    return 1;
}

static int hex(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') return (c | 0x20) - 'a' + 10;
    return -1;
}

static int string(struct text *t, uint8_t *into, size_t room) {
    size_t length = 0;
    if (!next_is(t, '"')) return -1;
    while (t->at < t->n && t->p[t->at] != '"') {
        uint8_t c = t->p[t->at++];
        if (c < 0x20 || length + 1 >= room) return -1;
        if (c == '\\') {
            if (t->at >= t->n) return -1;
            c = t->p[t->at++];
            if (c == 'u') {
                if (t->n - t->at < 4) return -1;
                for (int i = 0; i < 4; i++)
                    if (hex(t->p[t->at++]) < 0) return -1;
                c = '?';
            } else if (strchr("\"\\/bfnrt", c) == NULL) {
                return -1;
            }
        }
        into[length++] = c;
    }
    into[length] = 0;
    if (t->at >= t->n) return -1;
    t->at++;
    return (int)length;
}

APART static int object(struct text *t, int depth) {
    uint8_t key[FRAME];
    int n;
    FLAW(1, depth > LEVELS, return -1);
    if (next_is(t, '}')) return 0;
    do {
        if ((n = string(t, key, sizeof key)) < 0 || !next_is(t, ':')) return -1;
        if (value(t, depth + 1)) return -1;
        t->hash = t->hash * 31 + key[n / 2];
        SHOW(t->hash);
    } while (next_is(t, ','));
    return next_is(t, '}') ? 0 : -1;
}

static int array(struct text *t, int depth) {
    if (++t->arrays > DEEPEST) return -1;
    if (!next_is(t, ']')) {
        do {
            if (value(t, depth)) return -1;
        } while (next_is(t, ','));
        if (!next_is(t, ']')) return -1;
    }
    t->arrays--;
    return 0;
}

static int value(struct text *t, int depth) {
    uint8_t small[64];
    if (next_is(t, '{')) return object(t, depth);
    if (next_is(t, '[')) return array(t, depth);
    if (t->at >= t->n) return -1;
    uint8_t c = t->p[t->at];
    if (c == '"') return string(t, small, sizeof small) < 0;
    if (c == '-' || (c >= '0' && c <= '9')) {
        t->at++;
        while (t->at < t->n && ((t->p[t->at] >= '0' && t->p[t->at] <= '9') || t->p[t->at] == '.'))
            t->hash = t->hash * 10 + t->p[t->at++];
        return 0;
    }
    if (t->n - t->at >= 4 && (c == 't' || c == 'n')) {
        if (memcmp(t->p + t->at, c == 't' ? "true" : "null", 4) != 0) return -1;
        t->at += 4;
        return 0;
    }
    return -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct text t = {data, size, 0, 0, 0};
    value(&t, 0);
    return 0;
}
