/* progress.c: how far it is, on stderr. */
#include "cli.h"

#include <sys/ioctl.h>
#include <unistd.h>

static bool bar_shown; /* a bar stands on the terminal's last line */

static int terminal_columns(void)
{
    struct winsize w;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col >= 20 ? w.ws_col : 80;
}

void cli_progress_hide(void)
{
    if (bar_shown) fputs("\r\033[K", stderr);
    bar_shown = false;
}

void cli_progress_start(cli_progress *p, const cli_options *o, const char *what, size_t total)
{
    double now = vr_now();
    *p = (cli_progress){.o = o, .what = what, .total = total, .started = now, .drawn = now};
    p->silent = o->quiet || o->no_progress || total == 0;
    p->bar = !p->silent && isatty(STDERR_FILENO);
}

static void draw(const cli_progress *p, size_t done, double seconds)
{
    char   words[120];
    double rate = seconds > 0 ? (double)done / seconds : 0;
    double left = rate > 0 ? (double)(p->total - done) / rate : 0;
    int    length = snprintf(words, sizeof words, " %zu/%zu %s, %.1f/s, %.0f s left", done, p->total, p->what, rate, left);
    if (!p->bar) {
        fprintf(stderr, "vitrun:%s\n", words);
        return;
    }
    int room = terminal_columns() - length - 3;
    if (room > 40) room = 40;
    int full = room > 0 ? (int)((double)room * (double)done / (double)p->total) : 0;
    fputs("\r[", stderr);
    for (int i = 0; i < room; i++) fputc(i < full ? '#' : '.', stderr);
    fprintf(stderr, "]%s\033[K", words);
    fflush(stderr);
    bar_shown = true;
}

void cli_progress_show(cli_progress *p, size_t done)
{
    double now = vr_now();
    if (p->silent || now - p->drawn < (p->bar ? 0.1 : 10)) return;
    p->drawn = now;
    if (done <= p->total) draw(p, done, now - p->started);
}

void cli_progress_end(cli_progress *p)
{
    if (p->bar) cli_progress_hide();
}
