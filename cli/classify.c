/* classify.c: the command that labels pictures. */
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct run run;
typedef void       print_fn(run *r, const vitrun_result *result, const vitrun_class *best, int count);

/* A form of the results: what stands before the first, what each looks like, what stands after the last. */
typedef struct {
    const char *name;
    void (*head)(run *r);
    print_fn *each;
    void (*tail)(run *r);
} form;

struct run {
    const cli_options *o;
    vitrun            *v;
    const form        *form;
    cli_output         out;
    FILE              *f; /* out.stream */
    cli_progress       progress;
    vitrun_class      *best; /* [k] */
    int                k;
    size_t             count, done, failed;
    bool               implicit, said_ten, bars, plain; /* plain: one picture in pipeline form, no outer list */
    size_t             file_columns, label_columns;
    int                nonfinite; /* code of a result that is no number, else 0 */
};

/* ---- table ---- */

static const char *label(const run *r, int i)
{
    static char number[16];
    const char *name = vitrun_label(r->v, i);
    if (name[0]) return name;
    snprintf(number, sizeof number, "%d", i);
    return number;
}

static void table_each(run *r, const vitrun_result *result, const vitrun_class *best, int count)
{
    if (result->code) {
        cli_print_padded(r->f, result->path, r->file_columns);
        fputs("  error: ", r->f);
        cli_print_padded(r->f, result->error, 0);
        fputc('\n', r->f);
    }
    for (int i = 0; i < count; i++) {
        cli_print_padded(r->f, result->path, r->file_columns);
        fputs(i == 0 && r->bars ? "  \033[1m" : "  ", r->f);
        cli_print_padded(r->f, label(r, best[i].index), r->label_columns);
        fprintf(r->f, "%s  %.4f", i == 0 && r->bars ? "\033[0m" : "", (double)best[i].prob);
        int eighths = r->bars ? (int)lround((double)best[i].prob * 80) : 0;
        if (eighths) fputs("  ", r->f);
        for (; eighths >= 8; eighths -= 8) fputs("\xE2\x96\x88", r->f);
        if (eighths) fprintf(r->f, "\xE2\x96%c", 0x90 - eighths); /* U+258F is one eighth, U+2589 seven */
        fputc('\n', r->f);
    }
}

/* ---- JSON Lines ---- */

static void json_classes(run *r, const vitrun_class *best, int count)
{
    for (int i = 0; i < count; i++) {
        fprintf(r->f, "%s{\"index\":%d,\"label\":", i ? "," : "", best[i].index);
        cli_json_string(r->f, vitrun_label(r->v, best[i].index));
        fputs(",\"synset\":", r->f);
        cli_json_string(r->f, vitrun_synset(r->v, best[i].index));
        fputs(",\"prob\":", r->f);
        cli_json_number(r->f, (double)best[i].prob);
        fputs(",\"logit\":", r->f);
        cli_json_number(r->f, (double)best[i].logit);
        fputc('}', r->f);
    }
}

static void json_ms(run *r, const vitrun_result *result)
{
    const struct {
        const char *name;
        double      ms;
    } parts[] = {{"decode", result->decode_ms}, {"resize", result->resize_ms}, {"infer", result->infer_ms}};
    for (int i = 0; i < 3; i++) fprintf(r->f, "%s\"%s\":%.3f", i ? "," : "", parts[i].name, parts[i].ms);
}

static void json_each(run *r, const vitrun_result *result, const vitrun_class *best, int count)
{
    cli_json_file(r->f, result->path);
    fprintf(r->f, ",\"width\":%d,\"height\":%d,\"topk\":[", result->width, result->height);
    json_classes(r, best, count);
    fputs("],\"tokens\":[", r->f);
    for (int l = 0; !result->code && l < vitrun_about(r->v)->depth; l++) fprintf(r->f, "%s%d", l ? "," : "", result->tokens[l]);
    fputs("],\"gmacs\":", r->f);
    cli_json_number(r->f, result->code ? NAN : result->gmacs);
    fputs(",\"merge_gmacs\":", r->f);
    cli_json_number(r->f, result->code ? NAN : result->merge_gmacs);
    fputs(",\"merge\":", r->f);
    cli_json_string(r->f, vitrun_about(r->v)->merge);
    fputs(",\"ms\":{", r->f);
    json_ms(r, result);
    fputs("},\"error\":", r->f);
    if (result->code)
        cli_json_string(r->f, result->error);
    else
        fputs("null", r->f);
    fputs("}\n", r->f);
}

/* ---- CSV ---- */

static void csv_head(run *r) { fputs("file,rank,index,label,synset,prob,logit,error\n", r->f); }

static void csv_each(run *r, const vitrun_result *result, const vitrun_class *best, int count)
{
    if (result->code) {
        cli_csv_field(r->f, result->path);
        fputs(",,,,,,,", r->f);
        cli_csv_field(r->f, result->error);
        fputc('\n', r->f);
    }
    for (int i = 0; i < count; i++) {
        cli_csv_field(r->f, result->path);
        fprintf(r->f, ",%d,%d,", i + 1, best[i].index);
        cli_csv_field(r->f, vitrun_label(r->v, best[i].index));
        fputc(',', r->f);
        cli_csv_field(r->f, vitrun_synset(r->v, best[i].index));
        fprintf(r->f, ",%.9g,%.9g,\n", (double)best[i].prob, (double)best[i].logit);
    }
}

/* As timm's inference.py writes it with --topk 1 and no label names: the name without its folders, the class's index. */
static void timm_head(run *r) { fputs("filename,label,prob\n", r->f); }

static void timm_each(run *r, const vitrun_result *result, const vitrun_class *best, int count)
{
    const char *slash = strrchr(result->path, '/');
    cli_csv_field(r->f, slash ? slash + 1 : result->path);
    if (count)
        fprintf(r->f, ",%d,%.9g\n", best[0].index, (double)best[0].prob);
    else
        fputs(",,\n", r->f);
}

/* ---- transformers' pipeline ---- */

static void pipeline_head(run *r)
{
    if (!r->plain) fputc('[', r->f);
}

static void pipeline_each(run *r, const vitrun_result *result, const vitrun_class *best, int count)
{
    if (r->done) fputs(",\n", r->f);
    if (result->code) {
        fputs("null", r->f);
        return;
    }
    fputc('[', r->f);
    for (int i = 0; i < count; i++) {
        fprintf(r->f, "%s{\"score\":", i ? "," : "");
        cli_json_number(r->f, (double)best[i].prob);
        fputs(",\"label\":", r->f);
        cli_json_string(r->f, label(r, best[i].index));
        fputc('}', r->f);
    }
    fputc(']', r->f);
}

static void pipeline_tail(run *r) { fputs(r->plain ? "\n" : "]\n", r->f); }

static const form forms[] = {
    {"table", NULL, table_each, NULL},        {"json", NULL, json_each, NULL},
    {"jsonl", NULL, json_each, NULL},         {"csv", csv_head, csv_each, NULL},
    {"timm-csv", timm_head, timm_each, NULL}, {"pipeline", pipeline_head, pipeline_each, pipeline_tail},
};

static const form *find_form(const cli_options *o, vr_error *err)
{
    const char *name = o->json ? "json" : o->format ? o->format : "table";
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        if (strcmp(forms[i].name, name) == 0) return &forms[i];
    vr_fail(err, VR_E_USAGE, "value", "classify writes no %s; --format can be one of: table json csv timm-csv pipeline", name);
    return NULL;
}

/* ---- the run ---- */

/* What people should hear about one result, beside its row. */
static void remark(run *r, const vitrun_result *result, int count)
{
    if (result->code) {
        r->failed++;
        if (result->code == VITRUN_NONFINITE) r->nonfinite = result->code;
        cli_error(result->code, result->error);
    } else if (r->implicit && !r->said_ten && count && r->best[0].prob < 0.5f) {
        r->said_ten = true;
        cli_note(r->o, "'%s' looks like none of the ten classes that the demonstration model knows",
                 vr_quotez(result->path).text);
    }
}

static int each(const vitrun_result *result, void *user)
{
    run *r = user;
    int  count = result->code ? 0 : vitrun_topk(result->logits, vitrun_about(r->v)->classes, r->k, r->best);
    r->form->each(r, result, r->best, count);
    bool more = cli_output_flush(&r->out); /* whoever reads the pipe sees each picture as soon as it is done */
    remark(r, result, count);
    r->done++;
    cli_progress_show(&r->progress, r->done);
    return cli_stop_signal || !more;
}

static size_t widest_label(const run *r)
{
    size_t widest = 0;
    for (int i = 0; i < vitrun_about(r->v)->classes; i++) {
        size_t n = cli_columns(label(r, i));
        if (n > widest) widest = n;
    }
    return widest < 40 ? widest : 40;
}

static size_t widest_name(char *const *names, size_t count)
{
    size_t widest = 0;
    for (size_t i = 0; i < count; i++) {
        size_t n = cli_columns(names[i]);
        if (n > widest) widest = n;
    }
    return widest < 48 ? widest : 48;
}

static vr_status prepare(run *r, char *const *names, vr_error *err)
{
    int classes = vitrun_about(r->v)->classes;
    if (classes == 0)
        return vr_fail(err, VR_E_MODEL, "no-classifier",
                       "this model has no classifier, so it cannot label; give one that was fine-tuned");
    int k = r->o->topk ? r->o->topk : strcmp(r->form->name, "timm-csv") == 0 ? 1 : 5;
    if (k > 1 && strcmp(r->form->name, "timm-csv") == 0)
        return vr_fail(err, VR_E_USAGE, "flags", "timm-csv holds one class a picture; for -k %d use --format csv", k);
    r->k = k < classes ? k : classes;
    r->best = calloc((size_t)r->k, sizeof *r->best);
    if (!r->best) return vr_fail(err, VR_E_MEMORY, "memory", "no memory for %d classes", r->k);
    r->file_columns = widest_name(names, r->count);
    r->label_columns = widest_label(r);
    r->bars = cli_colored(r->o, r->f);
    r->plain = r->count == 1 && r->o->input_count == 1 && strcmp(names[0], r->o->inputs[0]) == 0;
    return VR_OK;
}

static int batch_size(const cli_options *o, vr_error *err)
{
    int batch = 0; /* the engine chooses */
    if (o->batch && !cli_number(&batch, o->batch, 1, 65536))
        vr_fail(err, VR_E_USAGE, "value", "--batch is '%s'; it wants a whole number from 1 to 65536", vr_quotez(o->batch).text);
    return batch;
}

static int exit_code(const run *r)
{
    if (cli_stop_signal) return 128 + cli_stop_signal;
    if (r->nonfinite) return r->nonfinite;
    if (r->failed && r->failed == r->done) return VR_E_IMAGE;
    return r->failed ? CLI_EXIT_SOME : VR_OK;
}

static void classify(run *r, char *const *names, int batch, vr_error *err)
{
    cli_options silent = *r->o; /* rows that scroll by on the same terminal are progress enough */
    silent.no_progress |= isatty(fileno(r->f)) != 0;
    cli_progress_start(&r->progress, &silent, "pictures", r->count);
    if (r->form->head) r->form->head(r);
    vitrun_error e = {0};
    int          code = vitrun_classify(r->v, (const char *const *)names, r->count, batch, each, r, &e);
    if (r->form->tail) r->form->tail(r);
    cli_progress_end(&r->progress);
    if (cli_stop_signal) cli_note(r->o, "interrupted after %zu of %zu pictures", r->done, r->count);
    if (code && !cli_stop_signal && !ferror(r->f)) vr_fail(err, (vr_status)code, "engine", "%s", e.text);
}

int cmd_classify(const cli_options *o)
{
    vr_error       err = {0};
    vitrun_options options;
    run            r = {.o = o};
    char         **names = NULL;
    int            batch = batch_size(o, &err);
    r.form = find_form(o, &err);
    if (err.code || cli_engine_options(o, &options, &err)) return cli_failed(&err);
    if (cli_expand_inputs(o, &names, &r.count, &err) || cli_output_open(&r.out, o->output, &err)) goto done;
    r.f = r.out.stream;
    if (cli_open(&r.v, o, &options, &r.implicit, &err) || prepare(&r, names, &err)) goto done;
    classify(&r, names, batch, &err);
done:;
    int code = err.code ? cli_failed(&err) : exit_code(&r);
    if (r.out.stream) code = cli_output_end(&r.out, !err.code, code);
    cli_inputs_free(names, r.count);
    free(r.best);
    vitrun_close(r.v);
    return code;
}
