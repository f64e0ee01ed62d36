/* What the files of report share: results as they were read, the sections that compare like with like, and how they are
 * drawn and told.  Numbers that a result does not have are NAN, counts -1, texts "". */
#ifndef VR_CLI_REPORT_H
#define VR_CLI_REPORT_H

#include "../loaders/json.h"
#include "../loaders/sha256.h"
#include "cli.h"

/* What was measured with: results that differ in one of these do not share a figure. */
typedef enum {
    SAID_MODEL,
    SAID_SIZE,
    SAID_RECIPE,
    SAID_EXIF,
    SAID_DATASET,
    SAID_LAYOUT,
    SAID_WANTED,
    SAID_DEVICE,
    SAID_CPU,
    SAID_ISA,
    SAID_DTYPE,
    SAID_THREADS,
    SAID_VERSION,
    SAIDS
} report_said;
const char *report_said_words(report_said i); /* "data set" */

typedef enum {
    METHOD_NONE,
    METHOD_TOME,
    METHOD_EVIT,
    METHOD_DIFFRATE,
    METHOD_MAME,
    METHOD_MAME_MASS,
    METHOD_OTHER,
    METHODS
} report_method;
report_method report_method_of(const char *merge);

/* One result: one setting of merging. */
typedef struct {
    const char *merge;                                                 /* its name; the file's document owns it */
    char       *said[SAIDS];                                           /* the row owns them */
    size_t      file;                                                  /* it came from */
    double      top1, top1_low, top1_high, top5, agreement, mcnemar_p; /* percent, p a share */
    double      gmacs, merge_gmacs;                                    /* a picture's; gmacs holds merge_gmacs */
    double      infer_ms, speedup;                                     /* speedup: measured beside the unmerged model */
    int64_t     images, skipped, agree, only_merged, only_unmerged;
    bool        partial;
    double     *tokens; /* [blocks] that left each, mean over pictures */
    int         blocks;
    size_t      given, section; /* places among the inputs and in the report */
    char        variant[64];    /* what sets it apart within its method: "fused", "forced-merge prop-off", or "" */
} report_row;

typedef struct {
    const char    *path; /* as given */
    size_t         bytes, rows;
    vr_sha256_text hash;
    vr_json       *doc;
} report_file;

/* Neighbouring rows of one method and variant, the dearest first. */
typedef struct {
    const report_row *row;
    size_t            rows;
    report_method     method;
    int               variant; /* 0: the method as it is; else its number among the method's */
    bool              joined;  /* by a line */
} report_curve;

typedef enum { SPEED_UNKNOWN, SPEED_UP, SPEED_RATE } report_speed; /* times the unmerged model's; pictures a second */

typedef struct {
    const report_row *row;
    size_t            rows;
    const report_row *base; /* the unmerged model, or NULL */
    report_curve     *curve;
    size_t            curves;
    report_speed      speed;       /* what all of its rows have, or most of them */
    int               blocks, cut; /* of the tokens; the last `cut` blocks hold special tokens only */
} report_section;

typedef struct {
    report_file    *file;
    size_t          files;
    report_row     *row;
    size_t          rows;
    report_section *section;
    size_t          sections;
} report;

/* Read all inputs.  VR_E_IO, VR_E_MEMORY; VR_E_USAGE where a file holds no results of eval, or one is given twice. */
vr_status report_read(report *r, char *const *paths, size_t count, vr_error *err);
vr_status report_arrange(report *r, vr_error *err); /* into sections and curves; VR_E_MEMORY */
void      report_free(report *r);

/* The x and y of the figures; NAN where the row cannot be drawn. */
double report_top1(const report_section *s, const report_row *row);
double report_agreement(const report_section *s, const report_row *row);
double report_gmacs(const report_section *s, const report_row *row);
double report_speed_of(const report_section *s, const report_row *row);                /* as s->speed says */
double report_speedup(const report_section *s, const report_row *row, bool *together); /* together: measured in one run */
double report_share(const report_section *s, const report_row *row); /* of the saved arithmetic that became speed */

/* ---- drawing; everything is complete SVG elements, classes are those of report_svg_style ---- */

extern const char report_svg_style[];

typedef struct {
    const char *name;
    double (*of)(const report_section *s, const report_row *row);
    double span, least, most; /* for report_scale_make */
} report_axis;

/* A figure of all curves; `standalone` makes it a file of its own. */
void report_figure(FILE *f, const report_section *s, const report_axis *x, const report_axis *y, bool standalone);
void report_tokens_figure(FILE *f, const report_section *s, const report_curve *c);
bool report_drawable(const report_section *s, const report_axis *x, const report_axis *y); /* two points at least */
extern const report_axis report_axis_gmacs, report_axis_speedup, report_axis_rate, report_axis_top1, report_axis_agreement;

/* One text of a curve for people: "mame, forced-merge". */
typedef struct {
    char text[96];
} report_words;
report_words report_curve_name(const report_curve *c);
report_words report_point_label(const report_curve *c, const report_row *row); /* what differs along the curve: "t0.8" */
void         report_point_title(FILE *f, const report_section *s, const report_row *row); /* all numbers, for hovering */

/* ---- telling ---- */

void report_escape(FILE *f, const char *text); /* for HTML, SVG and quoted attributes */
void report_heading(FILE *f, const report_section *s, void (*escape)(FILE *f, const char *text));
void report_table_html(FILE *f, const report_section *s);
void report_markdown(FILE *f, const report *r);
void report_page(FILE *f, const report *r);

#endif
