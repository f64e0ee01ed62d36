/* sum.c: four lanes take words of 8 bytes in turn, so that four multiplications are under way at a time.  A step can be
 * undone for a given word, and for a given lane: whatever differs before it differs after it. */
#include "sum.h"

#include <string.h>

enum { LANES = 4 };

static uint64_t step(uint64_t lane, uint64_t word)
{
    lane = (lane ^ word) * 0xD6E8FEB86659FD93u; /* odd */
    return lane ^ lane >> 32;
}

uint64_t vr_sum64(const void *bytes, size_t length)
{
    const unsigned char *p = bytes;
    uint64_t             lane[LANES] = {1, 2, 3, 4}, sum = length;
    size_t               left = length;
    for (; left >= sizeof lane; left -= sizeof lane, p += sizeof lane) {
        uint64_t word[LANES];
        memcpy(word, p, sizeof word);
        for (int k = 0; k < LANES; k++) lane[k] = step(lane[k], word[k]);
    }
    for (int k = 0; left > 0; k++) { /* zeros behind the end; the length tells them from zeros of the text */
        uint64_t     word = 0;
        const size_t n = left < sizeof word ? left : sizeof word;
        memcpy(&word, p, n);
        lane[k] = step(lane[k], word);
        left -= n, p += n;
    }
    for (int k = 0; k < LANES; k++) sum = step(sum, lane[k]);
    return sum;
}
