/* sha256.c: the standard's letters for its quantities.  Its constants are the first 32 bits behind the point of the roots of
 * the first primes: square roots for the state, cube roots for k; they are found here rather than listed. */
#include "sha256.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

__extension__ typedef unsigned __int128 wide;

typedef struct {
    uint32_t state[8], k[64];
} hash;

/* The whole part of the root of n * 2^(32 * power), of which the low 32 bits are kept: bit by bit, exactly. */
static uint32_t root(uint32_t n, int power)
{
    wide want = (wide)n << (32 * power), r = 0;
    for (int bit = 36; bit-- > 0;) {
        wide t = r | (wide)1 << bit, raised = power == 2 ? t * t : t * t * t;
        if (raised <= want) r = t;
    }
    return (uint32_t)r;
}

static bool prime(uint32_t n)
{
    for (uint32_t d = 2; d * d <= n; d++)
        if (n % d == 0) return false;
    return true;
}

static void begin(hash *h)
{
    int i = 0;
    for (uint32_t n = 2; i < 64; n++) {
        if (!prime(n)) continue;
        if (i < 8) h->state[i] = root(n, 2);
        h->k[i++] = root(n, 3);
    }
}

static uint32_t turn(uint32_t x, int bits) { return x >> bits | x << (32 - bits); }

static inline void step(uint32_t a, uint32_t b, uint32_t c, uint32_t *d, uint32_t e, uint32_t f, uint32_t g, uint32_t *last,
                        uint32_t kw)
{
    const uint32_t t1 = *last + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + kw;
    const uint32_t t2 = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    *d += t1;
    *last = t1 + t2;
}

static void block(hash *h, const unsigned char *bytes)
{
    uint32_t w[64], s[8];
    for (int t = 0; t < 16; t++)
        w[t] = (uint32_t)bytes[4 * t] << 24 | (uint32_t)bytes[4 * t + 1] << 16 | (uint32_t)bytes[4 * t + 2] << 8 |
               bytes[4 * t + 3];
    for (int t = 16; t < 64; t++) {
        uint32_t s0 = turn(w[t - 15], 7) ^ turn(w[t - 15], 18) ^ w[t - 15] >> 3;
        uint32_t s1 = turn(w[t - 2], 17) ^ turn(w[t - 2], 19) ^ w[t - 2] >> 10;
        w[t] = w[t - 16] + s0 + w[t - 7] + s1;
    }
    memcpy(s, h->state, sizeof s);
    for (int t = 0; t < 64; t += 8) { /* the letters move on by one name a step, not their numbers by one place */
        step(s[0], s[1], s[2], &s[3], s[4], s[5], s[6], &s[7], h->k[t] + w[t]);
        step(s[7], s[0], s[1], &s[2], s[3], s[4], s[5], &s[6], h->k[t + 1] + w[t + 1]);
        step(s[6], s[7], s[0], &s[1], s[2], s[3], s[4], &s[5], h->k[t + 2] + w[t + 2]);
        step(s[5], s[6], s[7], &s[0], s[1], s[2], s[3], &s[4], h->k[t + 3] + w[t + 3]);
        step(s[4], s[5], s[6], &s[7], s[0], s[1], s[2], &s[3], h->k[t + 4] + w[t + 4]);
        step(s[3], s[4], s[5], &s[6], s[7], s[0], s[1], &s[2], h->k[t + 5] + w[t + 5]);
        step(s[2], s[3], s[4], &s[5], s[6], s[7], s[0], &s[1], h->k[t + 6] + w[t + 6]);
        step(s[1], s[2], s[3], &s[4], s[5], s[6], s[7], &s[0], h->k[t + 7] + w[t + 7]);
    }
    for (int i = 0; i < 8; i++) h->state[i] += s[i];
}

vr_sha256_text vr_sha256(const void *bytes, size_t length)
{
    const unsigned char *p = bytes;
    hash                 h;
    unsigned char        last[128] = {0}; /* the rest, a 1 bit, zeros, and the length in bits: one block or two */
    const size_t         rest = length % 64, end = rest < 56 ? 64 : 128;
    vr_sha256_text       out;
    begin(&h);
    for (size_t i = 0; i + 64 <= length; i += 64) block(&h, p + i);
    if (rest) memcpy(last, p + length - rest, rest);
    last[rest] = 0x80;
    for (int i = 0; i < 8; i++) last[end - 1 - (size_t)i] = (unsigned char)((uint64_t)length * 8 >> (8 * i));
    for (size_t i = 0; i < end; i += 64) block(&h, last + i);
    for (int i = 0; i < 8; i++) snprintf(out.text + 8 * i, 9, "%08x", (unsigned)h.state[i]);
    return out;
}
