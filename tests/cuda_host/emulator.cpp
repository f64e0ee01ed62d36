// The fibres, the scheduler and the shared memory of emulator.h.  x86-64.
#include "emulator.h"
#include <algorithm>
#include <atomic>
#include <deque>
#include <map>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string>
#include <sys/mman.h>
#include <vector>

#ifdef __SANITIZE_ADDRESS__ // clang does not define it: -D
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define ASAN(...) __VA_ARGS__
#else
#define ASAN(...)
#endif
#ifdef VR_EMU_RACES // this file plain, all others and the link with -fsanitize=thread
#include <sanitizer/tsan_interface.h>
extern "C" void __tsan_write_range(void *p, unsigned long size);
#define TSAN(...) __VA_ARGS__
#else
#define TSAN(...)
#endif

__thread uint3 threadIdx, blockIdx;
__thread dim3  blockDim, gridDim;

// Saves the callee's registers on the old stack, takes them from the new one.
extern "C" void vr_emu_switch(void **save, void *to);
asm(".text\n.globl vr_emu_switch\n.hidden vr_emu_switch\n.type vr_emu_switch,@function\nvr_emu_switch:\n"
    "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
    "mov %rsp,(%rdi)\nmov %rsi,%rsp\n"
    "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n.size vr_emu_switch,.-vr_emu_switch\n");

namespace vr_emu
{

enum { STACK = 256 << 10, GUARD = 4096, ZONE = 128, MOST_SHARED = 227 << 10, ARENA = MOST_SHARED + (64 << 10) };

struct context {
    void  *sp, *stack;
    size_t size;
    void  *tsan;
};
struct copy {
    void         *to;
    unsigned char data[16];
    int           group;
};
enum state { READY, COLLECTIVE, BARRIER, GONE };
struct thread {
    context           ctx = {};
    uint3             idx;
    int               state, lane, warp, group; // group: the copy group being filled
    unsigned          mask;
    const char       *op;
    where             at;
    std::vector<copy> copies;
};
struct warp {
    unsigned waiting;
    void    *mine[32];
};

static std::atomic<order>    how{ascending};
static std::atomic<unsigned> seed{1};

struct block { // one a host thread
    context                        home = {};
    std::deque<thread>             threads;
    std::vector<warp>              warps;
    thread                        *now = nullptr;
    unsigned char                 *arena = nullptr;
    size_t                         used = 0;
    std::map<const void *, void *> variables;
    std::string                    fault, name;
    void (*body)(void *) = nullptr;
    void    *arg = nullptr;
    unsigned random = 1;
    ~block()
    {
        for (thread &t : threads) {
            if (!t.ctx.stack) continue;
            TSAN(__tsan_destroy_fiber(t.ctx.tsan);)
            munmap((char *)t.ctx.stack - GUARD, STACK + GUARD);
        }
        ASAN(if (arena) __asan_unpoison_memory_region(arena, ARENA);)
        ::free(arena);
    }
};
static thread_local block me;

static void before(void *point) // done before the point ...
{
    (void)point;
    TSAN(__tsan_release(point);)
}
static void after(void *point) // ... seen after it
{
    (void)point;
    TSAN(__tsan_acquire(point);)
}
static void swap(context &from, context &to)
{
    ASAN(void *fake = nullptr; __sanitizer_start_switch_fiber(&fake, to.stack, to.size);)
    TSAN(__tsan_switch_to_fiber(to.tsan, __tsan_switch_to_fiber_no_sync);)
    vr_emu_switch(&from.sp, to.sp);
    ASAN(__sanitizer_finish_switch_fiber(fake, nullptr, nullptr);)
}
static void sleep_as(int state)
{
    me.now->state = state;
    swap(me.now->ctx, me.home);
}

__attribute__((no_sanitize("address"))) static void enter()
{
    ASAN(__sanitizer_finish_switch_fiber(nullptr, (const void **)&me.home.stack, &me.home.size);)
    after(&me.body);
    me.body(me.arg);
    before(&me.arg);
    sleep_as(GONE);
    abort();
}

static void prepare(thread &t, unsigned i)
{
    if (!t.ctx.stack) {
        char *p =
            (char *)mmap(nullptr, STACK + GUARD, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED || mprotect(p, GUARD, PROT_NONE)) {
            perror("emulator: stack");
            abort();
        }
        t.ctx = {nullptr, p + GUARD, STACK, nullptr};
        TSAN(t.ctx.tsan = __tsan_create_fiber(0);)
    }
    void **top = (void **)((char *)t.ctx.stack + STACK);
    *--top = nullptr; // enter() never returns
    *--top = (void *)enter;
    t.ctx.sp = top - 6; // six registers, whatever they hold
    t.idx = {i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y};
    t.lane = (int)i % 32, t.warp = (int)i / 32, t.state = READY, t.group = 0;
    t.copies.clear();
}

static std::string place()
{
    char s[80];
    snprintf(s, sizeof s, ", block (%u,%u,%u)", blockIdx.x, blockIdx.y, blockIdx.z);
    return me.name + s;
}

void fail(const char *format, ...)
{
    char    s[600], who[60];
    va_list a;
    va_start(a, format), vsnprintf(s, sizeof s, format, a), va_end(a);
    snprintf(who, sizeof who, ", thread (%u,%u,%u): ", threadIdx.x, threadIdx.y, threadIdx.z);
    me.fault = place() + who + s;
    sleep_as(GONE); // the scheduler sees the fault and drops the block
    abort();
}

void junk(void *p, size_t bytes)
{
    for (size_t i = 0; i + 2 <= bytes; i += 2) memcpy((char *)p + i, &JUNK, 2);
    if (bytes % 2) memcpy((char *)p + bytes - 1, &JUNK, 1);
}

static void *room(size_t size) // the next piece of shared memory, a red zone after it
{
    size_t         whole = (size + 127) & ~(size_t)127;
    unsigned char *p = me.arena + me.used;
    me.used += whole + ZONE;
    ASAN(__asan_unpoison_memory_region(p, whole);)
    junk(p, whole);
    ASAN(__asan_poison_memory_region(p + size, whole - size + ZONE);)
    return p;
}
void *shared(const void *key, size_t size)
{
    void *&p = me.variables[key];
    if (!p && me.used + size > MOST_SHARED + 32 * ZONE) fail("more than 227 KiB of shared memory");
    return p ? p : p = room(size);
}
void check_shared(const void *p, size_t size, size_t align, const char *op)
{
    if (p < me.arena || (const unsigned char *)p + size > me.arena + me.used) fail("%s: address is not in shared memory", op);
    if ((uintptr_t)p % align) fail("%s: address is not a multiple of %zu", op, align);
}

void barrier(const char *op, where w)
{
    me.now->op = op, me.now->at = w;
    before(&me.fault), sleep_as(BARRIER), after(&me.fault);
}
static bool together_at(const thread &a, const thread &b)
{
    return a.at.line == b.at.line && !strcmp(a.op, b.op) && !strcmp(a.at.file, b.at.file);
}

void **arrive(unsigned mask, const char *op, void *mine, where w)
{
    thread &t = *me.now;
    warp   &p = me.warps[(size_t)t.warp];
    t.op = op;
    t.at = w;
    t.mask = mask;
    if (!(mask >> t.lane & 1)) fail("%s (%s:%d): lane %d is not in the mask", op, w.file, w.line, t.lane);
    p.mine[t.lane] = mine;
    p.waiting |= 1u << t.lane;
    bool last = (p.waiting & mask) == mask, orders = !strcmp(op, "__syncwarp"); // the others order no memory
    if (orders) before(&p);
    if (!last) sleep_as(COLLECTIVE);
    if (orders) after(&p);
    if (!last) return nullptr;
    for (int i = 0; i < 32; i++)
        if (mask >> i & 1) {
            thread &o = me.threads[(size_t)(t.warp * 32 + i)];
            if (o.mask != mask || !together_at(t, o))
                fail("diverged warp: thread %d is at %s (%s:%d), thread %d at %s (%s:%d)", t.warp * 32 + t.lane, op, w.file,
                     w.line, t.warp * 32 + i, o.op, o.at.file, o.at.line);
        }
    return p.mine;
}
void release(unsigned mask)
{
    const int warp = me.now->warp;
    me.warps[(size_t)warp].waiting &= ~mask;
    for (int i = 0; i < 32; i++)
        if (mask >> i & 1) me.threads[(size_t)(warp * 32 + i)].state = READY;
}
int lane() { return me.now->lane; }

void copy_async(void *to, const void *from, bool read)
{
    check_shared(to, 16, 16, "cp.async");
    if (read && (uintptr_t)from % 16) fail("cp.async: source is not a multiple of 16");
    copy c = {to, {}, me.now->group};
    if (read) memcpy(c.data, from, 16);
    junk(to, 16); // from here to the wait nobody may look
    TSAN(__tsan_write_range(to, 16);)
    me.now->copies.push_back(c);
}
void copy_commit() { me.now->group++; }
void copy_wait(int pending)
{
    std::vector<copy> &q = me.now->copies;
    size_t             done = 0;
    for (; done < q.size() && q[done].group + pending < me.now->group; done++) {
        memcpy(q[done].to, q[done].data, 16);
        TSAN(__tsan_write_range(q[done].to, 16);)
    }
    q.erase(q.begin(), q.begin() + (ptrdiff_t)done);
}

static void arrange(std::vector<size_t> &v)
{
    const order o = how;
    for (size_t i = 0; i < v.size(); i++) v[i] = o == descending ? v.size() - 1 - i : i;
    for (size_t i = v.size(); o == shuffled && i > 1; i--)
        std::swap(v[i - 1], v[((me.random = me.random * 1664525u + 1013904223u) >> 8) % i]);
}

static std::string standing(size_t threads) // who waits where, as ranges
{
    std::string out = place() + ": the threads do not meet";
    for (size_t i = 0, j; i < threads; i = j) {
        const thread &a = me.threads[i];
        for (j = i + 1; j < threads && a.state == me.threads[j].state && (a.state == GONE || together_at(a, me.threads[j]));)
            j++;
        out += "; threads " + std::to_string(i) + "-" + std::to_string(j - 1);
        if (a.state == GONE)
            out += " have left";
        else
            out += std::string(" wait at ") + a.op + " (" + a.at.file + ":" + std::to_string(a.at.line) + ")";
    }
    return out;
}

static void run_warp(size_t w, size_t threads, const std::vector<size_t> &lanes) // until all its lanes wait for other warps
{
    for (bool ran = true; ran;) {
        ran = false;
        for (size_t l : lanes) {
            if (w * 32 + l >= threads || (me.now = &me.threads[w * 32 + l])->state != READY) continue;
            threadIdx = me.now->idx;
            swap(me.home, me.now->ctx);
            if (!me.fault.empty()) return;
            ran = true;
        }
    }
}
static void run_block(size_t threads)
{
    std::vector<size_t> warps((threads + 31) / 32), lanes(32);
    for (;;) {
        arrange(warps), arrange(lanes);
        for (size_t w : warps)
            if (me.fault.empty()) run_warp(w, threads, lanes);
        if (!me.fault.empty()) return;
        size_t gone = 0, met = 0;
        for (size_t i = 0; i < threads; i++) {
            gone += me.threads[i].state == GONE;
            met += me.threads[i].state == BARRIER && together_at(me.threads[i], me.threads[0]);
        }
        if (gone == threads) return;
        if (met != threads) {
            me.fault = standing(threads);
            return;
        }
        for (size_t i = 0; i < threads; i++) me.threads[i].state = READY;
    }
}

void run(const shape &s, void (*body)(void *), void *arg)
{
    const unsigned threads = s.block.x * s.block.y * s.block.z;
    me.name = s.name, me.body = body, me.arg = arg, me.random = seed;
    me.fault.clear();
    if (!me.arena) me.arena = (unsigned char *)aligned_alloc(1024, ARENA);
    if (me.threads.size() < threads) me.threads.resize((threads + 31) / 32 * 32);
    blockDim = s.block;
    gridDim = s.grid;
    TSAN(me.home.tsan = __tsan_get_current_fiber();)
    std::vector<size_t> blocks((size_t)s.grid.x * s.grid.y * s.grid.z);
    arrange(blocks);
    for (size_t b : blocks) {
        blockIdx = {(unsigned)(b % s.grid.x), (unsigned)(b / s.grid.x % s.grid.y), (unsigned)(b / s.grid.x / s.grid.y)};
        ASAN(__asan_poison_memory_region(me.arena, ARENA);)
        me.used = ZONE;
        me.variables.clear();
        me.variables[nullptr] = room(s.smem);
        me.warps.assign((threads + 31) / 32, warp{});
        for (unsigned i = 0; i < threads; i++) prepare(me.threads[i], i);
        before(&me.body);
        run_block(threads);
        after(&me.arg);
        if (!me.fault.empty()) break;
    }
    ASAN(if (!me.fault.empty()) for (auto &t
                                     : me.threads) __asan_unpoison_memory_region(t.ctx.stack, t.ctx.size);) // dropped fibres
}

void configure(order o, unsigned s)
{
    how = o;
    seed = s;
}
const char *fault() { return me.fault.empty() ? nullptr : me.fault.c_str(); }

} // namespace vr_emu
