#!/usr/bin/env bash
# exit.sh TEST_BED: what the fake runtime takes from the environment, and what it says when the program ends.
set -u
bed=$1 failed=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
expect() { # expect WHAT GOT WANT
    [ "$2" = "$3" ] || { echo "exit.sh: $1: \"$2\", not \"$3\""; failed=1; }
}

said=$(VITRUN_FAKE_CUDA_LEAKS=fatal VITRUN_FAKE_CUDA_COUNT=$dir/count VITRUN_FAKE_CUDA_LOG=$dir/log "$bed" --leak 2>&1)
expect "exit code with something alive" $? 97
expect "what is alive" "$said" "fake CUDA: alive at exit: 1 device allocations of 64 bytes"
expect "calls" "$(cat "$dir/count")" 4
said=$("$bed" --leak 2>&1)
expect "exit code where leaks are not fatal" $? 0
expect "what is alive, again" "$said" "fake CUDA: alive at exit: 1 device allocations of 64 bytes"
said=$(VITRUN_FAKE_CUDA_LEAKS=quiet "$bed" --leak 2>&1)
expect "quiet" "$said" ""
said=$(VITRUN_FAKE_CUDA_LEAKS=quiet VITRUN_FAKE_CUDA_FAIL=2 "$bed" --leak 2>&1)
expect "the second call fails" $? 1
said=$(VITRUN_FAKE_CUDA_LEAKS=quiet VITRUN_FAKE_CUDA_FAIL=4:719 "$bed" --leak 2>&1)
expect "the fourth call fails, with a code" $? 1
said=$(VITRUN_FAKE_CUDA_LEAKS=quiet VITRUN_FAKE_CUDA_FAIL=5 "$bed" --leak 2>&1)
expect "there is no fifth call" $? 0
VITRUN_FAKE_CUDA_LOG=$dir/log "$bed" cublaslt/refusals >/dev/null 2>&1
expect "a product in the log" "$(grep -m1 -o 'matmul m 64 n 64 k 64 epilogue 1' "$dir/log")" "matmul m 64 n 64 k 64 epilogue 1"
VITRUN_FAKE_CUDA_LOG=$dir/log "$bed" "runtime/a stream is late" >/dev/null 2>&1
expect "a launch in the log" "$(grep -m1 -o 'launch add grid 1,1,1 block 1,1,1 smem 0 stream 1 bytes 4 4' "$dir/log")" \
    "launch add grid 1,1,1 block 1,1,1 smem 0 stream 1 bytes 4 4"
[ $failed -eq 0 ] && echo "exit.sh: ok"
exit $failed
