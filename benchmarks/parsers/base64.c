/* Mail-like armour: headers, a blank line, base64 in lines, a check sum of three bytes.
   CWE-193, seen as heap-buffer-overflow. Text that is not a whole number of groups gets one byte
   too few when it ends without padding. Echoes CVE-2018-6789 (base64 in Exim). */
#include "planted.h"

struct armour {
    int is_base64;
    int strict;
    uint32_t n_headers;
    uint32_t sum;
};

static int digit(uint8_t c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+') return 62;
    if (c == '/') return 63;
    return -1;
}

static int starts(const uint8_t *p, size_t n, const char *word) {
    size_t i = 0;
    for (; word[i] != 0; i++)
        if (i >= n || (p[i] | 0x20) != (word[i] | 0x20)) return 0;
    return 1;
}

static int header(struct armour *a, const uint8_t *p, size_t n) {
    if (n > 76 || memchr(p, ':', n) == NULL) return -1;
    if (starts(p, n, "encoding: base64")) a->is_base64 = 1;
    else if (starts(p, n, "strict:")) a->strict = n > 8 && p[8] == '1';
    a->n_headers++;
    return 0;
}

static size_t count(const uint8_t *p, size_t n, size_t *pads) {
    size_t digits = 0;
    *pads = 0;
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '=') ++*pads;
        else if (digit(p[i]) >= 0 && *pads == 0) digits++;
        else if (p[i] != '\n' && p[i] != '\r') return 0;
    }
    return digits;
}

static void decode(struct armour *a, const uint8_t *p, size_t n) {
    size_t pads, digits = count(p, n, &pads), made = 0, bits = 0;
    uint32_t held = 0;
    if (digits == 0 || pads > 2) return;
    if (a->strict && (digits + pads) % 4 != 0) return;
    size_t room = digits / 4 * 3 + (pads == 1 ? 2 : pads == 2 ? 1 : 0);
    if (pads == 0 && digits % 4 == 3) room += 1; /* two bytes are in it */
    else if (pads == 0 && digits % 4 == 2) room += 1;
    if (pads > 0 && (digits + pads) % 4 != 0) return;
    uint8_t *plain = take(room);
    if (plain == NULL) return;
    for (size_t i = 0; i < n; i++) {
        int d = digit(p[i]);
        if (d < 0) continue;
        held = held << 6 | (uint32_t)d;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            FLAW(1, made >= room, return);
            plain[made++] = (uint8_t)(held >> bits);
        }
    }
    for (size_t i = 0; i < made; i++) a->sum += plain[i];
    SHOW(a->sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct armour a = {0};
    size_t at = 0;
    start();
    while (at < size) {
        size_t end = at;
        while (end < size && data[end] != '\n') end++;
        if (end == at) {
            if (a.n_headers > 1 && a.is_base64 && end < size) decode(&a, data + end, size - end);
            return 0;
        }
        if (header(&a, data + at, end - at)) return 0;
        at = end + 1;
    }
    return 0;
}
