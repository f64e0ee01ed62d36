#!/usr/bin/env bash
# If these fail, results are lost without a word, or words get among the results.
. tests/support/shell.sh

vitrun help >/dev/full 2>"$T/err"
code=$?
check 'help on a full disk' all test "$code" -eq 5 -- says 'No space left'
{ sleep 0.3; vitrun help 2>"$T/err"; echo $? >"$T/code"; } | true
code=$(cat "$T/code")
check 'help into a closed pipe: quietly 141' all test "$code" -eq 141 -- quiet
vitrun help >&- 2>"$T/err"
code=$?
check 'help without stdout' all test "$code" -eq 141 -- quiet
vitrun clasify 2>&-
code=$?
check 'no stderr' test "$code" -eq 2
vitrun devices <&- >/dev/null 2>&1
code=$?
check 'no stdin' test "$code" -eq 0

needs 'results' "$TINY"
picture "$T/a.ppm" 40 30
cd "$T" || exit 1
for _ in $(seq 500); do echo a.ppm; done >many
ours() { vitrun classify -m "$TINY" "$@"; }

ours a.ppm >/dev/full 2>err
code=$?
check 'results on a full disk' all test "$code" -eq 5 -- says 'No space left'
ours -o /dev/full a.ppm >out 2>err
code=$?
check '-o on a full disk' all test "$code" -eq 5 -- says 'No space left'
{ sleep 0.3; ours @many 2>err; echo $? >code; } | true
code=$(cat code)
check 'results into a closed pipe: quietly 141' all test "$code" -eq 141 -- quiet
ours @many 2>err | head -1 >out
check 'results into head' all lines 1 -- quiet

run ours --json a.ppm -o results.jsonl
check '-o: nothing on stdout' all test "$code" -eq 0 -- empty -- test "$(wc -l <results.jsonl)" -eq 1
run ours --json a.ppm a.ppm -o results.jsonl
check '-o replaces' all test "$(wc -l <results.jsonl)" -eq 2 -- test "$(stat -c %a results.jsonl)" = "$(umask -S >/dev/null; printf %o $((0666 & ~$(umask))))"
ln -s results.jsonl link
run ours --json a.ppm -o link
check '-o through a link keeps the link' all test -L link -- test "$(wc -l <results.jsonl)" -eq 1
run vitrun classify -m no-such-model a.ppm -o results.jsonl
check 'a failed run leaves the old results' all test "$code" -eq 3 -- test "$(wc -l <results.jsonl)" -eq 1
check 'no temporary file is left' test "$(find . -name 'results.jsonl?*' -o -name 'link?*' | wc -l)" -eq 0
run ours a.ppm -o no/such/folder
check '-o into a missing folder' all test "$code" -eq 5 -- says no/such/folder
run ours a.ppm -o .
check '-o onto a folder' test "$code" -eq 2
ours a.ppm -o /dev/null >&- 2>err
code=$?
check '-o without stdout' test "$code" -eq 0

slow="--arch deit_small_patch16_224 --random"
# shellcheck disable=SC2086
timeout --preserve-status -s INT 2 "$VITRUN" classify $slow --json @many >out 2>err </dev/null
code=$?
check 'Ctrl-C: 130, whole lines' all test "$code" -eq 130 -- json_lines -- test "$(wc -l <out)" -lt 500
check 'Ctrl-C: says how far it came' says "interrupted after $(wc -l <out) of "
# shellcheck disable=SC2086
timeout --preserve-status -s TERM 2 "$VITRUN" bench $slow --min-seconds 60 --json >out 2>err </dev/null
code=$?
check 'SIGTERM: 143, whole JSON' all test "$code" -eq 143 -- json
# shellcheck disable=SC2086
"$VITRUN" bench $slow --batch 4096 -o measured >out 2>err </dev/null &
pid=$! started=$SECONDS
sleep 1
kill -INT "$pid"
sleep 0.2
kill -INT "$pid"
wait "$pid"
code=$?
check 'a second Ctrl-C: at once' all test "$code" -eq 130 -- test $((SECONDS - started)) -lt 10
check 'a second Ctrl-C: no file is left' test -z "$(find . -name 'measured*')"
