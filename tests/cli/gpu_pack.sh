#!/usr/bin/env bash
# make gpu-pack and its check.sh, without a GPU: what they say where there is none, and every part that an emulator can run.
. tests/support/shell.sh
needs 'the emulated GPU' "$BUILD/cuda_host/vitrun-cuda.so"
ldd "$VITRUN" | grep -q libasan && export PACK_MIB=100 # the sanitizers' libraries
pack() { run env BUILD="$BUILD" PLUGIN= PICTURES="${PICTURES:-}" bash tests/gpu/pack.sh "$1"; }

pack "$T/made"
check 'a pack without a plugin says so' all test "$code" -eq 0 -- says 'no GPU plugin' -- prints '200 pictures'
check '200 pictures' test "$(ls "$T/made/pictures" | wc -l)" -eq 200
check 'the libraries are there' test -e "$T/made/lib/libjpeg.so.62" -o -n "$(ls "$T/made/lib" | grep libjpeg)"
check 'not the C library' test -z "$(ls "$T/made/lib" | grep -E '^(libc|libm|ld-linux)[.-]')"
mkdir "$T/again" && "$BUILD/cutouts" "$T/again" 200 tests/pictures/china.jpg tests/pictures/flower.jpg
check 'always the same pictures' diff -r "$T/again" "$T/made/pictures"
mkdir "$T/mine" "$T/large" && touch "$T/mine/file"
truncate -s 110M "$T/large/huge.jpg"
pack "$T/mine"
check 'a folder that is no pack stays as it is' all test "$code" -eq 2 -- says 'is no pack' -- test -e "$T/mine/file"
PICTURES=$T/large pack "$T/large-pack"
check 'too large: refused, with sizes' all test "$code" -eq 1 -- says 'too large' -- says "of ${PACK_MIB:-62}.0 MiB" -- says pictures
rm -rf "$T/large" "$T/large-pack"

# Elsewhere, with nothing of this environment but the switches of the emulator.
mv "$T/made" "$T/moved here"
HERE="$T/moved here" RESULTS=$T/moved\ here/results
bare() { run env -i PATH=/usr/bin:/bin HOME=/nowhere ${ASAN_OPTIONS:+ASAN_OPTIONS="$ASAN_OPTIONS"} "$@"; }
valid() { python3 -m json.tool "$1" >/dev/null; }
verdicts() { grep -o '"verdict":"[^"]*"' "$RESULTS/gpu-check.json" | sort -u | cut -d'"' -f4 | paste -sd,; }
row_says() { grep -F "\"part\":\"$1\"" "$RESULTS/gpu-check.json" | grep -qF "\"verdict\":\"$2"; }

bare "$HERE/check.sh"
check 'no GPU: said so, and fine' all test "$code" -eq 0 -- prints 'nothing can be run here' -- prints 'no GPU plugin'
check 'no GPU: all is skipped' test "$(verdicts)" = skipped
check 'no GPU: every figure of the list is there' test \
    "$(grep -c '^{"part":' "$RESULTS/gpu-check.json")" -eq $(($(grep -vc '^#' tests/gpu/figures.txt) + 3))
check 'no GPU: JSON' valid "$RESULTS/gpu-check.json"
check 'no GPU: the table says why' grep -q 'Nothing could be run: This build has no GPU plugin' "$RESULTS/gpu-check.md"
bare "$HERE/check.sh" nonsense
check 'no such part' all test "$code" -eq 2 -- says 'there is no part nonsense'

find "$HERE/golden/models" -mindepth 1 -maxdepth 1 ! -name timm_cls ! -name timm_avg -exec rm -r {} +
find "$HERE/golden/reduced" -type f ! -name 'cls_tome_r4*' -delete
emulated() { bare CHECK_PLUGIN="$BUILD/cuda_host/vitrun-cuda.so" VITRUN_FAKE_CUDA_CC=80 "$@"; }
emulated "$HERE/check.sh" device golden-f32 invariance sanitizer speed peers-latency
check 'emulated: fine' test "$code" -eq 0
check 'emulated: golden cases' row_says golden-f32 'passed (emulated)'
check 'emulated: invariance' row_says invariance 'passed (emulated)'
check 'emulated: no figure is judged' test "$(verdicts)" = 'emulated,passed (emulated),skipped'
check 'emulated: no row names a GPU' test "$(grep -o '"on":"[^"]*"' "$RESULTS/gpu-check.json" | sort -u | paste -sd' ')" = \
    '"on":"no GPU: emulated on a CPU" "on":"none"'
check 'emulated: JSON' valid "$RESULTS/gpu-check.json"
check 'emulated: the table says so' grep -q 'An emulator stood in for the GPU' "$RESULTS/gpu-check.md"
emulated LIMIT=1 "$HERE/check.sh" golden-bf16
check 'a part that takes too long is stopped, and failed' all test "$code" -eq 1 -- row_says golden-bf16 failed -- prints 'stopped after 1 s'
check 'results are added to' row_says golden-f32 'passed (emulated)'
bare "$HERE/check.sh" device
check 'results of another device are not mixed in' all test "$code" -eq 2 -- says 'another device or commit'
bare CHECK_PLUGIN="$BUILD/cuda_host/vitrun-cuda.so" VITRUN_FAKE_CUDA_CC=75 OUT="$T/old" "$HERE/check.sh" device
check 'a GPU that is too old: said so, skipped' all test "$code" -eq 0 -- prints 'sm_75; sm_80 or newer' -- prints skipped
cp "$HERE/golden/models/timm_avg/config.json" "$HERE/golden/models/timm_cls/config.json"
emulated OUT="$T/out folder" "$HERE/check.sh" golden-f32
check 'a wrong answer fails' all test "$code" -eq 1 -- grep -q 'FAIL models/timm_cls' "$T/out folder/gpu-check.md"

# What becomes of figures, whose must and goal are given; and of bench --kernels, as a program in its place prints it.
judged() { EMULATED=no bash -c '. tests/gpu/results.sh; judged "$@"' - "$@"; }
is() { test "$(judged "${@:2}")" = "$1"; }
check 'more is better' all is 'goal met' 1.25 1.0 1.25 more -- is 'must met, goal missed' 1.2 1.0 1.25 more -- is missed 0.99 1.0 1.25 more
check 'less is better' all is 'goal met' 0.4 0.7 0.40 less -- is 'must met, goal missed' 0.7 0.7 0.40 less -- is missed 1e3 0.7 0.4 less
check 'a goal alone' all is 'goal missed' 11999 '' 12000 more -- is 'not measured' '' '' 12000 more -- is '' 5 '' '' ''
cat >"$HERE/vitrun" <<'END'
#!/bin/sh
case $* in
*--help*) echo --kernels --synthetic ;;
*) printf '%s\n' verb,kernel,launches,ms,share,bytes,bytes_per_s,flops,flops_per_s '"a, b",linear,,48,9,0.9,1,1,1,1' '"a, b",mame,decide,8,1,0.045,1,1,0,0' '"a, b",mare,,1,1,0.02,1,1,0,0' ;;
esac
END
mkdir "$T/scratch"
run env HERE="$HERE" ON=stub EMULATED=no DRIVER=1 LIBRARIES=/nowhere bash "$HERE/check.sh" --inside kernels "$T/scratch"
check "merge kernels' share" all test "$code" -eq 0 -- prints '"value":6.50,"unit":"%","must":8,"goal":4,"verdict":"must met, goal missed"'
printf '#!/bin/sh\necho no such library >&2\nexit 127\n' >"$HERE/vitrun"
bare OUT="$T/broken" "$HERE/check.sh" device golden-f32
check 'a program that does not start is a failure' all test "$code" -eq 1 -- prints 'no such library' -- prints 'needs glibc'
rm -r "$HERE/golden"
bare "$HERE/check.sh"
check 'an incomplete pack' all test "$code" -eq 2 -- says 'is not there'
