/* report.c: the command that makes a page, a table or a figure of what eval found. */
#include "report.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --format, else what the name of the output ends with, else a page. */
static const char *format_of(const cli_options *o)
{
    const char *dot = o->output ? strrchr(o->output, '.') : NULL;
    if (o->format) return o->format;
    return dot && (strcmp(dot, ".md") == 0 || strcmp(dot, ".svg") == 0) ? dot + 1 : "html";
}

/* A page on a terminal is a slip, and so is a page in the place of what it is made from. */
static vr_status check_output(const cli_options *o, const char *format, vr_error *err)
{
    struct stat out, in;
    if (!o->output && strcmp(format, "md") != 0 && isatty(STDOUT_FILENO))
        return vr_fail(err, VR_E_USAGE, "output", "%s is nothing for a terminal; name a file: -o report.%s",
                       strcmp(format, "svg") == 0 ? "an SVG picture" : "a page", format);
    if (!o->output || strcmp(o->output, "-") == 0 || stat(o->output, &out)) return VR_OK;
    for (size_t i = 0; i < o->input_count; i++)
        if (stat(o->inputs[i], &in) == 0 && in.st_dev == out.st_dev && in.st_ino == out.st_ino)
            return vr_fail(err, VR_E_USAGE, "output", "-o '%s' would overwrite the results that are to be read",
                           vr_quotez(o->output).text);
    return VR_OK;
}

/* A figure alone has one section, with something to see. */
static vr_status check_figure(const report *r, vr_error *err)
{
    if (r->sections > 1)
        return vr_fail(
            err, VR_E_USAGE, "sections",
            "the results fall into %zu sections (models, data sets, devices, ...), and one figure shows one; give only "
            "results that were measured alike",
            r->sections);
    if (!report_drawable(r->section, &report_axis_gmacs, &report_axis_top1))
        return vr_fail(err, VR_E_USAGE, "empty",
                       "no result besides the unmerged model's has both top1 and gmacs: nothing to draw");
    return VR_OK;
}

static int write_report(const cli_options *o, const char *format, const report *r)
{
    cli_output out;
    vr_error   err = {0};
    if (cli_output_open(&out, o->output, &err)) return cli_failed(&err);
    if (strcmp(format, "md") == 0)
        report_markdown(out.stream, r);
    else if (strcmp(format, "svg") == 0)
        report_figure(out.stream, r->section, &report_axis_gmacs, &report_axis_top1, true);
    else
        report_page(out.stream, r);
    return cli_output_end(&out, true, VR_OK);
}

int cmd_report(const cli_options *o)
{
    vr_error    err = {0};
    report      r = {0};
    const char *format = format_of(o);
    int         code = VR_OK;
    if (check_output(o, format, &err) || report_read(&r, o->inputs, o->input_count, &err) || report_arrange(&r, &err) ||
        (strcmp(format, "svg") == 0 && check_figure(&r, &err)))
        code = cli_failed(&err);
    else
        code = write_report(o, format, &r);
    report_free(&r);
    return code;
}
