#!/usr/bin/env bash
# If these fail, a merge flag is taken where it means nothing, or merging is promised before the engine does it.
. tests/support/shell.sh
ours() { vitrun bench --arch deit_tiny_patch16_224 --random -r 1 --min-seconds 0 --img-size 64 "$@"; }

run ours --merge none
check '--merge none' test "$code" -eq 0
run ours --merge mame
check '--merge mame: not supported yet' all test "$code" -eq 2 -- says '--merge mame is not supported yet'
run vitrun classify --merge tome no-such-picture.jpg
check 'classify: not supported yet' all test "$code" -eq 2 -- says '--merge tome is not supported yet'
run ours --tau 0.8
check '--tau without --merge' all test "$code" -eq 2 -- says '--tau means nothing without --merge'
run ours --merge tome --tau 0.8
check '--tau of another method' all test "$code" -eq 2 -- says '--tau means nothing to --merge tome'
run ours --merge mame --rule alg2
check 'an unknown rule' all test "$code" -eq 2 -- says 'alg1 similarity'
