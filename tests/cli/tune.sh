#!/usr/bin/env bash
# If these fail, a setting is recommended that misses its target, or that is not the one that was measured.
. tests/support/shell.sh
needs 'tune' "$TINY"
cd "$T" || exit 1
for i in 1 2 3 4; do
    for p in china.jpg flower.jpg rgb.png grey.png; do cp "$ROOT/tests/pictures/$p" "$i$p"; done
done
mkdir pictures && mv ./*.* pictures/
tune() { vitrun tune -m "$TINY" -q pictures "$@"; }
value() { python3 -c 'import json, sys; d = json.load(open("out"))
for key in sys.argv[1].split("."): d = d[key]
print(d)' "$1"; }
holds() { python3 -c "import json; d = json.load(open('out')); assert $1, d"; }

run tune --target-gmacs 0.005 --json --save s.json
check 'a target of cost is met' all test "$code" -eq 0 -- json -- holds 'd["search"]["gmacs"] <= 0.005 < d["unmerged_gmacs"]' -- holds 'd["held_out"] == 8 and d["searched"] == 8'
cp out found.json
name=$(python3 -c 'import json; print(json.load(open("found.json"))["merge"])')
tau=$(python3 -c 'import json; print(json.load(open("found.json"))["tau"])')
run vitrun classify -q -m "$TINY" --json -k 1 pictures/1china.jpg --merge s.json
cp out by_file
run vitrun classify -q -m "$TINY" --json -k 1 pictures/1china.jpg --merge mame --tau "$tau"
strip() { sed 's/"ms":{[^}]*}//' "$1"; }
check 'what was saved is what was found' test "$(strip by_file)" = "$(strip out)"
run tune --target-gmacs 0.005 --json
cp out again.json
check 'the same again' python3 -c 'import json
a, b = (json.load(open(f)) for f in ("found.json", "again.json"))
for d in (a, b): d.pop("seconds"); d["held"].pop("speedup")
assert a == b, (a, b)'
run tune --target-gmacs 0.005 --json --seed 3
check '--seed: other halves' python3 -c 'import json
assert json.load(open("out"))["held"]["divergence"] != json.load(open("found.json"))["held"]["divergence"]'
run tune --target-gmacs 0.005 --json --per-block
check '--per-block: the target is met, and one tau is compared' all test "$code" -eq 0 -- holds 'd["search"]["gmacs"] <= 0.005' -- holds 'd["one_tau"]["gmacs"] > 0' -- holds '"layers" in d'
run tune --target-agreement 50 --json --merge tome
check 'a target of agreement' all test "$code" -eq 0 -- holds 'd["search"]["agreement"] >= 50' -- holds 'int(d["r"]) >= 1'
run tune --target-agreement 50 --json --merge evit --merge-layers 1,2
check 'evit' all test "$code" -eq 0 -- holds '0 < float(d["keep"]) < 1'
run tune --target-speed 1.05 --json
check 'a target of speed is met or said to be out of reach' python3 -c "import json, sys
sys.exit(0 if $code == 2 else not json.load(open('out'))['search']['speedup'] >= 1.05)"
run tune --target-gmacs 0.005
check 'a table' all prints 'held out' -- prints '--merge mame --tau'
run tune --target-gmacs 0.0001
check 'out of reach' all test "$code" -eq 2 -- says 'the least is' -- empty
echo 'no picture' >pictures/bad.jpg
run tune --target-gmacs 0.005 --json
check 'a broken picture is named and counted' all test "$code" -eq 1 -- says bad.jpg -- holds 'd["unreadable"] == 1'
exits 'no target' 2 tune pictures -m "$TINY"
exits 'two targets' 2 tune pictures -m "$TINY" --target-gmacs 1 --target-speed 2
exits 'what is looked for is given' 2 tune pictures -m "$TINY" --target-gmacs 1 --tau 0.5
exits 'diffrate' 2 tune pictures -m "$TINY" --target-gmacs 1 --merge diffrate
exits '--per-block with tome' 2 tune pictures -m "$TINY" --target-gmacs 1 --merge tome --per-block
exits 'three pictures' 4 tune -q -m "$TINY" --target-gmacs 1 pictures/1china.jpg pictures/2china.jpg pictures/3china.jpg
exits 'a file that cannot be written' 5 tune -q -m "$TINY" --target-gmacs 0.005 pictures --save nowhere/s.json
exits 'no pictures' 2 tune -m "$TINY" --target-gmacs 1
