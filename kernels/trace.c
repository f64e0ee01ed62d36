/* trace.c: see trace.h. */
#include "trace.h"

#include <assert.h>

void vr_trace_lay_out(vr_trace *trace, vr_arena *arena, const vr_limits *most, bool weights)
{
    const size_t B = (size_t)most->images, T = (size_t)most->rows;
    trace->in_offsets = vr_arena_take(arena, B + 1, sizeof *trace->in_offsets);
    trace->out_offsets = vr_arena_take(arena, B + 1, sizeof *trace->out_offsets);
    trace->destinations = vr_arena_take(arena, B, sizeof *trace->destinations);
    trace->weights_at = vr_arena_take(arena, B + 1, sizeof *trace->weights_at);
    trace->row = vr_arena_take(arena, T, sizeof *trace->row);
    trace->column = vr_arena_take(arena, T, sizeof *trace->column);
    trace->mass = vr_arena_take(arena, T, sizeof *trace->mass);
    trace->total = vr_arena_take(arena, T, sizeof *trace->total);
    trace->weight = vr_arena_take(arena, weights ? vr_limits_weights(most) : 0, sizeof *trace->weight);
}

static void add_row(vr_mat to, int row, vr_mat from, int token, float factor)
{
    const float *source = from.data + (size_t)token * from.stride;
    float       *target = to.data + (size_t)row * to.stride;
    for (int c = 0; c < to.cols; c++) target[c] += factor * source[c];
}

void vr_trace_follow(const vr_trace *trace, int image, vr_mat to, vr_mat from)
{
    const int    in = trace->in_offsets[image], out = trace->out_offsets[image], M = trace->destinations[image];
    const size_t at = trace->weights_at[image], N = M ? (trace->weights_at[image + 1] - at) / (size_t)M : 0;
    const float *total = trace->total + out;
    assert(from.rows == trace->in_offsets[image + 1] - in && to.rows == trace->out_offsets[image + 1] - out);
    assert(to.cols == from.cols);
    for (int r = 0; r < to.rows; r++)
        for (int c = 0; c < to.cols; c++) to.data[(size_t)r * to.stride + (size_t)c] = 0;
    for (int t = 0; t < from.rows; t++) {
        const int   row = trace->row[in + t], column = trace->column[in + t];
        const float mass = trace->mass[in + t];
        if (row >= 0) add_row(to, row, from, t, mass / total[row]);
        if (row != VR_SPREAD) continue;
        for (int i = 0; i < M; i++) {
            const float weight = trace->weight[at + (size_t)i * N + (size_t)column];
            if (weight > 0) add_row(to, trace->prefix + i, from, t, weight * mass / total[trace->prefix + i]);
        }
    }
}
