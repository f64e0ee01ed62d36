/* webp.c: WebP through libwebp.  libwebpdemux finds the first frame and the EXIF chunk, and refuses files that are cut. */
#include <string.h>

#include <webp/decode.h>
#include <webp/demux.h>

#include "image_formats.h"

static vr_status decode_frame(vr_image *out, const WebPIterator *frame, vr_error *err)
{
    const int    right = frame->x_offset + frame->width, bottom = frame->y_offset + frame->height;
    const size_t stride = (size_t)out->width * 3;
    if (frame->x_offset < 0 || frame->y_offset < 0 || right > out->width || bottom > out->height)
        return vr_fail(err, VR_E_IMAGE, "damaged", "the first WebP frame does not lie within the picture");
    /* The rest of the canvas stays black: it is transparent, and alpha is dropped. */
    const size_t first = (size_t)frame->y_offset * stride + (size_t)frame->x_offset * 3;
    const size_t room = (size_t)out->height * stride - first;
    if (!WebPDecodeRGBInto(frame->fragment.bytes, frame->fragment.size, out->rgb + first, room, (int)stride))
        return vr_fail(err, VR_E_IMAGE, "damaged", "the WebP data cannot be decoded; get the file again");
    return VR_OK;
}

static void read_orientation(vr_image *out, const WebPDemuxer *demuxer)
{
    WebPChunkIterator chunk;
    if (!WebPDemuxGetChunk(demuxer, "EXIF", 1, &chunk)) return;
    out->orientation = vr_exif_orientation((vr_bytes){chunk.chunk.bytes, chunk.chunk.size});
    WebPDemuxReleaseChunkIterator(&chunk);
}

vr_status vr_webp_decode(vr_image *out, vr_bytes file, const vr_image_limits *limits, vr_error *err)
{
    const WebPData data = {file.at, file.length};
    WebPDemuxer   *demuxer = WebPDemux(&data);
    WebPIterator   frame;
    if (!demuxer) return vr_fail(err, VR_E_IMAGE, "truncated", "the WebP file is cut or damaged; get it again");
    vr_status status = vr_image_take(out, "WebP", WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_WIDTH),
                                     WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_HEIGHT), true, limits, err);
    if (status == VR_OK && !WebPDemuxGetFrame(demuxer, 1, &frame)) {
        status = vr_fail(err, VR_E_IMAGE, "damaged", "the WebP file holds no picture");
    } else if (status == VR_OK) {
        status = decode_frame(out, &frame, err);
        read_orientation(out, demuxer);
        WebPDemuxReleaseIterator(&frame);
    }
    WebPDemuxDelete(demuxer);
    return status;
}
