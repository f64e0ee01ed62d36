/* tokens.c: the command that shows what merging does: the picture, then each block that reduces, every patch tinted by the
 * token that holds most of it, in a colour that the group keeps as it grows; alone, it is left as it was. */
#include "canvas.h"
#include "cli.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../loaders/png_write.h"

typedef enum { TINT, MEAN, BORDER } style;

/* What is known after a block. */
typedef struct {
    int  block, tokens;
    int *token, *group; /* [patches] */
} map;

typedef struct {
    const cli_options    *o;
    vitrun               *v;
    const vitrun_about_t *about;
    const char           *json_path, *png_path; /* where they go; NULL is stdout */
    bool                  json, png;
    int                   rows, cols, patches; /* of the grid */
    uint8_t              *rgb;                 /* [height, width, 3] what the model sees of the picture */
    map                  *maps;                /* [depth + 1], the first is the picture before block 0 */
    int                  *cells;               /* what the maps point into */
} job;

/* ---- where results go ---- */

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static vr_status choose_outputs(job *j, vr_error *err)
{
    const char *path = j->o->output;
    j->json = j->o->json || (path && ends_with(path, ".json"));
    j->png = path && !ends_with(path, ".json") && (!j->json || ends_with(path, ".png"));
    if (path && ends_with(path, ".svg"))
        return vr_fail(err, VR_E_USAGE, "not-supported", "SVG is not supported yet; name a .png, or take --json");
    if (!j->json && !j->png)
        return vr_fail(err, VR_E_USAGE, "output", "tokens wants a place for its picture, -o map.png, or --json, or both");
    if (j->png && strcmp(path, "-") && !ends_with(path, ".png"))
        return vr_fail(err, VR_E_USAGE, "output", "-o '%s': tokens writes a .png or a .json", vr_quotez(path).text);
    if (j->png && strcmp(path, "-") == 0 && isatty(STDOUT_FILENO))
        return vr_fail(err, VR_E_USAGE, "output", "a PNG picture is nothing for a terminal; name a file: -o map.png");
    j->png_path = path;
    j->json_path = j->png ? NULL : path;
    return VR_OK;
}

/* ---- the maps ---- */

static vr_status engine_error(const vitrun_error *e, vr_error *err)
{
    return vr_fail(err, (vr_status)e->code, "engine", "%s", e->text);
}

static vr_status no_memory(vr_error *err)
{
    return vr_fail(err, VR_E_MEMORY, "memory", "no memory for the picture and its maps");
}

static vr_status reserve(job *j, vr_error *err)
{
    const vitrun_about_t *a = j->about;
    const size_t          maps = (size_t)a->depth + 1;
    j->rows = a->image_height / a->patch, j->cols = a->image_width / a->patch;
    j->patches = j->rows * j->cols;
    j->rgb = vr_alloc(3 * (size_t)a->image_height, (size_t)a->image_width);
    j->maps = vr_alloc_zeroed(maps, sizeof *j->maps);
    j->cells = vr_alloc(2 * maps * (size_t)j->patches, sizeof *j->cells);
    if (!j->rgb || !j->maps || !j->cells) return no_memory(err);
    for (size_t i = 0; i < maps; i++) {
        int *cells = j->cells + 2 * i * (size_t)j->patches;
        j->maps[i] = (map){.block = (int)i - 1, .token = cells, .group = cells + j->patches};
    }
    return VR_OK;
}

/* Back from what the model sees to the bytes that it was made of. */
static void show_pixels(job *j, const float *pixels)
{
    const size_t plane = (size_t)j->about->image_height * (size_t)j->about->image_width;
    for (size_t i = 0; i < plane; i++)
        for (size_t c = 0; c < 3; c++) {
            const float x = 255 * (pixels[c * plane + i] * j->about->std[c] + j->about->mean[c]);
            j->rgb[3 * i + c] = (uint8_t)lrintf(fminf(fmaxf(x, 0), 255));
        }
}

static vr_status look(job *j, const float *pixels, float *answer, vr_error *err)
{
    vitrun_error e = {0};
    if (vitrun_run(j->v, answer, &pixels, NULL, 1, &e)) return engine_error(&e, err);
    for (int i = 0; i <= j->about->depth; i++) {
        map *m = &j->maps[i];
        if (vitrun_token_map(j->v, m->block, 0, m->token, m->group, &m->tokens, &e)) return engine_error(&e, err);
    }
    return VR_OK;
}

static vr_status follow(job *j, vr_error *err)
{
    const vitrun_about_t *a = j->about;
    vitrun_error          e = {0};
    float                *pixels = vr_alloc(3 * (size_t)a->image_height, (size_t)a->image_width * sizeof *pixels);
    float                *answer = vr_alloc((size_t)a->outputs, sizeof *answer);
    if (reserve(j, err) == VR_OK && !(pixels && answer)) no_memory(err);
    if (!err->code && vitrun_pixels_of_file(j->v, j->o->inputs[0], pixels, &e)) engine_error(&e, err);
    if (!err->code) show_pixels(j, pixels);
    if (!err->code) look(j, pixels, answer, err);
    free(pixels);
    free(answer);
    return err->code;
}

/* Is block i worth a panel?  Where nothing changes there is nothing to see. */
static bool changes(const job *j, int i)
{
    return j->maps[i].tokens != j->maps[i - 1].tokens ||
           memcmp(j->maps[i].group, j->maps[i - 1].group, (size_t)j->patches * sizeof(int)) != 0;
}

/* ---- JSON ---- */

static void print_numbers(FILE *f, const int *numbers, int count)
{
    fputc('[', f);
    for (int i = 0; i < count; i++) fprintf(f, "%s%d", i ? "," : "", numbers[i]);
    fputc(']', f);
}

static void print_json(const job *j, FILE *f)
{
    cli_json_file(f, j->o->inputs[0]);
    fprintf(f, ",\"grid\":[%d,%d],\"merge\":", j->rows, j->cols);
    cli_json_string(f, j->about->merge);
    fputs(",\"tokens\":[", f);
    for (int i = 1; i <= j->about->depth; i++) fprintf(f, "%s%d", i > 1 ? "," : "", j->maps[i].tokens);
    fputs("],\"map\":[", f);
    for (int i = 1; i <= j->about->depth; i++) {
        if (i > 1) fputc(',', f);
        print_numbers(f, j->maps[i].token, j->patches);
    }
    fputs("],\"group\":[", f);
    for (int i = 1; i <= j->about->depth; i++) {
        if (i > 1) fputc(',', f);
        print_numbers(f, j->maps[i].group, j->patches);
    }
    fputs("]}\n", f);
}

/* ---- panels ---- */

enum { GAP = 8, LINE = 4, MAX_SHEET = 1180 };
static const cli_color white = {255, 255, 255}, ink = {30, 30, 30};

typedef struct {
    const job *j;
    const map *m;
    style      style;
    int        scale;
    cli_canvas canvas;
    int        left, top; /* of the panel on the canvas */
    cli_color *colors;    /* [patches] of each group */
    int       *sizes;     /* [patches] how many patches each has */
} panel;

/* The mean colour of each group's pixels. */
static void mean_colors(const panel *p)
{
    const job *j = p->j;
    const int  side = j->about->patch, width = j->about->image_width;
    for (int g = 0; g < j->patches; g++) {
        double sum[3] = {0};
        int    count = 0;
        for (int patch = 0; patch < j->patches; patch++) {
            if (p->m->group[patch] != g) continue;
            const uint8_t *at = j->rgb + 3 * (patch / j->cols * side * width + patch % j->cols * side);
            for (int i = 0; i < side * side; i++, count++)
                for (int c = 0; c < 3; c++) sum[c] += at[3 * (i / side * width + i % side) + c];
        }
        if (count) p->colors[g] = (cli_color){(uint8_t)(sum[0] / count), (uint8_t)(sum[1] / count), (uint8_t)(sum[2] / count)};
    }
}

/* The group at a pixel of the panel; -2 outside. */
static int group_at(const panel *p, int x, int y)
{
    const int side = p->j->about->patch * p->scale;
    if (x < 0 || y < 0 || x >= p->j->cols * side || y >= p->j->rows * side) return -2;
    return p->m->group[y / side * p->j->cols + x / side];
}

static bool on_border(const panel *p, int x, int y, int reach)
{
    const int g = group_at(p, x, y), around[4] = {group_at(p, x - reach, y), group_at(p, x + reach, y),
                                                  group_at(p, x, y - reach), group_at(p, x, y + reach)};
    for (int i = 0; i < 4; i++)
        if (around[i] != g && around[i] != -2) return true;
    return false;
}

static void mix(uint8_t *out, const uint8_t *photo, cli_color color, double share)
{
    const uint8_t with[3] = {color.r, color.g, color.b};
    for (int c = 0; c < 3; c++) out[c] = (uint8_t)lround((1 - share) * photo[c] + share * with[c]);
}

static void draw_pixel(const panel *p, int x, int y)
{
    const job      *j = p->j;
    const uint8_t  *photo = j->rgb + 3 * (y / p->scale * j->about->image_width + x / p->scale);
    uint8_t        *out = cli_pixel(&p->canvas, p->left + x, p->top + y);
    const int       g = group_at(p, x, y);
    const cli_color color = g < 0 ? ink : p->colors[g];
    if (p->m->block < 0)
        memcpy(out, photo, 3);
    else if (g < 0)
        mix(out, photo, ink, 0.85);
    else if (p->style == TINT)
        mix(out, photo, color, p->sizes[g] > 1 ? 0.6 : 0); /* who stands alone looks as before */
    else if (p->style == MEAN)
        mix(out, photo, on_border(p, x, y, 1) ? white : color, 1);
    else
        mix(out, photo, color, p->sizes[g] > 1 && on_border(p, x, y, 2) ? 1 : 0);
}

static void draw_caption(const panel *p, int letters)
{
    char      text[2][24] = {"", ""};
    const int below = p->top + p->j->rows * p->j->about->patch * p->scale + LINE;
    if (p->m->block < 0) {
        snprintf(text[0], sizeof text[0], "%d patches", p->j->patches);
    } else {
        snprintf(text[0], sizeof text[0], "block %d", p->m->block);
        snprintf(text[1], sizeof text[1], "%d token%s", p->m->tokens, p->m->tokens == 1 ? "" : "s");
    }
    for (int i = 0; i < 2; i++)
        cli_draw_text(&p->canvas, p->left, below + i * (CLI_LETTER_HEIGHT * letters + LINE), letters, ink, text[i]);
}

static void draw_panel(const panel *p, int letters)
{
    const int side = p->j->about->patch * p->scale;
    if (p->style == MEAN)
        mean_colors(p);
    else
        for (int g = 0; g < p->j->patches; g++) p->colors[g] = cli_group_color(g);
    memset(p->sizes, 0, (size_t)p->j->patches * sizeof *p->sizes);
    for (int i = 0; i < p->j->patches; i++)
        if (p->m->group[i] >= 0) p->sizes[p->m->group[i]]++;
    for (int y = 0; y < p->j->rows * side; y++)
        for (int x = 0; x < p->j->cols * side; x++) draw_pixel(p, x, y);
    draw_caption(p, letters);
}

/* ---- the sheet ---- */

/* Panels side by side, in rows of one length as far as that goes. */
typedef struct {
    int scale, letters;            /* pixels to a pixel, of pictures and of letters */
    int panels, across, down;      /* how many */
    int panel_width, panel_height; /* with the caption */
    int width, height;
} sheet;

static sheet plan_sheet(const job *j)
{
    sheet     s = {.scale = 1, .panels = 1};
    const int width = j->about->image_width, height = j->about->image_height;
    if (j->o->scale) s.scale = j->o->scale;
    while (!j->o->scale && width * s.scale < 160) s.scale++; /* small models */
    for (int i = 1; i <= j->about->depth; i++) s.panels += changes(j, i);
    s.letters = width * s.scale >= 12 * CLI_LETTER_WIDTH * 2 ? 2 : 1;
    s.panel_width = width * s.scale;
    s.panel_height = height * s.scale + 2 * (CLI_LETTER_HEIGHT * s.letters + LINE);
    const int most = s.panel_width + GAP < MAX_SHEET ? MAX_SHEET / (s.panel_width + GAP) : 1;
    s.down = (s.panels + most - 1) / most;
    s.across = (s.panels + s.down - 1) / s.down;
    s.width = GAP + s.across * (s.panel_width + GAP);
    s.height = GAP + s.down * (s.panel_height + GAP);
    return s;
}

static style chosen_style(const cli_options *o)
{
    if (!o->style || strcmp(o->style, "tint") == 0) return TINT;
    return strcmp(o->style, "mean") == 0 ? MEAN : BORDER;
}

static vr_status draw(const job *j, FILE *f, vr_error *err)
{
    const sheet s = plan_sheet(j);
    cli_color  *colors = vr_alloc((size_t)j->patches, sizeof *colors);
    int        *sizes = vr_alloc((size_t)j->patches, sizeof *sizes);
    panel       p = {.j = j, .style = chosen_style(j->o), .scale = s.scale, .colors = colors, .sizes = sizes};
    p.canvas = (cli_canvas){vr_alloc(3 * (size_t)s.width, (size_t)s.height), s.width, s.height};
    if (colors && sizes && p.canvas.rgb) {
        cli_fill(&p.canvas, white);
        for (int i = 0, n = 0; i <= j->about->depth; i++) {
            if (i > 0 && !changes(j, i)) continue;
            p.m = &j->maps[i];
            p.left = GAP + n % s.across * (s.panel_width + GAP), p.top = GAP + n / s.across * (s.panel_height + GAP);
            draw_panel(&p, s.letters);
            n++;
        }
        vr_png_write(f, p.canvas.rgb, s.width, s.height, err);
    } else {
        vr_fail(err, VR_E_MEMORY, "memory", "no memory for a picture of %d x %d", s.width, s.height);
    }
    free(colors);
    free(sizes);
    free(p.canvas.rgb);
    if (!err->code && s.panels == 1) cli_note(j->o, "no block merges anything of this picture (%s)", j->about->merge);
    return err->code;
}

/* ---- the command ---- */

static vr_status open_engine(job *j, vr_error *err)
{
    vitrun_options options;
    vitrun_merge   merge = j->o->merge;
    if (cli_engine_options(j->o, &options, err)) return err->code;
    if (!merge.method) {
        merge.method = "mame";
        cli_note(j->o, "no merge given; showing --merge mame");
    }
    options.merge = &merge;
    options.keep_trace = 1;
    if (cli_open(&j->v, j->o, &options, NULL, err)) return err->code;
    j->about = vitrun_about(j->v);
    return VR_OK;
}

static int write_results(const job *j, cli_output *lines, cli_output *picture, vr_error *err)
{
    if (!err->code && j->json) print_json(j, lines->stream);
    if (!err->code && j->png) draw(j, picture->stream, err);
    int code = err->code ? cli_failed(err) : VR_OK;
    if (picture->stream) code = cli_output_end(picture, !err->code, code);
    if (lines->stream) code = cli_output_end(lines, !err->code, code);
    return code;
}

int cmd_tokens(const cli_options *o)
{
    job        j = {.o = o};
    cli_output lines = {0}, picture = {0};
    vr_error   err = {0};
    choose_outputs(&j, &err);
    if (!err.code && j.json) cli_output_open(&lines, j.json_path, &err);
    if (!err.code && j.png) cli_output_open(&picture, j.png_path, &err);
    if (!err.code) open_engine(&j, &err);
    if (!err.code) follow(&j, &err);
    int code = write_results(&j, &lines, &picture, &err);
    free(j.rgb);
    free(j.maps);
    free(j.cells);
    vitrun_close(j.v);
    return code;
}
