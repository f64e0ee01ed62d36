/* Half precision, over all of its 65,536 values, and the search for what is not finite. */
#include "../../loaders/safetensors.h"
#include "../../loaders/safetensors_parts.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint32_t bits_of(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* The definition: (-1)^s 2^(e-15) 1.f, 2^-14 0.f for e = 0. */
static double f16_by_definition(uint16_t h)
{
    int    e = h >> 10 & 31, f = h & 1023;
    double magnitude = e == 31 ? (f ? (double)NAN : (double)INFINITY) : e ? ldexp(1024 + f, e - 25) : ldexp(f, -24);
    return h & 0x8000 ? -magnitude : magnitude;
}

/* Broken: some weight of an F16 checkpoint is read as another number. */
Test(halves, f16_to_f32_is_the_definition)
{
    for (uint32_t h = 0; h < 65536; h++) {
        const float  got = vr_f16_to_f32((uint16_t)h);
        const double want = f16_by_definition((uint16_t)h);
        cr_assert(isnan(want) ? isnan(got) : (double)got == want, "%04x", h);
        cr_assert_eq(bits_of(got) >> 31, h >> 15, "sign of %04x", h);
    }
}

/* Broken: the vector code gives other bits than the plain code, so that results depend on the machine or the length. */
Test(halves, many_agrees_with_one)
{
    static uint16_t in[65536];
    static float    out[65536];
    for (uint32_t h = 0; h < 65536; h++) in[h] = (uint16_t)h;
    vr_f16_to_f32_many(out, in, 65536);
    for (uint32_t h = 0; h < 65536; h++) cr_assert_eq(bits_of(out[h]), bits_of(vr_f16_to_f32((uint16_t)h)), "f16 %04x", h);
    vr_bf16_to_f32_many(out, in, 65536);
    for (uint32_t h = 0; h < 65536; h++) cr_assert_eq(bits_of(out[h]), h << 16, "bf16 %04x", h);

    for (size_t n = 0; n < 150; n++) { /* lengths around the blocks, odd places, and nothing written behind */
        out[n] = 42;
        vr_f16_to_f32_many(out, in + 15001, n);
        for (size_t i = 0; i < n; i++) cr_assert_eq(bits_of(out[i]), bits_of(vr_f16_to_f32(in[15001 + i])));
        cr_assert_eq(out[n], 42);
        vr_bf16_to_f32_many(out, in + 15001, n);
        for (size_t i = 0; i < n; i++) cr_assert_eq(bits_of(out[i]), (uint32_t)in[15001 + i] << 16);
        cr_assert_eq(out[n], 42);
    }
}

/* Broken: a model written as F16 or BF16 and read again is not the same model. */
Test(halves, there_and_back)
{
    for (uint32_t h = 0; h < 65536; h++) {
        const bool nan16 = (h & 0x7FFF) > 0x7C00, nanb = (h & 0x7FFF) > 0x7F80;
        cr_assert_eq(vr_f32_to_f16(vr_f16_to_f32((uint16_t)h)), nan16 ? h | 0x200 : h, "f16 %04x", h);
        cr_assert_eq(vr_f32_to_bf16(vr_bf16_to_f32((uint16_t)h)), nanb ? h | 0x40 : h, "bf16 %04x", h);
    }
}

/* Broken: rounding to half precision is not to the nearest, ties to even. Every pair of neighbours, their middle, and
 * one float on either side of it. */
Test(halves, rounding_is_to_nearest_even)
{
    for (uint32_t h = 0; h < 0x7BFF; h++) {
        const float    low = vr_f16_to_f32((uint16_t)h), high = vr_f16_to_f32((uint16_t)(h + 1)), middle = (low + high) / 2;
        const uint16_t even = (uint16_t)(h & 1 ? h + 1 : h);
        cr_assert_eq(vr_f32_to_f16(middle), even, "middle above %04x", h);
        cr_assert_eq(vr_f32_to_f16(-middle), even | 0x8000, "middle below -%04x", h);
        cr_assert_eq(vr_f32_to_f16(nextafterf(middle, 0)), h, "below the middle above %04x", h);
        cr_assert_eq(vr_f32_to_f16(nextafterf(middle, INFINITY)), h + 1, "above the middle above %04x", h);
    }
    for (uint32_t h = 0; h < 0x7F7F; h++) {
        const uint32_t middle = h << 16 | 0x8000;
        cr_assert_eq(vr_f32_to_bf16(float_of(middle)), h & 1 ? h + 1 : h);
        cr_assert_eq(vr_f32_to_bf16(float_of(middle - 1)), h);
        cr_assert_eq(vr_f32_to_bf16(float_of(middle + 1)), h + 1);
    }
}

/* Broken: numbers too large or too small for half precision become ordinary ones. */
Test(halves, ends_of_the_range)
{
    cr_assert_eq(vr_f32_to_f16(65504), 0x7BFF);
    cr_assert_eq(vr_f32_to_f16(nextafterf(65520, 0)), 0x7BFF);
    cr_assert_eq(vr_f32_to_f16(65520), 0x7C00);
    cr_assert_eq(vr_f32_to_f16(3e38f), 0x7C00);
    cr_assert_eq(vr_f32_to_f16(-INFINITY), 0xFC00);
    cr_assert_eq(vr_f32_to_f16(0x1p-25f), 0); /* the tie between 0 and the smallest */
    cr_assert_eq(vr_f32_to_f16(nextafterf(0x1p-25f, 1)), 1);
    cr_assert_eq(vr_f32_to_f16(1e-45f), 0);
    cr_assert_eq(vr_f32_to_f16(-0.0f), 0x8000);
    cr_assert(isnan(vr_f16_to_f32(vr_f32_to_f16(float_of(0x7F800001))))); /* a NaN whose payload is cut away */
    cr_assert(isnan(vr_bf16_to_f32(vr_f32_to_bf16(float_of(0x7F800001)))));
    cr_assert(isnan(vr_bf16_to_f32(vr_f32_to_bf16(float_of(0xFFFFFFFF)))));
    cr_assert(isinf(vr_bf16_to_f32(vr_f32_to_bf16(3.4e38f))));
}

/* Broken: a NaN at some place of a tensor is not found, or a large, small or negative number is taken for one. */
Test(halves, all_finite_finds_every_place)
{
    static const float odd[] = {NAN, -NAN, INFINITY, -INFINITY};
    float              x[200];
    for (int i = 0; i < 200; i++) x[i] = i % 4 == 0 ? 3.4e38f : i % 4 == 1 ? -1e-45f : i % 4 == 2 ? -0.0f : (float)i;
    for (size_t n = 0; n <= 200; n++) cr_assert(vr_all_finite(x, n));
    for (size_t i = 0; i < 200; i++)
        for (size_t k = 0; k < 4; k++) {
            const float kept = x[i];
            x[i] = odd[k];
            cr_assert_not(vr_all_finite(x, 200), "place %zu", i);
            cr_assert(vr_all_finite(x, i));
            cr_assert(vr_all_finite(x + i + 1, 199 - i));
            x[i] = kept;
        }
}
