#!/usr/bin/env bash
# check.sh PROGRAM...: runs each; what it says is shown where it fails.
set -u
passed=0 failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for program; do
    start=$SECONDS
    if "$program" >"$log" 2>&1; then
        passed=$((passed + 1))
        printf 'ok   %-50s %4d s  %s\n' "$program" $((SECONDS - start)) "$(tail -1 "$log")"
    else
        failed=$((failed + 1))
        tail -40 "$log"
        printf 'FAIL %-50s %4d s\n' "$program" $((SECONDS - start))
    fi
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ] && [ $passed -gt 0 ]
