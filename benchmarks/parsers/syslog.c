/* syslog lines (RFC 5424): priority, version, time, host, program, structured data, message.
   CWE-134, seen as SEGV. Messages of the lowest severity go through a template of their own, which
   is the message. Echoes the format string bugs of log daemons around the year 2000. */
#include "planted.h"

struct event {
    uint32_t facility, severity;
    uint32_t n_elements, n_parameters;
    char line[160];
};

static size_t word(const uint8_t *p, size_t n, size_t at, size_t longest) {
    size_t from = at;
    while (at < n && p[at] > ' ' && p[at] < 0x7f) at++;
    return at == from || at - from > longest || at >= n || p[at] != ' ' ? 0 : at + 1;
}

static size_t priority(struct event *e, const uint8_t *p, size_t n) {
    uint32_t value = 0;
    size_t at = 1;
    if (n < 5 || p[0] != '<') return 0;
    for (; at < n && at < 4 && p[at] >= '0' && p[at] <= '9'; at++) value = value * 10 + (p[at] - '0');
    if (at == 1 || at + 2 >= n || p[at] != '>' || value > 191) return 0;
    e->facility = value >> 3;
    e->severity = value & 7;
    return p[at + 1] == '1' && p[at + 2] == ' ' ? at + 3 : 0;
}

static int time_ok(const uint8_t *p, size_t n) {
    static const char shape[] = "dddd-dd-ddTdd:dd:dd";
    if (n == 1) return p[0] == '-';
    if (n < sizeof shape) return 0;
    for (size_t i = 0; shape[i] != 0; i++)
        if (shape[i] == 'd' ? p[i] < '0' || p[i] > '9' : p[i] != (uint8_t)shape[i]) return 0;
    return 1;
}

static size_t structured(struct event *e, const uint8_t *p, size_t n, size_t at) {
    if (at < n && p[at] == '-') return at + 1;
    while (at < n && p[at] == '[') {
        e->n_elements++;
        while (at < n && p[at] != ']') {
            if (p[at] == '"') {
                e->n_parameters++;
                for (at++; at < n && p[at] != '"'; at++)
                    if (p[at] == '\\') at++;
            }
            at++;
        }
        at++;
    }
    return at <= n && e->n_elements > 0 ? at : 0;
}

/* One conversion that takes a number is allowed: the severity is given. */
static int template_ok(const char *text) {
    int n = 0;
    for (; *text != 0; text++) {
        if (*text != '%') continue;
        text++;
        if (*text == 0 || strchr("dxusn", *text) == NULL || ++n > 1) return 0;
    }
    return 1;
}

static int takes_pointer(const char *text) {
    const char *sign = strchr(text, '%');
    return sign != NULL && (sign[1] == 's' || sign[1] == 'n');
}

static void write_line(struct event *e, const uint8_t *p, size_t n) {
    char message[100];
    if (n >= sizeof message) n = sizeof message - 1;
    memcpy(message, p, n);
    message[n] = 0;
    if (e->severity == 7 && e->n_parameters > 0 && template_ok(message)) {
        FLAW(1, takes_pointer(message), return);
        snprintf(e->line, sizeof e->line, message, (size_t)e->severity);
    } else {
        snprintf(e->line, sizeof e->line, "%u: %s", e->severity, message);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct event e = {0};
    if (size > 400) return 0;
    size_t at = priority(&e, data, size);
    if (at == 0) return 0;
    size_t from = at;
    if ((at = word(data, size, at, 32)) == 0 || !time_ok(data + from, at - from - 1)) return 0;
    if ((at = word(data, size, at, 255)) == 0) return 0; /* host */
    for (int i = 0; i < 3; i++) /* program, process, kind */
        if ((at = word(data, size, at, 48)) == 0) return 0;
    at = structured(&e, data, size, at);
    if (at == 0 || at >= size || data[at] != ' ') return 0;
    write_line(&e, data + at + 1, size - at - 1);
    SHOW(e.line[0] + e.facility);
    return 0;
}
