#!/usr/bin/env bash
# vitrun pixels against the goldens of the image corpora, which are not part of the repository.  CORPUS=DIR says where they are.
set -u
BUILD=${BUILD:-build}
CORPUS=${CORPUS:-../shared/data}
tars=(conformance-photos.tar conformance-formats.tar robustness-bad-images.tar)
if [ ! -f "$CORPUS/check.py" ] || ! command -v python3 >/dev/null; then
    echo "SKIP: no image corpora in $CORPUS (set CORPUS), or no python3"
    exit 0
fi
results=$(mktemp)
trap 'rm -f "$results"' EXIT
for isa in portable avx512; do
    VITRUN_ISA=$isa "$BUILD/vitrun" pixels --recipe all "${tars[@]/#/$CORPUS/}" >"$results"
    rc=$?
    [ $rc -eq 1 ] || { echo "corpus: exit code $rc instead of 1 (some are refused)"; exit 1; }
    if ! table=$(python3 "$CORPUS/check.py" "$CORPUS/goldens-images.jsonl" "$results" --order main --require); then
        echo "corpus, VITRUN_ISA=$isa:"
        echo "$table" | tail -n 30
        exit 1
    fi
    echo "corpus, VITRUN_ISA=$isa: no binding difference in $(wc -l <"$results") files"
done
