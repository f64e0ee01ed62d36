/* What a warp does together: matrix products on tensor cores, fragments out of shared memory, copies into it.  Every lane
 * of the warp makes the call.  With g = lane / 4, t = lane % 4, fragments hold
 *   mma_16x8x16       A 16x16: a[0] (g, 2t..)  a[1] (g+8, 2t..)  a[2] (g, 2t+8..)  a[3] (g+8, 2t+8..), two halves each
 *                     B 16x8:  b0 (2t.., g)    b1 (2t+8.., g)
 *   mma_16x8x8_tf32   A 16x8:  a[0] (g, t)  a[1] (g+8, t)  a[2] (g, t+4)  a[3] (g+8, t+4);   B 8x8: b0 (t, g)  b1 (t+4, g)
 *   both              C 16x8:  c[0], c[1] (g, 2t..)  c[2], c[3] (g+8, 2t..)
 * Include as <cuda/mma.h>: see device.h. */
#ifndef VR_CUDA_MMA_H
#define VR_CUDA_MMA_H

#include <cuda/device.h>

/* c += a * b; products exact, sums in f32. */
template <class T = half_t> VR_FN void      mma_16x8x16(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1);
template <> __device__ __forceinline__ void mma_16x8x16<half_t>(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
template <> __device__ __forceinline__ void mma_16x8x16<bf16_t>(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/* The bits of f with ten bits of mantissa left, to nearest, ties away from zero. */
VR_FN unsigned to_tf32(float f)
{
    unsigned u;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(u) : "f"(f));
    return u;
}
VR_FN void mma_16x8x8_tf32(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) /* operands from to_tf32 */
{
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

VR_FN unsigned smem_address(const void *p) { return (unsigned)__cvta_generic_to_shared(p); }

/* Four 8x8 matrices of 16 bits; lane 8i + r hands in row r of matrix i, aligned to 16 bytes, and gets in m[i] its elements
 * (g, 2t..), or with _trans (2t.., g). */
VR_FN void ldmatrix_x4(unsigned (&m)[4], const void *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
                 : "r"(smem_address(row))
                 : "memory");
}
VR_FN void ldmatrix_x4_trans(unsigned (&m)[4], const void *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
                 : "r"(smem_address(row))
                 : "memory");
}

/* 16 bytes from global to shared memory, both aligned to 16; zeros where !read.  They are there for this thread after its
 * wait for all but its PENDING youngest groups, and for others after a barrier too. */
VR_FN void cp_async_16(void *to, const void *from, bool read)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(smem_address(to)), "l"(from), "r"(read ? 16 : 0)
                 : "memory");
}
VR_FN void                        cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int PENDING> VR_FN void cp_async_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory"); }

#endif
