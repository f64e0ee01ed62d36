/* canvas.c: see canvas.h. */
#include "canvas.h"

#include <math.h>
#include <stddef.h>

static void put(const cli_canvas *c, int x, int y, cli_color color)
{
    if (x < 0 || y < 0 || x >= c->width || y >= c->height) return;
    uint8_t *p = cli_pixel(c, x, y);
    p[0] = color.r, p[1] = color.g, p[2] = color.b;
}

void cli_fill(const cli_canvas *c, cli_color color)
{
    for (int y = 0; y < c->height; y++)
        for (int x = 0; x < c->width; x++) put(c, x, y, color);
}

/* ---- colours ---- */

static uint8_t srgb(double x)
{
    x = x <= 0.0031308 ? 12.92 * x : 1.055 * pow(x, 1 / 2.4) - 0.055;
    return (uint8_t)lround(255 * fmin(fmax(x, 0), 1));
}

/* Oklch, where equal steps look equal (Ottosson 2020), to sRGB; colours that a screen has not are clipped. */
static cli_color from_oklch(double lightness, double chroma, double hue)
{
    const double a = chroma * cos(hue), b = chroma * sin(hue);
    const double l = pow(lightness + 0.3963377774 * a + 0.2158037573 * b, 3);
    const double m = pow(lightness - 0.1055613458 * a - 0.0638541728 * b, 3);
    const double s = pow(lightness - 0.0894841775 * a - 1.2914855480 * b, 3);
    return (cli_color){srgb(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
                       srgb(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
                       srgb(-0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s)};
}

cli_color cli_group_color(int i)
{
    static const double golden = 2.39996322972865332, lightness[3] = {0.64, 0.80, 0.50};
    return from_oklch(lightness[i % 3], 0.15, golden * i);
}

/* ---- letters: five columns, the top row in the lowest bit ---- */

typedef struct {
    char    letter;
    uint8_t column[5];
} glyph;

static const glyph glyphs[] = {
    {'0', {0x3E, 0x51, 0x49, 0x45, 0x3E}}, {'1', {0x00, 0x42, 0x7F, 0x40, 0x00}}, {'2', {0x42, 0x61, 0x51, 0x49, 0x46}},
    {'3', {0x21, 0x41, 0x45, 0x4B, 0x31}}, {'4', {0x18, 0x14, 0x12, 0x7F, 0x10}}, {'5', {0x27, 0x45, 0x45, 0x45, 0x39}},
    {'6', {0x3C, 0x4A, 0x49, 0x49, 0x30}}, {'7', {0x01, 0x71, 0x09, 0x05, 0x03}}, {'8', {0x36, 0x49, 0x49, 0x49, 0x36}},
    {'9', {0x06, 0x49, 0x49, 0x29, 0x1E}}, {'a', {0x20, 0x54, 0x54, 0x54, 0x78}}, {'b', {0x7F, 0x48, 0x44, 0x44, 0x38}},
    {'c', {0x38, 0x44, 0x44, 0x44, 0x20}}, {'e', {0x38, 0x54, 0x54, 0x54, 0x18}}, {'h', {0x7F, 0x08, 0x04, 0x04, 0x78}},
    {'k', {0x7F, 0x10, 0x28, 0x44, 0x00}}, {'l', {0x00, 0x41, 0x7F, 0x40, 0x00}}, {'n', {0x7C, 0x08, 0x04, 0x04, 0x78}},
    {'o', {0x38, 0x44, 0x44, 0x44, 0x38}}, {'p', {0xFC, 0x24, 0x24, 0x24, 0x18}}, {'s', {0x48, 0x54, 0x54, 0x54, 0x20}},
    {'t', {0x04, 0x3F, 0x44, 0x40, 0x20}}, {':', {0x00, 0x36, 0x36, 0x00, 0x00}},
};

static const uint8_t *columns_of(char letter)
{
    static const uint8_t blank[5];
    for (size_t i = 0; i < sizeof glyphs / sizeof *glyphs; i++)
        if (glyphs[i].letter == letter) return glyphs[i].column;
    return blank;
}

void cli_draw_text(const cli_canvas *c, int x, int y, int scale, cli_color color, const char *text)
{
    for (; *text; text++, x += CLI_LETTER_WIDTH * scale) {
        const uint8_t *column = columns_of(*text);
        for (int i = 0; i < 5 * scale; i++)
            for (int j = 0; j < CLI_LETTER_HEIGHT * scale; j++)
                if (column[i / scale] >> j / scale & 1) put(c, x + i, y + j, color);
    }
}
