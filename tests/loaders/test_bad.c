/* The catalogue of good and bad files (tests/bad/make_bad.py), and what can be derived from good ones: all prefixes, all
 * single-byte changes, random mutants that an independent reader in Python must judge alike. */
#include "../../loaders/safetensors.h"
#include "scratch.h"

#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CASES "tests/bad/cases.txt"

static const char four[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                           "\"head.weight\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
                           "\"head.bias\":{\"dtype\":\"F16\",\"shape\":[4],\"data_offsets\":[24,32]},"
                           "\"scale\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[32,40]},"
                           "\"none\":{\"dtype\":\"I8\",\"shape\":[0,7],\"data_offsets\":[40,40]}}";
enum { FOUR_DATA = 40 };

typedef struct {
    char  *bytes;
    size_t length, room;
} buffer;

static void put(buffer *b, const void *bytes, size_t n)
{
    if (b->length + n > b->room) {
        b->room = 2 * (b->length + n);
        b->bytes = realloc(b->bytes, b->room);
        cr_assert_not_null(b->bytes);
    }
    memcpy(b->bytes + b->length, bytes, n);
    b->length += n;
}

/* The text [from, to) of cases.txt, its \xNN decoded and, for index >= 0, each % replaced by the index. */
static void put_spelt(buffer *b, const char *from, const char *to, long index)
{
    while (from < to) {
        if (from[0] == '\\') {
            char byte = (char)strtol((char[]){from[2], from[3], 0}, NULL, 16);
            put(b, &byte, 1);
            from += 4;
        } else if (from[0] == '%' && index >= 0) {
            char digits[24];
            put(b, digits, (size_t)snprintf(digits, sizeof digits, "%ld", index));
            from++;
        } else
            put(b, from++, 1);
    }
}

static void put_header(buffer *b, const char *text)
{
    while (*text) {
        if (text[0] == '\\' && (text[1] == '*' || text[1] == '#')) {
            char       *inside;
            long        count = strtol(text + 2, &inside, 10);
            const char *end = strchr(inside, '}');
            for (long i = 0; i < count; i++) put_spelt(b, inside + 1, end, text[1] == '#' ? i : -1);
            text = end + 1;
        } else {
            const char *end = text + 1;
            while (*end && !(end[0] == '\\' && end[1] != 'x')) end++;
            put_spelt(b, text, end, -1);
            text = end;
        }
    }
}

/* The file that a line of cases.txt describes. */
static buffer build(const char *length, const char *header, size_t data)
{
    buffer text = {0}, file = {0};
    put_header(&text, header);
    uint64_t n = text.length;
    if (strcmp(length, "auto") == 0)
        put(&file, &n, 8);
    else
        for (; *length; length += 2) {
            char byte = (char)strtol((char[]){length[0], length[1], 0}, NULL, 16);
            put(&file, &byte, 1);
        }
    if (text.length) put(&file, text.bytes, text.length);
    for (size_t i = 0; i < data; i++) put(&file, "", 1);
    free(text.bytes);
    return file;
}

/* What an accepted file promises: every tensor lies inside it, and sizes agree with shapes. */
static void check_views(const vr_safetensors *st, size_t file)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < vr_safetensors_count(st); i++) {
        const vr_tensor *t = vr_safetensors_at(st, i);
        uint64_t         elements = 1;
        for (int d = 0; d < t->rank; d++) elements *= t->shape[d];
        cr_assert(t->rank >= 0 && t->rank <= VR_ST_MAX_RANK);
        cr_assert_eq(t->elements, elements);
        cr_assert_eq(t->bytes * 8, elements * vr_dtype_bits(t->dtype));
        cr_assert(t->bytes <= vr_safetensors_bytes(st) && t->begin <= vr_safetensors_bytes(st) - t->bytes);
        cr_assert_eq(vr_safetensors_find(st, t->name), t);
        cr_assert(i == 0 || strcmp(vr_safetensors_at(st, i - 1)->name, t->name) < 0);
        sum += t->bytes;
    }
    cr_assert_eq(sum, vr_safetensors_bytes(st));
    cr_assert(sum + 8 <= file);
}

/* The rule that a file breaks, or "ok". */
static const char *judge(const void *bytes, size_t length)
{
    vr_error        err = {0};
    vr_safetensors *st;
    vr_status       status = vr_safetensors_open_memory(&st, bytes, length, 0, &err);
    if (status) {
        cr_assert_eq(status, VR_E_MODEL, "%s", err.text);
        cr_assert_eq(err.code, status);
        cr_assert_null(st);
        cr_assert(err.rule[0] != 0 && err.text[0] != 0);
        return err.rule;
    }
    check_views(st, length);
    vr_safetensors_close(st);
    return "ok";
}

static const char *judge_file(const char *path, size_t length)
{
    vr_error        err = {0};
    vr_safetensors *st;
    if (vr_safetensors_open(&st, path, 0, &err)) {
        cr_assert(strncmp(err.text, path, strlen(path)) == 0, "a message must begin with the file: %s", err.text);
        for (const char *c = err.text; *c; c++) cr_assert(!iscntrl((unsigned char)*c), "control byte in: %s", err.text);
        return err.rule;
    }
    check_views(st, length);
    vr_safetensors_close(st);
    return "ok";
}

/* Broken: a file with one named fault is accepted, or refused for another reason than the one its author is told; from
 * memory and from a file alike. */
Test(bad, every_named_case, .init = scratch_begin, .fini = scratch_end, .timeout = 120)
{
    FILE *f = fopen(CASES, "r");
    cr_assert_not_null(f, "%s: run the tests from the root of the repository", CASES);
    char  *line = NULL;
    size_t room = 0, count = 0, wrong = 0;
    while (getline(&line, &room, f) > 0) {
        char *rest = line, *name = strsep(&rest, "\t"), *verdict = strsep(&rest, "\t"), *length = strsep(&rest, "\t"),
             *header = strsep(&rest, "\t");
        cr_assert_not_null(rest, "%s", line);
        buffer      file = build(length, header, strtoul(rest, NULL, 10));
        const char *memory = judge(file.bytes, file.length);
        scratch_write("case", file.bytes, file.length);
        const char *disk = judge_file(scratch_path("case"), file.length);
        if (strcmp(memory, verdict) != 0 || strcmp(disk, verdict) != 0) {
            printf("%s: wanted %s, got %s from memory, %s from the file\n", name, verdict, memory, disk);
            wrong++;
        }
        count++;
        free(file.bytes);
    }
    free(line);
    fclose(f);
    printf("safetensors: %zu named files, %zu judged wrongly\n", count, wrong);
    cr_assert_eq(wrong, 0);
    cr_assert_geq(count, 260);
}

/* Broken: a file that is cut short (a download that stopped) is accepted, or crashes the reader. */
Test(bad, every_prefix)
{
    static const struct {
        const char *header;
        size_t      data;
    } files[] = {
        {four, FOUR_DATA},
        {"{\"t\":{\"dtype\":\"BF16\",\"shape\":[3,5],\"data_offsets\":[0,30]}}  ", 30},
        {"{\"__metadata__\":{\"\\ud83d\\ude00\":\"\\n\"},\"\\u00e9\":{\"data_offsets\":[0,8],\"dtype\":\"F64\",\"shape\":[1]}}",
         8}};
    size_t count = 0;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        size_t         length;
        unsigned char *file = scratch_safetensors(files[i].header, files[i].data, &length);
        cr_assert_str_eq(judge(file, length), "ok");
        for (size_t n = 0; n < length; n++, count++) {
            unsigned char *cut = malloc(n ? n : 1); /* of exactly that size, so that a read past it is seen */
            memcpy(cut, file, n);
            cr_assert_str_neq(judge(cut, n), "ok", "file %zu cut to %zu bytes", i, n);
            free(cut);
        }
        free(file);
    }
    printf("safetensors: %zu prefixes refused\n", count);
}

/* Broken: some damaged byte of length or header makes the reader crash or hand out a view outside the file. */
Test(bad, every_change_of_a_byte, .timeout = 120)
{
    size_t         length, count = 0, accepted = 0;
    unsigned char *file = scratch_safetensors(four, FOUR_DATA, &length);
    for (size_t at = 0; at < length - FOUR_DATA; at++) {
        const unsigned char right = file[at];
        for (int value = 0; value < 256; value++) {
            file[at] = (unsigned char)value;
            if (value != right) count++, accepted += strcmp(judge(file, length), "ok") == 0;
        }
        file[at] = right;
    }
    free(file);
    printf("safetensors: %zu changes of one byte, %zu of them still files\n", count, accepted);
    cr_assert_gt(count, 70000);
    cr_assert_lt(accepted, count / 4); /* letters of names, mostly */
}

/* ---- Mutants, for the reader in Python ---- */

static const char *const words[] = {
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "0",
    "1",
    "8",
    "24",
    "40",
    "-",
    ".",
    "e1",
    "00",
    " ",
    "\n",
    "\\u0041",
    "\\u0000",
    "\\ud83d",
    "\\ude00",
    "\\n",
    "null",
    "true",
    "\"dtype\"",
    "\"shape\"",
    "\"data_offsets\"",
    "\"F32\"",
    "\"F4\"",
    "\"BOOL\"",
    "[0,0]",
    "{}",
    "[]",
    "\xc3\xa9",
    "\xff",
    "18446744073709551615",
    "18446744073709551616",
    "\"__metadata__\":{},",
    "\"x\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},",
};

/* Replace, insert or remove something in the header. */
static void mutate(char *header, size_t room, uint64_t *random)
{
    size_t      n = strlen(header), at = scratch_random(random) % n, gone = scratch_random(random) % 4;
    char        byte[2] = {(char)(1 + scratch_random(random) % 255), 0};
    const char *word = words[scratch_random(random) % (sizeof words / sizeof *words)];
    if (scratch_random(random) % 4 == 0) word = "";
    if (scratch_random(random) % 8 == 0) word = byte;
    if (at + gone > n) gone = n - at;
    if (n - gone + strlen(word) + 1 > room) return;
    memmove(header + at + strlen(word), header + at + gone, n - at - gone + 1);
    memcpy(header + at, word, strlen(word));
}

static void put_record(FILE *f, const void *bytes, size_t n)
{
    uint32_t length = (uint32_t)n;
    fwrite(&length, 4, 1, f);
    fwrite(bytes, 1, n, f);
}

/* What vitrun finds in a file, as reference_reader.py spells it. */
static void put_listing(FILE *f, const vr_safetensors *st)
{
    fputs("ok\n", f);
    for (size_t i = 0; i < vr_safetensors_count(st); i++) {
        const vr_tensor *t = vr_safetensors_at(st, i);
        for (const char *c = t->name; *c; c++) fprintf(f, "%02x", (unsigned char)*c);
        fprintf(f, " %s [", vr_dtype_name(t->dtype));
        for (int d = 0; d < t->rank; d++) fprintf(f, "%s%llu", d ? "," : "", (unsigned long long)t->shape[d]);
        fprintf(f, "] %llu %llu\n", (unsigned long long)t->begin, (unsigned long long)(t->begin + t->bytes));
    }
}

static void put_mutant(FILE *f, const unsigned char *file, size_t length)
{
    char           *listing = NULL;
    size_t          listed = 0;
    vr_safetensors *st;
    FILE           *l = open_memstream(&listing, &listed);
    if (vr_safetensors_open_memory(&st, file, length, 0, NULL) == VR_OK) {
        check_views(st, length);
        put_listing(l, st);
        vr_safetensors_close(st);
    }
    fclose(l);
    put_record(f, file, length);
    put_record(f, listing, listed);
    free(listing);
}

static int reference_reader(const char *mode, const char *path)
{
    char command[600];
    snprintf(command, sizeof command, "python3 tests/bad/reference_reader.py %s '%s'", mode, path);
    fflush(stdout);
    return system(command);
}

/* Every step-th of the changes of one byte that every_change_of_a_byte makes. */
static void put_byte_changes(FILE *f, size_t step)
{
    size_t         length, count = 0;
    unsigned char *file = scratch_safetensors(four, FOUR_DATA, &length);
    for (size_t at = 0; at < length - FOUR_DATA; at++) {
        const unsigned char right = file[at];
        for (int value = 0; value < 256; value++) {
            file[at] = (unsigned char)value;
            if (value != right && count++ % step == 0) put_mutant(f, file, length);
        }
        file[at] = right;
    }
    free(file);
}

/* Broken: vitrun and an independent reader understand the same bytes differently, which is how a file shows one model to
 * a scanner and another to the engine.  VR_DEEP=1 in the environment compares fifty times as many. */
Test(bad, agrees_with_reference_reader, .init = scratch_begin, .fini = scratch_end, .timeout = 600)
{
    const bool deep = getenv("VR_DEEP");
    const int  rounds = deep ? 500000 : 10000;
    FILE      *f = fopen(scratch_path("mutants"), "wb");
    uint64_t   random = 20240501;
    for (int i = 0; i < rounds; i++) {
        char   header[1000];
        size_t length;
        strcpy(header, four);
        for (uint64_t n = 1 + scratch_random(&random) % 3; n; n--) mutate(header, sizeof header, &random);
        /* Some with other data than the header wants, most with what it wanted before the change. */
        size_t         data = scratch_random(&random) % 8 ? FOUR_DATA : scratch_random(&random) % 48;
        unsigned char *file = scratch_safetensors(header, data, &length);
        put_mutant(f, file, length);
        free(file);
    }
    put_byte_changes(f, deep ? 1 : 11);
    fclose(f);
    cr_assert_eq(reference_reader("mutants", scratch_path("mutants")), 0);
}

/* Broken: the verdicts of cases.txt are not those of the rules as an independent reader applies them. */
Test(bad, cases_agree_with_reference_reader, .timeout = 120) { cr_assert_eq(reference_reader("cases", CASES), 0); }
