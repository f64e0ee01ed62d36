/* Several merge settings in one line, for commands that compare them:
 *
 *     none; mame tau=0.7|0.8|0.9; tome r=8..16:4; evit keep=0.7 fuse
 *
 * Settings are separated by semicolons.  Each is a method, a schedule's name or file, and words KEY=VALUE, where KEY is
 * what the merge flags are called without their dashes; switches (fuse) are words without a value.  A value may be a list
 * a|b|c whose items may be ranges a..b:step, both ends included; each list multiplies the settings, the last one changing
 * fastest.  Without a method, a setting goes on from another one: that of the command line; where all name theirs, there
 * must be none, since nobody would heed it. */
#ifndef VR_CLI_SWEEP_H
#define VR_CLI_SWEEP_H

#include "cli.h"

enum { CLI_SWEEP_MOST = 100 }; /* settings of one line */

typedef struct {
    vitrun_merge *merge; /* [count] in the order in which they were written */
    size_t        count; /* 1 .. CLI_SWEEP_MOST */
    char         *words; /* what the strings of `merge` point into */
} cli_sweep;

/* Read `text`.  Each setting is checked as the flags are: a word that its method would ignore is refused.
 *   base   what settings without a method go on from; its strings are borrowed, and must outlive *out
 * VR_E_USAGE, VR_E_MEMORY; *out is empty after a failure.  cli_sweep_free releases it. */
vr_status cli_sweep_parse(cli_sweep *out, const char *text, const vitrun_merge *base, vr_error *err);
void      cli_sweep_free(cli_sweep *s); /* an empty one is allowed */

#endif
