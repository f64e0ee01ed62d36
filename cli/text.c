/* text.c: text for machines (JSON, CSV) and for people. */
#include "cli.h"

#include <math.h>
#include <string.h>

/* The bytes of the UTF-8 character at p, 0 where there is none.  p is NUL-terminated. */
static size_t character(const char *p)
{
    size_t left = strnlen(p, 4);
    for (size_t n = 1; n <= left; n++)
        if (vr_utf8_valid(p, n)) return n;
    return 0;
}

void cli_json_string(FILE *f, const char *text)
{
    fputc('"', f);
    for (const char *p = text; *p;) {
        size_t n = character(p);
        if (n == 0) {
            fputs("\xEF\xBF\xBD", f); /* U+FFFD */
            p++;
            continue;
        }
        if (*p == '"' || *p == '\\')
            fprintf(f, "\\%c", *p);
        else if (*p == '\n')
            fputs("\\n", f);
        else if (n == 1 && ((unsigned char)*p < 0x20 || *p == 0x7F))
            fprintf(f, "\\u%04x", (unsigned)*p);
        else
            fwrite(p, 1, n, f);
        p += n;
    }
    fputc('"', f);
}

void cli_json_number(FILE *f, double x)
{
    if (isfinite(x))
        fprintf(f, "%.9g", x); /* the program never calls setlocale, so this is a point everywhere */
    else
        fputs("null", f);
}

void cli_csv_field(FILE *f, const char *text)
{
    if (!text[strcspn(text, ",\"\r\n")]) {
        fputs(text, f);
        return;
    }
    fputc('"', f);
    for (const char *p = text; *p; p++) {
        if (*p == '"') fputc('"', f);
        fputc(*p, f);
    }
    fputc('"', f);
}

/* Characters that terminals draw two columns wide: Hangul, CJK, full-width forms, pictographs. */
static bool wide(const char *p, size_t n)
{
    const unsigned char *b = (const unsigned char *)p;
    if (n == 4) return b[0] == 0xF0 && (b[1] == 0x9F || b[1] >= 0xA0);
    if (n != 3) return false;
    unsigned code = (unsigned)(b[0] & 15) << 12 | (unsigned)(b[1] & 63) << 6 | (unsigned)(b[2] & 63);
    return (code >= 0x1100 && code <= 0x115F) || (code >= 0x2E80 && code <= 0xA4CF) || (code >= 0xAC00 && code <= 0xD7A3) ||
           (code >= 0xF900 && code <= 0xFAFF) || (code >= 0xFE30 && code <= 0xFE6F) || (code >= 0xFF00 && code <= 0xFF60);
}

/* Combining accents are drawn over the character before them. */
static bool combining(const char *p, size_t n)
{
    const unsigned char *b = (const unsigned char *)p;
    return n == 2 && (b[0] == 0xCC || (b[0] == 0xCD && b[1] < 0xB0));
}

/* Writes text to f, or only measures where f is NULL. */
static size_t printable(FILE *f, const char *text)
{
    size_t columns = 0;
    for (const char *p = text; *p;) {
        size_t    n = character(p), length = n ? n : 1;
        vr_quoted q = vr_quote(p, length);
        if (f) fputs(q.text, f);
        bool escaped = strlen(q.text) != length;
        columns += escaped ? strlen(q.text) : wide(p, n) ? 2 : combining(p, n) ? 0 : 1;
        p += length;
    }
    return columns;
}

size_t cli_columns(const char *text) { return printable(NULL, text); }

void cli_print_padded(FILE *f, const char *text, size_t columns)
{
    for (size_t used = printable(f, text); used < columns; used++) fputc(' ', f);
}

static bool utf8(const char *text) { return vr_utf8_valid(text, strlen(text)); }

void cli_json_file(FILE *f, const char *path)
{
    fputs("{\"file\":", f);
    cli_json_string(f, path);
    if (utf8(path)) return;
    fputs(",\"file_hex\":\"", f); /* the bytes of a name that JSON cannot hold */
    for (const char *p = path; *p; p++) fprintf(f, "%02x", (unsigned)(unsigned char)*p);
    fputc('"', f);
}
