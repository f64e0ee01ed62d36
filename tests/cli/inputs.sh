#!/usr/bin/env bash
# If these fail, pictures are left out, read twice, or read under a wrong name.
. tests/support/shell.sh
needs 'names of pictures' "$TINY"

mkdir -p "$T/d/sub/deep" "$T/d/with space" "$T/empty"
picture "$T/one.ppm" 40 30
for name in b.ppm a.PPM sub/c.ppm sub/deep/d.ppm 'with space/e "quoted".ppm' $'sub/new\nline.ppm' $'sub/byte\xff.ppm'; do
    cp "$T/one.ppm" "$T/d/$name"
done
echo text >"$T/d/readme.txt"
cp "$T/one.ppm" "$T/d/.hidden.ppm"
ln -s .. "$T/d/sub/circle"
cd "$T" || exit 1
ours() { vitrun classify -m "$TINY" -k 1 --json "$@"; }
names() { python3 -c 'import json,sys
for line in open(sys.argv[1], encoding="utf-8"): print(ascii(json.loads(line)["file"]))' "$T/out"; }

run ours d
check 'folder: exit status' test "$code" -eq 0
names >"$T/names"
cat >"$T/wanted" <<'END'
'd/a.PPM'
'd/b.ppm'
'd/sub/byte\ufffd.ppm'
'd/sub/c.ppm'
'd/sub/deep/d.ppm'
'd/sub/new\nline.ppm'
'd/with space/e "quoted".ppm'
END
check 'folder: all below it, sorted, links in a circle end, other files and hidden ones left out' cmp -s names wanted
check 'folder: the bytes of a name that is no UTF-8' prints '"file_hex":"642f7375622f62797465ff2e70706d"'

run ours empty
check 'a folder without pictures' all test "$code" -eq 4 -- empty -- says 'holds no picture'
run ours empty one.ppm
check 'a folder without pictures beside a picture' all test "$code" -eq 0 -- lines 1
run ours missing.jpg
check 'a missing file' all test "$code" -eq 4 -- lines 1 -- says missing.jpg
run ours missing.jpg one.ppm
check 'a missing file beside a picture' all test "$code" -eq 1 -- lines 2 -- says missing.jpg
run ours d/readme.txt
check 'a file that is no picture' all test "$code" -eq 4 -- lines 1
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:0\n' >pointer.jpg
run ours pointer.jpg
check 'a Git LFS pointer: how to get the picture' says 'git lfs pull'
echo '<html>404</html>' >page.jpg
run ours page.jpg
check 'a page instead of a picture' says 'this is an XML or HTML file'
run ours ''
check 'an empty name' test "$code" -eq 2
run ours -- -dash.ppm
check 'after -- nothing is a flag' all lines 1 -- prints '"-dash.ppm"'

ours - <one.ppm >"$T/out" 2>"$T/err"
code=$?
check 'a picture from standard input' all test "$code" -eq 0 -- lines 1 -- prints '"file":"-"'
run ours - -
check 'standard input twice' test "$code" -eq 2
run ours - --files-from -
check 'standard input as a picture and as a list' test "$code" -eq 2

printf 'one.ppm\r\n\nd\n' >list
run ours @list
check 'a list: lines, CR LF, empty lines, folders' all test "$code" -eq 0 -- lines 8
run ours --files-from list one.ppm
check '--files-from after the arguments' all test "$code" -eq 0 -- lines 9
printf 'one.ppm\0d/sub/new\nline.ppm\0' >list0
run ours --files-from list0
check 'a list with NUL' all test "$code" -eq 0 -- lines 2 -- prints 'new\nline'
ours --files-from - <list >"$T/out" 2>"$T/err"
code=$?
check 'a list from standard input' all test "$code" -eq 0 -- lines 8
run ours @<(echo one.ppm)
check 'a list from a pipe' all test "$code" -eq 0 -- lines 1
run ours @no-such-list
check 'a missing list' all test "$code" -eq 5 -- empty -- says no-such-list
: >nothing
run ours @nothing
check 'an empty list' test "$code" -eq 4
echo - >dash
run ours @dash
check 'a dash in a list is a name' prints '"./-"'

if [ "$(id -u)" -ne 0 ]; then
    mkdir locked
    chmod 0 locked
    run ours locked one.ppm
    check 'a folder that may not be read' all test "$code" -eq 1 -- lines 2
else
    skip 'a folder that may not be read' 'root may read everything'
fi
