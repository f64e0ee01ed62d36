/* bench_pictures.c: what bench runs on: photographs, or random pixels where those are asked for. */
#include <stdlib.h>
#include <string.h>

#include "bench.h"

enum { RANDOM_IMAGES = 16, MOST_PICTURES = 1024, MOST_BYTES = 256 << 20 };

static vr_status contradiction(const cli_options *o, vr_error *err)
{
    const char *pictures = o->end_to_end    ? "--end-to-end"
                           : o->files_from  ? "--files-from"
                           : o->input_count ? "a picture"
                                            : NULL;
    if (o->end_to_end && (o->input_count || o->files_from))
        return vr_fail(err, VR_E_USAGE, "flags", "--end-to-end names its pictures itself; leave out the others");
    if (o->end_to_end && o->kernels)
        return vr_fail(err, VR_E_USAGE, "flags", "--end-to-end and --kernels are two measurements; give one");
    if (o->synthetic && pictures)
        return vr_fail(err, VR_E_USAGE, "flags", "--synthetic and %s contradict each other; give one", pictures);
    return VR_OK;
}

vr_status bench_names_find(bench *b, vr_error *err)
{
    cli_options o = *b->o;
    char       *named[CLI_DEFAULT_PICTURES] = {(char *)(uintptr_t)o.end_to_end};
    if (contradiction(&o, err) || o.synthetic) return err->code;
    if (o.end_to_end)
        o.inputs = named, o.input_count = 1;
    else if (!o.input_count && !o.files_from && cli_default_pictures(named, err) == VR_OK)
        o.inputs = named, o.input_count = CLI_DEFAULT_PICTURES;
    return err->code ? err->code : cli_expand_inputs(&o, &b->names, &b->name_count, err);
}

void bench_names_free(bench *b) { cli_inputs_free(b->names, b->name_count); }

/* xorshift64*: any fixed sequence will do. */
static void fill(uint8_t *x, size_t n)
{
    uint64_t s = 0x9E3779B97F4A7C15u;
    for (size_t i = 0; i < n; i++) {
        s ^= s >> 12, s ^= s << 25, s ^= s >> 27;
        x[i] = (uint8_t)((s * 0x2545F4914F6CDD1Du) >> 56);
    }
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static vr_status read_pictures(bench_work *w, const bench *b, const vitrun *v, vr_error *err)
{
    const size_t room = w->different;
    vitrun_error e = {0};
    w->different = 0;
    for (size_t i = 0; i < b->name_count && w->different < room && !cli_stop_signal; i++)
        if (vitrun_crop_of_file(v, b->names[i], w->pixels + w->different * w->cells, &e) == VITRUN_OK)
            w->different++;
        else
            cli_note(b->o, "left out: %s", e.text);
    if (w->different == 0 && !cli_stop_signal)
        vr_fail(err, VR_E_IMAGE, "no-picture", "none of the %zu pictures can be read: %s", b->name_count, e.text);
    return err->code;
}

vr_status bench_work_open(bench_work *w, const bench *b, const vitrun *v, int batch, vr_error *err)
{
    const vitrun_about_t *a = vitrun_about(v);
    const size_t          cells = 3 * (size_t)a->image_height * (size_t)a->image_width;
    const size_t          most = least(MOST_PICTURES, MOST_BYTES / cells + 1);
    *w = (bench_work){.batch = batch, .cells = cells, .synthetic = b->name_count == 0};
    w->different = w->synthetic ? RANDOM_IMAGES : least(b->name_count, most);
    w->pixels = vr_alloc(w->different, cells);
    w->each = calloc((size_t)batch, sizeof *w->each);
    w->logits = vr_alloc((size_t)batch * (size_t)a->outputs, sizeof *w->logits);
    if (!w->pixels || !w->each || !w->logits)
        return vr_fail(err, VR_E_MEMORY, "memory", "no memory for a batch of %d images", batch);
    if (!w->synthetic) return read_pictures(w, b, v, err);
    fill(w->pixels, w->different * cells);
    return VR_OK;
}

void bench_work_close(bench_work *w)
{
    free(w->pixels);
    free(w->each);
    free(w->logits);
}

vr_status bench_run_once(vitrun *v, bench_work *w, double *ms, vr_error *err)
{
    vitrun_error e = {0};
    for (size_t i = 0; i < (size_t)w->batch; i++) w->each[i] = w->pixels + (w->next + i) % w->different * w->cells;
    w->next = (w->next + (size_t)w->batch) % w->different;
    double started = vr_now();
    int    code = vitrun_run_rgb(v, w->logits, w->each, NULL, w->batch, &e);
    *ms = 1e3 * (vr_now() - started);
    return code ? vr_fail(err, (vr_status)code, "engine", "%s", e.text) : VR_OK;
}
