#!/usr/bin/env bash
# Runs every test: vr_tests (Criterion), the golden cases, tests/cli/*.sh.  One line each, then one line with the sums:
#     N passed, N failed, N skipped
# Exit status 1 where anything failed.  `make check` calls it with BUILD, CORPUS, GOLDEN and CC set.
set -u
cd "$(dirname "$0")/.." || exit 1
export BUILD=${BUILD:-build} CORPUS=${CORPUS:-../shared/data} GOLDEN=${GOLDEN:-tests/golden} CC=${CC:-cc}
for name in BUILD GOLDEN CORPUS; do # tests change folders
    [ -d "${!name}" ] && declare -x "$name=$(cd "${!name}" && pwd)"
done
# Criterion leaks 96 bytes of its own at exit; everything else counts.
export LSAN_OPTIONS="suppressions=$PWD/tests/support/lsan.txt:print_suppressions=0"
passed=0 failed=0 skipped=0
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT

# Prints lines from standard input, and counts those that begin with ok, FAIL or SKIP.
count() {
    while IFS= read -r line; do
        case $line in
        'ok '*) passed=$((passed + 1)) ;;
        'FAIL '*) failed=$((failed + 1)) ;;
        'SKIP '*) skipped=$((skipped + 1)) ;;
        *' passed, '*' failed, '*' skipped') continue ;; # a part's own sum
        esac
        printf '%s\n' "$line"
    done
}

# A part that failed or said nothing, though none of its lines says FAIL, is itself a failure.
part() { # NAME FILE-OF-LINES EXIT-STATUS
    local before=$failed total=$((passed + failed + skipped))
    count <"$2"
    if [ "$3" -ne 0 ] && [ "$failed" -eq "$before" ]; then
        echo "FAIL $1: exit status $3"
        failed=$((failed + 1))
    elif [ $((passed + failed + skipped)) -eq "$total" ]; then
        echo "FAIL $1: ran no test"
        failed=$((failed + 1))
    fi
}

# Criterion speaks TAP:  ok - suite::test  (0.01s)   ok - suite::test  # SKIP why   not ok - suite::test ...
from_tap() {
    sed -n -e 's/^ok - \(.*[^ ]\)  *# SKIP */SKIP \1: /p;t' -e 's/^ok - /ok   /p;t' -e 's/^not ok - /FAIL /p;t' \
        -e 's/^      /     /p;t' -e 's/^  - \(.*\): |+$/     \1/p'
}

if [ -x "$BUILD/vr_tests" ]; then
    "$BUILD/vr_tests" --tap="$scratch/tap" >"$scratch/log" 2>&1
    status=$?
    [ -f "$scratch/tap" ] || cp "$scratch/log" "$scratch/tap"
    from_tap <"$scratch/tap" >"$scratch/lines"
    part vr_tests "$scratch/lines" "$status"
    grep -E 'AddressSanitizer|ThreadSanitizer|runtime error' "$scratch/log"
else
    echo "FAIL vr_tests: $BUILD/vr_tests is not built"
    failed=$((failed + 1))
fi

if [ -x "$BUILD/golden_runner" ]; then
    "$BUILD/golden_runner" "$GOLDEN" >"$scratch/lines" 2>&1
    part golden_runner "$scratch/lines" $?
else
    echo "FAIL golden_runner: $BUILD/golden_runner is not built"
    failed=$((failed + 1))
fi

# bf16 and int8 on the CPU, and f32 on the emulated GPU, but for the models of full size.
for dtype in bf16 int8; do
    "$BUILD/golden_runner" --small --dtype $dtype "$GOLDEN" >"$scratch/lines" 2>&1
    part "golden_runner in $dtype" "$scratch/lines" $?
done
VITRUN_PLUGIN_PATH=$BUILD/cuda_host/vitrun-cuda.so VITRUN_FAKE_CUDA_CC=80 \
    "$BUILD/golden_runner" --small --device cuda --dtype f32 "$GOLDEN" >"$scratch/lines" 2>&1
part 'golden_runner on the emulated GPU' "$scratch/lines" $?

for script in tests/cli/*.sh; do
    timeout -k 5 300 bash "$script" >"$scratch/lines" 2>&1
    part "$script" "$scratch/lines" $?
done

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
