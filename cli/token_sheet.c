/* token_sheet.c: where panels and captions lie, and how groups are painted, for pixels and vectors alike. */
#include "tokens.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WIDE = 1180, SMALLEST = 96 }; /* pixels: a sheet, as far as that goes; a panel in a sheet of several settings */
static const cli_color white = {255, 255, 255}, ink = {30, 30, 30};

/* ---- which panels ---- */

static bool changes(const cli_scene *scene, int i)
{
    for (size_t s = 0; s < scene->count; s++)
        if (cli_scene_changes(scene, s, i)) return true;
    return false;
}

/* The blocks that were asked for, else those where there is something to see; the picture first. */
static vr_status choose_panels(cli_sheet *s, const cli_options *o, vr_error *err)
{
    int   *asked = NULL;
    size_t count = 0;
    if (o->panels && cli_numbers(&asked, &count, o->panels, "--panels", 0, s->scene->depth - 1, err)) return err->code;
    s->shown = vr_alloc_zeroed(1 + (o->panels ? count : (size_t)s->scene->depth), sizeof *s->shown);
    if (!s->shown) vr_fail(err, VR_E_MEMORY, "memory", "no memory for the panels");
    s->panels = 1;
    for (size_t i = 0; i < count && s->shown; i++) s->shown[s->panels++] = asked[i] + 1;
    for (int i = 1; i <= s->scene->depth && s->shown && !o->panels; i++)
        if (changes(s->scene, i)) s->shown[s->panels++] = i;
    free(asked);
    return err->code;
}

/* ---- where they lie ---- */

static int fitting(int width) { return width + CLI_GAP < WIDE ? (WIDE - CLI_GAP) / (width + CLI_GAP) : 1; }

static int lines_of(int panels, int width) { return (panels + fitting(width) - 1) / fitting(width); }

/* Pixels for a patch: as in the model, small models larger; several settings smaller, for then fewer lines hold their panels,
 * but no smaller than that asks for. */
static int choose_side(const cli_sheet *s, const cli_options *o)
{
    const int patch = s->scene->patch, cols = s->scene->cols;
    if (o->scale > 0) return (int)fmax(1, round(patch * o->scale));
    int side = patch;
    while (cols * side < 160) side += patch;
    if (s->scene->count == 1) return side;
    int smallest = side;
    while (smallest > 1 && cols * (smallest - 1) >= SMALLEST) smallest--;
    const int lines = lines_of(s->panels, cols * smallest);
    while (lines_of(s->panels, cols * side) > lines) side--;
    return side;
}

static int text_height(int letters) { return CLI_LETTER_HEIGHT * letters + CLI_LINE; }

static vr_status arrange(cli_sheet *s, vr_error *err)
{
    enum { MOST = 1 << 27 };
    s->picture_width = s->scene->cols * s->side, s->picture_height = s->scene->rows * s->side;
    s->letters = s->picture_width >= 12 * CLI_LETTER_WIDTH * 2 ? 2 : 1;
    s->panel_height = s->picture_height + 2 * text_height(s->letters);
    s->label_height = s->scene->count > 1 ? text_height(2) + CLI_LINE : 0;
    s->lines = lines_of(s->panels, s->picture_width);
    s->across = (s->panels + s->lines - 1) / s->lines;
    const double width = CLI_GAP + s->across * (s->picture_width + (double)CLI_GAP);
    const double row = s->label_height + s->lines * (s->panel_height + (double)CLI_GAP);
    const double height = CLI_GAP + row * (double)s->scene->count;
    if (width * height > MOST)
        return vr_fail(err, VR_E_USAGE, "size", "the sheet would have %.0f x %.0f pixels; take a smaller --scale, or --panels",
                       width, height);
    s->width = (int)width, s->height = (int)height;
    return VR_OK;
}

static cli_style chosen_style(const cli_options *o)
{
    if (!o->style || strcmp(o->style, "tint") == 0) return CLI_TINT;
    return strcmp(o->style, "mean") == 0 ? CLI_MEAN : CLI_BORDER;
}

vr_status cli_sheet_plan(cli_sheet *s, const cli_scene *scene, const cli_options *o, vr_error *err)
{
    *s = (cli_sheet){.scene = scene, .style = chosen_style(o)};
    if (choose_panels(s, o, err)) return err->code;
    s->side = choose_side(s, o);
    s->colors = vr_alloc((size_t)scene->patches, sizeof *s->colors);
    s->sizes = vr_alloc((size_t)scene->patches, sizeof *s->sizes);
    if (!s->colors || !s->sizes) return vr_fail(err, VR_E_MEMORY, "memory", "no memory for the groups of a panel");
    return arrange(s, err);
}

void cli_sheet_free(cli_sheet *s)
{
    free(s->shown);
    free(s->colors);
    free(s->sizes);
    *s = (cli_sheet){0};
}

static int row_top(const cli_sheet *s, size_t setting)
{
    return CLI_GAP + (int)setting * (s->label_height + s->lines * (s->panel_height + CLI_GAP));
}

int cli_label_top(const cli_sheet *s, size_t setting) { return row_top(s, setting) + CLI_LINE; }

int cli_caption_top(const cli_sheet *s, const cli_panel *p, int line)
{
    return p->top + s->picture_height + CLI_LINE + line * text_height(s->letters);
}

/* ---- one panel ---- */

/* The mean colour of each group's pixels. */
static void mean_colors(cli_sheet *s, const cli_map *map)
{
    const cli_scene *scene = s->scene;
    for (int g = 0; g < scene->patches; g++) {
        double sum[3] = {0};
        int    count = 0;
        if (!s->sizes[g]) continue;
        for (int patch = 0; patch < scene->patches; patch++) {
            if (map->group[patch] != g) continue;
            const int      left = patch % scene->cols * scene->patch, top = patch / scene->cols * scene->patch;
            const uint8_t *at = scene->rgb + 3 * ((size_t)top * (size_t)scene->width + (size_t)left);
            for (int y = 0; y < scene->patch; y++, at += 3 * scene->width)
                for (int x = 0; x < 3 * scene->patch; x++) sum[x % 3] += at[x];
            count += scene->patch * scene->patch;
        }
        s->colors[g] = (cli_color){(uint8_t)(sum[0] / count), (uint8_t)(sum[1] / count), (uint8_t)(sum[2] / count)};
    }
}

static void write_caption(const cli_sheet *s, cli_panel *p)
{
    if (p->map->block < 0) {
        snprintf(p->caption[0], sizeof p->caption[0], "%d patches", s->scene->patches);
        return;
    }
    snprintf(p->caption[0], sizeof p->caption[0], "block %d", p->map->block);
    snprintf(p->caption[1], sizeof p->caption[1], "%d token%s", p->map->tokens, p->map->tokens == 1 ? "" : "s");
}

cli_panel cli_sheet_panel(cli_sheet *s, size_t setting, int n)
{
    cli_panel p = {.map = &s->scene->settings[setting].maps[s->shown[n]],
                   .left = CLI_GAP + n % s->across * (s->picture_width + CLI_GAP),
                   .top = row_top(s, setting) + s->label_height + n / s->across * (s->panel_height + CLI_GAP)};
    memset(s->sizes, 0, (size_t)s->scene->patches * sizeof *s->sizes);
    for (int i = 0; i < s->scene->patches; i++)
        if (p.map->group[i] >= 0) s->sizes[p.map->group[i]]++;
    for (int g = 0; g < s->scene->patches; g++) s->colors[g] = cli_group_color(g);
    if (s->style == CLI_MEAN) mean_colors(s, p.map);
    write_caption(s, &p);
    return p;
}

/* Who stands alone looks as before, but for a mean: that of its one patch. */
cli_paint cli_group_paint(const cli_sheet *s, const cli_map *map, int group)
{
    if (map->block < 0) return (cli_paint){0};
    if (group < 0) return (cli_paint){.color = ink, .share = 0.85};
    const cli_color color = s->colors[group];
    const bool      alone = s->sizes[group] < 2;
    if (s->style == CLI_MEAN) return (cli_paint){color, white, 1, 1};
    if (s->style == CLI_TINT) return (cli_paint){color, color, alone ? 0 : 0.6, 0};
    return (cli_paint){color, color, 0, alone ? 0 : 2};
}
