#!/usr/bin/env bash
# Pixels and labels against the corpora that are not part of the repository: CORPUS=DIR says where they are.  With VR_DEEP=1
# also the default model over all of imagenette's validation pictures, which takes minutes.
. tests/support/shell.sh
CORPUS=${CORPUS:-../shared/data}
tars=(conformance-photos.tar conformance-formats.tar robustness-bad-images.tar)
if [ ! -f "$CORPUS/check.py" ] || ! command -v python3 >/dev/null; then
    skip "pixels" "no image corpora in $CORPUS (set CORPUS), or no python3"
    exit 0
fi

for isa in portable avx2; do
    VITRUN_ISA=$isa "$VITRUN" pixels --quiet --recipe all "${tars[@]/#/$CORPUS/}" >"$T/results" 2>"$T/err"
    code=$?
    python3 "$CORPUS/check.py" "$CORPUS/goldens-images.jsonl" "$T/results" --order main --require >"$T/out"
    check "no binding difference in $(wc -l <"$T/results") files, $isa" test $? -eq 0 -a $code -eq 1
done

mkdir "$T/tar" && tar xf "$CORPUS/conformance-photos.tar" -C "$T/tar"
cat >"$T/same.py" <<'E2'
import json, struct, sys
def tensors(path):
    data = open(path, "rb").read()
    n = struct.unpack("<Q", data[:8])[0]
    head = json.loads(data[8:8 + n])
    return {k: data[8 + n + v["data_offsets"][0]:8 + n + v["data_offsets"][1]] for k, v in head.items() if k != "__metadata__"}
wanted, found = tensors(sys.argv[1]), tensors(sys.argv[2])
assert len(wanted) == 5 and wanted == found, [k for k in wanted if wanted[k] != found.get(k)]
E2
names=$(python3 -c 'import json,struct,sys; d=open(sys.argv[1],"rb").read(); n=struct.unpack("<Q",d[:8])[0]; print(*[k for k in json.loads(d[8:8+n]) if k!="__metadata__"])' "$CORPUS/goldens-tensors.safetensors")
(cd "$T/tar" && "$VITRUN" pixels --quiet --recipe bicubic-256-crop224 -o "$T/tensors.safetensors" $names) >"$T/out" 2>"$T/err"
check "five tensors bit for bit" python3 "$T/same.py" "$CORPUS/goldens-tensors.safetensors" "$T/tensors.safetensors"

if [ -z "${VR_DEEP:-}" ]; then
    skip "top-1 of the default model" "set VR_DEEP=1"
    exit 0
fi
tar xf "$CORPUS/imagenette-val.tar" -C "$T/tar"
card=$(grep -oE '\([0-9,]+ of 2,925\)' "$DEMO/README.md" | tr -d '(),' )
"$VITRUN" classify --quiet --json -k 1 "$T/tar/val" 2>"$T/err" | python3 weights/top1.py >"$T/out"
check "top-1 of the card: $card" prints "$card"
