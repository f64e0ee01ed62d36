/* What the tests of the verbs share: guarded matrices, comparison with the oracle, every instruction set in turn. */
#ifndef VR_TESTS_KERNELS_CHECK_H
#define VR_TESTS_KERNELS_CHECK_H

#include "../../kernels/backend.h"

/* A matrix between canaries: the gap between cols and stride, and a margin before and, for outputs, after it.  An input
 * ends with its last cell, so that a sanitizer sees a read beyond it. */
typedef struct {
    vr_mat    m;
    uint16_t *memory;
    size_t    halves; /* of 16 bits */
} vr_guarded;

vr_guarded vr_input(int rows, int cols, unsigned seed, float scale);  /* uniform in -scale .. scale */
vr_guarded vr_output(int rows, int cols, unsigned seed, float scale); /* filled as well: VR_ADD reads it */
void       vr_guarded_free(vr_guarded *g);

/* The same in f32 or bf16: the numbers of `from`, rounded or widened, in a matrix of their own. */
vr_guarded vr_input_as(vr_dtype type, vr_mat from);
vr_guarded vr_output_as(vr_dtype type, vr_mat from);

/* Rounds numbers to such that bf16 has, so that they are the same in every type. */
void vr_round(float *numbers, size_t count);
void vr_round_mat(vr_mat m);

/* `count` random numbers, released by free(). */
float *vr_numbers(size_t count, unsigned seed, float scale);

/* Fails the test where a canary of g was overwritten. */
void vr_check_canaries(const vr_guarded *g, const char *what);

/* Fails the test unless the squared error is at most 1e-12 of the squared values and the largest error at most 1.5e-6
 * of the largest value. */
void vr_check_close(vr_mat got, vr_mat want, const char *what);

/* Fails the test unless the squared error is at most `error` of the squared values. */
void vr_check_error(vr_mat got, vr_mat want, double error, const char *what);

/* Fails the test unless every bit is the same. */
void vr_check_same(vr_mat got, vr_mat want, const char *what);

/* A name for messages, in storage that the next call reuses. */
const char *vr_case(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A back end of this instruction set ("reference" for the oracle) with scratch for `tokens`; the test fails where it
 * cannot be opened. */
vr_backend vr_open_isa(const char *isa, int threads, int tokens, int head_size);
vr_backend vr_open_isa_as(vr_math math, const char *isa, int threads, int tokens, int head_size);

/* The instruction sets of this machine, NULL at the end; tells once on stderr which are lacking and so not tested. */
const char *const *vr_isas(void);

/* Those that multiply bf16, and those that tests/support/emulated.h makes up for. */
const char *const *vr_isas_bf16(void);

/* Those that multiply bytes, likewise. */
const char *const *vr_isas_int8(void);

#endif
