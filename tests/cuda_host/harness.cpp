#include "harness.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

namespace vr_test
{

struct one_case {
    const char *name;
    void (*body)();
};
static std::vector<one_case> &cases()
{
    static std::vector<one_case> all;
    return all;
}
registered::registered(const char *name, void (*body)()) { cases().push_back({name, body}); }

static int         complaints, most_told = 5;
static std::string now_running;

void expect(bool ok, const char *format, ...)
{
    if (ok) return;
    if (complaints++ >= most_told) return;
    va_list a;
    va_start(a, format);
    printf("FAIL %s: ", now_running.c_str());
    vprintf(format, a);
    printf("\n");
    fflush(stdout);
    va_end(a);
}

void expect_near(const std::vector<float> &got, const std::vector<double> &want, double limit, const char *what)
{
    expect(got.size() == want.size(), "%s: %zu values, not %zu", what, got.size(), want.size());
    for (size_t i = 0; i < got.size() && i < want.size(); i++)
        if (!(fabs(got[i] - want[i]) <= limit)) {
            expect(false, "%s: [%zu] is %g, not %g, limit %g", what, i, got[i], want[i], limit);
            return;
        }
}

#ifdef __SANITIZE_THREAD__
bool quick() { return true; }
#else
bool quick() { return false; }
#endif

static uint64_t state;
void            seed(uint64_t s) { state = s * 0x9e3779b97f4a7c15u + 88172645463325252u; }
double          uniform()
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (double)(state >> 11) * 0x1p-53;
}
double normal()
{
    const double radius = sqrt(-2 * log(1 - uniform()));
    return radius * cos(6.283185307179586 * uniform());
}

static double seconds()
{
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool run(const one_case &c, vr_emu::order order, vr_fake::timing timing)
{
    static const char *const orders[] = {"ascending", "descending", "shuffled"};
    now_running = std::string(c.name) + " (" + orders[order] + (timing == vr_fake::late ? ", late)" : ")");
    complaints = 0;
    seed(1);
    vr_fake::reset();
    vr_emu::configure(order, 7);
    vr_fake::configure(timing);
    c.body();
    expect(cudaDeviceSynchronize() == cudaSuccess, "%s", vr_fake::said().c_str());
    expect(vr_fake::alive().empty(), "left alive: %s", vr_fake::alive().c_str());
    return complaints == 0;
}

static int run_all(const char *prefix)
{
    const double start = seconds();
    int          passed = 0, failed = 0;
    for (const one_case &c : cases()) {
        if (strncmp(c.name, prefix, strlen(prefix))) continue;
        const double began = seconds();
        bool         ok = run(c, vr_emu::ascending, vr_fake::now);
        if (!quick()) {
            ok = run(c, vr_emu::descending, vr_fake::now) && ok;
            ok = run(c, vr_emu::shuffled, vr_fake::late) && ok;
        }
        (ok ? passed : failed)++;
        printf("%-4s %-40s %6.2f s\n", ok ? "ok" : "FAIL", c.name, seconds() - began);
        fflush(stdout);
    }
    printf("%.1f s\n%d passed, %d failed\n", seconds() - start, passed, failed);
    return failed || !passed;
}

} // namespace vr_test

// For exit.sh, what the fake runtime says at exit: four calls, one allocation left.
static int leak()
{
    cudaStream_t s;
    void        *p;
    if (cudaStreamCreate(&s) || cudaMalloc(&p, 64)) return 1;
    cudaMemset(p, 0, 64);
    return cudaStreamDestroy(s) != cudaSuccess;
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "--leak")) return leak();
    return vr_test::run_all(argc > 1 ? argv[1] : "");
}
