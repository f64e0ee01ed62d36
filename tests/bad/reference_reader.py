#!/usr/bin/env python3
"""A slow, plain reader of safetensors headers, to be compared with vitrun's: big integers, Python's json, no tricks.

    python3 tests/bad/reference_reader.py cases tests/bad/cases.txt     every named case has the verdict written there
    python3 tests/bad/reference_reader.py mutants FILE                  FILE: records that test_bad.c wrote, see below

A record is: u32 length, that many bytes of a safetensors file, u32 length, what vitrun found in it ("" for refused, else
a line a tensor, sorted by name: hex of the name, dtype, shape, begin, end).
"""
import json
import re
import struct
import sys

BITS = {"BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
        "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64,
        "C64": 64, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4}
LIMIT = 16 << 20


class Refused(Exception):
    pass


def want(condition):
    if not condition:
        raise Refused


class Integer(int):
    """A number that was written as plain digits."""


def integer(digits):
    want(digits.isdigit() and len(digits) < 1000)  # refuses the sign; json has refused leading zeros
    return Integer(digits)


def refuse(_):
    raise Refused


def unique(pairs):
    want(len(dict(pairs)) == len(pairs))
    return dict(pairs)


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for k, v in value.items():
            yield k
            yield from strings(v)
    elif isinstance(value, list):
        for v in value:
            yield from strings(v)


def parse(header):
    try:
        value = json.loads(header.decode("utf-8"), object_pairs_hook=unique, parse_int=integer, parse_float=refuse,
                           parse_constant=refuse)
        for s in strings(value):
            want("\0" not in s)
            s.encode("utf-8")  # a lone surrogate raises
    except (UnicodeError, ValueError, RecursionError):
        raise Refused
    return value


def number(value):
    want(type(value) is Integer and value < 2**64)
    return int(value)


def tensor(name, entry):
    want(1 <= len(name.encode()) <= 1024 and not re.search("[\0-\x1f]", name))
    want(isinstance(entry, dict) and set(entry) == {"dtype", "shape", "data_offsets"})
    want(isinstance(entry["dtype"], str) and entry["dtype"] in BITS)
    want(isinstance(entry["shape"], list) and isinstance(entry["data_offsets"], list))
    shape = [number(n) for n in entry["shape"]]
    begin, end = [number(n) for n in entry["data_offsets"]] if len(entry["data_offsets"]) == 2 else refuse(None)
    want(len(shape) <= 8)
    elements = span = 1
    for n in shape:
        elements *= n
        span *= n or 1
    want(span * BITS[entry["dtype"]] < 2**64)
    want(end >= begin and (end - begin) * 8 == elements * BITS[entry["dtype"]])
    return name, entry["dtype"], shape, begin, end


def read(data):
    """The tensors of a file, sorted by name, or Refused."""
    want(len(data) >= 8)
    n = int.from_bytes(data[:8], "little")
    want(n <= LIMIT and n <= len(data) - 8)
    header = parse(data[8:8 + n])
    want(isinstance(header, dict))
    metadata = header.pop("__metadata__", {})
    want(isinstance(metadata, dict) and all(isinstance(v, str) for v in metadata.values()))
    want(len(header) <= 65536)
    tensors = [tensor(name, entry) for name, entry in header.items()]
    at = 0
    for t in sorted(tensors, key=lambda t: t[3:]):
        want(t[3] == at)
        at = t[4]
    want(at == len(data) - 8 - n)
    return sorted(tensors, key=lambda t: t[0].encode())


def listing(data):
    try:
        tensors = read(data)
    except Refused:
        return None
    lines = ["%s %s [%s] %d %d" % (n.encode().hex(), d, ",".join(map(str, s)), b, e) for n, d, s, b, e in tensors]
    return "ok\n" + "".join(line + "\n" for line in lines)


def expand(spelt):
    """The header that a line of cases.txt spells (make_bad.py says how)."""
    def plain(text):
        return re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]), text)

    out = b""
    for part in re.split(rb"(\\[*#]\d+\{[^}]*\})", spelt):
        many = re.fullmatch(rb"\\([*#])(\d+)\{([^}]*)\}", part)
        if not many:
            out += plain(part)
        elif many[1] == b"*":
            out += plain(many[3]) * int(many[2])
        else:
            out += b"".join(plain(many[3]).replace(b"%", b"%d" % i) for i in range(int(many[2])))
    return out


def check_cases(path):
    wrong = count = 0
    for line in open(path, "rb").read().splitlines():
        name, verdict, length, spelt, data = line.split(b"\t")
        header = expand(spelt)
        prefix = len(header).to_bytes(8, "little") if length == b"auto" else bytes.fromhex(length.decode())
        found = listing(prefix + header + bytes(int(data)))
        count += 1
        if (found is not None) != (verdict == b"ok"):
            wrong += 1
            print(f"{name.decode()}: cases.txt says {verdict.decode()}, the reference reader says {'ok' if found else 'no'}")
    print(f"reference reader: {count} cases, {wrong} differ")
    return wrong


def check_mutants(path):
    data, at, count, accepted, wrong = open(path, "rb").read(), 0, 0, 0, 0

    def field():
        nonlocal at
        n, = struct.unpack_from("<I", data, at)
        at += 4 + n
        return data[at - n:at]

    while at < len(data):
        file, said = field(), field().decode()
        found = listing(file) or ""
        count += 1
        accepted += said != ""
        if found != said:
            wrong += 1
            if wrong <= 5:
                print(f"differ on {file!r}:\n  vitrun    {said!r}\n  reference {found!r}")
    print(f"reference reader: {count} mutants, {accepted} accepted, {wrong} differ")
    return wrong


if __name__ == "__main__":
    sys.exit(1 if {"cases": check_cases, "mutants": check_mutants}[sys.argv[1]](sys.argv[2]) else 0)
