#!/usr/bin/env python3
"""Write cases.txt: named safetensors files, good and bad, each with the verdict that vitrun must give.

    python3 tests/bad/make_bad.py > tests/bad/cases.txt

A line of cases.txt is    name <TAB> verdict <TAB> length <TAB> header <TAB> data
    verdict   ok, or the name of the rule that must be broken (loaders/safetensors_header.c lists them)
    length    auto (the header's), or the first bytes of the file in hex
    header    text; \\xNN is a byte, \\*N{..} is the inside N times, \\#N{..} the same with each % replaced by 0 .. N-1
    data      how many zero bytes follow
Verdicts are written by hand below, from the rules and not from what the program does.  tests/loaders/test_bad.c builds
the files and asks vitrun; reference_reader.py asks an independent reader.
"""
import re
import sys

CASES = []


def text(part):
    """Bytes as cases.txt spells them."""
    part = part.encode() if isinstance(part, str) else part
    return "".join(chr(b) if 0x20 <= b < 0x7F and b not in b"\\" else f"\\x{b:02x}" for b in part)


def times(n, part):
    return ("*", n, part)


def each(n, part):
    return ("#", n, part)


def case(name, verdict, header, data=0, length="auto"):
    assert re.fullmatch(r"[a-z0-9-]+", name), name
    assert name not in [c[0] for c in CASES], name
    parts = header if isinstance(header, list) else [header]
    spelt = "".join(text(p) if not isinstance(p, tuple) else f"\\{p[0]}{p[1]}{{{text(p[2]).replace('}', chr(92) + 'x7d')}}}"
                    for p in parts)
    CASES.append((name, verdict, length, spelt, str(data)))


def entry(dtype='"F32"', shape="[2]", offsets="[0,8]"):
    return '{"dtype":%s,"shape":%s,"data_offsets":%s}' % (dtype, shape, offsets)


def one(**fields):
    """A header with a single tensor t."""
    return '{"t":%s}' % entry(**fields)


GOOD = one()  # 8 bytes of data


def le(n, size=8):
    return n.to_bytes(size, "little").hex()


def lengths():
    case("file-empty", "header-too-small", "", length="")  # upstream: empty buffer
    case("file-1-byte", "header-too-small", "", length="02")
    case("file-7-bytes", "header-too-small", "", length="02000000000000")
    case("length-0", "json-syntax", "", length=le(0))
    case("length-0-with-data", "json-syntax", "", 8, length=le(0))
    case("length-60-of-nothing", "header-past-end", "", length=le(60))  # upstream
    case("length-top-bytes-ff", "header-too-large", "{}", length="3c00000000ffffff")  # upstream
    case("length-1-byte-ff", "utf8", b"\xff", length=le(1))  # upstream
    case("length-1-brace", "json-syntax", "{", length=le(1))  # upstream
    n = len(GOOD)
    case("length-minus-1", "json-syntax", GOOD, 8, length=le(n - 1))
    case("length-minus-2", "json-syntax", GOOD, 8, length=le(n - 2))
    case("length-plus-1", "json-syntax", GOOD, 8, length=le(n + 1))  # swallows a NUL of the data
    case("length-plus-8", "json-syntax", GOOD, 8, length=le(n + 8))
    case("length-plus-9", "header-past-end", GOOD, 8, length=le(n + 9))
    case("length-whole-file", "header-past-end", GOOD, 8, length=le(n + 16))
    case("length-half", "json-syntax", GOOD, 8, length=le(n // 2))
    case("length-big-endian", "header-too-large", GOOD, 8, length=n.to_bytes(8, "big").hex())
    case("length-16-mib-of-nothing", "header-past-end", "{}", length=le(1 << 24))
    case("length-16-mib-and-1", "header-too-large", "{}", length=le((1 << 24) + 1))
    for n in (99_999_999, 100_000_000, 100_000_001, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 9,
              2**64 - 8, 2**64 - 1):
        case(f"length-{n}", "header-too-large", "{}", length=le(n))
    case("header-16-mib", "ok", ["{}", times((1 << 24) - 2, " ")])
    case("header-16-mib-and-1", "header-too-large", ["{}", times((1 << 24) - 1, " ")])


def good():
    case("no-tensors", "ok", "{}")
    case("one-tensor", "ok", GOOD, 8)
    case("spaces-behind", "ok", "{}\r \t\n")  # upstream
    case("spaces-in-front", "ok", "\t\n{}")  # upstream
    case("spaces-everywhere", "ok", ' { "t" : { "dtype" : "F32" , "shape" : [ 2 ] , "data_offsets" : [ 0 , 8 ] } } ', 8)
    case("newlines-everywhere", "ok", '\n{\n"t"\n:\n{"dtype"\r\n:"F32",\n"shape"\n:[\n2\n],"data_offsets":[0,\t8]}\n}\n', 8)
    case("header-unaligned", "ok", GOOD + " ", 8)
    case("fields-in-another-order", "ok", '{"t":{"data_offsets":[0,8],"shape":[2],"dtype":"F32"}}', 8)
    case("metadata-behind", "ok", '{"t":%s,"__metadata__":{"format":"pt"}}' % entry(), 8)
    case("metadata-in-front", "ok", '{"__metadata__":{"format":"pt"},"t":%s}' % entry(), 8)
    case("tensors-out-of-order", "ok", '{"b":%s,"a":%s}' % (entry(offsets="[8,16]"), entry()), 16)
    case("names-against-offsets", "ok", '{"a":%s,"b":%s}' % (entry(offsets="[8,16]"), entry()), 16)
    case("scalar", "ok", one(shape="[]", offsets="[0,4]"), 4)  # upstream
    case("zero-size", "ok", one(shape="[2,0]", offsets="[0,0]"))  # upstream
    case("zero-size-between", "ok", '{"a":%s,"e":%s,"b":%s}' %
         (entry(), entry(shape="[0]", offsets="[8,8]"), entry(offsets="[8,16]")), 16)
    case("zero-size-at-end", "ok", '{"a":%s,"e":%s}' % (entry(), entry(shape="[0]", offsets="[8,8]")), 8)
    case("two-zero-size-at-0", "ok", '{"a":%s,"e":%s,"f":%s}' %
         (entry(), entry(shape="[0]", offsets="[0,0]"), entry(shape="[5,0]", offsets="[0,0]")), 8)
    case("escaped-keys", "ok", '{"t":{"\\u0064type":"F\\u00332","sh\\u0061pe":[2],"data\\u005foffsets":[0,8]}}', 8)
    case("tensors-65536", "ok", ["{", each(65535, '"t%":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},'),
                                 '"last":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'], 1)
    case("tensors-65537", "too-many-tensors", ["{", each(65536, '"t%":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},'),
                                               '"last":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'], 1)


def syntax():
    for name, verdict, header in [
        ("space-only", "json-syntax", "    "),
        ("nul-only", "json-syntax", b"\0\0"),
        ("null", "header-type", "null"),
        ("true", "header-type", "true"),
        ("number", "header-type", "12"),
        ("string", "header-type", '"t"'),
        ("array", "header-type", "[]"),
        ("array-of-object", "header-type", "[{}]"),
        ("bom", "json-syntax", b"\xef\xbb\xbf{}"),
        ("bom-utf16", "utf8", b"\xff\xfe{\0}\0"),
        ("form-feed-in-front", "json-syntax", "\f{}"),
        ("vertical-tab-behind", "json-syntax", "{}\v"),
        ("nbsp-behind", "json-syntax", "{}\u00a0"),
        ("control-1-in-front", "json-syntax", "\x01{}"),
        ("nul-behind", "json-syntax", "{}\0"),
        ("text-behind", "json-syntax", "{}x"),
        ("object-behind", "json-syntax", "{}{}"),
        ("comma-behind", "json-syntax", "{},"),
        ("brace-behind", "json-syntax", "{}}"),
        ("brace-missing", "json-syntax", '{"t":%s' % entry()),
        ("bracket-for-brace", "json-syntax", '{"t":%s]' % entry()),
        ("trailing-comma", "json-syntax", '{"t":%s,}' % entry()),
        ("leading-comma", "json-syntax", '{,"t":%s}' % entry()),
        ("double-comma", "json-syntax", '{"a":%s,,"b":%s}' % (entry(), entry(offsets="[8,16]"))),
        ("comma-only", "json-syntax", "{,}"),
        ("colon-missing", "json-syntax", '{"t"%s}' % entry()),
        ("colon-twice", "json-syntax", '{"t"::%s}' % entry()),
        ("equals-for-colon", "json-syntax", '{"t"=%s}' % entry()),
        ("value-missing", "json-syntax", '{"t":}'),
        ("key-alone", "json-syntax", '{"t"}'),
        ("key-unquoted", "json-syntax", "{t:%s}" % entry()),
        ("key-single-quotes", "json-syntax", "{'t':%s}" % entry()),
        ("key-number", "json-syntax", "{1:%s}" % entry()),
        ("key-null", "json-syntax", "{null:%s}" % entry()),
        ("string-open", "json-syntax", '{"t'),
        ("string-open-at-escape", "json-escape", '{"t\\'),
        ("comment", "json-syntax", "{}//x"),
        ("comment-inside", "json-syntax", "{/**/}"),
        ("nan", "json-syntax", '{"t":NaN}'),
        ("true-misspelt", "json-syntax", '{"t":True}'),
        ("null-cut", "json-syntax", '{"t":nul}'),
        ("newline-in-string", "json-syntax", '{"a\nb":%s}' % entry()),
        ("tab-in-string", "json-syntax", '{"a\tb":%s}' % entry()),
        ("nul-in-string", "json-syntax", b'{"a\0b":1}'),
        ("control-1f-in-string", "json-syntax", '{"a\x1fb":%s}' % entry()),
        ("escape-x", "json-escape", '{"\\x41":%s}' % entry()),
        ("escape-quote-single", "json-escape", '{"\\\'":%s}' % entry()),
        ("escape-zero", "json-escape", '{"\\0":%s}' % entry()),
        ("escape-capital-u", "json-escape", '{"\\U0041":%s}' % entry()),
        ("escape-u-short", "json-escape", '{"\\u41":%s}' % entry()),
        ("escape-u-no-hex", "json-escape", '{"\\u00g1":%s}' % entry()),
        ("escape-u-sign", "json-escape", '{"\\u+041":%s}' % entry()),
        ("escape-u-space", "json-escape", '{"\\u 041":%s}' % entry()),
        ("escape-u-at-end", "json-escape", '{"\\u004'),
        ("surrogate-high-alone", "json-escape", '{"\\ud83d":%s}' % entry()),
        ("surrogate-low-alone", "json-escape", '{"\\ude00":%s}' % entry()),
        ("surrogate-high-twice", "json-escape", '{"\\ud83d\\ud83d":%s}' % entry()),
        ("surrogates-swapped", "json-escape", '{"\\ude00\\ud83d":%s}' % entry()),
        ("surrogate-then-letter", "json-escape", '{"\\ud83d\\u0041":%s}' % entry()),
        ("utf8-ff", "utf8", b'{"\xff":1}'),
        ("utf8-continuation-alone", "utf8", b'{"\x80":1}'),
        ("utf8-cut", "utf8", b'{"\xc3":1}'),
        ("utf8-cut-3", "utf8", b'{"\xe2\x82":1}'),
        ("utf8-overlong-2", "utf8", b'{"\xc1\xbf":1}'),
        ("utf8-overlong-nul", "utf8", b'{"\xc0\x80":1}'),
        ("utf8-overlong-3", "utf8", b'{"\xe0\x80\xaf":1}'),
        ("utf8-overlong-4", "utf8", b'{"\xf0\x80\x80\xaf":1}'),
        ("utf8-surrogate", "utf8", b'{"\xed\xa0\x80":1}'),
        ("utf8-above-10ffff", "utf8", b'{"\xf4\x90\x80\x80":1}'),
        ("utf8-5-bytes", "utf8", b'{"\xf8\x88\x80\x80\x80":1}'),
        ("utf8-latin1", "utf8", b'{"caf\xe9":1}'),
        ("utf8-outside-string", "json-syntax", "{}\u2028"),
        ("nesting-5", "nesting", '{"t":[[[[]]]]}'),
        ("nesting-4", "entry-type", '{"t":[[[]]]}'),
        ("nesting-5-objects", "nesting", '{"a":{"b":{"c":{"d":{}}}}}'),
    ]:
        case("syntax-" + name, verdict, header, 8)
    case("syntax-nesting-10000", "nesting", [times(10000, "["), times(10000, "]")])
    case("syntax-nesting-100000-open", "nesting", [times(100000, "[")])
    case("syntax-nesting-100000-objects", "nesting", [times(100000, '{"a":')])
    case("syntax-values-too-many", "too-many-values", ["[", times(1100000, "0,"), "0]"])


def numbers():
    for name, verdict, number in [
        ("leading-zero", "number-form", "02"),
        ("zeros", "number-form", "00"),
        ("minus", "number-form", "-2"),
        ("minus-zero", "number-form", "-0"),
        ("minus-alone", "number-form", "-"),
        ("minus-twice", "number-form", "--2"),
        ("plus", "json-syntax", "+2"),
        ("point", "number-form", "2.0"),
        ("point-behind", "number-form", "2."),
        ("point-in-front", "json-syntax", ".2"),
        ("exponent", "number-form", "2e0"),
        ("exponent-capital", "number-form", "2E0"),
        ("exponent-empty", "number-form", "2e"),
        ("exponent-signed", "number-form", "20e-1"),
        ("exponent-huge", "number-form", "1e999"),
        ("hex", "number-form", "0x2"),
        ("underscore", "number-form", "2_0"),
        ("letters-behind", "number-form", "2f"),
        ("space-inside", "json-syntax", "1 2"),
        ("string", "entry-type", '"2"'),
        ("null", "entry-type", "null"),
        ("true", "entry-type", "true"),
        ("list", "entry-type", "[2]"),
        ("object", "entry-type", '{"n":2}'),
        ("infinity", "json-syntax", "Infinity"),
        ("digit-arabic", "json-syntax", "\u0662"),
        ("digit-fullwidth", "json-syntax", "\uff12"),
        ("2-64", "number-range", str(2**64)),
        ("2-64-plus-2", "number-range", str(2**64 + 2)),
        ("30-digits", "number-range", "1" * 30),
        ("10-100", "number-range", "1" + "0" * 100),
        ("2-64-minus-1", "shape-overflow", str(2**64 - 1)),
        ("2-63", "shape-overflow", str(2**63)),
        ("2-53-plus-1", "size-mismatch", str(2**53 + 1)),
        ("2-31", "size-mismatch", str(2**31)),
    ]:
        case("number-shape-" + name, verdict, one(shape=f"[{number}]"), 8)
    for name, verdict, offsets in [
        ("leading-zero", "number-form", "[00,8]"),
        ("minus-begin", "number-form", "[-8,0]"),
        ("minus-end", "number-form", "[0,-8]"),
        ("point", "number-form", "[0,8.0]"),
        ("exponent", "number-form", "[0,8e0]"),
        ("string", "entry-type", '["0","8"]'),
        ("2-64", "number-range", "[0,%d]" % 2**64),
        ("2-64-plus-8", "number-range", "[0,%d]" % (2**64 + 8)),
        ("2-64-both", "number-range", "[%d,%d]" % (2**64, 2**64 + 8)),
    ]:
        case("number-offset-" + name, verdict, one(offsets=offsets), 8)


def structure():
    full = {"dtype": '"F32"', "shape": "[2]", "data_offsets": "[0,8]"}

    def header(members):
        return '{"t":{%s}}' % ",".join(f'"{k}":{v}' for k, v in members)

    kinds = {"null": "null", "true": "true", "number": "3", "string": '"x"', "object": "{}", "list": "[]", "list-of-string": '["a"]'}
    for key in full:
        name = key.replace("_", "-")
        rest = [(k, v) for k, v in full.items() if k != key]
        case(f"entry-no-{name}", "entry-missing", header(rest), 8)
        case(f"entry-two-{name}", "duplicate-key", header([(key, full[key])] + rest + [(key, full[key])]), 8)
        case(f"entry-capital-{name}", "entry-key", header(rest + [(key.upper(), full[key])]), 8)
        for kind, value in kinds.items():
            verdict = "entry-type"
            if key == "dtype" and kind == "string":
                verdict = "unknown-dtype"
            if key == "shape" and kind == "list":
                verdict = "size-mismatch"  # a scalar has 4 bytes
            if key == "data_offsets" and kind == "list":
                verdict = "offset-count"
            case(f"entry-{name}-{kind}", verdict, header(rest + [(key, value)]), 8)
    case("entry-empty", "entry-missing", '{"t":{}}', 8)
    case("entry-extra-key", "entry-key", header(list(full.items()) + [("device", '"cpu"')]), 8)
    case("entry-extra-empty-key", "entry-key", header(list(full.items()) + [("", "1")]), 8)
    case("entry-key-with-nul", "nul-escape", header(list(full.items()) + [("dtype\\u0000", '"F32"')]), 8)
    case("entry-two-by-escape", "duplicate-key", header(list(full.items()) + [("\\u0064type", '"F32"')]), 8)
    for kind, value in kinds.items():
        if kind != "object":
            case(f"entry-is-{kind}", "entry-type", '{"t":%s}' % value, 8)
    case("entry-shape-nested", "entry-type", one(shape="[[2]]"), 8)
    case("entry-shape-mixed", "entry-type", one(shape='[2,"1"]'), 8)
    case("offsets-one", "offset-count", one(offsets="[8]"), 8)
    case("offsets-three", "offset-count", one(offsets="[0,8,8]"), 8)
    case("duplicate-name", "duplicate-name", '{"t":%s,"t":%s}' % (entry(), entry(offsets="[8,16]")), 16)
    case("duplicate-name-same-place", "duplicate-name", '{"t":%s,"t":%s}' % (entry(), entry()), 8)
    case("duplicate-name-by-escape", "duplicate-name", '{"t":%s,"\\u0074":%s}' % (entry(), entry(offsets="[8,16]")), 16)
    case("duplicate-name-far-apart", "duplicate-name", '{"t":%s,"a":%s,"t":%s}' %
         (entry(), entry(offsets="[8,16]"), entry(offsets="[16,24]")), 24)
    case("duplicate-name-empty-tensor", "duplicate-name", '{"t":%s,"t":%s}' % (entry(), entry(shape="[0]", offsets="[8,8]")), 8)
    case("names-differ-in-case", "ok", '{"t":%s,"T":%s}' % (entry(), entry(offsets="[8,16]")), 16)


def offsets():
    for name, verdict, value, data in [
        ("swapped", "offset-order", "[8,0]", 8),
        ("begin-1", "offset-hole", "[1,9]", 9),
        ("begin-8", "offset-hole", "[8,16]", 16),
        ("end-minus-1", "size-mismatch", "[0,7]", 7),
        ("end-plus-1", "size-mismatch", "[0,9]", 9),
        ("empty", "size-mismatch", "[0,0]", 8),
        ("far", "offset-hole", "[1000000,1000008]", 8),
        ("at-2-63", "offset-hole", "[%d,%d]" % (2**63, 2**63 + 8), 8),
        ("at-2-64", "offset-hole", "[%d,%d]" % (2**64 - 9, 2**64 - 1), 8),
        ("end-2-64", "size-mismatch", "[0,%d]" % (2**64 - 1), 8),
        ("wrap", "offset-order", "[%d,0]" % (2**64 - 8), 8),
        ("wrap-4", "offset-order", "[%d,4]" % (2**64 - 4), 8),
    ]:
        case("offset-" + name, verdict, one(offsets=value), data)
    case("data-missing-all", "missing-bytes", GOOD)
    case("data-missing-1", "missing-bytes", GOOD, 7)
    case("data-missing-2", "missing-bytes", '{"a":%s,"b":%s}' % (entry(), entry(offsets="[8,16]")), 14)  # upstream
    case("data-trailing-1", "trailing-bytes", GOOD, 9)
    case("data-trailing-34", "trailing-bytes", GOOD, 42)  # upstream: polyglot
    case("data-without-tensors", "trailing-bytes", "{}", 1)
    case("data-behind-empty-tensor", "trailing-bytes", one(shape="[0]", offsets="[0,0]"), 8)

    def two(a, b, data, name, verdict, **more):
        case("offset-two-" + name, verdict, '{"a":%s,"b":%s}' % (entry(offsets=a), entry(offsets=b, **more)), data)

    two("[0,8]", "[0,8]", 8, "same-place", "offset-overlap")
    two("[0,8]", "[7,15]", 15, "overlap-1", "offset-overlap")
    two("[0,8]", "[4,12]", 12, "overlap-4", "offset-overlap")
    two("[0,8]", "[9,17]", 17, "hole-1", "offset-hole")
    two("[0,8]", "[16,24]", 24, "hole-8", "offset-hole")
    two("[8,16]", "[16,24]", 24, "hole-in-front", "offset-hole")
    two("[8,16]", "[1,9]", 16, "out-of-order-hole", "offset-hole")
    two("[8,16]", "[0,9]", 16, "out-of-order-size", "size-mismatch")
    two("[0,8]", "[8,16]", 15, "second-cut", "missing-bytes")
    two("[0,8]", "[8,16]", 17, "second-long", "trailing-bytes")
    two("[0,8]", "[4,4]", 8, "empty-inside", "offset-overlap", shape="[0]")
    two("[0,8]", "[9,9]", 8, "empty-past-end", "offset-hole", shape="[0]")
    two("[0,8]", "[9,9]", 9, "empty-behind-hole", "offset-hole", shape="[0]")
    two("[0,8]", "[%d,%d]" % (2**64 - 1, 2**64 - 1), 8, "empty-at-2-64", "offset-hole", shape="[0]")
    case("ten-names-one-region", "offset-overlap",
         ["{", each(9, '"t%":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},'),
          '"last":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}'], 16)  # upstream
    case("attack-65000-names-one-region", "offset-overlap",
         ["{", each(65000, '"t%":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},'),
          '"last":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}'], 16)  # upstream attacks 2 and 3
    case("attack-same-name-10000-times", "duplicate-name",
         ["{", times(10000, '"t":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},'),
          '"last":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}'], 16)


def shapes():
    widths = {"BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
              "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64,
              "F64": 64, "C64": 64, "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4}
    for dtype, bits in widths.items():
        name, size = dtype.lower().replace("_", "-"), 4 * bits // 8
        case(f"dtype-{name}", "ok", one(dtype=f'"{dtype}"', shape="[2,2]", offsets=f"[0,{size}]"), size)
        case(f"dtype-{name}-1-byte-more", "size-mismatch", one(dtype=f'"{dtype}"', shape="[2,2]", offsets=f"[0,{size + 1}]"), size + 1)
    case("dtype-f4-12-bits", "misaligned", one(dtype='"F4"', shape="[1,3]", offsets="[0,1]"), 1)  # upstream
    case("dtype-f4-short", "size-mismatch", one(dtype='"F4"', shape="[1,2]", offsets="[0,2]"), 2)  # upstream
    case("dtype-f4-scalar", "misaligned", one(dtype='"F4"', shape="[]", offsets="[0,1]"), 1)
    case("dtype-f6-6-bits", "misaligned", one(dtype='"F6_E2M3"', shape="[1]", offsets="[0,1]"), 1)
    for name, dtype in [("lower-case", "f32"), ("torch", "float32"), ("numpy", "<f4"), ("empty", ""), ("space", "F32 "),
                        ("unknown", "F128"), ("bool-lower", "bool"), ("nearly", "F3"), ("longer", "F322"),
                        ("escape", "\\u001b[2J")]:
        case(f"dtype-unknown-{name}", "unknown-dtype", one(dtype=f'"{dtype}"'), 8)
    case("dtype-long", "unknown-dtype", ['{"t":{"dtype":"', times(100000, "F"), '","shape":[2],"data_offsets":[0,8]}}'], 8)
    case("dtype-nul", "nul-escape", one(dtype='"F32\\u0000"'), 8)
    for rank in range(1, 9):
        case(f"rank-{rank}", "ok", one(shape="[%s]" % ",".join(["2"] + ["1"] * (rank - 1))), 8)
    case("rank-9", "rank", one(shape="[2%s]" % (",1" * 8)), 8)
    case("rank-1000", "rank", ['{"t":{"dtype":"F32","shape":[2', times(999, ",1"), '],"data_offsets":[0,8]}}'], 8)
    case("rank-100000", "rank", ['{"t":{"dtype":"F32","shape":[2', times(99999, ",1"), '],"data_offsets":[0,8]}}'], 8)
    case("shape-i32-2-2-at-4", "size-mismatch", one(dtype='"I32"', shape="[2,2]", offsets="[0,4]"), 4)  # upstream
    case("shape-2-by-2-64-minus-2", "shape-overflow", one(shape="[2,%d]" % (2**64 - 2)), 8)  # upstream
    case("shape-2-by-2-63-minus-1", "shape-overflow", one(shape="[2,%d]" % (2**63 - 1)), 8)  # upstream
    case("shape-wraps-to-0", "shape-overflow", one(shape="[%d,%d]" % (2**32, 2**32), offsets="[0,0]"))
    case("shape-wraps-to-8-bytes", "shape-overflow", one(shape="[%d,%d]" % (2**63 + 1, 2)), 8)
    case("shape-elements-wrap-to-2", "shape-overflow", one(shape="[%d,%d,2]" % (2**63, 2**63 + 1)), 8)
    case("shape-bits-wrap", "shape-overflow", one(shape="[%d]" % (2**59 + 2)), 8)
    case("shape-bytes-wrap", "shape-overflow", one(shape="[%d]" % (2**62 + 2)), 8)
    case("shape-33-33-33", "shape-overflow", one(shape="[%d,%d,%d]" % (2**33, 2**33, 2**33), offsets="[0,0]"))
    case("shape-largest-u8", "size-mismatch", one(dtype='"U8"', shape="[%d]" % (2**61 - 1)), 8)
    case("shape-zero-hides-overflow", "shape-overflow", one(shape="[0,%d,2]" % 2**63, offsets="[0,0]"))
    case("shape-overflow-then-zero", "shape-overflow", one(shape="[%d,2,0]" % 2**63, offsets="[0,0]"))
    case("shape-zero-hides-bits", "shape-overflow", one(shape="[0,%d]" % 2**60, offsets="[0,0]"))
    case("shape-zero-large", "ok", one(shape="[0,%d]" % 2**40, offsets="[0,0]"))
    case("shape-zeros", "ok", one(shape="[0,0,0]", offsets="[0,0]"))
    case("shape-zero-with-bytes", "size-mismatch", one(shape="[0]"), 8)
    case("shape-1-by-2", "ok", one(shape="[1,2]"), 8)
    case("shape-half", "size-mismatch", one(shape="[1]"), 8)
    case("shape-double", "size-mismatch", one(shape="[4]"), 8)


def names():
    def named(name, verdict, spelt):
        case("name-" + name, verdict, b'{"' + (spelt if isinstance(spelt, bytes) else spelt.encode()) + b'":' + entry().encode() + b"}", 8)

    named("empty", "name-length", "")
    named("1-byte", "ok", "a")
    named("nul", "nul-escape", "a\\u0000b")
    named("nul-in-front", "nul-escape", "\\u0000")
    named("control-1", "name-bytes", "a\\u0001")
    named("newline", "name-bytes", "a\\nb")
    named("tab", "name-bytes", "a\\tb")
    named("ansi", "name-bytes", "\\u001b[31mred")
    named("control-1f", "name-bytes", "\\u001f")
    named("delete", "ok", "\x7f")
    named("c1", "ok", "\u0085")
    named("space", "ok", " ")
    named("dots", "ok", "../../etc/passwd")
    named("slash", "ok", "/dev/null")
    named("escaped-slash", "ok", "a\\/b")
    named("backslash", "ok", "a\\\\b")
    named("quote", "ok", 'a\\"b')
    named("bidi", "ok", "\u202ea")
    named("accent", "ok", "caf\u00e9")
    named("accent-escaped", "ok", "caf\\u00e9")
    named("emoji", "ok", "\U0001f600")
    named("emoji-escaped", "ok", "\\ud83d\\ude00")
    named("emoji-escaped-capitals", "ok", "\\uD83D\\uDE00")
    named("last-code-point", "ok", "\U0010ffff")
    named("noncharacter", "ok", "\uffff")
    named("percent", "ok", "%s%n%d")
    named("prototype", "ok", "__proto__")
    named("metadata", "metadata-type", "__metadata__")
    named("metadata-escaped", "metadata-type", "__meta\\u0064ata__")
    named("metadata-capital", "ok", "__METADATA__")
    for n, verdict in [(1024, "ok"), (1025, "name-length"), (1 << 20, "name-length")]:
        case(f"name-{n}-bytes", verdict, ['{"', times(n, "n"), '":%s}' % entry()], 8)
    case("name-1024-bytes-escaped", "ok", ['{"', times(1024, "\\u006e"), '":%s}' % entry()], 8)
    case("name-513-accents", "name-length", ['{"', times(513, "\u00e9"), '":%s}' % entry()], 8)
    case("name-512-accents", "ok", ['{"', times(512, "\u00e9"), '":%s}' % entry()], 8)


def metadata():
    for name, verdict, value in [
        ("empty", "ok", "{}"),
        ("one", "ok", '{"format":"pt"}'),
        ("empty-key", "ok", '{"":"x"}'),
        ("empty-value", "ok", '{"x":""}'),
        ("newline-in-value", "ok", '{"x":"a\\nb"}'),
        ("json-in-value", "ok", '{"x":"{\\"a\\":[1]}"}'),
        ("emoji", "ok", '{"\\ud83d\\ude00":"\U0001f600"}'),
        ("null", "metadata-type", "null"),
        ("list", "metadata-type", "[]"),
        ("string", "metadata-type", '"pt"'),
        ("number", "metadata-type", "1"),
        ("value-null", "metadata-type", '{"x":null}'),
        ("value-number", "metadata-type", '{"x":1}'),
        ("value-true", "metadata-type", '{"x":true}'),
        ("value-object", "metadata-type", '{"x":{}}'),
        ("value-list", "metadata-type", '{"x":["a"]}'),
        ("value-nul", "nul-escape", '{"x":"a\\u0000b"}'),
        ("key-nul", "nul-escape", '{"a\\u0000b":"x"}'),
        ("key-twice", "duplicate-key", '{"x":"1","x":"1"}'),
        ("key-twice-by-escape", "duplicate-key", '{"x":"1","\\u0078":"2"}'),
        ("is-a-tensor", "metadata-type", entry()),
    ]:
        case("metadata-" + name, verdict, '{"__metadata__":%s,"t":%s}' % (value, entry()), 8)
    case("metadata-twice", "duplicate-key", '{"__metadata__":{},"t":%s,"__metadata__":{}}' % entry(), 8)
    case("metadata-twice-by-escape", "duplicate-key", '{"__metadata__":{},"__metadat\\u0061__":{},"t":%s}' % entry(), 8)
    case("metadata-only", "ok", '{"__metadata__":{"a":"b"}}')
    case("metadata-1-mib-value", "ok", ['{"__metadata__":{"x":"', times(1 << 20, "v"), '"}}'])
    case("metadata-10000-keys", "ok", ['{"__metadata__":{', each(10000, '"k%":"v",'), '"last":""}}'])
    case("metadata-10000-equal-keys", "duplicate-key", ['{"__metadata__":{', times(10000, '"k":"v",'), '"last":""}}'])


for group in (lengths, good, syntax, numbers, structure, offsets, shapes, names, metadata):
    group()
for c in CASES:
    print("\t".join(c))
print(len(CASES), "cases", file=sys.stderr)
