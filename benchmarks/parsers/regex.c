/* A matcher of patterns: literals, dot, classes, groups, star and alternatives; one line of pattern,
   the rest is text. CWE-787, seen as stack-buffer-overflow. Groups are numbered without a limit
   when they are repeated; the list of their places has ten. Echoes capture lists of small regex
   libraries. */
#include "planted.h"

enum { GROUPS = 10, MOST_STEPS = 2000 };

struct regex {
    const uint8_t *p;
    size_t n, at;
    size_t *begins;
    size_t n_groups;
    size_t n_repeated;
    uint32_t classes;
    int depth;
};

static int alternatives(struct regex *r);

static int class(struct regex *r) {
    size_t from = r->at;
    if (r->at < r->n && r->p[r->at] == '^') r->at++;
    while (r->at < r->n && (r->p[r->at] != ']' || r->at == from)) {
        if (r->n - r->at > 2 && r->p[r->at + 1] == '-' && r->p[r->at + 2] < r->p[r->at]) return -1;
        r->at++;
    }
    if (r->at >= r->n) return -1;
    r->at++;
    r->classes++;
    return 0;
}

static int group(struct regex *r) {
    size_t begin = r->at;
    if (++r->depth > 20) return -1;
    if (alternatives(r)) return -1;
    if (r->at >= r->n || r->p[r->at] != ')') return -1;
    r->at++;
    r->depth--;
    if (r->at < r->n && (r->p[r->at] == '*' || r->p[r->at] == '+')) {
        r->n_repeated++;
        FLAW(1, r->n_groups >= GROUPS, return -1);
    } else if (r->n_groups >= GROUPS) {
        return 0; /* not kept */
    }
    r->begins[r->n_groups++] = begin;
    return 0;
}

static int piece(struct regex *r) {
    uint8_t c = r->p[r->at++];
    switch (c) {
    case '(': if (group(r)) return -1; break;
    case '[': if (class(r)) return -1; break;
    case '\\': if (r->at++ >= r->n) return -1; break;
    case '*':
    case '+':
    case '?': return -1; /* nothing to repeat */
    default: break;
    }
    while (r->at < r->n && (r->p[r->at] == '*' || r->p[r->at] == '+' || r->p[r->at] == '?')) r->at++;
    return 0;
}

static int alternatives(struct regex *r) {
    while (r->at < r->n && r->p[r->at] != ')') {
        if (r->p[r->at] == '|') {
            r->at++;
            continue;
        }
        if (piece(r)) return -1;
    }
    return 0;
}

/* Match plain patterns (literals, dots, stars) at one place; steps are limited. */
static int matches(const uint8_t *p, size_t n, const uint8_t *text, size_t m, int *steps) {
    size_t i = 0;
    while (n > 0) {
        if (++*steps > MOST_STEPS) return 0;
        if (n > 1 && p[1] == '*') {
            for (; ; i++) {
                if (matches(p + 2, n - 2, text + i, m - i, steps)) return 1;
                if (i >= m || (p[0] != '.' && p[0] != text[i]) || *steps > MOST_STEPS) return 0;
            }
        }
        if (i >= m || (p[0] != '.' && p[0] != text[i])) return 0;
        p++, n--, i++;
    }
    return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct regex r = {0};
    size_t begins[GROUPS], end = 0, sum = 0;
    int steps = 0;
    while (end < size && data[end] != '\n') end++;
    if (end == 0 || end > 400) return 0;
    r.p = data;
    r.begins = begins;
    r.n = end;
    if (alternatives(&r) || r.at != r.n) return 0;
    for (size_t i = 0; i < r.n_groups; i++) sum += begins[i];
    SHOW(sum);
    if (r.n_groups > 0 || r.classes > 0 || end == size) return 0;
    size_t m = size - end - 1 < 60 ? size - end - 1 : 60;
    for (size_t from = 0; from < m; from++)
        if (matches(r.p, end < 20 ? end : 20, data + end + 1 + from, m - from, &steps)) break;
    return 0;
}
