/* INI files: sections, keys, quoted values, lines continued by a backslash.
   CWE-193, seen as stack-buffer-overflow. The end mark of a value that was joined from several
   lines is written one past the buffer. Echoes the off-by-one of many line readers. */
#include "planted.h"

enum { ROOM = 32 };

struct file {
    uint32_t section;
    uint32_t n_keys;
    uint32_t hash;
};

static size_t trim(const uint8_t *p, size_t n) {
    while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t' || p[n - 1] == '\r')) n--;
    return n;
}

static uint32_t name_hash(const uint8_t *p, size_t n) {
    uint32_t hash = 5381;
    for (size_t i = 0; i < n; i++) hash = hash * 33 + (p[i] | 0x20);
    return hash;
}

static int store(struct file *f, const uint8_t *key, size_t n_key, const char *value) {
    size_t n = strlen(value);
    if (n_key == 0 || n_key > ROOM) return -1;
    if (n >= 2 && value[0] == '"' && value[n - 1] == '"') f->hash ^= 1;
    else if (strcmp(value, "yes") == 0 || strcmp(value, "on") == 0) f->hash ^= 2;
    else if (n > 0 && value[0] >= '0' && value[0] <= '9') f->hash += (uint32_t)atoi(value);
    f->hash ^= name_hash(key, n_key) + f->section;
    f->n_keys++;
    SHOW(f->hash);
    return 0;
}

/* Join continued lines into one value; return where the next line begins. */
static size_t value_at(struct file *f, const uint8_t *p, size_t n, size_t at, const uint8_t *key,
                       size_t n_key) {
    char value[ROOM];
    size_t length = 0, joined = 0;
    for (;;) {
        size_t end = at;
        while (end < n && p[end] != '\n') end++;
        size_t last = at + trim(p + at, end - at);
        int more = last > at && p[last - 1] == '\\';
        for (size_t i = at; i < last - (size_t)more; i++) {
            if (length == ROOM - 1 && joined == 0) return n; /* too long */
            if (length == ROOM) return n;
            value[length++] = (char)p[i];
        }
        at = end < n ? end + 1 : n;
        if (!more || at == n) break;
        while (at < n && (p[at] == ' ' || p[at] == '\t')) at++;
        joined++;
    }
    FLAW(1, length == ROOM, return n);
    value[length] = 0;
    store(f, key, n_key, value);
    return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct file f = {0};
    size_t at = 0;
    while (at < size) {
        size_t end = at;
        while (end < size && data[end] != '\n') end++;
        size_t n = trim(data + at, end - at);
        if (n == 0 || data[at] == ';' || data[at] == '#') {
            at = end + 1;
        } else if (data[at] == '[') {
            if (n < 3 || data[at + n - 1] != ']') return 0;
            f.section = name_hash(data + at + 1, n - 2);
            at = end + 1;
        } else {
            size_t equals = at;
            while (equals < end && data[equals] != '=') equals++;
            if (equals == end) return 0;
            size_t from = equals + 1;
            while (from < end && data[from] == ' ') from++;
            at = value_at(&f, data, size, from, data + at, trim(data + at, equals - at));
        }
    }
    return 0;
}
