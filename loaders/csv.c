/* csv.c: one pass over the text.  A field is decoded where it stands, for it only ever becomes shorter. */
#include "csv.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    vr_csv     *out;
    char       *at, *end; /* *end is writable: the NUL behind the text, or what stood there */
    size_t      line;     /* of the file, from 1 */
    size_t      fields, room;
    const char *what;
    vr_error   *err;
} reader;

static vr_status refuse(const reader *r, const char *rule, const char *wanted)
{
    return vr_fail(r->err, VR_E_MODEL, rule, "%s: line %zu: wanted %s", vr_quotez(r->what).text, r->line, wanted);
}

static vr_status keep(reader *r, char *field)
{
    vr_csv *out = r->out;
    if (r->fields == VR_CSV_MOST) return refuse(r, "csv-large", "a table of at most 4194304 fields");
    if (r->fields == r->room) {
        size_t room = r->room ? 2 * r->room : 1024;
        char **grown = reallocarray(out->field, room, sizeof *grown);
        if (!grown) return vr_fail(r->err, VR_E_MEMORY, "", "%s: no memory for its table", vr_quotez(r->what).text);
        out->field = grown, r->room = room;
    }
    out->field[r->fields++] = field;
    return VR_OK;
}

/* "a ""b""" between its quotes; *stop is where its last byte will have been. */
static vr_status quoted(reader *r, char **stop)
{
    char *to = r->at++;
    for (;; r->at++) {
        if (r->at == r->end) return refuse(r, "csv-quote", "the quote that closes a field");
        if (*r->at == '"' && *++r->at != '"') break;
        r->line += *r->at == '\n';
        *to++ = *r->at;
    }
    *stop = to;
    if (r->at < r->end && !strchr(",\r\n", *r->at)) return refuse(r, "csv-quote", "a comma behind a closing quote");
    return VR_OK;
}

static vr_status plain(reader *r, char **stop)
{
    while (r->at < r->end && !strchr(",\r\n\"", *r->at)) r->at++;
    *stop = r->at;
    if (r->at < r->end && *r->at == '"') return refuse(r, "csv-quote", "no quote within a field that has none around it");
    return VR_OK;
}

/* One field and what ends it.  *last: it was the last of its row. */
static vr_status field(reader *r, bool *last)
{
    char *start = r->at, *stop = start;
    if (*r->at == '"' && r->at < r->end ? quoted(r, &stop) : plain(r, &stop)) return r->err->code;
    *last = r->at == r->end || *r->at != ',';
    if (r->at < r->end && *r->at == '\r' && r->at[1] != '\n')
        return refuse(r, "csv-bytes", "no carriage return but in front of a line's end");
    if (r->at < r->end) r->at += *r->at == '\r' ? 2 : 1;
    *stop = 0;
    return keep(r, start);
}

static vr_status row(reader *r)
{
    vr_csv      *out = r->out;
    const size_t first = r->fields;
    for (bool last = false; !last;)
        if (field(r, &last)) return r->err->code;
    if (out->rows == 0) out->columns = r->fields;
    if (r->fields - first != out->columns)
        return vr_fail(r->err, VR_E_MODEL, "csv-columns", "%s: line %zu has %zu fields, wanted %zu as in the first line",
                       vr_quotez(r->what).text, r->line, r->fields - first, out->columns);
    out->rows++;
    r->line++;
    return VR_OK;
}

vr_status vr_csv_parse(vr_csv *out, char *text, size_t length, const char *what, vr_error *err)
{
    reader r = {.out = out, .at = text, .end = text + length, .line = 1, .what = what, .err = err};
    *out = (vr_csv){0};
    if (length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) r.at += 3;
    if (memchr(text, 0, length))
        vr_fail(err, VR_E_MODEL, "csv-bytes", "%s: has a NUL; wanted text", vr_quotez(what).text);
    else if (r.at == r.end)
        vr_fail(err, VR_E_MODEL, "csv-empty", "%s: is empty; wanted a table", vr_quotez(what).text);
    while (!err->code && r.at < r.end) row(&r);
    if (err->code) vr_csv_free(out);
    return err->code;
}

void vr_csv_free(vr_csv *c)
{
    free(c->field);
    *c = (vr_csv){0};
}
