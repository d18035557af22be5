/* JSON: read, and written again. */
#include <cJSON.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    cJSON *tree = cJSON_ParseWithLength((const char *)data, size);
    if (tree == NULL) return 0;
    cJSON_free(cJSON_Print(tree));
    cJSON_Delete(tree);
    return 0;
}
