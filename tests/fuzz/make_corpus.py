#!/usr/bin/env python3
"""Seeds for the fuzz targets, from tests/bad/cases.txt:  python3 tests/fuzz/make_corpus.py FOLDER"""
import pathlib
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
