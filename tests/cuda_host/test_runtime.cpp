// The fake runtime: what a stream may still hold back, what a copy has read when it returns, and what is refused.
#include "harness.h"
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace vr_test;

// What the rules leave open shows when streams are late; what they promise holds in both.
static void in_both(void (*body)(bool late))
{
    for (vr_fake::timing how : {vr_fake::now, vr_fake::late}) {
        vr_fake::configure(how);
        body(how == vr_fake::late);
        vr_fake::configure(how); // nothing stays behind
    }
}

struct streams {
    cudaStream_t a, b;
    explicit streams(unsigned flags = cudaStreamNonBlocking)
    {
        if (cudaStreamCreateWithFlags(&a, flags) || cudaStreamCreateWithFlags(&b, flags)) abort();
    }
    ~streams()
    {
        cudaStreamDestroy(a);
        cudaStreamDestroy(b);
    }
};
struct pinned { // one float in pinned memory
    float *p;
    explicit pinned(float f)
    {
        if (cudaMallocHost(&p, sizeof *p)) abort();
        *p = f;
    }
    ~pinned() { cudaFreeHost(p); }
};

__global__ void add(float *y, const float *x, float by) { *y = *x + by; }

CASE("runtime/a stream is late until it is waited for", [] {
    in_both([](bool is_late) {
        streams       s;
        device<float> x(std::vector<float>{1}), y(1);
        pinned        out(7);
        VR_LAUNCH(add, 1, 1, 0, s.a, y, x, 2);
        cudaMemcpyAsync(out.p, y, 4, cudaMemcpyDeviceToHost, s.a);
        expect((*out.p == 3) == !is_late, "%g before the stream was waited for", *out.p);
        expect(cudaStreamSynchronize(s.b) == cudaSuccess && (*out.p == 3) == !is_late,
               "another stream's end is not this one's");
        expect(cudaStreamSynchronize(s.a) == cudaSuccess && *out.p == 3, "%g after", *out.p);
    });
});

CASE("runtime/pageable memory is read and written before the call returns", [] {
    in_both([](bool) {
        streams       s;
        device<float> x(1);
        float         in = 5, out = 0;
        cudaMemcpyAsync(x, &in, 4, cudaMemcpyHostToDevice, s.a);
        in = 6;
        cudaMemcpyAsync(&out, x, 4, cudaMemcpyDeviceToHost, s.a);
        expect(out == 5, "%g", out);
    });
});

CASE("runtime/pinned memory is read when the stream gets there", [] {
    in_both([](bool is_late) {
        streams       s;
        device<float> x(1);
        pinned        in(5);
        float         out = 0;
        cudaMemcpyAsync(x, in.p, 4, cudaMemcpyHostToDevice, s.a);
        *in.p = 6;
        cudaMemcpyAsync(&out, x, 4, cudaMemcpyDeviceToHost, s.a);
        expect(out == (is_late ? 6 : 5), "%g", out);
        *in.p = 8;
        cudaMemcpy(x, in.p, 4, cudaMemcpyHostToDevice);
        *in.p = 9;
        cudaMemcpy(&out, x, 4, cudaMemcpyDeviceToHost);
        expect(out == 8, "%g: a plain copy from pinned memory waits", out);
    });
});

CASE("runtime/events order streams", [] {
    in_both([](bool is_late) {
        for (bool wait : {false, true}) {
            streams       s;
            device<float> x(std::vector<float>{1}), y(std::vector<float>{0}), z(std::vector<float>{0});
            cudaEvent_t   e, f;
            float         ms = -1;
            cudaEventCreate(&e), cudaEventCreate(&f);
            cudaEventRecord(f, s.a);
            VR_LAUNCH(add, 1, 1, 0, s.a, y, x, 2);
            cudaEventRecord(e, s.a);
            if (wait) cudaStreamWaitEvent(s.b, e, 0);
            VR_LAUNCH(add, 1, 1, 0, s.b, z, y, 10);
            cudaStreamSynchronize(s.b);
            float out;
            cudaMemcpyAsync(&out, z, 4, cudaMemcpyDeviceToHost, s.b);
            expect(out == (wait || !is_late ? 13 : 10), "%g, wait %d", out, wait);
            expect(cudaEventSynchronize(e) == cudaSuccess && cudaEventElapsedTime(&ms, f, e) == cudaSuccess && ms >= 0, "%g ms",
                   ms);
            cudaEventDestroy(e), cudaEventDestroy(f);
        }
    });
});

CASE("runtime/looking at an event or a stream ends", [] {
    in_both([](bool is_late) {
        streams       s;
        device<float> x(std::vector<float>{1}), y(1);
        cudaEvent_t   e;
        cudaEventCreateWithFlags(&e, cudaEventDisableTiming);
        for (int i = 0; i < 3; i++) VR_LAUNCH(add, 1, 1, 0, s.a, y, x, 2);
        cudaEventRecord(e, s.a);
        VR_LAUNCH(add, 1, 1, 0, s.a, y, x, 2);
        int looks = 0;
        while (cudaEventQuery(e) == cudaErrorNotReady && looks < 100) looks++;
        expect(looks < 100 && (looks > 0) == is_late, "%d looks", looks);
        while (cudaStreamQuery(s.a) == cudaErrorNotReady && looks < 100) looks++;
        expect(looks < 100, "%d looks", looks);
        cudaGetLastError();
        cudaEventDestroy(e);
    });
});

CASE("runtime/the legacy stream keeps order with blocking streams only", [] {
    in_both([](bool is_late) {
        for (unsigned flags : {cudaStreamDefault, cudaStreamNonBlocking}) {
            streams       s(flags);
            device<float> x(std::vector<float>{1}), y(std::vector<float>{0});
            float         out = -1;
            VR_LAUNCH(add, 1, 1, 0, s.a, y, x, 2);
            cudaMemcpy(&out, y, 4, cudaMemcpyDeviceToHost);
            expect(out == (flags == cudaStreamDefault || !is_late ? 3 : 0), "flags %u: %g", flags, out);
            VR_LAUNCH(add, 1, 1, 0, nullptr, y, x, 5);
            cudaMemcpyAsync(&out, y, 4, cudaMemcpyDeviceToHost, s.b);
            if (flags == cudaStreamDefault) expect(out == 6, "a blocking stream comes after: %g", out);
            cudaDeviceSynchronize();
        }
    });
});

CASE("runtime/planes", [] {
    device<float>      x(8);
    std::vector<float> in = {1, 2, 3, 4, 5, 6}, out(6, 0.f);
    cudaMemsetAsync(x, 0, 8 * sizeof(float), nullptr);
    expect(cudaMemcpy2DAsync(x, 16, in.data(), 12, 8, 2, cudaMemcpyHostToDevice, nullptr) == cudaSuccess, "to the device");
    expect(cudaMemcpy2DAsync(out.data(), 12, x, 16, 12, 2, cudaMemcpyDeviceToHost, nullptr) == cudaSuccess, "and back");
    const std::vector<float> want = {1, 2, 0, 4, 5, 0};
    expect(out == want, "%g %g %g, %g %g %g", out[0], out[1], out[2], out[3], out[4], out[5]);
    expect(cudaMemcpy2DAsync(x, 16, in.data(), 4, 8, 2, cudaMemcpyHostToDevice, nullptr) == cudaErrorInvalidPitchValue,
           "pitch");
    cudaGetLastError();
});

static void expect_refused(cudaError_t got, cudaError_t want, const char *what)
{
    expect(got == want, "%s: %s, not %s", what, cudaGetErrorName(got), cudaGetErrorName(want));
    expect(cudaGetLastError() == want && cudaGetLastError() == cudaSuccess, "%s: an error of the call, then forgotten", what);
}

CASE("runtime/refusals", [] {
    device<float> x(4), y(std::vector<float>{1});
    float         host[8] = {};
    cudaStream_t  gone;
    expect_refused(cudaMemcpy(x, host, 20, cudaMemcpyHostToDevice), cudaErrorInvalidValue, "copy past the end");
    expect_refused(cudaMemcpy(host, y, 4, cudaMemcpyHostToDevice), cudaErrorInvalidValue, "copy in the wrong direction");
    expect_refused(cudaMemset(x, 0, 17), cudaErrorInvalidValue, "memset past the end");
    expect_refused(cudaFree(host), cudaErrorInvalidValue, "cudaFree of host memory");
    expect_refused(cudaFreeHost(host), cudaErrorInvalidValue, "cudaFreeHost of pageable memory");
    expect_refused(cudaMalloc((void **)&gone, (size_t)1 << 50), cudaErrorMemoryAllocation, "too much");
    expect_refused(cudaSetDevice(5), cudaErrorInvalidDevice, "device 5");
    cudaStreamCreate(&gone);
    cudaStreamDestroy(gone);
    expect_refused(cudaStreamSynchronize(gone), cudaErrorInvalidResourceHandle, "a stream that is gone");
    VR_LAUNCH(add, 1, 1025, 0, nullptr, x, y, 1);
    expect_refused(cudaPeekAtLastError(), cudaErrorInvalidConfiguration, "1025 threads");
    VR_LAUNCH(add, dim3(1, 65536), 1, 0, nullptr, x, y, 1);
    expect_refused(cudaPeekAtLastError(), cudaErrorInvalidConfiguration, "65536 rows of blocks");
    VR_LAUNCH(add, 0, 32, 0, nullptr, x, y, 1);
    expect_refused(cudaPeekAtLastError(), cudaErrorInvalidConfiguration, "no blocks");
    expect(VR_ALLOW_SMEM(add, 0) == cudaSuccess, "what an earlier run asked for is over");
    VR_LAUNCH(add, 1, 1, 50000, nullptr, x, y, 1);
    expect_refused(cudaPeekAtLastError(), cudaErrorInvalidValue, "shared memory not asked for");
    expect_refused(VR_ALLOW_SMEM(add, 228 << 10), cudaErrorInvalidValue, "more than a block can have");
    expect(VR_ALLOW_SMEM(add, 50000) == cudaSuccess, "ask");
    VR_LAUNCH(add, 1, 1, 50000, nullptr, x, y, 1);
    expect(cudaGetLastError() == cudaSuccess, "asked for");
});

CASE("runtime/faults stick", [] {
    device<float> x(std::vector<float>{1}), y(1);
    float host = 0, *const on_host = &host;
    VR_LAUNCH(add, 1, 1, 0, nullptr, on_host, x, 2);
    expect(cudaDeviceSynchronize() == cudaErrorIllegalAddress, "a host pointer: %s", vr_fake::said().c_str());
    expect(vr_fake::said().find("add: pointer 0") == 0, "%s", vr_fake::said().c_str());
    expect(cudaGetLastError() == cudaErrorIllegalAddress && cudaGetLastError() == cudaErrorIllegalAddress, "it stays");
    void *p;
    expect(cudaMalloc(&p, 4) == cudaErrorIllegalAddress, "and every call says so");
    vr_fake::reset();

    cudaStream_t s;
    float       *pin;
    cudaStreamCreate(&s);
    cudaMallocHost(&pin, 4);
    *pin = 1;
    vr_fake::configure(vr_fake::late);
    cudaMemcpyAsync(x, pin, 4, cudaMemcpyHostToDevice, s);
    expect(cudaFreeHost(pin) == cudaErrorIllegalAddress, "pinned memory that is still to be read");
    vr_fake::reset();
    cudaStreamDestroy(s);
});

CASE("runtime/the n-th call fails", [] {
    void *p = nullptr;
    vr_fake::fail_call(2, 0);
    expect(cudaSetDevice(0) == cudaSuccess, "the first");
    expect(cudaMalloc(&p, 4) == cudaErrorMemoryAllocation && !p, "the second, as it would fail");
    expect(cudaMalloc(&p, 4) == cudaSuccess, "the third");
    vr_fake::fail_call(1, cudaErrorUnknown);
    expect(cudaFree(p) == cudaErrorUnknown, "what releases does so and says that it failed");
    cudaGetLastError();
    expect(vr_fake::alive().empty(), "%s", vr_fake::alive().c_str());
    vr_fake::fail_call(1, cudaErrorLaunchFailure);
    expect(cudaSetDevice(0) == cudaErrorLaunchFailure && cudaSetDevice(0) == cudaErrorLaunchFailure, "a fault sticks");
    vr_fake::reset();
    vr_fake::fail_call(0, 0);
});

CASE("runtime/what is alive is counted", [] {
    cudaStream_t s;
    void        *p;
    cudaStreamCreate(&s);
    cudaMalloc(&p, 100);
    expect(vr_fake::alive() == "1 device allocations of 100 bytes, 1 streams", "%s", vr_fake::alive().c_str());
    cudaFree(p);
    cudaStreamDestroy(s);
});

CASE("runtime/what it says of itself", [] {
    cudaDeviceProp prop;
    int            count = 0, driver = 0, sms = 0, optin = 0;
    size_t         free = 0, total = 0;
    expect(cudaGetDeviceCount(&count) == cudaSuccess && count == 1, "%d devices", count);
    expect(cudaGetDeviceProperties(&prop, 0) == cudaSuccess && prop.major == 9 && prop.sharedMemPerBlockOptin == 232448, "%s",
           prop.name);
    expect(cudaDriverGetVersion(&driver) == cudaSuccess && driver == CUDART_VERSION, "%d", driver);
    cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, 0);
    cudaDeviceGetAttribute(&optin, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0);
    expect(sms == prop.multiProcessorCount && optin == 232448, "%d, %d", sms, optin);
    device<float> x(25);
    expect(cudaMemGetInfo(&free, &total) == cudaSuccess && total - free == 100, "%zu of %zu", free, total);
    expect(std::string(cudaGetErrorString(cudaErrorMemoryAllocation)) == "out of memory", "the runtime's words");
    expect((uintptr_t)(float *)x % 256 == 0, "aligned to 256");
});
