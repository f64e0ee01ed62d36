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
    const char *device, *dtype;  /* --device, --dtype (--fp16 sets f16, --bf16 bf16); NULL: not said, which means auto */
    bool        deterministic;   /* --deterministic */
    const char *batch, *threads; /* -b --batch, -t --threads: lists and ranges for bench, one number elsewhere */
    const char *max_batch;       /* --max-batch N, or auto */
    int         lanes;           /* --lanes; 0: chosen */
    const char *img_size;        /* --img-size N or HxW */
    const char *data_dir;        /* --data-dir */
    bool        strict;          /* --strict */
    bool        allow_nonfinite; /* --allow-nonfinite */

    vitrun_merge merge; /* --merge, --tau and the like, as words; none given: all NULL */

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

    const char *pool;                              /* embed --pool */
    bool        normalize;                         /* embed --normalize */
    const char *style;                             /* tokens --style */
    double      scale;                             /* tokens --scale, 0: chosen */
    const char *grid, *panels;                     /* tokens --grid, --panels */
    const char *imagenet;                          /* eval --imagenet */
    const char *labels, *labels_order, *class_map; /* eval --labels and the like */
    const char *devkit_map;                        /* eval --devkit-map */
    const char *real_labels, *valid_labels;        /* eval --real-labels, --valid-labels */
    const char *compare, *differences;             /* eval --compare, --differences */
    int         limit;                             /* eval --limit; 0: all */
    const char *shuffle;                           /* eval --shuffle SEED */
    const char *predictions, *state;               /* eval --predictions, --state */
    bool        agreement, no_timing;              /* eval --agreement, --no-timing */
    const char *sweep;                             /* eval --sweep */
    const char *verify;                            /* cache --verify FILE */
    double      target_gmacs, target_speed;        /* tune --target-...; 0: not given */
    double      target_agreement;                  /* in per cent */
    bool        per_block;                         /* tune --per-block */
    const char *save;                              /* tune --save FILE */

    const char *input;       /* forward --input */
    bool        blocks;      /* forward --blocks */
    int         repetitions; /* bench -r, default 10 */
    double      min_seconds; /* bench --min-seconds, default 1 */
    bool        digest;      /* bench --digest */
    bool        synthetic;   /* bench --synthetic */
    bool        kernels;     /* bench --kernels */
    const char *end_to_end;  /* bench --end-to-end DIR */
} cli_options;

/* One function a command.  Each returns the exit code. */
int cmd_classify(const cli_options *o);
int cmd_embed(const cli_options *o);
int cmd_tokens(const cli_options *o);
int cmd_tune(const cli_options *o);
int cmd_eval(const cli_options *o);
int cmd_cache(const cli_options *o);
int cmd_report(const cli_options *o);
int cmd_forward(const cli_options *o);
int cmd_pixels(const cli_options *o);
int cmd_info(const cli_options *o);
int cmd_devices(const cli_options *o);
int cmd_bench(const cli_options *o);
int cmd_completion(const cli_options *o);

/* "vitrun: SENTENCE" on stderr; returns the code. */
int  cli_error(int code, const char *sentence);
void cli_note(const cli_options *o, const char *format, ...) __attribute__((format(printf, 2, 3))); /* silent with -q */

int  cli_failed(const vr_error *err); /* the same for an error at hand; quiet where it only says that stdout is closed */
bool cli_colored(const cli_options *o, FILE *f); /* --color, NO_COLOR, TERM=dumb, and whether f is a terminal */

enum { CLI_EXIT_SOME = 1, CLI_EXIT_CLOSED = 141 }; /* exit codes that no vr_status has: some inputs failed; stdout closed */

/* The names in o->inputs with folders walked (recursively, sorted, only names with a picture's ending), @lists and
 * --files-from read.  *names [*count] is the caller's, also for cli_inputs_free; count is at least 1 after VR_OK.
 * VR_E_USAGE, VR_E_IO, VR_E_MEMORY, and VR_E_IMAGE where folders and lists name no picture at all. */
vr_status cli_expand_inputs(const cli_options *o, char ***names, size_t *count, vr_error *err);
void      cli_inputs_free(char **names, size_t count);

/* A stream for results: stdout, or a file that gets its name only in cli_output_close with keep, so that a half-written
 * one never carries it. */
typedef struct {
    FILE *stream;
    char *path, *temporary; /* NULL for stdout */
    int   reason;           /* errno of the first write that failed */
} cli_output;
vr_status cli_output_open(cli_output *out, const char *path, vr_error *err); /* NULL or "-": stdout */
vr_status cli_output_probe(const char *path,
                           vr_error   *err);   /* that it cannot be written should be known before hours of work */
bool      cli_output_flush(cli_output *out); /* false: no more can be written */
vr_status cli_output_close(cli_output *out, bool keep, vr_error *err); /* flushes; reports a full disk */
int       cli_output_end(cli_output *out, bool keep, int code);        /* closes; `code`, or 5 or 141 with a sentence */
void      cli_output_abandon(void);                                    /* from a signal handler, before _exit */

/* Text for machines. */
void cli_json_string(FILE *f, const char *text); /* with quotes; bytes that are no UTF-8 become U+FFFD */
void cli_json_file(FILE *f, const char *path);   /* {"file":"PATH", and "file_hex" where JSON cannot hold the name */
void cli_json_number(FILE *f, double x);         /* 9 significant digits, null where not finite, never a decimal comma */
void cli_csv_field(FILE *f, const char *text);   /* quoted per RFC 4180 where needed */

/* Text for people: control bytes and bytes that are no UTF-8 become \xNN; padded with spaces to `columns`, never cut. */
void   cli_print_padded(FILE *f, const char *text, size_t columns);
size_t cli_columns(const char *text); /* on a terminal, as cli_print_padded writes it; wide characters count two */

/* Ctrl-C and SIGTERM set this; commands look at it between pictures, flush, and return 130 or 143. */
extern volatile int cli_stop_signal;

/* A bar on stderr where that is a terminal, a line every ten seconds elsewhere, nothing with -q or --no-progress. */
typedef struct {
    const cli_options *o;
    const char        *what;
    size_t             total;
    double             started, drawn;
    bool               bar, silent;
} cli_progress;
void cli_progress_start(cli_progress *p, const cli_options *o, const char *what, size_t total);
void cli_progress_show(cli_progress *p, size_t done); /* at most ten times a second */
void cli_progress_end(cli_progress *p);
void cli_progress_hide(void); /* before anything else is written to stderr */

/* The options of vitrun_open that the flags say; *err is set where one of them makes no sense. */
vr_status cli_engine_options(const cli_options *o, vitrun_options *out, vr_error *err);

/* vitrun_open; where the flags name no model, with the demonstration model that comes with vitrun, said on stderr.
 *   implicit   set to whether that was so; may be NULL */
vr_status cli_open(vitrun **v, const cli_options *o, vitrun_options *options, bool *implicit, vr_error *err);

/* A note where memory was short (vitrun_about's why_smaller), once: cli_open says it, and who adds a way of merging. */
void cli_say_memory(const cli_options *o, const vitrun *v);

/* The folder of the demonstration model: in the build tree that the program lies in, else where `make install` put it. */
vr_status cli_default_model(const char **path, vr_error *err);

/* The photographs that come with vitrun, found in the same way; the names live as long as the program.  VR_E_IMAGE. */
enum { CLI_DEFAULT_PICTURES = 2 };
vr_status cli_default_pictures(char *path[CLI_DEFAULT_PICTURES], vr_error *err);

/* One whole number in low .. high; false, and *out untouched, where text is anything else. */
bool cli_number(int *out, const char *text, int low, int high);

/* A list such as "1,2,4", "1-8", "2-8+2" or "1-64*2": values [*count] in low .. high, the caller's to free.  VR_E_USAGE. */
vr_status cli_numbers(int **values, size_t *count, const char *text, const char *flag, int low, int high, vr_error *err);

/* What machine this is. */
typedef struct {
    char     cpu[128]; /* "AMD EPYC 9B14" */
    int      cores;    /* this process may use */
    uint64_t memory, memory_free;
} cli_machine;
cli_machine cli_machine_read(void);
uint64_t    cli_peak_bytes(void); /* the most memory that this process ever held */

#endif
