/* scratch.c: temporary folders for tests. */
#include "scratch.h"

#include <assert.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

scratch scratch_make(void)
{
    scratch     s;
    const char *base = getenv("TMPDIR");
    snprintf(s.path, sizeof s.path, "%s/vitrun-test-XXXXXX", base ? base : "/tmp");
    char *made = mkdtemp(s.path);
    assert(made);
    (void)made;
    return s;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st, (void)type, (void)walk;
    return remove(path);
}

void scratch_remove(scratch *s) { nftw(s->path, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

char *scratch_name(const scratch *s, const char *name, char out[512])
{
    snprintf(out, 512, "%s/%s", s->path, name);
    return out;
}

static void write_bytes(const scratch *s, const char *name, const void *bytes, size_t length)
{
    char  path[512];
    FILE *f = fopen(scratch_name(s, name, path), "wb");
    assert(f);
    size_t written = fwrite(bytes, 1, length, f);
    int    closed = fclose(f);
    assert(written == length && closed == 0);
    (void)written, (void)closed;
}

void scratch_write(const scratch *s, const char *name, const char *text) { write_bytes(s, name, text, strlen(text)); }

void scratch_copy(const scratch *s, const char *name, const char *from)
{
    static char buffer[4 << 20];
    FILE       *f = fopen(from, "rb");
    assert(f);
    size_t length = fread(buffer, 1, sizeof buffer, f);
    fclose(f);
    write_bytes(s, name, buffer, length);
}
