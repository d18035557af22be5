/* Patterns of file names with braces: a line of pattern, then names to try it on.
   CWE-121, seen as stack-buffer-overflow. The digits of a number in a range are held against the
   room; the zeros that bring it to the width of the first are not. Echoes the brace expansion of
   several shells. */
#include "planted.h"

enum { ROOM = 40, MOST_STEPS = 2000, MOST_RANGE = 12, DEEPEST = 8 };

struct glob {
    const uint8_t *names;
    size_t n_names;
    uint32_t hits, tried;
    int steps;
    int depth;
};

static int class_has(const char *p, const char *end, char c) {
    int found = 0, not = p < end && (*p == '!' || *p == '^');
    for (p += not; p < end; p++) {
        if (end - p > 2 && p[1] == '-') {
            if (c >= p[0] && c <= p[2]) found = 1;
            p += 2;
        } else if (*p == c) {
            found = 1;
        }
    }
    return found != not;
}

static int matches(struct glob *g, const char *p, const char *end, const char *s,
                   const char *s_end) {
    for (; p < end; p++, s++) {
        if (++g->steps > MOST_STEPS) return 0;
        if (*p == '*') {
            while (p < end && *p == '*') p++;
            for (; s <= s_end; s++)
                if (matches(g, p, end, s, s_end)) return 1;
            return 0;
        }
        if (s == s_end) return 0;
        const char *close = *p == '[' ? memchr(p + 1, ']', (size_t)(end - p - 1)) : NULL;
        if (close != NULL) {
            if (!class_has(p + 1, close, *s)) return 0;
            p = close;
        } else if (*p != '?' && *p != *s) {
            return 0;
        }
    }
    return s == s_end;
}

static void try_names(struct glob *g, const char *pattern, size_t n) {
    size_t from = 0;
    g->tried++;
    for (size_t i = 0; i <= g->n_names; i++)
        if (i == g->n_names || g->names[i] == '\n') {
            const char *name = (const char *)g->names;
            if (matches(g, pattern, pattern + n, name + from, name + i)) g->hits++;
            from = i + 1;
        }
}

/* A whole number with the width it is written in; at most four digits after leading zeros. */
static size_t number(const uint8_t *p, size_t n, uint32_t *value, size_t *width) {
    size_t at = 0, counted = 0;
    *value = 0;
    while (at < n && p[at] >= '0' && p[at] <= '9') {
        *value = *value * 10 + (p[at++] - '0');
        if (*value > 0 && ++counted > 4) return 0;
    }
    *width = at > 1 && p[0] == '0' ? at : 0;
    return at;
}

static void expand(struct glob *g, char *out, size_t length, const uint8_t *p, size_t n);

/* {3..12} and {03..12}; what is between the braces is a range, or this returns 0. */
static int range(struct glob *g, char *out, size_t length, const uint8_t *p, size_t close,
                 size_t n) {
    uint32_t low, high;
    size_t width, width_high;
    size_t at = number(p, close, &low, &width);
    if (at == 0 || close - at < 3 || p[at] != '.' || p[at + 1] != '.') return 0;
    at += 2;
    size_t more = number(p + at, close - at, &high, &width_high);
    if (more == 0 || at + more != close || low > high || high - low > MOST_RANGE) return 0;
    for (uint32_t i = low; i <= high; i++) {
        char text[12];
        size_t digits = (size_t)snprintf(text, sizeof text, "%u", i), to = length;
        if (digits > ROOM - to) return 1;
        FLAW(1, width > ROOM - to, return 1);
        for (size_t k = digits; k < width; k++) out[to++] = '0';
        for (size_t k = 0; k < digits; k++) out[to++] = text[k];
        expand(g, out, to, p + close + 1, n - close - 1);
    }
    return 1;
}

/* {a,b}: each with what follows the closing brace. */
static void choices(struct glob *g, char *out, size_t length, const uint8_t *p, size_t close,
                    size_t n) {
    size_t from = 0;
    for (size_t i = 0; i <= close; i++) {
        if (i < close && p[i] != ',') continue;
        if (i - from > ROOM - length) return;
        memcpy(out + length, p + from, i - from);
        expand(g, out, length + i - from, p + close + 1, n - close - 1);
        from = i + 1;
    }
}

static void expand(struct glob *g, char *out, size_t length, const uint8_t *p, size_t n) {
    while (n > 0 && *p != '{') {
        if (length == ROOM) return;
        out[length++] = (char)*p;
        p++, n--;
    }
    if (n == 0) {
        if (g->tried < 32) try_names(g, out, length);
        return;
    }
    const uint8_t *close = memchr(p, '}', n);
    if (close == NULL || g->depth == DEEPEST || g->steps > MOST_STEPS || g->tried > 31) return;
    size_t inside = (size_t)(close - p) - 1;
    g->depth++;
    if (!range(g, out, length, p + 1, inside, n - 1)) choices(g, out, length, p + 1, inside, n - 1);
    g->depth--;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct glob g = {0};
    char out[ROOM];
    size_t end = 0;
    while (end < size && data[end] != '\n') end++;
    if (end == 0 || end > 200 || size - end < 2 || size - end > 200) return 0;
    g.names = data + end + 1;
    g.n_names = size - end - 1;
    expand(&g, out, 0, data, end);
    SHOW(g.hits + g.tried);
    return 0;
}
