/* Dates, one a line: ISO 8601 with and without hyphens, by week, by day of the year; mail's form.
   CWE-129, seen as global-buffer-overflow. A date without hyphens has its month looked at only when
   the day is past the 28th. Echoes the table look-ups of several calendar libraries. */
#include "planted.h"

struct date {
    uint32_t year, month, day;
    int minutes; /* of the day, in UTC once the zone was taken off */
    int week, weekday;
};

struct line {
    const uint8_t *p;
    size_t n, at;
};

static const uint8_t lengths[12] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
static const char months[] = "janfebmaraprmayjunjulaugsepoctnovdec";
static const char days[] = "montuewedthufrisatsun";

static uint32_t length_of(uint32_t month) {
    FLAW(1, month - 1 >= 12, return 30);
    return lengths[month - 1];
}

static int is(struct line *l, uint8_t c) {
    if (l->at >= l->n || l->p[l->at] != c) return 0;
    l->at++;
    return 1;
}

static int digits(struct line *l, size_t count, uint32_t *value) {
    *value = 0;
    if (l->n - l->at < count) return -1;
    for (size_t i = 0; i < count; i++) {
        uint8_t c = l->p[l->at++];
        if (c < '0' || c > '9') return -1;
        *value = *value * 10 + (c - '0');
    }
    return 0;
}

static int word(struct line *l, const char *list, uint32_t *place) {
    if (l->n - l->at < 3) return -1;
    for (uint32_t i = 0; list[i] != 0; i += 3)
        if ((l->p[l->at] | 0x20) == list[i] && (l->p[l->at + 1] | 0x20) == list[i + 1] &&
            (l->p[l->at + 2] | 0x20) == list[i + 2]) {
            l->at += 3;
            *place = i / 3 + 1;
            return 0;
        }
    return -1;
}

static int zone(struct line *l, struct date *d) {
    uint32_t hours, minutes = 0;
    is(l, ' ');
    if (is(l, 'Z')) return 0;
    int west = is(l, '-');
    if (!west && !is(l, '+')) return -1;
    if (digits(l, 2, &hours) || hours > 14) return -1;
    if ((is(l, ':') || l->at < l->n) && (digits(l, 2, &minutes) || minutes > 59)) return -1;
    d->minutes += (west ? 1 : -1) * (int)(hours * 60 + minutes);
    return 0;
}

static int clock_time(struct line *l, struct date *d, int apart) {
    uint32_t hours, minutes, seconds;
    if (digits(l, 2, &hours) || hours > 23 || (apart && !is(l, ':'))) return -1;
    if (digits(l, 2, &minutes) || minutes > 59) return -1;
    if (apart ? is(l, ':') : l->at < l->n && l->p[l->at] <= '5' && l->p[l->at] >= '0')
        if (digits(l, 2, &seconds) || seconds > 60) return -1;
    d->minutes = (int)(hours * 60 + minutes);
    return zone(l, d);
}

/* The day before or after, where the zone leads across midnight. */
static void across(struct date *d) {
    if (d->minutes < 0) {
        d->minutes += 1440;
        if (--d->day == 0) {
            d->month = d->month == 1 ? 12 : d->month - 1;
            d->day = length_of(d->month);
        }
    } else if (d->minutes >= 1440) {
        d->minutes -= 1440;
        if (++d->day > length_of(d->month)) d->day = 1;
    }
}

static int iso(struct line *l, struct date *d) {
    uint32_t number;
    int apart;
    if (digits(l, 4, &d->year)) return -1;
    apart = is(l, '-');
    if (is(l, 'W')) {
        if (digits(l, 2, &number) || number == 0 || number > 53) return -1;
        d->week = (int)number;
        if (apart && !is(l, '-')) return -1;
        if (digits(l, 1, &number) || number == 0 || number > 7) return -1;
        d->weekday = (int)number;
        return l->at == l->n ? 0 : -1;
    }
    if (apart && l->n - l->at == 3) return digits(l, 3, &number) || number == 0 || number > 366;
    if (digits(l, 2, &d->month) || (apart && (d->month - 1 >= 12 || !is(l, '-')))) return -1;
    if (digits(l, 2, &d->day) || d->day == 0 || d->day > 31) return -1;
    if (d->day > 28 && (d->month - 1 >= 12 || d->day > length_of(d->month))) return -1;
    return is(l, 'T') ? clock_time(l, d, apart) : 0;
}

static int mail(struct line *l, struct date *d) {
    uint32_t place;
    if (word(l, days, &place) || !is(l, ',') || !is(l, ' ')) return -1;
    d->weekday = (int)place;
    if (digits(l, 2, &d->day) || !is(l, ' ') || word(l, months, &d->month)) return -1;
    if (d->day == 0 || d->day > length_of(d->month) || !is(l, ' ')) return -1;
    if (digits(l, 4, &d->year) || !is(l, ' ')) return -1;
    return clock_time(l, d, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct line l = {data, 0, 0};
    for (size_t from = 0; from < size; from = l.n + 1) {
        struct date d = {0};
        l.at = l.n = from;
        while (l.n < size && data[l.n] != '\n') l.n++;
        if (l.n == from) continue;
        if (data[from] >= '0' && data[from] <= '9' ? iso(&l, &d) : mail(&l, &d)) return 0;
        if (l.at != l.n) return 0;
        across(&d);
        SHOW(d.day + d.month * 31 + d.year * 366 + (uint32_t)(d.week + d.weekday + d.minutes));
    }
    return 0;
}
