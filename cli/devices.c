/* devices.c: the command that says what this machine offers. */
#include "cli.h"

#include "../engine/device.h"
#include "../kernels/cpu/cpu.h"

#include <stdlib.h>
#include <string.h>

/* The instruction sets that opening a back end would choose, by the rule of kernels/cpu/cpu.h. */
typedef struct {
    const char *f32, *bf16, *int8; /* NULL: none, or the one asked for is not there */
} chosen;

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

static void json_word(FILE *f, const char *word)
{
    if (word)
        cli_json_string(f, word);
    else
        fputs("null", f);
}

static void print_json(FILE *f, const cli_machine *m, const chosen *isa, const gpus *g)
{
    fputs("{\"cpu\":{\"model\":", f);
    cli_json_string(f, m->cpu);
    fputs(",\"isas\":[", f);
    for (int i = 0, n = 0; vr_cpu_isa(i); i++)
        if (vr_cpu_isa_supported(vr_cpu_isa(i), VR_MATH_F32)) fprintf(f, "%s\"%s\"", n++ ? "," : "", vr_cpu_isa(i));
    fputs("],\"isa\":", f);
    json_word(f, isa->f32);
    fputs(",\"isa_bf16\":", f);
    json_word(f, isa->bf16);
    fputs(",\"isa_int8\":", f);
    json_word(f, isa->int8);
    fprintf(f, ",\"cores\":%d,\"memory_bytes\":%llu,\"memory_available_bytes\":%llu},", m->cores, (unsigned long long)m->memory,
            (unsigned long long)m->memory_free);
    json_gpus(f, g);
    fputs("}\n", f);
}

/* " avx512 (used for f32, bf16)" */
static void print_isa(FILE *f, const char *name, const chosen *isa)
{
    const char *const used[][2] = {{"f32", isa->f32}, {"bf16", isa->bf16}, {"int8", isa->int8}};
    int               n = 0;
    fprintf(f, " %s", name);
    for (size_t i = 0; i < sizeof used / sizeof *used; i++)
        if (used[i][1] && strcmp(used[i][1], name) == 0) fprintf(f, "%s%s", n++ ? ", " : " (used for ", used[i][0]);
    if (n) fputc(')', f);
}

static void print_table(FILE *f, const cli_machine *m, const chosen *isa, const gpus *g)
{
    const double gib = 1024.0 * 1024.0 * 1024.0;
    fprintf(f, "cpu      %s\n", m->cpu);
    fputs("isa     ", f);
    for (int i = 0; vr_cpu_isa(i); i++) {
        const char *name = vr_cpu_isa(i);
        if (vr_cpu_isa_supported(name, VR_MATH_F32)) print_isa(f, name, isa);
    }
    fprintf(f, "\ncores    %d\nmemory   %.1f GiB, %.1f GiB available\n", m->cores, (double)m->memory / gib,
            (double)m->memory_free / gib);
    print_gpus(f, g);
}

int cmd_devices(const cli_options *o)
{
    vr_error     err = {0};
    cli_output   out;
    cli_machine  m = cli_machine_read();
    const chosen isa = {vr_cpu_isa_chosen(VR_MATH_F32), vr_cpu_isa_chosen(VR_MATH_BF16), vr_cpu_isa_chosen(VR_MATH_INT8)};
    const gpus   g = find_gpus();
    if (cli_output_open(&out, o->output, &err)) return cli_failed(&err);
    if (o->json)
        print_json(out.stream, &m, &isa, &g);
    else
        print_table(out.stream, &m, &isa, &g);
    int code = VR_OK;
    if (!isa.f32) code = cli_error(VR_E_DEVICE, "VITRUN_ISA names an instruction set that this machine or this build lacks");
    return cli_output_end(&out, true, code);
}
