/* What the files safetensors*.c and shards.c share.  Nobody else includes this. */
#ifndef VR_SAFETENSORS_PARTS_H
#define VR_SAFETENSORS_PARTS_H

#include "safetensors.h"

enum {
    VR_ST_PREFIX = 8,              /* bytes of the length in front of the header */
    VR_ST_HEADER_LIMIT = 16 << 20, /* of a header, unless the caller says otherwise */
    VR_ST_HEADER_CAP = 100000000,  /* what the caller may say; the format's own limit */
    VR_ST_MAX_TENSORS = 65536,
    VR_ST_MAX_NAME = 1024
};

typedef struct {
    const char *key, *value;
} vr_st_pair;

/* What a header says.  Strings point into the text it was scanned from. */
typedef struct {
    vr_tensor  *tensors; /* sorted by name */
    size_t      count, room;
    vr_st_pair *pairs; /* of __metadata__, in the order of the file */
    size_t      pair_count, pair_room;
} vr_st_table;

/* One file, or one block of memory. */
typedef struct {
    char                *path;   /* owned */
    char                *header; /* owned: the header's text, its strings decoded in place */
    int                  fd;     /* -1: memory */
    const unsigned char *memory;
    uint64_t             size, data_begin;
} vr_st_shard;

struct vr_safetensors {
    char        *path; /* as given; owned */
    vr_st_table  table;
    vr_st_shard *shards;
    size_t       shard_count;
    uint64_t     bytes;
};

/* Scan a header; safetensors_header.c says which rules it keeps.  Writes into the text and points into it.
 *   text        [length + 1], NUL behind it
 *   data_bytes  what follows the header in the file
 *   what        the file's name for messages
 * After failure the table holds nothing. */
vr_status vr_st_scan(vr_st_table *table, char *text, size_t length, uint64_t data_bytes, const char *what, vr_error *err);
void      vr_st_table_free(vr_st_table *table);

/* Make room for one more element in a growing array; false where memory is refused. */
bool vr_st_grow(void **array, size_t count, size_t *room, size_t element);

/* A file that is no index, and a sharded checkpoint by its index. */
vr_status vr_st_open_file(vr_safetensors **out, const char *path, size_t max_header, vr_error *err);
vr_status vr_st_open_index(vr_safetensors **out, const char *path, size_t max_header, vr_error *err);

/* Bits of a shape: elements is 0 where a dimension is; the product of the others must fit all the same, so that strides
 * computed later cannot wrap.  False: does not fit. */
bool vr_st_count_bits(const uint64_t *shape, int rank, vr_dtype dtype, uint64_t *elements, uint64_t *bits);

#endif
