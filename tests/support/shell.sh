#!/usr/bin/env bash
# What the tests of the command line share.  A test is a line: "ok NAME", "FAIL NAME" with what was seen, "SKIP NAME: why".
#     run vitrun classify photo.jpg       its output is in $T/out and $T/err, its exit status in $code
#     check NAME CONDITION...             ok where the condition (a command) is true
#     exits NAME CODE ARGUMENTS...        runs vitrun and checks its exit status
set -u
BUILD=${BUILD:-build} GOLDEN=${GOLDEN:-tests/golden}
[ "${BUILD#/}" = "$BUILD" ] && BUILD=$PWD/$BUILD
[ "${GOLDEN#/}" = "$GOLDEN" ] && GOLDEN=$PWD/$GOLDEN
ROOT=$PWD
VITRUN=$BUILD/vitrun
TINY=$GOLDEN/models/timm_cls # ten classes, 32x32 pixels
DEMO=$ROOT/weights/dinov2_small_imagenette
SUITE=$(basename "$0" .sh)
unset VITRUN_PLUGIN_PATH VITRUN_MODEL VITRUN_DATA VITRUN_THREADS VITRUN_DTYPE VITRUN_ISA NO_COLOR
export VITRUN_DEVICE=cpu # whatever GPU there is, unless a test says otherwise
T=$(mktemp -d) || exit 1
trap 'chmod -R u+rwx "$T" 2>/dev/null; rm -rf "$T"' EXIT
code=0

vitrun() { "$VITRUN" "$@"; }
run() {
    "$@" >"$T/out" 2>"$T/err" </dev/null
    code=$?
}
pass() { echo "ok   $SUITE: $1"; }
skip() { echo "SKIP $SUITE: $1: $2"; }
fail() {
    echo "FAIL $SUITE: $1"
    echo "     exit status $code"
    sed 's/^/     stdout: /' "$T/out" 2>/dev/null | head -5
    sed 's/^/     stderr: /' "$T/err" 2>/dev/null | head -5
}
check() {
    local name=$1
    shift
    if "$@"; then pass "$name"; else fail "$name"; fi
}
exits() {
    local name=$1 want=$2
    shift 2
    run vitrun "$@"
    check "$name" test "$code" -eq "$want"
}
says() { grep -qF -e "$1" "$T/err"; }    # on stderr
prints() { grep -qF -e "$1" "$T/out"; }  # on stdout
quiet() { [ ! -s "$T/err" ]; }
empty() { [ ! -s "$T/out" ]; }
all() { # every condition of a list, separated by --
    local words=()
    for word in "$@" --; do
        if [ "$word" = -- ]; then
            "${words[@]}" || return 1
            words=()
        else
            words+=("$word")
        fi
    done
}
lines() { [ "$(wc -l <"$T/out")" -eq "$1" ]; }
json() { python3 -m json.tool "$T/out" >/dev/null 2>&1; }
json_lines() { python3 -c 'import json,sys; [json.loads(l) for l in open(sys.argv[1], encoding="utf-8")]' "$T/out"; }

picture() { # FILE WIDTH HEIGHT: a PPM with a gradient
    local x y
    {
        printf 'P3\n%d %d\n255\n' "$2" "$3"
        for ((y = 0; y < $3; y++)); do for ((x = 0; x < $2; x++)); do echo "$((x * 255 / $2)) $((y * 255 / $3)) 128"; done; done
    } >"$1"
}
needs() { # NAME FILE: leaves the script, as skipped, where the file is not there
    [ -e "$2" ] && return
    skip "$1" "${2#"$ROOT"/} is not there"
    exit 0
}
