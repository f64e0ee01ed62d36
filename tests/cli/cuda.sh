#!/usr/bin/env bash
# --device cuda, on the emulated GPU of tests/cuda_host: the same answers as the CPU, the same kinds of faults, and every call
# of the CUDA runtime made to fail (every EVERYth of them; EVERY=1 for all).
. tests/support/shell.sh
PLUGIN=$BUILD/cuda_host/vitrun-cuda.so
needs 'the emulated GPU' "$PLUGIN"
export VITRUN_PLUGIN_PATH=$PLUGIN VITRUN_FAKE_CUDA_LEAKS=fatal VITRUN_FAKE_CUDA_CC=80
AVG=$GOLDEN/models/timm_avg
CLS=$GOLDEN/models/timm_cls
PICTURES='tests/pictures/rgb.png tests/pictures/grey.png'

same_as_cpu() { # NAME ARGUMENTS...
    local name=$1
    shift
    run vitrun "$@" --device cpu
    mv "$T/out" "$T/cpu"
    run vitrun "$@" --device cuda --dtype f32
    check "$name: as on the CPU" all test "$code" -eq 0 -- cmp -s "$T/out" "$T/cpu" -- test -s "$T/out"
}
for merge in none 'mame --tau 0.5' 'mame --tau 0.5 --restore 2'; do
    same_as_cpu "classify --merge $merge" classify -m "$AVG" $PICTURES --merge $merge
done
for merge in 'tome --r 3' 'evit --merge-layers 1,2'; do same_as_cpu "classify --merge $merge" classify -m "$CLS" $PICTURES --merge $merge; done
same_as_cpu 'tokens' tokens -m "$AVG" tests/pictures/rgb.png --merge mame --tau 0.5 --json
export VITRUN_FAKE_CUDA_STREAMS=late
same_as_cpu 'work done as late as CUDA allows' classify -m "$AVG" $PICTURES -b 1 --merge mame --tau 0.5

# Two lanes: which of them computes a picture is chance, and shows nowhere.
MANY="$PICTURES tests/pictures/china.jpg tests/pictures/flower.jpg tests/pictures/tall.jpg tests/pictures/wide.jpg tests/pictures/cmyk.jpg"
for streams in late now; do
    export VITRUN_FAKE_CUDA_STREAMS=$streams
    for merge in none 'mame --tau 0.5' 'mame --tau 0.5 --restore 2'; do
        same_as_cpu "two lanes, $streams, --merge $merge" classify -m "$AVG" $MANY --max-batch 1 --merge $merge
    done
    same_as_cpu "two lanes, $streams, --merge tome" classify -m "$CLS" $MANY --max-batch 2 --merge tome --r 3
done
run vitrun info --json "$AVG" --device cuda
check 'two lanes is how it is' prints '"lanes":2'
unset VITRUN_FAKE_CUDA_STREAMS

exits 'info' 0 info "$CLS" --device cuda
check 'info: what it runs on' prints 'cuda, f16, sm_80'
exits 'auto' 0 info "$CLS" --device auto
check 'auto takes the GPU' prints 'cuda, f16'
exits 'devices' 0 devices
check 'devices: the GPU' prints 'cuda:0   Emulated GPU 0, sm_80'
exits 'devices --json' 0 devices --json
check 'devices --json is valid' json

VITRUN_FAKE_CUDA_CC=75 exits 'an old GPU' 7 info "$CLS" --device cuda
check 'an old GPU: what is wanted' says 'is of architecture sm_75; sm_80 or newer is wanted'
VITRUN_FAKE_CUDA_CC=75 exits 'an old GPU, auto' 0 info "$CLS" --device auto
check 'an old GPU, auto: the CPU, and why' all says 'using the CPU' -- says sm_75 -- prints 'cpu, f32'
VITRUN_FAKE_CUDA_FAIL=1:35 exits 'an old driver' 7 info "$CLS" --device cuda
check 'an old driver: said so' says 'The NVIDIA driver is too old'
exits 'no such GPU' 7 info "$CLS" --device cuda:3
check 'no such GPU: how many there are' says 'this machine has 1'
VITRUN_FAKE_CUDA_MEMORY=8500000 exits 'too little memory for the weights' 6 info "$CLS" --device cuda
check 'too little memory for the weights: how much was asked' says 'The GPU refused'
VITRUN_PLUGIN_PATH=$BUILD/cuda_host/libfakecuda.so exits 'no plugin' 7 info "$CLS" --device cuda
check 'no plugin: said so' says 'is no plugin of vitrun'

# Every call of the runtime fails once.  A failure while all is being given back may pass unseen, with the right answer.
try() { run vitrun classify -m "$AVG" tests/pictures/rgb.png -k 1 -b 1 --merge mame --tau 0.5 --device cuda; }
VITRUN_FAKE_CUDA_COUNT=$T/count try
cp "$T/out" "$T/right"
total=$(cat "$T/count") wrong=0
for ((n = 1 + RANDOM % ${EVERY:=41}; n <= total; n += EVERY)); do
    VITRUN_FAKE_CUDA_FAIL=$n try
    case $code in
    6 | 7) grep -q '^vitrun: .*\.$' "$T/err" && [ "$(wc -l <"$T/err")" -eq 1 ] && continue ;;
    0) cmp -s "$T/out" "$T/right" && continue ;;
    esac
    echo "     call $n: exit status $code, $(head -1 "$T/err")"
    wrong=$((wrong + 1))
done
check "each of $total calls fails, every ${EVERY}th tried" all test "$wrong" -eq 0 -- test "$total" -gt 300
