/* heads.c: tiles as attention wants them. */
#define VR_HEADS
#include "tile.c"
