/* token_png.c: the sheet as pixels. */
#include "../loaders/png_write.h"
#include "../loaders/resample.h"
#include "tokens.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const cli_color paper = {255, 255, 255}, ink = {30, 30, 30};

typedef struct {
    cli_sheet *sheet;
    cli_canvas canvas;
    uint8_t   *photo; /* [picture_height, picture_width, 3] */
} drawing;

/* ---- the photograph at the size of a panel ---- */

/* Larger, each pixel becomes a few, because they are what the model saw. */
static void enlarge(const drawing *d)
{
    const cli_sheet *s = d->sheet;
    const int        patch = s->scene->patch;
    uint8_t         *out = d->photo;
    for (int y = 0; y < s->picture_height; y++)
        for (int x = 0; x < s->picture_width; x++, out += 3) {
            const size_t at = (size_t)(y * patch / s->side) * (size_t)s->scene->width + (size_t)(x * patch / s->side);
            memcpy(out, s->scene->rgb + 3 * at, 3);
        }
}

static vr_status reduce(const drawing *d, vr_error *err)
{
    const cli_sheet      *s = d->sheet;
    const vr_resample_job job = {.in = s->scene->rgb,
                                 .in_w = s->scene->width,
                                 .in_h = s->scene->height,
                                 .out_w = s->picture_width,
                                 .out_h = s->picture_height,
                                 .filter = VR_BICUBIC,
                                 .width = s->picture_width,
                                 .height = s->picture_height,
                                 .out = d->photo,
                                 .out_stride = 3 * (size_t)s->picture_width};
    void                 *scratch = NULL;
    size_t                scratch_bytes = 0;
    vr_resample(&job, &scratch, &scratch_bytes, err);
    free(scratch);
    return err->code;
}

/* ---- panels ---- */

/* The group at a pixel of a panel; -2 outside. */
static int group_at(const cli_sheet *s, const cli_map *map, int x, int y)
{
    if (x < 0 || y < 0 || x >= s->picture_width || y >= s->picture_height) return -2;
    return map->group[y / s->side * s->scene->cols + x / s->side];
}

static bool on_border(const cli_sheet *s, const cli_map *map, int x, int y, int reach)
{
    const int g = group_at(s, map, x, y), around[4] = {group_at(s, map, x - reach, y), group_at(s, map, x + reach, y),
                                                       group_at(s, map, x, y - reach), group_at(s, map, x, y + reach)};
    for (int i = 0; i < 4; i++)
        if (around[i] != g && around[i] != -2) return true;
    return false;
}

static void mix(uint8_t *out, const uint8_t *photo, cli_color color, double share)
{
    const uint8_t with[3] = {color.r, color.g, color.b};
    for (int c = 0; c < 3; c++) out[c] = (uint8_t)lround((1 - share) * photo[c] + share * with[c]);
}

static void draw_panel(const drawing *d, const cli_panel *p)
{
    const cli_sheet *s = d->sheet;
    for (int y = 0; y < s->picture_height; y++)
        for (int x = 0; x < s->picture_width; x++) {
            const uint8_t  *photo = d->photo + 3 * ((size_t)y * (size_t)s->picture_width + (size_t)x);
            uint8_t        *out = cli_pixel(&d->canvas, p->left + x, p->top + y);
            const cli_paint paint = cli_group_paint(s, p->map, group_at(s, p->map, x, y));
            const bool      line = paint.reach && on_border(s, p->map, x, y, paint.reach);
            mix(out, photo, line ? paint.line : paint.color, line ? 1 : paint.share);
        }
    for (int i = 0; i < 2; i++) cli_draw_text(&d->canvas, p->left, cli_caption_top(s, p, i), s->letters, ink, p->caption[i]);
}

static void draw(const drawing *d)
{
    cli_sheet *s = d->sheet;
    cli_fill(&d->canvas, paper);
    for (size_t i = 0; i < s->scene->count; i++) {
        if (s->label_height) cli_draw_text(&d->canvas, CLI_GAP, cli_label_top(s, i), 2, ink, s->scene->settings[i].name);
        for (int n = 0; n < s->panels; n++) {
            const cli_panel p = cli_sheet_panel(s, i, n);
            draw_panel(d, &p);
        }
    }
}

vr_status cli_token_png(cli_sheet *s, FILE *f, vr_error *err)
{
    drawing d = {.sheet = s,
                 .canvas = {vr_alloc(3 * (size_t)s->width, (size_t)s->height), s->width, s->height},
                 .photo = vr_alloc(3 * (size_t)s->picture_width, (size_t)s->picture_height)};
    if (!d.canvas.rgb || !d.photo)
        vr_fail(err, VR_E_MEMORY, "memory", "no memory for a picture of %d x %d", s->width, s->height);
    else if (s->side < s->scene->patch)
        reduce(&d, err);
    else
        enlarge(&d);
    if (!err->code) {
        draw(&d);
        vr_png_write(f, d.canvas.rgb, s->width, s->height, err);
    }
    free(d.canvas.rgb);
    free(d.photo);
    return err->code;
}
