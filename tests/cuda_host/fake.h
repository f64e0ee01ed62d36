/* The fake CUDA runtime as the emulator's launches, the fake cuBLASLt and tests see it; the product sees cuda_runtime.h.
 *
 * Environment, read once:
 *   VITRUN_FAKE_CUDA_STREAMS=now|late         work runs when it is queued, or as late as CUDA's rules allow
 *   VITRUN_FAKE_CUDA_ORDER=ascending|descending|shuffled[:SEED]
 *   VITRUN_FAKE_CUDA_FAIL=N[:CODE]            call N (from 1) fails with that cudaError_t, or with the one that fits it
 *   VITRUN_FAKE_CUDA_FAULT=NAME               the first kernel with NAME in its name reads what it must not, when it runs
 *   VITRUN_FAKE_CUDA_COUNT=FILE               how many calls there were, written at exit
 *   VITRUN_FAKE_CUDA_LOG=FILE                 a line for each launch and copy
 *   VITRUN_FAKE_CUDA_LEAKS=fatal|quiet        what is alive at exit is told on stderr; fatal: exit code 97 too
 *   VITRUN_FAKE_CUDA_ONLY=KERNEL,...          only these kernels compute, and no product does; all are counted and logged as
 *                                             ever.  Device memory is zero at first, so that what comes back can be read
 *   VITRUN_FAKE_CUDA_MEMORY=BYTES             of the device, 16 GiB else
 *   VITRUN_FAKE_CUDA_DEVICES=N, VITRUN_FAKE_CUDA_CC=80|90 */
#ifndef VR_FAKE_H
#define VR_FAKE_H

#include "emulator.h"
#include <cuda_runtime.h>
#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

namespace vr_fake
{

enum timing { now, late };
void        configure(timing how);
void        reset();                     // forgets queued work and errors, the sticky one too
std::string said();                      // the sentence behind the last fault
void        fail_call(long n, int code); // from here on, the n-th call fails; 0: none
long        calls();
std::string alive(); // what is allocated and created now; empty: nothing

size_t device_room(const void *p); // bytes from p to the end of its allocation on the device; 0: not there

// For the fake cuBLASLt: whether this call is the one that fails; what it left; work for a stream.
bool call_fails(const char *name, int *code);
void count_handle(const char *kind, int by);
void log_line(const std::string &line);
void enqueue(cudaStream_t s, std::function<void()> work);
bool computes(const char *name);          // false: VITRUN_FAKE_CUDA_ONLY leaves it out
void misuse(const std::string &sentence); // from queued work: the sticky error

struct argument {
    const void *p;
    bool        plain; // a pointer parameter, not a word inside a struct
};
void queue_launch(const vr_emu::shape &s, cudaStream_t stream, const void *kernel, const std::vector<argument> &args,
                  std::function<void()> body);

template <class P> void note(std::vector<argument> &list, const P &value)
{
    if constexpr (std::is_pointer_v<P>)
        list.push_back({(const void *)value, true});
    else if constexpr (std::is_class_v<P>)
        for (size_t at = 0; at + sizeof(void *) <= sizeof value; at += sizeof(void *)) {
            const void *word;
            memcpy(&word, (const char *)&value + at, sizeof word);
            list.push_back({word, false});
        }
}

template <class... P, class... A> void launch(const vr_emu::shape &s, cudaStream_t stream, void (*kernel)(P...), A &&...args)
{
    auto                  held = std::make_shared<std::tuple<P...>>(std::forward<A>(args)...);
    std::vector<argument> list;
    std::apply([&](const auto &...each) { (note(list, each), ...); }, *held);
    queue_launch(s, stream, (const void *)kernel, list, [kernel, held] { std::apply(kernel, *held); });
}

} // namespace vr_fake

#endif
