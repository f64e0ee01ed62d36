/* SHA-256 (FIPS 180-4): a name for a file's bytes that anyone can check with sha256sum. */
#ifndef VR_SHA256_H
#define VR_SHA256_H

#include <stddef.h>

typedef struct {
    char text[65]; /* 64 lower-case hexadecimal digits and a NUL */
} vr_sha256_text;
vr_sha256_text vr_sha256(const void *bytes, size_t length);

#endif
