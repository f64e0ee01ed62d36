/* eval_report.c: what eval found, for people and for machines. */
#include "../engine/internal.h"
#include "../engine/score.h"
#include "eval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One setting: sums over the pictures that were judged, then their means. */
typedef struct {
    const eval_setting *of;
    bool                compared; /* with the unmerged model */
    size_t              images, skipped, top1, top5;
    size_t              real_images, real_top1, real_top5; /* that ReaL judges, and its hits */
    size_t              agree, only_merged, only_unmerged; /* same answer; right where the other is wrong */
    double              loss, gmacs, merge_gmacs, decode_ms, resize_ms, infer_ms;
    double              plain_gmacs, plain_ms; /* of the unmerged model on the same pictures */
    double              low, high;             /* of top1, a share */
    double              tokens[256];           /* [depth]; no model is deeper */
} sums;

static void compare(sums *s, const eval_row *r, const eval_row *plain, int label)
{
    const bool right = r->best[0] == label, plain_right = plain->best[0] == label;
    s->agree += plain->best[0] == r->best[0];
    s->only_merged += right && !plain_right;
    s->only_unmerged += plain_right && !right;
    s->plain_gmacs += plain->gmacs, s->plain_ms += plain->infer_ms;
}

static bool any_is(const int *labels, size_t n, int class)
{
    for (size_t l = 0; l < n; l++)
        if (labels[l] == class) return true;
    return false;
}

static void add_real(sums *s, const eval *e, size_t i)
{
    const int *labels, *best = s->of->row[i].best;
    size_t     n;
    bool       hit = false;
    if (!eval_real_labels(e, i, &labels, &n)) return;
    for (int k = 0; k < e->k; k++) hit |= any_is(labels, n, best[k]);
    s->real_images++;
    s->real_top1 += any_is(labels, n, best[0]);
    s->real_top5 += hit;
}

static void add_picture(sums *s, const eval *e, size_t i)
{
    const eval_row *r = &s->of->row[i], *plain = s->compared ? &e->setting[e->plain].row[i] : NULL;
    if (r->code || (plain && plain->code)) {
        s->skipped++;
        return;
    }
    s->images++;
    s->top1 += r->best[0] == e->label[i];
    for (int k = 0; k < e->k; k++) s->top5 += r->best[k] == e->label[i];
    s->loss += r->loss, s->gmacs += r->gmacs, s->merge_gmacs += r->merge_gmacs;
    s->decode_ms += r->decode_ms, s->resize_ms += r->resize_ms, s->infer_ms += r->infer_ms;
    for (int l = 0; l < e->depth; l++) s->tokens[l] += s->of->tokens[i * (size_t)e->depth + (size_t)l];
    if (plain) compare(s, r, plain, e->label[i]);
    add_real(s, e, i);
}

static sums add_up(const eval *e, const eval_setting *of)
{
    sums s = {.of = of, .compared = e->plain != NO_PLAIN && of != &e->setting[e->plain]};
    for (size_t i = 0; i < e->done; i++) add_picture(&s, e, i);
    const double n = (double)s.images; /* means of nothing are no numbers, and are written so */
    double *means[] = {&s.loss, &s.gmacs, &s.merge_gmacs, &s.decode_ms, &s.resize_ms, &s.infer_ms, &s.plain_gmacs, &s.plain_ms};
    for (size_t i = 0; i < sizeof means / sizeof *means; i++) *means[i] /= n;
    for (int l = 0; l < e->depth; l++) s.tokens[l] /= n;
    vr_wilson(&s.low, &s.high, s.top1, s.images);
    return s;
}

/* How many times as fast as the unmerged model, batch by batch in the same run; NaN where it did not run. */
static double speedup(const sums *s) { return s->compared ? s->plain_ms / s->infer_ms : NAN; }

/* Of the work saved, how much became speed: 1 where time falls as GMACs do, 0 where it does not fall. */
static double saving_kept(const sums *s)
{
    const double ratio = s->plain_gmacs / (s->gmacs + s->merge_gmacs);
    return s->compared && ratio > 1.005 ? (speedup(s) - 1) / (ratio - 1) : NAN;
}

/* To four decimals, as timm writes its tables. */
static double percent(size_t part, size_t whole) { return round(1e6 * (double)part / (double)whole) / 1e4; }
static double rest(double x) { return round((100 - x) * 1e4) / 1e4; }

/* Of a run that judged under one setting alone. */
static double images_per_second(const eval *e)
{
    size_t now = e->done - e->resumed;
    return e->o->no_timing || e->settings > 1 || !now || e->seconds <= 0 ? NAN : (double)now / e->seconds;
}

static const char *model_name(const eval *e) { return vitrun_about(e->v)->name; }

static void image_size(const eval *e, char *out, size_t size)
{
    const vitrun_about_t *a = vitrun_about(e->v);
    if (a->image_height == a->image_width)
        snprintf(out, size, "%d", a->image_height);
    else
        snprintf(out, size, "%dx%d", a->image_height, a->image_width);
}

/* ---- JSON and CSV: one list of fields ---- */

typedef struct {
    FILE *f;
    bool  csv, names, first; /* names: the header of CSV */
} writer;

/* True where the field's value is to follow. */
static bool field(writer *w, const char *name)
{
    if (!w->first) fputc(',', w->f);
    w->first = false;
    if (w->names) fputs(name, w->f);
    if (!w->csv) fprintf(w->f, "\"%s\":", name);
    return !w->names;
}

static void text(writer *w, const char *name, const char *value)
{
    if (!field(w, name)) return;
    if (w->csv)
        cli_csv_field(w->f, value);
    else
        cli_json_string(w->f, value);
}

static void number(writer *w, const char *name, double value)
{
    if (field(w, name) && (!w->csv || isfinite(value))) cli_json_number(w->f, value);
}

static void count(writer *w, const char *name, size_t value)
{
    if (field(w, name)) fprintf(w->f, "%zu", value);
}

static void flag(writer *w, const char *name, bool value)
{
    if (field(w, name)) fputs(value ? "true" : "false", w->f);
}

static void tokens(writer *w, const eval *e, const sums *s)
{
    if (!field(w, "tokens")) return;
    if (!w->csv) fputc('[', w->f);
    for (int l = 0; l < e->depth; l++) {
        if (l) fputc(w->csv ? ' ' : ',', w->f);
        cli_json_number(w->f, s->tokens[l]);
    }
    if (!w->csv) fputc(']', w->f);
}

/* timm's columns first. */
static void timm_fields(writer *w, const eval *e, const sums *s)
{
    const vr_config *c = &e->v->model.config;
    const vr_recipe *r = &c->recipe;
    double           top1 = percent(s->top1, s->images), top5 = percent(s->top5, s->images);
    double crop = r->resize == VR_RESIZE_NONE || r->resize_height <= 0 ? 1 : (double)r->crop_height / r->resize_height;
    char   size[32];
    image_size(e, size, sizeof size);
    text(w, "model", model_name(e));
    number(w, "top1", top1);
    number(w, "top1_err", rest(top1));
    number(w, "top5", top5);
    number(w, "top5_err", rest(top5));
    number(w, "param_count", round((double)vitrun_about(e->v)->parameters / 1e4) / 100);
    if (strchr(size, 'x'))
        text(w, "img_size", size);
    else
        count(w, "img_size", (size_t)vitrun_about(e->v)->image_height);
    number(w, "crop_pct", c->crop_pct > 0 ? c->crop_pct : crop);
    text(w, "interpolation", r->filter == VR_BICUBIC ? "bicubic" : "bilinear");
}

/* In a list of settings the unmerged model has them too, so that all rows of CSV are alike; there they say nothing. */
static void agreement_fields(writer *w, const eval *e, const sums *s)
{
    if (e->plain == NO_PLAIN) return;
    const bool itself = !s->compared;
    number(w, "agreement", itself ? 100 : percent(s->agree, s->images));
    count(w, "agreement_count", itself ? s->images : s->agree);
    number(w, "unmerged_top1", percent(s->top1 - s->only_merged + s->only_unmerged, s->images));
    count(w, "only_merged_right", s->only_merged);
    count(w, "only_unmerged_right", s->only_unmerged);
    number(w, "mcnemar_p", vr_mcnemar(s->only_merged, s->only_unmerged));
    if (e->o->no_timing) return;
    number(w, "speedup", itself ? 1 : speedup(s));
    number(w, "saving_kept", saving_kept(s));
}

static void real_fields(writer *w, const eval *e, const sums *s)
{
    if (!e->real.count) return;
    number(w, "real_top1", percent(s->real_top1, s->real_images));
    number(w, "real_top5", percent(s->real_top5, s->real_images));
    count(w, "real_images", s->real_images);
}

static void comparison_fields(writer *w, const eval *e)
{
    if (!e->place) return;
    const eval_comparison c = eval_compare_count(e);
    count(w, "compared", c.compared);
    count(w, "differ", c.differ);
    count(w, "missing_there", c.missing_there);
    count(w, "missing_here", c.missing_here);
}

static void fields(writer *w, const eval *e, const sums *s)
{
    const vitrun_about_t *a = vitrun_about(e->v);
    const bool            timed = !e->o->no_timing;
    w->first = true;
    timm_fields(w, e, s);
    flag(w, "partial", e->done < e->count);
    count(w, "images", s->images);
    count(w, "skipped", s->skipped);
    count(w, "wanted", e->count);
    count(w, "top1_count", s->top1);
    count(w, "top5_count", s->top5);
    number(w, "top1_low", round(1e6 * s->low) / 1e4);
    number(w, "top1_high", round(1e6 * s->high) / 1e4);
    number(w, "loss", s->loss);
    flag(w, "label_order_suspect", e->suspect);
    text(w, "merge", s->of->name);
    tokens(w, e, s);
    number(w, "gmacs", s->gmacs);
    number(w, "merge_gmacs", s->merge_gmacs);
    agreement_fields(w, e, s);
    text(w, "recipe", a->recipe);
    flag(w, "exif", e->v->exif);
    text(w, "device", a->device);
    text(w, "isa", a->isa);
    text(w, "dtype", a->dtype);
    text(w, "version", VITRUN_VERSION);
    text(w, "dataset", e->o->imagenet);
    text(w, "layout", e->data.layout);
    count(w, "class_folders", e->data.folders);
    count(w, "unreadable_folders", e->data.unreadable);
    if (timed) text(w, "cpu", cli_machine_read().cpu);
    if (e->valid) count(w, "valid_labels", (size_t)e->valid_count);
    real_fields(w, e, s);
    comparison_fields(w, e);
    if (timed) count(w, "threads", (size_t)a->threads);
    if (timed) count(w, "resumed", e->resumed);
    if (timed) number(w, "seconds", e->seconds);
    if (timed) number(w, "images_per_second", images_per_second(e));
    if (timed) number(w, "decode_ms", s->decode_ms);
    if (timed) number(w, "resize_ms", s->resize_ms);
    if (timed) number(w, "infer_ms", s->infer_ms);
}

static void csv(const eval *e, FILE *f)
{
    bool named = false;
    for (size_t k = 0; k < e->settings; k++) {
        if (!e->setting[k].shown) continue;
        const sums s = add_up(e, &e->setting[k]);
        writer     w = {.f = f, .csv = true, .names = !named};
        if (w.names) {
            fields(&w, e, &s);
            fputc('\n', f);
        }
        w.names = false, named = true;
        fields(&w, e, &s);
        fputc('\n', f);
    }
}

/* One object, or, of --sweep, a list of them. */
static void json(const eval *e, FILE *f)
{
    const char *before = e->o->sweep ? "[" : "";
    for (size_t k = 0; k < e->settings; k++) {
        if (!e->setting[k].shown) continue;
        const sums s = add_up(e, &e->setting[k]);
        writer     w = {.f = f};
        fprintf(f, "%s{", before);
        fields(&w, e, &s);
        fputc('}', f);
        before = ",\n";
    }
    fputs(e->o->sweep ? "]\n" : "\n", f);
}

/* ---- table ---- */

static void table_timing(const eval *e, const sums *s, FILE *f)
{
    if (e->o->no_timing || e->done == e->resumed) return;
    if (e->settings == 1) fprintf(f, "speed        %.2f pictures/s over %.1f s\n", images_per_second(e), e->seconds);
    fprintf(f, "a picture    decode %.2f ms, resize %.2f ms, infer %.2f ms\n", s->decode_ms, s->resize_ms, s->infer_ms);
}

static void table_head(const eval *e, FILE *f)
{
    const vitrun_about_t *a = vitrun_about(e->v);
    char                  size[32];
    image_size(e, size, sizeof size);
    if (e->done < e->count) fprintf(f, "PARTIAL      %zu of %zu pictures: the run was interrupted\n", e->done, e->count);
    fputs("model        ", f);
    cli_print_padded(f, model_name(e), 0);
    fprintf(f, ", %.2f M parameters, %s pixels, %s\n", (double)a->parameters / 1e6, size, a->recipe);
    fprintf(f, "device       %s, %s, %s", a->device, a->isa, a->dtype);
    if (!e->o->no_timing) fprintf(f, ", %d threads", a->threads);
    fputc('\n', f);
}

static void table_pictures(const eval *e, const sums *s, FILE *f)
{
    fprintf(f, "pictures     %zu judged, %zu skipped (%s", s->images, s->skipped, e->data.layout);
    if (e->data.folders) fprintf(f, ": %zu of %d classes", e->data.folders, vitrun_about(e->v)->classes);
    fputs(")\n", f);
    if (e->valid) fprintf(f, "classes      %d of the model's %d are valid\n", e->valid_count, e->known.count);
}

static void table_real(const eval *e, const sums *s, FILE *f)
{
    if (!e->real.count) return;
    fprintf(f, "ReaL         labels of %zu pictures", s->real_images);
    if (s->real_images)
        fprintf(f, ": top-1 %zu (%.3f), top-5 %zu (%.3f)", s->real_top1, percent(s->real_top1, s->real_images), s->real_top5,
                percent(s->real_top5, s->real_images));
    fputc('\n', f);
}

static void table_comparison(const eval *e, FILE *f)
{
    if (!e->place) return;
    const eval_comparison c = eval_compare_count(e);
    fprintf(f, "compared     %zu pictures, of which %zu differ; missing there %zu, missing here %zu\n", c.compared, c.differ,
            c.missing_there, c.missing_here);
}

static void table(const eval *e, const eval_setting *of, FILE *f)
{
    const sums s = add_up(e, of);
    table_head(e, f);
    table_pictures(e, &s, f);
    fputs("merge        ", f);
    cli_print_padded(f, s.of->name, 0);
    if (!s.images) {
        fputs("\nno picture was judged\n", f);
        return;
    }
    fputs("\ntokens       ", f);
    for (int l = 0; l < e->depth; l++) fprintf(f, "%s%.1f", l ? " " : "", s.tokens[l]);
    fprintf(f, "\ncost         %.3f GMACs, merging %.4f\n", s.gmacs, s.merge_gmacs);
    table_timing(e, &s, f);
    fprintf(f, "loss         %.6f\n", s.loss);
    fprintf(f, "top-1        %zu of %zu, 95 %% interval %.2f to %.2f\n", s.top1, s.images, 100 * s.low, 100 * s.high);
    if (s.compared)
        fprintf(f, "unmerged     agrees on %zu of %zu (%.3f); right alone: merged %zu, unmerged %zu; McNemar p %.3g\n", s.agree,
                s.images, percent(s.agree, s.images), s.only_merged, s.only_unmerged,
                vr_mcnemar(s.only_merged, s.only_unmerged));
    if (s.compared && !e->o->no_timing)
        fprintf(f, "unmerged     %.3f GMACs; %.2f times as fast as it", s.plain_gmacs, speedup(&s));
    if (s.compared && !e->o->no_timing && isfinite(saving_kept(&s)))
        fprintf(f, "; of the saving, %.2f became speed", saving_kept(&s));
    if (s.compared && !e->o->no_timing) fputc('\n', f);
    table_real(e, &s, f);
    table_comparison(e, f);
    double top1 = percent(s.top1, s.images), top5 = percent(s.top5, s.images);
    fprintf(f, " * Acc@1 %.3f (%.3f) Acc@5 %.3f (%.3f)\n", top1, 100 - top1, top5, 100 - top5);
}

static void cell(FILE *f, const char *format, double x) __attribute__((format(printf, 2, 0)));
static void cell(FILE *f, const char *format, double x)
{
    char text[32] = "-";
    if (isfinite(x)) snprintf(text, sizeof text, format, x);
    fprintf(f, "  %8s", text);
}

/* Of --sweep: a line a setting. */
static void list_line(const eval *e, const eval_setting *of, size_t width, FILE *f)
{
    const sums s = add_up(e, of);
    cli_print_padded(f, of->name, width);
    cell(f, "%.2f", 100 * (double)s.top1 / (double)s.images);
    cell(f, "%.2f", 100 * s.low);
    cell(f, "%.2f", 100 * s.high);
    if (e->real.count) cell(f, "%.2f", 100 * (double)s.real_top1 / (double)s.real_images);
    cell(f, "%.2f", e->plain == NO_PLAIN ? NAN : s.compared ? 100 * (double)s.agree / (double)s.images : 100);
    cell(f, "%.3f", s.gmacs);
    cell(f, "%.1f", s.tokens[e->depth - 1 - (e->depth > 1 && e->v->model.few)]); /* the last block that computes every token */
    if (!e->o->no_timing) cell(f, "%.2f", s.infer_ms);
    if (!e->o->no_timing) cell(f, "%.2f", speedup(&s));
    if (!e->o->no_timing) cell(f, "%.2f", saving_kept(&s));
    fputc('\n', f);
}

static void list(const eval *e, FILE *f)
{
    const sums lead = add_up(e, eval_lead(e));
    size_t     width = strlen("merge");
    table_head(e, f);
    table_pictures(e, &lead, f);
    for (size_t k = 0; k < e->settings; k++)
        if (cli_columns(e->setting[k].name) > width) width = cli_columns(e->setting[k].name);
    fputc('\n', f);
    cli_print_padded(f, "merge", width);
    fprintf(f, "  %8s  %8s  %8s", "top-1 %", "from", "to");
    if (e->real.count) fprintf(f, "  %8s", "ReaL %");
    fprintf(f, "  %8s  %8s  %8s", "agree %", "GMACs", "tokens");
    if (!e->o->no_timing) fprintf(f, "  %8s  %8s  %8s", "ms", "speed-up", "of saved");
    fputc('\n', f);
    for (size_t k = 0; k < e->settings; k++) list_line(e, &e->setting[k], width, f);
}

bool eval_report(const eval *e, FILE *f)
{
    const char *form = e->o->json ? "json" : e->o->format ? e->o->format : "table";
    if (strcmp(form, "json") == 0)
        json(e, f);
    else if (strcmp(form, "csv") == 0)
        csv(e, f);
    else if (e->o->sweep)
        list(e, f);
    else {
        table(e, &e->setting[0], f);
        return e->o->differences || eval_differences_table(e, f);
    }
    return true;
}

/* ---- predictions ---- */

/* Tokens that left each block, with blanks between. */
static void print_tokens(const eval *e, const int *left, FILE *f)
{
    for (int l = 0; l < e->depth; l++) fprintf(f, "%s%d", l ? " " : "", left[l]);
}

static void prediction(const eval *e, const eval_setting *s, size_t i, FILE *f)
{
    const eval_row *r = &s->row[i];
    cli_csv_field(f, e->path[i]);
    fprintf(f, ",%d", e->label[i]);
    for (int k = 0; k < EVAL_BEST; k++) {
        if (r->code || k >= e->k)
            fputs(",,", f);
        else
            fprintf(f, ",%d,%.9g", r->best[k], (double)r->logit[k]);
    }
    fputc(',', f);
    if (!r->code) print_tokens(e, s->tokens + i * (size_t)e->depth, f);
    fputc(',', f);
    if (!r->code) cli_json_number(f, r->gmacs);
    fputc(',', f);
    cli_csv_field(f, s->name);
    fputc(',', f);
    if (r->code) cli_csv_field(f, r->error);
    fputc('\n', f);
}

size_t *eval_rows_of_data(const eval *e)
{
    size_t *row = vr_alloc_zeroed(e->data.count, sizeof *row);
    for (size_t i = 0; row && i < e->done; i++) row[e->pick[i]] = i + 1;
    return row;
}

bool eval_predictions(const eval *e, FILE *f)
{
    size_t *row = eval_rows_of_data(e);
    if (!row) return false;
    fputs("file,label", f);
    for (int k = 1; k <= EVAL_BEST; k++) fprintf(f, ",index%d,logit%d", k, k);
    fputs(",tokens,gmacs,merge,error\n", f);
    for (size_t p = 0; p < e->data.count; p++)
        for (size_t k = 0; k < e->settings && row[p]; k++)
            if (e->setting[k].shown) prediction(e, &e->setting[k], row[p] - 1, f);
    free(row);
    return true;
}
