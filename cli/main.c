/* main.c: picks the command, and sees that the program leaves well. */
#include "options.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What runs when asked to stop may finish its batch, but not take for ever over it. */
enum { GRACE_SECONDS = 20 };

static void stop(int signal_number)
{
    if (cli_stop_signal) { /* asked twice, or the time is up: at once */
        cli_output_abandon();
        _exit(128 + cli_stop_signal);
    }
    cli_stop_signal = signal_number;
    alarm(GRACE_SECONDS);
}

static void signals(void)
{
    struct sigaction on_stop = {.sa_handler = stop}, ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGINT, &on_stop, NULL);
    sigaction(SIGTERM, &on_stop, NULL);
    sigaction(SIGALRM, &on_stop, NULL);
    sigaction(SIGPIPE, &ignore, NULL); /* the write fails with EPIPE, and cli_output_end sees it */
    sigaction(SIGXFSZ, &ignore, NULL); /* likewise with EFBIG */
}

/* A closed descriptor 0, 1 or 2 would be given to the next file that is opened, and results written into it.  Read-only
 * (write-only for 0), so that its use still fails. */
static void hold_descriptors(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd) _exit(VR_E_IO);
}

static int usage(const char *word)
{
    if (!word) {
        cli_help_short(stderr, NULL);
        return VR_E_USAGE;
    }
    char sentence[256];
    snprintf(sentence, sizeof sentence, "the command comes first, before %s; see vitrun --help", vr_quotez(word).text);
    return cli_error(VR_E_USAGE, sentence);
}

static bool wants_inputs(const cli_options *o, unsigned command)
{
    return o->input_count == 0 && !o->files_from && (command & (CLI_CLASSIFY | CLI_PIXELS));
}

static int run(const cli_command *c, int argc, char **argv)
{
    char **inputs = calloc((size_t)argc + 1, sizeof *inputs);
    if (!inputs) return cli_error(VR_E_MEMORY, "no memory for the command line");
    cli_options o;
    vr_error    err = {0};
    bool        help;
    int         code = VR_OK;
    if (cli_options_parse(&o, c, argc, argv, inputs, &help, &err)) {
        code = cli_failed(&err);
    } else if (help) {
        cli_output out = {.stream = stdout};
        cli_help(out.stream, c);
        code = cli_output_end(&out, true, VR_OK);
    } else if (o.input_count < c->least || wants_inputs(&o, c->bit)) {
        cli_help_short(stderr, c);
        code = VR_E_USAGE;
    } else {
        code = c->run(&o);
    }
    free(inputs);
    return code;
}

int main(int argc, char **argv)
{
    hold_descriptors();
    signals();
    const char *word = argc > 1 ? argv[1] : NULL;
    if (!word) return usage(NULL);
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) word = "help";
    if (strcmp(word, "--version") == 0) word = "version";
    if (word[0] == '-') return usage(word);
    const cli_command *c = cli_command_find(word);
    if (!c) return cli_unknown_command(word);
    return run(c, argc - 2, argv + 2);
}
