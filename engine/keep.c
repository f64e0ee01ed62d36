/* keep.c: every block's output, for those who compare with other frameworks or want dense features. */
#include <stdlib.h>
#include <string.h>

#include "fetch.h"
#include "internal.h"

static bool make_room(vr_kept *k, size_t rows, size_t cols)
{
    if (rows <= k->room) return true;
    float *grown = realloc(k->data, rows * cols * sizeof *grown); /* bounded by tokens the caller already holds */
    if (!grown) return false;
    k->data = grown, k->room = rows;
    return true;
}

/* A vr_tap: what one micro-batch adds. */
static void keep_block(void *user, int block, vr_mat x, const vr_rows *rows)
{
    vitrun      *v = user;
    vr_backend  *be = &v->backend;
    vr_kept     *k = &v->kept[block + 1];
    const size_t cols = (size_t)x.cols;
    vr_error     err = {0};
    if (v->kept_fault) return;
    if (!make_room(k, k->rows + (size_t)x.rows, cols)) {
        v->kept_fault = VR_E_MEMORY;
        return;
    }
    if (!be->ops->finish(be, &err) && !vr_fetch(be, k->data + k->rows * cols, cols, x, &err)) k->rows += (size_t)x.rows;
    for (int b = 0; b < rows->images; b++, k->images++)
        k->offsets[k->images + 1] = k->offsets[k->images] + rows->offsets[b + 1] - rows->offsets[b];
    v->kept_fault = err.code;
}

vr_status vr_keep_start(vitrun *v, int images, vr_error *err)
{
    if (!v->kept) return VR_OK;
    for (int i = 0; i <= v->model.config.depth; i++) {
        vr_kept *k = &v->kept[i];
        int     *offsets = realloc(k->offsets, ((size_t)images + 1) * sizeof *offsets);
        if (!offsets) return vr_fail(err, VR_E_MEMORY, "", "No memory to keep the block outputs of %d images.", images);
        k->offsets = offsets;
        k->offsets[0] = 0;
        k->rows = 0;
        k->images = 0;
    }
    v->kept_fault = VR_OK;
    v->run.tap = keep_block;
    v->run.tap_user = v;
    return VR_OK;
}

void vr_keep_free(vitrun *v)
{
    for (int i = 0; v->kept && i <= v->model.config.depth; i++) {
        free(v->kept[i].data);
        free(v->kept[i].offsets);
    }
    free(v->kept);
}

int vitrun_block_output(const vitrun *v, int block, float *out, int *offsets, vitrun_error *err)
{
    vr_error       e = {0};
    const int      depth = v->model.config.depth;
    const vr_kept *k = v->kept && block >= -1 && block < depth ? &v->kept[block + 1] : NULL;
    if (!v->kept || !v->kept[0].offsets)
        vr_fail(&e, VR_E_USAGE, "blocks",
                "Block outputs are kept only when asked for at opening (keep_blocks), and after a run.");
    else if (!k)
        vr_fail(&e, VR_E_USAGE, "blocks", "There is no block %d; %s has %d.", block, v->model.config.name, depth);
    if (!e.code && out && k->rows) memcpy(out, k->data, k->rows * (size_t)v->model.config.dim * sizeof *out);
    if (!e.code && offsets) memcpy(offsets, k->offsets, ((size_t)k->images + 1) * sizeof *offsets);
    return vr_report(err, &e);
}
