/* report_page.c: the page.  One file, nothing from outside, no script. */
#include "report.h"

#include <string.h>

static const char style[] =
    ":root{color-scheme:light dark;--paper:#fff;--ink:#1d1f21;--soft:#5c6166;--rule:#d5d8db;--shade:#f4f5f6}"
    "@media screen and "
    "(prefers-color-scheme:dark){:root{--paper:#16181b;--ink:#e4e6e8;--soft:#a0a6ac;--rule:#3a3f45;--shade:#1f2226}}"
    "*{box-sizing:border-box}body{margin:0 auto;padding:1.5rem;max-width:1380px;background:var(--paper);color:var(--ink);"
    "font:15px/1.5 system-ui,sans-serif}h1{font-size:1.6rem;margin:.2rem 0 .6rem}h2{font-size:1.25rem;margin:2.2rem 0 .5rem;"
    "border-top:1px solid var(--rule);padding-top:1rem;overflow-wrap:anywhere}h3{font-size:1rem;margin:1.4rem 0 .3rem}"
    "p{margin:.4rem 0;max-width:75ch}.soft{color:var(--soft)}figure{margin:0;break-inside:avoid}svg{display:block;width:100%;"
    "height:auto}figure>svg{max-width:860px}.small-ones{display:grid;grid-template-columns:repeat(auto-fill,minmax(310px,1fr));"
    "gap:.6rem 1rem}.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(600px,100%),1fr));gap:0 "
    "1.5rem}.figures>div{break-inside:avoid}figcaption{font-weight:600;font-size:.9rem}.facts{display:flex;flex-wrap:wrap;gap:."
    "3rem "
    "1.6rem;margin:.6rem 0}"
    ".facts dt{color:var(--soft);font-size:.8rem}.facts dd{margin:0;overflow-wrap:anywhere}.wide{overflow-x:auto;margin:.4rem "
    "0}"
    "table{border-collapse:collapse;font-size:.82rem;font-variant-numeric:tabular-nums}th,td{padding:.25rem "
    ".55rem;text-align:right;"
    "white-space:nowrap;border-bottom:1px solid var(--rule);vertical-align:top}th{background:var(--shade);white-space:normal;"
    "vertical-align:bottom}.text{text-align:left}td.tokens{font-size:.75rem}"
    ".hash{font-family:ui-monospace,monospace;font-size:.75rem;overflow-wrap:anywhere;white-space:normal}"
    "th:first-child,td:first-child{position:sticky;left:0}td:first-child{background:var(--paper)}"
    "td.path{white-space:normal;overflow-wrap:anywhere}.legend{font-size:.8rem;color:var(--soft);columns:2 22rem}"
    ".legend div{break-inside:avoid}.legend dt{display:inline;font-weight:600}.legend dt:after{content:\": \"}"
    ".legend dd{display:inline;margin:0}@media print{body{padding:0;max-width:none;font-size:11px}table{font-size:7.5px}"
    "td.tokens,.hash{font-size:6.5px;min-width:9em;white-space:normal}.figures{display:block}th,td{padding:1px "
    "3px}.wide{overflow:visible}figure>svg{max-width:560px}"
    "h2,h3{break-after:avoid}}";

static bool same(const report_section *s, const report_section *t, report_said i)
{
    return strcmp(s->row->said[i], t->row->said[i]) == 0;
}

/* "MODEL on DATA SET: 500 pictures of 224 pixels, cpu, f32, ..." */
void report_heading(FILE *f, const report_section *s, void (*escape)(FILE *f, const char *text))
{
    static const struct {
        const char *before, *behind;
        report_said said;
    } parts[] = {
        {"", "", SAID_MODEL},
        {" on ", "", SAID_DATASET},
        {", ", " pictures", SAID_WANTED},
        {" of ", " pixels", SAID_SIZE},
        {", ", "", SAID_CPU},
        {", ", "", SAID_DEVICE},
        {", ", "", SAID_ISA},
        {", ", "", SAID_DTYPE},
        {", ", " threads", SAID_THREADS},
        {", vitrun ", "", SAID_VERSION},
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const char *text = s->row->said[parts[i].said];
        if (!*text) continue;
        fputs(parts[i].before, f);
        escape(f, text);
        fputs(parts[i].behind, f);
    }
}

static void facts(FILE *f, const report_section *s)
{
    fputs("<dl class=\"facts\">\n", f);
    for (report_said i = 0; i < SAIDS; i++) {
        fprintf(f, "<div><dt>%s</dt><dd>", report_said_words(i));
        report_escape(f, s->row->said[i][0] ? s->row->said[i] : "not said");
        fputs("</dd></div>\n", f);
    }
    fputs("</dl>\n", f);
}

/* ---- figures ---- */

static void figure(FILE *f, const report_section *s, const char *heading, const report_axis *x, const report_axis *y)
{
    fprintf(f, "<h3>%s</h3>\n", heading);
    if (!report_drawable(s, x, y)) {
        fputs("<p class=\"soft\">No result besides the unmerged model’s has both numbers.</p>\n", f);
        return;
    }
    fputs("<figure>", f);
    report_figure(f, s, x, y, false);
    fputs("</figure>\n", f);
}

static void speed_figure(FILE *f, const report_section *s)
{
    static const char *const words[] = {
        [SPEED_UP] = "Speed is the speed-up over the unmerged model, measured batch by batch in the same run.",
        [SPEED_RATE] =
            "Speed is 1000 / infer_ms, pictures a second by the arithmetic’s time alone: not all results have a speed-up "
            "that was measured in one run with the unmerged model, so differences of a few percent may be the machine’s.",
    };
    if (s->speed == SPEED_UNKNOWN) {
        fputs("<h3>Accuracy against speed</h3>\n<p class=\"soft\">No result has a time (--no-timing leaves it out).</p>\n", f);
        return;
    }
    size_t missing = 0;
    for (size_t i = 0; i < s->rows; i++) missing += !(report_speed_of(s, &s->row[i]) > 0);
    figure(f, s, "Accuracy against speed", s->speed == SPEED_UP ? &report_axis_speedup : &report_axis_rate, &report_axis_top1);
    fprintf(f, "<p class=\"soft\">%s", words[s->speed]);
    if (missing) fprintf(f, " %zu of %zu results have none and are not drawn.", missing, s->rows);
    fputs("</p>\n", f);
}

static void token_figures(FILE *f, const report_section *s)
{
    if (s->blocks - s->cut < 2) return;
    fputs("<h3>Tokens after each block</h3>\n<div class=\"small-ones\">\n", f);
    for (size_t i = 0; i < s->curves; i++) {
        const report_curve *c = &s->curve[i];
        if (c->method == METHOD_NONE && s->curves > 1) continue; /* dashed in all the others */
        fputs("<figure><figcaption>", f);
        report_escape(f, report_curve_name(c).text);
        fputs("</figcaption>", f);
        report_tokens_figure(f, s, c);
        fputs("</figure>\n", f);
    }
    fputs("</div>\n", f);
    if (s->cut)
        fputs("<p class=\"soft\">The last block is left out: of it only the special tokens are computed, which the classifier "
              "reads.</p>\n",
              f);
}

/* ---- the whole ---- */

static void section(FILE *f, const report *r, size_t i)
{
    const report_section *s = &r->section[i];
    fputs("<section>\n<h2>", f);
    if (r->sections > 1) fprintf(f, "%zu. ", i + 1);
    report_escape(f, s->row->said[SAID_MODEL]);
    if (s->row->said[SAID_DATASET][0]) fputs(" on ", f);
    report_escape(f, s->row->said[SAID_DATASET]);
    fputs("</h2>\n", f);
    facts(f, s);
    fputs("<div class=\"figures\">\n<div>", f);
    figure(f, s, "Accuracy against arithmetic", &report_axis_gmacs, &report_axis_top1);
    fprintf(
        f,
        "<p class=\"soft\">Points of one method are joined in the order of their cost; point at one for its numbers. %s</p>\n",
        s->base ? "Dashed: the unmerged model, with the 95 % interval of its accuracy as a band."
                : "There is no result of the unmerged model (“none”) among these, so nothing is compared with it here.");
    fputs("</div>\n<div>", f);
    speed_figure(f, s);
    fputs("</div>\n", f);
    if (report_drawable(s, &report_axis_gmacs, &report_axis_agreement)) {
        fputs("<div>", f);
        figure(f, s, "Agreement with the unmerged model", &report_axis_gmacs, &report_axis_agreement);
        fputs("</div>\n", f);
    }
    fputs("</div>\n", f);
    token_figures(f, s);
    fputs("<h3>All settings</h3>\n", f);
    report_table_html(f, s);
    fputs("</section>\n", f);
}

/* Why there are several sections. */
static void differences(FILE *f, const report *r)
{
    const char *before = "";
    if (r->sections < 2) return;
    fprintf(f, "<p>The results fall into %zu sections, because only like is compared with like; they differ in: ", r->sections);
    for (report_said k = 0; k < SAIDS; k++) {
        bool differs = false;
        for (size_t i = 1; i < r->sections; i++) differs |= !same(&r->section[0], &r->section[i], k);
        if (!differs) continue;
        fprintf(f, "%s%s", before, report_said_words(k));
        before = ", ";
    }
    fputs(".</p>\n", f);
}

static void files(FILE *f, const report *r)
{
    fputs("<section>\n<h2>Files</h2>\n<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\" class=\"text\">file</th>"
          "<th scope=\"col\">results</th><th scope=\"col\">bytes</th><th scope=\"col\" "
          "class=\"text\">SHA-256</th></tr></thead>\n<tbody>\n",
          f);
    for (size_t i = 0; i < r->files; i++) {
        fputs("<tr><td class=\"text path\">", f);
        report_escape(f, r->file[i].path);
        fprintf(f, "</td><td>%zu</td><td>%zu</td><td class=\"text hash\">%s</td></tr>\n", r->file[i].rows, r->file[i].bytes,
                r->file[i].hash.text);
    }
    fputs("</tbody></table></div>\n<p class=\"soft\">Made by vitrun report " VITRUN_VERSION
          ". Settings are complete in their names; sha256sum FILE checks a hash.</p>\n</section>\n",
          f);
}

void report_page(FILE *f, const report *r)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
          "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"/>\n<title>vitrun: what merging tokens costs "
          "and saves"
          "</title>\n<style>",
          f);
    fprintf(f, "%s\n%s</style>\n</head>\n<body>\n<h1>What merging tokens costs and saves</h1>\n", style, report_svg_style);
    fprintf(f, "<p>%zu result%s from %zu file%s of vitrun eval.</p>\n", r->rows, r->rows == 1 ? "" : "s", r->files,
            r->files == 1 ? "" : "s");
    differences(f, r);
    for (size_t i = 0; i < r->sections; i++) section(f, r, i);
    files(f, r);
    fputs("</body>\n</html>\n", f);
}
