/* cron tables: minute, hour, day, month, weekday, command; lists, ranges, steps, names.
   CWE-835, seen as hang. A step of zero is refused, but it is kept in one byte: 256 is zero again.
   Echoes narrowing errors behind a check. */
#include "planted.h"

struct entry {
    uint64_t set[5];
    uint32_t n_parts;
};

static const struct { uint8_t low, high; } limits[5] = {{0, 59}, {0, 23}, {1, 31}, {1, 12}, {0, 7}};
static const char days[] = "sunmontuewedthufrisat";
static const char months[] = "janfebmaraprmayjunjulaugsepoctnovdec";

static int number(const uint8_t *p, size_t n, size_t *at, uint32_t *value) {
    size_t from = *at;
    *value = 0;
    while (*at < n && p[*at] >= '0' && p[*at] <= '9' && *at - from < 3)
        *value = *value * 10 + (p[(*at)++] - '0');
    return *at > from ? 0 : -1;
}

static int word(const uint8_t *p, size_t n, size_t *at, int which, uint32_t *value) {
    const char *list = which == 4 ? days : which == 3 ? months : "";
    if (n - *at < 3) return -1;
    for (uint32_t i = 0; list[i] != 0; i += 3)
        if ((p[*at] | 0x20) == list[i] && (p[*at + 1] | 0x20) == list[i + 1] &&
            (p[*at + 2] | 0x20) == list[i + 2]) {
            *value = i / 3 + (which == 3);
            *at += 3;
            return 0;
        }
    return -1;
}

static int one(const uint8_t *p, size_t n, size_t *at, int which, uint32_t *value) {
    if (*at < n && p[*at] >= '0' && p[*at] <= '9') return number(p, n, at, value);
    return word(p, n, at, which, value);
}

static int part(struct entry *e, const uint8_t *p, size_t n, size_t *at, int which) {
    uint32_t low = limits[which].low, high = limits[which].high, asked = 1;
    if (*at < n && p[*at] == '*') {
        ++*at;
    } else {
        if (one(p, n, at, which, &low)) return -1;
        high = low;
        if (*at < n && p[*at] == '-') {
            ++*at;
            if (one(p, n, at, which, &high)) return -1;
        }
    }
    if (*at < n && p[*at] == '/') {
        ++*at;
        if (number(p, n, at, &asked) || asked == 0) return -1;
    }
    if (low < limits[which].low || high > limits[which].high || low > high) return -1;
    if (high - low < 6 && asked > 1) return -1; /* no use for a step */
    uint8_t step = (uint8_t)asked;
    FLAW(1, step == 0, return -1);
    for (uint32_t i = low; i <= high; i += step) e->set[which] |= (uint64_t)1 << i;
    e->n_parts++;
    return 0;
}

static int entry(const uint8_t *p, size_t n, uint64_t *sum) {
    struct entry e = {{0}, 0};
    size_t at = 0;
    for (int which = 0; which < 5; which++) {
        while (at < n && (p[at] == ' ' || p[at] == '\t')) at++;
        for (;;) {
            if (part(&e, p, n, &at, which)) return -1;
            if (at >= n || p[at] != ',') break;
            at++;
        }
        if (at >= n || (p[at] != ' ' && p[at] != '\t')) return -1;
    }
    while (at < n && p[at] == ' ') at++;
    if (at == n) return -1;
    for (int which = 0; which < 5; which++) *sum = *sum * 31 + e.set[which];
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint64_t sum = 0;
    size_t at = 0;
    while (at < size) {
        size_t end = at;
        while (end < size && data[end] != '\n') end++;
        if (end > at && data[at] != '#' && entry(data + at, end - at, &sum)) return 0;
        at = end + 1;
    }
    SHOW(sum);
    return 0;
}
