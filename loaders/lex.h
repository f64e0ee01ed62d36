/* The grammar of JSON (RFC 8259), checked to the letter before anything interprets a text.  Both readers of JSON start
 * here: safetensors headers, whose scanner can then trust the grammar, and configs, because cJSON accepts much that is
 * no JSON (007, 1., raw control bytes, broken UTF-8, text behind the value). */
#ifndef VR_LEX_H
#define VR_LEX_H

#include "../kernels/base.h"

typedef struct {
    const char *what;       /* names the text in messages */
    int         max_depth;  /* objects and arrays inside one another */
    size_t      max_values; /* in the whole text; bounds the memory of whoever builds a tree of them */
} vr_lex_limits;

/* Is the text one JSON value, with nothing but whitespace around it?  Fails with VR_E_MODEL and one of these rules:
 *   utf8             not UTF-8 (overlong forms and surrogates included)
 *   json-syntax      anything the grammar does not allow; also a byte order mark, a raw control byte in a string
 *   json-escape      an escape that JSON does not have, or half of a surrogate pair
 *   nul-escape       \u0000: legal JSON, but a name that a C string cannot hold could pass for another
 *   number-form      007, 1., .5e, 0x10: begins like a number and is none
 *   number-range     a number of more than 60 characters
 *   nesting          deeper than max_depth
 *   too-many-values  more than max_values */
vr_status vr_lex_check(const char *text, size_t length, const vr_lex_limits *limits, vr_error *err);

/* Decode the string whose opening quote is at `quote`, in a text that passed vr_lex_check, where it stands: the decoded
 * bytes and a NUL replace it, and are never longer than it was.  The text is at quote + 1.
 *   length  written: decoded bytes
 * Returns the place behind the closing quote. */
char *vr_lex_decode(char *quote, size_t *length);

/* What a value that begins with this byte is: "a number", "an object", ... */
const char *vr_lex_kind(char first);

#endif
