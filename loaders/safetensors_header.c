/* safetensors_header.c: what a header may say.
 *
 *   bytes 0-7   N, little-endian        bytes 8 .. 8+N-1   JSON         after it   data, to the end of the file
 *
 * The JSON is an object of  name -> {"dtype": string, "shape": [integers], "data_offsets": [begin, end]}  and, if the
 * writer likes, "__metadata__" -> object of strings.  The profile is stricter than the reference reader wherever that
 * one is silent.  Whitespace around the object is fine (writers pad with it); everything else is refused with one of:
 *
 *   of the file             (safetensors.c)
 *     header-too-small      fewer than 8 bytes
 *     header-too-large      N above the limit
 *     header-past-end       N runs past the end of the file
 *   of the text             (lex.c)
 *     utf8 json-syntax json-escape nul-escape number-form number-range nesting too-many-values
 *   of the object
 *     header-type           the header is no object
 *     duplicate-name        two tensors of one name, whatever their offsets
 *     name-length           a name of no byte, or of more than 1,024
 *     name-bytes            a control byte (below 0x20) in a name
 *     too-many-tensors      more than 65,536
 *     metadata-type         __metadata__ is no object of strings
 *     duplicate-key         two equal keys in an entry or in __metadata__, or __metadata__ twice
 *   of an entry
 *     entry-type            a value of the wrong kind
 *     entry-key             a key other than the three: a reader that knew it might read the file differently
 *     entry-missing         one of the three is absent
 *     unknown-dtype         not one of VR_DTYPES, spelt exactly
 *     rank                  more than 8 dimensions
 *     number-form           a number that is not plain digits (sign, point, exponent)
 *     number-range          a number of 2^64 or more
 *     offset-count          data_offsets does not hold two numbers
 *     shape-overflow        the product of the dimensions that are not 0 does not fit
 *     misaligned            the tensor does not end on a whole byte
 *     offset-order          end before begin
 *     size-mismatch         end - begin is not what dtype and shape need
 *   of all entries together
 *     offset-hole           bytes between two tensors, or before the first, that belong to none
 *     offset-overlap        a tensor begins before another has ended
 *     missing-bytes         the last tensor ends past the end of the file
 *     trailing-bytes        bytes behind the last tensor
 *
 * No rule looks at values: NaN and infinities are the caller's business. */
#include "lex.h"
#include "safetensors_parts.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_DEPTH = 4,
    /* An entry has 3 values and 10 numbers at most; more values than this cannot be 65,536 tensors. */
    MAX_VALUES = 2 + 16 * (VR_ST_MAX_TENSORS + 1)
};

/* A walk over a text that is known to be JSON and that ends in NUL. */
typedef struct {
    char        *at;
    const char  *what;   /* the file */
    const char  *tensor; /* whose entry this is; NULL outside one */
    vr_st_table *table;
    vr_error    *err;
} scanner;

bool vr_st_grow(void **array, size_t count, size_t *room, size_t element)
{
    if (count < *room) return true;
    size_t more, bytes;
    if (!vr_add(*room, *room ? *room : 32, &more) || !vr_mul(more, element, &bytes)) return false;
    void *moved = realloc(*array, bytes);
    if (!moved) return false;
    *array = moved, *room = more;
    return true;
}

void vr_st_table_free(vr_st_table *table)
{
    free(table->tensors);
    free(table->pairs);
    *table = (vr_st_table){0};
}

static char peek(scanner *s)
{
    while (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r') s->at++;
    return *s->at;
}

/* Step over a comma, colon or bracket where it stands. */
static bool take(scanner *s, char c)
{
    if (peek(s) != c) return false;
    s->at++;
    return true;
}

/* In a list: is there another item?  Steps over the comma in front of it, or over the closing bracket. */
static bool another(scanner *s, char close)
{
    if (take(s, close)) return false;
    take(s, ',');
    return true;
}

static char *string(scanner *s, size_t *length)
{
    char *text = s->at + 1;
    s->at = vr_lex_decode(s->at, length);
    return text;
}

static vr_status no_memory(const scanner *s)
{
    return vr_fail(s->err, VR_E_MEMORY, "", "%s: no memory for its header", vr_quotez(s->what).text);
}

/* Where a sentence speaks of: "file" or "file: tensor 'name'". */
typedef struct {
    char text[360];
} place;

static place where(const scanner *s)
{
    place     p;
    vr_quoted file = vr_quotez(s->what);
    size_t    n = strlen(file.text);
    memcpy(p.text, file.text, n + 1);
    if (s->tensor) {
        vr_quoted name = vr_quotez(s->tensor);
        memcpy(p.text + n, ": tensor '", 10), n += 10;
        memcpy(p.text + n, name.text, strlen(name.text)), n += strlen(name.text);
        memcpy(p.text + n, "'", 2);
    }
    return p;
}

static vr_status wrong_type(scanner *s, const char *rule, const char *field, const char *wanted)
{
    return vr_fail(s->err, VR_E_MODEL, rule, "%s: %s is %s, wanted %s", where(s).text, field, vr_lex_kind(peek(s)), wanted);
}

/* Digits and nothing else, as an integer: a double would round 2^53 + 1. */
static vr_status number(scanner *s, const char *field, uint64_t *out)
{
    char first = peek(s);
    if (first != '-' && (first < '0' || first > '9')) return wrong_type(s, "entry-type", field, "a list of numbers");
    const char *begin = s->at;
    uint64_t    n = 0;
    bool        fits = true;
    for (; *s->at >= '0' && *s->at <= '9'; s->at++)
        fits = fits && !__builtin_mul_overflow(n, 10, &n) && !__builtin_add_overflow(n, (uint64_t)(*s->at - '0'), &n);
    if (first == '-' || *s->at == '.' || *s->at == 'e' || *s->at == 'E')
        return vr_fail(s->err, VR_E_MODEL, "number-form", "%s: %s has a number that is not plain digits", where(s).text, field);
    if (!fits)
        return vr_fail(s->err, VR_E_MODEL, "number-range", "%s: %s has the number %s, at most 2^64 - 1 is accepted",
                       where(s).text, field, vr_quote(begin, (size_t)(s->at - begin)).text);
    *out = n;
    return VR_OK;
}

/* A list of at most `most` numbers. */
static vr_status numbers(scanner *s, const char *field, const char *rule, uint64_t *out, int most, int *count)
{
    if (peek(s) != '[') return wrong_type(s, "entry-type", field, "a list of numbers");
    s->at++;
    for (*count = 0; another(s, ']'); (*count)++) {
        uint64_t  n = 0;
        vr_status status = number(s, field, &n);
        if (status) return status;
        if (*count == most)
            return vr_fail(s->err, VR_E_MODEL, rule, "%s: %s has more than %d numbers", where(s).text, field, most);
        out[*count] = n;
    }
    return VR_OK;
}

static vr_status dtype(scanner *s, vr_dtype *out)
{
    if (peek(s) != '"') return wrong_type(s, "entry-type", "dtype", "a string");
    size_t      length;
    const char *name = string(s, &length);
    for (int d = 0; d < VR_DTYPES; d++)
        if (strcmp(name, vr_dtype_name((vr_dtype)d)) == 0) {
            *out = (vr_dtype)d;
            return VR_OK;
        }
    return vr_fail(s->err, VR_E_MODEL, "unknown-dtype", "%s: dtype '%s' is not known (F32, F16, BF16, F64, ... are)",
                   where(s).text, vr_quotez(name).text);
}

bool vr_st_count_bits(const uint64_t *shape, int rank, vr_dtype dtype, uint64_t *elements, uint64_t *bits)
{
    uint64_t span = 1, span_bits;
    bool     empty = false;
    for (int d = 0; d < rank; d++) {
        empty = empty || shape[d] == 0;
        if (shape[d] != 0 && __builtin_mul_overflow(span, shape[d], &span)) return false;
    }
    if (__builtin_mul_overflow(span, (uint64_t)vr_dtype_bits(dtype), &span_bits)) return false;
    *elements = empty ? 0 : span;
    *bits = empty ? 0 : span_bits;
    return true;
}

/* Element count, byte count and place in the file, computed here once and for all. */
static vr_status measure(scanner *s, vr_tensor *t, uint64_t begin, uint64_t end)
{
    uint64_t bits;
    if (!vr_st_count_bits(t->shape, t->rank, t->dtype, &t->elements, &bits))
        return vr_fail(s->err, VR_E_MODEL, "shape-overflow", "%s: the product of its dimensions does not fit 64 bits",
                       where(s).text);
    if (bits % 8)
        return vr_fail(s->err, VR_E_MODEL, "misaligned", "%s: %llu elements of %s are not a whole number of bytes",
                       where(s).text, (unsigned long long)t->elements, vr_dtype_name(t->dtype));
    if (end < begin)
        return vr_fail(s->err, VR_E_MODEL, "offset-order", "%s: data_offsets end at %llu, before they begin at %llu",
                       where(s).text, (unsigned long long)end, (unsigned long long)begin);
    if (end - begin != bits / 8)
        return vr_fail(s->err, VR_E_MODEL, "size-mismatch", "%s: data_offsets span %llu bytes; %llu elements of %s are %llu",
                       where(s).text, (unsigned long long)(end - begin), (unsigned long long)t->elements,
                       vr_dtype_name(t->dtype), (unsigned long long)(bits / 8));
    t->begin = begin;
    t->bytes = bits / 8;
    return VR_OK;
}

enum { DTYPE, SHAPE, OFFSETS, FIELDS };
static const char *const fields[FIELDS] = {"dtype", "shape", "data_offsets"};

/* One member of an entry; `seen` has a bit for each field met so far. */
static vr_status field(scanner *s, vr_tensor *t, uint64_t offsets[2], unsigned *seen)
{
    size_t length;
    peek(s);
    const char *key = string(s, &length);
    take(s, ':');
    unsigned f = 0;
    while (f < FIELDS && strcmp(key, fields[f]) != 0) f++;
    if (f == FIELDS)
        return vr_fail(s->err, VR_E_MODEL, "entry-key", "%s: key '%s' is not one of dtype, shape, data_offsets", where(s).text,
                       vr_quotez(key).text);
    if (*seen & 1u << f) return vr_fail(s->err, VR_E_MODEL, "duplicate-key", "%s: %s is given twice", where(s).text, fields[f]);
    *seen |= 1u << f;

    if (f == DTYPE) return dtype(s, &t->dtype);
    if (f == SHAPE) return numbers(s, "shape", "rank", t->shape, VR_ST_MAX_RANK, &t->rank);
    int       count = 0;
    vr_status status = numbers(s, "data_offsets", "offset-count", offsets, 2, &count);
    if (!status && count != 2)
        status = vr_fail(s->err, VR_E_MODEL, "offset-count", "%s: data_offsets has %d numbers, wanted begin and end",
                         where(s).text, count);
    return status;
}

static vr_status check_name(scanner *s, const char *name, size_t length)
{
    if (length == 0 || length > VR_ST_MAX_NAME)
        return vr_fail(s->err, VR_E_MODEL, "name-length", "%s: name has %zu bytes, wanted 1 to %d", where(s).text, length,
                       VR_ST_MAX_NAME);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)name[i] < 0x20)
            return vr_fail(s->err, VR_E_MODEL, "name-bytes", "%s: name has a control byte", where(s).text);
    return VR_OK;
}

static vr_status entry(scanner *s, const char *name, size_t length)
{
    vr_st_table *table = s->table;
    s->tensor = name;
    vr_status status = check_name(s, name, length);
    if (status) return status;
    if (table->count == VR_ST_MAX_TENSORS)
        return vr_fail(s->err, VR_E_MODEL, "too-many-tensors", "%s: is one more than the %d that are accepted", where(s).text,
                       VR_ST_MAX_TENSORS);
    if (peek(s) != '{') return wrong_type(s, "entry-type", "its entry", "an object");
    s->at++;

    vr_tensor t = {.name = name};
    uint64_t  offsets[2] = {0, 0};
    unsigned  seen = 0;
    while (another(s, '}')) {
        status = field(s, &t, offsets, &seen);
        if (status) return status;
    }
    for (unsigned f = 0; f < FIELDS; f++)
        if (!(seen & 1u << f))
            return vr_fail(s->err, VR_E_MODEL, "entry-missing", "%s: %s is missing", where(s).text, fields[f]);
    status = measure(s, &t, offsets[0], offsets[1]);
    if (status) return status;

    if (!vr_st_grow((void **)&table->tensors, table->count, &table->room, sizeof t)) return no_memory(s);
    table->tensors[table->count++] = t;
    s->tensor = NULL;
    return VR_OK;
}

static int pair_by_key(const void *a, const void *b)
{
    return strcmp((*(const vr_st_pair *const *)a)->key, (*(const vr_st_pair *const *)b)->key);
}

/* Pointers are sorted rather than the pairs, which keep the order of the file. */
static vr_status check_pairs(scanner *s)
{
    const vr_st_table *table = s->table;
    const vr_st_pair **sorted = vr_alloc(table->pair_count, sizeof *sorted);
    if (!sorted) return no_memory(s);
    for (size_t i = 0; i < table->pair_count; i++) sorted[i] = &table->pairs[i];
    qsort(sorted, table->pair_count, sizeof *sorted, pair_by_key);
    vr_status status = VR_OK;
    for (size_t i = 1; i < table->pair_count && !status; i++)
        if (strcmp(sorted[i - 1]->key, sorted[i]->key) == 0)
            status = vr_fail(s->err, VR_E_MODEL, "duplicate-key", "%s: __metadata__ gives '%s' twice", where(s).text,
                             vr_quotez(sorted[i]->key).text);
    free(sorted);
    return status;
}

static vr_status metadata(scanner *s)
{
    vr_st_table *table = s->table;
    if (peek(s) != '{') return wrong_type(s, "metadata-type", "__metadata__", "an object of strings");
    s->at++;
    while (another(s, '}')) {
        size_t length;
        peek(s);
        const char *key = string(s, &length);
        take(s, ':');
        if (peek(s) != '"') return wrong_type(s, "metadata-type", "a value of __metadata__", "a string");
        const char *value = string(s, &length);
        if (!vr_st_grow((void **)&table->pairs, table->pair_count, &table->pair_room, sizeof *table->pairs))
            return no_memory(s);
        table->pairs[table->pair_count++] = (vr_st_pair){key, value};
    }
    return check_pairs(s);
}

static vr_status members(scanner *s)
{
    bool had_metadata = false;
    if (peek(s) != '{') return wrong_type(s, "header-type", "the header", "an object");
    s->at++;
    while (another(s, '}')) {
        size_t length;
        peek(s);
        const char *name = string(s, &length);
        take(s, ':');
        vr_status status;
        if (strcmp(name, "__metadata__") != 0) {
            status = entry(s, name, length);
        } else if (had_metadata) {
            status = vr_fail(s->err, VR_E_MODEL, "duplicate-key", "%s: __metadata__ is given twice", where(s).text);
        } else {
            had_metadata = true;
            status = metadata(s);
        }
        if (status) return status;
    }
    return VR_OK;
}

static int tensor_by_name(const void *a, const void *b)
{
    return strcmp(((const vr_tensor *)a)->name, ((const vr_tensor *)b)->name);
}

static vr_status check_names(scanner *s)
{
    vr_st_table *table = s->table;
    if (table->count) qsort(table->tensors, table->count, sizeof *table->tensors, tensor_by_name);
    for (size_t i = 1; i < table->count; i++)
        if (tensor_by_name(&table->tensors[i - 1], &table->tensors[i]) == 0) {
            s->tensor = table->tensors[i].name;
            return vr_fail(s->err, VR_E_MODEL, "duplicate-name", "%s: is given twice", where(s).text);
        }
    return VR_OK;
}

/* By begin, then by end: a tensor of no bytes stands before one that begins at the same place. */
static int tensor_by_place(const void *a, const void *b)
{
    const vr_tensor *x = *(const vr_tensor *const *)a, *y = *(const vr_tensor *const *)b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

/* Every byte of the data belongs to exactly one tensor: nothing can hide between them or behind them. */
static vr_status check_places(scanner *s, uint64_t data_bytes)
{
    const vr_st_table *table = s->table;
    const vr_tensor  **sorted = vr_alloc(table->count, sizeof *sorted);
    if (!sorted) return no_memory(s);
    for (size_t i = 0; i < table->count; i++) sorted[i] = &table->tensors[i];
    qsort(sorted, table->count, sizeof *sorted, tensor_by_place);

    vr_status status = VR_OK;
    uint64_t  end = 0;
    for (size_t i = 0; i < table->count && !status; i++) {
        const vr_tensor *t = sorted[i];
        s->tensor = t->name;
        if (t->begin != end)
            status = vr_fail(s->err, VR_E_MODEL, t->begin > end ? "offset-hole" : "offset-overlap",
                             "%s: begins at byte %llu of the data, wanted %llu, where the tensor before it ends", where(s).text,
                             (unsigned long long)t->begin, (unsigned long long)end);
        end = t->begin + t->bytes; /* no wrap: it is the end that the header gave */
    }
    s->tensor = NULL;
    free(sorted);
    if (status || end == data_bytes) return status;
    return vr_fail(s->err, VR_E_MODEL, end > data_bytes ? "missing-bytes" : "trailing-bytes",
                   "%s: has %llu bytes of data, wanted %llu, where the last tensor ends%s", where(s).text,
                   (unsigned long long)data_bytes, (unsigned long long)end,
                   end > data_bytes ? "; was it copied or downloaded completely?" : "");
}

vr_status vr_st_scan(vr_st_table *table, char *text, size_t length, uint64_t data_bytes, const char *what, vr_error *err)
{
    *table = (vr_st_table){0};
    scanner   s = {.at = text, .what = what, .table = table, .err = err};
    vr_status status = vr_lex_check(text, length, &(vr_lex_limits){what, MAX_DEPTH, MAX_VALUES}, err);
    if (!status) status = members(&s);
    if (!status) status = check_names(&s);
    if (!status) status = check_places(&s, data_bytes);
    if (status) vr_st_table_free(table);
    return status;
}
