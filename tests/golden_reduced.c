/* golden_reduced: whole models with token reduction between attention and MLP: tokens after every block and logits.
 *
 * A case's options become a schedule file, which is read as any user's would be. */
#include "golden.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../engine/internal.h"
#include "../kernels/cpu/cpu.h"
#include "../loaders/safetensors.h"
#include "reference/reference.h"

/* ---- options to a schedule ---- */

static void put_list(FILE *f, const char *key, const vr_json *list)
{
    fprintf(f, ", \"%s\": [", key);
    for (size_t i = 0; i < vr_json_size(list); i++) {
        double x = 0;
        vr_json_double(vr_json_item(list, i), &x);
        fprintf(f, "%s%.17g", i ? ", " : "", x);
    }
    fputc(']', f);
}

static void put_word(FILE *f, const char *key, const vr_json *v)
{
    const char *text;
    bool        yes;
    double      x;
    if (vr_json_string(v, &text)) fprintf(f, ", \"%s\": \"%s\"", key, text);
    if (vr_json_bool(v, &yes)) fprintf(f, ", \"%s\": %s", key, yes ? "true" : "false");
    if (vr_json_double(v, &x)) fprintf(f, ", \"%s\": %.17g", key, x);
}

/* The keys of an option object that stand for a step's; where the names differ, ours second. */
static const char *const step_keys[][2] = {{"feature", 0}, {"forced", 0},         {"partition_kind", "partition"},
                                           {"refine", 0},  {"rule", 0},           {"similarity", 0},
                                           {"fuse", 0},    {"keep_rate", "keep"}, {"tau", 0},
                                           {"r", 0},       {"prune", 0},          {"merge", 0},
                                           {"layers", 0}};

static bool write_schedule(const char *path, const char *method, const vr_json *options)
{
    FILE *f = fopen(path, "w");
    bool  on;
    if (!f) return false;
    fprintf(f, "{ \"name\": \"golden\"");
    if (vr_json_bool(vr_json_get(options, "prop_attn"), &on)) fprintf(f, ", \"prop_attn\": \"%s\"", on ? "on" : "off");
    const char *batch;
    if (vr_json_string(vr_json_get(options, "batch"), &batch))
        fprintf(f, ", \"scope\": \"%s\"", strcmp(batch, "union") == 0 ? "batch" : "image");
    put_word(f, "pool", vr_json_get(options, "pool"));
    fprintf(f, ", \"steps\": [");
    const vr_json *layers = vr_json_get(options, "layers");
    if (strcmp(method, "none") && !(layers && vr_json_size(layers) == 0)) {
        fprintf(f, "{ \"method\": \"%s\"", method);
        for (size_t k = 0; k < sizeof step_keys / sizeof *step_keys; k++) {
            const vr_json *v = vr_json_get(options, step_keys[k][0]);
            const char    *ours = step_keys[k][1] ? step_keys[k][1] : step_keys[k][0];
            if (v && vr_json_type(v) == VR_JSON_ARRAY)
                put_list(f, ours, v);
            else if (v)
                put_word(f, ours, v);
        }
        fputs(" }", f);
    }
    fputs("] }\n", f);
    return fclose(f) == 0;
}

/* ---- running ---- */

static bool same_counts(const vitrun *v, const vr_golden_case *x, int b)
{
    int tokens[256];
    return vitrun_cost(v, b, tokens, NULL, NULL, NULL) == 0 &&
           memcmp(tokens, x->counts + b * x->depth, (size_t)x->depth * sizeof *tokens) == 0;
}

/* How much of MaMe's source `column` goes elsewhere than the oracle sends it. */
static double moved(const float *weight, const float *wanted, size_t count, size_t columns, size_t column)
{
    double sum = 0;
    for (size_t i = column; i < count; i += columns) sum += fabs((double)weight[i] - (double)wanted[i]) / 2;
    return sum;
}

/* The first token of those that went where token i did. */
static int first_of(const int *row, int i)
{
    int first = 0;
    while (row[first] != row[i]) first++;
    return first;
}

/* Of how many tokens of image b is it otherwise whether they stay, go, or join each other?  Which similarities of a MaMe source
 * pass tau is a decision too: one more or less changes its weights by a leap, far above what rounding does to them. */
static int decided_otherwise(const vr_trace *a, const vr_trace *o, int b)
{
    const int   *row = a->row + a->in_offsets[b], *other = o->row + o->in_offsets[b], *column = a->column + a->in_offsets[b];
    const int    tokens = a->in_offsets[b + 1] - a->in_offsets[b];
    const size_t count = a->weights_at[b + 1] - a->weights_at[b];
    const size_t columns = a->destinations[b] ? count / (size_t)a->destinations[b] : 0;
    int          otherwise = 0;
    if (tokens != o->in_offsets[b + 1] - o->in_offsets[b] || a->destinations[b] != o->destinations[b]) return tokens;
    for (int i = 0; i < tokens; i++)
        if (row[i] >= 0 && other[i] >= 0)
            otherwise += first_of(row, i) != first_of(other, i);
        else if (row[i] == VR_SPREAD && other[i] == VR_SPREAD)
            otherwise += !(moved(a->weight + a->weights_at[b], o->weight + o->weights_at[b], count, columns,
                                 (size_t)column[i]) <= vr_golden_leap());
        else
            otherwise += row[i] != other[i];
    return otherwise;
}

/* A new size of DiffRate holds cosines with the token that the others went into: which of them that is shows nowhere else. */
static bool same_sizes(const vitrun *v, const vitrun *oracle, int b)
{
    const vitrun   *both[2] = {v, oracle};
    const vr_trace *t = &oracle->run.trace[oracle->run.traced - 1];
    const int       first = t->out_offsets[b], n = t->out_offsets[b + 1] - first;
    float          *size = malloc(2 * (size_t)n * sizeof *size + 1);
    bool            same = size != NULL;
    for (int k = 0; k < 2 && same; k++) {
        vr_backend *be = both[k]->run.backend;
        same =
            be->ops->get(be, size + k * n, both[k]->run.size[both[k]->run.flip] + first, (size_t)n * sizeof *size, NULL) == 0;
    }
    for (int i = 0; i < n && same; i++)
        same = fabs((double)size[i] - (double)size[n + i]) <= vr_golden_leap() * fabs((double)size[n + i]);
    free(size);
    return same;
}

/* The first reduction that decided otherwise of image b; as many as there are where none did. */
static int first_otherwise(const vitrun *v, const vitrun *oracle, int b)
{
    int i = 0;
    while (i < v->run.traced && decided_otherwise(&v->run.trace[i], &oracle->run.trace[i], b) == 0) i++;
    return i;
}

/* In all reductions. */
static bool decided_alike(const vitrun *v, const vitrun *oracle, const vr_golden_case *x, int b)
{
    if (first_otherwise(v, oracle, b) < v->run.traced) return false;
    return strcmp(x->method, "diffrate") != 0 || v->run.traced == 0 || same_sizes(v, oracle, b);
}

/* Does image b count?  In halves, where the numbers are off but the decisions were others as well, it does not. */
static bool comparable(const vitrun *v, const vitrun *oracle, const vr_golden_case *x, int b, double rel)
{
    if (oracle && rel <= vr_golden_tolerance(true)) return true;
    return same_counts(v, x, b) && (!oracle || decided_alike(v, oracle, x, b));
}

/* What a block made of image b, against the oracle; 0 where nothing is left. */
static double block_error(const vitrun *v, const vitrun *oracle, int block, int b)
{
    const vitrun *both[2] = {v, oracle};
    const size_t  cols = (size_t)v->about.dim;
    int           offsets[2][17] = {0};
    float        *out[2] = {0};
    double        error = INFINITY;
    for (int k = 0; k < 2; k++) {
        vitrun_block_output(both[k], block, NULL, offsets[k], NULL);
        out[k] = malloc((size_t)offsets[k][v->run.trace->images] * cols * sizeof *out[k] + 1);
        if (out[k]) vitrun_block_output(both[k], block, out[k], NULL, NULL);
    }
    const int rows = offsets[0][b + 1] - offsets[0][b];
    if (out[0] && out[1] && rows == offsets[1][b + 1] - offsets[1][b])
        error =
            vr_golden_error(out[0] + (size_t)offsets[0][b] * cols, out[1] + (size_t)offsets[1][b] * cols, (size_t)rows * cols);
    free(out[0]);
    free(out[1]);
    return error;
}

/* So many tokens of one reduction may be at the threshold.  Seen were 1 source in 49 (MaMe) and 2 tokens in 65 (EViT, one for the
 * other). */
static int few(int tokens) { return 2 + tokens / 64; }

/* Image b was decided otherwise.  Rounding explains it where the blocks before the first reduction that did so agree, as numbers
 * do, and that one did so of few tokens: those at the threshold.  What comes later follows from it.  Says why it does not. */
static bool rounding_explains(const vitrun *v, const vitrun *oracle, int b, char *words, size_t room)
{
    const int first = first_otherwise(v, oracle, b);
    const int until = first < v->run.traced ? first : 0; /* DiffRate's sizes do not tell in which it was */
    int       reduction = 0;
    if (v->run.traced == 0) return false;
    for (int l = -1; l < v->model.config.depth; l++) {
        if (l >= 0 && vr_schedule_at(v->run.schedule, l, false) && reduction++ == until) break;
        const double error = block_error(v, oracle, l, b);
        if (error <= vr_golden_tolerance(reduction > 0)) continue;
        snprintf(words, room, " (image %d: block %d, before that, is off by %.1e)", b, l, error);
        return false;
    }
    const vr_trace *t = &v->run.trace[until];
    const int       tokens = t->in_offsets[b + 1] - t->in_offsets[b];
    const int       otherwise = decided_otherwise(t, &oracle->run.trace[until], b);
    if (otherwise <= few(tokens)) return true;
    snprintf(words, room, " (image %d: reduction %d did so of %d of %d tokens)", b, until, otherwise, tokens);
    return false;
}

/* What a back end made of a case. */
typedef struct {
    double worst;      /* of the images that are compared */
    int    agree;      /* images with the decisions expected: all, but in halves */
    bool   explained;  /* rounding explains the others */
    bool   bits;       /* the same, whether blocks are kept or not */
    char   blame[200]; /* what it does not explain */
} finding;

/* On one back end; with all rows of the last block computed, and then without, where the same bits must come out.  Logits of an
 * image that was decided otherwise must still be nearer to those wanted than zeros are.
 *   oracle   what it did with the same pictures, or NULL: then an image counts whose token counts are those expected */
static vr_status run_one(const vitrun_options *base, const vr_ops *ops, const vr_golden_case *x, const vitrun *oracle,
                         finding *f, vr_error *err)
{
    const size_t n = (size_t)x->images * (size_t)x->classes;
    float       *logits[2] = {malloc(n * sizeof(float)), malloc(n * sizeof(float))};
    bool         agrees[16] = {0};
    *f = (finding){.explained = true};
    for (int keep = 1; keep >= 0 && !err->code; keep--) {
        vitrun        *v;
        const float   *pixels[16];
        vitrun_error   e = {0};
        vitrun_options o = *base;
        o.keep_blocks = keep;
        o.keep_trace = keep && oracle;
        if (vr_open_on(&v, &o, ops, err)) break;
        const size_t cells = 3 * (size_t)v->about.image_height * (size_t)v->about.image_width;
        for (int b = 0; b < x->images; b++) pixels[b] = x->pixels + (size_t)b * cells;
        if (vitrun_run(v, logits[keep], pixels, NULL, x->images, &e)) vr_fail(err, (vr_status)e.code, "", "%s", e.text);
        for (int b = 0; b < x->images && !err->code; b++) {
            const size_t at = (size_t)b * (size_t)x->classes;
            double       rel = vr_golden_error(logits[keep] + at, x->logits + at, (size_t)x->classes);
            if (keep) agrees[b] = comparable(v, oracle, x, b, rel);
            if (keep && !agrees[b])
                f->explained &= oracle && rel < 1 && rounding_explains(v, oracle, b, f->blame, sizeof f->blame);
            f->agree += keep && agrees[b];
            if (agrees[b] && !(rel <= f->worst)) f->worst = rel; /* other tokens, other numbers */
        }
        vitrun_close(v);
    }
    f->bits = memcmp(logits[0], logits[1], n * sizeof(float)) == 0;
    free(logits[0]);
    free(logits[1]);
    return err->code;
}

/* As round_expectation of golden_runner.c.  Returns the oracle with its traces, to be closed; NULL where it does not open. */
static vitrun *round_case(const vitrun_options *o, const vr_golden_case *x)
{
    vitrun        *v;
    vr_error       err = {0};
    const float   *pixels[16];
    vitrun_options all = *o;
    all.keep_blocks = 1;
    all.keep_trace = 1;                                /* every token of the last block is counted */
    if (vr_golden_oracle(&v, &all, &err)) return NULL; /* the back end that is tested will say why */
    const size_t cells = 3 * (size_t)v->about.image_height * (size_t)v->about.image_width;
    for (int b = 0; b < x->images; b++) pixels[b] = x->pixels + (size_t)b * cells;
    if (vitrun_run(v, x->logits, pixels, NULL, x->images, NULL) == 0)
        for (int b = 0; b < x->images; b++) vitrun_cost(v, b, x->counts + b * x->depth, NULL, NULL, NULL);
    return v;
}

/* All back ends of this machine, or the one device; what to say goes to words.  OTHERWISE: on one of them no image could be
 * compared, as rounding explains. */
static verdict judge(const vitrun_options *o, const vr_golden_case *x, const vitrun *oracle, char *words, size_t room)
{
    vr_golden_backend list[BACKENDS];
    const int         count = vr_golden_backends(list, x->with_reference);
    verdict           all = PASSED;
    for (int i = 0; i < count; i++) {
        vr_error       err = {0};
        finding        f;
        size_t         used = strlen(words);
        vitrun_options on = *o;
        vr_golden_use(&list[i], &on);
        if (run_one(&on, list[i].ops, x, oracle, &f, &err))
            snprintf(words + used, room - used, "%s: %s ", list[i].name, err.text);
        else if (f.agree > 0)
            snprintf(words + used, room - used, "%s %.1e", list[i].name, f.worst);
        else
            snprintf(words + used, room - used, "%s", list[i].name);
        used = strlen(words);
        if (!err.code && f.agree < x->images)
            snprintf(words + used, room - used, ", but %d of %d images decided otherwise, not compared%s", x->images - f.agree,
                     x->images, f.blame);
        used = strlen(words);
        snprintf(words + used, room - used, "%s", f.bits ? " " : " (other bits without blocks) ");
        if (err.code && err.rule && strcmp(err.rule, "not-supported") == 0) return SKIPPED;
        if (err.code || !(f.worst <= vr_golden_tolerance(true)) || !f.explained || !f.bits) return FAILED;
        if (f.agree == 0) all = OTHERWISE;
    }
    return all;
}

verdict vr_golden_reduced(const char *name, vitrun_options o, const vr_golden_case *x)
{
    char         path[] = "/tmp/vitrun-golden-XXXXXX.json", words[1000] = "";
    int          fd = mkstemps(path, 5);
    verdict      v = FAILED;
    vitrun      *oracle = NULL;
    vitrun_merge merge = {.method = path};
    o.merge = &merge;
    if (fd >= 0 && close(fd) == 0 && write_schedule(path, x->method, x->options)) {
        if (vr_golden_halves() && x->with_reference) oracle = round_case(&o, x);
        v = judge(&o, x, oracle, words, sizeof words);
    } else
        snprintf(words, sizeof words, "no schedule could be written");
    vitrun_close(oracle);
    unsetenv("VITRUN_ISA");
    unlink(path);
    return vr_golden_report(v, name, words);
}

/* ---- reduced/NAME.safetensors ---- */

static float *read_floats(const vr_safetensors *st, const char *name, const vr_tensor **t, vr_error *err)
{
    *t = vr_safetensors_find(st, name);
    float *out = *t ? malloc((*t)->bytes + 1) : NULL;
    if (!out || vr_safetensors_read_f32(st, *t, 0, (*t)->elements, out, err))
        vr_fail(err, VR_E_MODEL, "", "no tensor %s", name);
    return out;
}

static vr_status read_case(vr_golden_case *x, const vr_safetensors *st, vr_json **doc, const char **model, vr_error *err)
{
    const char      *text = vr_safetensors_metadata(st, "case");
    const vr_tensor *t;
    if (!text) return vr_fail(err, VR_E_MODEL, "", "no case in its metadata");
    if (vr_json_parse(doc, text, strlen(text), "case", err)) return err->code;
    vr_json_string(vr_json_get(*doc, "method"), &x->method);
    vr_json_string(vr_json_get(*doc, "model"), model);
    x->options = vr_json_get(*doc, "options");
    x->with_reference = true;
    x->pixels = read_floats(st, "pixels", &t, err);
    x->logits = read_floats(st, "logits", &t, err);
    if (err->code) return err->code;
    x->images = (int)t->shape[0], x->classes = (int)t->shape[1];
    t = vr_safetensors_find(st, "counts");
    if (!t || t->rank != 2 || t->dtype != VR_I32) return vr_fail(err, VR_E_MODEL, "", "no counts");
    x->depth = (int)t->shape[1];
    x->counts = malloc(t->bytes + 1);
    return vr_safetensors_read_raw(st, t, x->counts, err);
}

void vr_golden_reduced_file(const char *name, const char *path)
{
    vr_golden_case  x = {.method = "none"};
    vr_safetensors *st = NULL;
    vr_json        *doc = NULL;
    vr_error        err = {0};
    const char     *model = "";
    char            folder[4200];
    vitrun_options  o = vitrun_defaults();
    if (vr_safetensors_open(&st, path, 0, &err) || read_case(&x, st, &doc, &model, &err)) {
        vr_golden_report(FAILED, name, err.text);
    } else {
        const char *end = strstr(path, "/reduced/");
        snprintf(folder, sizeof folder, "%.*s/%s", (int)(end - path), path, model);
        o.model = folder;
        o.threads = 2;
        vr_golden_reduced(name, o, &x);
    }
    free(x.pixels);
    free(x.logits);
    free(x.counts);
    vr_json_free(doc);
    vr_safetensors_close(st);
}
