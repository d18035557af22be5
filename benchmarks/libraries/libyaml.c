/* YAML: every document of a stream, as a tree. */
#include <stdint.h>
#include <yaml.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    yaml_parser_t parser;
    yaml_document_t document;
    int more = 1;
    if (!yaml_parser_initialize(&parser)) return 0;
    yaml_parser_set_input_string(&parser, data, size);
    while (more && yaml_parser_load(&parser, &document)) {
        more = yaml_document_get_root_node(&document) != NULL;
        yaml_document_delete(&document);
    }
    yaml_parser_delete(&parser);
    return 0;
}
