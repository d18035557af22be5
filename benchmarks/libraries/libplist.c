/* Property lists, binary and XML. */
#include <stddef.h>

#include <plist/plist.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    plist_t root = NULL;
    if (size < 8) return 0;
    plist_from_memory((const char *)data, (uint32_t)size, &root);
    plist_free(root);
    return 0;
}
