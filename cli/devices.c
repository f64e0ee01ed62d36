/* devices.c: the command that says what this machine offers. */
#include "cli.h"

#include "../kernels/cpu/cpu.h"

#include <stdlib.h>
#include <string.h>

static const char *const isas[] = {"portable", "avx2", "avx512"}; /* worst first */
enum { ISAS = sizeof isas / sizeof isas[0] };

/* The one that opening a back end would choose, by the rule of kernels/cpu/cpu.h. */
static const char *chosen(void)
{
    const char *forced = getenv("VITRUN_ISA");
    if (forced && forced[0]) return vr_cpu_isa_supported(forced) ? forced : NULL;
    const char *best = isas[0];
    for (int i = 0; i < ISAS; i++)
        if (vr_cpu_isa_supported(isas[i])) best = isas[i];
    return best;
}

static const char no_cuda[] = "not supported yet: this version computes on the CPU only";

static void print_json(FILE *f, const cli_machine *m, const char *isa)
{
    fputs("{\"cpu\":{\"model\":", f);
    cli_json_string(f, m->cpu);
    fputs(",\"isas\":[", f);
    for (int i = 0, n = 0; i < ISAS; i++)
        if (vr_cpu_isa_supported(isas[i])) fprintf(f, "%s\"%s\"", n++ ? "," : "", isas[i]);
    fputs("],\"isa\":", f);
    if (isa)
        cli_json_string(f, isa);
    else
        fputs("null", f);
    fprintf(f, ",\"cores\":%d,\"memory_bytes\":%llu,\"memory_available_bytes\":%llu},", m->cores, (unsigned long long)m->memory,
            (unsigned long long)m->memory_free);
    fprintf(f, "\"cuda\":{\"available\":false,\"reason\":\"%s\"}}\n", no_cuda);
}

static void print_table(FILE *f, const cli_machine *m, const char *isa)
{
    const double gib = 1024.0 * 1024.0 * 1024.0;
    fprintf(f, "cpu      %s\n", m->cpu);
    fputs("isa     ", f);
    for (int i = 0; i < ISAS; i++)
        if (vr_cpu_isa_supported(isas[i])) fprintf(f, " %s%s", isas[i], isa && strcmp(isa, isas[i]) == 0 ? " (used)" : "");
    fprintf(f, "\ncores    %d\nmemory   %.1f GiB, %.1f GiB available\n", m->cores, (double)m->memory / gib,
            (double)m->memory_free / gib);
    fprintf(f, "cuda     %s\n", no_cuda);
}

int cmd_devices(const cli_options *o)
{
    vr_error    err = {0};
    cli_output  out;
    cli_machine m = cli_machine_read();
    const char *isa = chosen();
    if (cli_output_open(&out, o->output, &err)) return cli_failed(&err);
    if (o->json)
        print_json(out.stream, &m, isa);
    else
        print_table(out.stream, &m, isa);
    int code = VR_OK;
    if (!isa) code = cli_error(VR_E_DEVICE, "VITRUN_ISA names an instruction set that this machine or this build lacks");
    return cli_output_end(&out, true, code);
}
