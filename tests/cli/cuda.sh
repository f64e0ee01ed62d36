#!/usr/bin/env bash
# --device cuda, on the emulated GPU of tests/cuda_host: the same answers as the CPU, the same kinds of faults, and every call
# of the CUDA runtime made to fail (every EVERYth of them, 1 for all, in COMMANDS).
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

# A kernel that faults: work is queued long before it runs, so that only a wait after each launch tells which one it was.
gone_wrong() { # KERNEL ARGUMENTS...
    local kernel=$1
    shift
    export VITRUN_FAKE_CUDA_FAULT=$kernel VITRUN_FAKE_CUDA_STREAMS=late VITRUN_FAKE_CUDA_LEAKS=quiet
    VITRUN_SYNC=1 run vitrun classify tests/pictures/rgb.png -k 1 --device cuda "$@"
    check "VITRUN_SYNC=1: $kernel is named" all test "$code" -eq 7 -- says "CUDA: the kernel $kernel failed: an illegal memory access"
    run vitrun classify tests/pictures/rgb.png -k 1 --device cuda "$@"
    check "without it, $kernel: a device fault, and the last kernel" all test "$code" -eq 7 -- says 'an illegal memory access' -- \
        says 'the last kernel before was '
    unset VITRUN_FAKE_CUDA_FAULT VITRUN_FAKE_CUDA_STREAMS
    export VITRUN_FAKE_CUDA_LEAKS=fatal
}
for kernel in convert unfold place norm fast_kernel gelu decide_kernel settle_kernel merge_kernel pool; do
    gone_wrong $kernel -m "$AVG" --merge mame --tau 0.5
done
for kernel in nearest_kernel tome_kernel follow_kernel gather; do gone_wrong $kernel -m "$CLS" --merge tome --r 3; done
gone_wrong class_scores_kernel -m "$CLS" --merge evit --merge-layers 1,2
gone_wrong partition_kernel -m "$AVG" --merge mame --tau 0.5 --partition random

# Every call of the runtime fails once, in each command.  A failure while all is being given back may pass unseen, with the
# right answer; any other is told in one sentence, and nothing is left alive on the device, nor a file without its end.
mkdir -p "$T/set/0" "$T/set/1" "$T/made"
cp tests/pictures/rgb.png "$T/set/0/a.png"
cp tests/pictures/grey.png "$T/set/0/b.png"
cp tests/pictures/rgb.png "$T/set/1/c.png"
seq 0 9 >"$T/classes"
gpu() { run vitrun "$@" -b 1 --merge mame --tau 0.5 --device cuda; }
made() { cat "$T/out" "$T"/made/* 2>/dev/null; } # what a command wrote

try_classify() { gpu classify -m "$AVG" tests/pictures/rgb.png -k 1; }
try_embed() { gpu embed -m "$AVG" tests/pictures/rgb.png tests/pictures/grey.png -f npy -o "$T/made/e.npy"; }
try_bench() { gpu bench -m "$CLS" -r 1 --min-seconds 0 --digest -f csv -o "$T/made/bench.csv"; }
try_eval() {
    gpu eval -q --no-progress --no-timing -m "$CLS" --imagenet "$T/set" --class-map "$T/classes" --state "$T/state" \
        --predictions "$T/made/p.csv"
}
digest() { sed -i 's/.*,//' "$T/made/bench.csv" 2>/dev/null; } # all else are times

# After a failure nothing was made, and an evaluation goes on from its state to the right result.
mended() { # COMMAND
    [ -z "$(ls -A "$T/made")" ] || return 1
    [ "$1" = eval ] || return 0
    try_eval
    [ "$code" -eq 0 ] && made | cmp -s - "$T/right"
}
bad=
fails_at() { # COMMAND CALL
    rm -rf "$T/made" "$T/state"
    mkdir "$T/made"
    VITRUN_FAKE_CUDA_FAIL=$2 try_"$1"
    bad="exit status $code, $(head -1 "$T/err")"
    case $code in
    6 | 7) grep -q '^vitrun: .*\.$' "$T/err" && [ "$(grep -c '^vitrun: .*[a-z]' "$T/err")" -le "$notes" ] && mended "$1" ;;
    0) digest; made | cmp -s - "$T/right" ;;
    *) false ;;
    esac
}
for command in ${COMMANDS:-classify embed bench eval}; do
    rm -rf "$T/made" "$T/state"
    mkdir "$T/made"
    VITRUN_FAKE_CUDA_COUNT=$T/count try_$command
    digest
    made >"$T/right"
    notes=$(($(wc -l <"$T/err") + 1)) # what it says of itself, and the sentence
    total=$(cat "$T/count") wrong=0
    for ((n = 1 + RANDOM % ${EVERY:=97}; n <= total; n += EVERY)); do
        fails_at $command $n && continue
        echo "     $command, call $n: $bad"
        wrong=$((wrong + 1))
    done
    check "$command: each of $total calls fails, every ${EVERY}th tried" all test "$wrong" -eq 0 -- test "$total" -gt 300 -- \
        test -s "$T/right"
    check "$command: a fault after which no call works" fails_at $command $((total * 3 / 4)):719
done
