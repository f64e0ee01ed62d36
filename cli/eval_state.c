/* eval_state.c: the file that --state keeps.  A header line, then a line a picture in the order of judging, each closed by a
 * checksum; nothing in it is ever changed, so what a kill can leave is a last line that is cut. */
#include "eval.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char magic[] = "vitrun-eval-state 2 ";

/* ---- hashes (FNV-1a) ---- */

static uint64_t mix(uint64_t h, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;
    for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * 1099511628211u;
    return h;
}
static uint64_t mix_text(uint64_t h, const char *text) { return text ? mix(h, text, strlen(text) + 1) : mix(h, "\1", 1); }
static uint64_t mix_number(uint64_t h, uint64_t n) { return mix(h, &n, sizeof n); }
static uint64_t start(void) { return 14695981039346656037u; }

/* Name, size and time of a file; nothing where there is none. */
static uint64_t mix_file(uint64_t h, const char *path)
{
    struct stat s;
    char       *full = realpath(path, NULL);
    if (full && stat(full, &s) == 0) {
        h = mix_text(h, full);
        h = mix_number(mix_number(h, (uint64_t)s.st_size), (uint64_t)s.st_mtim.tv_sec);
        h = mix_number(h, (uint64_t)s.st_mtim.tv_nsec);
    }
    free(full);
    return h;
}

static int model_file(const struct dirent *e)
{
    const char *dot = strrchr(e->d_name, '.');
    return e->d_name[0] != '.' && dot && (strcmp(dot, ".safetensors") == 0 || strcmp(dot, ".json") == 0);
}

/* A model is its file and what lies beside it: shards, index, config. */
static uint64_t hash_model(const eval *e)
{
    uint64_t        h = mix_number(mix_text(start(), e->o->arch), e->o->seed);
    struct stat     s;
    struct dirent **entries;
    if (!e->model) return h;
    const char *slash = strrchr(e->model, '/');
    bool        folder = stat(e->model, &s) == 0 && S_ISDIR(s.st_mode);
    char       *place = folder ? strdup(e->model) : slash ? strndup(e->model, (size_t)(slash - e->model) + 1) : strdup(".");
    int         n = place ? scandir(place, &entries, model_file, alphasort) : -1;
    h = mix_file(h, e->model);
    for (int i = 0; i < n; i++) {
        char *path;
        bool  wanted = folder || strstr(e->model, ".json") || strstr(entries[i]->d_name, ".json");
        if (wanted && asprintf(&path, "%s/%s", place, entries[i]->d_name) >= 0) {
            h = mix_file(h, path);
            free(path);
        }
        free(entries[i]);
    }
    if (n >= 0) free(entries);
    free(place);
    return h;
}

/* A way of merging in its own words, and the file where it is a schedule's. */
static uint64_t mix_merge(uint64_t h, const vitrun_merge *m)
{
    const char *words[] = {m->method,  m->tau,        m->layers,  m->r,         m->keep,    m->rates,       m->rates_from,
                           m->scope,   m->pool,       m->weights, m->prop_attn, m->rule,    m->refine,      m->partition,
                           m->feature, m->similarity, m->forced,  m->seed,      m->restore, m->restore_mode};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) h = mix_text(h, words[i]);
    h = mix_number(h, m->fuse);
    return m->method ? mix_file(h, m->method) : h;
}

/* Whatever changes a row. */
static uint64_t hash_options(const eval *e)
{
    const cli_options    *o = e->o;
    const vitrun_about_t *a = vitrun_about(e->v);
    const char           *words[] = {VITRUN_VERSION, a->name, a->device, a->dtype, a->isa, a->recipe, o->formats};
    const uint64_t        numbers[] = {o->exif,
                                       o->allow_truncated,
                                       o->allow_nonfinite,
                                       o->max_file_size,
                                       o->max_pixels,
                                       (uint64_t)o->max_side,
                                       o->agreement,
                                       o->deterministic,
                                       (uint64_t)a->image_height,
                                       (uint64_t)a->image_width,
                                       (uint64_t)a->classes};
    uint64_t              h = mix(start(), numbers, sizeof numbers);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) h = mix_text(h, words[i]);
    if (e->valid) h = mix(h, e->valid, (size_t)e->valid_count * sizeof *e->valid);
    for (size_t k = 0; k < e->settings; k++) h = mix_text(h, e->setting[k].name);
    if (!o->sweep) return mix_merge(h, &o->merge);
    for (size_t k = 0; k < e->sweep.count; k++) h = mix_merge(h, &e->sweep.merge[k]);
    return h;
}

static uint64_t hash_list(const eval *e)
{
    uint64_t h = start();
    for (size_t i = 0; i < e->count; i++) {
        h = mix_number(mix_text(h, e->path[i]), (uint64_t)e->label[i]);
        if (e->crops) h = mix_number(h, vr_crops_entry(e->crops, e->entry[i]).sum);
    }
    return h;
}

/* ---- lines ---- */

/* "PICTURE", then for each setting a tab and "CODE NUMBERS" or "CODE SENTENCE". */
static void write_row(const eval *e, const eval_setting *s, size_t i, FILE *f)
{
    const eval_row *r = &s->row[i];
    fprintf(f, "\t%d", r->code);
    if (r->code) {
        fputc(' ', f);
        for (const char *p = r->error; *p; p++) fputc(*p == '\n' || *p == '\t' ? ' ' : *p, f);
        return;
    }
    for (int k = 0; k < e->k; k++) fprintf(f, " %d %.9g", r->best[k], (double)r->logit[k]);
    fprintf(f, " %.17g %.17g %.17g", r->loss, r->gmacs, r->merge_gmacs);
    for (int l = 0; l < e->depth; l++) fprintf(f, " %d", s->tokens[i * (size_t)e->depth + (size_t)l]);
    fprintf(f, " %.6g %.6g %.6g", r->decode_ms, r->resize_ms, r->infer_ms);
}

static void write_picture(const eval *e, size_t i, FILE *f)
{
    fprintf(f, "%zu", i);
    for (size_t k = 0; k < e->settings; k++) write_row(e, &e->setting[k], i, f);
}

static double real(char **at) { return strtod(*at, at); }
static int    whole(char **at) { return (int)strtol(*at, at, 10); }

static bool read_row(const eval *e, eval_setting *s, size_t i, char *at)
{
    eval_row *r = &s->row[i];
    r->code = whole(&at);
    if (r->code) {
        r->error = strdup(*at ? at + 1 : at);
        return r->error != NULL;
    }
    for (int k = 0; k < e->k; k++) {
        r->best[k] = whole(&at), r->logit[k] = strtof(at, &at);
        if (r->best[k] < 0 || r->best[k] >= vitrun_about(e->v)->classes) return false;
    }
    r->loss = real(&at), r->gmacs = real(&at), r->merge_gmacs = real(&at);
    for (int l = 0; l < e->depth; l++) s->tokens[i * (size_t)e->depth + (size_t)l] = whole(&at);
    r->decode_ms = real(&at), r->resize_ms = real(&at), r->infer_ms = real(&at);
    return *at == 0;
}

/* The picture of a line whose checksum was right and is cut off. */
static bool read_picture(eval *e, size_t i, char *line)
{
    char *rest = line;
    if (strtoull(strsep(&rest, "\t"), NULL, 10) != i) return false;
    for (size_t k = 0; k < e->settings; k++) {
        char *row = strsep(&rest, "\t");
        if (!row || !read_row(e, &e->setting[k], i, row)) return false;
    }
    return rest == NULL;
}

/* Cuts "TEXT #CHECKSUM\n" to TEXT; false where it is no such line. */
static bool take_checksum(char *line, size_t length)
{
    if (length < 11 || line[length - 1] != '\n' || line[length - 10] != '#' || memchr(line, 0, length)) return false;
    char    *end;
    uint64_t sum = strtoull(line + length - 9, &end, 16);
    line[length - 11] = 0;
    return *end == '\n' && sum == (uint32_t)mix(start(), line, length - 11);
}

static bool write_line(FILE *f, const char *text, size_t length)
{
    return fprintf(f, "%s #%08x\n", text, (unsigned)(uint32_t)mix(start(), text, length)) > 0 && fflush(f) == 0;
}

/* ---- the file ---- */

static vr_status fail(const eval *e, const char *what, vr_error *err)
{
    return vr_fail(err, VR_E_IO, "state", "cannot %s '%s': %s", what, vr_quotez(e->o->state).text, strerror(errno));
}

/* A header says by which of its three hashes it differs. */
static vr_status check_header(const eval *e, const char *got, const char *want, vr_error *err)
{
    static const char *const what[] = {"another model", "other settings", "other pictures or labels"};
    const char              *path = e->o->state;
    if (strncmp(got, magic, sizeof magic - 1) != 0)
        return vr_fail(err, VR_E_USAGE, "state", "'%s' is no state of vitrun eval; it is left as it is", vr_quotez(path).text);
    for (size_t i = 0; i < 3; i++)
        if (strncmp(got + sizeof magic - 1 + 17 * i, want + sizeof magic - 1 + 17 * i, 16) != 0)
            return vr_fail(err, VR_E_USAGE, "state", "'%s' was written for %s; name another file, or remove it",
                           vr_quotez(path).text, what[i]);
    return strcmp(got, want) == 0 ? VR_OK
                                  : vr_fail(err, VR_E_USAGE, "state", "'%s' has a damaged header", vr_quotez(path).text);
}

/* Read what is there; *kept is where the good lines end, 0 where the header has still to be written. */
static vr_status take_over(eval *e, const char *header, long *kept, vr_error *err)
{
    char   *line = NULL;
    size_t  room = 0;
    ssize_t n = getline(&line, &room, e->state);
    *kept = 0;
    if (n > 0 && line[n - 1] != '\n' && (size_t)n < strlen(header) + 11 &&
        strncmp(line, header, strlen(header) < (size_t)n ? strlen(header) : (size_t)n) == 0)
        n = 0; /* killed while it wrote the header */
    if (n > 0) {
        if (!take_checksum(line, (size_t)n)) line[0] = 0;
        if (!check_header(e, line, header, err)) *kept = ftell(e->state);
    }
    while (n > 0 && !err->code && e->done < e->count && (n = getline(&line, &room, e->state)) > 0) {
        if (!take_checksum(line, (size_t)n) || !read_picture(e, e->done, line)) break;
        e->done++;
        *kept = ftell(e->state);
    }
    free(line);
    if (ferror(e->state)) fail(e, "read", err);
    return err->code;
}

vr_status eval_state_open(eval *e, vr_error *err)
{
    char header[sizeof magic + 60];
    long kept;
    if (!e->o->state) return VR_OK;
    int         length = snprintf(header, sizeof header, "%s%016llx %016llx %016llx", magic, (unsigned long long)hash_model(e),
                                  (unsigned long long)hash_options(e), (unsigned long long)hash_list(e));
    int         fd = open(e->o->state, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
    struct stat s;
    if (fd < 0) return fail(e, "open", err);
    if (fstat(fd, &s) || !S_ISREG(s.st_mode)) {
        close(fd);
        return vr_fail(err, VR_E_USAGE, "state", "'%s' is no ordinary file", vr_quotez(e->o->state).text);
    }
    if (flock(fd, LOCK_EX | LOCK_NB)) {
        close(fd);
        return vr_fail(err, VR_E_USAGE, "state", "'%s' is in use by another run", vr_quotez(e->o->state).text);
    }
    e->state = fdopen(fd, "r+");
    if (!e->state) {
        close(fd);
        return fail(e, "open", err);
    }
    if (take_over(e, header, &kept, err)) return err->code;
    if (fseek(e->state, kept, SEEK_SET) || ftruncate(fd, kept)) return fail(e, "write", err);
    if (kept == 0 && !write_line(e->state, header, (size_t)length)) return fail(e, "write", err);
    e->resumed = e->done;
    return VR_OK;
}

bool eval_state_append(eval *e, size_t i)
{
    char  *text = NULL;
    size_t length = 0;
    FILE  *f = e->state ? open_memstream(&text, &length) : NULL;
    if (!e->state) return true;
    if (f) write_picture(e, i, f);
    bool written = f && fclose(f) == 0 && write_line(e->state, text, length);
    free(text);
    if (!written) e->state_failed = true;
    return written;
}

void eval_state_close(eval *e)
{
    if (e->state && fclose(e->state)) e->state_failed = true;
}
