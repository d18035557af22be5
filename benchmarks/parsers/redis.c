/* The protocol of Redis: arrays of texts with their lengths, or a line of words; a small store.
   CWE-476, seen as SEGV. To set a key to the text that is none keeps the key without a value, and
   appending to a key takes its value for granted. Echoes the null replies of several clients. */
#include "planted.h"

enum { KEYS = 8, ARGUMENTS = 4, MOST_TEXT = 64 };

struct text {
    const uint8_t *p; /* NULL: none */
    size_t n;
};

struct value {
    size_t n;
    uint8_t bytes[MOST_TEXT];
};

struct store {
    const uint8_t *p;
    size_t n, at;
    struct text keys[KEYS];
    struct value *values[KEYS];
    size_t n_keys;
    uint32_t sum;
};

static int line_end(struct store *s) {
    if (s->n - s->at < 2 || s->p[s->at] != '\r' || s->p[s->at + 1] != '\n') return -1;
    s->at += 2;
    return 0;
}

static int number(struct store *s, long *value) {
    int negative = s->at < s->n && s->p[s->at] == '-';
    size_t from = s->at += (size_t)negative;
    *value = 0;
    while (s->at < s->n && s->p[s->at] >= '0' && s->p[s->at] <= '9' && s->at - from < 6)
        *value = *value * 10 + (s->p[s->at++] - '0');
    if (negative) *value = -*value;
    return s->at > from ? line_end(s) : -1;
}

static int bulk(struct store *s, struct text *into) {
    long length;
    *into = (struct text){NULL, 0};
    if (s->at >= s->n || s->p[s->at++] != '$' || number(s, &length)) return -1;
    if (length == -1) return 0;
    if (length < 0 || length > MOST_TEXT || (size_t)length > s->n - s->at) return -1;
    *into = (struct text){s->p + s->at, (size_t)length};
    s->at += (size_t)length;
    return line_end(s);
}

static int words(struct store *s, struct text *into) {
    int count = 0;
    while (s->at < s->n && s->p[s->at] != '\r') {
        size_t from = s->at;
        while (s->at < s->n && s->p[s->at] > ' ') s->at++;
        if (count == ARGUMENTS || s->at == from || s->at - from > MOST_TEXT) return -1;
        into[count++] = (struct text){s->p + from, s->at - from};
        if (s->at < s->n && s->p[s->at] == ' ') s->at++;
    }
    return line_end(s) ? -1 : count;
}

static int is(struct text t, const char *name) {
    if (t.p == NULL || t.n != strlen(name)) return 0;
    for (size_t i = 0; i < t.n; i++)
        if ((t.p[i] & 0xdf) != (uint8_t)name[i]) return 0;
    return 1;
}

static size_t find(const struct store *s, struct text key) {
    for (size_t i = 0; i < s->n_keys; i++)
        if (s->keys[i].n == key.n && memcmp(s->keys[i].p, key.p, key.n) == 0) return i;
    return s->n_keys;
}

static int set(struct store *s, struct text key, struct text to) {
    size_t i = find(s, key);
    if (i == KEYS) return -1;
    struct value *v = NULL;
    if (to.p != NULL) {
        v = take(sizeof *v);
        if (v == NULL) return -1;
        v->n = to.n;
        memcpy(v->bytes, to.p, to.n);
    }
    if (i == s->n_keys) s->keys[s->n_keys++] = key;
    s->values[i] = v;
    return 0;
}

static int append(struct store *s, struct text key, struct text more) {
    size_t i = find(s, key);
    if (more.p == NULL) return -1;
    if (i == s->n_keys) return set(s, key, more);
    struct value *v = s->values[i];
    FLAW(1, v == NULL, return -1);
    if (more.n > MOST_TEXT - v->n) return -1;
    memcpy(v->bytes + v->n, more.p, more.n);
    v->n += more.n;
    return 0;
}

static int command(struct store *s, const struct text *t, int count) {
    if (is(t[0], "PING")) return count > 2;
    if (count < 2) return -1;
    if (is(t[0], "ECHO")) return count > 2;
    if (t[1].p == NULL || t[1].n == 0) return -1;
    if (is(t[0], "SET")) return count != 3 || set(s, t[1], t[2]);
    if (is(t[0], "APPEND")) return count != 3 || append(s, t[1], t[2]);
    size_t i = find(s, t[1]);
    if (is(t[0], "GET")) {
        if (i < s->n_keys && s->values[i] != NULL) s->sum += (uint32_t)s->values[i]->n;
        return 0;
    }
    if (!is(t[0], "DEL")) return -1;
    if (i < s->n_keys) {
        s->keys[i] = s->keys[--s->n_keys];
        s->values[i] = s->values[s->n_keys];
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct store s = {0};
    start();
    s.p = data;
    s.n = size;
    while (s.at < size) {
        struct text t[ARGUMENTS];
        long count;
        if (data[s.at] == '*') {
            s.at++;
            if (number(&s, &count) || count < 1 || count > ARGUMENTS) return 0;
            for (long i = 0; i < count; i++)
                if (bulk(&s, &t[i])) return 0;
        } else if ((count = words(&s, t)) < 1) {
            return 0;
        }
        if (command(&s, t, (int)count)) return 0;
    }
    SHOW(s.sum + s.n_keys);
    return 0;
}
