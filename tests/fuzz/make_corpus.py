#!/usr/bin/env python3
"""Seeds for the fuzz targets, from tests/bad/cases.txt and, for caches of crops, made here:  python3 tests/fuzz/make_corpus.py FOLDER"""
import pathlib
import struct
import sys

BAD = pathlib.Path(__file__).resolve().parent.parent / "bad"
sys.path.insert(0, str(BAD))
from reference_reader import expand  # noqa: E402

folder = pathlib.Path(sys.argv[1])
for kind in ("safetensors", "json"):
    (folder / kind).mkdir(parents=True, exist_ok=True)
for line in (BAD / "cases.txt").read_bytes().splitlines():
    name, verdict, length, spelt, data = line.split(b"\t")
    header = expand(spelt)
    if len(header) <= 1024:
        # fuzz_safetensors makes a file of a header and a last byte that says how much data follows.
        (folder / "safetensors" / name.decode()).write_bytes(header + bytes([2 * min(int(data), 127)]))
        (folder / "json" / name.decode()).write_bytes(header)

# fuzz_crops takes a header's fields, a byte with the number of crops, and what stands behind the crops.
folders, pictures = ["a", "b"], [("a/1.jpg", 0, None), ("b/c/2.jpg", 1, "is no picture"), ("z.jpg", -1, None)]
text, items = b"".join(f.encode() + b"\0" for f in folders), b""
for name, place, why in pictures:
    items += struct.pack("<Q32sQiIII", 100, b"", 0, place, 9, 7, 4 if why else 0)
    text += name.encode() + b"\0" + (why.encode() + b"\0" if why else b"")
header = struct.pack("<8s7Q", b"vrcrops1", 0, len(pictures), len(folders), 0, len(text), 1 << 26, 50000000)
header += struct.pack("<14I16sQQ", 16384, 100, 255, 0, 0, 6, 0, 1, 2, 2, 0, 0, 0, 0, b"0.1.0", 0, 0)
(folder / "crops").mkdir(parents=True, exist_ok=True)
(folder / "crops" / "three").write_bytes(header + bytes([len(pictures)]) + items + text)
