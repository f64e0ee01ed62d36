/* info.c: the command that says what a checkpoint is and whether it runs. */
#include "cli.h"

#include "../loaders/safetensors.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const cli_options    *o;
    FILE                 *f;
    const char           *path;  /* NULL: random weights */
    const vr_safetensors *st;    /* NULL: random weights, or no file that can be read */
    const vitrun_about_t *about; /* NULL: does not run */
    const vr_error       *why;   /* it does not run */
} facts;

static size_t dtype_count(const vr_safetensors *st, vr_dtype dtype)
{
    size_t n = 0;
    for (size_t i = 0; i < vr_safetensors_count(st); i++) n += vr_safetensors_at(st, i)->dtype == dtype;
    return n;
}

static uint64_t elements(const vr_safetensors *st)
{
    uint64_t n = 0;
    for (size_t i = 0; i < vr_safetensors_count(st); i++) n += vr_safetensors_at(st, i)->elements;
    return n;
}

/* ---- for people ---- */

static void row(FILE *f, const char *name, const char *text)
{
    fprintf(f, "%-12s ", name);
    cli_print_padded(f, text, 0);
    fputc('\n', f);
}

static void print_file(const facts *x)
{
    char   text[256] = "";
    size_t at = 0;
    if (x->path) row(x->f, "model", x->path);
    if (!x->st) return;
    for (vr_dtype d = 0; d < VR_DTYPES; d++) {
        size_t n = dtype_count(x->st, d);
        if (n && at < sizeof text - 32) at += (size_t)snprintf(text + at, sizeof text - at, ", %zu of %s", n, vr_dtype_name(d));
    }
    fprintf(x->f, "%-12s %zu%s; %.1f million numbers, %.1f MB\n", "tensors", vr_safetensors_count(x->st), text,
            (double)elements(x->st) * 1e-6, (double)vr_safetensors_bytes(x->st) * 1e-6);
}

static void print_about(FILE *f, const vitrun_about_t *a)
{
    row(f, "name", a->name);
    row(f, "layout", a->layout);
    fprintf(f, "%-12s %dx%d pixels, patches of %d: %d tokens, %d of them special\n", "image", a->image_height, a->image_width,
            a->patch, a->tokens, a->prefix);
    fprintf(f, "%-12s %d, width %d, %d heads, MLP %d, LayerNorm epsilon %g\n", "blocks", a->depth, a->dim, a->heads, a->mlp,
            a->norm_eps);
    if (a->classes)
        fprintf(f, "%-12s %d, pooling: %s\n", "classes", a->classes, a->pooling);
    else
        fprintf(f, "%-12s none: gives features; pooling: %s\n", "classes", a->pooling);
    fprintf(f, "%-12s %.2f million\n", "parameters", (double)a->parameters * 1e-6);
    fprintf(f, "%-12s %.3f GMACs (thousand million multiply-adds) an image\n", "arithmetic", a->gmacs);
    fprintf(f, "%-12s %s, mean %g %g %g, std %g %g %g\n", "recipe", a->recipe, (double)a->mean[0], (double)a->mean[1],
            (double)a->mean[2], (double)a->std[0], (double)a->std[1], (double)a->std[2]);
    fprintf(f, "%-12s %.1f MB planned beside the weights, for %d image%s at once%s\n", "memory",
            (double)a->activation_bytes * 1e-6, a->max_batch, a->max_batch == 1 ? "" : "s", a->lanes > 1 ? ", in 2 lanes" : "");
    fprintf(f, "%-12s %s, %s, %s, %d thread%s; loaded in %.2f s\n", "runs on", a->device, a->dtype, a->isa, a->threads,
            a->threads == 1 ? "" : "s", a->load_seconds);
}

static void print_shape(FILE *f, const vr_tensor *t)
{
    fputc('[', f);
    for (int i = 0; i < t->rank; i++) fprintf(f, "%s%llu", i ? ", " : "", (unsigned long long)t->shape[i]);
    fputc(']', f);
}

static void print_tensors(FILE *f, const vr_safetensors *st)
{
    size_t widest = 0;
    for (size_t i = 0; i < vr_safetensors_count(st); i++) {
        size_t n = cli_columns(vr_safetensors_at(st, i)->name);
        if (n > widest) widest = n;
    }
    fputc('\n', f);
    for (size_t i = 0; i < vr_safetensors_count(st); i++) {
        const vr_tensor *t = vr_safetensors_at(st, i);
        cli_print_padded(f, t->name, widest < 60 ? widest : 60);
        fprintf(f, "  %-4s  ", vr_dtype_name(t->dtype));
        print_shape(f, t);
        fputc('\n', f);
    }
}

static void print_table(const facts *x)
{
    print_file(x);
    if (x->about) print_about(x->f, x->about);
    if (x->why) fprintf(x->f, "%-12s no\n", "runs");
    if (x->o->verbose && x->st) print_tensors(x->f, x->st);
}

/* ---- for machines ---- */

static void json_text(FILE *f, const char *key, const char *text)
{
    fprintf(f, ",\"%s\":", key);
    if (text)
        cli_json_string(f, text);
    else
        fputs("null", f);
}

static void json_real(FILE *f, const char *key, double x)
{
    fprintf(f, ",\"%s\":", key);
    cli_json_number(f, x);
}

static void json_whole(FILE *f, const char *key, uint64_t n) { fprintf(f, ",\"%s\":%llu", key, (unsigned long long)n); }

static void json_three(FILE *f, const char *key, const float x[3])
{
    fprintf(f, ",\"%s\":[%.9g,%.9g,%.9g]", key, (double)x[0], (double)x[1], (double)x[2]);
}

static void json_about(FILE *f, const vitrun_about_t *a)
{
    const struct {
        const char *key;
        int         n;
    } whole[] = {{"image_height", a->image_height},
                 {"image_width", a->image_width},
                 {"patch", a->patch},
                 {"dim", a->dim},
                 {"depth", a->depth},
                 {"heads", a->heads},
                 {"mlp", a->mlp},
                 {"prefix", a->prefix},
                 {"classes", a->classes},
                 {"tokens", a->tokens},
                 {"max_batch", a->max_batch},
                 {"lanes", a->lanes},
                 {"threads", a->threads}};
    json_text(f, "name", a->name);
    json_text(f, "layout", a->layout);
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) json_whole(f, whole[i].key, (uint64_t)whole[i].n);
    json_text(f, "pooling", a->pooling);
    json_real(f, "norm_eps", a->norm_eps);
    json_whole(f, "parameters", a->parameters);
    json_whole(f, "weight_bytes", a->weight_bytes);
    json_real(f, "gmacs", a->gmacs);
    json_text(f, "recipe", a->recipe);
    json_three(f, "mean", a->mean);
    json_three(f, "std", a->std);
    json_whole(f, "activation_bytes", a->activation_bytes);
    json_text(f, "device", a->device);
    json_text(f, "dtype", a->dtype);
    json_text(f, "isa", a->isa);
    json_real(f, "load_seconds", a->load_seconds);
}

static void json_file(const facts *x)
{
    fprintf(x->f, ",\"tensor_count\":%zu,\"tensor_bytes\":%llu,\"dtypes\":{", vr_safetensors_count(x->st),
            (unsigned long long)vr_safetensors_bytes(x->st));
    bool first = true;
    for (vr_dtype d = 0; d < VR_DTYPES; d++) {
        size_t n = dtype_count(x->st, d);
        if (n) fprintf(x->f, "%s\"%s\":%zu", first ? "" : ",", vr_dtype_name(d), n), first = false;
    }
    fputc('}', x->f);
    if (!x->o->verbose) return;
    fputs(",\"tensors\":[", x->f);
    for (size_t i = 0; i < vr_safetensors_count(x->st); i++) {
        const vr_tensor *t = vr_safetensors_at(x->st, i);
        fprintf(x->f, "%s{\"name\":", i ? "," : "");
        cli_json_string(x->f, t->name);
        fprintf(x->f, ",\"dtype\":\"%s\",\"shape\":", vr_dtype_name(t->dtype));
        print_shape(x->f, t);
        fputc('}', x->f);
    }
    fputc(']', x->f);
}

static void print_json(const facts *x)
{
    fprintf(x->f, "{\"supported\":%s", x->about ? "true" : "false");
    json_text(x->f, "model", x->path);
    if (x->st) json_file(x);
    if (x->about) json_about(x->f, x->about);
    json_text(x->f, "error", x->why ? x->why->text : NULL);
    fputs("}\n", x->f);
}

/* The model is the argument or -m, not both; an argument goes before VITRUN_MODEL. */
static vr_status name_model(cli_options *o, vr_error *err)
{
    const char *environment = getenv("VITRUN_MODEL");
    if (o->input_count == 0) return VR_OK;
    if (o->random) return vr_fail(err, VR_E_USAGE, "flags", "--random and a model contradict each other; give one");
    if (o->model && !(environment && strcmp(environment, o->model) == 0))
        return vr_fail(err, VR_E_USAGE, "flags", "-m and the argument both name a model; give one");
    o->model = o->inputs[0];
    return VR_OK;
}

int cmd_info(const cli_options *given)
{
    cli_options     o = *given;
    vr_error        err = {0}, unreadable = {0};
    vitrun_options  options;
    vitrun         *v = NULL;
    vr_safetensors *st = NULL;
    cli_output      out;
    if (name_model(&o, &err) || cli_engine_options(&o, &options, &err) || cli_output_open(&out, o.output, &err))
        return cli_failed(&err);
    if (!options.model && options.arch) options.random = 1; /* an architecture can be described without weights */
    cli_open(&v, &o, &options, NULL, &err);
    if (options.model && !options.random) vr_safetensors_open(&st, options.model, options.max_header, &unreadable);
    facts x = {&o, out.stream, options.random ? NULL : options.model, st, v ? vitrun_about(v) : NULL, err.code ? &err : NULL};
    if (o.json)
        print_json(&x);
    else if (v || st)
        print_table(&x);
    int code = err.code ? cli_failed(&err) : VR_OK;
    vitrun_close(v);
    vr_safetensors_close(st);
    return cli_output_end(&out, true, code);
}
