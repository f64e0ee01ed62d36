#!/usr/bin/env bash
# If these fail, an accuracy is reported that nobody measured: wrong labels, wrong pictures, or a run that was cut and glued.
. tests/support/shell.sh
needs 'accuracy' "$TINY"
needs 'accuracy' "$DEMO/model.safetensors"

pictures=$ROOT/tests/pictures
cd "$T" || exit 1
ours() { vitrun eval "$@"; }
tiny() { vitrun eval -m "$TINY" -q --no-progress "$@"; }
value() { python3 -c 'import json,sys; print(json.load(open("out"))[sys.argv[1]])' "$1"; } # of the JSON in out
is() { [ "$(value "$1")" = "$2" ]; }

# ---- the bundled model; every picture lies in the folder of its answer, so all are right ----
mkdir sample
for name in china flower grey progressive rgb-422 exif-6; do cp "$pictures/$name.jpg" sample; done
run vitrun classify -q -m "$DEMO" --exif off --json -k 10 sample
cp out answers
cat >sort.py <<'END'
import json, os, shutil, sys
folder, shift = sys.argv[1], int(sys.argv[2])
rows = [json.loads(line) for line in open("answers")]
synsets = sorted(c["synset"] for c in rows[0]["topk"])
for row in rows:
    best = synsets.index(row["topk"][0]["synset"])
    place = os.path.join(folder, synsets[(best + shift) % len(synsets)])
    os.makedirs(place, exist_ok=True)
    shutil.copy(row["file"], place)
END
python3 sort.py right/val 0
python3 sort.py wrong 1
run ours -m "$DEMO" --imagenet right --json --predictions p.csv
check 'pictures in the folders of their answers: all right' all test "$code" -eq 0 -- json -- is top1 100 -- is top1_count 6 -- is skipped 0
cat >match.py <<'END'
import csv, json, math, os
answers = {os.path.basename(r["file"]): r["topk"] for r in map(json.loads, open("answers"))}
rows = list(csv.DictReader(open("p.csv")))
assert len(rows) == 6 and list(rows[0])[:4] == ["file", "label", "index1", "logit1"] and list(rows[0])[-4:] == ["tokens", "gmacs", "merge", "error"]
loss = 0
for r in rows:
    top = answers[os.path.basename(r["file"])]
    for k in range(5):
        assert int(r[f"index{k + 1}"]) == top[k]["index"] and float(r[f"logit{k + 1}"]) == top[k]["logit"]
    loss -= math.log(next(c["prob"] for c in top if c["index"] == int(r["label"])))
got = json.load(open("out"))
assert abs(got["loss"] - loss / 6) < 1e-6
assert list(got)[:9] == "model top1 top1_err top5 top5_err param_count img_size crop_pct interpolation".split()
assert got["layout"] == "synset folders" and got["exif"] is False and len(got["tokens"]) == 12
END
check 'predictions and loss are those of classify; timm s columns come first' python3 match.py
run ours -m "$DEMO" --imagenet wrong -q
check 'pictures in other folders: none right; the last line is validate.py s' all test "$code" -eq 0 -- \
    test "$(tail -1 out)" = "$(grep -E '^ \* Acc@1 0\.000 \(100\.000\) Acc@5 [0-9]+\.[0-9]{3} \([0-9]+\.[0-9]{3}\)$' out)" -- quiet
run ours -m "$DEMO" --imagenet right -f csv
check 'csv: a header and a row' all lines 2 -- python3 -c '
import csv; h, r = csv.reader(open("out")); assert len(h) == len(r) and h[:3] == ["model", "top1", "top1_err"] and r[1] == "100"'

run ours -m "$DEMO" --imagenet wrong -q --json --merge mame --tau 0.5 --agreement --predictions merged.csv
cp out agreement
run ours -m "$DEMO" --imagenet wrong -q --json --predictions plain.csv
check '--agreement counts what two runs show' python3 -c '
import csv, json
a = json.load(open("agreement"))
m, p = (list(csv.DictReader(open(f))) for f in ("merged.csv", "plain.csv"))
assert a["merge"].startswith("mame") and a["gmacs"] < float(p[0]["gmacs"])
assert a["agreement_count"] == sum(x["index1"] == y["index1"] for x, y in zip(m, p))
assert a["only_merged_right"] == sum(x["index1"] == x["label"] != y["index1"] for x, y in zip(m, p))
assert a["unmerged_top1"] == json.load(open("out"))["top1"] and 0 <= a["mcnemar_p"] <= 1'
mkdir -p right/val/n99999999
exits 'a class that the model does not know' 2 eval -m "$DEMO" -q --imagenet right
check 'a class that the model does not know: found and wanted' all empty -- says n99999999 -- says 'has 10'
rmdir right/val/n99999999
echo 'no picture' >right/val/n01440764.txt
mkdir -p right/val/n01440764
echo 'no picture' >$'right/val/n01440764/bad\xff.jpg'
run ours -m "$DEMO" --imagenet right --json --predictions p.csv
check 'a broken picture: left out, named, counted, exit 1' all test "$code" -eq 1 -- is skipped 1 -- is images 6 -- is top1 100 -- says 'bad\xff.jpg' -- \
    test "$(grep -c ',,,,,,,,,,,,,' p.csv)" -eq 1

# ---- a small model without names: folders by index ----
for i in 0 1 2 3 4 5 6 7 8 9; do mkdir -p "index/$i"; done
n=0
for name in china.jpg flower.jpg grey.jpg rgb.png tall.jpg wide.jpg la.png lossy.webp; do
    for copy in 1 2 3 4 5 6 7 8 9 10; do
        cp "$pictures/$name" "index/$((n % 10))/$copy-$name"
        n=$((n + 3))
    done
done
echo 'no picture' >index/3/bad.jpg
run tiny --imagenet index --json --no-timing --predictions whole.csv
cp out whole.json
check 'folders by index' all test "$code" -eq 1 -- is layout 'index folders' -- is images 80 -- is skipped 1
run tiny --imagenet index --json --no-timing --predictions again.csv -t 1 -b 3
check 'threads and batches change no byte' all cmp -s out whole.json -- cmp -s again.csv whole.csv
run tiny --imagenet index --json --no-timing --predictions again.csv --shuffle 7
check '--shuffle: the same predictions, in the order of the data' all cmp -s again.csv whole.csv -- is images 80
run tiny --imagenet index --limit 20 --shuffle 7 --predictions one.csv
run tiny --imagenet index --limit 20 --shuffle 7 --predictions two.csv
run tiny --imagenet index --limit 20 --shuffle 8 --predictions three.csv
check '--limit and --shuffle: the seed decides' all test "$(wc -l <one.csv)" -eq 21 -- cmp -s one.csv two.csv -- test "$(cmp -s one.csv three.csv; echo $?)" -eq 1
mv index/9 kept9
exits 'an index is missing' 2 eval -m "$TINY" -q --imagenet index
mv kept9 index/9

# ---- labels in another order ----
run vitrun classify -q -m "$TINY" --exif off --json -k 1 "$pictures/china.jpg" "$pictures/flower.jpg" "$pictures/rgb.png"
cp out answers3
python3 - <<'END'
import json, os, shutil
for i in range(10): os.makedirs(f"order/{i}")
for row in map(json.loads, open("answers3")):
    for copy in range(70): shutil.copy(row["file"], f"order/{(row['topk'][0]['index'] + 1) % 10}/{copy}-{os.path.basename(row['file'])}")
END
run ours -m "$TINY" --imagenet order --json
check 'wrong order of labels: said' all test "$code" -eq 0 -- says 'looks like wrong label order' -- is label_order_suspect True -- is top1_count 0

# ---- flat ----
mkdir flat
cp "$pictures/china.jpg" flat/ILSVRC2012_val_00000002.JPEG
cp "$pictures/flower.jpg" flat/ILSVRC2012_val_00000001.JPEG
printf '0\n7\n' >zero.txt
printf '1\n10\n' >devkit.txt
run tiny --imagenet flat --labels zero.txt --predictions p.csv
check 'flat, with indices' all test "$code" -eq 0 -- grep -q '00001.JPEG,0,' p.csv -- grep -q '00002.JPEG,7,' p.csv
exits 'flat: numbers that may be the devkit s' 2 eval -m "$TINY" --imagenet flat --labels devkit.txt
exits 'flat: the devkit s order is not supported yet' 2 eval -m "$TINY" --imagenet flat --labels devkit.txt --labels-order devkit
check 'flat: the devkit s order: says so' says 'not supported yet'
exits 'flat: no labels' 2 eval -m "$TINY" --imagenet flat

# ---- kept state ----
with_state() { tiny --imagenet index --json --no-timing --predictions again.csv --state s "$@"; }
run with_state
check '--state: the same result' all test "$code" -eq 1 -- cmp -s out whole.json -- cmp -s again.csv whole.csv
cp s full.state
run with_state
check '--state: a run that had ended is told again' all test "$code" -eq 1 -- cmp -s out whole.json -- cmp -s again.csv whole.csv -- says bad.jpg
bad='' size=$(wc -c <full.state)
for cut in 0 1 30 71 72 73 90 $((size / 3)) $((size / 2)) $((size - 70)) $((size - 12)) $((size - 1)); do
    head -c "$cut" full.state >s
    rm -f again.csv
    run with_state
    cmp -s out whole.json && cmp -s again.csv whole.csv && cmp -s <(sed 's/ [^ ]* [^ ]* [^ ]* #.*//' s) <(sed 's/ [^ ]* [^ ]* [^ ]* #.*//' full.state) || bad="$bad $cut"
done
check "--state: cut anywhere, the result is the same$bad" test -z "$bad"
head -c $((size / 2)) full.state >s
printf 'garbage' | dd of=s bs=1 seek=$((size / 4)) conv=notrunc 2>/dev/null
run with_state
check '--state: a damaged line and what follows is done again' all cmp -s out whole.json -- cmp -s again.csv whole.csv
# Larger pictures, so that a run lasts long enough to be killed in the middle wherever this is tested.
slow=("$VITRUN" eval -m "$TINY" -q --no-progress --imagenet index --json --no-timing --img-size 96 -t 1 -b 1)
"${slow[@]}" --predictions whole96.csv >whole96.json 2>err
rm -f s again.csv
kills=0
for _ in $(seq 20); do
    "${slow[@]}" --predictions again.csv --state s >out 2>err &
    pid=$!
    sleep "0.0$((RANDOM % 9 + 1))"
    kill -9 $pid 2>/dev/null && kills=$((kills + 1))
    wait $pid 2>/dev/null
done
run "${slow[@]}" --predictions again.csv --state s
check "--state: killed again and again ($kills times), the result is the same" all test "$code" -eq 1 -- test "$kills" -gt 0 -- cmp -s out whole96.json -- cmp -s again.csv whole96.csv
rm -f s
run with_state
run with_state --exif on
check '--state of other settings' all test "$code" -eq 2 -- empty -- says 'other settings'
run with_state --limit 5
check '--state of other pictures' all test "$code" -eq 2 -- says 'other pictures'
run vitrun eval -m "$DEMO" -q --imagenet right --state s
check '--state of another model' all test "$code" -eq 2 -- says 'another model'
echo 'dear diary' >diary
run tiny --imagenet index --state diary
check '--state never overwrites what is no state' all test "$code" -eq 2 -- grep -qx 'dear diary' diary
exits '--state and decisions for the batch' 2 eval -m "$TINY" -q --imagenet index --state t --merge mame --merge-scope batch

# ---- many settings in one pass ----
sweep='none; mame tau=0.6|0.9; tome r=1..3:2'
run tiny --imagenet index --json --no-timing --sweep "$sweep" --predictions sweep.csv
cp out sweep.json
check '--sweep: runs' all test "$code" -eq 1 -- json
n=0 bad=''
while read -r words; do
    # shellcheck disable=SC2086
    run tiny --imagenet index --json --no-timing --predictions one.csv $words
    cat >row.py <<'END'
import csv, json, sys
n = int(sys.argv[1])
alone, row = json.load(open("out")), json.load(open("sweep.json"))[n]
assert len(json.load(open("sweep.json"))) == 5
assert {k: v for k, v in row.items() if k in alone} == alone, (alone, row)
mine = [r for r in csv.reader(open("sweep.csv")) if r[-2] == row["merge"]]
assert mine == list(csv.reader(open("one.csv")))[1:]
END
    python3 row.py $n 2>>err || bad="$bad $n"
    n=$((n + 1))
done <<'END'
--merge none
--merge mame --tau 0.6
--merge mame --tau 0.9
--merge tome --r 1
--merge tome --r 3
END
check "--sweep: each row is that of a run of its own, bit for bit$bad" all test -z "$bad" -- test $n -eq 5
cat >agrees.py <<'END'
import csv, json
rows = json.load(open("sweep.json"))
plain = {r["file"]: r["index1"] for r in csv.DictReader(open("sweep.csv")) if r["merge"] == "none" and not r["error"]}
for row in rows:
    mine = {r["file"]: r["index1"] for r in csv.DictReader(open("sweep.csv")) if r["merge"] == row["merge"] and not r["error"]}
    assert row["agreement_count"] == sum(mine[f] == plain[f] for f in plain), row
    assert row["unmerged_top1"] == rows[0]["top1"]
assert rows[0]["agreement"] == 100 and any(r["agreement"] < 100 for r in rows)
END
check '--sweep: agreement is counted from the answers' python3 agrees.py
for batch in 1 3; do
    run tiny --imagenet index --json --no-timing --sweep "$sweep" -b $batch -t 1
    check "--sweep: the same bits by batches of $batch" cmp -s out sweep.json
done
run tiny --imagenet index --json --no-timing --sweep "$sweep" --predictions again.csv --state w
head -c $(($(wc -c <w) * 2 / 3)) w >w2 && mv w2 w
rm -f again.csv
run tiny --imagenet index --json --no-timing --sweep "$sweep" --predictions again.csv --state w
check '--sweep with --state: cut and resumed, the same' all cmp -s out sweep.json -- cmp -s again.csv sweep.csv
run tiny --imagenet index --json --no-timing --sweep 'tau=0.6|0.9' --merge mame --state w
check '--sweep with the state of another sweep' all test "$code" -eq 2 -- says 'other settings'
run tiny --imagenet index --json --no-timing --sweep 'tau=0.6|0.9' --merge mame --agreement
check '--sweep: --agreement adds the unmerged model' all prints '"merge":"none"' -- prints '"agreement":'
run tiny --imagenet index --sweep 'none; tome r=2' -f csv
check '--sweep: CSV has a line a setting' lines 3
run tiny --imagenet index --sweep 'none; tome r=2'
check '--sweep: a table' all prints 'speed-up' -- prints 'tome_r2'
exits '--sweep names a setting twice' 2 eval -m "$TINY" --imagenet index --sweep 'tome r=2; tome r=2'
exits '--sweep with what a method ignores' 2 eval -m "$TINY" --imagenet index --sweep 'tome tau=2'
exits '--sweep with nothing' 2 eval -m "$TINY" --imagenet index --sweep ''

# ---- Ctrl-C ----
for i in $(seq 40); do cp sample/china.jpg "right/val/n01440764/$i.jpg"; done
cat >interrupt.py <<'END'
import json, signal, subprocess, sys, time
p = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
while True:
    time.sleep(0.02)
    try:
        if sum(1 for _ in open("i.state")) > 3: break
    except FileNotFoundError: pass
p.send_signal(signal.SIGINT)
r = json.loads(p.communicate()[0])
assert p.returncode == 130, p.returncode
assert r["partial"] is True and 0 < r["images"] < r["wanted"]
END
check 'Ctrl-C: what was done is told, partial, exit 130' python3 interrupt.py "$VITRUN" eval -m "$DEMO" -b 2 --imagenet right --json --predictions cut.csv --state i.state
check 'Ctrl-C: no predictions of half a run' test ! -e cut.csv

# ---- used wrongly ----
exits 'no folder' 2 eval -m "$TINY"
exits 'a folder that is not there' 5 eval -m "$TINY" --imagenet nowhere
mkdir none
exits 'a folder without pictures' 4 eval -m "$TINY" --imagenet none
exits '--shuffle x' 2 eval -m "$TINY" --imagenet index --shuffle x
exits '--limit 0' 2 eval -m "$TINY" --imagenet index --limit 0
exits '--agreement with nothing merged' 2 eval -m "$TINY" --imagenet index --agreement
exits '--labels-order without labels' 2 eval -m "$TINY" --imagenet index --labels-order index
exits 'predictions and results to stdout' 2 eval -m "$TINY" --imagenet index --predictions -
exits 'a result that cannot be written is known before the run' 5 eval -m "$TINY" --imagenet index -o nowhere/x
