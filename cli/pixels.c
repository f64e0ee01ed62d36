/* pixels.c: `vitrun pixels`, what the decoders and the preprocessing make of each picture, as checksums or as tensors.
 * It exists to be compared with other programs: one JSON line a file, with the same keys whatever happens. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../loaders/image.h"
#include "../loaders/preprocess.h"
#include "../loaders/safetensors.h"
#include "../loaders/tar.h"
#include "cli.h"

enum { MAX_RECIPES = 16 };

typedef struct {
    const cli_options *o;
    FILE              *lines;
    vr_image_limits    limits;
    const vr_recipe   *recipes[MAX_RECIPES]; /* [recipe_count] whose checksums are wanted */
    size_t             recipe_count;
    const vr_recipe   *tensor_recipe; /* NULL: no tensors are written */
    vr_tensor_out     *tensors;       /* [tensor_count], names and data owned */
    size_t             tensor_count, tensor_room;
    uint8_t           *resized;
    void              *scratch;
    size_t             scratch_bytes;
    size_t             accepted, rejected, unopened; /* unopened: of the rejected, by the operating system */
    bool               broken;                       /* an archive could not be read to its end */
} pixels_job;

/* ---- one picture ---- */

enum { SLICES = 8 };

/* table[k][b]: what the byte b adds to the CRC once k bytes more have passed. */
static void fill_tables(uint32_t table[SLICES][256])
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++) c = c & 1 ? 0xEDB88320u ^ c >> 1 : c >> 1;
        table[0][i] = c;
    }
    for (int k = 1; k < SLICES; k++)
        for (int i = 0; i < 256; i++) table[k][i] = table[0][table[k - 1][i] & 255] ^ table[k - 1][i] >> 8;
}

/* zlib's CRC-32, eight bytes at a time: one by one it took longer than decoding. */
static uint32_t crc32_of(const uint8_t *bytes, size_t length)
{
    static uint32_t table[SLICES][256];
    uint32_t        crc = 0xFFFFFFFFu;
    if (table[0][1] == 0) fill_tables(table);
    for (; length >= SLICES; length -= SLICES, bytes += SLICES) {
        uint32_t next = 0;
        for (int k = 0; k < SLICES; k++) next ^= table[SLICES - 1 - k][k < 4 ? (bytes[k] ^ crc >> 8 * k) & 255 : bytes[k]];
        crc = next;
    }
    for (; length > 0; length--, bytes++) crc = table[0][(crc ^ *bytes) & 255] ^ crc >> 8;
    return ~crc;
}

static uint32_t crc32_of_image(const vr_image *im) { return crc32_of(im->rgb, (size_t)im->width * (size_t)im->height * 3); }

/* Resize and crop into job->resized. */
static vr_status apply(pixels_job *job, const vr_image *im, const vr_recipe *r, int *width, int *height, vr_error *err)
{
    int       resized_w, resized_h;
    size_t    bytes;
    vr_status status = vr_recipe_sizes(r, im->width, im->height, &resized_w, &resized_h, width, height, err);
    if (status != VR_OK) return status;
    free(job->resized);
    job->resized = NULL;
    if (vr_mul((size_t)*width, (size_t)*height, &bytes)) job->resized = vr_alloc(bytes, 3);
    if (!job->resized) return vr_fail(err, VR_E_MEMORY, "", "no memory for a picture of %d x %d", *width, *height);
    return vr_resize_crop(job->resized, im, r, &job->scratch, &job->scratch_bytes, err);
}

static vr_status keep_tensor(pixels_job *job, const char *name, const vr_image *im, vr_error *err)
{
    int       width, height;
    vr_status status = apply(job, im, job->tensor_recipe, &width, &height, err);
    if (status != VR_OK) return status;
    if (job->tensor_count == job->tensor_room) {
        size_t         room = job->tensor_room ? 2 * job->tensor_room : 64;
        vr_tensor_out *more = reallocarray(job->tensors, room, sizeof *more);
        if (!more) return vr_fail(err, VR_E_MEMORY, "", "no memory for %zu tensors", room);
        job->tensors = more, job->tensor_room = room;
    }
    const size_t pixels = (size_t)width * (size_t)height;
    float       *data = vr_alloc(pixels, 3 * sizeof(float));
    char        *copy = strdup(name);
    if (!data || !copy) {
        free(data);
        free(copy);
        return vr_fail(err, VR_E_MEMORY, "", "no memory for the tensor of %s", vr_quotez(name).text);
    }
    vr_normalise(data, job->resized, height, width, job->tensor_recipe);
    job->tensors[job->tensor_count++] = (vr_tensor_out){
        .name = copy, .dtype = VR_F32, .rank = 3, .shape = {3, (uint64_t)height, (uint64_t)width}, .data = data};
    return VR_OK;
}

/* What is known of one file when its line is printed. */
typedef struct {
    const char *error; /* NULL: accepted */
    int         width, height, orientation;
    uint32_t    crc;
    bool        turned; /* orientation says that the picture must be transposed, and then it is */
    int         turned_width, turned_height;
    uint32_t    turned_crc;
    bool        resized[MAX_RECIPES]; /* false: too large when resized */
    uint32_t    resized_crc[MAX_RECIPES];
} facts;

static vr_status preprocess(pixels_job *job, facts *f, const char *name, const vr_image *im, vr_error *err)
{
    for (size_t i = 0; i < job->recipe_count; i++) {
        int       width, height;
        vr_error  why = {0};
        vr_status status = apply(job, im, job->recipes[i], &width, &height, &why);
        if (status == VR_E_MEMORY) return vr_fail(err, status, why.rule, "%s", why.text);
        f->resized[i] = status == VR_OK;
        if (f->resized[i]) f->resized_crc[i] = crc32_of(job->resized, (size_t)width * (size_t)height * 3);
    }
    return job->tensor_recipe ? keep_tensor(job, name, im, err) : VR_OK;
}

static vr_status look(pixels_job *job, facts *f, const char *name, vr_image *im, vr_error *err)
{
    vr_status status = VR_OK;
    *f = (facts){.width = im->width, .height = im->height, .orientation = im->orientation, .crc = crc32_of_image(im)};
    if (!job->o->exif) status = preprocess(job, f, name, im, err);
    f->turned = im->orientation != 1;
    if (status == VR_OK) status = vr_image_upright(im, err);
    if (status != VR_OK) return status;
    if (f->turned) f->turned_width = im->width, f->turned_height = im->height, f->turned_crc = crc32_of_image(im);
    return job->o->exif ? preprocess(job, f, name, im, err) : VR_OK;
}

/* Width, height and checksum, as they stand or null. */
static void print_size(FILE *out, bool known, int width, int height, uint32_t crc)
{
    if (known)
        fprintf(out, "\"width\":%d,\"height\":%d,\"rgb_crc32\":\"%08" PRIx32 "\"", width, height, crc);
    else
        fputs("\"width\":null,\"height\":null,\"rgb_crc32\":null", out);
}

static void print_line(const pixels_job *job, const char *name, const facts *f)
{
    FILE      *out = job->lines;
    const bool known = !f->error;
    fputs("{\"path\":", out);
    cli_json_string(out, name);
    fprintf(out, ",\"verdict\":\"%s\",\"error\":", known ? "accept" : "reject");
    if (known)
        fputs("null", out);
    else
        cli_json_string(out, f->error);
    fputs(",", out);
    print_size(out, known, f->width, f->height, f->crc);
    fputs(",\"orientation\":", out);
    if (known)
        fprintf(out, "%d", f->orientation);
    else
        fputs("null", out);
    fputs(",\"transposed\":", out);
    if (known && f->turned) {
        fputs("{", out);
        print_size(out, true, f->turned_width, f->turned_height, f->turned_crc);
        fputs("}", out);
    } else {
        fputs("null", out);
    }
    fputs(",\"recipes\":{", out);
    for (size_t i = 0; known && i < job->recipe_count; i++) {
        fprintf(out, "%s\"%s\":", i ? "," : "", job->recipes[i]->name);
        if (f->resized[i])
            fprintf(out, "\"%08" PRIx32 "\"", f->resized_crc[i]);
        else
            fputs("null", out);
    }
    fputs("}}\n", out);
}

static void reject(pixels_job *job, const char *name, const vr_error *err)
{
    facts f = {.error = err->text};
    job->rejected++;
    if (err->code == VR_E_IO) job->unopened++;
    print_line(job, name, &f);
}

/* Judge a picture that has just been decoded, or the failure to; releases it. */
static void report(pixels_job *job, const char *name, vr_image *im, vr_status status, vr_error *err)
{
    facts f;
    if (status == VR_OK) status = look(job, &f, name, im, err);
    vr_image_free(im);
    if (status != VR_OK) {
        reject(job, name, err);
        return;
    }
    job->accepted++;
    print_line(job, name, &f);
}

/* ---- where pictures come from ---- */

static void one_file(pixels_job *job, const char *path)
{
    vr_image  im;
    vr_error  err = {0};
    vr_status status = vr_image_read(&im, path, &job->limits, &err);
    report(job, path, &im, status, &err);
}

static void one_member(pixels_job *job, vr_tar *tar, const vr_tar_member *member)
{
    vr_image  im = {0};
    vr_error  err = {0};
    vr_status status = VR_OK;
    uint8_t  *bytes = NULL;
    if (member->bytes > job->limits.max_bytes)
        status = vr_fail(&err, VR_E_IMAGE, "too-large", "has %" PRIu64 " bytes; at most %zu are read (--max-file-size)",
                         member->bytes, job->limits.max_bytes);
    else if (!(bytes = malloc(member->bytes ? (size_t)member->bytes : 1)))
        status = vr_fail(&err, VR_E_MEMORY, "", "no memory for %" PRIu64 " bytes", member->bytes);
    if (status == VR_OK) status = vr_tar_read(tar, bytes, &err);
    if (status == VR_OK) status = vr_image_decode(&im, bytes, (size_t)member->bytes, &job->limits, &err);
    free(bytes);
    report(job, member->name, &im, status, &err);
}

static void one_archive(pixels_job *job, const char *path)
{
    vr_tar       *tar;
    vr_tar_member member;
    vr_error      err = {0};
    bool          found = true;
    vr_status     status = vr_tar_open(&tar, path, &err);
    while (status == VR_OK && found && !cli_stop_signal) {
        status = vr_tar_next(tar, &member, &found, &err);
        if (status == VR_OK && found) one_member(job, tar, &member);
    }
    vr_tar_close(tar);
    if (status != VR_OK) {
        job->broken = true;
        cli_error((int)status, err.text);
    }
}

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static vr_status every_input(pixels_job *job, vr_error *err)
{
    char    **names = NULL;
    size_t    count = 0;
    vr_status status = cli_expand_inputs(job->o, &names, &count, err);
    if (status != VR_OK) return status;
    for (size_t i = 0; i < count && !cli_stop_signal; i++) {
        if (ends_with(names[i], ".tar"))
            one_archive(job, names[i]);
        else
            one_file(job, names[i]);
    }
    for (size_t i = 0; i < count; i++) free(names[i]);
    free(names);
    return VR_OK;
}

/* ---- the command ---- */

static vr_status choose_recipes(pixels_job *job, vr_error *err)
{
    const char *wanted = job->o->recipe;
    if (!wanted) return VR_OK;
    for (size_t i = 0; i < vr_recipes_count && i < MAX_RECIPES; i++)
        if (strcmp(wanted, "all") == 0 || strcmp(wanted, vr_recipes[i].name) == 0)
            job->recipes[job->recipe_count++] = &vr_recipes[i];
    if (job->recipe_count > 0) return VR_OK;
    char known[256] = "";
    for (size_t i = 0; i < vr_recipes_count; i++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s, ", vr_recipes[i].name);
    return vr_fail(err, VR_E_USAGE, "recipe", "--recipe: \"%s\" is not known; choose one of %sor all", vr_quotez(wanted).text,
                   known);
}

static vr_status choose_limits(pixels_job *job, vr_error *err)
{
    const cli_options *o = job->o;
    job->limits = vr_image_limits_default();
    if (o->max_file_size) job->limits.max_bytes = o->max_file_size;
    if (o->max_pixels) job->limits.max_pixels = o->max_pixels;
    if (o->max_side) job->limits.max_side = o->max_side;
    job->limits.allow_truncated = o->allow_truncated;
    return o->formats ? vr_image_formats_parse(o->formats, &job->limits.formats, err) : VR_OK;
}

/* -o X.safetensors, or any other name with -f safetensors, asks for tensors; else the lines go there. */
static bool wants_tensors(const cli_options *o)
{
    if (o->format) return strcmp(o->format, "safetensors") == 0;
    return o->output && ends_with(o->output, ".safetensors");
}

static vr_status check_usage(pixels_job *job, vr_error *err)
{
    const cli_options *o = job->o;
    if (o->format && strcmp(o->format, "safetensors") != 0 && strcmp(o->format, "jsonl") != 0)
        return vr_fail(err, VR_E_USAGE, "format", "--format: pixels writes safetensors or jsonl, not \"%s\"",
                       vr_quotez(o->format).text);
    if (wants_tensors(o) && (!o->output || strcmp(o->output, "-") == 0))
        return vr_fail(err, VR_E_USAGE, "output", "tensors need a file: add --output NAME.safetensors");
    vr_status status = choose_limits(job, err);
    if (status == VR_OK) status = choose_recipes(job, err);
    if (status == VR_OK && wants_tensors(o)) /* with `all`, or without a recipe, the first */
        job->tensor_recipe = job->recipe_count ? job->recipes[0] : &vr_recipes[0];
    return status;
}

static vr_status write_tensors(const pixels_job *job, vr_error *err)
{
    const char *keys[] = {"recipe"}, *values[] = {job->tensor_recipe->name};
    return vr_safetensors_write(job->o->output, job->tensors, job->tensor_count, keys, values, 1, err);
}

static int exit_code(const pixels_job *job)
{
    if (cli_stop_signal) return 128 + cli_stop_signal;
    if (job->broken) return VR_E_IO;
    if (job->rejected == 0) return 0;
    if (job->accepted > 0) return 1;
    return job->unopened == job->rejected ? VR_E_IO : VR_E_IMAGE;
}

static void release(pixels_job *job)
{
    for (size_t i = 0; i < job->tensor_count; i++) {
        free((char *)(uintptr_t)job->tensors[i].name); /* ours, const only for the writer */
        free((void *)(uintptr_t)job->tensors[i].data);
    }
    free(job->tensors);
    free(job->resized);
    free(job->scratch);
}

int cmd_pixels(const cli_options *o)
{
    pixels_job job = {.o = o};
    cli_output lines;
    vr_error   err = {0};
    vr_status  status = check_usage(&job, &err);
    if (status == VR_OK) status = cli_output_open(&lines, job.tensor_recipe ? NULL : o->output, &err);
    if (status != VR_OK) return cli_failed(&err);
    job.lines = lines.stream;

    status = every_input(&job, &err);
    if (status == VR_OK && job.tensor_recipe && !cli_stop_signal) status = write_tensors(&job, &err);
    vr_status closed = cli_output_close(&lines, status == VR_OK, &err);
    if (status == VR_OK) status = closed;
    release(&job);
    return status == VR_OK ? exit_code(&job) : cli_failed(&err);
}
