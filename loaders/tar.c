/* tar.c: USTAR, read only.  An archive is a row of 512-byte blocks: a header, its file's bytes filled up to a whole number
 * of blocks, and so on, ended by a block of zeros. */
#include "tar.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 512 };

struct vr_tar {
    FILE    *file;
    char    *path;
    uint64_t size; /* of the member, */
    uint64_t left; /* and what of it and its filling has not been read yet */
};

vr_status vr_tar_open(vr_tar **out, const char *path, vr_error *err)
{
    *out = NULL;
    vr_tar *tar = calloc(1, sizeof *tar);
    if (tar) tar->path = strdup(path);
    if (!tar || !tar->path) {
        free(tar);
        return vr_fail(err, VR_E_MEMORY, "", "no memory to open %s", vr_quotez(path).text);
    }
    tar->file = fopen(path, "rbe");
    if (!tar->file) {
        vr_fail(err, VR_E_IO, "open", "%s: cannot be opened: %s", vr_quotez(path).text, strerror(errno));
        vr_tar_close(tar);
        return VR_E_IO;
    }
    *out = tar;
    return VR_OK;
}

void vr_tar_close(vr_tar *tar)
{
    if (!tar) return;
    if (tar->file) fclose(tar->file);
    free(tar->path);
    free(tar);
}

static vr_status bad(const vr_tar *tar, const char *rule, const char *what, vr_error *err)
{
    return vr_fail(err, VR_E_IO, rule, "%s: %s", vr_quotez(tar->path).text, what);
}

/* Read exactly `length` bytes. */
static vr_status take(vr_tar *tar, void *to, size_t length, vr_error *err)
{
    if (fread(to, 1, length, tar->file) == length) return VR_OK;
    if (ferror(tar->file)) return bad(tar, "read", strerror(errno), err);
    return bad(tar, "truncated", "the archive ends too early; get it again", err);
}

/* A number in octal digits, ended by a space, a NUL or the field's end. */
static bool octal(const uint8_t *field, size_t length, uint64_t *out)
{
    uint64_t value = 0;
    size_t   i = 0;
    while (i < length && field[i] == ' ') i++;
    const size_t first = i;
    for (; i < length && field[i] >= '0' && field[i] <= '7'; i++) value = value * 8 + (uint64_t)(field[i] - '0');
    if (i == first || (i < length && field[i] != ' ' && field[i] != 0)) return false;
    *out = value;
    return true;
}

/* The sum of all bytes, with spaces where it is itself stored. */
static bool sum_is_right(const uint8_t block[BLOCK])
{
    uint64_t stored, sum = 0;
    if (!octal(block + 148, 8, &stored)) return false;
    for (int i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? ' ' : block[i];
    return sum == stored;
}

static void read_name(vr_tar_member *member, const uint8_t block[BLOCK])
{
    const bool   ustar = memcmp(block + 257, "ustar", 5) == 0;
    const size_t prefix = ustar && memcmp(block + 257, "ustar ", 6) != 0 ? strnlen((const char *)block + 345, 155) : 0;
    const size_t name = strnlen((const char *)block, 100);
    size_t       at = prefix;
    memcpy(member->name, block + 345, prefix);
    if (prefix) member->name[at++] = '/';
    memcpy(member->name + at, block, name);
    member->name[at + name] = 0;
}

/* Pass over what is left of the member.  Read rather than sought, so that a cut archive is noticed and pipes work. */
static vr_status skip_rest(vr_tar *tar, vr_error *err)
{
    uint8_t block[16 * BLOCK];
    while (tar->left > 0) {
        size_t    n = tar->left < sizeof block ? (size_t)tar->left : sizeof block;
        vr_status status = take(tar, block, n, err);
        if (status != VR_OK) return status;
        tar->left -= n;
    }
    return VR_OK;
}

static vr_status read_header(vr_tar *tar, uint8_t block[BLOCK], bool *found, vr_error *err)
{
    static const uint8_t zeros[BLOCK];
    *found = false;
    const size_t got = fread(block, 1, BLOCK, tar->file);
    if (ferror(tar->file)) return bad(tar, "read", strerror(errno), err);
    if (got == 0) return VR_OK; /* some writers leave the zeros out */
    if (got < BLOCK) return bad(tar, "truncated", "the archive ends too early; get it again", err);
    if (memcmp(block, zeros, BLOCK) == 0) return VR_OK;
    if (!sum_is_right(block) || !octal(block + 124, 12, &tar->size))
        return bad(tar, "tar-header", "this is no tar archive, or it is damaged (a header's sum or size is wrong)", err);
    tar->left = (tar->size + BLOCK - 1) / BLOCK * BLOCK; /* at most 36 bits */
    *found = true;
    return VR_OK;
}

/* Whether a pax header says more of the next member than dates and owners. */
static vr_status pax_renames(vr_tar *tar, bool *renames, vr_error *err)
{
    char         text[8192];
    const size_t n = tar->size < sizeof text ? (size_t)tar->size : sizeof text;
    vr_status    status = take(tar, text, n, err);
    if (status != VR_OK) return status;
    tar->left -= n;
    *renames = n < tar->size || memmem(text, n, " path=", 6) || memmem(text, n, " size=", 6);
    return VR_OK;
}

vr_status vr_tar_next(vr_tar *tar, vr_tar_member *member, bool *found, vr_error *err)
{
    uint8_t block[BLOCK];
    for (;;) {
        vr_status status = skip_rest(tar, err);
        if (status == VR_OK) status = read_header(tar, block, found, err);
        if (status != VR_OK || !*found) return status;
        const uint8_t kind = block[156];
        bool          renames = kind == 'L';
        if (kind == 'x' && (status = pax_renames(tar, &renames, err)) != VR_OK) return status;
        if (renames)
            return bad(tar, "tar-long-name",
                       "has a member with a long name; pack it again with tar --format=ustar, or unpack it and name the folder",
                       err);
        if (kind == '0' || kind == 0) break;
    }
    read_name(member, block);
    member->bytes = tar->size;
    return VR_OK;
}

vr_status vr_tar_read(vr_tar *tar, void *out, vr_error *err)
{
    vr_status status = take(tar, out, (size_t)tar->size, err);
    if (status == VR_OK) tar->left -= tar->size;
    return status;
}
