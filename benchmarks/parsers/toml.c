/* A subset of TOML: tables [a.b], lists of tables [[a]], keys, numbers, texts, words, arrays.
   CWE-843, seen as SEGV. Of the names in a header only the last is looked at before it is taken as
   a table, and in a list of tables the others are taken as they are. Echoes the confusion of values
   and tables in several TOML readers. */
#include "planted.h"

enum { NUMBER, TEXT, WORD, ARRAY, TABLE, TABLES };

struct entry {
    uint32_t name;
    int kind;
    union {
        uint64_t number;
        struct table *table;
    } u;
    struct entry *next;
};

struct table {
    struct entry *first;
    uint32_t count;
};

struct document {
    const uint8_t *p;
    size_t n, at;
    struct table root;
    struct table *now;
    uint64_t sum;
    int depth;
};

static uint8_t peek(struct document *d) {
    while (d->at < d->n && (d->p[d->at] == ' ' || d->p[d->at] == '\t')) d->at++;
    return d->at < d->n ? d->p[d->at] : 0;
}

static int is(struct document *d, uint8_t c) {
    if (peek(d) != c) return 0;
    d->at++;
    return 1;
}

static uint32_t name(struct document *d) {
    uint32_t hash = 0;
    for (peek(d); d->at < d->n; d->at++) {
        uint8_t c = d->p[d->at];
        int plain = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        if (!plain && !(c >= '0' && c <= '9') && c != '_' && c != '-') break;
        hash = hash * 131 + c;
    }
    return hash;
}

static struct entry *find(struct table *t, uint32_t hash) {
    for (struct entry *e = t->first; e != NULL; e = e->next)
        if (e->name == hash) return e;
    return NULL;
}

static struct entry *add(struct table *t, uint32_t hash, int kind) {
    struct entry *e = take(sizeof *e);
    if (e == NULL) return NULL;
    *e = (struct entry){hash, kind, {0}, t->first};
    if (kind == TABLE || kind == TABLES) {
        e->u.table = take(sizeof *e->u.table);
        if (e->u.table == NULL) return NULL;
        *e->u.table = (struct table){NULL, 0};
    }
    t->first = e;
    t->count++;
    return e;
}

static int value(struct document *d, struct entry *e) {
    uint8_t c = peek(d);
    e->u.number = 0;
    if (c >= '0' && c <= '9') {
        e->kind = NUMBER;
        for (int i = 0; d->at < d->n && d->p[d->at] >= '0' && d->p[d->at] <= '9'; i++, d->at++) {
            if (i == 9) return -1;
            e->u.number = e->u.number * 10 + (d->p[d->at] - '0');
        }
    } else if (c == '"') {
        e->kind = TEXT;
        for (d->at++; d->at < d->n && d->p[d->at] != '"'; d->at++) {
            if (d->p[d->at] < ' ' || (d->p[d->at] == '\\' && ++d->at == d->n)) return -1;
            e->u.number = e->u.number << 4 ^ d->p[d->at];
        }
        if (!is(d, '"')) return -1;
    } else if (is(d, '[')) {
        uint64_t sum = 0;
        if (++d->depth > 8) return -1;
        while (!is(d, ']')) {
            if (value(d, e)) return -1;
            sum += e->u.number;
            if (!is(d, ',') && peek(d) != ']') return -1;
        }
        d->depth--;
        e->kind = ARRAY;
        e->u.number = sum;
    } else {
        e->kind = WORD;
        if (d->n - d->at >= 4 && memcmp(d->p + d->at, "true", 4) == 0) e->u.number = 4;
        else if (d->n - d->at >= 5 && memcmp(d->p + d->at, "false", 5) == 0) e->u.number = 5;
        else return -1;
        d->at += e->u.number;
    }
    return 0;
}

static int pair(struct document *d) {
    uint32_t hash = name(d);
    if (hash == 0 || !is(d, '=') || find(d->now, hash) != NULL) return -1;
    struct entry read = {0};
    if (value(d, &read)) return -1;
    struct entry *e = add(d->now, hash, read.kind);
    if (e == NULL) return -1;
    e->u.number = read.u.number;
    d->sum += read.u.number;
    return 0;
}

static int header(struct document *d) {
    int many = d->at < d->n && d->p[d->at] == '[';
    struct table *t = &d->root;
    d->at += (size_t)many;
    for (;;) {
        uint32_t hash = name(d);
        if (hash == 0) return -1;
        struct entry *e = find(t, hash);
        int last = !is(d, '.');
        int kind = last && many ? TABLES : TABLE;
        if (e == NULL) e = add(t, hash, kind);
        else if (last && e->kind != kind) return -1;
        else if (!many && e->kind < TABLE) return -1;
        if (e == NULL) return -1;
        FLAW(1, e->kind < TABLE, return -1);
        t = e->u.table;
        SHOW(t->count);
        if (last) break;
    }
    if (!is(d, ']') || (many && !is(d, ']'))) return -1;
    if (many) *t = (struct table){NULL, t->count + 1};
    d->now = t;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct document d = {0};
    start();
    d.p = data;
    d.n = size;
    d.now = &d.root;
    while (d.at < size) {
        uint8_t c = peek(&d);
        int bad = 0;
        if (c == '[') {
            d.at++;
            bad = header(&d);
        } else if (c != '\n' && c != '#' && c != 0) {
            bad = pair(&d);
        }
        if (!bad && peek(&d) == '#')
            while (d.at < size && data[d.at] != '\n') d.at++;
        if (bad || (d.at < size && !is(&d, '\n'))) return 0;
    }
    SHOW(d.sum + d.root.count);
    return 0;
}
