#!/usr/bin/env bash
# What takes too long for every change: the CUDA back end on the emulated GPU, as far as it can be proved there.  Hours.
#     make deep [DEEP="goldens orders calls races mutants"] [GOLDEN=DIR]
# One line a part, with the time it took; what a part says is kept in BUILD/deep/PART.  Exit status 1 where one failed.
set -u
cd "$(dirname "$0")/.." || exit 1
export BUILD=${BUILD:-build} GOLDEN=${GOLDEN:-tests/golden}
export VITRUN_PLUGIN_PATH=$BUILD/cuda_host/vitrun-cuda.so
passed=0 failed=0
mkdir -p "$BUILD/deep" || exit 1

part() { # NAME COMMAND...
    local name=$1 log=$BUILD/deep/$1 start=$SECONDS said
    shift
    if "$@" >"$log" 2>&1 && [ -s "$log" ] && ! grep -q '^FAIL' "$log"; then
        passed=$((passed + 1)) said='ok  '
    else
        failed=$((failed + 1)) said=FAIL
        grep '^FAIL' "$log" | head -20
    fi
    printf '%s %-16s %6d s  %s\n' "$said" "$name" $((SECONDS - start)) "$(grep -E '[0-9]+ passed' "$log" | tail -1)"
}
golden() { VITRUN_FAKE_CUDA_CC=80 "$BUILD/golden_runner" --device cuda --dtype "$@" "$GOLDEN"; } # the test bed wants the usual one
small() { VITRUN_FAKE_CUDA_CC=80 "$BUILD/golden_runner" --small --device cuda --dtype "$@" "$GOLDEN"; }

for wanted in ${DEEP:-goldens orders calls races mutants}; do
    case $wanted in
    goldens) for dtype in f32 tf32 f16 bf16; do part "golden-$dtype" golden $dtype; done ;; # the models of full size too
    orders)                                                                                # of blocks, warps and lanes
        for order in descending shuffled:1 shuffled:2; do
            for dtype in f32 f16; do VITRUN_FAKE_CUDA_ORDER=$order part "$order-$dtype" small $dtype; done
        done
        VITRUN_FAKE_CUDA_STREAMS=late part late-f16 small f16
        part kernels make --no-print-directory cuda-host-check
        ;;
    calls) EVERY=1 part calls bash tests/cli/cuda.sh ;; # each call of the runtime fails
    races) part races make --no-print-directory cuda-host-races ;;
    mutants) part mutants make --no-print-directory cuda-host-mutants ;;
    *) echo "deep.sh: there is no part '$wanted'" && failed=$((failed + 1)) ;;
    esac
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
