#!/usr/bin/env python3
"""Make the small pictures of this folder, and goldens.txt: what Pillow says of each.

    python3 tests/pictures/make_pictures.py        with Pillow 13.0.0; libjpeg-turbo 3.2.0 and libwebp 1.6.0 inside it

Everything is drawn here from a fixed seed. Files that Pillow cannot write are put together by hand. A line of goldens.txt:
name, width, height, CRC-32 of the RGB bytes, EXIF orientation, width, height and CRC-32 after ImageOps.exif_transpose, and
the CRC-32 of the six recipes in the order of vr_recipes, centre crop included.
"""
import io, os, random, struct, zlib
from PIL import Image, ImageOps, __version__

HERE = os.path.dirname(os.path.abspath(__file__))
random.seed(20240517)


def drawing(w, h, bands=3):
    """Gradients, edges from black to white and some noise: what shows a wrong weight or a missing clamp."""
    def value(x, y, b):
        v = (x * 255 // max(w - 1, 1), y * 255 // max(h - 1, 1), (x * y * 7) % 256, 255 - x * 3 % 256)[b]
        if (x // 5 + y // 4) % 4 == 0:
            v = 255 * ((x + b) % 2)
        return max(0, min(255, v + random.randrange(-6, 7)))
    data = bytes(value(x, y, b) for y in range(h) for x in range(w) for b in range(bands))
    return Image.frombytes({1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[bands], (w, h), data)


def save(name, image, **options):
    image.save(os.path.join(HERE, name), **options)


def write(name, data):
    with open(os.path.join(HERE, name), "wb") as f:
        f.write(data)


def exif(orientation):
    block = Image.Exif()
    block[0x0112] = orientation
    return block


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(w, h, depth, color, row_of, extra=b"", adam7=False):
    """A PNG of any kind; row_of(y, xs) gives the bytes of the pixels xs of row y."""
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    raw = b""
    for x0, y0, dx, dy in passes if adam7 else [(0, 0, 1, 1)]:
        xs = range(x0, w, dx)
        if len(xs):
            raw += b"".join(b"\0" + row_of(y, xs) for y in range(y0, h, dy))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, color, 0, 0, adam7)) + extra
            + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b""))


def pack(values, depth):
    bits = "".join(format(v, "0%db" % depth) for v in values)
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))


def make_jpeg():
    rgb, grey = drawing(37, 29), drawing(31, 26, 1)
    for name, sampling in (("444", 0), ("422", 1), ("420", 2)):
        save("rgb-%s.jpg" % name, rgb, quality=85, subsampling=sampling)
    save("progressive.jpg", rgb, quality=80, progressive=True)
    save("restart.jpg", rgb, quality=80, restart_marker_blocks=2)
    save("grey.jpg", grey, quality=85)
    save("cmyk.jpg", drawing(22, 17, 4).convert("RGB").convert("CMYK"), quality=90)
    save("wide.jpg", drawing(301, 40), quality=60)
    save("tall.jpg", drawing(21, 330), quality=60)
    for o in range(1, 9):
        save("exif-%d.jpg" % o, drawing(12, 7), quality=90, exif=exif(o))
    with open(os.path.join(HERE, "rgb-420.jpg"), "rb") as f:
        write("tail.jpg", f.read() + b"what follows the end is nobody's business")


def make_png():
    rgb, w, h = drawing(25, 18), 25, 18
    save("rgb.png", rgb)
    save("rgba.png", drawing(w, h, 4))
    save("la.png", drawing(w, h, 2))
    save("grey.png", drawing(w, h, 1))
    save("palette.png", rgb.quantize(50))
    save("transparent.png", rgb.quantize(20), transparency=3)
    save("orientation-6.png", rgb, exif=exif(6))
    grey = [[random.randrange(65536) for _ in range(w)] for _ in range(h)]
    for depth in (1, 2, 4):
        rows = lambda y, xs, d=depth: pack([grey[y][x] >> (16 - d) for x in xs], d)
        write("grey-%d.png" % depth, png(w, h, depth, 0, rows))
        palette = chunk(b"PLTE", bytes(random.randrange(256) for _ in range(3 << depth)))
        write("palette-%d-adam7.png" % depth, png(w, h, depth, 3, rows, palette, adam7=True))
    deep = [[[random.randrange(65536) for _ in range(3)] for _ in range(w)] for _ in range(h)]
    rows = lambda y, xs: b"".join(struct.pack(">3H", *deep[y][x]) for x in xs)
    gamma = chunk(b"gAMA", struct.pack(">I", 100000)) + chunk(b"tRNS", struct.pack(">3H", *deep[3][4]))
    write("rgb-16.png", png(w, h, 16, 2, rows, gamma))
    write("rgb-16-adam7.png", png(w, h, 16, 2, rows, adam7=True))


def make_webp():
    rgb = drawing(33, 27)
    save("lossy.webp", rgb, quality=70)
    save("lossless.webp", rgb, lossless=True)
    save("alpha.webp", drawing(19, 16, 4), quality=70)
    save("orientation-8.webp", rgb, quality=60, exif=exif(8))
    frames = [drawing(20, 14, 4) for _ in range(3)]
    save("animated.webp", frames[0], save_all=True, append_images=frames[1:], quality=60)


def make_gif():
    p = drawing(31, 23).quantize(64)
    save("plain.gif", p, interlace=0)
    save("interlaced.gif", p, interlace=1)
    save("transparent.gif", p, transparency=5, interlace=0)
    with open(os.path.join(HERE, "plain.gif"), "rb") as f:
        data = bytearray(f.read())
    data[6:10] = struct.pack("<HH", 40, 30)          # a larger screen,
    at = 13 + (3 << ((data[10] & 7) + 1))
    data[at + 1:at + 5] = struct.pack("<HH", 6, 4)   # and the frame not in its corner
    write("offset.gif", bytes(data))
    save("animated.gif", p, save_all=True, append_images=[drawing(31, 23).quantize(32)])


def make_small_formats():
    rgb, grey = drawing(23, 15), drawing(23, 15, 1)
    save("rgb.bmp", rgb)
    save("palette.bmp", rgb.quantize(256))
    save("mono.bmp", grey.convert("1"))
    save("rgb.tga", rgb)
    save("rle.tga", rgb.quantize(8).convert("RGB"), compression="tga_rle")
    save("rgba.tga", drawing(23, 15, 4))
    with open(os.path.join(HERE, "rgb.tga"), "rb") as f:
        data = bytearray(f.read())
    data[17] |= 0x10
    write("right-to-left.tga", bytes(data))
    save("binary.ppm", rgb)
    save("binary.pgm", grey)
    save("binary.pbm", grey.convert("1"))
    values = list(grey.crop((0, 0, 7, 5)).tobytes())
    write("text.pgm", b"P2\n# a comment\n7 5 200\n" + b" ".join(b"%d" % min(v, 200) for v in values) + b"\n")
    write("text.ppm", b"P3 7 3 # widths\n255\n" + b"\n".join(b"%d" % v for v in rgb.crop((0, 0, 7, 3)).tobytes()) + b"\n")
    write("text.pbm", b"P1\n7 5\n" + b"".join(b"01"[v & 1:(v & 1) + 1] for v in values))
    write("deep.ppm", b"P6 6 4 4095\n" + b"".join(struct.pack(">H", random.randrange(4096)) for _ in range(72)))
    planes = b"".join(band.tobytes() for band in rgb.split())
    write("raw.psd", b"8BPS" + struct.pack(">H6xHIIHH", 1, 3, 15, 23, 8, 3) + bytes(12) + b"\0\0" + planes)


def centre_crop(im, crop):
    w, h = im.size
    left, top = int(round((w - crop) / 2.0)), int(round((h - crop) / 2.0))
    return im.crop((left, top, left + crop, top + crop))


def shorter(im, side, how):
    w, h = im.size
    size = (side, int(side * h / w)) if w <= h else (int(side * w / h), side)
    return im if size == im.size else im.resize(size, how)


RECIPES = [lambda im: centre_crop(shorter(im, 256, Image.BICUBIC), 224), lambda im: centre_crop(shorter(im, 248, Image.BICUBIC), 224),
           lambda im: centre_crop(shorter(im, 224, Image.BILINEAR), 224), lambda im: im.resize((512, 512), Image.BICUBIC),
           lambda im: im.resize((512, 512), Image.BILINEAR), lambda im: centre_crop(shorter(im, 384, Image.BICUBIC), 384)]


def crc(im):
    return "%08x" % zlib.crc32(im.tobytes())


def golden(name):
    with Image.open(os.path.join(HERE, name)) as im:
        orientation = im.getexif().get(0x0112, 1)
        upright = ImageOps.exif_transpose(im).convert("RGB")
        rgb = im.convert("RGB")
    return " ".join([name, "%d %d" % rgb.size, crc(rgb), str(orientation), "%d %d" % upright.size, crc(upright)]
                    + [crc(recipe(rgb)) for recipe in RECIPES])


def main():
    make_jpeg(), make_png(), make_webp(), make_gif(), make_small_formats()
    names = sorted(n for n in os.listdir(HERE) if not n.endswith((".py", ".txt", ".md")))
    with open(os.path.join(HERE, "goldens.txt"), "w") as f:
        f.write("# python3 tests/pictures/make_pictures.py, Pillow %s\n" % __version__)
        f.write("".join(golden(n) + "\n" for n in names))


main()
