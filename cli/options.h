/* The table of commands and the table of flags: parsing, --help and completions are all made from these two. */
#ifndef VR_CLI_OPTIONS_H
#define VR_CLI_OPTIONS_H

#include "cli.h"

/* Commands as bits, so that a flag can say in one word which of them take it. */
enum {
    CLI_CLASSIFY = 1,
    CLI_FORWARD = 2,
    CLI_PIXELS = 4,
    CLI_INFO = 8,
    CLI_DEVICES = 16,
    CLI_BENCH = 32,
    CLI_COMPLETION = 64,
    CLI_VERSION = 128,
    CLI_HELP = 256,
    CLI_EMBED = 512,
    CLI_TOKENS = 1024,
    CLI_EVAL = 2048,
    CLI_REPORT = 4096,
    CLI_TUNE = 8192,
    CLI_CACHE = 16384
};

typedef struct {
    unsigned    bit;
    const char *name, *arguments, *summary; /* "classify", "IMG...", "label pictures" */
    const char *details;                    /* a paragraph for --help */
    const char *examples[2];
    int (*run)(const cli_options *o);
    size_t least, most; /* arguments that are no flags */
} cli_command;

typedef enum {
    CLI_SWITCH,   /* bool */
    CLI_TEXT,     /* const char * */
    CLI_CHOICE,   /* const char *, one word of `choices` */
    CLI_CONSTANT, /* const char *, takes no argument and stores `choices` */
    CLI_INTEGER,  /* int in low .. high */
    CLI_NUMBER,   /* uint64_t */
    CLI_SIZE,     /* uint64_t in low .. high, K, M and G allowed */
    CLI_REAL,     /* double in low .. high */
    CLI_ONOFF     /* bool, "on" or "off"; a second bool before it says that it was given */
} cli_kind;

typedef struct {
    const char *name; /* without the dashes */
    char        letter;
    const char *argument; /* "FILE", NULL for switches */
    const char *help;
    unsigned    commands;
    cli_kind    kind;
    size_t      offset; /* of the value in cli_options */
    double      low, high;
    const char *choices;     /* "auto cpu cuda" */
    const char *environment; /* "VITRUN_DEVICE", or NULL */
} cli_flag;

extern const cli_command cli_commands[]; /* ends with a NULL name */
extern const cli_flag    cli_flags[];    /* ends with a NULL name */

const cli_command *cli_command_find(const char *name);

/* The flag of that name ([length], without the dashes): its row for the command with that bit, else another command's. */
const cli_flag *cli_flag_find(const char *name, size_t length, unsigned command);

/* Put `text`, which is borrowed and which switches do not read, where flag f keeps its value.
 *   source   names it in messages: "--batch" or "VITRUN_BATCH"
 * VR_E_USAGE where it is no value of that flag. */
vr_status cli_flag_set(cli_options *o, const cli_flag *f, const char *source, const char *text, vr_error *err);

/* Fill *o from the words after the command's name.  inputs [argc] becomes o->inputs and must outlive it.
 * *help is set where --help or -h is among them; nothing else is then checked.  VR_E_USAGE. */
vr_status cli_options_parse(cli_options *o, const cli_command *c, int argc, char **argv, char **inputs, bool *help,
                            vr_error *err);

void cli_help(FILE *f, const cli_command *c);       /* everything about one command; NULL: the list of commands */
void cli_help_short(FILE *f, const cli_command *c); /* usage and two examples */

int cli_unknown_command(const char *word); /* says so, names the nearest; returns the exit code */

/* The candidate nearest to `word` where that is near enough to be a slip, else NULL. */
const char *cli_nearest(const char *word, const char *(*candidate)(size_t i, const void *context), const void *context);

#endif
