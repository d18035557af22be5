/* A subset of XML: nested tags with attributes, text, comments.
   CWE-416, seen as heap-use-after-free. An element that closes is given back, yet stays the last
   one that an attribute of the next sibling may refer to by `same`. Echoes tree nodes freed while
   a parser still referred to them. */
#include "planted.h"

enum { DEEPEST = 16 };

struct element {
    uint32_t name;
    uint32_t id;
    uint32_t n_children;
};

struct tree {
    const uint8_t *p;
    size_t n, at;
    struct element *open[DEEPEST];
    size_t depth;
    struct element *last; /* the element that had an id */
    int gone;
    uint32_t sum;
};

static int is_name(uint8_t c) {
    return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_' || (c >= '0' && c <= '9');
}

static uint32_t name(struct tree *t) {
    uint32_t hash = 0;
    while (t->at < t->n && is_name(t->p[t->at])) hash = hash * 31 + t->p[t->at++];
    return hash;
}

static void blanks(struct tree *t) {
    while (t->at < t->n && (t->p[t->at] == ' ' || t->p[t->at] == '\n')) t->at++;
}

static int attribute(struct tree *t, struct element *e) {
    uint32_t hash = name(t), value = 0, length = 0;
    if (hash == 0 || t->n - t->at < 2 || t->p[t->at] != '=') return -1;
    uint8_t quote = t->p[t->at + 1];
    if (quote != '"' && quote != '\'') return -1;
    for (t->at += 2; t->at < t->n && t->p[t->at] != quote; t->at++, length++) {
        if (t->p[t->at] == '<') return -1;
        value = value * 10 + t->p[t->at] - '0';
    }
    if (t->at++ >= t->n) return -1;
    if (hash == 'i' * 31 + 'd') {
        e->id = value;
        t->last = e;
        t->gone = 0;
    } else if (hash == 'r' * 31 + 'e' && t->last != NULL && length > 0) { /* re: as the last one */
        FLAW(1, t->gone, return -1);
        e->id = t->last->id + value;
        t->last->n_children++;
        SHOW(t->last->n_children);
    }
    return 0;
}

static int close_element(struct tree *t, uint32_t hash) {
    if (t->depth == 0) return -1;
    struct element *e = t->open[--t->depth];
    if (hash != 0 && e->name != hash) return -1;
    t->sum += e->id + e->n_children;
    if (e == t->last) {
        if (e->n_children == 0) t->last = NULL; /* forgotten, but not when it had children */
        else t->gone = 1;
    }
    give(e);
    return 0;
}

static int open_element(struct tree *t) {
    struct element *e = take(sizeof *e);
    if (e == NULL || t->depth == DEEPEST) return -1;
    memset(e, 0, sizeof *e);
    e->name = name(t);
    if (e->name == 0) return -1;
    if (t->depth > 0) t->open[t->depth - 1]->n_children++;
    t->open[t->depth++] = e;
    for (;;) {
        blanks(t);
        if (t->at >= t->n) return -1;
        if (t->p[t->at] == '>') {
            t->at++;
            return 0;
        }
        if (t->p[t->at] == '/') {
            if (++t->at >= t->n || t->p[t->at++] != '>') return -1;
            return close_element(t, 0);
        }
        if (attribute(t, e)) return -1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tree t = {0};
    t.p = data;
    t.n = size;
    start();
    while (t.at < size) {
        if (data[t.at] != '<') {
            t.at++;
            continue;
        }
        if (++t.at >= size) return 0;
        if (data[t.at] == '!') {
            while (t.at < size && data[t.at] != '>') t.at++;
        } else if (data[t.at] == '/') {
            t.at++;
            uint32_t hash = name(&t);
            if (hash == 0 || close_element(&t, hash)) return 0;
            if (t.at >= size || data[t.at++] != '>') return 0;
            if (t.depth == 0) break;
        } else if (open_element(&t)) {
            return 0;
        }
    }
    SHOW(t.sum);
    return 0;
}
