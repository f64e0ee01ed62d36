/* A picture to draw on: rectangles, other pictures and small letters. */
#ifndef VR_CANVAS_H
#define VR_CANVAS_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint8_t *rgb; /* [height, width, 3] */
    int      width, height;
} cli_canvas;

typedef struct {
    uint8_t r, g, b;
} cli_color;

/* Where a pixel lies; the caller stays on the canvas. */
static inline uint8_t *cli_pixel(const cli_canvas *c, int x, int y)
{
    return c->rgb + 3 * ((size_t)y * (size_t)c->width + (size_t)x);
}

void cli_fill(const cli_canvas *c, cli_color color); /* all of it */

/* The colour of group number i: hues a golden angle apart, so that neighbours in number are far apart in hue, in three
 * lightnesses, so that eyes that tell few hues apart still see borders. */
cli_color cli_group_color(int i);

enum { CLI_LETTER_WIDTH = 6, CLI_LETTER_HEIGHT = 8 }; /* at scale 1, with the gap behind each */

/* Letters, all drawn small, digits and : . , - + _ = / ; others are blank.  Cut at the canvas's edge. */
void cli_draw_text(const cli_canvas *c, int x, int y, int scale, cli_color color, const char *text);

#endif
