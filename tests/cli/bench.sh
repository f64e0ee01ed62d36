#!/usr/bin/env bash
# If these fail, our measurements mislead.
. tests/support/shell.sh
needs 'measurements' "$TINY"
ours() { vitrun bench -m "$TINY" -r 3 --min-seconds 0 "$@"; }

run ours -b 1-4*2 -t 1,2
check 'markdown: a row for each combination' all test "$code" -eq 0 -- lines 8 -- says photographs -- prints '32x32 photographs'
run ours -b 1,3 -f csv
check 'csv: as many fields in each row' python3 -c '
import csv, sys; r = list(csv.DictReader(open(sys.argv[1])))
assert len(r) == 2 and all(None not in x and None not in x.values() for x in r), r
assert all(x["input"] == "photographs" and x["pictures"] == "2" for x in r), r' "$T/out"
run ours -b 2 --json --digest
check 'json: valid' json
check 'json: its keys' python3 -c '
import json, sys
(r,) = json.load(open(sys.argv[1]))
for key in "infer_samples_per_sec infer_step_time infer_batch_size infer_img_size infer_gmacs param_count samples_ms digest".split(): assert key in r, key
assert len(r["samples_ms"]) == 3 and r["input"] == "photographs" and r["pictures"] == 2 and r["dtype"] == "f32" and len(r["digest"]) == 16
assert abs(r["ms_mean"] - sum(r["samples_ms"]) / 3) < 1e-6 * r["ms_mean"] and r["ms_min"] == min(r["samples_ms"])' "$T/out"
run ours -b 5 -t 1,2 --digest -f csv
check 'the digest is the same for every number of threads' test "$(sed 1d "$T/out" | cut -d, -f23 | sort -u | wc -l)" -eq 1
check 'the digest is there' test "$(sed 1d "$T/out" | cut -d, -f23 | head -1 | wc -c)" -eq 17
run ours --fp16
check '--fp16: not supported yet, and what is' all test "$code" -eq 2 -- says 'not supported yet' -- says 'bf16, int8 or f32'
run ours --dtype f32,bf16
check 'bf16 beside f32' all test "$code" -eq 0 -- prints '| f32 |' -- prints '| bf16 |'
exits 'random weights' 0 bench --arch deit_tiny_patch16_224 --random -r 1 --min-seconds 0 --img-size 64
exits 'a missing model' 3 bench -m no-such-model

# What it runs on.
for form in md csv json; do
    run ours --synthetic -f $form
    check "$form: random pixels are named" all test "$code" -eq 0 -- prints synthetic -- says 'synthetic pixels'
    run ours --synthetic --kernels -f $form
    check "$form, --kernels: random pixels are named" all test "$code" -eq 0 -- prints synthetic
done
digest() { run ours --digest --json "$@" && sed -n 's/.*"digest":"\([0-9a-f]*\)".*/\1/p' "$T/out"; }
a=$(digest --synthetic) b=$(digest) c=$(digest tests/pictures/china.jpg) d=$(digest tests/pictures/rgb.png)
check 'what it runs on is what was named' all test "$b" = "$c" -- test "$a" != "$b" -- test "$c" != "$d" -- test -n "$a"
run ours tests/pictures/rgb.png "$T" tests/pictures/grey.png --json
check 'an empty folder beside pictures' all test "$code" -eq 0 -- prints '"pictures":2'
echo 'no picture' >"$T/bad.jpg"
run ours "$T/bad.jpg" tests/pictures/rgb.png --json
check 'a broken picture is left out and named' all test "$code" -eq 0 -- says 'left out' -- says bad.jpg -- prints '"pictures":1'
run ours "$T/bad.jpg"
check 'nothing but a broken picture' all test "$code" -eq 4 -- says 'none of the 1 pictures' -- empty
mkdir -p "$T/alone/bin"
cp "$VITRUN" "$T/alone/bin/"
alone() { VITRUN_DATA=$ROOT/configs "$T/alone/bin/vitrun" bench -q -m "$TINY" -r 1 --min-seconds 0 "$@"; }
if [ -e /usr/local/share/vitrun/pictures ]; then
    skip 'no photographs' 'vitrun is installed on this machine'
else
    run alone
    check 'no photographs: says where they were looked for, and --synthetic' \
        all test "$code" -eq 4 -- says '--synthetic' -- says share/vitrun/pictures -- empty
fi
run alone --synthetic
check 'no photographs: random pixels by choice' test "$code" -eq 0
mkdir -p "$T/alone/share/vitrun/pictures"
cp tests/pictures/china.jpg tests/pictures/flower.jpg "$T/alone/share/vitrun/pictures"
run alone --json
check 'photographs of an installed vitrun' all test "$code" -eq 0 -- prints '"pictures":2'
exits 'random pixels and a picture' 2 bench -m "$TINY" --synthetic tests/pictures/rgb.png
exits 'random pixels from files' 2 bench -m "$TINY" --synthetic --end-to-end tests/pictures
exits 'two measurements at once' 2 bench -m "$TINY" --kernels --end-to-end tests/pictures

# Inside a step.
run ours -b 3 --kernels --merge mame --merge-layers 0-3 --tau 0.5
check '--kernels: verbs, and the peak' all test "$code" -eq 0 -- prints '| linear |' -- prints '| mame |' -- prints 'of the peak' -- prints 'GFLOP/s'
run ours -b 3 --kernels --merge mame --merge-layers 0-3 --tau 0.5 --json
check '--kernels: times, bytes and flops agree' python3 -c '
import json, sys
(r,) = json.load(open(sys.argv[1]))
k = {x["verb"]: x for x in r["kernels"]}
assert r["steps"] == 3 and r["peak_flops_per_s"] > 1e8 and k["attention"]["launches"] == 4 and k["mame"]["launches"] == 3, r
assert abs(sum(x["ms"] for x in r["kernels"]) + r["rest_ms"] - r["step_ms"]) < 1e-6 * r["step_ms"]
assert all(abs(x["flops"] - 1e-3 * x["ms"] * x["flops_per_s"]) <= 1e-6 * x["flops"] and x["bytes"] > 0 for x in r["kernels"])' "$T/out"
run ours -b 1,3 --kernels -f csv
check '--kernels: csv' python3 -c '
import csv, sys; r = list(csv.DictReader(open(sys.argv[1])))
assert {x["batch"] for x in r} == {"1", "3"} and all(None not in x and None not in x.values() for x in r), r
assert {x["verb"] for x in r} >= {"linear", "attention", "layernorm", "rest"}' "$T/out"

# From files to answers.
run ours --end-to-end tests/pictures -b 4
check '--end-to-end: stages and the limit' all test "$code" -eq 0 -- prints '| decode |' -- prints '| compute |' -- prints 'The limit is'
run ours --end-to-end tests/pictures --json
check '--end-to-end: json' python3 -c '
import json, sys
(r,) = json.load(open(sys.argv[1]))
assert r["pictures"] > 20 and r["failed"] == 0 and r["img_per_s"] > 0 and r["limit"] in ("decode", "resize", "compute"), r
assert [s["stage"] for s in r["stages"]] == ["decode", "resize", "compute"]
assert all(s["img_per_s_alone"] > 0 and s["busy_s"] > 0 and 0 <= s["waited_share"] <= 1 for s in r["stages"]), r' "$T/out"
run ours --end-to-end tests/pictures -f csv
check '--end-to-end: csv' python3 -c '
import csv, sys; r = list(csv.DictReader(open(sys.argv[1])))
assert [x["stage"] for x in r] == ["decode", "resize", "compute", "whole"] and all(None not in x.values() for x in r), r' "$T/out"
mkdir -p "$T/some" && cp "$T/bad.jpg" tests/pictures/rgb.png "$T/some/"
run ours --end-to-end "$T/some"
check '--end-to-end: a broken picture is counted and named' all test "$code" -eq 0 -- says bad.jpg -- says '1 of 2 pictures'
exits '--end-to-end: a folder without pictures' 4 bench -m "$TINY" --end-to-end configs
for i in {1..2000}; do echo "$ROOT/tests/pictures/china.jpg"; done >"$T/many"
for signal in INT TERM; do
    timeout --foreground --preserve-status -s $signal 2 "$VITRUN" bench -q -m "$TINY" -t 1 --end-to-end "@$T/many" --json >"$T/out" 2>"$T/err" </dev/null
    code=$?
    check "--end-to-end: SIG$signal ends it" all test "$code" -eq "$([ $signal = INT ] && echo 130 || echo 143)" -- empty
done
