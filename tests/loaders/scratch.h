/* A folder of its own for each test, gone afterwards. */
#ifndef VR_TEST_SCRATCH_H
#define VR_TEST_SCRATCH_H

#include <stddef.h>
#include <stdint.h>

void        scratch_begin(void); /* as .init and .fini of a test */
void        scratch_end(void);
const char *scratch_path(const char *name); /* of a file in the folder; valid for the next 7 calls */
void        scratch_write(const char *name, const void *bytes, size_t length);
void        scratch_text(const char *name, const char *text);
char       *scratch_read(const char *name, size_t *length); /* NULL: not there; free() releases it */
int         scratch_count(void);                            /* entries of the folder */

/* A safetensors file: length, header, `data` bytes 0, 1, 2, ...; free() releases it. */
unsigned char *scratch_safetensors(const char *header, size_t data, size_t *length);

/* Reproducible random numbers (xorshift64*). */
uint64_t scratch_random(uint64_t *state);

#endif
