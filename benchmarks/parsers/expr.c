/* Expressions of whole numbers: + - * / %, brackets, variables, several statements.
   CWE-369, seen as FPE. A division looks at its divisor; a remainder looks at it only when it is
   written as a number. Echoes the constant folding of several small languages. */
#include "planted.h"

struct program {
    const uint8_t *p;
    size_t n, at;
    uint32_t variables[26];
    uint32_t assigned;
    int depth;
    int bad;
};

static uint32_t sum(struct program *e);

static uint8_t peek(struct program *e) {
    while (e->at < e->n && e->p[e->at] == ' ') e->at++;
    return e->at < e->n ? e->p[e->at] : 0;
}

static uint32_t number(struct program *e) {
    uint32_t value = 0;
    int digits = 0;
    while (e->at < e->n && e->p[e->at] >= '0' && e->p[e->at] <= '9') {
        value = value * 10 + (e->p[e->at++] - '0');
        if (++digits > 9) e->bad = 1;
    }
    return value;
}

static uint32_t atom(struct program *e) {
    uint8_t c = peek(e);
    uint32_t value = 0;
    if (e->bad) return 0;
    if (c >= '0' && c <= '9') return number(e);
    if (c >= 'a' && c <= 'z') {
        e->at++;
        if (!(e->assigned >> (c - 'a') & 1)) e->bad = 1;
        return e->variables[c - 'a'];
    }
    if (c == '-') {
        e->at++;
        if (++e->depth > 30) e->bad = 1;
        value = 0u - atom(e);
        e->depth--;
        return value;
    }
    if (c != '(' || ++e->depth > 30) {
        e->bad = 1;
        return 0;
    }
    e->at++;
    value = sum(e);
    e->depth--;
    if (peek(e) != ')') e->bad = 1;
    else e->at++;
    return value;
}

static uint32_t product(struct program *e) {
    uint32_t value = atom(e);
    for (;;) {
        uint8_t op = peek(e);
        if (e->bad || (op != '*' && op != '/' && op != '%')) return value;
        e->at++;
        uint8_t first = peek(e);
        uint32_t right = atom(e);
        if (e->bad) return 0;
        if (op == '*') {
            value *= right;
        } else if (op == '/') {
            if (right == 0) e->bad = 1;
            else value /= right;
        } else {
            if (first >= '0' && first <= '9' && right == 0) {
                e->bad = 1;
                return 0;
            }
            FLAW(1, right == 0, e->bad = 1; return 0);
            value %= right;
        }
    }
}

static uint32_t sum(struct program *e) {
    uint32_t value = product(e);
    for (;;) {
        uint8_t op = peek(e);
        if (e->bad || (op != '+' && op != '-')) return value;
        e->at++;
        uint32_t right = product(e);
        value = op == '+' ? value + right : value - right;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct program e = {0};
    e.p = data;
    e.n = size;
    while (e.at < e.n && !e.bad) {
        uint8_t name = peek(&e);
        if (name == ';' || name == '\n') {
            e.at++;
            continue;
        }
        if (name < 'a' || name > 'z') return 0;
        e.at++;
        if (peek(&e) != '=') return 0;
        e.at++;
        uint32_t value = sum(&e);
        if (e.bad) return 0;
        e.variables[name - 'a'] = value;
        e.assigned |= 1u << (name - 'a');
        SHOW(value);
        if (peek(&e) != ';' && peek(&e) != '\n' && e.at < e.n) return 0;
    }
    return 0;
}
