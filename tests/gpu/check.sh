#!/usr/bin/env bash
# check.sh: proves and measures vitrun on this machine's GPU, from the folder it lies in (make gpu-pack).
#
#     check.sh [PART...]           all parts, or those named, in this order:
#         device                   what the GPU is, its clocks, driver, libraries
#         golden                   golden cases; singly golden-f32, golden-tf32, golden-f16, golden-bf16
#         invariance               an image's bits do not depend on its batch
#         sanitizer                compute-sanitizer; singly sanitizer-memory, sanitizer-races
#         bench                    without Python: speed, memory, cold, kernels
#         peers                    beside torch (PYTHON=..., with torch and timm): attention, peers-deit_base, peers-latency,
#                                  peers-deit_small, peers-vit_large, peers-mame
#     OUT=DIR                      where gpu-check.json, .md and .log go (default: results/ in this folder).  Parts that are
#                                  there from an earlier call stay, so that the whole can be run in pieces
#     LIMIT=SECONDS                for one part (default 520)
#     VITRUN_CUBLASLT=FILE         the libcublasLt to use; else LD_LIBRARY_PATH, CUDA's folders and Python's packages are searched
#     CHECK_PLUGIN=FILE            another plugin, the emulated one: results are marked so, and large models left out
#
# Exit status: 0 all is well, or there is no GPU and everything is marked skipped; 1 a golden case, the invariance, the
# sanitizer, a comparison with torch's outputs or a command of vitrun's failed, or the program does not start; 2 used wrongly.
# A figure that misses its goal is no failure.
set -u
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
PARTS='device golden-f32 golden-tf32 golden-f16 golden-bf16 invariance sanitizer-memory sanitizer-races speed memory cold
    kernels attention peers-deit_base peers-latency peers-deit_small peers-vit_large peers-mame'
export PYTHON=${PYTHON:-python3} LIMIT=${LIMIT:-520}
export LC_ALL=C
unset VITRUN_PLUGIN_PATH VITRUN_MODEL VITRUN_DATA VITRUN_DEVICE VITRUN_DTYPE VITRUN_THREADS
[ -z "${CHECK_PLUGIN:-}" ] || export VITRUN_PLUGIN_PATH=$CHECK_PLUGIN
about() { sed -n "s/^$1 //p" "$HERE/about.txt"; }
. "$HERE/results.sh"
. "$HERE/parts.sh"

parts_named() {
    case $1 in
    golden) echo golden-f32 golden-tf32 golden-f16 golden-bf16 ;;
    sanitizer) echo sanitizer-memory sanitizer-races ;;
    bench) echo speed memory cold kernels ;;
    peers) echo attention peers-deit_base peers-latency peers-deit_small peers-vit_large peers-mame ;;
    all) echo $PARTS ;;
    *) [[ " ${PARTS//$'\n'/ } " == *" $1 "* ]] && echo "$1" ;;
    esac
}

# The driver and cuBLASLt where the system's loader does not look by itself.
find_libraries() {
    local dir file
    LIBRARIES=$HERE/lib
    for dir in /usr/local/nvidia/lib64 /usr/local/nvidia/lib; do [ -d "$dir" ] && LIBRARIES=$LIBRARIES:$dir; done
    LIBRARIES=$LIBRARIES${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    export LIBRARIES
    [ -z "${VITRUN_CUBLASLT:-}${CHECK_PLUGIN:-}" ] || return 0
    for dir in $(tr : ' ' <<<"${LD_LIBRARY_PATH:-}") /usr/local/cuda/lib64 /usr/local/cuda-*/lib64 $(python_folders); do
        for file in "$dir"/libcublasLt.so.13 "$dir"/libcublasLt.so.12; do
            if [ -e "$file" ]; then
                export VITRUN_CUBLASLT=$file LIBRARIES=$LIBRARIES:$dir
                return
            fi
        done
    done
}
python_folders() {
    "$PYTHON" -c 'import glob, sys; print("\n".join(d for p in sys.path for d in sorted(glob.glob(p + "/nvidia/*/lib"))))' 2>/dev/null
}

# One of the pack's programs.
ours() {
    local program=$1
    shift
    LD_LIBRARY_PATH=$LIBRARIES "$HERE/$program" "$@"
}

# ON: the GPU's name, "none", or what stands in for it; WHY_NOT: why nothing can be run; its exit status tells whether that is
# a fault.
find_gpu() {
    local text
    ON=none DRIVER=none EMULATED=no WHY_NOT=''
    if ! text=$(ours vitrun devices --json 2>&1); then
        WHY_NOT="vitrun does not start: $text (it needs glibc $(about glibc), and $(ldd --version 2>/dev/null | sed -n '1s/.* //p') is here)"
        return 1
    fi
    if [[ $text == *'"available":true'* ]]; then
        ON=$(sed -n 's/.*"devices":\[{[^}]*"name":"\([^"]*\)".*/\1/p' <<<"$text")
        DRIVER=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null | head -1)
        DRIVER=${DRIVER:-unknown}
    else
        WHY_NOT=$(sed -n 's/.*"reason":"\([^"]*\)".*/\1/p' <<<"$text") # of the last GPU, or of all
        WHY_NOT=${WHY_NOT:-vitrun devices tells of no GPU that can be used.}
    fi
    if [ -n "${CHECK_PLUGIN:-}" ] || [[ $ON == Emulated* ]]; then
        EMULATED=yes DRIVER=none
        [ "$ON" = none ] || ON="no GPU: emulated on a CPU"
    fi
    export ON DRIVER EMULATED
}

# Runs one part in a process of its own, which may be stopped; its rows go to $SCRATCH/rows.
run_part() {
    local part=$1 status=0 rows=$SCRATCH/rows verdict='not measured' note=''
    : >"$rows"
    if [ -n "$WHY_NOT" ]; then
        status=$((starts ? 77 : 1))
        note='nothing can be run here'
    else
        timeout -k 10 "$LIMIT" "$BASH" "$HERE/check.sh" --inside "$part" "$SCRATCH" >"$rows" 2>"$SCRATCH/log"
        status=$?
        [ "$status" -eq 0 ] || note=$(cat "$SCRATCH/why" 2>/dev/null || tail -1 "$SCRATCH/log")
    fi
    case $status in
    0) ;;
    77) verdict=skipped ;;
    124) note="stopped after $LIMIT seconds" ;;
    137) note="killed: it did not stop after $LIMIT seconds, or memory was short" ;;
    *) verdict=failed ;;
    esac
    case $part:$status in golden*:1?? | invariance:1?? | sanitizer*:1??) verdict=failed ;; esac
    say_missing_figures "$part" "$verdict" "$note" "$rows" >>"$rows"
    [ "$status" -eq 0 ] || grep -q "\"verdict\":\"$verdict" "$rows" || say_verdict "$part" "$part" "$verdict" "$note" >>"$rows"
    merge_rows "$rows" "$part"
    {
        echo "== $part: exit status $status"
        cat "$SCRATCH/log" 2>/dev/null
    } >>"$LOG"
    rm -f "$SCRATCH/why" "$SCRATCH/log"
    echo "$part: $(sed -n 's/.*"verdict":"\([^"]*\)".*/\1/p' "$rows" | grep . | sort | uniq -c | tr -s ' \n' ' ' | sed 's/^ //;s/ $//')${note:+ ($note)}"
    ! grep -q '"verdict":"failed' "$rows"
}

if [ "${1:-}" = --inside ]; then
    SCRATCH=$3
    part_"${2//-/_}"
    exit
fi
case ${1:-} in -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$HERE/check.sh" && exit ;; esac
wanted=
for name in "${@:-all}"; do
    if ! wanted+=" $(parts_named "$name")"; then
        echo "check.sh: there is no part $name; known are all, golden, sanitizer, bench, peers and: $(echo $PARTS)" >&2
        exit 2
    fi
done
for file in "$HERE/model/config.json" "$HERE/golden/models" "$HERE/vitrun"; do
    [ -e "$file" ] && continue
    echo "check.sh: $file is not there; a pack inside the tree links to the tree: copy it with cp -rL, or make it elsewhere" >&2
    exit 2
done

RESULTS=${OUT:-$HERE/results}
mkdir -p "$RESULTS" && SCRATCH=$(mktemp -d) || exit 2
trap 'rm -rf "$SCRATCH"' EXIT
JSON=$RESULTS/gpu-check.json TABLE=$RESULTS/gpu-check.md LOG=$RESULTS/gpu-check.log
failed=0 starts=1
find_libraries
find_gpu || starts=0
# Results of this commit and device, or of none.
fit() {
    rows_of "$1" | grep -v '"on":"none"' >"$SCRATCH/earlier"
    [ -s "$SCRATCH/earlier" ] || return 0
    grep -qF "\"commit\":$(quoted "$(about commit)")" "$1" && ! grep -qvF "\"on\":$(quoted "$ON")" "$SCRATCH/earlier"
}
if [ ! -f "$JSON" ] && [ -f "$HERE/results/gpu-check.json" ] && fit "$HERE/results/gpu-check.json"; then
    cp "$HERE/results/gpu-check.json" "$JSON"
elif ! fit "$JSON"; then
    echo "check.sh: $JSON holds results of another device or commit; name another folder with OUT=DIR" >&2
    exit 2
fi
if [ -n "$WHY_NOT" ]; then
    echo "check.sh: nothing can be run here. $WHY_NOT"
else
    echo "check.sh: on $ON, driver $DRIVER"
fi
for part in $PARTS; do
    [[ " $wanted " != *" $part "* ]] || run_part "$part" || failed=1
done
echo "check.sh: $TABLE"
exit $failed
