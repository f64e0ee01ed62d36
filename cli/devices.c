/* devices.c: the command that says what this machine offers. */
#include "cli.h"

#include "../engine/device.h"
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

enum { GPUS_MAX = 64 };
typedef struct {
    vr_gpu_about list[GPUS_MAX];
    int          count;
    vr_error     why; /* there is none */
} gpus;

static gpus find_gpus(void)
{
    gpus g = {0};
    g.count = vr_device_gpus(g.list, GPUS_MAX, &g.why);
    if (g.count > GPUS_MAX) g.count = GPUS_MAX;
    return g;
}

static bool any_usable(const gpus *g)
{
    for (int i = 0; i < g->count; i++)
        if (g->list[i].usable) return true;
    return false;
}

static void json_gpus(FILE *f, const gpus *g)
{
    fprintf(f, "\"cuda\":{\"available\":%s,\"reason\":", any_usable(g) ? "true" : "false");
    if (g->count)
        fputs("null", f);
    else
        cli_json_string(f, g->why.text);
    fputs(",\"devices\":[", f);
    for (int i = 0; i < g->count; i++) {
        fprintf(f, "%s{\"name\":", i ? "," : "");
        cli_json_string(f, g->list[i].name);
        fprintf(f, ",\"chip\":\"%s\",\"memory_bytes\":%zu,\"usable\":%s,\"reason\":", g->list[i].chip, g->list[i].memory,
                g->list[i].usable ? "true" : "false");
        if (g->list[i].usable)
            fputs("null", f);
        else
            cli_json_string(f, g->list[i].why);
        fputc('}', f);
    }
    fputs("]}", f);
}

static void print_gpus(FILE *f, const gpus *g)
{
    const double gib = 1024.0 * 1024.0 * 1024.0;
    if (g->count == 0) fprintf(f, "cuda     none: %s\n", g->why.text);
    for (int i = 0; i < g->count; i++) {
        const vr_gpu_about *a = &g->list[i];
        fprintf(f, "cuda:%-3d %s, %s, %.1f GiB%s%s\n", i, a->name, a->chip, (double)a->memory / gib,
                a->usable ? "" : "; not usable: ", a->usable ? "" : a->why);
    }
}

static void print_json(FILE *f, const cli_machine *m, const char *isa, const gpus *g)
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
    json_gpus(f, g);
    fputs("}\n", f);
}

static void print_table(FILE *f, const cli_machine *m, const char *isa, const gpus *g)
{
    const double gib = 1024.0 * 1024.0 * 1024.0;
    fprintf(f, "cpu      %s\n", m->cpu);
    fputs("isa     ", f);
    for (int i = 0; i < ISAS; i++)
        if (vr_cpu_isa_supported(isas[i])) fprintf(f, " %s%s", isas[i], isa && strcmp(isa, isas[i]) == 0 ? " (used)" : "");
    fprintf(f, "\ncores    %d\nmemory   %.1f GiB, %.1f GiB available\n", m->cores, (double)m->memory / gib,
            (double)m->memory_free / gib);
    print_gpus(f, g);
}

int cmd_devices(const cli_options *o)
{
    vr_error    err = {0};
    cli_output  out;
    cli_machine m = cli_machine_read();
    const char *isa = chosen();
    const gpus  g = find_gpus();
    if (cli_output_open(&out, o->output, &err)) return cli_failed(&err);
    if (o->json)
        print_json(out.stream, &m, isa, &g);
    else
        print_table(out.stream, &m, isa, &g);
    int code = VR_OK;
    if (!isa) code = cli_error(VR_E_DEVICE, "VITRUN_ISA names an instruction set that this machine or this build lacks");
    return cli_output_end(&out, true, code);
}
