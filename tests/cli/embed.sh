#!/usr/bin/env bash
# If these fail, features belong to another picture than they say, or a form cannot be read by those it is for.
. tests/support/shell.sh
needs 'features' "$TINY"
P=$ROOT/tests/pictures/china.jpg Q=$ROOT/tests/pictures/flower.jpg
cd "$T" || exit 1
echo nonsense >broken.jpg
embed() { run vitrun embed -m "$TINY" "$@"; }

cat >read.py <<'END_PY'
import ast, json, math, struct, sys
def numbers(data, shape):
    values = list(struct.unpack("<%df" % (len(data) // 4), data))
    for n in reversed(shape[1:]): values = [values[i:i + n] for i in range(0, len(values), n)]
    assert len(values) == shape[0]
    return values
def read(path):
    data = open(path, "rb").read()
    if path.endswith(".npy"):
        assert data[:8] == b"\x93NUMPY\x01\x00"
        n, = struct.unpack("<H", data[8:10])
        assert (10 + n) % 64 == 0 and data[9 + n:10 + n] == b"\n"
        header = ast.literal_eval(data[10:10 + n].decode())
        assert header["descr"] == "<f4" and header["fortran_order"] is False
        return numbers(data[10 + n:], header["shape"])
    if path.endswith(".safetensors"):
        n, = struct.unpack("<Q", data[:8])
        header = json.loads(data[8:8 + n])
        assert len(json.loads(header["__metadata__"]["files"])) == header["features"]["shape"][0]
        return numbers(data[8 + n:], header["features"]["shape"])
    return [json.loads(line)["features"] for line in data.decode().splitlines()]
def same(a, b):
    if isinstance(a, list): return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
    if a is None or math.isnan(a): return b is None or b != b
    return abs(a - b) <= 1e-6 * max(1, abs(a))
def length(x): return math.sqrt(sum(v * v for v in x))
END_PY
agree() { # every file holds what the first holds
    python3 - "$@" <<'END_PY'
from read import *
first, *others = map(read, sys.argv[1:])
for other in others:
    for a, b in zip(first, other):
        if a is None:   # a picture that could not be read: NaNs
            while isinstance(b, list): b = b[0]
            assert math.isnan(b)
        else: assert same(a, b)
    assert len(first) == len(other)
END_PY
}
for pool in cls mean patches logits-input; do
    embed --pool $pool "$P" broken.jpg "$Q"
    cp out $pool.jsonl
    check "--pool $pool: a row each, a broken one too" all test "$code" -eq 1 -- json_lines -- lines 3 -- prints '"features":null,"error":"' -- says broken.jpg
    embed --pool $pool "$P" broken.jpg "$Q" -f npy -o $pool.npy
    check "--pool $pool: npy" all test "$code" -eq 1 -- empty
    embed --pool $pool "$P" broken.jpg "$Q" -o $pool.safetensors
    check "--pool $pool: safetensors, by the file's name" all test "$code" -eq 1 -- empty -- agree $pool.jsonl $pool.npy $pool.safetensors
done
check 'this model reads its class token' python3 -c 'from read import *; assert same(read("cls.npy")[0], read("logits-input.npy")[0])'
check 'the mean is that of the patches' python3 -c 'from read import *
p = read("patches.npy")[0]; m = read("mean.npy")[0]
assert len(p) == 64 and all(abs(sum(r[c] for r in p) / 64 - m[c]) < 1e-4 for c in range(len(m)))'
if python3 -c 'import numpy' 2>/dev/null; then
    check 'numpy reads it' python3 -c 'import numpy; assert numpy.load("patches.npy").shape[:2] == (3, 64)'
else
    skip 'numpy reads it' 'no numpy'
fi
embed --pool patches --normalize "$P" -o unit.npy
check '--normalize: every vector has length 1' python3 -c 'from read import *; assert all(abs(length(x) - 1) < 1e-5 for x in read("unit.npy")[0])'

embed --pool cls "$Q" "$P" -b 1 -t 1
tac cls.jsonl | grep -v null,\"error\":\" >want
check 'the same in any order, batch and number of threads' cmp want out
embed --pool mean --merge mame --tau 0.6 --merge-layers 0-2 "$P"
check 'with merging' all test "$code" -eq 0 -- prints '"merge":"mame_l0-2_t0.6"'
embed --pool patches --merge mame --tau 0.6 --merge-layers 0-2 --restore 3 "$P" -o restored.npy
check 'patches of restored tokens' all test "$code" -eq 0 -- python3 -c 'from read import *; assert len(read("restored.npy")[0]) == 64'
embed --pool patches --merge tome --r 9 "$P"
check 'patches of merged tokens' all test "$code" -eq 2 -- says 'every patch' -- empty

embed "$P" -f npy
check 'npy wants a file' all test "$code" -eq 2 -- says '-o features.npy'
embed "$P" -f safetensors -o -
check 'safetensors wants a file' test "$code" -eq 2
embed "$P" --pool everything
check 'an unknown pool' all test "$code" -eq 2 -- says 'cls mean patches logits-input'
embed broken.jpg
check 'no picture can be read' all test "$code" -eq 4 -- lines 1
exits 'a missing model' 3 embed -m no-such-model "$P" -f npy -o x.npy
exits 'a full disk' 5 embed -m "$TINY" "$P" -f npy -o /dev/full
exits 'a full disk, safetensors' 5 embed -m "$TINY" "$P" -f safetensors -o /dev/full
check 'failures leave no file' test ! -e x.npy
