/* json.c: cJSON behind a door.  lex.c has refused everything that is no JSON before cJSON sees the text; this file adds
 * what the grammar does not say (no key twice, numbers that are finite) and an index, so that item i costs one step.
 *
 * The index of an array or object is kept in its node's valuestring, which cJSON does not use there and which
 * cJSON_Delete frees with the node; their number is kept in valueint. */
#include "json.h"

#include "file.h"
#include "lex.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEFAULT_BYTES = 1 << 20,
    MAX_DEPTH = 32,
    MAX_VALUES = 1 << 17, /* twice the tensors of the largest sharded index; bounds cJSON's tree at about 10 MiB */
    BYTES_A_VALUE = 16    /* of longer texts, whose readers allow so many bytes: the tree is at most six times as large */
};

static bool is_container(const cJSON *v) { return cJSON_IsArray(v) || cJSON_IsObject(v); }

static cJSON *const *items(const cJSON *v) { return (cJSON *const *)(const void *)v->valuestring; }

static int by_key(const void *a, const void *b)
{
    const cJSON *x = *(cJSON *const *)a, *y = *(cJSON *const *)b;
    return strcmp(x->string, y->string);
}

/* Sorted copies rather than a comparison of all pairs: a hostile object has 100,000 members. */
static vr_status refuse_duplicates(const cJSON *object, const char *what, vr_error *err)
{
    size_t  n = vr_json_size(object);
    cJSON **sorted = vr_alloc(n, sizeof *sorted);
    if (!sorted) return vr_fail(err, VR_E_MEMORY, "", "%s: no memory to check its keys", vr_quotez(what).text);
    if (n) memcpy(sorted, items(object), n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_key);

    vr_status status = VR_OK;
    for (size_t i = 1; i < n && !status; i++)
        if (by_key(&sorted[i - 1], &sorted[i]) == 0)
            status = vr_fail(err, VR_E_MODEL, "duplicate-key", "%s: key '%s' is given twice in one object",
                             vr_quotez(what).text, vr_quotez(sorted[i]->string).text);
    free(sorted);
    return status;
}

/* Index v and everything below it.  Recursion is as deep as the text, which lex.c has bounded. */
static vr_status index_values(cJSON *v, const char *what, vr_error *err)
{
    if (cJSON_IsNumber(v) && !isfinite(v->valuedouble))
        return vr_fail(err, VR_E_MODEL, "number-range", "%s: a number is too large for a double", vr_quotez(what).text);
    if (!is_container(v)) return VR_OK;

    size_t n = 0;
    for (const cJSON *c = v->child; c; c = c->next) n++;
    cJSON **index = cJSON_malloc((n ? n : 1) * sizeof *index); /* as many as the text may have values */
    if (!index) return vr_fail(err, VR_E_MEMORY, "", "%s: no memory for its index", vr_quotez(what).text);
    v->valuestring = (char *)index;
    v->valueint = (int)n;

    for (cJSON *c = v->child; c; c = c->next) {
        *index++ = c;
        vr_status status = index_values(c, what, err);
        if (status) return status;
    }
    return cJSON_IsObject(v) ? refuse_duplicates(v, what, err) : VR_OK;
}

vr_status vr_json_parse(vr_json **out, const char *text, size_t length, const char *what, vr_error *err)
{
    *out = NULL;
    const size_t values = length / BYTES_A_VALUE > MAX_VALUES ? length / BYTES_A_VALUE : MAX_VALUES;
    vr_status    status = vr_lex_check(text, length, &(vr_lex_limits){what, MAX_DEPTH, values}, err);
    if (status) return status;

    const char *end = NULL;
    cJSON      *doc = cJSON_ParseWithLengthOpts(text, length, &end, false);
    if (!doc) /* the text is known to be JSON */
        return vr_fail(err, VR_E_MEMORY, "", "%s: no memory for its JSON", vr_quotez(what).text);
    while (end < text + length && strchr(" \t\r\n", *end)) end++;
    if (end != text + length)
        status = vr_fail(err, VR_E_MODEL, "json-syntax", "%s: there is text behind the JSON value", vr_quotez(what).text);
    if (!status) status = index_values(doc, what, err);
    if (status) {
        cJSON_Delete(doc);
        return status;
    }
    *out = doc;
    return VR_OK;
}

vr_status vr_json_read(vr_json **out, const char *path, size_t max_bytes, vr_error *err)
{
    char  *text;
    size_t length;
    *out = NULL;
    vr_status status = vr_file_read(&text, &length, path, max_bytes ? max_bytes : DEFAULT_BYTES, err);
    if (status) return status;
    status = vr_json_parse(out, text, length, path, err);
    free(text);
    return status;
}

void vr_json_free(vr_json *doc) { cJSON_Delete(doc); }

vr_json_kind vr_json_type(const vr_json *v)
{
    if (cJSON_IsBool(v)) return VR_JSON_BOOL;
    if (cJSON_IsNumber(v)) return VR_JSON_NUMBER;
    if (cJSON_IsString(v)) return VR_JSON_STRING;
    if (cJSON_IsArray(v)) return VR_JSON_ARRAY;
    if (cJSON_IsObject(v)) return VR_JSON_OBJECT;
    return VR_JSON_NULL;
}

const char *vr_json_type_name(const vr_json *v)
{
    static const char *const names[] = {
        [VR_JSON_NULL] = "null",       [VR_JSON_BOOL] = "true or false", [VR_JSON_NUMBER] = "a number",
        [VR_JSON_STRING] = "a string", [VR_JSON_ARRAY] = "an array",     [VR_JSON_OBJECT] = "an object",
    };
    return v ? names[vr_json_type(v)] : "absent";
}

size_t vr_json_size(const vr_json *v) { return v && is_container(v) ? (size_t)v->valueint : 0; }

const vr_json *vr_json_item(const vr_json *v, size_t i) { return i < vr_json_size(v) ? items(v)[i] : NULL; }

const char *vr_json_key(const vr_json *member) { return member ? member->string : NULL; }

const vr_json *vr_json_get(const vr_json *object, const char *key)
{
    if (!cJSON_IsObject(object)) return NULL;
    for (const cJSON *c = object->child; c; c = c->next)
        if (strcmp(c->string, key) == 0) return c;
    return NULL;
}

bool vr_json_int(const vr_json *v, int64_t low, int64_t high, int64_t *out)
{
    /* From 2^53 on, neighbours share a double, and which of them stood in the file cannot be told any more. */
    if (!cJSON_IsNumber(v) || fabs(v->valuedouble) >= 0x1p53 || v->valuedouble != trunc(v->valuedouble)) return false;
    int64_t number = (int64_t)v->valuedouble;
    if (number < low || number > high) return false;
    *out = number;
    return true;
}

bool vr_json_double(const vr_json *v, double *out)
{
    if (!cJSON_IsNumber(v)) return false;
    *out = v->valuedouble;
    return true;
}

bool vr_json_bool(const vr_json *v, bool *out)
{
    if (!cJSON_IsBool(v)) return false;
    *out = cJSON_IsTrue(v);
    return true;
}

bool vr_json_string(const vr_json *v, const char **out)
{
    if (!cJSON_IsString(v)) return false;
    *out = v->valuestring;
    return true;
}

vr_status vr_json_only_keys(const vr_json *object, const char *const *allowed, const char *what, vr_error *err)
{
    for (size_t i = 0; i < vr_json_size(object); i++) {
        const char        *key = vr_json_key(vr_json_item(object, i));
        const char *const *a = allowed;
        while (key && *a && strcmp(*a, key) != 0) a++;
        if (key && !*a)
            return vr_fail(err, VR_E_MODEL, "unknown-key", "%s: key '%s' means nothing here; is it misspelt?",
                           vr_quotez(what).text, vr_quotez(key).text);
    }
    return VR_OK;
}
