/* CUDA's small vectors, as far as kernels use them. */
#ifndef VR_FAKE_VECTOR_TYPES_H
#define VR_FAKE_VECTOR_TYPES_H

#ifdef __cplusplus
#define VR_FAKE_ALIGN(n) alignas(n)
#else
#define VR_FAKE_ALIGN(n) __attribute__((aligned(n)))
#endif

typedef struct uint3 {
    unsigned x, y, z;
} uint3;
typedef struct VR_FAKE_ALIGN(8) uint2 {
    unsigned x, y;
} uint2;
typedef struct VR_FAKE_ALIGN(16) uint4 {
    unsigned x, y, z, w;
} uint4;
typedef struct VR_FAKE_ALIGN(8) int2 {
    int x, y;
} int2;
typedef struct VR_FAKE_ALIGN(16) int4 {
    int x, y, z, w;
} int4;
typedef struct VR_FAKE_ALIGN(8) float2 {
    float x, y;
} float2;
typedef struct VR_FAKE_ALIGN(16) float4 {
    float x, y, z, w;
} float4;

typedef struct dim3 {
    unsigned x, y, z;
#ifdef __cplusplus
    constexpr dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
#endif
} dim3;

#ifdef __cplusplus
inline uint2  make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4  make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline int2   make_int2(int x, int y) { return {x, y}; }
inline int4   make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
#endif

#endif
