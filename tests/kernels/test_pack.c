/* If these failed, a weight that is read while it is packed would have other numbers than one that was read before, or a
 * reader's failure would go unheard. */
#include "check.h"

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    const float *weight; /* [out, in] */
    int          out, in;
    int          bad; /* reading fails in this row, and in those from `worse` on */
    int          worse;
    atomic_int  *rows; /* read so far */
} shelf;

static vr_status read_rows(const void *from, int first, int count, float *to, vr_error *err)
{
    const shelf *s = from;
    cr_assert(first >= 0 && count > 0 && count <= s->out - first);
    if (s->bad >= first && s->bad < first + count) usleep(2000); /* so that others fail before */
    for (int row = first; row < first + count; row++)
        if (row == s->bad || row >= s->worse) return vr_fail(err, VR_E_IO, "row", "row %d", row);
    memcpy(to, s->weight + (size_t)first * (size_t)s->in, (size_t)count * (size_t)s->in * sizeof *to);
    atomic_fetch_add(s->rows, count);
    return VR_OK;
}

static vr_guarded apply(vr_backend *be, vr_weight *w, const vr_guarded *x)
{
    vr_guarded y = vr_output(x->m.rows, w->out, 0, 1);
    vr_linear(be, y.m, x->m, w, VR_NO_ACT, VR_SET);
    be->ops->unpack(be, w);
    return y;
}

Test(pack, rows_as_they_come)
{
    static const int sides[][2] = {{1, 1}, {31, 5}, {33, 17}, {200, 48}, {700, 768}};
    for (const char *const *isa = vr_isas(); *isa; isa++)
        for (size_t t = 0; t < sizeof sides / sizeof *sides; t++)
            for (int threads = 1; threads <= 3; threads += 2) {
                const int   out = sides[t][0], in = sides[t][1];
                vr_backend  be = vr_open_isa(*isa, threads, 1, 1);
                float      *weight = vr_numbers((size_t)out * (size_t)in, 11, 1), *bias = vr_numbers((size_t)out, 12, 1);
                vr_guarded  x = vr_input(3, in, 0, 1);
                atomic_int  read = 0;
                const shelf s = {weight, out, in, -1, out, &read};
                vr_weight   whole, rows;
                vr_error    err = {0};
                cr_assert_eq(be.ops->pack(&be, &whole, weight, bias, out, in, VR_LAYER_OF_BLOCK, &err), VR_OK, "%s", err.text);
                cr_assert_eq(
                    be.ops->pack_rows(&be, &rows, &(vr_row_source){read_rows, &s}, bias, out, in, VR_LAYER_OF_BLOCK, &err),
                    VR_OK);
                cr_expect_eq(atomic_load(&read), out, "each row once");
                vr_guarded a = apply(&be, &whole, &x), b = apply(&be, &rows, &x);
                for (int i = 0; i < 3; i++)
                    cr_expect_arr_eq(a.m.data + (size_t)i * a.m.stride, b.m.data + (size_t)i * b.m.stride,
                                     (size_t)out * sizeof(float), "%s, %d threads, [%d, %d]", *isa, threads, out, in);
                vr_guarded_free(&a), vr_guarded_free(&b), vr_guarded_free(&x);
                free(weight), free(bias);
                be.ops->close(&be);
            }
}

Test(pack, the_first_row_that_fails)
{
    enum { OUT = 1000, IN = 64 };
    float *weight = vr_numbers((size_t)OUT * IN, 11, 1);
    for (int round = 0; round < 50; round++) {
        vr_backend  be = vr_open_isa("portable", 4, 1, 1);
        atomic_int  read = 0;
        const shelf s = {weight, OUT, IN, 300, 500, &read};
        vr_weight   w;
        vr_error    err = {0};
        cr_expect_eq(be.ops->pack_rows(&be, &w, &(vr_row_source){read_rows, &s}, NULL, OUT, IN, VR_LAYER_OF_BLOCK, &err),
                     VR_E_IO);
        cr_expect_str_eq(err.text, "row 300");
        cr_expect(w.data == NULL && w.bias == NULL);
        be.ops->close(&be);
    }
    free(weight);
}
