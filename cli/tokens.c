/* tokens.c: the command that shows what merging does to a picture. */
#include "tokens.h"
#include "sweep.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

typedef vr_status draw_fn(cli_sheet *s, FILE *f, vr_error *err);

/* What is written, and where; NULL is stdout. */
typedef struct {
    bool        json;
    draw_fn    *draw; /* NULL: no picture */
    const char *json_path, *picture_path;
} outputs;

/* ---- where results go ---- */

static const char *format_of_ending(const char *path)
{
    const char *dot = path ? strrchr(path, '.') : NULL;
    for (const char *const *f = (const char *const[]){"png", "svg", "json", NULL}; dot && *f; f++)
        if (strcmp(dot + 1, *f) == 0) return *f;
    return NULL;
}

static vr_status no_place(const char *path, vr_error *err)
{
    if (!path)
        return vr_fail(err, VR_E_USAGE, "output", "tokens wants a place for its picture, -o map.png, or --json, or both");
    return vr_fail(err, VR_E_USAGE, "output", "-o '%s': tokens writes a .png, a .svg or a .json; --format says which",
                   vr_quotez(path).text);
}

static vr_status choose_outputs(outputs *out, const cli_options *o, vr_error *err)
{
    const char *path = o->output, *ending = format_of_ending(path), *format = o->format ? o->format : ending;
    const bool  to_stdout = !path || strcmp(path, "-") == 0;
    if (o->format && ending && strcmp(o->format, ending) != 0)
        return vr_fail(err, VR_E_USAGE, "output", "-o '%s' and --format %s contradict each other", vr_quotez(path).text,
                       o->format);
    if (!format && o->json) format = "json";
    if (!format && path && to_stdout) format = "png";
    if (!format) return no_place(path, err);
    out->json = o->json || strcmp(format, "json") == 0;
    if (strcmp(format, "png") == 0) out->draw = cli_token_png;
    if (strcmp(format, "svg") == 0) out->draw = cli_token_svg;
    if (out->draw == cli_token_png && to_stdout && isatty(STDOUT_FILENO))
        return vr_fail(err, VR_E_USAGE, "output", "a PNG picture is nothing for a terminal; name a file: -o map.png");
    if (out->draw && out->json && to_stdout)
        return vr_fail(err, VR_E_USAGE, "output",
                       "a picture and JSON cannot both go to standard output; name a file: -o map.%s", format);
    out->picture_path = path;
    out->json_path = out->draw ? NULL : path;
    return VR_OK;
}

/* ---- JSON ---- */

static void print_numbers(FILE *f, const int *numbers, int count)
{
    fputc('[', f);
    for (int i = 0; i < count; i++) fprintf(f, "%s%d", i ? "," : "", numbers[i]);
    fputc(']', f);
}

static void print_setting(const cli_scene *s, const cli_maps *m, const char *path, FILE *f)
{
    cli_json_file(f, path);
    fprintf(f, ",\"grid\":[%d,%d],\"merge\":", s->rows, s->cols);
    cli_json_string(f, m->name);
    fputs(",\"tokens\":[", f);
    for (int i = 1; i <= s->depth; i++) fprintf(f, "%s%d", i > 1 ? "," : "", m->maps[i].tokens);
    fputs("],\"map\":[", f);
    for (int i = 1; i <= s->depth; i++) {
        if (i > 1) fputc(',', f);
        print_numbers(f, m->maps[i].token, s->patches);
    }
    fputs("],\"group\":[", f);
    for (int i = 1; i <= s->depth; i++) {
        if (i > 1) fputc(',', f);
        print_numbers(f, m->maps[i].group, s->patches);
    }
    fputs("]}", f);
}

/* One object; with --grid an array with one a setting. */
static void print_json(const cli_scene *s, const cli_options *o, FILE *f)
{
    if (o->grid) fputc('[', f);
    for (size_t i = 0; i < s->count; i++) {
        if (i) fputs(",\n", f);
        print_setting(s, &s->settings[i], o->inputs[0], f);
    }
    fputs(o->grid ? "]\n" : "\n", f);
}

/* ---- the command ---- */

static vr_status run_settings(cli_scene *scene, const cli_options *o, vr_error *err)
{
    cli_sweep    sweep = {0};
    vitrun_merge merge = o->merge;
    if (!merge.method) merge.method = "mame";
    if (!o->merge.method && !o->grid) cli_note(o, "no merge given; showing --merge mame");
    if (o->grid && cli_sweep_parse(&sweep, o->grid, &merge, err)) return err->code;
    cli_scene_make(scene, o, o->grid ? sweep.merge : &merge, o->grid ? sweep.count : 1, err);
    cli_sweep_free(&sweep);
    return err->code;
}

static vr_status draw(const cli_scene *scene, const cli_options *o, draw_fn *how, cli_output *out, vr_error *err)
{
    cli_sheet s;
    if (cli_sheet_plan(&s, scene, o, err) == VR_OK) how(&s, out->stream, err);
    if (err->code == VR_E_IO) { /* closing the stream says what it was, a full disk or nobody who reads */
        out->reason = errno;
        *err = (vr_error){0};
    }
    if (!err->code && s.panels == 1)
        cli_note(o, "no block merges anything of this picture (%s%s)", scene->settings[0].name,
                 scene->count > 1 ? " and the others" : "");
    cli_sheet_free(&s);
    return err->code;
}

int cmd_tokens(const cli_options *o)
{
    outputs    out = {0};
    cli_scene  scene = {0};
    cli_output lines = {0}, picture = {0};
    vr_error   err = {0};
    choose_outputs(&out, o, &err);
    if (!err.code && out.json) cli_output_open(&lines, out.json_path, &err);
    if (!err.code && out.draw) cli_output_open(&picture, out.picture_path, &err);
    if (!err.code) run_settings(&scene, o, &err);
    const bool whole = !err.code && !cli_stop_signal;
    if (whole && out.draw) draw(&scene, o, out.draw, &picture, &err);
    if (whole && out.json && !err.code) print_json(&scene, o, lines.stream);
    int code = err.code ? cli_failed(&err) : cli_stop_signal ? 128 + cli_stop_signal : VR_OK;
    if (picture.stream) code = cli_output_end(&picture, code == VR_OK, code);
    if (lines.stream) code = cli_output_end(&lines, code == VR_OK, code);
    cli_scene_free(&scene);
    return code;
}
