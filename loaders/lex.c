/* lex.c: a recursive-descent check of JSON.  It builds nothing, so that a hostile text costs one pass and no memory;
 * recursion is bounded by max_depth. */
#include "lex.h"

#include <string.h>

enum { LONGEST_NUMBER = 60 }; /* cJSON copies numbers into 64 bytes and cuts longer ones */

typedef struct {
    const char          *start, *at, *end;
    int                  depth;
    size_t               values;
    const vr_lex_limits *limits;
    vr_error            *err;
} lexer;

static vr_status value(lexer *l);

static vr_status refuse(const lexer *l, const char *rule, const char *wanted)
{
    vr_quoted what = vr_quotez(l->limits->what);
    size_t    byte = (size_t)(l->at - l->start);
    if (l->at == l->end)
        return vr_fail(l->err, VR_E_MODEL, rule, "%s: JSON ends at byte %zu, wanted %s", what.text, byte, wanted);
    return vr_fail(l->err, VR_E_MODEL, rule, "%s: found '%s' at byte %zu of the JSON, wanted %s", what.text,
                   vr_quote(l->at, 1).text, byte, wanted);
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static void skip_space(lexer *l)
{
    while (l->at < l->end && (*l->at == ' ' || *l->at == '\t' || *l->at == '\n' || *l->at == '\r')) l->at++;
}

/* The byte after any whitespace, NUL at the end (a NUL byte in the text is wanted nowhere, so the two do not mix). */
static char peek(lexer *l)
{
    skip_space(l);
    return l->at < l->end ? *l->at : 0;
}

static int hex_digit(char c)
{
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* The value of \uXXXX at p, -1 where it is none. */
static int unicode_escape(const char *p, const char *end)
{
    if (end - p < 6 || p[0] != '\\' || p[1] != 'u') return -1;
    int code = 0;
    for (int i = 2; i < 6; i++) {
        int digit = hex_digit(p[i]);
        if (digit < 0) return -1;
        code = code * 16 + digit;
    }
    return code;
}

static bool high_surrogate(int code) { return code >= 0xD800 && code <= 0xDBFF; }
static bool low_surrogate(int code) { return code >= 0xDC00 && code <= 0xDFFF; }

static vr_status escape(lexer *l)
{
    if (l->end - l->at >= 2 && l->at[1] != 0 && strchr("\"\\/bfnrt", l->at[1])) {
        l->at += 2;
        return VR_OK;
    }
    int code = unicode_escape(l->at, l->end);
    if (code < 0) return refuse(l, "json-escape", "one of the escapes of JSON");
    if (code == 0) return refuse(l, "nul-escape", "no NUL inside a string");
    if (low_surrogate(code)) return refuse(l, "json-escape", "no second half of a surrogate pair without its first");
    l->at += 6;
    if (!high_surrogate(code)) return VR_OK;
    if (!low_surrogate(unicode_escape(l->at, l->end))) return refuse(l, "json-escape", "the second half of a surrogate pair");
    l->at += 6;
    return VR_OK;
}

static vr_status string(lexer *l)
{
    for (l->at++; l->at < l->end;) {
        unsigned char c = (unsigned char)*l->at;
        if (c == '"') {
            l->at++;
            return VR_OK;
        }
        if (c < 0x20) return refuse(l, "json-syntax", "an escape in place of a raw control byte");
        if (c == '\\') {
            vr_status status = escape(l);
            if (status) return status;
        } else
            l->at++;
    }
    return refuse(l, "json-syntax", "the quote that closes a string");
}

static bool digits(lexer *l)
{
    const char *first = l->at;
    while (l->at < l->end && is_digit(*l->at)) l->at++;
    return l->at > first;
}

static bool take(lexer *l, const char *any_of)
{
    if (l->at == l->end || *l->at == 0 || !strchr(any_of, *l->at)) return false;
    l->at++;
    return true;
}

static vr_status number(lexer *l)
{
    const char *first = l->at;
    take(l, "-");
    if (!take(l, "0") && !digits(l)) return refuse(l, "number-form", "a digit");
    if (take(l, ".") && !digits(l)) return refuse(l, "number-form", "a digit behind the point");
    if (take(l, "eE")) {
        take(l, "+-");
        if (!digits(l)) return refuse(l, "number-form", "a digit in the exponent");
    }
    if (l->at < l->end && *l->at != 0 && strchr("0123456789.+-xXeEabcdfABCDF_", *l->at))
        return refuse(l, "number-form", "the end of the number");
    if (l->at - first > LONGEST_NUMBER) return refuse(l, "number-range", "a number of at most 60 characters");
    return VR_OK;
}

static vr_status literal(lexer *l, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(l->end - l->at) < n || memcmp(l->at, word, n) != 0)
        return refuse(l, "json-syntax", "a value (true, false and null are the only bare words)");
    l->at += n;
    return VR_OK;
}

static vr_status key(lexer *l)
{
    if (peek(l) != '"') return refuse(l, "json-syntax", "a key in quotes");
    vr_status status = string(l);
    if (status) return status;
    if (peek(l) != ':') return refuse(l, "json-syntax", "a colon behind the key");
    l->at++;
    return VR_OK;
}

/* An object or an array: the same but for keys and the closing bracket. */
static vr_status container(lexer *l, bool object)
{
    const char close = object ? '}' : ']';
    if (++l->depth > l->limits->max_depth) return refuse(l, "nesting", "less nesting");
    l->at++;
    if (peek(l) == close) goto closed;
    for (;;) {
        vr_status status = object ? key(l) : VR_OK;
        if (!status) status = value(l);
        if (status) return status;
        if (peek(l) == close) goto closed;
        if (peek(l) != ',') return refuse(l, "json-syntax", object ? "',' or '}'" : "',' or ']'");
        l->at++;
    }
closed:
    l->at++;
    l->depth--;
    return VR_OK;
}

static vr_status value(lexer *l)
{
    char first = peek(l);
    if (++l->values > l->limits->max_values) return refuse(l, "too-many-values", "fewer values in one document");
    switch (first) {
    case '{':
        return container(l, true);
    case '[':
        return container(l, false);
    case '"':
        return string(l);
    case 't':
        return literal(l, "true");
    case 'f':
        return literal(l, "false");
    case 'n':
        return literal(l, "null");
    default:
        if (first == '-' || is_digit(first)) return number(l);
        return refuse(l, "json-syntax", "a value");
    }
}

vr_status vr_lex_check(const char *text, size_t length, const vr_lex_limits *limits, vr_error *err)
{
    if (!vr_utf8_valid(text, length))
        return vr_fail(err, VR_E_MODEL, "utf8", "%s: JSON has bytes that are not UTF-8", vr_quotez(limits->what).text);
    lexer     l = {.start = text, .at = text, .end = text + length, .limits = limits, .err = err};
    vr_status status = value(&l);
    if (status) return status;
    peek(&l);
    return l.at == l.end ? VR_OK : refuse(&l, "json-syntax", "nothing behind the value");
}

static char *put_utf8(char *to, unsigned code)
{
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xC0 | code >> 6);
        *to++ = (char)(0x80 | (code & 63));
    } else if (code < 0x10000) {
        *to++ = (char)(0xE0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 63));
        *to++ = (char)(0x80 | (code & 63));
    } else {
        *to++ = (char)(0xF0 | code >> 18);
        *to++ = (char)(0x80 | (code >> 12 & 63));
        *to++ = (char)(0x80 | (code >> 6 & 63));
        *to++ = (char)(0x80 | (code & 63));
    }
    return to;
}

/* Write the character of the escape at `from` to *to and return the place behind the escape. */
static const char *decode_escape(char **to, const char *from)
{
    static const char names[] = "bfnrt", bytes[] = "\b\f\n\r\t";
    if (from[1] != 'u') {
        const char *known = strchr(names, from[1]);
        *(*to)++ = known ? bytes[known - names] : from[1];
        return from + 2;
    }
    int code = unicode_escape(from, from + 6);
    from += 6;
    if (high_surrogate(code)) {
        code = 0x10000 + (code - 0xD800) * 0x400 + (unicode_escape(from, from + 6) - 0xDC00);
        from += 6;
    }
    *to = put_utf8(*to, (unsigned)code);
    return from;
}

char *vr_lex_decode(char *quote, size_t *length)
{
    char       *to = quote + 1;
    const char *from = to;
    while (*from != '"') {
        if (*from == '\\')
            from = decode_escape(&to, from);
        else
            *to++ = *from++;
    }
    char *behind = quote + (from - quote) + 1;
    *to = 0;
    *length = (size_t)(to - quote) - 1;
    return behind;
}

const char *vr_lex_kind(char first)
{
    switch (first) {
    case '{':
        return "an object";
    case '[':
        return "an array";
    case '"':
        return "a string";
    case 't':
    case 'f':
        return "true or false";
    case 'n':
        return "null";
    default:
        return "a number";
    }
}
