/* fetch.c: see fetch.h. */
#include "fetch.h"

#include <string.h>

#include "../loaders/safetensors.h"

/* Rows are read as they lie, gaps and all, so that a device is asked once for many of them. */
enum { PIECE = 32 << 10 };

static void widen(float *out, const void *in, vr_dtype type, size_t count)
{
    if (type == VR_F32)
        memcpy(out, in, count * sizeof *out);
    else if (type == VR_F16)
        vr_f16_to_f32_many(out, in, count);
    else
        vr_bf16_to_f32_many(out, in, count);
}

/* A piece of at most PIECE bytes: whole rows, or a part of one. */
static vr_status fetch_piece(vr_backend *be, float *out, size_t stride, vr_mat from, vr_error *err)
{
    _Alignas(64) char piece[PIECE];
    const size_t      size = vr_dtype_bits(from.type) / 8, cols = (size_t)from.cols;
    if (be->ops->get(be, piece, from.data, (((size_t)from.rows - 1) * from.stride + cols) * size, err)) return err->code;
    for (size_t r = 0; r < (size_t)from.rows; r++) widen(out + r * stride, piece + r * from.stride * size, from.type, cols);
    return VR_OK;
}

vr_status vr_fetch(vr_backend *be, float *out, size_t stride, vr_mat from, vr_error *err)
{
    const int size = (int)vr_dtype_bits(from.type) / 8, room = PIECE / size;
    const int many = from.stride < (size_t)room ? room / (int)from.stride : 1,
              wide = many > 1 || from.cols < room ? from.cols : room;
    for (int r = 0; r < from.rows; r += many)
        for (int c = 0; c < from.cols; c += wide) {
            const int    rows = from.rows - r < many ? from.rows - r : many, cols = from.cols - c < wide ? from.cols - c : wide;
            const vr_mat piece = vr_mat_at(from, (size_t)r, c, rows, cols);
            if (fetch_piece(be, out + (size_t)r * stride + (size_t)c, stride, piece, err)) return err->code;
        }
    return VR_OK;
}
