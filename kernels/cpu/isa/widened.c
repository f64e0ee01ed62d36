/* widened.c: the linear layer once more, with weights kept as bf16: half the memory, at about the speed of f32. */
#define VR_WIDENED
#include "gemm.c"
#include "tile.c"
