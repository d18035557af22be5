/* GIF: records one by one; pictures of more than 65,536 points are left out. */
#include <gif_lib.h>
#include <stdint.h>
#include <string.h>

enum { MOST = 1 << 16 };
typedef struct { const uint8_t *at, *end; } rest;

static int take(GifFileType *gif, GifByteType *into, int n) {
    rest *left = gif->UserData;
    if (n > left->end - left->at) n = (int)(left->end - left->at);
    memcpy(into, left->at, (size_t)n);
    left->at += n;
    return n;
}

static int picture(GifFileType *gif) {
    static GifPixelType line[MOST];
    if (DGifGetImageDesc(gif) == GIF_ERROR) return GIF_ERROR;
    long width = gif->Image.Width, height = gif->Image.Height;
    if (width * height > MOST) return GIF_ERROR;
    for (long i = 0; i < height; i++)
        if (DGifGetLine(gif, line, (int)width) == GIF_ERROR) return GIF_ERROR;
    return GIF_OK;
}

static int extension(GifFileType *gif) {
    int code;
    GifByteType *block;
    GraphicsControlBlock control;
    if (DGifGetExtension(gif, &code, &block) == GIF_ERROR) return GIF_ERROR;
    while (block != NULL) {
        if (code == GRAPHICS_EXT_FUNC_CODE) DGifExtensionToGCB(block[0], block + 1, &control);
        if (DGifGetExtensionNext(gif, &block) == GIF_ERROR) return GIF_ERROR;
    }
    return GIF_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    rest left = {data, data + size};
    int error, went = GIF_OK;
    GifRecordType kind = UNDEFINED_RECORD_TYPE;
    GifFileType *gif = DGifOpen(&left, take, &error);
    if (gif == NULL) return 0;
    while (went == GIF_OK && kind != TERMINATE_RECORD_TYPE) {
        went = DGifGetRecordType(gif, &kind);
        if (went == GIF_OK && kind == IMAGE_DESC_RECORD_TYPE) went = picture(gif);
        if (went == GIF_OK && kind == EXTENSION_RECORD_TYPE) went = extension(gif);
    }
    DGifCloseFile(gif, &error);
    return 0;
}
