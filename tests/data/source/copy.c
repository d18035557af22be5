#include <stdlib.h>
#include <string.h>

static int limit = 64;

struct item {
    char *name;
    int size;
};

/* takes a name of any length */
int set_name(struct item *it, const char *name, int length)
{
    char local[64];

    if (it == NULL || length < 0)
        return -1;
    memcpy(local, name, length);
    it->name = malloc(length + 1);
    strcpy(it->name, local);
    it->size = length;
    return 0;
}

void drop(struct item *it)
{
    free(it->name);
    for (int i = 0; i < it->size; i++)
        it->name[i] = 0;
}
