#!/usr/bin/env bash
# If these fail, the picture or the map of what merging does is wrong, missing, or left half-written.
. tests/support/shell.sh
needs 'the map of a merge' "$TINY"
P=$ROOT/tests/pictures/china.jpg
cd "$T" || exit 1
map() { run vitrun tokens -m "$TINY" "$@"; }
merge=(--merge mame --tau 0.6 --merge-layers 0-3)

cat >check_map.py <<'END_PY'
import json, sys
m = json.load(open(sys.argv[1]))
patches = m["grid"][0] * m["grid"][1]
assert len(m["tokens"]) == len(m["map"]) == len(m["group"]) == 4
for tokens, tops, groups in zip(m["tokens"], m["map"], m["group"]):
    assert len(tops) == len(groups) == patches and all(-1 <= t < tokens for t in tops)
    assert len(set(tops)) == len(set(groups)) == len(set(zip(tops, groups)))
assert m["file"] == sys.argv[2] and m["merge"].startswith(sys.argv[3])
if sys.argv[3] == "none": assert m["map"] == [list(range(patches))] * 4
if sys.argv[3] == "evit": assert m["map"][3].count(-1) == patches - m["tokens"][3] > 0
END_PY
for method in mame tome evit none; do
    words=(--merge $method)
    [ $method = evit ] && words+=(--keep 0.5 --merge-layers 1,3)
    [ $method = tome ] && words+=(--r 9)
    [ $method = mame ] && words=("${merge[@]}")
    map "$P" "${words[@]}" --json
    check "--json, $method" all test "$code" -eq 0 -- json -- quiet -- python3 check_map.py out "$P" $method
done
map "$P" --json
check 'no merge given: mame, and it says so' all test "$code" -eq 0 -- says 'showing --merge mame' -- prints '"merge":"mame'
map "$P" "${merge[@]}" --json -t 1
cp out one.json
map "$P" "${merge[@]}" --json -t 3
check 'the same map whatever the threads' cmp one.json out
map "$P" "${merge[@]}" -o x.json
check '-o x.json' cmp one.json x.json

is_png() { [ "$(head -c 8 "$1" | od -An -tx1 | tr -d ' \n')" = 89504e470d0a1a0a ] && "$VITRUN" pixels "$1" | grep -q '"verdict":"accept"'; }
for style in tint mean border; do
    map "$P" "${merge[@]}" --style $style -o $style.png
    check "--style $style" all test "$code" -eq 0 -- empty -- quiet -- is_png $style.png
done
check 'styles differ' all test "$(cat tint.png mean.png border.png | wc -c)" -gt 3000 -- test "$(cksum <tint.png)" != "$(cksum <border.png)"
map "$P" "${merge[@]}" -o again.png
check 'the same bytes again' cmp tint.png again.png
map "$P" "${merge[@]}" --scale 8 -o large.png --json
check '--scale; a picture and JSON at once' all test "$code" -eq 0 -- json -- is_png large.png -- test "$(wc -c <large.png)" -gt "$(wc -c <tint.png)"
run vitrun tokens -m "$TINY" "$P" "${merge[@]}" -o -
check '-o -: to standard output' all test "$code" -eq 0 -- cmp out tint.png
map "$P" --merge mame --tau 1 --merge-layers 0 -o plain.png
check 'where nothing merges' all test "$code" -eq 0 -- is_png plain.png
map "$P" --merge none -o none.png
check 'no merging: says that there is nothing to see' all test "$code" -eq 0 -- says 'merges anything' -- is_png none.png
run "$VITRUN" tokens -m "$TINY" - "${merge[@]}" --json <"$P"
"$VITRUN" tokens -m "$TINY" - "${merge[@]}" --json <"$P" >out
check 'a picture from standard input' json

map "$P" "${merge[@]}"
check 'neither -o nor --json' all test "$code" -eq 2 -- says '-o map.png'
map "$P" "${merge[@]}" -o x.svg
check 'SVG is not supported yet' all test "$code" -eq 2 -- says 'not supported yet' -- test ! -e x.svg
map "$P" "${merge[@]}" -o x.jpg
check 'another ending' all test "$code" -eq 2 -- says '.png'
exits 'no picture named' 2 tokens -m "$TINY" -o x.png
exits 'two pictures' 2 tokens -m "$TINY" "$P" "$P" -o x.png
echo nonsense >broken.jpg
map broken.jpg "${merge[@]}" -o x.png
check 'a broken picture' all test "$code" -eq 4 -- says broken.jpg -- test ! -e x.png
map no-such-file.jpg "${merge[@]}" --json
check 'a missing picture' all test "$code" -ne 0 -- empty
"$VITRUN" tokens -m "$TINY" "$P" "${merge[@]}" -o - >/dev/full 2>err
code=$?
check 'a full disk' all test "$code" -eq 5 -- says 'cannot write'
map "$P" "${merge[@]}" -o no-such-folder/x.png
check 'a folder that is not there' test "$code" -eq 5
check 'failures leave no file' test -z "$(find . -name 'x.*' ! -name x.json)"
