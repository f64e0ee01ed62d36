/* Reading tar archives, whole and broken. */
#include "../../loaders/tar.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(tar, .init = scratch_begin, .fini = scratch_end);

enum { BLOCK = 512 };

typedef struct {
    uint8_t at[64 * BLOCK];
    size_t  length;
} archive;

static void seal(uint8_t *header)
{
    unsigned sum = 0;
    memset(header + 148, ' ', 8);
    for (int i = 0; i < BLOCK; i++) sum += header[i];
    snprintf((char *)header + 148, 8, "%06o", sum);
}

static void add(archive *a, const char *prefix, const char *name, char kind, const char *text)
{
    uint8_t     *header = a->at + a->length;
    const size_t bytes = strlen(text);
    memcpy(header, name, strlen(name));
    snprintf((char *)header + 124, 12, "%011zo", bytes);
    header[156] = (uint8_t)kind;
    memcpy(header + 257, "ustar\00000", 8);
    memcpy(header + 345, prefix, strlen(prefix));
    seal(header);
    memcpy(header + BLOCK, text, bytes);
    a->length += BLOCK + (bytes + BLOCK - 1) / BLOCK * BLOCK;
}

static archive usual(void)
{
    archive a = {0};
    add(&a, "", "folder/", '5', "");
    add(&a, "", "folder/one.jpg", '0', "the first");
    add(&a, "", "a-link", '2', "");
    add(&a, "some/long/prefix", "two.png", '0', "");
    add(&a, "", "three.gif", 0, "the third is a little longer");
    a.length += 2 * BLOCK;
    return a;
}

/* Every member's name, then every text, in one line; or the rule that was broken. */
static const char *list(const uint8_t *bytes, size_t length, bool read)
{
    static char   line[1024];
    vr_tar       *tar;
    vr_tar_member m;
    vr_error      err = {0};
    bool          found = true;
    line[0] = 0;
    scratch_write("a.tar", bytes, length);
    vr_status status = vr_tar_open(&tar, scratch_path("a.tar"), &err);
    while (status == VR_OK && (status = vr_tar_next(tar, &m, &found, &err)) == VR_OK && found) {
        char text[BLOCK] = "";
        cr_assert(m.bytes < sizeof text);
        if (read) status = vr_tar_read(tar, text, &err);
        snprintf(line + strlen(line), sizeof line - strlen(line), "%s=%s;", m.name, text);
    }
    vr_tar_close(tar);
    return status == VR_OK ? line : err.rule;
}

/* Broken: a member is missed, misnamed, or its bytes are another's; folders and links are no files. */
Test(tar, members)
{
    archive a = usual();
    cr_assert_str_eq(list(a.at, a.length, true),
                     "folder/one.jpg=the first;some/long/prefix/two.png=;three.gif=the third is a little longer;");
    cr_assert_str_eq(list(a.at, a.length, false), "folder/one.jpg=;some/long/prefix/two.png=;three.gif=;");
    cr_assert_str_eq(list(a.at, a.length - 2 * BLOCK, false), "folder/one.jpg=;some/long/prefix/two.png=;three.gif=;");
    cr_assert_str_eq(list(a.at, 0, true), "");
}

/* Broken: a name of the greatest length runs over. */
Test(tar, longest_name)
{
    archive a = {0};
    char    prefix[156], name[101], wanted[300];
    memset(prefix, 'p', 155), memset(name, 'n', 100);
    prefix[155] = name[100] = 0;
    add(&a, prefix, name, '0', "x");
    snprintf(wanted, sizeof wanted, "%s/%s=x;", prefix, name);
    cr_assert_str_eq(list(a.at, a.length, true), wanted);
}

/* Broken: a member comes under a wrong name, because the header that renames it was passed over. */
Test(tar, long_names_are_refused)
{
    archive a = {0};
    add(&a, "", "././@LongLink", 'L', "a/very/long/name");
    add(&a, "", "short", '0', "x");
    cr_assert_str_eq(list(a.at, a.length, true), "tar-long-name");
    a = (archive){0};
    add(&a, "", "PaxHeaders/x", 'x', "30 mtime=1700000000.123456789\n");
    add(&a, "", "x", '0', "data");
    cr_assert_str_eq(list(a.at, a.length, true), "x=data;");
    a = (archive){0};
    add(&a, "", "PaxHeaders/x", 'x', "20 path=another/name\n");
    add(&a, "", "x", '0', "data");
    cr_assert_str_eq(list(a.at, a.length, true), "tar-long-name");
}

/* Broken: damage is taken for an archive's end, or read past. */
Test(tar, damage)
{
    archive a = usual();
    a.at[BLOCK + 3] ^= 1;
    cr_assert_str_eq(list(a.at, a.length, true), "tar-header");
    a = usual();
    memcpy(a.at + BLOCK + 124, "99999999999", 11); /* no octal number */
    seal(a.at + BLOCK);
    cr_assert_str_eq(list(a.at, a.length, false), "tar-header");
    memcpy(a.at + BLOCK + 124, "77777777777", 11); /* more than there is */
    seal(a.at + BLOCK);
    vr_tar       *tar;
    vr_tar_member m;
    vr_error      err = {0};
    bool          found;
    scratch_write("b.tar", a.at, a.length);
    cr_assert_eq(vr_tar_open(&tar, scratch_path("b.tar"), &err), VR_OK);
    cr_assert_eq(vr_tar_next(tar, &m, &found, &err), VR_OK);
    cr_assert(found && m.bytes == 077777777777);
    cr_assert_eq(vr_tar_next(tar, &m, &found, &err), VR_E_IO);
    cr_assert_str_eq(err.rule, "truncated");
    vr_tar_close(tar);
    cr_assert_eq(vr_tar_open(&tar, "/no/such/archive.tar", &(vr_error){0}), VR_E_IO);
}

/* Broken: a cut within a member is not noticed. A cut between members cannot be: the closing zeros are optional. */
Test(tar, every_prefix)
{
    archive a = usual();
    for (size_t n = 0; n < a.length - BLOCK; n += 37) {
        const char *said = list(a.at, n, true);
        if (n % BLOCK) cr_assert_str_eq(said, "truncated", "%zu bytes: %s", n, said);
    }
}
