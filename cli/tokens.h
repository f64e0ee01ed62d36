/* The parts of `vitrun tokens`: what merging did to a picture (token_maps.c), where its panels lie and how their groups are
 * painted (token_sheet.c), and the two ways of drawing them (token_png.c, token_svg.c). */
#ifndef VR_CLI_TOKENS_H
#define VR_CLI_TOKENS_H

#include "canvas.h"
#include "cli.h"

/* What is known after a block. */
typedef struct {
    int  block, tokens; /* -1: before block 0 */
    int *token, *group; /* [patches] as in vitrun_token_map */
} cli_map;

/* What one merge setting did. */
typedef struct {
    char     name[256]; /* "mame_l0-7_t0.8" */
    cli_map *maps;      /* [depth + 1], the first is the picture before block 0 */
    int     *cells;     /* what the maps point into */
} cli_maps;

typedef struct {
    int       patch, rows, cols, patches, depth;
    uint8_t  *rgb; /* [height, width, 3] the same for eyes */
    int       height, width;
    cli_maps *settings; /* [count] */
    size_t    count;
} cli_scene;

/* Run the picture o->inputs[0], which is read once, with each of the settings merge [count].  VR_OK too, with fewer settings, where
 * cli_stop_signal was set meanwhile.  cli_scene_free also after a failure. */
vr_status cli_scene_make(cli_scene *s, const cli_options *o, const vitrun_merge *merge, size_t count, vr_error *err);
void      cli_scene_free(cli_scene *s);

/* Does block i of that setting change what map i (of depth + 1, from 1) shows? */
bool cli_scene_changes(const cli_scene *s, size_t setting, int i);

typedef enum { CLI_TINT, CLI_MEAN, CLI_BORDER } cli_style;

enum { CLI_GAP = 8, CLI_LINE = 4 }; /* pixels between panels, and above a line of text */

/* Panels side by side, in rows of one length as far as that goes; of several settings, each begins a row of its own, and the
 * same block stands in the same place. */
typedef struct {
    const cli_scene *scene;
    cli_style        style;
    int              side;          /* pixels drawn for a patch, which is square */
    int              letters;       /* size of captions, 1 or 2 */
    int             *shown;         /* [panels] index into maps, the first is 0: the picture */
    int              panels;        /* of one setting */
    int              across, lines; /* ... and their arrangement */
    int              picture_width, picture_height;
    int              panel_height;  /* with the caption */
    int              label_height;  /* above each setting; 0 where there is one setting */
    int              width, height; /* of all */
    cli_color       *colors;        /* [patches] of each group of the panel at hand */
    int             *sizes;         /* [patches] patches of each group */
} cli_sheet;

/* VR_E_USAGE where o->panels names no block or the sheet would be huge, VR_E_MEMORY.  cli_sheet_free also then. */
vr_status cli_sheet_plan(cli_sheet *s, const cli_scene *scene, const cli_options *o, vr_error *err);
void      cli_sheet_free(cli_sheet *s);

typedef struct {
    const cli_map *map;
    int            left, top;
    char           caption[2][32];
} cli_panel;

/* Panel number n of a setting; the sheet's colors and sizes become those of its groups. */
cli_panel cli_sheet_panel(cli_sheet *s, size_t setting, int n);

/* How the patches of a group are painted, and the lines along its borders: inside them, never along the picture's edge. */
typedef struct {
    cli_color color, line;
    double    share; /* of the colour; the photograph has the rest */
    int       reach; /* width of the lines, in pixels; 0: none */
} cli_paint;
cli_paint cli_group_paint(const cli_sheet *s, const cli_map *map, int group); /* -1: patches that were dropped */

/* The top of a line (0, 1) of a panel's caption, which begins at its left edge, and of a setting's label, at CLI_GAP. */
int cli_caption_top(const cli_sheet *s, const cli_panel *p, int line);
int cli_label_top(const cli_sheet *s, size_t setting);

/* Draw it.  VR_E_MEMORY, VR_E_IO where the stream takes no more; the stream stays open. */
vr_status cli_token_png(cli_sheet *s, FILE *f, vr_error *err);
vr_status cli_token_svg(cli_sheet *s, FILE *f, vr_error *err);

#endif
