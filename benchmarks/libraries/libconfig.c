/* Configuration in libconfig's own language; nothing is included from files. */
#include <libconfig.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char text[1 << 16];
    config_t config;
    if (size >= sizeof text) return 0;
    memcpy(text, data, size);
    text[size] = 0;
    if (strstr(text, "@include") != NULL) return 0;
    config_init(&config);
    config_read_string(&config, text);
    config_destroy(&config);
    return 0;
}
