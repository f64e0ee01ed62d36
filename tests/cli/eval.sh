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
if vitrun devices --json 2>/dev/null | grep -q '"isa_int8":"avx512vnni"'; then
    run ours -m "$DEMO" --imagenet right -q --json --dtype int8 --compare p.csv
    check 'in int8: the same classes as in f32' all test "$code" -eq 0 -- json -- is top1_count 6
else
    skip 'eval in int8' 'no AVX512-VNNI here'
fi
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

# ---- ReaL, valid classes, and other programs' answers; everything is checked against the file of predictions ----
mkdir -p real/val
n=0
for name in china.jpg flower.jpg grey.jpg rgb.png tall.jpg wide.jpg la.png lossy.webp rgb-422.jpg progressive.jpg; do
    mkdir "real/val/$n"
    n=$((n + 1))
    cp "$pictures/$name" "real/val/$((n - 1))/ILSVRC2012_val_$(printf %08d $n).JPEG"
done
run tiny --imagenet real --json --no-timing --predictions real.csv
cp out real.json
# Lists, from what the model answers: its best class, its fifth, its sixth, none, another with the best, ...
cat >make_real.py <<'END'
import csv, json
rows = sorted(csv.DictReader(open("real.csv")), key=lambda r: r["file"][-13:])
best = [[int(r[f"index{k}"]) for k in range(1, 6)] for r in rows]
rest = [next(c for c in range(10) if c not in b) for b in best]
lists = [[b[0]] if i % 5 == 0 else [b[4]] if i % 5 == 1 else [rest[i]] if i % 5 == 2 else [] if i % 5 == 3 else [rest[i], b[0], b[1]]
         for i, b in enumerate(best)]
json.dump(lists, open("lists.json", "w"))
END
python3 make_real.py
run tiny --imagenet real --json --no-timing --real-labels lists.json --predictions again.csv
check '--real-labels: top-1 in the list, top-5, empty lists left out; the rest stays' all test "$code" -eq 0 -- python3 -c '
import json
plain, got = json.load(open("real.json")), json.load(open("out"))
assert (got.pop("real_images"), got.pop("real_top1"), got.pop("real_top5")) == (8, 50, 75), got
assert got == plain' -- cmp -s again.csv real.csv
mkdir flatreal && cp real/val/*/* flatreal
printf '0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n' >ten.txt
run tiny --imagenet flatreal --labels ten.txt --json --real-labels lists.json
check '--real-labels: a flat folder' all test "$code" -eq 0 -- is real_images 8 -- is real_top1 50 -- is real_top5 75
run tiny --imagenet real --real-labels lists.json
check '--real-labels: a line in the table' prints 'ReaL         labels of 8 pictures: top-1 4 (50.000), top-5 6 (75.000)'
run tiny --imagenet real --real-labels lists.json --sweep 'none; tome r=2'
check '--real-labels: a column in the table of --sweep' all prints 'ReaL %' -- test "$(awk '$1 == "none" { print $5 }' out)" = 50.00
echo '[[],[],[],[],[],[],[],[],[],[]]' >empty.json
run tiny --imagenet real --json --real-labels empty.json
check '--real-labels: no label at all' all test "$code" -eq 0 -- json -- is real_images 0 -- is real_top1 None
echo '[[1],[2]]' >short.json
run tiny --imagenet real --real-labels short.json
check '--real-labels: too short for a picture' all test "$code" -eq 2 -- empty -- says 'ILSVRC2012_val_00000003.JPEG' -- says 'pictures 1 to 2'
run tiny --imagenet index --real-labels lists.json
check '--real-labels: names without numbers' all test "$code" -eq 2 -- empty -- says '1-china.jpg' -- says 'ILSVRC2012_val_00000001'
echo '[[10]]' >wrong.json
exits '--real-labels: a class that the model does not have' 2 eval -m "$TINY" --imagenet real --real-labels wrong.json
exits '--real-labels: no such file' 5 eval -m "$TINY" --imagenet real --real-labels nowhere

# The loss and the best among some classes, from all ten logits of classify.
run vitrun classify -q -m "$TINY" --exif off --json -k 10 flatreal
cp out logits
mkdir -p some/val && cp -r real/val/1 real/val/4 real/val/8 some/val
mkdir all10 && for i in 0 1 2 3 4 5 6 7 8 9; do mkdir "all10/$i"; done && cp -r some/val/* all10
printf '8\n1\n4\n' >three.txt
run tiny --imagenet all10 --json --no-timing --valid-labels three.txt --predictions p.csv
check '--valid-labels: best, loss and top-5 are among those' all test "$code" -eq 0 -- is valid_labels 3 -- is top5_count 3 -- python3 -c '
import csv, json, math, os
logits = {os.path.basename(r["file"]): {c["index"]: c["logit"] for c in r["topk"]} for r in map(json.loads, open("logits"))}
got, loss, right, moved = json.load(open("out")), 0, 0, 0
for r in csv.DictReader(open("p.csv")):
    l = logits[os.path.basename(r["file"])]
    order = sorted([1, 4, 8], key=lambda c: -l[c])
    assert [int(r[f"index{k}"]) for k in (1, 2, 3)] == order and r["index4"] == "", r
    assert [float(r[f"logit{k}"]) for k in (1, 2, 3)] == [l[c] for c in order]
    right += order[0] == int(r["label"])
    moved += max(l, key=l.get) != order[0]
    loss += math.log(sum(math.exp(l[c]) for c in order)) - l[int(r["label"])]
assert got["images"] == 3 and got["top1_count"] == right and abs(got["loss"] - loss / 3) < 1e-6, (got, loss / 3)
assert moved'
cp out three.json
run tiny --imagenet all10 --json --no-timing --valid-labels three.txt --sweep 'none; tome r=2'
check '--valid-labels: --sweep, each setting' python3 -c '
import json
alone, rows = json.load(open("three.json")), json.load(open("out"))
assert len(rows) == 2 and rows[1]["valid_labels"] == 3 and rows[1]["top5_count"] == 3
assert {k: rows[0][k] for k in alone} == alone'
run tiny --imagenet real --valid-labels three.txt
check '--valid-labels: a picture of another class' all test "$code" -eq 2 -- empty -- says 'ILSVRC2012_val_00000001.JPEG' -- says 'is of class 0'
mkdir two
for folder in right/val/*/; do [ -d "$folder" ] && cp -r "$folder" two; done
(cd two && printf '%s\n' *) >wnids.txt
run vitrun eval -m "$DEMO" -q --imagenet two --json --valid-labels wnids.txt
check '--valid-labels: synsets, some of the folders of a set' all is top1 100 -- is valid_labels "$(wc -l <wnids.txt)" -- test "$(wc -l <wnids.txt)" -lt 10
run vitrun eval -m "$DEMO" -q --imagenet two --valid-labels wnids.txt
check '--valid-labels: said in the table' prints "$(wc -l <wnids.txt) of the model's 10 are valid"
printf 'n01440764\nn00000000\n' >wnids.txt
run vitrun eval -m "$DEMO" -q --imagenet two --valid-labels wnids.txt
check '--valid-labels: a class that the model does not have' all test "$code" -eq 2 -- says 'line 2' -- says n00000000
run tiny --imagenet all10 --json --valid-labels three.txt --state v
printf '1\n4\n8\n9\n' >four.txt
run tiny --imagenet all10 --json --valid-labels four.txt --state v
check '--state of other valid classes' all test "$code" -eq 2 -- empty -- says 'other settings'
run tiny --imagenet all10 --json --state v
check '--state of some valid classes is none of all' all test "$code" -eq 2 -- says 'other settings'

# Another program's answers: ours with two changed, to the second best and to the worst; in each form that is read.
cat >theirs.py <<'END'
import csv, json
rows = list(csv.DictReader(open("real.csv")))
worst = next(c for c in range(10) if str(c) not in [rows[7][f"index{k}"] for k in range(1, 6)])
answer = [r["index1"] for r in rows]
answer[3], answer[7] = rows[3]["index2"], str(worst)
base = [r["file"].split("/")[-1] for r in rows]
keep = [i for i in range(10) if i != 5] # one is missing there, another is missing here
more = ["ILSVRC2012_val_00000011.JPEG"]
with open("t1.csv", "w", newline="") as f:
    csv.writer(f).writerows([["filename", "index", "prob"]] + [[base[i], answer[i], 0.5] for i in keep] + [[more[0], 1, 0.5]])
with open("t2.csv", "w") as f:
    for i in reversed(keep): f.write(f"{base[i]},{answer[i]},{rows[i]['index5']}\n")
    f.write(more[0] + ",1,2\n")
json.dump({**{base[i]: {"index": [int(answer[i]), 9], "prob": [0.5, 0.1]} for i in keep}, more[0]: {"index": [1, 2], "prob": [1, 0]}}, open("t3.json", "w"))
json.dump({"columns": ["filename", "index"], "data": [["/elsewhere/%d/%s" % (i, base[i]), int(answer[i])] for i in keep] + [[more[0], 1]]}, open("t4.json", "w"))
with open("t5.csv", "w", newline="") as f:
    w = csv.DictWriter(f, rows[0].keys())
    w.writeheader()
    for i in keep: w.writerow({**rows[i], "index1": answer[i]})
    w.writerow({**rows[0], "file": more[0]})
with open("want.csv", "w") as f:
    f.write("file,label,ours,theirs,margin\n")
    for i in (3, 7):
        r = rows[i]
        # the logits are float32 numbers, so their difference is exact in the nine digits that are printed
        by = "%.9g" % (float(r["logit1"]) - float(r["logit2"])) if i == 3 else ""
        f.write(f"{r['file']},{r['label']},{r['index1']},{answer[i]},{by}\n")
END
python3 theirs.py
cat >compared.py <<'END'
import csv, json
got = json.load(open("out"))
assert [got[k] for k in ("compared", "differ", "missing_there", "missing_here")] == [9, 2, 1, 1], got
d, want = list(csv.reader(open("d.csv"))), list(csv.reader(open("want.csv")))
assert [r[:4] for r in d] == [r[:4] for r in want], d
assert d[2][4] == want[2][4] == "" and abs(float(d[1][4]) - float(want[1][4])) < 1e-6 # of nine digits of each logit
plain = json.load(open("real.json"))
assert {k: got[k] for k in plain} == plain
END
bad=''
for theirs in t1.csv t2.csv t3.json t4.json t5.csv; do
    run tiny --imagenet real --json --no-timing --compare $theirs --differences d.csv
    test "$code" -eq 0 && python3 compared.py 2>>err || bad="$bad $theirs"
done
check "--compare: every form, the same differences$bad" test -z "$bad"
run tiny --imagenet real --json --no-timing --compare t1.csv --differences d2.csv --shuffle 5
check '--compare: the differences are in the order of the data' cmp -s d2.csv d.csv
run tiny --imagenet real --no-timing --compare t1.csv
check '--compare: a table' all prints 'compared     9 pictures, of which 2 differ; missing there 1, missing here 1' -- \
    test "$(sed -n '/^ \* Acc/,$p' out | tail -n +4 | wc -l)" -eq 2 -- test "$(tail -1 out | awk '{ print $4 }')" = -
run tiny --imagenet real --json --no-timing --compare real.csv --differences d.csv
check '--compare with ourselves: nothing differs' all is compared 10 -- is differ 0 -- is missing_here 0 -- test "$(cat d.csv)" = file,label,ours,theirs,margin
run tiny --imagenet real --json --no-timing --state c
run tiny --imagenet real --json --no-timing --state c --compare t1.csv --real-labels lists.json
check '--state: a run that had ended is compared, and judged by ReaL' all test "$code" -eq 0 -- is differ 2 -- is real_top1 50
run tiny --imagenet real --json --merge tome --r 2 --agreement --compare t1.csv
check '--compare: the setting asked for, not the unmerged model' all test "$code" -eq 0 -- is compared 9
run tiny --imagenet real --sweep 'none; tome r=2' --compare t1.csv
check '--compare and --sweep' all test "$code" -eq 2 -- empty -- says 'not with --sweep'
run tiny --imagenet real --sweep 'none; tome r=2' --predictions sweep.csv
run tiny --imagenet real --compare sweep.csv
check '--compare with a sweep s predictions' all test "$code" -eq 2 -- empty -- says 'stands twice'
printf 'filename,index\nILSVRC2012_val_00000001.JPEG,12\n' >t6.csv
run tiny --imagenet real --compare t6.csv
check '--compare: a class that the model does not have' all test "$code" -eq 2 -- says 'index from 0 to 9'
exits '--differences without --compare' 2 eval -m "$TINY" --imagenet real --differences d.csv
exits 'differences and results to stdout' 2 eval -m "$TINY" --imagenet real --compare t1.csv --differences -
exits '--compare: no such file' 5 eval -m "$TINY" --imagenet real --compare nowhere

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
exits 'flat: the devkit s order without its map' 2 eval -m "$TINY" --imagenet flat --labels devkit.txt --labels-order devkit
check 'flat: the devkit s order without its map: says what to give' says '--devkit-map FILE'
printf '10 n02979186\n1 n03888257\n2 n01440764\n' >map.txt
run vitrun eval -m "$DEMO" -q --imagenet flat --labels devkit.txt --labels-order devkit --devkit-map map.txt --predictions p.csv
check 'flat: the devkit s order by its map' all test "$code" -eq 0 -- grep -q '00001.JPEG,9,' p.csv -- grep -q '00002.JPEG,2,' p.csv
exits '--devkit-map without the devkit s order' 2 eval -m "$DEMO" --imagenet flat --labels zero.txt --devkit-map map.txt
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
exits '--sweep: flags that no setting of the list heeds' 2 eval -m "$TINY" --imagenet index --merge mame --tau 0.9 --sweep 'mame; tome r=2'
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
