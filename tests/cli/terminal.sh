#!/usr/bin/env bash
# If these fail, the terminal shows nothing while work goes on, or garbage afterwards.
. tests/support/shell.sh
needs 'a terminal' "$TINY"
python3 -c 'import pty; pty.openpty()' 2>/dev/null || { skip 'a terminal' 'no python3, or no pseudo-terminals'; exit 0; }
picture "$T/a.ppm" 40 30
cd "$T" || exit 1
for _ in $(seq 100); do echo a.ppm; done >many

cat >terminal.py <<'END'
import os, pty, sys  # runs a command on a terminal of its own; what it shows goes to the file out
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
with open("out", "wb") as out:
    try:
        while data := os.read(fd, 65536):
            out.write(data)
    except OSError:
        pass
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
END
terminal() {
    TERM=${term-xterm} python3 terminal.py "$VITRUN" "$@" 2>err
    code=$?
}
slow=(classify --arch deit_tiny_patch16_224 --random -k 1)

terminal classify -m "$TINY" a.ppm
check 'table: colour and bars' all test "$code" -eq 0 -- grep -q $'\033\[1m' out -- grep -q '█' out
NO_COLOR=1 terminal classify -m "$TINY" a.ppm
check 'NO_COLOR' all test "$code" -eq 0 -- test -z "$(grep $'\033' out)"
term=dumb terminal classify -m "$TINY" a.ppm
check 'TERM=dumb' all test "$code" -eq 0 -- test -z "$(grep $'\033' out)"
terminal "${slow[@]}" -o /dev/null @many
check 'a bar, taken away at the end' all test "$code" -eq 0 -- grep -q '/100 pictures' out -- \
    test "$(tail -c 4 out | od -An -c | tr -d ' ')" = '\r033[K'
terminal "${slow[@]}" -o /dev/null --no-progress @many
check '--no-progress' test "$(grep -c pictures out)" -eq 0
terminal "${slow[@]}" @many
check 'no bar between results' test "$(grep -c '/100 pictures' out)" -eq 0
