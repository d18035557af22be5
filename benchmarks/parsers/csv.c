/* Comma-separated values: quoted cells, two kinds of line ends, sums of the columns of numbers.
   CWE-787, seen as heap-buffer-overflow. The first line says how many columns there are; a
   longer line is refused, but not at a cell with a doubled quote. Echoes table readers that trust the header. */
#include "planted.h"

struct table {
    uint32_t *sums;
    size_t n_columns;
    size_t column;
    size_t row;
    uint32_t n_doubled;
};

static uint32_t number_of(const uint8_t *p, size_t n) {
    uint32_t value = 0;
    size_t i = 0;
    if (n > 0 && (p[0] == '-' || p[0] == '+')) i++;
    for (; i < n; i++) {
        if (p[i] < '0' || p[i] > '9') return 0;
        value = value * 10 + (p[i] - '0');
    }
    return n > 0 && p[0] == '-' ? 0 - value : value;
}

static int cell(struct table *t, const uint8_t *p, size_t n, int doubled) {
    if (t->row == 0) {
        if (n == 0 || t->column > 40) return -1;
        t->column++;
        return 0;
    }
    if (!doubled) {
        if (t->column >= t->n_columns) return -1;
    } else {
        t->n_doubled++;
        FLAW(1, t->column >= t->n_columns, return -1);
    }
    t->sums[t->column++] += number_of(p, n);
    return 0;
}

static int end_of_line(struct table *t) {
    if (t->row == 0) {
        t->n_columns = t->column;
        t->sums = take(t->n_columns * sizeof *t->sums);
        if (t->sums == NULL) return -1;
        memset(t->sums, 0, t->n_columns * sizeof *t->sums);
    } else if (t->column < t->n_columns && t->column > 1) {
        return -1; /* a short line, but for an empty one */
    }
    if (t->sums != NULL && t->row > 0) SHOW(t->sums[0]);
    t->column = 0;
    t->row++;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct table t = {0};
    size_t at = 0;
    start();
    if (size >= 3 && data[0] == 0xef && data[1] == 0xbb && data[2] == 0xbf) at = 3;
    while (at < size) {
        size_t from = at, end;
        int doubled = 0;
        if (data[at] == '"') {
            from = ++at;
            for (; at < size; at++) {
                if (data[at] != '"') continue;
                if (at + 1 >= size || data[at + 1] != '"') break;
                doubled = 1;
                at++;
            }
            if (at >= size) return 0;
            end = at++;
        } else {
            while (at < size && data[at] != ',' && data[at] != '\n' && data[at] != '\r') at++;
            end = at;
        }
        if (cell(&t, data + from, end - from, doubled)) return 0;
        if (at >= size) break;
        if (data[at] == ',') {
            at++;
        } else if (data[at] == '\n' || data[at] == '\r') {
            if (data[at] == '\r' && at + 1 < size && data[at + 1] == '\n') at++;
            at++;
            if (end_of_line(&t)) return 0;
        } else {
            return 0;
        }
    }
    if (t.sums != NULL) SHOW(t.sums[t.n_columns - 1]);
    return 0;
}
