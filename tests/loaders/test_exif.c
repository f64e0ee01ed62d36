/* The orientation tag out of EXIF blocks, whole and broken. */
#include "../../loaders/image_formats.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    uint8_t at[256];
    size_t  length;
    bool    little;
} block;

static void put(block *b, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) b->at[b->length++] = (uint8_t)(value >> 8 * (b->little ? i : bytes - 1 - i));
}

static block begin(bool little, uint32_t entries)
{
    block b = {.little = little};
    memcpy(b.at, little ? "II" : "MM", 2);
    b.length = 2;
    put(&b, 42, 2);
    put(&b, 8, 4);
    put(&b, entries, 2);
    return b;
}

/* An entry whose value stands in it: shorts at its beginning. */
static void entry(block *b, uint32_t tag, uint32_t type, uint32_t count, uint32_t value)
{
    put(b, tag, 2);
    put(b, type, 2);
    put(b, count, 4);
    put(b, value, type == 3 || type == 8 ? 2 : 4);
    if (type == 3 || type == 8) put(b, 0, 2);
}

/* Read from memory that ends where the block does. */
static int orientation(const block *b, size_t length)
{
    uint8_t *exact = malloc(length ? length : 1);
    cr_assert_not_null(exact);
    memcpy(exact, b->at, length);
    int o = vr_exif_orientation((vr_bytes){exact, length});
    free(exact);
    return o;
}

static int one(bool little, uint32_t tag, uint32_t type, uint32_t count, uint32_t value)
{
    block b = begin(little, 1);
    entry(&b, tag, type, count, value);
    return orientation(&b, b.length);
}

/* Broken: a byte order or a type of number is not understood. */
Test(exif, values)
{
    for (uint32_t v = 1; v <= 8; v++)
        for (int little = 0; little < 2; little++) {
            cr_assert_eq(one(little, 0x0112, 3, 1, v), (int)v);
            cr_assert_eq(one(little, 0x0112, 4, 1, v), (int)v);
            cr_assert_eq(one(little, 0x0112, 8, 1, v), (int)v);
            cr_assert_eq(one(little, 0x0112, 9, 1, v), (int)v);
        }
}

/* Broken: nonsense turns a picture. */
Test(exif, nonsense_means_upright)
{
    cr_assert_eq(one(true, 0x0112, 3, 1, 0), 1);
    cr_assert_eq(one(true, 0x0112, 3, 1, 9), 1);
    cr_assert_eq(one(true, 0x0112, 4, 1, 0xFFFFFFFF), 1);
    cr_assert_eq(one(true, 0x0112, 1, 1, 6), 1); /* bytes, which Pillow does not take for a number */
    cr_assert_eq(one(true, 0x0112, 2, 1, 6), 1);
    cr_assert_eq(one(true, 0x0112, 99, 1, 6), 1);
    cr_assert_eq(one(true, 0x0112, 3, 0, 6), 1);
    cr_assert_eq(one(true, 0x0113, 3, 1, 6), 1);
    cr_assert_eq(one(true, 0x0112, 3, 0xFFFFFFFF, 6), 1);
    cr_assert_eq(one(true, 0x0112, 4, 0x40000001, 6), 1); /* 4 * count wraps in 32 bits */
    cr_assert_eq(one(false, 0x0112, 4, 2, 0xFFFFFFF0), 1);
    block b = begin(true, 1);
    entry(&b, 0x0112, 3, 1, 6);
    b.at[0] = 'X';
    cr_assert_eq(orientation(&b, b.length), 1);
    b.at[0] = 'I', b.at[2] = 41;
    cr_assert_eq(orientation(&b, b.length), 1);
    b.at[2] = 42, memset(b.at + 4, 0xFF, 4); /* the directory is elsewhere */
    cr_assert_eq(orientation(&b, b.length), 1);
}

/* Broken: of several entries another one counts than in Pillow, or a value outside its entry is not found. */
Test(exif, several_and_far)
{
    block b = begin(false, 3);
    entry(&b, 0x010F, 2, 4, 0x41424300);
    entry(&b, 0x0112, 3, 1, 3);
    entry(&b, 0x0112, 3, 1, 8);
    cr_assert_eq(orientation(&b, b.length), 8);
    b = begin(true, 1);
    entry(&b, 0x0112, 4, 2, 22); /* two longs, right behind the entry */
    put(&b, 5, 4);
    put(&b, 7, 4);
    cr_assert_eq(orientation(&b, b.length), 5);
    cr_assert_eq(orientation(&b, b.length - 1), 1);
}

/* Broken: the marker's own name in front, once or twice, as some cameras write it. */
Test(exif, prefix)
{
    block b = begin(true, 1), p = {0};
    entry(&b, 0x0112, 3, 1, 6);
    for (int times = 1; times <= 3; times++) {
        p.length = 0;
        for (int i = 0; i < times; i++) memcpy(p.at + p.length, "Exif\0\0", 6), p.length += 6;
        memcpy(p.at + p.length, b.at, b.length);
        cr_assert_eq(orientation(&p, p.length + b.length), times <= 2 ? 6 : 1);
    }
}

/* Broken: a read outside the block, seen by the sanitizer; and no cut may turn the picture another way. */
Test(exif, every_prefix_and_every_byte)
{
    block b = begin(true, 2);
    entry(&b, 0x0100, 3, 1, 640);
    entry(&b, 0x0112, 3, 1, 6);
    for (size_t n = 0; n <= b.length; n++) cr_assert_eq(orientation(&b, n), n < b.length ? 1 : 6, "%zu bytes", n);
    for (size_t i = 0; i < b.length; i++)
        for (int v = 0; v < 256; v++) {
            block c = b;
            c.at[i] = (uint8_t)v;
            int o = orientation(&c, c.length);
            cr_assert(o >= 1 && o <= 8);
        }
}
