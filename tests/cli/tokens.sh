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

# The outlines in an SVG, filled again, are the groups of the map; the lines lie where two groups meet.
cat >check_svg.py <<'END_PY'
import base64, json, re, sys
import xml.etree.ElementTree as xml
style, blocks, maps = sys.argv[2], [int(b) for b in sys.argv[3].split(",")], json.load(open(sys.argv[4]))
maps = maps if isinstance(maps, list) else [maps]
ns = "{http://www.w3.org/2000/svg}"
svg = xml.parse(sys.argv[1]).getroot()
assert not svg.findall(".//" + ns + "script") and len(svg.findall(".//" + ns + "image")) == 1
image = svg.find(".//" + ns + "image")
uri = image.get("href")
assert uri.startswith("data:image/png;base64,")
assert base64.b64decode(uri.split(",")[1], validate=True).startswith(b"\x89PNG\r\n\x1a\n")
rows, cols = maps[0]["grid"]
side = int(image.get("width")) // cols

def loops(path):
    """[(x, y), ...] of each subpath, in pixels."""
    found = []
    for command, numbers in re.findall("([Mhvz])([^Mhvz]*)", path):
        if command == "M": found.append([tuple(float(n) for n in numbers.split())])
        elif command != "z":
            x, y = found[-1][-1]
            n = float(numbers)
            found[-1].append((x + n, y) if command == "h" else (x, y + n))
    return found

def filled(path):
    """Patches whose middle is inside, by counting the vertical lines to their left."""
    inside = set()
    lines = [(a, b) for l in loops(path) for a, b in zip(l, l[1:] + l[:1]) if a[0] == b[0]]
    for p in range(rows * cols):
        x, y = (p % cols + 0.5) * side, (p // cols + 0.5) * side
        if sum(a[0] < x and min(a[1], b[1]) < y < max(a[1], b[1]) for a, b in lines) % 2: inside.add(p)
    return inside

def border(group):
    """The edges that these patches share with others."""
    count = 0
    for p in group:
        x, y = p % cols, p // cols
        for X, Y in (x - 1, y), (x + 1, y), (x, y - 1), (x, y + 1):
            count += 0 <= X < cols and 0 <= Y < rows and Y * cols + X not in group
    return count

panels = [g for g in svg.findall(ns + "g")]
assert len(panels) == len(maps) * (1 + len(blocks)), len(panels)
assert all(p.find(ns + "use").get("href") == "#" + image.get("id") for p in panels)
assert all(len(p) == 1 for p in panels[::1 + len(blocks)]), "the picture alone"
words = [t.text for t in svg.findall(ns + "text")]
for at, m in enumerate(maps):
    for i, block in enumerate(blocks):
        panel = list(panels[at * (1 + len(blocks)) + 1 + i])[1:]
        assert f"block {block}" in words and f"{m['tokens'][block]} tokens" in words
        want = {}
        for p, t in enumerate(m["map"][block]): want.setdefault(t, set()).add(p)
        if style != "mean": want = {t: g for t, g in want.items() if t < 0 or len(g) > 1}
        got = {}
        for path in panel:
            if path.get("fill") == "none":
                length = sum(abs(a[0] - b[0]) + abs(a[1] - b[1]) for l in loops(path.get("d")) for a, b in zip(l, l[1:]))
                assert length == border(last) * side, (length, last)
                continue
            token, count = re.fullmatch(r"(token \d+|dropped): (\d+) patch(?:es)?", path.find(ns + "title").text).groups()
            last = filled(path.get("d"))
            assert len(last) == int(count)
            got[-1 if token == "dropped" else int(token.split()[1])] = last
        assert got == want, (block, got, want)
        lines = sum(path.get("fill") == "none" for path in panel)
        assert lines == (0 if style == "tint" else sum(t >= 0 for t in want)), lines
END_PY
for style in tint mean border; do
    map "$P" "${merge[@]}" --style $style -o $style.svg
    check "SVG, --style $style" all test "$code" -eq 0 -- empty -- quiet -- python3 check_svg.py $style.svg $style 0,1,2,3 one.json
done
map "$P" --merge evit --keep 0.5 --merge-layers 1,3 --json -o evit.svg
check 'SVG and JSON at once; what was dropped' all test "$code" -eq 0 -- python3 check_svg.py evit.svg tint 1,3 out
blocks=$(seq -s, 0 11) # here holes of a group touch at a corner, where its outline comes by twice
run vitrun tokens -m "$DEMO" "$ROOT/tests/pictures/flower.jpg" --grid 'diffrate rates-from=deit_small:2.9' --panels "$blocks" --json -o holes.svg
check 'SVG of groups with holes' all test "$code" -eq 0 -- python3 check_svg.py holes.svg tint "$blocks" out
map "$P" "${merge[@]}" -f svg
check '-f svg without -o' all test "$code" -eq 0 -- cmp out tint.svg
map "$P" "${merge[@]}" --panels 2,0 -o panels.svg
check '--panels' all test "$code" -eq 0 -- python3 check_svg.py panels.svg tint 2,0 one.json

sizes() { python3 -c 'import struct, sys; print(*struct.unpack(">II", open(sys.argv[1], "rb").read(24)[16:]))' "$1"; }
map "$P" "${merge[@]}" --grid 'tau=0.5..0.7:0.1; tome r=9; none' --json
cp out grid.json
names='mame_l0-3_t0.5 mame_l0-3_t0.6 mame_l0-3_t0.7 tome_r9 none'
check '--grid --json: an object a setting' all test "$code" -eq 0 -- quiet -- \
    python3 -c 'import json, sys; assert [m["merge"] for m in json.load(open("grid.json"))] == sys.argv[1:]' $names
check '... the second is what it is alone' python3 -c 'import json; assert json.load(open("grid.json"))[1] == json.load(open("one.json"))'
map "$P" "${merge[@]}" --grid 'tau=0.5..0.7:0.1; tome r=9; none' -o grid.svg
check '--grid as SVG' all test "$code" -eq 0 -- python3 check_svg.py grid.svg tint 0,1,2,3 grid.json -- grep -q '>tome_r9</text>' grid.svg
map "$P" "${merge[@]}" --grid 'tau=0.5|0.6' -o grid.png
check '--grid as PNG: a row below a row' all test "$code" -eq 0 -- is_png grid.png -- \
    test "$(sizes grid.png)" = "$(sizes tint.png | (read -r w h; echo "$w" $((2 * (h - 8) + 8 + 2 * 24))))"
map "$P" "${merge[@]}" --scale 0.5 -o small.png
check '--scale below 1' all test "$code" -eq 0 -- is_png small.png -- test "$(wc -c <small.png)" -lt "$(wc -c <tint.png)"
"$VITRUN" tokens -m "$TINY" - --grid 'tome r=9|4' --json <"$P" >out 2>err
check '--grid of a picture from standard input' all json -- test "$(grep -c '"merge":"tome' out)" -eq 2
map "$P" --grid 'tome r=9' --json
check '--grid of one setting is an array too' all test "$code" -eq 0 -- python3 -c 'import json; assert len(json.load(open("out"))) == 1'

map "$P" --grid '' -o x.png
check '--grid with nothing' all test "$code" -eq 2 -- says '--grid is empty' -- test ! -e x.png
map "$P" --grid ' ; ' -o x.svg
check '--grid with an empty setting' all test "$code" -eq 2 -- says 'is empty' -- test ! -e x.svg
map "$P" --grid 'tua=0.5' --json
check '--grid with an unknown key' all test "$code" -eq 2 -- says "did you mean 'tau'" -- empty
map "$P" --grid 'mame; nosuch' --json
check '--grid with an unknown method' all test "$code" -eq 2 -- says nosuch -- empty
map "$P" --grid 'mame merge-layers=0|9' --json
check '--grid with a block that the model has not' all test "$code" -eq 2 -- says 'block 9' -- empty

map "$P" "${merge[@]}"
check 'neither -o nor --json' all test "$code" -eq 2 -- says '-o map.png'
map "$P" "${merge[@]}" -o x.jpg
check 'another ending' all test "$code" -eq 2 -- says '.svg'
map "$P" "${merge[@]}" -f gif -o x.gif
check 'an unknown format' all test "$code" -eq 2 -- says 'png svg json' -- test ! -e x.gif
map "$P" "${merge[@]}" -f svg -o x.png
check 'a format that contradicts the ending' all test "$code" -eq 2 -- says 'contradict'
map "$P" "${merge[@]}" --json -o -
check '--json -o -' all test "$code" -eq 0 -- json
map "$P" "${merge[@]}" --panels 1,4 -o x.png
check '--panels: no such block' all test "$code" -eq 2 -- says '--panels'
map "$P" "${merge[@]}" --scale 16 --img-size 64 --panels "$(printf '0,%.0s' {1..200})0" -o x.png
check 'a sheet that would be huge' all test "$code" -eq 2 -- says 'a smaller --scale' -- test ! -e x.png
exits 'no picture named' 2 tokens -m "$TINY" -o x.png
exits 'two pictures' 2 tokens -m "$TINY" "$P" "$P" -o x.png
echo nonsense >broken.jpg
map broken.jpg "${merge[@]}" -o x.png
check 'a broken picture' all test "$code" -eq 4 -- says broken.jpg -- test ! -e x.png
map no-such-file.jpg "${merge[@]}" --json
check 'a missing picture' all test "$code" -ne 0 -- empty
"$VITRUN" tokens -m "$TINY" "$P" "${merge[@]}" -o - >/dev/full 2>err
code=$?
check 'a full disk' all test "$code" -eq 5 -- says 'No space left' -- test "$(wc -l <err)" -eq 1
"$VITRUN" tokens -m "$TINY" "$P" "${merge[@]}" -f svg >/dev/full 2>err
code=$?
check 'a full disk, SVG' all test "$code" -eq 5 -- says 'No space left'
for format in png svg json; do
    (
        trap '' PIPE
        sleep 0.2
        "$VITRUN" tokens -m "$TINY" "$P" "${merge[@]}" -f $format --scale 16 -o - 2>err
        echo $? >status
    ) | true
    code=$(cat status)
    check "a closed pipe, $format" all test "$code" -eq 141 -- quiet
done
map "$P" "${merge[@]}" -o no-such-folder/x.png
check 'a folder that is not there' test "$code" -eq 5
check 'failures leave no file' test -z "$(find . -name 'x.*' ! -name x.json)"
