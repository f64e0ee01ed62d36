/* kernels/cuda/mma.h for the emulator: the documented fragment layouts, written out. */
#ifndef VR_HOST_MMA_H
#define VR_HOST_MMA_H

#include <cuda/device.h>

// c[i] of lane l is element (l / 4 + i / 2 * 8, 2 (l % 4) + i % 2); A by rows, B by columns.
template <int K, class S> inline void vr_emu_product(S **all, const float (&A)[16][K], const float (&B)[8][K])
{
    for (int l = 0; l < 32; l++)
        for (int i = 0; i < 4; i++) {
            const float *x = A[l / 4 + i / 2 * 8], *y = B[2 * (l % 4) + i % 2];
            float        sum = 0;
            for (int k = 0; k < K; k++) sum += x[k] * y[k];
            all[l]->c[i] += sum;
        }
}
struct vr_emu_operands {
    float    c[4];
    unsigned a[4], b[2];
};

template <class T = half_t> inline void mma_16x8x16(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1, VR_HERE)
{
    vr_emu_operands mine = {{c[0], c[1], c[2], c[3]}, {a[0], a[1], a[2], a[3]}, {b0, b1}};
    vr_emu::together(~0u, "mma", mine,
                     [](vr_emu_operands **all) {
                         float A[16][16], B[8][16];
                         auto  two = [](float *to, unsigned u) {
                             const float2 f = unpack2<T>(u);
                             to[0] = f.x, to[1] = f.y;
                         };
                         for (int l = 0; l < 32; l++) {
                             const int g = l / 4, t = l % 4;
                             for (int i = 0; i < 4; i++) two(&A[g + i % 2 * 8][2 * t + i / 2 * 8], all[l]->a[i]);
                             for (int i = 0; i < 2; i++) two(&B[g][2 * t + i * 8], all[l]->b[i]);
                         }
                         vr_emu_product(all, A, B);
                     },
                     {file, line});
    memcpy(c, mine.c, sizeof c);
}

// Its thirteen low bits are zero; the hardware ignores them in operands.
inline unsigned to_tf32(float f)
{
    const unsigned u = __float_as_uint(f);
    return (u & 0x7f800000) == 0x7f800000 ? u & (f != f ? ~0u : 0xffffe000) : (u + 0x1000) & 0xffffe000;
}
inline void mma_16x8x8_tf32(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1, VR_HERE)
{
    vr_emu_operands mine = {{c[0], c[1], c[2], c[3]}, {a[0], a[1], a[2], a[3]}, {b0, b1}};
    vr_emu::together(~0u, "mma tf32", mine,
                     [](vr_emu_operands **all) {
                         float A[16][8], B[8][8];
                         auto  one = [](unsigned u) { return __uint_as_float(u & 0xffffe000); };
                         for (int l = 0; l < 32; l++) {
                             const int g = l / 4, t = l % 4;
                             for (int i = 0; i < 4; i++) A[g + i % 2 * 8][t + i / 2 * 4] = one(all[l]->a[i]);
                             for (int i = 0; i < 2; i++) B[g][t + i * 4] = one(all[l]->b[i]);
                         }
                         vr_emu_product(all, A, B);
                     },
                     {file, line});
    memcpy(c, mine.c, sizeof c);
}

// A lane reads its row when it comes, not when the last one does: ldmatrix orders no memory, a missing __syncwarp must show.
inline void vr_emu_ldmatrix(unsigned (&m)[4], const void *row, bool trans, vr_emu::where w)
{
    vr_emu::check_shared(row, 16, 16, "ldmatrix");
    struct slot {
        uint16_t row[8];
        unsigned m[4];
    } mine;
    for (int i = 0; i < 8; i++) mine.row[i] = ((const uint16_t *)row)[i];
    vr_emu::together(
        ~0u, trans ? "ldmatrix.trans" : "ldmatrix", mine,
        [=](slot **all) {
            for (int i = 0; i < 4; i++)
                for (int l = 0; l < 32; l++) {
                    const int      g = l / 4, t = l % 4;
                    const uint16_t lo = trans ? all[8 * i + 2 * t]->row[g] : all[8 * i + g]->row[2 * t];
                    const uint16_t hi = trans ? all[8 * i + 2 * t + 1]->row[g] : all[8 * i + g]->row[2 * t + 1];
                    all[l]->m[i] = lo | (unsigned)hi << 16;
                }
        },
        w);
    memcpy(m, mine.m, sizeof m);
}
inline void ldmatrix_x4(unsigned (&m)[4], const void *row, VR_HERE) { vr_emu_ldmatrix(m, row, false, {file, line}); }
inline void ldmatrix_x4_trans(unsigned (&m)[4], const void *row, VR_HERE) { vr_emu_ldmatrix(m, row, true, {file, line}); }

inline void                        cp_async_16(void *to, const void *from, bool read) { vr_emu::copy_async(to, from, read); }
inline void                        cp_async_commit() { vr_emu::copy_commit(); }
template <int PENDING> inline void cp_async_wait() { vr_emu::copy_wait(PENDING); }

#endif
