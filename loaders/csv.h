/* Tables of comma-separated values, read strictly (RFC 4180): lines end in LF or CRLF; a field in quotes may hold commas,
 * line ends and doubled quotes; every row has as many fields as the first.  A byte order mark is skipped.  Bytes are kept as
 * they are, for file names need not be UTF-8. */
#ifndef VR_CSV_H
#define VR_CSV_H

#include "../kernels/base.h"

enum { VR_CSV_MOST = 4 << 20 }; /* fields of a table */

typedef struct {
    size_t rows, columns; /* a header, where there is one, is row 0 */
    char **field;         /* [rows, columns] each ended by a NUL */
} vr_csv;

/* Split a text of `length` bytes and a NUL, which is changed and which the fields point into.  `what` names it in messages.
 * VR_E_MEMORY, or VR_E_MODEL with one of these rules; *out is empty after a failure:
 *   csv-empty    no row at all
 *   csv-bytes    a NUL, or a carriage return that ends no line
 *   csv-quote    a quote within a field that has none around it, text behind a closing quote, a quote that is never closed
 *   csv-columns  a row with more or fewer fields than the first
 *   csv-large    more than VR_CSV_MOST fields */
vr_status vr_csv_parse(vr_csv *out, char *text, size_t length, const char *what, vr_error *err);
void      vr_csv_free(vr_csv *c); /* not the text */

#endif
