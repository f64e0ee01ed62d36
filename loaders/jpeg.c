/* jpeg.c: JPEG through libjpeg-turbo with the defaults that Pillow uses: exact integer DCT, smooth chroma upsampling.
 * libjpeg repairs damaged data and only warns; a warning that means lost pixels is an error here, as a picture that is
 * half grey would be classified without anybody noticing. */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

#include "image_formats.h"

/* One decode: lies in vr_jpeg_decode's frame and is reached through cinfo.client_data. */
typedef struct {
    struct jpeg_decompress_struct cinfo;
    struct jpeg_error_mgr         errors;
    struct jpeg_progress_mgr      progress;
    jmp_buf                       leave;
    vr_image                     *out;
    const vr_image_limits        *limits;
    vr_error                     *err;
    vr_status                     status;
    bool                          rows_begun; /* an error from here on leaves a picture that --allow-truncated accepts */
} jpeg;

static jpeg *self(j_common_ptr cinfo) { return cinfo->client_data; }

static void stop(jpeg *j, const char *rule, const char *what)
{
    j->status = vr_fail(j->err, VR_E_IMAGE, rule, "the JPEG data %s", what);
    longjmp(j->leave, 1);
}

/* libjpeg cannot go on. */
static void error_exit(j_common_ptr cinfo)
{
    char text[JMSG_LENGTH_MAX], sentence[JMSG_LENGTH_MAX + 32];
    cinfo->err->format_message(cinfo, text);
    snprintf(sentence, sizeof sentence, "cannot be decoded: %s", text);
    if (self(cinfo)->rows_begun && self(cinfo)->limits->allow_truncated) longjmp(self(cinfo)->leave, 1);
    if (cinfo->err->msg_code == JERR_OUT_OF_MEMORY) {
        self(cinfo)->status = vr_fail(self(cinfo)->err, VR_E_MEMORY, "", "no memory to decode a JPEG picture");
        longjmp(self(cinfo)->leave, 1);
    }
    stop(self(cinfo), "damaged", sentence);
}

/* libjpeg has a warning (level -1) or talks. */
static void emit_message(j_common_ptr cinfo, int level)
{
    jpeg *j = self(cinfo);
    if (level >= 0 || j->limits->allow_truncated) return;
    switch (cinfo->err->msg_code) {
    case JWRN_ADOBE_XFORM: /* an unknown number in a marker: colours are guessed as Pillow guesses them */
    case JWRN_JFIF_MAJOR:
    case JWRN_TOO_MUCH_DATA:
        return;
    case JWRN_JPEG_EOF:
        stop(j, "truncated", "ends too early; get the file again, or accept it with --allow-truncated");
        break;
    default: {
        char text[JMSG_LENGTH_MAX], sentence[JMSG_LENGTH_MAX + 64];
        cinfo->err->format_message(cinfo, text);
        snprintf(sentence, sizeof sentence, "is damaged (%s); accept it with --allow-truncated", text);
        stop(j, "damaged", sentence);
    }
    }
}

static void output_message(j_common_ptr cinfo) { (void)cinfo; /* a library is silent */ }

/* Called between rows of blocks.  A legal file may hold 80,000 scans that cost minutes; real ones have about ten. */
static void count_scans(j_common_ptr cinfo)
{
    jpeg *j = self(cinfo);
    if (j->cinfo.input_scan_number > j->limits->max_scans) stop(j, "too-many-scans", "has more scans than are read");
}

static void read_orientation(jpeg *j)
{
    for (jpeg_saved_marker_ptr m = j->cinfo.marker_list; m; m = m->next)
        if (m->data_length >= 6 && memcmp(m->data, "Exif\0\0", 6) == 0) {
            j->out->orientation = vr_exif_orientation((vr_bytes){m->data, m->data_length});
            return;
        }
}

/* a * b / 255, rounded, as Pillow computes it */
static unsigned mul_255(unsigned a, unsigned b)
{
    unsigned t = a * b + 128;
    return (t + (t >> 8)) >> 8;
}

/* CMYK as Adobe's programs store it, inverted, to RGB.  Pillow inverts whether or not an Adobe marker is there. */
static void cmyk_to_rgb(uint8_t *rgb, const uint8_t *inverted, int width)
{
    for (int x = 0; x < width; x++, rgb += 3, inverted += 4) {
        const unsigned white = inverted[3]; /* 255 - K */
        for (int c = 0; c < 3; c++) rgb[c] = (uint8_t)(white - mul_255(255u - inverted[c], white));
    }
}

static void read_rows(jpeg *j)
{
    struct jpeg_decompress_struct *cinfo = &j->cinfo;
    const size_t                   stride = (size_t)j->out->width * 3;
    JSAMPARRAY                     cmyk = NULL;
    if (cinfo->out_color_space == JCS_CMYK)
        cmyk = cinfo->mem->alloc_sarray((j_common_ptr)cinfo, JPOOL_IMAGE, cinfo->output_width * 4, 1);
    while (cinfo->output_scanline < cinfo->output_height) {
        JSAMPROW row = j->out->rgb + cinfo->output_scanline * stride;
        if (cmyk) {
            jpeg_read_scanlines(cinfo, cmyk, 1);
            cmyk_to_rgb(row, cmyk[0], j->out->width);
        } else {
            jpeg_read_scanlines(cinfo, &row, 1);
        }
    }
}

/* Everything that can leave through error_exit. */
static void decode(jpeg *j, vr_bytes file)
{
    struct jpeg_decompress_struct *cinfo = &j->cinfo;
    jpeg_mem_src(cinfo, file.at, file.length);
    jpeg_save_markers(cinfo, JPEG_APP0 + 1, 0xFFFF);
    jpeg_read_header(cinfo, TRUE);
    if (cinfo->num_components != 1 && cinfo->num_components != 3 && cinfo->num_components != 4)
        stop(j, "components", "has neither 1, 3 nor 4 components");
    j->status =
        vr_image_take(j->out, "JPEG", cinfo->image_width, cinfo->image_height, j->limits->allow_truncated, j->limits, j->err);
    if (j->status != VR_OK) longjmp(j->leave, 1);
    cinfo->out_color_space = cinfo->num_components == 4 ? JCS_CMYK : JCS_RGB;
    read_orientation(j);
    j->rows_begun = true;
    jpeg_start_decompress(cinfo);
    read_rows(j);
    jpeg_finish_decompress(cinfo);
}

vr_status vr_jpeg_decode(vr_image *out, vr_bytes file, const vr_image_limits *limits, vr_error *err)
{
    jpeg j = {.out = out, .limits = limits, .err = err, .status = VR_OK};
    j.cinfo.err = jpeg_std_error(&j.errors);
    j.cinfo.client_data = &j;
    j.errors.error_exit = error_exit;
    j.errors.emit_message = emit_message;
    j.errors.output_message = output_message;
    j.progress.progress_monitor = count_scans;
    if (setjmp(j.leave) == 0) {
        jpeg_create_decompress(&j.cinfo); /* keeps err and client_data */
        j.cinfo.progress = &j.progress;
        decode(&j, file);
    }
    jpeg_destroy_decompress(&j.cinfo);
    return j.status;
}
