/* HTTP/1.1 requests: request line, headers, a body in chunks.
   CWE-195, seen as stack-buffer-overflow. The size of a chunk is signed; a size with its highest
   bit set is below the limit. Echoes CVE-2013-2028 (chunked bodies in nginx). */
#include "planted.h"

struct request {
    int method;
    int chunked;
    int keep;
    uint32_t length;
    uint32_t n_headers;
};

static int same(const uint8_t *p, size_t n, const char *word) {
    size_t i = 0;
    for (; i < n && word[i] != 0; i++)
        if ((p[i] | 0x20) != (word[i] | 0x20)) return 0;
    return i == n && word[i] == 0;
}

static size_t line_end(const uint8_t *p, size_t n, size_t at) {
    while (at < n && p[at] != '\n') at++;
    return at;
}

static int request_line(struct request *r, const uint8_t *p, size_t n) {
    size_t space = 0, target;
    while (space < n && p[space] != ' ') space++;
    if (same(p, space, "GET")) r->method = 1;
    else if (same(p, space, "POST")) r->method = 2;
    else if (same(p, space, "PUT")) r->method = 3;
    else return -1;
    target = ++space;
    while (space < n && p[space] != ' ') space++;
    if (space >= n || target >= n || p[target] != '/') return -1;
    return n - space >= 9 && p[space + 1] == 'H' && p[space + 6] == '1' ? 0 : -1;
}

static int header(struct request *r, const uint8_t *p, size_t n) {
    size_t colon = 0, from;
    while (colon < n && p[colon] != ':') colon++;
    if (colon == n || colon == 0 || ++r->n_headers > 50) return -1;
    from = colon + 1;
    while (from < n && p[from] == ' ') from++;
    if (same(p, colon, "Transfer-Encoding")) {
        r->chunked = same(p + from, n - from, "chunked");
    } else if (same(p, colon, "Content-Length")) {
        for (; from < n && p[from] >= '0' && p[from] <= '9' && r->length < 100000; from++)
            r->length = r->length * 10 + (p[from] - '0');
    } else if (same(p, colon, "Connection")) {
        r->keep = same(p + from, n - from, "keep-alive");
    }
    return 0;
}

static uint32_t chunks(const uint8_t *p, size_t n, size_t at) {
    uint8_t buffer[64];
    uint32_t sum = 0;
    for (;;) {
        int32_t length = 0;
        size_t digits = 0;
        for (; at < n && digits < 8; at++, digits++) {
            uint8_t c = p[at];
            uint32_t digit = c >= '0' && c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10u;
            if (digit > 15) break;
            length = (int32_t)((uint32_t)length << 4 | digit);
        }
        at = line_end(p, n, at) + 1;
        if (digits == 0 || length == 0 || at >= n) return sum;
        if (length > (int32_t)sizeof buffer) return sum;
        FLAW(1, length < 0 && n - at > sizeof buffer, return sum);
        for (size_t i = 0; i != (size_t)length && at < n; i++) buffer[i] = p[at++];
        sum += buffer[(size_t)length / 2 % sizeof buffer];
        SHOW(sum);
        if (at < n && p[at] == '\r') at++;
        if (at < n && p[at] == '\n') at++;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct request r = {0};
    size_t at = 0, n_lines = 0;
    while (at < size) {
        size_t end = line_end(data, size, at), n = end - at;
        if (n > 0 && data[end - 1] == '\r') n--;
        if (n_lines++ == 0) {
            if (request_line(&r, data, n)) return 0;
        } else if (n == 0) {
            if (r.chunked && r.method > 1 && end < size) chunks(data, size, end + 1);
            return 0;
        } else if (header(&r, data + at, n)) {
            return 0;
        }
        at = end + 1;
    }
    return 0;
}
