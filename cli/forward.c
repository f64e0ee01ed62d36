/* forward.c: the command that runs raw tensors, so that other frameworks can be compared number by number. */
#include "cli.h"

#include "../loaders/safetensors.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    int           images, height, width;
    float        *pixels; /* [images, 3, height, width] */
    const float **each;   /* [images] into pixels */
} input;

typedef struct {
    vr_tensor_out *tensors; /* [room]; their data is freed with them */
    char (*names)[24];
    size_t count, room;
} results;

static void free_input(input *in)
{
    free(in->pixels);
    free(in->each);
}

static void free_results(results *r)
{
    for (size_t i = 0; i < r->count; i++) free((void *)(uintptr_t)r->tensors[i].data);
    free(r->tensors);
    free(r->names);
}

/* Takes over data, which vr_alloc gave. */
static void add(results *r, const char *name, int number, vr_dtype dtype, int rank, uint64_t rows, uint64_t columns, void *data)
{
    size_t i = r->count++;
    snprintf(r->names[i], sizeof r->names[i], number < 0 ? "%s" : "%s_%d", name, number);
    r->tensors[i] = (vr_tensor_out){r->names[i], dtype, rank, {rows, columns}, data};
}

static vr_status check_shape(const vr_tensor *t, const char *path, vr_error *err)
{
    const uint64_t most = 16384;
    bool           fits = t->rank == 4 && t->shape[1] == 3;
    for (int i = 0; fits && i < 4; i++) fits = t->shape[i] >= 1 && t->shape[i] <= (i == 0 ? 1 << 20 : most);
    if (fits) return VR_OK;
    char   shape[200] = "";
    size_t at = 0;
    for (int i = 0; i < t->rank; i++)
        at += (size_t)snprintf(shape + at, sizeof shape - at, "%s%llu", i ? ", " : "", (unsigned long long)t->shape[i]);
    return vr_fail(err, VR_E_USAGE, "shape", "%s: pixels is [%s]; wanted [images, 3, height, width], each side from 1 to 16384",
                   vr_quotez(path).text, shape);
}

static vr_status read_input(input *in, const char *path, size_t max_header, vr_error *err)
{
    vr_safetensors *st;
    if (vr_safetensors_open(&st, path, max_header, err)) return err->code;
    const vr_tensor *t = vr_safetensors_find(st, "pixels");
    if (!t)
        vr_fail(err, VR_E_USAGE, "pixels", "%s: holds no tensor named pixels", vr_quotez(path).text);
    else if (check_shape(t, path, err) == VR_OK) {
        *in = (input){(int)t->shape[0], (int)t->shape[2], (int)t->shape[3], NULL, NULL};
        in->pixels = vr_alloc(t->elements, sizeof(float));
        in->each = calloc(t->shape[0], sizeof *in->each);
        size_t one = t->elements / t->shape[0];
        if (!in->pixels || !in->each)
            vr_fail(err, VR_E_MEMORY, "memory", "no memory for the pixels of %d images", in->images);
        else
            vr_safetensors_read_f32(st, t, 0, t->elements, in->pixels, err);
        for (int i = 0; i < in->images && !err->code; i++) in->each[i] = in->pixels + (size_t)i * one;
    }
    vr_safetensors_close(st);
    return err->code;
}

static vr_status engine_error(const vitrun_error *e, vr_error *err)
{
    return e->code ? vr_fail(err, (vr_status)e->code, "engine", "%s", e->text) : VR_OK;
}

/* Block -1 is the input of block 0. */
static vr_status add_block(results *r, const vitrun *v, int block, int images, vr_error *err)
{
    vitrun_error e = {0};
    int         *offsets = vr_alloc((size_t)images + 1, sizeof *offsets);
    float       *x = NULL;
    size_t       dim = (size_t)vitrun_about(v)->dim;
    if (offsets && vitrun_block_output(v, block, NULL, offsets, &e) == VITRUN_OK)
        x = vr_alloc((size_t)offsets[images] * dim, sizeof *x);
    if (x && vitrun_block_output(v, block, x, NULL, &e) == VITRUN_OK) {
        add(r, block < 0 ? "block_in" : "block_out", block < 0 ? 0 : block, VR_F32, 2, (uint64_t)offsets[images], dim, x);
        if (block < 0)
            free(offsets); /* the same as those of block 0, as long as nothing is merged before it */
        else
            add(r, "offsets", block, VR_I32, 1, (uint64_t)images + 1, 0, offsets);
        return VR_OK;
    }
    free(offsets);
    free(x);
    if (engine_error(&e, err)) return err->code;
    return vr_fail(err, VR_E_MEMORY, "memory", "no memory for the output of block %d", block);
}

static vr_status compute(results *r, vitrun *v, const input *in, bool blocks, vr_error *err)
{
    const vitrun_about_t *about = vitrun_about(v);
    size_t                columns = (size_t)vitrun_about(v)->outputs;
    vitrun_error          e = {0};
    r->room = 2 + 2 * (size_t)about->depth;
    r->tensors = calloc(r->room, sizeof *r->tensors);
    r->names = calloc(r->room, sizeof *r->names);
    float *logits = vr_alloc((size_t)in->images * columns, sizeof *logits);
    if (!r->tensors || !r->names || !logits) {
        free(logits);
        return vr_fail(err, VR_E_MEMORY, "memory", "no memory for the results of %d images", in->images);
    }
    add(r, "logits", -1, VR_F32, 2, (uint64_t)in->images, columns, logits);
    if (vitrun_run(v, logits, in->each, NULL, in->images, &e)) return engine_error(&e, err);
    for (int block = -1; blocks && block < about->depth && !err->code; block++) add_block(r, v, block, in->images, err);
    return err->code;
}

static vr_status write_results(const results *r, const vitrun *v, const char *path, vr_error *err)
{
    const vitrun_about_t *about = vitrun_about(v);
    const char *const     keys[] = {"made_by", "model", "device", "dtype"};
    const char *const     values[] = {"vitrun " VITRUN_VERSION, about->name, about->device, about->dtype};
    return vr_safetensors_write(path, r->tensors, r->count, keys, values, 4, err);
}

static vr_status check_flags(const cli_options *o, vr_error *err)
{
    if (!o->input)
        return vr_fail(err, VR_E_USAGE, "flags", "forward wants --input FILE: a safetensors file with the tensor pixels");
    if (!o->output) return vr_fail(err, VR_E_USAGE, "flags", "forward wants --output FILE: where the logits shall go");
    return VR_OK;
}

int cmd_forward(const cli_options *o)
{
    vr_error       err = {0};
    vitrun_options options;
    vitrun        *v = NULL;
    input          in = {0};
    results        r = {0};
    if (check_flags(o, &err) || cli_engine_options(o, &options, &err)) goto done;
    if (read_input(&in, o->input, options.max_header, &err)) goto done;
    options.image_height = in.height;
    options.image_width = in.width;
    options.keep_blocks = o->blocks;
    if (cli_open(&v, o, &options, NULL, &err) || compute(&r, v, &in, o->blocks, &err)) goto done;
    if (!cli_stop_signal) write_results(&r, v, o->output, &err);
done:
    vitrun_close(v);
    free_input(&in);
    free_results(&r);
    if (err.code) return cli_failed(&err);
    return cli_stop_signal ? 128 + cli_stop_signal : VR_OK;
}
