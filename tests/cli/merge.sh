#!/usr/bin/env bash
# If these fail, a merge flag is taken where it means nothing, or merging makes an answer depend on company.
. tests/support/shell.sh
ours() { vitrun bench --arch deit_tiny_patch16_224 --random -r 1 --min-seconds 0 --img-size 64 "$@"; }

run ours --merge none
check '--merge none' test "$code" -eq 0
for method in mame tome evit diffrate; do
    run ours --merge $method --json
    [ $method = diffrate ] && [ "$code" -eq 2 ] && says '--rates finds no table' && continue # its tables are for 197 tokens
    check "--merge $method" all test "$code" -eq 0 -- prints "\"merge\":\"$method"
done
run vitrun bench --arch deit_tiny_patch16_224 --random -r 1 --min-seconds 0 --merge diffrate --json
check '--merge diffrate by its table' all test "$code" -eq 0 -- prints '"tokens_left":'

run vitrun classify -m "$TINY" --json --merge mame --tau 0.6 --merge-layers 0-2 tests/pictures/china.jpg
check 'classify says the tokens after each block' all test "$code" -eq 0 -- prints '"tokens":[' -- prints '"merge":"mame_l0-2_t0.6"'
answers() { # logits by file, without what differs from run to run
    vitrun classify -m "$TINY" --json -k 10 --quiet --merge mame --tau 0.6 --merge-layers 0-2 "$@" | sed 's/,"ms":.*//' | sort
}
answers tests/pictures/china.jpg tests/pictures/flower.jpg >"$T/want"
code=0
answers -b 1 -t 1 tests/pictures/flower.jpg tests/pictures/china.jpg >"$T/out"
check 'the same answers in any order, batch and number of threads' cmp "$T/want" "$T/out"

run ours --tau 0.8
check '--tau without --merge' all test "$code" -eq 2 -- says '--tau means nothing without --merge'
run ours --merge tome --tau 0.8
check '--tau of another method' all test "$code" -eq 2 -- says '--tau means nothing to --merge tome'
run ours --merge mame --rule alg2
check 'an unknown rule' all test "$code" -eq 2 -- says 'alg1 similarity'
