/* What the commands share: the values of all flags, and the few ways in which they talk. */
#ifndef VR_CLI_H
#define VR_CLI_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "../engine/vitrun.h"
#include "../kernels/base.h"

/* The values of the flags; options.c holds the one table that fills them, prints --help and makes the completions.
 * Text values are NULL, numbers 0 and switches false where the flag was not given, unless said otherwise. */
typedef struct {
    const char *command;
    char      **inputs; /* [input_count] what is no flag, in order */
    size_t      input_count;

    const char *model, *arch;    /* -m --model, --arch */
    bool        random;          /* --random */
    uint64_t    seed;            /* --seed */
    const char *device, *dtype;  /* --device, --dtype (--fp16 sets f16); default "auto" */
    const char *batch, *threads; /* -b --batch, -t --threads: lists and ranges for bench, one number elsewhere */
    const char *img_size;        /* --img-size N or HxW */
    const char *data_dir;        /* --data-dir */
    bool        strict;          /* --strict */
    bool        allow_nonfinite; /* --allow-nonfinite */

    const char *output, *format; /* -o --output FILE|-, -f --format */
    bool        json;            /* --json */
    int         topk;            /* -k --topk, default 5 */
    const char *files_from;      /* --files-from FILE|- : more inputs, one a line or NUL-separated */
    bool        quiet, verbose;  /* -q, -v */
    bool        no_progress;     /* --no-progress */
    const char *color;           /* --color auto|always|never, default "auto" */

    const char *recipe;           /* --recipe NAME|all */
    bool        exif_given, exif; /* --exif on|off */
    bool        allow_truncated;  /* --allow-truncated */
    const char *formats;          /* --formats LIST */
    uint64_t    max_file_size;    /* --max-file-size BYTES (K, M, G suffixes) */
    uint64_t    max_pixels;       /* --max-pixels */
    int         max_side;         /* --max-side */
    uint64_t    max_header;       /* --max-header */

    const char *input;       /* forward --input */
    bool        blocks;      /* forward --blocks */
    int         repetitions; /* bench -r, default 10 */
    double      min_seconds; /* bench --min-seconds, default 1 */
    bool        digest;      /* bench --digest */
} cli_options;

/* One function a command.  Each returns the exit code. */
int cmd_classify(const cli_options *o);
int cmd_forward(const cli_options *o);
int cmd_pixels(const cli_options *o);
int cmd_info(const cli_options *o);
int cmd_devices(const cli_options *o);
int cmd_bench(const cli_options *o);
int cmd_completion(const cli_options *o);

/* "vitrun: SENTENCE" on stderr; returns the code. */
int  cli_error(int code, const char *sentence);
void cli_note(const cli_options *o, const char *format, ...) __attribute__((format(printf, 2, 3))); /* silent with -q */

/* The names in o->inputs with folders walked (recursively, sorted, only names with a picture's ending), @lists and
 * --files-from read.  *names [*count] is the caller's: free each and the list.  VR_E_USAGE, VR_E_IO, VR_E_MEMORY. */
vr_status cli_expand_inputs(const cli_options *o, char ***names, size_t *count, vr_error *err);

/* A stream for results: stdout, or a file that gets its name only in cli_output_close with keep, so that a half-written
 * one never carries it. */
typedef struct {
    FILE *stream;
    char *path, *temporary; /* NULL for stdout */
} cli_output;
vr_status cli_output_open(cli_output *out, const char *path, vr_error *err); /* NULL or "-": stdout */
vr_status cli_output_close(cli_output *out, bool keep, vr_error *err);       /* flushes; reports a full disk */

/* Text for machines. */
void cli_json_string(FILE *f, const char *text); /* with quotes; bytes that are no UTF-8 become U+FFFD */
void cli_json_number(FILE *f, double x);         /* 9 significant digits, null where not finite, never a decimal comma */
void cli_csv_field(FILE *f, const char *text);   /* quoted per RFC 4180 where needed */

/* Ctrl-C and SIGTERM set this; commands look at it between pictures, flush, and return 130 or 143. */
extern volatile int cli_stop_signal;

/* A bar on stderr where that is a terminal, a line every ten seconds elsewhere, nothing with -q or --no-progress. */
typedef struct {
    const cli_options *o;
    const char        *what;
    size_t             total;
    double             started, drawn;
    bool               bar;
} cli_progress;
void cli_progress_start(cli_progress *p, const cli_options *o, const char *what, size_t total);
void cli_progress_show(cli_progress *p, size_t done); /* at most ten times a second */
void cli_progress_end(cli_progress *p);

/* The options of vitrun_open that the flags say; *err is set where one of them makes no sense. */
vr_status cli_engine_options(const cli_options *o, vitrun_options *out, vr_error *err);

#endif
