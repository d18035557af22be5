/* XML with namespaces and an internal subset; the salt of its hashes is fixed. */
#include <expat.h>
#include <stdint.h>

static void on_start(void *user, const XML_Char *name, const XML_Char **atts) {
    (void)user, (void)name, (void)atts;
}
static void on_end(void *user, const XML_Char *name) { (void)user, (void)name; }
static void on_text(void *user, const XML_Char *text, int n) { (void)user, (void)text, (void)n; }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    XML_Parser parser = XML_ParserCreateNS(NULL, '\n');
    if (parser == NULL) return 0;
    XML_SetHashSalt(parser, 1);
    XML_SetElementHandler(parser, on_start, on_end);
    XML_SetCharacterDataHandler(parser, on_text);
    XML_Parse(parser, (const char *)data, (int)size, 1);
    XML_ParserFree(parser);
    return 0;
}
