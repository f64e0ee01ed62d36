/* Tests of GPU code on the emulator.  A file holds CASEs and no main(); a case is run in each order of warps, with streams
 * that run at once and streams that run late, and must leave nothing alive on the device.
 *
 *   CASE("attention/197", [] { ... expect(...); });
 *
 * The part before the slash is the name of the .cu file, which mutate.sh uses to pick the cases of a kernel. */
#ifndef VR_HARNESS_H
#define VR_HARNESS_H

#include <cuda/device.h>
#include <cuda_runtime.h>
#include <string>
#include <vector>

namespace vr_test
{

struct registered {
    registered(const char *name, void (*body)());
};
#define VR_CASE_NAMED(line)         vr_case_##line
#define VR_CASE_AT(line, name, ...) static vr_test::registered VR_CASE_NAMED(line)(name, __VA_ARGS__)
#define CASE(name, ...)             VR_CASE_AT(__LINE__, name, __VA_ARGS__)

// A failed expectation ends nothing: the case goes on, and counts as failed.  The sentence is printf's.
void expect(bool ok, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Is got within `limit` of want everywhere?  A NaN never is.
void expect_near(const std::vector<float> &got, const std::vector<double> &want, double limit, const char *what);

bool   quick();          // under ThreadSanitizer: small shapes are enough
void   seed(uint64_t s); // a case begins with the same seed in every order
double uniform();        // [0, 1)
double normal();

// Device memory of exactly n elements, junk until upload().
template <class T> class device
{
  public:
    explicit device(size_t n) : count(n)
    {
        void *at = nullptr;
        if (cudaMalloc(&at, n * sizeof(T)) != cudaSuccess) abort();
        p = (T *)at;
    }
    explicit device(const std::vector<T> &v) : device(v.size()) { upload(v); }
    device(const device &) = delete;
    ~device() { cudaFree(p); }
         operator T *() { return p; }
    void upload(const std::vector<T> &v)
    {
        const bool done =
            v.size() == count && cudaMemcpy(p, v.data(), count * sizeof(T), cudaMemcpyHostToDevice) == cudaSuccess;
        // A stream without order with the legacy one must see it too.
        expect(done && cudaDeviceSynchronize() == cudaSuccess, "upload: %s", vr_fake::said().c_str());
    }
    std::vector<T> download() const // waits for all work
    {
        std::vector<T> v(count);
        expect(cudaDeviceSynchronize() == cudaSuccess &&
                   cudaMemcpy(v.data(), p, count * sizeof(T), cudaMemcpyDeviceToHost) == cudaSuccess,
               "%s", vr_fake::said().c_str());
        return v;
    }

  private:
    T     *p;
    size_t count;
};

template <class T> std::vector<T> rounded(const std::vector<float> &v) // to the storage type
{
    std::vector<T> out;
    for (float f : v) out.push_back(from_float<T>(f));
    return out;
}
template <class T> std::vector<float> floats(const std::vector<T> &v)
{
    std::vector<float> out;
    for (T x : v) out.push_back(to_float(x));
    return out;
}

} // namespace vr_test

#endif
