#!/usr/bin/env bash
# If these fail, other frameworks cannot be compared with ours, or the comparison lies.
. tests/support/shell.sh
needs 'raw tensors' "$TINY"
cd "$T" || exit 1

cat >compare.py <<'END'
import json, struct, sys
def load(path):
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = f.read()
    out = {}
    for name, t in header.items():
        if name == "__metadata__": continue
        begin, end = t["data_offsets"]
        out[name] = t["shape"], struct.unpack("<%d%s" % ((end - begin) // 4, {"F32": "f", "I32": "i"}[t["dtype"]]), data[begin:end])
    return out
ours, golden = load(sys.argv[1]), load(sys.argv[2])
for name in golden:
    if name == "pixels": continue
    shape, want = golden[name]
    found = ours[name][1][:len(want)]   # block outputs of the golden files are image 0's
    worst = max(abs(a - b) for a, b in zip(found, want)) / max(abs(b) for b in want)
    assert len(found) == len(want) and worst < 2e-5, (name, worst)
images = golden["pixels"][0][0]
offsets = ours["offsets_0"]
assert offsets[0] == [images + 1] and ours["block_out_0"][0][0] == offsets[1][-1]
END
for model in timm_cls hf_vit hf_dinov2_resized; do
    [ -d "$GOLDEN/models/$model" ] || { skip "$model" 'no such golden case'; continue; }
    run vitrun forward -m "$GOLDEN/models/$model" --input "$GOLDEN/models/$model/io.safetensors" --output out.safetensors --blocks
    check "$model: agrees with what the other framework gave" all test "$code" -eq 0 -- quiet -- empty -- \
        python3 compare.py out.safetensors "$GOLDEN/models/$model/io.safetensors"
done
io=$TINY/io.safetensors
run vitrun forward -m "$TINY" --input "$io" --output plain.safetensors
check 'without --blocks: only logits' all test "$code" -eq 0 -- grep -aq logits plain.safetensors -- test -z "$(grep -ao block_ plain.safetensors)"
exits 'no tensor named pixels' 2 forward -m "$TINY" --input "$TINY/model.safetensors" --output x
exits 'a missing input' 5 forward -m "$TINY" --input no-such-file --output x
exits 'a size that does not fit the patches' 2 forward --arch vit_small_patch14_dinov2 --random --input "$io" --output x
exits 'a full disk' 5 forward -m "$TINY" --input "$io" --output /dev/full
check 'failures leave no file' test ! -e x
