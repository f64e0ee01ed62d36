// The fake CUDA runtime: one device, one address space, streams as queues of closures.  See fake.h.
#include "device_memory.h"
#include "fake.h"
#include <algorithm>
#include <deque>
#include <mutex>
#include <set>
#include <sstream>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

namespace vr_fake
{

// ---- what there is ----

struct queue;
struct point { // work of a queue up to number `seq`
    std::shared_ptr<queue> q;
    uint64_t               seq;
};
struct range {
    const char *p;
    size_t      bytes;
};
struct op {
    std::function<void()> work;
    std::vector<point>    needs;
    range                 pinned; // host memory that the work will touch
};
struct queue {
    std::deque<op> pending;
    uint64_t       issued = 0, done = 0;
    bool           blocking = true; // keeps order with the legacy stream
    int            number = 0;
};
struct record {
    point  at;
    double when = 0; // seconds; when the work before it had run
};

struct world {
    std::recursive_mutex        lock;
    device_memory               device;
    std::map<char *, size_t>    pinned;
    std::shared_ptr<queue>      legacy = std::make_shared<queue>();
    std::set<cudaStream_t>      streams;
    std::set<cudaEvent_t>       events;
    std::map<std::string, int>  handles;
    std::map<const void *, int> allowed; // dynamic shared memory that a kernel may have
    timing                      how = now;
    cudaError_t                 sticky = cudaSuccess;
    std::string                 said;
    long                        count = 0, fail_at = 0;
    int                         fail_code = 0, devices = 1, cc = 90, queues = 0;
    size_t                      memory = (size_t)16 << 30;
    const char                 *count_file = nullptr, *fault = nullptr;
    FILE                       *log = nullptr;
    std::set<std::string>       only; // the kernels that compute; empty: all
    world();
};

} // namespace vr_fake

struct CUstream_st {
    std::shared_ptr<vr_fake::queue> q;
};
struct CUevent_st {
    std::shared_ptr<vr_fake::record> last; // none: never recorded
    bool                             timed;
};

namespace vr_fake
{

static long number(const char *name, long otherwise)
{
    const char *s = getenv(name);
    return s ? strtol(s, nullptr, 0) : otherwise;
}

world::world()
{
    const char *s = getenv("VITRUN_FAKE_CUDA_STREAMS");
    if (s && !strcmp(s, "late")) how = late;
    if ((s = getenv("VITRUN_FAKE_CUDA_ORDER"))) {
        const char *colon = strchr(s, ':');
        vr_emu::configure(*s == 'd'   ? vr_emu::descending
                          : *s == 's' ? vr_emu::shuffled
                                      : vr_emu::ascending,
                          colon ? (unsigned)strtoul(colon + 1, nullptr, 0) : 1);
    }
    if ((s = getenv("VITRUN_FAKE_CUDA_FAIL"))) {
        char *end;
        fail_at = strtol(s, &end, 0);
        if (*end == ':') fail_code = (int)strtol(end + 1, nullptr, 0);
    }
    devices = (int)number("VITRUN_FAKE_CUDA_DEVICES", devices);
    cc = (int)number("VITRUN_FAKE_CUDA_CC", cc);
    memory = (size_t)number("VITRUN_FAKE_CUDA_MEMORY", (long)memory);
    fault = getenv("VITRUN_FAKE_CUDA_FAULT");
    count_file = getenv("VITRUN_FAKE_CUDA_COUNT");
    if ((s = getenv("VITRUN_FAKE_CUDA_ONLY"))) {
        std::stringstream list(s);
        for (std::string name; std::getline(list, name, ',');) only.insert(name);
        device.zeroed = true;
    }
    if ((s = getenv("VITRUN_FAKE_CUDA_LOG"))) log = fopen(s, "ae");
}

static world *the_world;
static world &w()
{
    static std::once_flag once;
    std::call_once(once, [] { the_world = new world; });
    return *the_world;
}
typedef std::lock_guard<std::recursive_mutex> guard;

static thread_local cudaError_t last_error;

static cudaError_t remember(cudaError_t e) { return e ? last_error = e : e; }

static bool is_sticky(int code)
{
    static const int all[] = {214, 700, 702, 710, 714, 715, 716, 717, 718, 719};
    return std::find(std::begin(all), std::end(all), code) != std::end(all);
}
static void break_context(cudaError_t e, const std::string &sentence, bool told)
{
    if (w().sticky) return;
    w().sticky = e;
    w().said = sentence;
    if (told) fprintf(stderr, "fake CUDA: %s\n", sentence.c_str());
}
void misuse(const std::string &sentence)
{
    guard g(w().lock);
    break_context(cudaErrorLaunchFailure, sentence, true);
}
static cudaError_t refuse(cudaError_t e, const char *format, ...) __attribute__((format(printf, 2, 3)));
static cudaError_t refuse(cudaError_t e, const char *format, ...)
{
    char    s[300];
    va_list a;
    va_start(a, format), vsnprintf(s, sizeof s, format, a), va_end(a);
    w().said = s;
    return remember(e);
}

bool call_fails(const char *name, int *code)
{
    guard g(w().lock);
    if (++w().count != w().fail_at) return false;
    w().said = std::string(name) + " was told to fail";
    *code = w().fail_code;
    return true;
}
// What a call returns before it does anything: the error it was told to give, or the one that the context died of.
static cudaError_t enter(const char *name, cudaError_t fitting = cudaErrorUnknown)
{
    int code;
    if (call_fails(name, &code)) {
        const cudaError_t e = code ? (cudaError_t)code : fitting;
        if (is_sticky(e)) break_context(e, w().said, false);
        return remember(e);
    }
    return remember(w().sticky);
}

void log_line(const std::string &line)
{
    guard g(w().lock);
    if (!w().log) return;
    fprintf(w().log, "%s\n", line.c_str());
    fflush(w().log);
}
void count_handle(const char *kind, int by)
{
    guard g(w().lock);
    w().handles[kind] += by;
}

// ---- streams ----

static void run_until(const point &to)
{
    queue &q = *to.q;
    while (q.done < to.seq) {
        op next = std::move(q.pending.front());
        q.pending.pop_front();
        for (const point &p : next.needs) run_until(p);
        if (!w().sticky) {
            w().device.open();
            next.work();
            w().device.close();
        }
        q.done++;
    }
}
static void run_all()
{
    run_until({w().legacy, w().legacy->issued});
    for (cudaStream_t s : w().streams) run_until({s->q, s->q->issued});
}

static std::shared_ptr<queue> queue_of(cudaStream_t s) // NULL: there is no such stream
{
    if (!s || s == cudaStreamLegacy) return w().legacy;
    return w().streams.count(s) ? s->q : nullptr;
}

static void add(const std::shared_ptr<queue> &q, op o)
{
    if (q == w().legacy) {
        for (cudaStream_t s : w().streams)
            if (s->q->blocking) o.needs.push_back({s->q, s->q->issued});
    } else if (q->blocking)
        o.needs.push_back({w().legacy, w().legacy->issued});
    q->pending.push_back(std::move(o));
    q->issued++;
    if (w().how == now) run_until({q, q->issued});
}
void enqueue(cudaStream_t s, std::function<void()> work)
{
    guard g(w().lock);
    if (auto q = queue_of(s))
        add(q, {std::move(work), {}, {}});
    else
        break_context(cudaErrorLaunchFailure, "work for a stream that is not there", true);
}

bool computes(const char *name)
{
    guard             g(w().lock);
    const std::string whole = name + strspn(name, "( ");
    return w().only.empty() || w().only.count(whole.substr(0, whole.find_first_of("<)")));
}

// A look at unfinished work lets a little of it be done, so that a loop of looks comes to an end.
static bool finished(const point &p)
{
    if (p.q->done < p.seq) run_until({p.q, p.q->done + 1});
    return p.q->done >= p.seq;
}

// ---- launches ----

size_t device_room(const void *p)
{
    guard g(w().lock);
    return w().device.room(p);
}
static bool is_pinned(const void *p)
{
    auto at = w().pinned.upper_bound((char *)p);
    return at != w().pinned.begin() && (--at, (const char *)p < at->first + at->second);
}

static cudaError_t check_shape(const vr_emu::shape &s, const void *kernel)
{
    const size_t threads = (size_t)s.block.x * s.block.y * s.block.z;
    if (!threads || threads > 1024 || s.block.z > 64 || !s.grid.x || !s.grid.y || !s.grid.z || s.grid.x > 0x7fffffff ||
        s.grid.y > 65535 || s.grid.z > 65535)
        return refuse(cudaErrorInvalidConfiguration, "%s: grid %u,%u,%u of blocks %u,%u,%u", s.name, s.grid.x, s.grid.y,
                      s.grid.z, s.block.x, s.block.y, s.block.z);
    const auto   asked = w().allowed.find(kernel);
    const size_t most = asked == w().allowed.end() ? 48 << 10 : std::max((size_t)asked->second, (size_t)48 << 10);
    if (s.smem > most)
        return refuse(cudaErrorInvalidValue, "%s: %zu bytes of shared memory, %zu allowed (VR_ALLOW_SMEM)", s.name, s.smem,
                      most);
    return cudaSuccess;
}

static std::string describe(const vr_emu::shape &s, int stream, const std::vector<argument> &args)
{
    char line[300];
    snprintf(line, sizeof line, "launch %s grid %u,%u,%u block %u,%u,%u smem %zu stream %d bytes", s.name, s.grid.x, s.grid.y,
             s.grid.z, s.block.x, s.block.y, s.block.z, s.smem, stream);
    std::string out = line;
    for (const argument &a : args)
        if (a.plain || w().device.inside(a.p)) out += " " + std::to_string(w().device.room(a.p));
    return out;
}

void queue_launch(const vr_emu::shape &s, cudaStream_t stream, const void *kernel, const std::vector<argument> &args,
                  std::function<void()> body)
{
    guard g(w().lock);
    if (enter(s.name, cudaErrorLaunchOutOfResources) || check_shape(s, kernel)) return;
    auto q = queue_of(stream);
    if (!q) {
        refuse(cudaErrorInvalidResourceHandle, "%s: no such stream", s.name);
        return;
    }
    log_line(describe(s, q->number, args));
    std::string wrong;
    for (size_t i = 0; i < args.size(); i++)
        if (args[i].plain && args[i].p && !w().device.inside(args[i].p) && !is_pinned(args[i].p))
            wrong = std::string(s.name) + ": pointer " + std::to_string(i) + " of the arguments is host memory";
    if (w().fault && strstr(s.name, w().fault)) wrong = std::string(s.name) + " was told to fault";
    auto work = [s, body, wrong] {
        if (!wrong.empty()) return break_context(cudaErrorIllegalAddress, wrong, true);
        if (!computes(s.name)) return;
        vr_emu::run(
            s, [](void *p) { (*(const std::function<void()> *)p)(); }, (void *)&body);
        if (vr_emu::fault()) break_context(cudaErrorLaunchFailure, vr_emu::fault(), true);
    };
    add(q, {work, {}, {}});
    remember(w().sticky);
}

// ---- copies ----

struct plane { // rows of `width` bytes
    char  *p;
    size_t pitch;
};
static bool on_device(const void *p) { return w().device.inside(p); }

static cudaError_t check_side(const char *what, const plane &a, size_t width, size_t height, bool device)
{
    const size_t whole = (height - 1) * a.pitch + width;
    if (device && w().device.room(a.p) < whole)
        return refuse(cudaErrorInvalidValue, "copy of %zu bytes: its %s has %zu on the device", whole, what,
                      w().device.room(a.p));
    if (!device && on_device(a.p))
        return refuse(cudaErrorInvalidValue, "copy of %zu bytes: its %s is on the device", whole, what);
    return cudaSuccess;
}

static void copy_rows(plane to, plane from, size_t width, size_t height)
{
    for (size_t y = 0; y < height; y++) memmove(to.p + y * to.pitch, from.p + y * from.pitch, width);
}

// What the documentation says of each direction: pageable memory is read before the call returns and written before it
// returns; pinned memory is read and written when the stream gets there.  A plain cudaMemcpy (`waits`) returns when the
// copy is done, unless it is from pageable memory or within the device.
static cudaError_t copy(plane to, plane from, size_t width, size_t height, cudaMemcpyKind kind, cudaStream_t stream, bool waits)
{
    auto q = queue_of(stream);
    if (!q) return refuse(cudaErrorInvalidResourceHandle, "copy: no such stream");
    if (kind < cudaMemcpyHostToHost || kind > cudaMemcpyDefault)
        return refuse(cudaErrorInvalidMemcpyDirection, "copy: kind %d", kind);
    if (!width || !height) return cudaSuccess;
    if (to.pitch < width || from.pitch < width) return refuse(cudaErrorInvalidPitchValue, "copy: pitch below width %zu", width);
    const bool guess = kind == cudaMemcpyDefault;
    const bool reads_device = guess ? on_device(from.p) : kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    const bool writes_device = guess ? on_device(to.p) : kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    if (cudaError_t e = check_side("target", to, width, height, writes_device)) return e;
    if (cudaError_t e = check_side("source", from, width, height, reads_device)) return e;
    char line[120];
    snprintf(line, sizeof line, "copy %s%s bytes %zu stream %d", reads_device ? "D" : "H", writes_device ? "2D" : "2H",
             width * height, q->number);
    log_line(line);

    op o;
    if (!reads_device && !is_pinned(from.p)) { // staged now
        auto held = std::make_shared<std::vector<char>>(width * height);
        copy_rows({held->data(), width}, from, width, height);
        o.work = [=] { copy_rows(to, {held->data(), width}, width, height); };
        waits = waits && !writes_device;
    } else {
        o.work = [=] { copy_rows(to, from, width, height); };
        if (!reads_device) o.pinned = {from.p, (height - 1) * from.pitch + width};
    }
    if (!writes_device) {
        if (is_pinned(to.p)) {
            o.pinned = {to.p, (height - 1) * to.pitch + width};
            for (size_t y = 0; y < height; y++) vr_emu::junk(to.p + y * to.pitch, width); // nobody may look yet
        } else
            waits = true;
    }
    if (reads_device && writes_device) waits = false;
    add(q, std::move(o));
    if (waits) run_until({q, q->issued});
    return remember(w().sticky);
}

static cudaError_t fill(void *p, int value, size_t bytes, cudaStream_t stream)
{
    auto q = queue_of(stream);
    if (!q) return refuse(cudaErrorInvalidResourceHandle, "memset: no such stream");
    if (bytes && w().device.room(p) < bytes)
        return refuse(cudaErrorInvalidValue, "memset of %zu bytes: %zu are there", bytes, w().device.room(p));
    if (bytes) add(q, {[=] { memset(p, value, bytes); }, {}, {}});
    return remember(w().sticky);
}

// ---- for tests, and the end ----

void configure(timing how)
{
    guard g(w().lock);
    run_all();
    w().how = how;
}
void reset()
{
    guard g(w().lock);
    w().sticky = cudaErrorUnknown; // what is still queued is dropped
    run_all();
    w().sticky = last_error = cudaSuccess;
    w().said.clear();
}
std::string said()
{
    guard g(w().lock);
    return w().said;
}
void fail_call(long n, int code)
{
    guard g(w().lock);
    w().fail_at = n ? w().count + n : 0;
    w().fail_code = code;
}
long calls()
{
    guard g(w().lock);
    return w().count;
}
std::string alive()
{
    guard       g(w().lock);
    std::string out;
    auto        tell = [&](size_t n, const std::string &what) {
        if (n) out += (out.empty() ? "" : ", ") + std::to_string(n) + " " + what;
    };
    tell(w().device.count(), "device allocations of " + std::to_string(w().device.used()) + " bytes");
    tell(w().pinned.size(), "pinned host allocations");
    tell(w().streams.size(), "streams");
    tell(w().events.size(), "events");
    for (const auto &h : w().handles) tell((size_t)h.second, h.first);
    return out;
}

__attribute__((destructor)) static void at_end()
{
    if (!the_world) return;
    const std::string left = alive();
    const char       *how = getenv("VITRUN_FAKE_CUDA_LEAKS");
    if (const char *file = w().count_file)
        if (FILE *f = fopen(file, "we")) {
            fprintf(f, "%ld\n", w().count);
            fclose(f);
        }
    if (w().log) fclose(w().log);
    if (left.empty()) {
        delete the_world;
        the_world = nullptr;
        return;
    }
    if (!how || strcmp(how, "quiet")) fprintf(stderr, "fake CUDA: alive at exit: %s\n", left.c_str());
    if (how && !strcmp(how, "fatal")) {
        fflush(nullptr);
        _exit(97);
    }
}

} // namespace vr_fake

// ---- CUDA's names ----

using namespace vr_fake;

#define ENTER(fitting) \
    guard g(w().lock); \
    if (cudaError_t entered = enter(__func__, fitting)) return entered

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = 0;
    ENTER(cudaErrorNoDevice);
    *count = w().devices;
    return w().devices ? cudaSuccess : refuse(cudaErrorNoDevice, "no device");
}
cudaError_t cudaSetDevice(int device)
{
    ENTER(cudaErrorDevicesUnavailable);
    return device >= 0 && device < w().devices ? cudaSuccess : refuse(cudaErrorInvalidDevice, "device %d", device);
}
cudaError_t cudaGetDevice(int *device)
{
    ENTER(cudaErrorUnknown);
    *device = 0;
    return cudaSuccess;
}
static size_t    most_shared() { return (size_t)(w().cc >= 90 ? 227 : 163) << 10; }
static const int SMS = 4; // few, so that loops over work items turn more than once

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *prop, int device)
{
    ENTER(cudaErrorUnknown);
    if (device < 0 || device >= w().devices) return refuse(cudaErrorInvalidDevice, "device %d", device);
    *prop = {};
    snprintf(prop->name, sizeof prop->name, "Emulated GPU %d", device);
    prop->totalGlobalMem = w().memory;
    prop->sharedMemPerBlock = 48 << 10;
    prop->sharedMemPerBlockOptin = most_shared();
    prop->sharedMemPerMultiprocessor = most_shared() + 1024;
    prop->regsPerBlock = 65536;
    prop->warpSize = 32;
    prop->maxThreadsPerBlock = 1024;
    prop->major = w().cc / 10, prop->minor = w().cc % 10;
    prop->multiProcessorCount = SMS;
    prop->l2CacheSize = 50 << 20;
    return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device)
{
    ENTER(cudaErrorUnknown);
    if (device < 0 || device >= w().devices) return refuse(cudaErrorInvalidDevice, "device %d", device);
    switch (attribute) {
    case cudaDevAttrMultiProcessorCount:
        *value = SMS;
        return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
        *value = w().cc / 10;
        return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
        *value = w().cc % 10;
        return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
        *value = (int)most_shared();
        return cudaSuccess;
    }
    return refuse(cudaErrorInvalidValue, "attribute %d", attribute);
}
cudaError_t cudaDriverGetVersion(int *version)
{
    ENTER(cudaErrorUnknown);
    *version = w().devices ? 13000 : 0;
    return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int *version)
{
    ENTER(cudaErrorUnknown);
    *version = CUDART_VERSION;
    return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t *free, size_t *total)
{
    ENTER(cudaErrorUnknown);
    *free = w().memory - w().device.used();
    *total = w().memory;
    return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize(void)
{
    ENTER(cudaErrorUnknown);
    run_all();
    return remember(w().sticky);
}

cudaError_t cudaMalloc(void **p, size_t bytes)
{
    ENTER(cudaErrorMemoryAllocation);
    *p = nullptr;
    if (!bytes) return cudaSuccess;
    if (bytes > w().memory - w().device.used() || !(*p = w().device.take(bytes)))
        return refuse(cudaErrorMemoryAllocation, "cudaMalloc of %zu bytes, %zu of %zu in use", bytes, w().device.used(),
                      w().memory);
    return cudaSuccess;
}
// What releases does its work even where it was told to fail: nobody could call it again.
cudaError_t cudaFree(void *p)
{
    guard             g(w().lock);
    const cudaError_t entered = enter(__func__);
    if (!p) return entered;
    if (!w().device.owns(p)) return refuse(cudaErrorInvalidValue, "cudaFree of what cudaMalloc did not give");
    run_all();
    const std::string found = w().device.give(p);
    if (!found.empty()) break_context(cudaErrorIllegalAddress, found, true);
    return entered ? entered : remember(w().sticky);
}
cudaError_t cudaHostAlloc(void **p, size_t bytes, unsigned)
{
    ENTER(cudaErrorMemoryAllocation);
    *p = nullptr;
    if (!bytes) return cudaSuccess;
    if (posix_memalign(p, 256, bytes)) return refuse(cudaErrorMemoryAllocation, "cudaHostAlloc of %zu bytes", bytes);
    vr_emu::junk(*p, bytes);
    w().pinned[(char *)*p] = bytes;
    return cudaSuccess;
}
cudaError_t cudaMallocHost(void **p, size_t bytes) { return cudaHostAlloc(p, bytes, cudaHostAllocDefault); }

static bool still_used(const char *p, size_t bytes)
{
    auto uses = [=](const queue &q) {
        return std::any_of(q.pending.begin(), q.pending.end(),
                           [=](const op &o) { return o.pinned.p < p + bytes && p < o.pinned.p + o.pinned.bytes; });
    };
    return uses(*w().legacy) ||
           std::any_of(w().streams.begin(), w().streams.end(), [=](cudaStream_t s) { return uses(*s->q); });
}
cudaError_t cudaFreeHost(void *p)
{
    guard             g(w().lock);
    const cudaError_t entered = enter(__func__);
    if (!p) return entered;
    auto at = w().pinned.find((char *)p);
    if (at == w().pinned.end()) return refuse(cudaErrorInvalidValue, "cudaFreeHost of what cudaMallocHost did not give");
    if (still_used(at->first, at->second)) {
        break_context(cudaErrorIllegalAddress, "cudaFreeHost of memory that a queued copy still uses", true);
        run_all();
    }
    w().pinned.erase(at);
    free(p);
    return entered ? entered : remember(w().sticky);
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind)
{
    ENTER(cudaErrorUnknown);
    return copy({(char *)to, bytes}, {(char *)from, bytes}, bytes, 1, kind, nullptr, true);
}
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t s)
{
    ENTER(cudaErrorUnknown);
    return copy({(char *)to, bytes}, {(char *)from, bytes}, bytes, 1, kind, s, false);
}
cudaError_t cudaMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width, size_t height,
                              cudaMemcpyKind kind, cudaStream_t s)
{
    ENTER(cudaErrorUnknown);
    return copy({(char *)to, to_pitch}, {(char *)from, from_pitch}, width, height, kind, s, false);
}
cudaError_t cudaMemset(void *p, int value, size_t bytes)
{
    ENTER(cudaErrorUnknown);
    return fill(p, value, bytes, nullptr);
}
cudaError_t cudaMemsetAsync(void *p, int value, size_t bytes, cudaStream_t s)
{
    ENTER(cudaErrorUnknown);
    return fill(p, value, bytes, s);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned flags)
{
    ENTER(cudaErrorMemoryAllocation);
    *s = new CUstream_st{std::make_shared<queue>()};
    (*s)->q->blocking = !(flags & cudaStreamNonBlocking);
    (*s)->q->number = ++w().queues;
    w().streams.insert(*s);
    return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t *s) { return cudaStreamCreateWithFlags(s, cudaStreamDefault); }
cudaError_t cudaStreamDestroy(cudaStream_t s)
{
    guard             g(w().lock);
    const cudaError_t entered = enter(__func__);
    if (!w().streams.count(s)) return refuse(cudaErrorInvalidResourceHandle, "no such stream");
    run_until({s->q, s->q->issued});
    w().streams.erase(s);
    delete s;
    return entered;
}
cudaError_t cudaStreamSynchronize(cudaStream_t s)
{
    ENTER(cudaErrorUnknown);
    auto q = queue_of(s);
    if (!q) return refuse(cudaErrorInvalidResourceHandle, "no such stream");
    if (q == w().legacy)
        for (cudaStream_t other : w().streams)
            if (other->q->blocking) run_until({other->q, other->q->issued});
    run_until({q, q->issued});
    return remember(w().sticky);
}
cudaError_t cudaStreamQuery(cudaStream_t s)
{
    ENTER(cudaErrorUnknown);
    auto q = queue_of(s);
    if (!q) return refuse(cudaErrorInvalidResourceHandle, "no such stream");
    const bool done = finished({q, q->issued});
    return remember(w().sticky ? w().sticky : done ? cudaSuccess : cudaErrorNotReady);
}
cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned)
{
    ENTER(cudaErrorUnknown);
    auto q = queue_of(s);
    if (!q || !w().events.count(e)) return refuse(cudaErrorInvalidResourceHandle, "no such stream or event");
    if (e->last) add(q, {[] {}, {e->last->at}, {}});
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *e, unsigned flags)
{
    ENTER(cudaErrorMemoryAllocation);
    *e = new CUevent_st{nullptr, !(flags & cudaEventDisableTiming)};
    w().events.insert(*e);
    return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t *e) { return cudaEventCreateWithFlags(e, cudaEventDefault); }
cudaError_t cudaEventDestroy(cudaEvent_t e)
{
    guard             g(w().lock);
    const cudaError_t entered = enter(__func__);
    if (!w().events.erase(e)) return refuse(cudaErrorInvalidResourceHandle, "no such event");
    delete e;
    return entered;
}
static double seconds()
{
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s)
{
    ENTER(cudaErrorUnknown);
    auto q = queue_of(s);
    if (!q || !w().events.count(e)) return refuse(cudaErrorInvalidResourceHandle, "no such stream or event");
    auto r = std::make_shared<record>();
    r->at = {q, q->issued + 1};
    e->last = r;
    std::weak_ptr<record> told = r; // the record knows the queue that holds this closure
    add(q, {[told] {
                if (auto it = told.lock()) it->when = seconds();
            },
            {},
            {}});
    return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t e)
{
    ENTER(cudaErrorUnknown);
    if (!w().events.count(e)) return refuse(cudaErrorInvalidResourceHandle, "no such event");
    const bool done = !e->last || finished(e->last->at);
    return remember(w().sticky ? w().sticky : done ? cudaSuccess : cudaErrorNotReady);
}
cudaError_t cudaEventSynchronize(cudaEvent_t e)
{
    ENTER(cudaErrorUnknown);
    if (!w().events.count(e)) return refuse(cudaErrorInvalidResourceHandle, "no such event");
    if (e->last) run_until(e->last->at);
    return remember(w().sticky);
}
cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t from, cudaEvent_t to)
{
    ENTER(cudaErrorUnknown);
    if (!w().events.count(from) || !w().events.count(to) || !from->last || !to->last || !from->timed || !to->timed)
        return refuse(cudaErrorInvalidResourceHandle, "an event that was not recorded, or without timing");
    if (from->last->at.q->done < from->last->at.seq || to->last->at.q->done < to->last->at.seq)
        return remember(cudaErrorNotReady);
    *ms = (float)(1e3 * (to->last->when - from->last->when));
    return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void *kernel, cudaFuncAttribute attribute, int value)
{
    ENTER(cudaErrorUnknown);
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0 || (size_t)value > most_shared())
        return refuse(cudaErrorInvalidValue, "cudaFuncSetAttribute: attribute %d, value %d", attribute, value);
    w().allowed[kernel] = value;
    return cudaSuccess;
}

cudaError_t cudaGetLastError(void)
{
    guard             g(w().lock);
    const cudaError_t e = w().sticky ? w().sticky : last_error;
    last_error = cudaSuccess;
    return e;
}
cudaError_t cudaPeekAtLastError(void)
{
    guard g(w().lock);
    return w().sticky ? w().sticky : last_error;
}

static const struct {
    cudaError_t code;
    const char *name, *text;
} ERRORS[] = {
#define ERROR(name, text) \
    {                     \
        name, #name, text \
    }
    ERROR(cudaSuccess, "no error"),
    ERROR(cudaErrorInvalidValue, "invalid argument"),
    ERROR(cudaErrorMemoryAllocation, "out of memory"),
    ERROR(cudaErrorInitializationError, "initialization error"),
    ERROR(cudaErrorInvalidConfiguration, "invalid configuration argument"),
    ERROR(cudaErrorInvalidPitchValue, "invalid pitch argument"),
    ERROR(cudaErrorInvalidHostPointer, "invalid host pointer"),
    ERROR(cudaErrorInvalidDevicePointer, "invalid device pointer"),
    ERROR(cudaErrorInvalidMemcpyDirection, "invalid copy direction for memcpy"),
    ERROR(cudaErrorInsufficientDriver, "CUDA driver version is insufficient for CUDA runtime version"),
    ERROR(cudaErrorDevicesUnavailable, "CUDA-capable device(s) is/are busy or unavailable"),
    ERROR(cudaErrorInvalidDeviceFunction, "invalid device function"),
    ERROR(cudaErrorNoDevice, "no CUDA-capable device is detected"),
    ERROR(cudaErrorInvalidDevice, "invalid device ordinal"),
    ERROR(cudaErrorNoKernelImageForDevice, "no kernel image is available for execution on the device"),
    ERROR(cudaErrorInvalidResourceHandle, "invalid resource handle"),
    ERROR(cudaErrorNotReady, "device not ready"),
    ERROR(cudaErrorIllegalAddress, "an illegal memory access was encountered"),
    ERROR(cudaErrorLaunchOutOfResources, "too many resources requested for launch"),
    ERROR(cudaErrorLaunchTimeout, "the launch timed out and was terminated"),
    ERROR(cudaErrorIllegalInstruction, "an illegal instruction was encountered"),
    ERROR(cudaErrorMisalignedAddress, "misaligned address"),
    ERROR(cudaErrorLaunchFailure, "unspecified launch failure"),
    ERROR(cudaErrorNotSupported, "operation not supported"),
    ERROR(cudaErrorUnknown, "unknown error"),
#undef ERROR
};
const char *cudaGetErrorName(cudaError_t e)
{
    for (const auto &one : ERRORS)
        if (one.code == e) return one.name;
    return "unrecognized error code";
}
const char *cudaGetErrorString(cudaError_t e)
{
    for (const auto &one : ERRORS)
        if (one.code == e) return one.text;
    return "unrecognized error code";
}
