/* embed.c: the command that gives features of pictures instead of labels. */
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../loaders/safetensors.h"

typedef struct run run;

/* A form of the results: what stands before the first, what each looks like (NULL: no features), what stands after the last. */
typedef struct {
    const char *name;
    bool        needs_file;
    vr_status (*head)(run *r, vr_error *err);
    void (*each)(run *r, const vitrun_result *result, const float *features);
    vr_status (*tail)(run *r, vr_error *err);
} form;

struct run {
    const cli_options *o;
    vitrun            *v;
    const form        *form;
    cli_output         out;
    cli_progress       progress;
    char             **names; /* [count] */
    size_t             count, done, failed;
    size_t             vectors, width; /* of one picture: how many, how long */
    float             *features;       /* [vectors, width] of the picture at hand, or [count, vectors, width] for safetensors */
    int                nonfinite;      /* code of a result that is no number, else 0 */
};

static const char *pool_of(const cli_options *o) { return o->pool ? o->pool : "logits-input"; }
static bool        dense(const run *r) { return strcmp(pool_of(r->o), "patches") == 0; }

/* ---- JSON Lines ---- */

static void json_features(run *r, const float *features)
{
    FILE *f = r->out.stream;
    if (!features) {
        fputs("null", f);
        return;
    }
    if (dense(r)) fputc('[', f);
    for (size_t i = 0; i < r->vectors; i++) {
        fputs(i ? ",[" : "[", f);
        for (size_t c = 0; c < r->width; c++) {
            if (c) fputc(',', f);
            cli_json_number(f, (double)features[i * r->width + c]);
        }
        fputc(']', f);
    }
    if (dense(r)) fputc(']', f);
}

static void json_each(run *r, const vitrun_result *result, const float *features)
{
    FILE *f = r->out.stream;
    cli_json_file(f, result->path);
    fprintf(f, ",\"width\":%d,\"height\":%d,\"pool\":\"%s\",\"merge\":", result->width, result->height, pool_of(r->o));
    cli_json_string(f, vitrun_about(r->v)->merge);
    fputs(",\"features\":", f);
    json_features(r, features);
    fputs(",\"error\":", f);
    if (result->code)
        cli_json_string(f, result->error);
    else
        fputs("null", f);
    fputs("}\n", f);
}

/* ---- numpy: a header that says the shape, then the rows ---- */

static vr_status npy_head(run *r, vr_error *err)
{
    static const char magic[8] = {'\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0};
    char              shape[64], text[192];
    if (dense(r))
        snprintf(shape, sizeof shape, "%zu, %zu, %zu", r->count, r->vectors, r->width);
    else
        snprintf(shape, sizeof shape, "%zu, %zu", r->count, r->width);
    int       n = snprintf(text, sizeof text, "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }", shape);
    const int padded = (10 + n + 1 + 63) / 64 * 64 - 10; /* numbers begin at a multiple of 64 */
    (void)err;
    while (n < padded - 1) text[n++] = ' ';
    text[n++] = '\n';
    fwrite(magic, 1, sizeof magic, r->out.stream);
    fputc(n & 255, r->out.stream);
    fputc(n >> 8, r->out.stream);
    fwrite(text, 1, (size_t)n, r->out.stream);
    return VR_OK;
}

static void npy_each(run *r, const vitrun_result *result, const float *features)
{
    (void)result;
    for (size_t i = 0; i < r->vectors * r->width; i++) {
        const float x = features ? features[i] : NAN;
        fwrite(&x, sizeof x, 1, r->out.stream);
    }
}

/* ---- safetensors: one tensor, written when all are known ---- */

static vr_status tensor_head(run *r, vr_error *err)
{
    size_t cells = 0;
    free(r->features);
    r->features = vr_mul(r->count, r->vectors * r->width, &cells) ? vr_alloc(cells, sizeof *r->features) : NULL;
    return r->features ? VR_OK : vr_fail(err, VR_E_MEMORY, "memory", "no memory for the features of %zu pictures", r->count);
}

static void tensor_each(run *r, const vitrun_result *result, const float *features)
{
    const size_t cells = r->vectors * r->width;
    float       *row = r->features + result->index * cells;
    for (size_t i = 0; i < cells; i++) row[i] = features ? features[i] : NAN;
}

/* The names as a JSON list, which the metadata of the file carries. */
static char *list_names(const run *r)
{
    char  *text = NULL;
    size_t length;
    FILE  *f = open_memstream(&text, &length);
    if (!f) return NULL;
    for (size_t i = 0; i < r->count; i++) {
        fputc(i ? ',' : '[', f);
        cli_json_string(f, r->names[i]);
    }
    fputc(']', f);
    if (fclose(f) == 0) return text;
    free(text);
    return NULL;
}

static vr_status tensor_tail(run *r, vr_error *err)
{
    const vitrun_about_t *about = vitrun_about(r->v);
    const char *const     keys[] = {"made_by", "model", "pool", "merge", "files"};
    char                 *names = list_names(r);
    const char *const     values[] = {"vitrun " VITRUN_VERSION, about->name, pool_of(r->o), about->merge, names};
    vr_tensor_out t = {.name = "features", .dtype = VR_F32, .rank = 2, .shape = {r->count, r->width}, .data = r->features};
    if (dense(r)) t.rank = 3, t.shape[1] = r->vectors, t.shape[2] = r->width;
    if (names)
        vr_safetensors_write(r->o->output, &t, 1, keys, values, 5, err);
    else
        vr_fail(err, VR_E_MEMORY, "memory", "no memory for the names of the pictures");
    free(names);
    return err->code;
}

static const form forms[] = {
    {"jsonl", false, NULL, json_each, NULL},
    {"npy", true, npy_head, npy_each, NULL},
    {"safetensors", true, tensor_head, tensor_each, tensor_tail},
};

/* By --format, else by the name of the file. */
static const form *find_form(const cli_options *o, vr_error *err)
{
    const char *name = o->format && strcmp(o->format, "json") ? o->format : "jsonl";
    const char *dot = !o->format && !o->json && o->output ? strrchr(o->output, '.') : NULL;
    for (size_t i = 0; dot && i < sizeof forms / sizeof *forms; i++)
        if (strcmp(dot + 1, forms[i].name) == 0) name = forms[i].name;
    const form *f = forms;
    while (strcmp(f->name, name)) f++;
    if (f->needs_file && (!o->output || strcmp(o->output, "-") == 0))
        vr_fail(err, VR_E_USAGE, "output", "%s needs a file: add -o features.%s", f->name, f->name);
    return f;
}

/* ---- the run ---- */

/* Each vector to length 1; zeros stay. */
static void normalize(const run *r, float *features)
{
    for (size_t i = 0; i < r->vectors; i++) {
        float *x = features + i * r->width;
        double sum = 0;
        for (size_t c = 0; c < r->width; c++) sum += (double)x[c] * (double)x[c];
        for (size_t c = 0; c < r->width && sum > 0; c++) x[c] = (float)((double)x[c] / sqrt(sum));
    }
}

static int each(const vitrun_result *result, void *user)
{
    run         *r = user;
    const size_t cells = r->vectors * r->width;
    float       *row = NULL;
    if (!result->code) {
        row = r->form->tail ? r->features + result->index * cells : r->features;
        memcpy(row, result->logits, cells * sizeof *row);
        if (r->o->normalize) normalize(r, row);
    }
    r->form->each(r, result, row);
    bool more = cli_output_flush(&r->out);
    if (result->code) {
        r->failed++;
        if (result->code == VITRUN_NONFINITE) r->nonfinite = result->code;
        cli_error(result->code, result->error);
    }
    r->done++;
    cli_progress_show(&r->progress, r->done);
    return cli_stop_signal || !more;
}

static vr_status prepare(run *r, vr_error *err)
{
    const vitrun_about_t *about = vitrun_about(r->v);
    const size_t          outputs = (size_t)about->outputs;
    r->vectors = dense(r) ? (size_t)(about->tokens - about->prefix) : 1;
    r->width = outputs / r->vectors;
    r->features = vr_alloc(outputs, sizeof *r->features);
    if (!r->features) return vr_fail(err, VR_E_MEMORY, "memory", "no memory for %zu features", outputs);
    return r->form->head ? r->form->head(r, err) : VR_OK;
}

static void embed(run *r, int batch, vr_error *err)
{
    vitrun_error e = {0};
    cli_options  silent = *r->o; /* rows that scroll by on the same terminal are progress enough */
    silent.no_progress |= !r->form->needs_file && isatty(fileno(r->out.stream)) != 0;
    cli_progress_start(&r->progress, &silent, "pictures", r->count);
    int code = vitrun_classify(r->v, (const char *const *)r->names, r->count, batch, each, r, &e);
    cli_progress_end(&r->progress);
    if (code && !cli_stop_signal && !ferror(r->out.stream)) vr_fail(err, (vr_status)code, "engine", "%s", e.text);
    if (!err->code && !cli_stop_signal && r->form->tail) r->form->tail(r, err);
}

static int exit_code(const run *r)
{
    if (cli_stop_signal) return 128 + cli_stop_signal;
    if (r->nonfinite) return r->nonfinite;
    if (r->failed && r->failed == r->done) return VR_E_IMAGE;
    return r->failed ? CLI_EXIT_SOME : VR_OK;
}

int cmd_embed(const cli_options *o)
{
    vr_error       err = {0};
    vitrun_options options;
    run            r = {.o = o};
    int            batch = 0; /* the engine chooses */
    if (o->batch && !cli_number(&batch, o->batch, 1, 65536))
        vr_fail(&err, VR_E_USAGE, "value", "--batch is '%s'; it wants a whole number from 1 to 65536",
                vr_quotez(o->batch).text);
    if (!err.code) r.form = find_form(o, &err);
    if (err.code || cli_engine_options(o, &options, &err)) return cli_failed(&err);
    options.features = pool_of(o);
    if (cli_expand_inputs(o, &r.names, &r.count, &err)) goto done;
    if (cli_output_open(&r.out, r.form->tail ? NULL : o->output, &err)) goto done; /* safetensors names its file itself */
    if (cli_open(&r.v, o, &options, NULL, &err) || prepare(&r, &err)) goto done;
    embed(&r, batch, &err);
done:;
    int  code = err.code ? cli_failed(&err) : exit_code(&r);
    bool whole = !err.code && !(cli_stop_signal && r.form->needs_file); /* a numpy file without its last rows is none */
    if (r.out.stream) code = cli_output_end(&r.out, whole, code);
    cli_inputs_free(r.names, r.count);
    free(r.features);
    vitrun_close(r.v);
    return code;
}
