#!/usr/bin/env bash
# If these fail, our measurements mislead.
. tests/support/shell.sh
needs 'measurements' "$TINY"
ours() { vitrun bench -m "$TINY" -r 3 --min-seconds 0 "$@"; }

run ours -b 1-4*2 -t 1,2
check 'markdown: a row for each combination' all test "$code" -eq 0 -- lines 8 -- says synthetic
run ours -b 1,3 -f csv
check 'csv: as many fields in each row' python3 -c '
import csv, sys; r = list(csv.reader(open(sys.argv[1]))); assert len(r) == 3 and len({len(x) for x in r}) == 1' "$T/out"
run ours -b 2 --json --digest
check 'json: valid' json
check 'json: its keys' python3 -c '
import json, sys
(r,) = json.load(open(sys.argv[1]))
for key in "infer_samples_per_sec infer_step_time infer_batch_size infer_img_size infer_gmacs param_count samples_ms digest".split(): assert key in r, key
assert len(r["samples_ms"]) == 3 and r["input"] == "synthetic" and r["dtype"] == "f32" and len(r["digest"]) == 16
assert abs(r["ms_mean"] - sum(r["samples_ms"]) / 3) < 1e-6 * r["ms_mean"] and r["ms_min"] == min(r["samples_ms"])' "$T/out"
run ours -b 5 -t 1,2 --digest -f csv
check 'the digest is the same for every number of threads' test "$(sed 1d "$T/out" | sed 's/.*,//' | sort -u | wc -l)" -eq 1
run ours --fp16
check '--fp16: not supported yet, and what is' all test "$code" -eq 2 -- says 'not supported yet' -- says 'bf16 or f32'
run ours --dtype f32,bf16
check 'bf16 beside f32' all test "$code" -eq 0 -- prints '| f32 |' -- prints '| bf16 |'
exits 'random weights' 0 bench --arch deit_tiny_patch16_224 --random -r 1 --min-seconds 0 --img-size 64
exits 'a missing model' 3 bench -m no-such-model
