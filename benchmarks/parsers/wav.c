/* WAV sound: RIFF chunks fmt, fact, LIST and data.
   CWE-369, seen as FPE. The number of frames is the size of the data by the size of a frame, and
   only plain samples have that checked. Echoes the divisions by zero of many sound tools. */
#include "planted.h"

enum { PCM = 1, ADPCM = 2, FLOATS = 3, ALAW = 6, EXTENSIBLE = 0xfffe };

struct sound {
    uint32_t format, channels, rate, align, bits;
    uint32_t samples_per_block;
    uint32_t facts;
    uint32_t n_tags;
    uint32_t frames;
};

static uint32_t u16(const uint8_t *p) { return (uint32_t)(p[0] | p[1] << 8); }
static uint32_t u32(const uint8_t *p) { return u16(p) | u16(p + 2) << 16; }

static int id_is(const uint8_t *p, const char *name) {
    for (int i = 0; i < 4; i++)
        if (p[i] != (uint8_t)name[i]) return 0;
    return 1;
}

static int fmt(struct sound *s, const uint8_t *p, size_t n) {
    if (n < 16) return -1;
    s->format = u16(p);
    s->channels = u16(p + 2);
    s->rate = u32(p + 4);
    s->align = u16(p + 12);
    s->bits = u16(p + 14);
    if (s->channels == 0 || s->channels > 8 || s->rate == 0) return -1;
    if (s->format == EXTENSIBLE) {
        if (n < 40 || u16(p + 16) < 22) return -1;
        s->format = u16(p + 24);
    }
    switch (s->format) {
    case PCM:
    case FLOATS:
        if (s->bits % 8 != 0 || s->bits == 0) return -1;
        if (s->align != s->channels * (s->bits / 8)) return -1;
        break;
    case ADPCM:
        if (n < 20) return -1;
        s->samples_per_block = u16(p + 18);
        break;
    case ALAW:
        s->align = s->channels;
        break;
    default:
        return -1;
    }
    return 0;
}

static int tags(struct sound *s, const uint8_t *p, size_t n) {
    if (n < 4 || !id_is(p, "INFO")) return 0;
    size_t at = 4;
    while (n - at >= 8) {
        uint32_t length = u32(p + at + 4);
        at += 8;
        if (length > n - at) return -1;
        if (length > 0 && p[at + length - 1] == 0) s->n_tags++;
        at += length;
        if ((length & 1) && at < n) at++;
    }
    return 0;
}

static void sound_data(struct sound *s, size_t n) {
    if (s->format == 0) return;
    if (s->format == ADPCM) {
        if (s->facts == 0) return;
        FLAW(1, s->align == 0, return);
        s->frames += (uint32_t)n / s->align * s->samples_per_block;
    } else {
        s->frames += (uint32_t)n / s->align;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sound s = {0};
    if (size < 12 || !id_is(data, "RIFF") || !id_is(data + 8, "WAVE")) return 0;
    size_t at = 12;
    while (size - at >= 8) {
        const uint8_t *id = data + at;
        size_t n = u32(data + at + 4);
        at += 8;
        if (n > size - at) n = size - at; /* cut off files are played as far as they go */
        if (id_is(id, "fmt ")) {
            if (fmt(&s, data + at, n)) return 0;
        } else if (id_is(id, "fact")) {
            if (n >= 4) s.facts = u32(data + at);
        } else if (id_is(id, "LIST")) {
            if (tags(&s, data + at, n)) return 0;
        } else if (id_is(id, "data")) {
            sound_data(&s, n);
            SHOW(s.frames);
        }
        at += n;
        if ((n & 1) && at < size) at++;
    }
    SHOW(s.frames);
    return 0;
}
