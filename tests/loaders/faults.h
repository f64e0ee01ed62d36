/* Make the n-th call fail: of the operating system, or of malloc.  The test binary has functions of those names itself,
 * which the loaders, linked into it, call in place of libc's. */
#ifndef VR_TEST_FAULTS_H
#define VR_TEST_FAULTS_H

#include <stdbool.h>

typedef enum { FAULT_NONE, FAULT_MALLOC, FAULT_IO, FAULT_SHORT, FAULT_INTERRUPT } fault_kind;

/* From now on, in this thread: MALLOC, IO: the n-th call (0: the first) fails, with `forever` those behind it too;
 * SHORT: reads and writes move one byte; INTERRUPT: every other one is interrupted first. */
void faults_begin(fault_kind kind, long n, bool forever);
bool faults_end(void);       /* true: a call was made to fail */
long faults_live(void);      /* allocations since faults_begin that were not freed */
bool faults_in_malloc(void); /* false: a sanitizer owns malloc, so its calls cannot be made to fail */

#endif
