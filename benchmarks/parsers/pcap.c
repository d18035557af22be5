/* Captures of packets: a file header in either byte order, records of Ethernet, IPv4, UDP, TCP.
   CWE-125, seen as heap-buffer-overflow. The options of TCP are held against their end, but the
   list of blocks that were received only has to be of whole blocks. Echoes the printers of tcpdump
   (CVE-2017-13011 and its siblings). */
#include "planted.h"

enum { MOST_PACKETS = 32, SNAP = 1 << 14 };

struct capture {
    int swapped;
    uint32_t snap, link;
    uint32_t n_packets, n_segments, n_blocks;
    uint32_t hash;
};

static uint32_t be16(const uint8_t *p) { return (uint32_t)(p[0] << 8 | p[1]); }
static uint32_t be32(const uint8_t *p) { return be16(p) << 16 | be16(p + 2); }

static uint32_t file32(const struct capture *c, const uint8_t *p) {
    if (c->swapped) return be32(p);
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static void blocks(struct capture *c, const uint8_t *p, size_t n) {
    for (size_t i = 0; i + 8 <= n; i += 8) {
        c->hash = c->hash * 31 + be32(p + i) - be32(p + i + 4);
        c->n_blocks++;
    }
    SHOW(c->hash);
}

static void tcp_options(struct capture *c, const uint8_t *p, size_t n) {
    size_t at = 0;
    while (at < n) {
        uint8_t kind = p[at];
        if (kind == 0) return;
        if (kind == 1) {
            at++;
            continue;
        }
        if (n - at < 2) return;
        size_t length = p[at + 1];
        if (kind == 5) {
            if (length < 10 || (length - 2) % 8 != 0) return;
            FLAW(1, length > n - at, return);
            blocks(c, p + at + 2, length - 2);
        } else if (length < 2 || length > n - at) {
            return;
        } else if ((kind == 2 && length != 4) || (kind == 3 && length != 3)) {
            return;
        } else {
            c->hash += kind;
        }
        at += length;
    }
}

static void tcp(struct capture *c, const uint8_t *p, size_t n) {
    if (n < 20) return;
    size_t header = (size_t)(p[12] >> 4) * 4;
    if (header < 20 || header > n) return;
    c->n_segments++;
    c->hash ^= be16(p) + be16(p + 2) + (p[13] & 0x3f);
    if ((p[13] & 3) == 3 || (p[13] & 0x12) == 0) return; /* neither a first one nor an answer */
    tcp_options(c, p + 20, header - 20);
}

static void udp(struct capture *c, const uint8_t *p, size_t n) {
    if (n < 8 || be16(p + 4) < 8 || be16(p + 4) > n) return;
    c->hash += be16(p) ^ be16(p + 2);
}

static void ipv4(struct capture *c, const uint8_t *p, size_t n) {
    if (n < 20 || p[0] >> 4 != 4) return;
    size_t header = (size_t)(p[0] & 15) * 4, whole = be16(p + 2);
    if (header < 20 || whole < header || whole > n) return;
    if (be16(p + 6) & 0x1fff) return; /* a later fragment */
    if (p[9] == 6) tcp(c, p + header, whole - header);
    else if (p[9] == 17) udp(c, p + header, whole - header);
    else c->hash += p[9];
}

static void ethernet(struct capture *c, const uint8_t *p, size_t n) {
    size_t at = 12;
    for (int tags = 0; tags < 3 && n >= at + 2; tags++) {
        uint32_t kind = be16(p + at);
        at += 2;
        if (kind == 0x0800) {
            ipv4(c, p + at, n - at);
            return;
        }
        if (kind != 0x8100) return;
        at += 2;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct capture c = {0};
    size_t at = 24;
    start();
    if (size < 24) return 0;
    c.swapped = data[0] == 0xa1;
    if (file32(&c, data) != 0xa1b2c3d4) return 0;
    c.snap = file32(&c, data + 16);
    c.link = file32(&c, data + 20);
    if (c.snap > SNAP || (c.link != 1 && c.link != 101)) return 0;
    while (size - at >= 16 && c.n_packets < MOST_PACKETS) {
        uint32_t kept = file32(&c, data + at + 8), whole = file32(&c, data + at + 12);
        at += 16;
        if (kept > c.snap || kept > whole || kept > size - at) return 0;
        uint8_t *packet = take(kept);
        if (packet == NULL) return 0;
        memcpy(packet, data + at, kept);
        if (c.link == 1) ethernet(&c, packet, kept);
        else ipv4(&c, packet, kept);
        at += kept;
        c.n_packets++;
    }
    SHOW(c.hash + c.n_packets + c.n_segments + c.n_blocks);
    return 0;
}
