/* talk.c: what is said on stderr. */
#include "cli.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int cli_error(int code, const char *sentence)
{
    cli_progress_hide();
    fprintf(stderr, "vitrun: %s\n", sentence);
    return code;
}

int cli_failed(const vr_error *err)
{
    if (err->rule && strcmp(err->rule, "closed") == 0) return CLI_EXIT_CLOSED; /* `vitrun ... | head` is no news */
    return cli_error((int)err->code, err->text);
}

void cli_note(const cli_options *o, const char *format, ...)
{
    if (o->quiet) return;
    cli_progress_hide();
    va_list args;
    va_start(args, format);
    fputs("vitrun: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

bool cli_colored(const cli_options *o, FILE *f)
{
    if (o->color && strcmp(o->color, "always") == 0) return true;
    if (o->color && strcmp(o->color, "never") == 0) return false;
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    return !(no_color && no_color[0]) && term && strcmp(term, "dumb") != 0 && isatty(fileno(f));
}
