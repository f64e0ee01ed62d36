/* eval_compare.c: where another program answers differently.  All of it follows from rows that are there anyway, so a kept
 * state can be compared too. */
#include "eval.h"

#include <math.h>
#include <stdlib.h>

vr_status eval_compare_open(eval *e, vr_error *err)
{
    if (!e->o->compare || vr_predictions_read(&e->theirs, e->o->compare, &e->known, err)) return err->code;
    e->place = vr_alloc(e->count, sizeof *e->place);
    if (!e->place) return vr_fail(err, VR_E_MEMORY, "memory", "no memory for %zu pictures", e->count);
    return vr_predictions_match(&e->theirs, e->place, e->path, e->count, err);
}

void eval_compare_close(eval *e)
{
    vr_predictions_free(&e->theirs);
    free(e->place);
}

/* Without --sweep the first setting is what was asked for. */
static const eval_row *ours(const eval *e, size_t i) { return &e->setting[0].row[i]; }

static bool both(const eval *e, size_t i) { return !ours(e, i)->code && e->place[i] != VR_PREDICTION_NONE; }
static int  their_class(const eval *e, size_t i) { return e->theirs.item[e->place[i]].class; }
static bool differs(const eval *e, size_t i) { return both(e, i) && ours(e, i)->best[0] != their_class(e, i); }

eval_comparison eval_compare_count(const eval *e)
{
    eval_comparison c = {0};
    for (size_t i = 0; i < e->done; i++) {
        c.compared += both(e, i);
        c.differ += differs(e, i);
        c.missing_there += !ours(e, i)->code && e->place[i] == VR_PREDICTION_NONE;
    }
    c.missing_here = e->theirs.count - c.compared;
    return c;
}

/* How far their class lies behind ours, in our logits; NaN where it is not among our best. */
static double margin(const eval *e, size_t i)
{
    const eval_row *r = ours(e, i);
    for (int k = 0; k < e->k; k++)
        if (r->best[k] == their_class(e, i)) return (double)r->logit[0] - (double)r->logit[k];
    return NAN;
}

/* Calls `line` for every difference, in the order of the data; false: no memory. */
static bool walk(const eval *e, FILE *f, void (*line)(const eval *e, size_t i, FILE *f))
{
    size_t *row = eval_rows_of_data(e);
    if (!row) return false;
    for (size_t p = 0; p < e->data.count; p++)
        if (row[p] && differs(e, row[p] - 1)) line(e, row[p] - 1, f);
    free(row);
    return true;
}

static void csv_line(const eval *e, size_t i, FILE *f)
{
    const double by = margin(e, i);
    cli_csv_field(f, e->path[i]);
    fprintf(f, ",%d,%d,%d,", e->label[i], ours(e, i)->best[0], their_class(e, i));
    if (isfinite(by)) cli_json_number(f, by);
    fputc('\n', f);
}

bool eval_differences_csv(const eval *e, FILE *f)
{
    fputs("file,label,ours,theirs,margin\n", f);
    return walk(e, f, csv_line);
}

static void table_line(const eval *e, size_t i, FILE *f)
{
    const double by = margin(e, i);
    fprintf(f, "%6d  %6d  %6d  ", e->label[i], ours(e, i)->best[0], their_class(e, i));
    if (isfinite(by))
        fprintf(f, "%9.4g  ", by);
    else
        fprintf(f, "%9s  ", "-");
    cli_print_padded(f, e->path[i], 0);
    fputc('\n', f);
}

bool eval_differences_table(const eval *e, FILE *f)
{
    if (!e->place || eval_compare_count(e).differ == 0) return true;
    fprintf(f, "\n%6s  %6s  %6s  %9s  file\n", "label", "ours", "theirs", "margin");
    return walk(e, f, table_line);
}
