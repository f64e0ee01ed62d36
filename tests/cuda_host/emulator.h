/* A CUDA thread block on the host: its threads are fibres of one host thread, its barriers are true ones, and blocks run
 * one after the other.  What a kernel may not do ends the launch with a sentence in vr_emu::fault().
 *
 * All state is one set a host thread, except configure(), which is for all of them. */
#ifndef VR_EMULATOR_H
#define VR_EMULATOR_H

#include <cuda_runtime.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

extern __thread uint3 threadIdx, blockIdx;
extern __thread dim3  blockDim, gridDim;

namespace vr_emu
{

enum order { ascending, descending, shuffled }; // in which blocks, warps, and lanes of a warp run between two barriers
struct where {
    const char *file;
    int         line;
};
struct shape {
    const char *name;
    dim3        grid, block;
    size_t      smem;
};

const uint16_t JUNK = 0x7fa1; // NaN as half, bf16 and float (signalling as the last two); a wild index
void           junk(void *p, size_t bytes);

void        configure(order o, unsigned seed = 1);
const char *fault(); // what ended this host thread's last run, or NULL
void        run(const shape &s, void (*body)(void *), void *arg);

[[noreturn]] void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
void              barrier(const char *op, where w);
void **arrive(unsigned mask, const char *op, void *mine, where w); // all lanes' operands for the last to come, else NULL
void   release(unsigned mask);
void  *shared(const void *key, size_t size); // the block's variable of that key; NULL: dynamic shared memory
void   check_shared(const void *p, size_t size, size_t align, const char *op);
void   copy_async(void *to, const void *from, bool read);
void   copy_commit();
void   copy_wait(int pending); // lands all but the last `pending` groups
int    lane();

#ifdef __SANITIZE_THREAD__ // what the emulator does for a warp is no access of the kernel's
extern "C" void AnnotateIgnoreReadsBegin(const char *, int), AnnotateIgnoreReadsEnd(const char *, int);
extern "C" void AnnotateIgnoreWritesBegin(const char *, int), AnnotateIgnoreWritesEnd(const char *, int);
struct unseen {
    unseen()
    {
        AnnotateIgnoreReadsBegin("", 0);
        AnnotateIgnoreWritesBegin("", 0);
    }
    ~unseen()
    {
        AnnotateIgnoreReadsEnd("", 0);
        AnnotateIgnoreWritesEnd("", 0);
    }
};
#else
struct unseen {
    unseen() {}
};
#endif

// Every thread of `mask` hands in `mine`; the last one to come works on all of them in place.
template <class T, class F> inline void together(unsigned mask, const char *op, T &mine, F work, where w)
{
    if (void **all = arrive(mask, op, &mine, w)) {
        unseen u;
        work((T **)all);
        release(mask);
    }
}

} // namespace vr_emu

#endif
