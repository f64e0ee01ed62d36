/* token_svg.c: the sheet as vectors.  The photograph is there once; each panel shows it again, under one path a group. */
#include "../loaders/png_write.h"
#include "tokens.h"

#include <stdlib.h>
#include <string.h>

/* ---- the photograph ---- */

static void print_base64(FILE *f, const uint8_t *bytes, size_t length)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < length; i += 3) {
        const size_t   n = length - i < 3 ? length - i : 3;
        const uint32_t b = (uint32_t)bytes[i] << 16 | (n > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) | (n > 2 ? bytes[i + 2] : 0);
        for (size_t k = 0; k < 4; k++) fputc(k <= n ? digits[b >> (18 - 6 * k) & 63] : '=', f);
    }
}

static vr_status print_photo(const cli_sheet *s, FILE *f, vr_error *err)
{
    char  *png = NULL;
    size_t length = 0;
    FILE  *memory = open_memstream(&png, &length);
    if (!memory) return vr_fail(err, VR_E_MEMORY, "memory", "no memory for the photograph");
    vr_png_write(memory, s->scene->rgb, s->scene->width, s->scene->height, err);
    if (fclose(memory) && !err->code) vr_fail(err, VR_E_MEMORY, "memory", "no memory for the photograph");
    if (!err->code) {
        fprintf(
            f,
            "<defs><image id=\"photo\" width=\"%d\" height=\"%d\" preserveAspectRatio=\"none\"%s href=\"data:image/png;base64,",
            s->picture_width, s->picture_height, s->side > s->scene->patch ? " style=\"image-rendering:pixelated\"" : "");
        print_base64(f, (const uint8_t *)png, length);
        fputs("\"/></defs>\n", f);
    }
    free(png);
    return err->code;
}

/* ---- outlines: a group lies to the right of its edges ---- */

typedef enum { EAST, SOUTH, WEST, NORTH } heading;
static const int step_x[4] = {1, 0, -1, 0}, step_y[4] = {0, 1, 0, -1};

typedef struct {
    cli_sheet *sheet;
    cli_map    map;
    bool      *walked; /* [rows + 1, cols + 1] edges to the east that an outline has used */
    FILE      *f;
} outliner;

static int group_at(const outliner *o, int x, int y)
{
    const cli_scene *s = o->sheet->scene;
    return x < 0 || y < 0 || x >= s->cols || y >= s->rows ? -2 : o->map.group[y * s->cols + x];
}

/* The groups on both sides of the edge that leaves corner (x, y). */
static int right_of(const outliner *o, int x, int y, heading h)
{
    return group_at(o, x - (h == SOUTH || h == WEST), y - (h == WEST || h == NORTH));
}
static int left_of(const outliner *o, int x, int y, heading h)
{
    return group_at(o, x - (h == WEST || h == NORTH), y - (h == EAST || h == NORTH));
}
static bool is_edge(const outliner *o, int g, int x, int y, heading h)
{
    return right_of(o, x, y, h) == g && left_of(o, x, y, h) != g;
}

static bool *walked_at(const outliner *o, int x, int y) { return &o->walked[y * (o->sheet->scene->cols + 1) + x]; }

/* Once around, from a corner with an edge to the east.  Where two patches touch at a corner, a turn to the right keeps them
 * apart; the loop may come by its first corner on another way. */
static void print_loop(const outliner *o, int g, int x, int y)
{
    const int side = o->sheet->side, first_x = x, first_y = y;
    heading   h = EAST;
    bool      closed = false;
    fprintf(o->f, "M%d %d", x * side, y * side);
    while (!closed) {
        const heading now = h, right = (h + 1) % 4, left = (h + 3) % 4;
        int           length = 0;
        do {
            if (now == EAST) *walked_at(o, x, y) = true;
            x += step_x[now], y += step_y[now];
            length++;
        } while (!is_edge(o, g, x, y, right) && is_edge(o, g, x, y, now));
        h = is_edge(o, g, x, y, right) ? right : left;
        closed = x == first_x && y == first_y && h == EAST;
        if (!closed) fprintf(o->f, "%c%d", now % 2 ? 'v' : 'h', (step_x[now] + step_y[now]) * length * side);
    }
    fputc('z', o->f);
}

static void print_outline(const outliner *o, int g)
{
    const cli_scene *s = o->sheet->scene;
    memset(o->walked, 0, (size_t)((s->rows + 1) * (s->cols + 1)) * sizeof *o->walked);
    for (int y = 0; y <= s->rows; y++)
        for (int x = 0; x <= s->cols; x++)
            if (is_edge(o, g, x, y, EAST) && !*walked_at(o, x, y)) print_loop(o, g, x, y);
}

/* Straight pieces along the edges of group g that face other groups, their middle `inset` pixels inside; those in one
 * direction, which begin where the one before ended, are one piece. */
static void print_borders(const outliner *o, int g, double inset)
{
    const cli_scene *s = o->sheet->scene;
    const int        side = o->sheet->side;
    for (int h = EAST; h <= NORTH; h++) {
        const double dx = -inset * step_y[h], dy = inset * step_x[h];
        for (int y = 0; y <= s->rows; y++)
            for (int x = 0; x <= s->cols; x++) {
                int n = 0, at_x = x, at_y = y;
                if (is_edge(o, g, x - step_x[h], y - step_y[h], (heading)h) &&
                    left_of(o, x - step_x[h], y - step_y[h], (heading)h) != -2)
                    continue;
                for (; is_edge(o, g, at_x, at_y, (heading)h) && left_of(o, at_x, at_y, (heading)h) != -2; n++)
                    at_x += step_x[h], at_y += step_y[h];
                if (n)
                    fprintf(o->f, "M%g %g%c%d", x * side + dx, y * side + dy, h % 2 ? 'v' : 'h',
                            (step_x[h] + step_y[h]) * n * side);
            }
    }
}

/* ---- panels ---- */

static void print_text(FILE *f, const char *text)
{
    for (const char *p = text; *p; p++) {
        if (*p == '<' || *p == '&')
            fputs(*p == '<' ? "&lt;" : "&amp;", f);
        else
            fputc(*p, f);
    }
}

/* The monospaced letters are as wide as those of the PNG. */
static void print_line(FILE *f, int left, int top, int letters, const char *text)
{
    if (!text[0]) return;
    fprintf(f, "<text x=\"%d\" y=\"%d\" font-size=\"%d\">", left, top + 7 * letters, 10 * letters);
    print_text(f, vr_quotez(text).text);
    fputs("</text>\n", f);
}

static void print_color(FILE *f, const char *property, cli_color c)
{
    fprintf(f, " %s=\"#%02x%02x%02x\"", property, c.r, c.g, c.b);
}

/* "token 12: 5 patches" */
static void print_title(const outliner *o, int g)
{
    const cli_scene *s = o->sheet->scene;
    int              patches = 0, token = -1;
    for (int i = 0; i < s->patches; i++)
        if (o->map.group[i] == g) patches++, token = o->map.token[i];
    fputs("<title>", o->f);
    if (token < 0)
        fputs("dropped", o->f);
    else
        fprintf(o->f, "token %d", token);
    fprintf(o->f, ": %d patch%s</title>", patches, patches == 1 ? "" : "es");
}

static void print_group(const outliner *o, int g)
{
    const cli_paint paint = cli_group_paint(o->sheet, &o->map, g);
    if (paint.share == 0 && !paint.reach) return;
    fputs("<path", o->f);
    print_color(o->f, "fill", paint.color);
    if (paint.share < 1) fprintf(o->f, " fill-opacity=\"%g\"", paint.share);
    fputs(" d=\"", o->f);
    print_outline(o, g);
    fputs("\">", o->f);
    print_title(o, g);
    fputs("</path>\n", o->f);
    if (!paint.reach) return;
    fprintf(o->f, "<path fill=\"none\" pointer-events=\"none\" stroke-width=\"%d\"", paint.reach);
    print_color(o->f, "stroke", paint.line);
    fputs(" d=\"", o->f);
    print_borders(o, g, 0.5 * paint.reach);
    fputs("\"/>\n", o->f);
}

static bool has_group(const outliner *o, int g)
{
    if (g >= 0) return o->sheet->sizes[g] > 0;
    for (int i = 0; i < o->sheet->scene->patches; i++)
        if (o->map.group[i] < 0) return true;
    return false;
}

static void print_panel(outliner *o, const cli_panel *p)
{
    o->map = *p->map;
    fprintf(o->f, "<g transform=\"translate(%d %d)\"><use href=\"#photo\"/>\n", p->left, p->top);
    for (int g = -1; g < o->sheet->scene->patches && p->map->block >= 0; g++)
        if (has_group(o, g)) print_group(o, g);
    fputs("</g>\n", o->f);
    for (int i = 0; i < 2; i++) print_line(o->f, p->left, cli_caption_top(o->sheet, p, i), o->sheet->letters, p->caption[i]);
}

static void print_sheet(outliner *o)
{
    cli_sheet *s = o->sheet;
    for (size_t i = 0; i < s->scene->count; i++) {
        if (s->label_height) print_line(o->f, CLI_GAP, cli_label_top(s, i), 2, s->scene->settings[i].name);
        for (int n = 0; n < s->panels; n++) {
            const cli_panel p = cli_sheet_panel(s, i, n);
            print_panel(o, &p);
        }
    }
}

vr_status cli_token_svg(cli_sheet *s, FILE *f, vr_error *err)
{
    outliner o = {.sheet = s, .f = f};
    o.walked = vr_alloc((size_t)s->scene->rows + 1, (size_t)s->scene->cols + 1);
    if (!o.walked) return vr_fail(err, VR_E_MEMORY, "memory", "no memory for outlines");
    fprintf(f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
            "font-family=\"monospace\" fill=\"#1e1e1e\">\n<title>tokens after ",
            s->width, s->height, s->width, s->height);
    print_text(f, vr_quotez(s->scene->settings[0].name).text);
    if (s->scene->count > 1) fprintf(f, " and %zu other settings", s->scene->count - 1);
    fputs("</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n", f);
    if (print_photo(s, f, err) == VR_OK) {
        print_sheet(&o);
        fputs("</svg>\n", f);
    }
    free(o.walked);
    return err->code;
}
