/* One block of memory, handed out once.  Run the same layout on an arena without a base to count, then on a real one. */
#ifndef VR_ARENA_H
#define VR_ARENA_H

#include "base.h"

typedef struct {
    char  *base; /* NULL: it only counts */
    size_t used;
    bool   overflow; /* a size did not fit; ask once, after the layout */
} vr_arena;

/* count * size bytes aligned to 64; NULL while counting. */
static inline void *vr_arena_take(vr_arena *a, size_t count, size_t size)
{
    size_t bytes, end, at = a->used;
    if (!vr_mul(count, size, &bytes) || !vr_add(bytes, 63, &bytes) || !vr_add(at, bytes & ~(size_t)63, &end)) {
        a->overflow = true;
        return NULL;
    }
    a->used = end;
    return a->base ? a->base + at : NULL;
}

#endif
