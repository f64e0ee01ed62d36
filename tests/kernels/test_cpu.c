/* If these failed, a wrong environment or a full memory would end in a crash, or in an instruction set that nobody
 * asked for, instead of a sentence. */
#include "../../kernels/cpu/cpu.h"
#include "check.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

Test(cpu, the_environment_picks_the_instruction_set)
{
    for (const char *const *isa = vr_isas(); *isa; isa++) {
        vr_backend be = vr_open_isa(*isa, 2, 10, 16);
        cr_assert_str_eq(be.chip, *isa);
        cr_assert_eq(vr_cpu_threads(&be), 2);
        vr_cpu.close(&be);
    }
}

Test(cpu, an_unknown_instruction_set_is_refused)
{
    vr_backend be;
    vr_error   err = {0};
    setenv("VITRUN_ISA", "sse9", 1);
    cr_assert_eq(vr_cpu.open(&be, &(vr_wish){.threads = 1}, &err), VR_E_DEVICE);
    cr_assert(strstr(err.text, "sse9") && strstr(err.text, "portable"), "%s", err.text);
    cr_assert_not(vr_cpu_isa_supported("sse9", VR_MATH_F32));
    cr_assert(vr_cpu_isa_supported("portable", VR_MATH_F32));
}

Test(cpu, thread_counts)
{
    vr_backend be;
    vr_error   err = {0};
    cr_assert_eq(vr_cpu.open(&be, &(vr_wish){.threads = -1}, &err), VR_E_USAGE);
    cr_assert_eq(vr_cpu.open(&be, &(vr_wish){.threads = INT_MAX}, NULL), VR_E_USAGE);
    cr_assert_eq(vr_cpu.open(&be, &(vr_wish){0}, NULL), VR_OK);
    cr_assert_geq(vr_cpu_threads(&be), 1);
    vr_cpu.close(&be);
    vr_cpu.close(&be); /* twice does no harm */
}

Test(cpu, memory_that_cannot_be_is_refused)
{
    vr_backend be = vr_open_isa("portable", 1, 10, 16);
    vr_error   err = {0};
    void      *p;
    vr_weight  w;
    cr_assert_eq(vr_cpu.alloc(&be, &p, SIZE_MAX, &err), VR_E_MEMORY);
    cr_assert_null(p);
    float bias = 0;
    cr_assert_eq(vr_cpu.pack(&be, &w, &bias, &bias, INT_MAX - 100, INT_MAX, VR_LAYER_OF_BLOCK, NULL), VR_E_MEMORY);
    cr_assert(w.data == NULL && w.bias == NULL);
    vr_cpu.close(&be);
}

Test(cpu, reserve_grows)
{
    vr_backend be = vr_open_isa("portable", 2, 10, 16);
    cr_assert_eq(vr_cpu.reserve(&be, &(vr_limits){.longest = 100}, 64, 16, NULL), VR_OK);
    cr_assert_eq(vr_cpu.reserve(&be, &(vr_limits){.longest = 5}, 8, 16, NULL), VR_OK);
    vr_cpu.close(&be);
}

Test(cpu, memory_comes_and_goes)
{
    vr_backend be = vr_open_isa("portable", 1, 10, 16);
    float      in[3] = {1, 2, 3}, out[3] = {0};
    void      *p;
    cr_assert_eq(vr_cpu.alloc(&be, &p, sizeof in, NULL), VR_OK);
    cr_assert_eq((uintptr_t)p % 64, 0);
    cr_assert_eq(vr_cpu.put(&be, p, in, sizeof in, NULL), VR_OK);
    cr_assert_eq(vr_cpu.get(&be, out, p, sizeof in, NULL), VR_OK);
    cr_assert_arr_eq(in, out, sizeof in);
    vr_cpu.free(&be, p);
    vr_cpu.close(&be);
}

Test(cpu, finish_hands_over_the_first_fault_once)
{
    vr_backend be = vr_open_isa("portable", 1, 10, 16);
    vr_error   err = {0};
    cr_assert_eq(vr_cpu.finish(&be, &err), VR_OK);
    vr_fail(&be.fault, VR_E_NONFINITE, "here", "Something %s.", "happened");
    cr_assert_eq(vr_cpu.finish(&be, &err), VR_E_NONFINITE);
    cr_assert_str_eq(err.text, "Something happened.");
    cr_assert_eq(vr_cpu.finish(&be, NULL), VR_OK);
    vr_cpu.close(&be);
}
