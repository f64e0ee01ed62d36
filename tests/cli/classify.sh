#!/usr/bin/env bash
# If these fail, programs that read our results read something else.
. tests/support/shell.sh
needs 'forms of results' "$TINY"

picture "$T/a.ppm" 40 30
picture "$T/b.ppm" 30 50
echo 'no picture' >"$T/bad.jpg"
cd "$T" || exit 1
ours() { vitrun classify -m "$TINY" "$@"; }

run ours a.ppm
check 'table: five classes, nothing on stderr, no colours in a pipe' all lines 5 -- quiet -- test "$(grep -c $'\033' out)" -eq 0
run ours --color always a.ppm
check '--color always' grep -q $'\033' out
run ours -k 1000 a.ppm
check '-k beyond the classes' all test "$code" -eq 0 -- lines 10
run ours a.ppm bad.jpg b.ppm
check 'table: a broken file is a row, and a sentence on stderr' all test "$code" -eq 1 -- lines 11 -- prints 'bad.jpg  error: ' -- says bad.jpg

run ours --json -k 2 a.ppm bad.jpg b.ppm
check 'json: a line each, all valid, in order' all test "$code" -eq 1 -- lines 3 -- json_lines
cat >keys.py <<'END'
import json, math, sys
rows = [json.loads(line) for line in open("out", encoding="utf-8")]
assert [r["file"] for r in rows] == ["a.ppm", "bad.jpg", "b.ppm"]
for r in rows:
    assert list(r) == ["file", "width", "height", "topk", "tokens", "gmacs", "merge_gmacs", "merge", "ms", "error"], list(r)
    assert list(r["ms"]) == ["decode", "resize", "infer"]
a, bad, b = rows
assert (a["width"], a["height"]) == (40, 30) and a["error"] is None and a["tokens"] == [65, 65, 65, 1] and a["merge"] == "none" and a["gmacs"] > 0 and a["merge_gmacs"] == 0
assert bad["topk"] == [] and bad["tokens"] == [] and isinstance(bad["error"], str)
assert len(a["topk"]) == 2 and list(a["topk"][0]) == ["index", "label", "synset", "prob", "logit"]
first, second = a["topk"]
assert first["prob"] >= second["prob"] and abs(math.log(first["prob"] / second["prob"]) - (first["logit"] - second["logit"])) < 1e-5
END
check 'json: its keys and values' python3 keys.py
cp out alone
run ours --format json -k 2 b.ppm
check 'a picture beside others has the same answer, to the bit' test "$(sed 's/"ms".*//' out)" = "$(sed -n '3s/"ms".*//p' alone)"

run ours -f csv -k 2 a.ppm bad.jpg
check 'csv: header and rows' all lines 4 -- test "$(head -1 out)" = file,rank,index,label,synset,prob,logit,error
check 'csv: eight fields in every row' python3 -c '
import csv; rows = list(csv.reader(open("out"))); assert all(len(r) == 8 for r in rows) and rows[3][7] and rows[1][1] == "1"'
mkdir odd
cp a.ppm $'odd/a,b "c"\nd.ppm'
run ours -f csv -k 1 odd
check 'csv: odd names' python3 -c '
import csv; rows = list(csv.reader(open("out", newline=""))); assert rows[1][0] == "odd/a,b \"c\"\nd.ppm" and len(rows) == 2'

run ours -f timm-csv a.ppm odd/../b.ppm
check 'timm-csv: header, file name without folder, class index' all lines 3 -- test "$(head -1 out)" = filename,label,prob -- \
    grep -qE '^b\.ppm,[0-9],0\.[0-9]+$' out
run ours -f timm-csv -k 3 a.ppm
check 'timm-csv with -k 3' test "$code" -eq 2

run ours -f pipeline -k 2 a.ppm
check 'pipeline: one picture' all json -- python3 -c '
import json; r = json.load(open("out")); assert len(r) == 2 and list(r[0]) == ["score", "label"]'
run ours -f pipeline -k 2 a.ppm bad.jpg b.ppm
check 'pipeline: several' all json -- python3 -c '
import json; r = json.load(open("out")); assert len(r) == 3 and r[1] is None and len(r[2]) == 2'

run ours bad.jpg
check 'nothing readable' test "$code" -eq 4
run ours --formats png a.ppm
check '--formats' all test "$code" -eq 4 -- lines 1
run ours --max-pixels 100 a.ppm b.ppm
check '--max-pixels' test "$code" -eq 4
run ours --fp16 a.ppm
check '--fp16: not supported yet' all test "$code" -eq 2 -- says 'not supported yet'
run ours -q --bf16 a.ppm
check '-q --bf16' all test "$code" -eq 0 -- quiet
if vitrun devices --json 2>/dev/null | grep -q '"isa_int8":"avx512vnni"'; then
    run ours -q --dtype int8 --json -k 10 a.ppm b.ppm
    check '-q --dtype int8' all test "$code" -eq 0 -- quiet -- lines 2 -- json_lines
    cp out int8
    run ours -q --json -k 10 a.ppm b.ppm
    check 'int8 gives the classes of f32, with other numbers' python3 -c '
import json
of = lambda name: [{c["index"]: c["logit"] for c in json.loads(line)["topk"]} for line in open(name)]
for a, b in zip(of("int8"), of("out"), strict=True):
    assert a.keys() == b.keys() and a != b
    assert sum((a[i] - b[i]) ** 2 for i in a) < 2.5e-3 * sum(b[i] ** 2 for i in b)'
    run ours -q --dtype int8 --json -k 10 -t 1 -b 1 a.ppm b.ppm a.ppm
    sed 's/"ms".*//' out >one
    run ours -q --dtype int8 --json -k 10 -t 2 -b 3 a.ppm b.ppm a.ppm
    check 'threads and batches change no bit of int8' all lines 3 -- cmp -s <(sed 's/"ms".*//' out) one
    VITRUN_DEVICE=auto run ours -q --dtype int8 a.ppm
    check 'int8 on the device that is chosen' test "$code" -eq 0
else
    run ours --dtype int8 a.ppm
    check 'int8 without AVX512-VNNI: refused, and what is there' all test "$code" -eq 7 -- says 'use --dtype bf16 or f32' -- empty
fi
VITRUN_ISA=avx2 run ours --dtype int8 a.ppm
check 'int8 with AVX2: refused' all test "$code" -eq 7 -- says 'VITRUN_ISA asks for avx2, but for this dtype there is' -- empty
run ours --device cuda --dtype int8 a.ppm
check 'int8 on a GPU: refused' all test "$code" -eq 2 -- says 'int8 is not supported yet on a GPU' -- empty

for _ in $(seq 60); do echo a.ppm; echo b.ppm; done >many
run ours --json -k 10 -t 1 -b 1 @many
sed 's/"ms".*//' out >one
run ours --json -k 10 -t 2 -b 7 @many
check 'threads and batches change no bit' all lines 120 -- cmp -s <(sed 's/"ms".*//' out) one
