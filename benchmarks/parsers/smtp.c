/* A session of SMTP: HELO, EHLO, MAIL, RCPT, DATA, BDAT, RSET, NOOP, QUIT, a line each.
   CWE-416, seen as heap-use-after-free. A greeting in the middle gives up the mail as RSET does,
   but goes on with its parts. Echoes CVE-2017-16943 (BDAT in Exim). */
#include "planted.h"

enum { ROOM = 64, MOST_ERRORS = 4 };

struct mail {
    uint32_t from;
    uint32_t n_to;
    size_t n_body;
    uint8_t body[ROOM];
};

struct session {
    const uint8_t *p;
    size_t n, at;
    struct mail *mail;  /* between MAIL and its end */
    struct mail *parts; /* the one that BDAT goes on with */
    uint32_t greeted, sent, errors, sum;
};

static size_t line(const struct session *s, size_t *next) {
    size_t end = s->at;
    while (end < s->n && s->p[end] != '\n') end++;
    *next = end < s->n ? end + 1 : end;
    if (end > s->at && s->p[end - 1] == '\r') end--;
    return end - s->at;
}

static int begins(const uint8_t *p, size_t n, const char *word) {
    size_t length = strlen(word);
    if (n < length) return 0;
    for (size_t i = 0; i < length; i++) {
        uint8_t c = p[i] >= 'a' && p[i] <= 'z' ? p[i] - 32 : p[i];
        if (c != (uint8_t)word[i]) return 0;
    }
    return 1;
}

/* <someone@somewhere> as a number; 0: none. */
static uint32_t address(const uint8_t *p, size_t n) {
    uint32_t hash = 7, ats = 0;
    if (n < 2 || p[0] != '<') return 0;
    for (size_t i = 1; i < n; i++) {
        if (p[i] == '>') return ats == 1 || i == 1 ? hash | 1 : 0;
        if (p[i] <= ' ') return 0;
        ats += p[i] == '@';
        hash = hash * 31 + p[i];
    }
    return 0;
}

static void drop(struct session *s) {
    if (s->mail != NULL) give(s->mail);
    s->mail = NULL;
}

static int greet(struct session *s, size_t n) {
    if (n < 6) return -1;
    drop(s);
    s->greeted++;
    return 0;
}

static int mail(struct session *s, const uint8_t *p, size_t n) {
    if (!s->greeted || s->mail != NULL || s->parts != NULL) return -1;
    uint32_t from = address(p, n);
    if (from == 0 || (s->mail = take(sizeof *s->mail)) == NULL) return -1;
    memset(s->mail, 0, sizeof *s->mail);
    s->mail->from = from;
    return 0;
}

static void body(struct mail *m, const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++) m->body[m->n_body++ % ROOM] = p[i];
}

static void sent(struct session *s, struct mail *m) {
    s->sum += m->from + m->n_to + m->body[0];
    SHOW(s->sum);
    s->sent++;
    s->parts = NULL;
    drop(s);
}

/* Lines up to one with a single dot. */
static int data_lines(struct session *s) {
    size_t next;
    if (s->mail == NULL || s->mail->n_to == 0 || s->parts != NULL) return -1;
    while (s->at < s->n) {
        size_t n = line(s, &next), dots = n > 0 && s->p[s->at] == '.';
        if (n == 1 && dots) {
            s->at = next;
            sent(s, s->mail);
            return 0;
        }
        body(s->mail, s->p + s->at + dots, n - dots);
        s->at = next;
    }
    return 0;
}

/* BDAT 12 [LAST] and then so many bytes. */
static int part(struct session *s, const uint8_t *p, size_t n) {
    size_t length = 0, at = 0;
    if (s->parts == NULL && (s->mail == NULL || s->mail->n_to == 0)) return -1;
    while (at < n && at < 4 && p[at] >= '0' && p[at] <= '9') length = length * 10 + (p[at++] - '0');
    if (at == 0 || length > s->n - s->at) return -1;
    int last = begins(p + at, n - at, " LAST");
    if (!last && (at < n || length == 0)) return -1;
    FLAW(1, s->parts != NULL && s->mail == NULL, return -1);
    if (s->parts == NULL) s->parts = s->mail;
    body(s->parts, s->p + s->at, length);
    s->at += length;
    if (last) sent(s, s->parts);
    return 0;
}

static int command(struct session *s, const uint8_t *p, size_t n) {
    if (begins(p, n, "EHLO ") || begins(p, n, "HELO ")) return greet(s, n);
    if (begins(p, n, "MAIL FROM:")) return mail(s, p + 10, n - 10);
    if (begins(p, n, "RCPT TO:")) {
        if (s->mail == NULL || address(p + 8, n - 8) == 0) return -1;
        s->mail->n_to++;
        return 0;
    }
    if (begins(p, n, "BDAT ")) return part(s, p + 5, n - 5);
    if (n != 4) return -1;
    if (begins(p, n, "DATA")) return data_lines(s);
    if (begins(p, n, "RSET")) {
        s->parts = NULL;
        drop(s);
        return 0;
    }
    return begins(p, n, "NOOP") ? 0 : -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct session s = {0};
    start();
    s.p = data;
    s.n = size;
    while (s.at < size && s.errors < MOST_ERRORS) {
        size_t next, n = line(&s, &next);
        const uint8_t *p = data + s.at;
        s.at = next;
        if (begins(p, n, "QUIT")) break;
        if (command(&s, p, n)) s.errors++;
    }
    SHOW(s.sum + s.sent + s.errors);
    return 0;
}
