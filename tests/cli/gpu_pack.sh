#!/usr/bin/env bash
# make gpu-pack and its check.sh, without a GPU: what they say where there is none, and every part that an emulator can run.
. tests/support/shell.sh
needs 'the emulated GPU' "$BUILD/cuda_host/vitrun-cuda.so"
ldd "$VITRUN" | grep -q libasan && export PACK_MIB=110 # the sanitizers' libraries
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
emulated "$HERE/check.sh" device golden-f32 invariance sanitizer speed kernels peers-latency
check 'emulated: fine' test "$code" -eq 0
check 'emulated: golden cases' row_says golden-f32 'passed (emulated)'
check 'emulated: invariance' row_says invariance 'passed (emulated)'
check 'emulated: kernels of merging' grep -q '"name":"mame, decide","value":[0-9.]*,' "$RESULTS/gpu-check.json"
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

# What becomes of figures, whose must and goal are given; and of bench's, as a program in its place prints them.
judged() { EMULATED=no bash -c '. tests/gpu/results.sh; judged "$@"' - "$@"; }
is() { test "$(judged "${@:2}")" = "$1"; }
check 'more is better' all is 'goal met' 1.25 1.0 1.25 more -- is 'must met, goal missed' 1.2 1.0 1.25 more -- is missed 0.99 1.0 1.25 more
check 'less is better' all is 'goal met' 0.4 0.7 0.40 less -- is 'must met, goal missed' 0.7 0.7 0.40 less -- is missed 1e3 0.7 0.4 less
check 'a goal alone' all is 'goal missed' 11999 '' 12000 more -- is 'not measured' '' '' 12000 more -- is '' 5 '' '' ''
cat >"$HERE/vitrun" <<'END'
#!/bin/sh
printf '%s\n' "$*" >>"$SCRATCH/asked"
case $* in
*'--kernels --format csv'*) printf '%s\n' ms,model,new,verb,kernel,launches,share,flops \
    '48,"a, ""b"", c",x,linear,matmul,48,0.9,1' '1,m,x,mame,decide,8,0.045,0' '1,m,x,mame,merge,8,0.02,0' \
    '2,"m",x,attention,fast,12,0.02,19075399680' '0.5,m,x,rest,,0,0.015,0' ;;
*'--dtype f16,bf16'*) echo 'no room for it' >&2; exit 6 ;;
*--json*) printf '%s\n' '[' '{"merge":"none","input":"photographs","dtype":"f16","batch":7,"img_per_s":12.5,"ms_p50":1,"ms_p90":2,"gmacs":3,"samples_ms":[1,2]}' ']' ;;
esac
END
cat >"$T/python" <<'END'
#!/bin/sh
[ "$1" = -c ] || printf "torch's SDPA by cudnn_attention\t1000\tus\tnote\ntorch's SDPA by math\tdid not work here\t\tnote\n" >"$4"
END
chmod +x "$T/python" && mkdir "$T/scratch"
part() { run env HERE="$HERE" ON=stub EMULATED=no DRIVER=1 LIBRARIES=/nowhere PYTHON="$T/python" SCRATCH="$T/scratch" bash "$HERE/check.sh" --inside "$1" "$T/scratch"; }
part kernels
check "merge kernels' share" all test "$code" -eq 0 -- prints '"value":6.50,"unit":"%","must":8,"goal":4,"verdict":"must met, goal missed"'
check 'each kernel has its row' all prints '"name":"mame, merge","value":1,' -- prints '2.0 % of the step, 8 launches' -- \
    prints '"name":"rest, not in any kernel","value":0.5,' -- test "$(grep -c '^{' "$T/out")" -eq 6
part attention # five quarters of torch's flops a second
check "attention beside torch's" all test "$code" -eq 0 -- prints '"value":1.250,"unit":"x","must":1.0,"goal":1.3,"verdict":"must met, goal missed"' -- \
    prints '"value":"did not work here"'
part speed
check 'what bench tells, and what it could not' all test "$code" -eq 0 -- prints '"name":"DeiT-S, f16, batch 7, merging none","value":12.5,' -- \
    prints '"verdict":"failed","note":"vitrun bench failed' -- says 'no room for it'
check 'one lane and two' grep -q -e '-b 1024 --lanes 2' "$T/scratch/asked"
sed -i 's/launches,share,/calls,share,/' "$HERE/vitrun"
part kernels
check 'a column that is not there' all test "$code" -eq 1 -- says 'no column launches'
printf '#!/bin/sh\necho no such library >&2\nexit 127\n' >"$HERE/vitrun"
bare OUT="$T/broken" "$HERE/check.sh" device golden-f32
check 'a program that does not start is a failure' all test "$code" -eq 1 -- prints 'no such library' -- prints 'needs glibc'
rm -r "$HERE/golden"
bare "$HERE/check.sh"
check 'an incomplete pack' all test "$code" -eq 2 -- says 'is not there'
