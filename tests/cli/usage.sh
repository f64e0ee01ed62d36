#!/usr/bin/env bash
# If these fail, people who mistype are left alone, or scripts cannot tell what went wrong.
. tests/support/shell.sh

exits 'no command' 2
check 'no command: short help on stderr, nothing on stdout' all empty -- says Usage
exits 'help' 0 help
check 'help: on stdout, silent on stderr' all quiet -- prints classify -- prints 'Exit codes'
exits '--help' 0 --help
exits '-h' 0 -h
exits 'version' 0 version
check 'version: one line' all quiet -- lines 1 -- grep -qE '^vitrun [0-9]+\.[0-9]+\.[0-9]+$' "$T/out"
exits '--version' 0 --version

for command in classify eval embed tokens bench info forward pixels devices completion help version; do
    run vitrun help "$command"
    cp "$T/out" "$T/help"
    check "help $command" all test "$code" -eq 0 -- quiet -- prints "Usage: vitrun $command" -- prints Examples
    run vitrun "$command" --help
    check "$command --help says the same" all test "$code" -eq 0 -- cmp -s "$T/out" "$T/help"
    run vitrun "$command" -h
    check "$command -h says the same" all test "$code" -eq 0 -- cmp -s "$T/out" "$T/help"
    exits "$command: unknown flag" 2 "$command" --no-such-flag
    check "$command: unknown flag is named" all empty -- says --no-such-flag
done

exits 'unknown command' 2 clasify photo.jpg
check 'unknown command: the nearest is suggested, not run' all empty -- says "'classify'"
exits 'help of an unknown command' 2 help clasify
exits 'a file in place of a command' 2 Makefile
check 'a file in place of a command: says classify' says 'vitrun classify'
exits 'a flag before the command' 2 -q classify x
exits 'misspelt flag' 2 classify --topj 3 x.jpg
check 'misspelt flag: the nearest is suggested' says 'did you mean --topk'
exits 'abbreviated flag' 2 classify --top 3 x.jpg
exits 'a flag of another command' 2 classify --blocks x.jpg
check 'a flag of another command: whose it is' says forward
exits 'unknown letter' 2 classify -Z x.jpg

exits 'classify without pictures' 2 classify
check 'classify without pictures: two examples' test "$(grep -c '^  vitrun classify' "$T/err")" -eq 2
exits 'pixels without pictures' 2 pixels
exits 'completion without a shell' 2 completion
exits 'forward without files' 2 forward
exits 'too many arguments' 2 devices photo.jpg
exits 'a model twice' 2 info -m a b

for value in 0 -1 5x ' 5' 1e3 0x10 99999999999999999999 ''; do
    exits "-k '$value'" 2 classify -k "$value" x.jpg
    exits "--topk='$value'" 2 classify --topk="$value" x.jpg
    exits "--threads '$value'" 2 classify --threads="$value" -m x x.jpg
done
for value in 1T K 16MB -5 18446744073709551615G; do exits "--max-pixels=$value" 2 classify --max-pixels="$value" x.jpg; done
for value in 0 3,0 8-4 1- -4 1-8+0 1-8*1 1,,2 1-100000 x; do
    exits "--batch=$value" 2 bench --arch deit_tiny_patch16_224 --random --batch="$value"
done
for value in x 0 224x 224x0 99999 -5 224X224; do exits "--img-size=$value" 2 classify -m x --img-size="$value" x.jpg; done
for value in inf nan -1 1s; do exits "--min-seconds=$value" 2 bench --arch x --random --min-seconds="$value"; done
exits 'a value is missing at the end' 2 classify x.jpg --topk
exits 'a value is missing before another flag' 2 classify --model --json x.jpg
exits 'a switch with a value' 2 classify --json=yes x.jpg
exits 'unknown word' 2 classify --format xml x.jpg
check 'unknown word: the known ones' says timm-csv
exits 'a word of another command' 2 classify --format md x.jpg
exits '--exif maybe' 2 classify --exif maybe x.jpg
exits '--json and --format csv' 2 classify --json --format csv x.jpg
exits '--random without --arch' 2 classify --random x.jpg
exits '--random and --model' 2 classify --random --arch x -m y x.jpg
exits '--arch alone' 2 classify --arch deit_tiny_patch16_224 Makefile
exits 'unknown dtype' 2 classify -m x --dtype int3 Makefile

VITRUN_THREADS=many exits 'VITRUN_THREADS=many' 2 classify -m x Makefile
VITRUN_DEVICE=abacus exits 'VITRUN_DEVICE=abacus' 2 classify -m x Makefile
check 'VITRUN_DEVICE=abacus: the variable is named' says VITRUN_DEVICE
VITRUN_DEVICE=abacus exits 'a flag goes before its variable' 3 classify --device cpu -m no-such-model Makefile
VITRUN_MODEL=no-such-model exits 'VITRUN_MODEL names the model' 3 classify Makefile
check 'VITRUN_MODEL: the model is named' says no-such-model
exits 'a missing model' 3 info no-such-model
exits 'an unknown architecture' 2 info --arch no_such_arch --random
VITRUN_PLUGIN_PATH=/nowhere exits 'cuda' 7 info --arch deit_tiny_patch16_224 --random --device cuda
check 'cuda: why not' says 'there is no vitrun-cuda.so'
for device in cuda: cuda:x cuda:123 cuda1; do exits "--device $device" 2 info "$TINY" --device $device; done
VITRUN_PLUGIN_PATH=/nowhere exits '--device cuda:12' 7 info "$TINY" --device cuda:12
exits 'unknown device' 2 info --arch deit_tiny_patch16_224 --random --device abacus
check 'unknown device: which there are' says 'one of: auto cpu cuda cuda:'
run make --no-print-directory help
check 'make help: targets, whatever is built' all test "$code" -eq 0 -- prints '  demo ' -- test "$(grep -c Makefile "$T/out")" -eq 0
