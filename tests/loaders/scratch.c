#include "scratch.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

void scratch_begin(void)
{
    strcpy(folder, "/tmp/vitrun-test-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

void scratch_end(void) { nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS); }

const char *scratch_path(const char *name)
{
    static char     paths[8][400];
    static unsigned next;
    char           *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

void scratch_write(const char *name, const void *bytes, size_t length)
{
    FILE *f = fopen(scratch_path(name), "wb");
    cr_assert_not_null(f, "%s", name);
    if (length) cr_assert_eq(fwrite(bytes, 1, length, f), length);
    cr_assert_eq(fclose(f), 0);
}

void scratch_text(const char *name, const char *text) { scratch_write(name, text, strlen(text)); }

char *scratch_read(const char *name, size_t *length)
{
    FILE       *f = fopen(scratch_path(name), "rb");
    struct stat st;
    if (!f) return NULL;
    cr_assert_eq(fstat(fileno(f), &st), 0);
    char *bytes = malloc((size_t)st.st_size + 1);
    cr_assert_not_null(bytes);
    *length = fread(bytes, 1, (size_t)st.st_size, f);
    bytes[*length] = 0;
    fclose(f);
    return bytes;
}

int scratch_count(void)
{
    DIR *d = opendir(folder);
    int  n = 0;
    cr_assert_not_null(d);
    while (readdir(d)) n++;
    closedir(d);
    return n - 2;
}

unsigned char *scratch_safetensors(const char *header, size_t data, size_t *length)
{
    uint64_t       n = strlen(header);
    unsigned char *file = malloc(8 + n + data);
    cr_assert_not_null(file);
    memcpy(file, &n, 8);
    memcpy(file + 8, header, n);
    for (size_t i = 0; i < data; i++) file[8 + n + i] = (unsigned char)i;
    *length = 8 + n + data;
    return file;
}

uint64_t scratch_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545F4914F6CDD1Du;
}
