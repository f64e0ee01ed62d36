/* Small JSON documents (configs, schedules, labels), read strictly: at most max_bytes (default 1 MiB), UTF-8 without
 * NUL, no duplicate keys at any depth, nothing after the value, nesting at most 32, at most 131,072 values or one for
 * every 16 bytes of a longer text.  cJSON does the parsing; nobody else sees it.  A value is a `const vr_json *` that lives
 * as long as its document. */
#ifndef VR_JSON_H
#define VR_JSON_H

#include "../kernels/base.h"

typedef struct cJSON vr_json;

/* Parse a file or a text.  `what` names the text in messages.  Fails with VR_E_IO, VR_E_MODEL, VR_E_MEMORY; rules are
 * those of lex.h, "duplicate-key", "file-too-large" and those of file.h.  A text carries no limit of its own. */
vr_status vr_json_read(vr_json **out, const char *path, size_t max_bytes, vr_error *err);
vr_status vr_json_parse(vr_json **out, const char *text, size_t length, const char *what, vr_error *err);
void      vr_json_free(vr_json *doc);

typedef enum { VR_JSON_NULL, VR_JSON_BOOL, VR_JSON_NUMBER, VR_JSON_STRING, VR_JSON_ARRAY, VR_JSON_OBJECT } vr_json_kind;
vr_json_kind vr_json_type(const vr_json *v);
const char  *vr_json_type_name(const vr_json *v); /* "a number", "null", ... for messages */

const vr_json *vr_json_get(const vr_json *object, const char *key); /* case-sensitive; NULL: absent or no object */
size_t         vr_json_size(const vr_json *v);                      /* items of an array, members of an object */
const vr_json *vr_json_item(const vr_json *v, size_t i);            /* item or member i; walking in order is O(1) a step */
const char    *vr_json_key(const vr_json *member);                  /* the key of a member */

/* Values, each with a check.  True and *out written only where v is of that kind (NULL v: false). */
bool vr_json_int(const vr_json *v, int64_t low, int64_t high, int64_t *out); /* exactly integral and in range */
bool vr_json_double(const vr_json *v, double *out);                          /* finite */
bool vr_json_bool(const vr_json *v, bool *out);
bool vr_json_string(const vr_json *v, const char **out);

/* Fail where an object has a key that is not in the NULL-terminated list; the message names the key and the file. */
vr_status vr_json_only_keys(const vr_json *object, const char *const *allowed, const char *what, vr_error *err);

#endif
