/* A folder that a test may write into, gone when the test is over. */
#ifndef VR_SCRATCH_H
#define VR_SCRATCH_H

#include <stddef.h>

typedef struct {
    char path[256];
} scratch;

scratch scratch_make(void);
void    scratch_remove(scratch *s); /* with everything in it */
void    scratch_write(const scratch *s, const char *name, const char *text);
void    scratch_copy(const scratch *s, const char *name, const char *from);
char   *scratch_name(const scratch *s, const char *name, char out[512]); /* PATH/NAME; returns out */

#endif
