#!/usr/bin/env bash
# A GPU with too little memory, emulated: batches shrink until they fit and somebody is told, and what cannot be is an error
# that says what would.  If these fail, a crowded GPU ends the program, or answers wrongly.
. tests/support/shell.sh
PLUGIN=$BUILD/cuda_host/vitrun-cuda.so
needs 'the emulated GPU' "$PLUGIN"
export VITRUN_PLUGIN_PATH=$PLUGIN VITRUN_FAKE_CUDA_LEAKS=fatal VITRUN_FAKE_CUDA_CC=80
AVG=$GOLDEN/models/timm_avg
PICTURES='tests/pictures/rgb.png tests/pictures/grey.png tests/pictures/china.jpg tests/pictures/flower.jpg tests/pictures/tall.jpg'
FIXED=$((8 << 20)) # cuBLASLt's workspace

field() { grep -o "\"$1\":[0-9]*" "$T/out" | cut -d: -f2; }
on_gpu() { run vitrun "$@" --device cuda --dtype f32 --lanes "${LANES:-1}"; }
right() { cmp -s "$T/out" "$T/right"; }

run vitrun classify -m "$AVG" $PICTURES --merge mame --tau 0.5 --device cpu
mv "$T/out" "$T/right"
on_gpu info --json "$AVG" --max-batch 1
one=$(field activation_bytes) weights=$(field weight_bytes)
on_gpu info --json "$AVG" --max-batch 100
hundred=$(field activation_bytes)
check 'the plan grows with the batch' test "$hundred" -gt $((20 * one)) -a "$(field max_batch)" -eq 100
on_gpu info "$AVG" --max-batch 100
check 'info prints the plan' prints 'for 100 images at once'

# The weights take a little more than in their file: room for those of 20 images or so.
export VITRUN_FAKE_CUDA_MEMORY=$((FIXED + weights + weights / 2 + hundred / 5))
on_gpu info --json "$AVG"
at_once=$(field max_batch)
check 'batches shrink' all test "$code" -eq 0 -- test "$at_once" -lt 100 -- test "$at_once" -gt 1
check 'batches shrink: somebody is told' all says 'there is not enough memory: batches of' -- says "computing $at_once at a time" -- lines 1
on_gpu info --json -q "$AVG"
check 'batches shrink: quietly' quiet
on_gpu classify -m "$AVG" $PICTURES --merge mame --tau 0.5
check 'batches shrink: the same answers' all test "$code" -eq 0 -- right -- says 'computing'
on_gpu info "$AVG" --max-batch auto
check '--max-batch auto is how it is' all test "$code" -eq 0 -- says 'computing'
on_gpu info "$AVG" --max-batch 100
check '--max-batch 100 is not cut' all test "$code" -eq 6 -- says 'batches of 100 images need' -- says 'are free' -- says 'would fit'
fits=$(grep -o 'use --max-batch [0-9]*' "$T/err" | grep -o '[0-9]*$')
on_gpu classify -m "$AVG" $PICTURES --max-batch "$fits"
check "--max-batch $fits fits, as was said" all test "$code" -eq 0 -- quiet -- test "$fits" -gt 1
on_gpu info "$AVG" --max-batch $((fits + 1))
check '--max-batch: one more does not' test "$code" -eq 6
exits '--max-batch 0' 2 info "$AVG" --max-batch 0
exits '--max-batch all' 2 info "$AVG" --max-batch all

# Where two lanes do not fit there is one, of the same batch; where they do, both are in the plan.
VITRUN_FAKE_CUDA_MEMORY=$((FIXED + weights + weights / 2 + hundred)) LANES=2 on_gpu info --json "$AVG" --max-batch 100
check 'one lane fits' all test "$code" -eq 0 -- quiet -- test "$(field lanes)" -eq 1 -a "$(field activation_bytes)" -eq "$hundred"
VITRUN_FAKE_CUDA_MEMORY=$((2 * FIXED + weights + weights / 2 + 2 * hundred)) LANES=2 on_gpu info --json "$AVG" --max-batch 100
check 'two lanes fit' all test "$code" -eq 0 -- quiet -- test "$(field lanes)" -eq 2 -a "$(field activation_bytes)" -eq $((2 * hundred))

VITRUN_FAKE_CUDA_MEMORY=$((FIXED + weights + weights / 2 + 2 * one)) on_gpu classify -m "$AVG" $PICTURES --merge mame --tau 0.5
check 'an image or two at a time' all test "$code" -eq 0 -- right -- says 'at a time'
VITRUN_FAKE_CUDA_MEMORY=$((FIXED + weights + weights / 4)) on_gpu classify -m "$AVG" $PICTURES --merge mame --tau 0.5
check 'not even one image' all test "$code" -eq 6 -- says 'Not even one image fits' -- says 'are free' -- empty
unset VITRUN_FAKE_CUDA_MEMORY

# Out of memory (error 2), in two lanes, when all was planned, at any call: an error, behind no wrong answer.  While all is given back it may
# pass unseen.
try() { LANES=2 on_gpu classify -m "$AVG" $PICTURES --merge mame --tau 0.5 --max-batch 1; }
VITRUN_FAKE_CUDA_COUNT=$T/opened LANES=2 on_gpu info "$AVG" --max-batch 1
VITRUN_FAKE_CUDA_COUNT=$T/all try
opened=$(cat "$T/opened") total=$(cat "$T/all") wrong=0 refused=0
for ((n = opened; n <= total; n += (total - opened) / 16 + 1)); do
    VITRUN_FAKE_CUDA_FAIL=$n:2 try
    [ "$code" -eq 0 ] && right && continue
    [ "$code" -eq 6 ] && head -c "$(wc -c <"$T/out")" "$T/right" | cmp -s - "$T/out" && refused=$((refused + 1)) && continue
    echo "     call $n: exit status $code, $(head -1 "$T/err")"
    wrong=$((wrong + 1))
done
check 'out of memory later is an error, and answers before it are right' test "$wrong" -eq 0 -a "$refused" -gt 5
