/* completion.c: completion scripts, made from the tables of commands and flags. */
#include "options.h"

#include <string.h>

/* "classify --topk"|"classify -k", for every command that this row is for. */
static void print_pattern(FILE *f, const cli_flag *g)
{
    const char *bar = "";
    for (const cli_command *c = cli_commands; c->name; c++) {
        if (!(g->commands & c->bit)) continue;
        fprintf(f, "%s\"%s --%s\"", bar, c->name, g->name);
        bar = "|";
        if (g->letter) fprintf(f, "|\"%s -%c\"", c->name, g->letter);
    }
}

static bool names_files(const cli_flag *g)
{
    return strcmp(g->argument, "FILE") == 0 || strcmp(g->argument, "DIR") == 0 || strcmp(g->argument, "MODEL") == 0;
}

/* What may follow a flag: its words, or files. */
static void print_values(FILE *f)
{
    fprintf(f, "    case \"$command $previous\" in\n");
    for (const cli_flag *g = cli_flags; g->name; g++) {
        if (!g->argument) continue;
        fputs("    ", f);
        print_pattern(f, g);
        if (g->choices)
            fprintf(f, ") COMPREPLY=($(compgen -W '%s' -- \"$word\")); return ;;\n", g->choices);
        else if (names_files(g))
            fprintf(f, ") compopt -o filenames; COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n");
        else
            fprintf(f, ") return ;;\n");
    }
    fprintf(f, "    esac\n");
}

static void print_flags(FILE *f)
{
    fprintf(f, "    case \"$command\" in\n");
    for (const cli_command *c = cli_commands; c->name; c++) {
        fprintf(f, "    %s) flags='--help", c->name);
        for (const cli_flag *g = cli_flags; g->name; g++)
            if (g->commands & c->bit) fprintf(f, " --%s", g->name);
        fprintf(f, "' ;;\n");
    }
    fprintf(f, "    esac\n");
}

static void print_bash(FILE *f)
{
    fprintf(f, "# bash completion for vitrun; made by: vitrun completion bash\n"
               "_vitrun()\n{\n"
               "    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]} flags=\n"
               "    local commands='");
    for (const cli_command *c = cli_commands; c->name; c++) fprintf(f, "%s%s", c == cli_commands ? "" : " ", c->name);
    fprintf(f, "'\n    COMPREPLY=()\n"
               "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
               "        COMPREPLY=($(compgen -W \"$commands --help --version\" -- \"$word\"))\n"
               "        return\n"
               "    fi\n");
    print_values(f);
    print_flags(f);
    fprintf(f, "    if [ \"${word:0:1}\" = - ]; then\n"
               "        COMPREPLY=($(compgen -W \"$flags\" -- \"$word\"))\n"
               "    elif [ \"$command\" = help ]; then\n"
               "        COMPREPLY=($(compgen -W \"$commands\" -- \"$word\"))\n"
               "    elif [ \"$command\" = completion ]; then\n"
               "        COMPREPLY=($(compgen -W bash -- \"$word\"))\n"
               "    else\n"
               "        compopt -o filenames\n"
               "        COMPREPLY=($(compgen -f -- \"$word\"))\n"
               "    fi\n"
               "}\n"
               "complete -F _vitrun vitrun\n");
}

int cmd_completion(const cli_options *o)
{
    const char *shell = o->inputs[0];
    if (strcmp(shell, "zsh") == 0 || strcmp(shell, "fish") == 0)
        return cli_error(VR_E_USAGE, "completion for zsh and fish is not supported yet; bash is");
    if (strcmp(shell, "bash") != 0) return cli_error(VR_E_USAGE, "completion knows one shell so far: vitrun completion bash");
    cli_output out = {.stream = stdout};
    print_bash(out.stream);
    return cli_output_end(&out, true, VR_OK);
}
