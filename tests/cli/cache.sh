#!/usr/bin/env bash
# If these fail, an evaluation from cached crops gives other numbers than one from the pictures, or a cache that is cut, changed
# or meant for another model passes.
. tests/support/shell.sh
needs 'caches' "$TINY"

pictures=$ROOT/tests/pictures
cd "$T" || exit 1
tiny() { vitrun eval -m "$TINY" -q --no-progress --json --no-timing "$@"; }
cache() { vitrun cache -m "$TINY" -q "$@"; }
nameless() { sed "s#\"dataset\":\"$1\"##; s#$1/#DATA/#g" "$2"; } # results without the name of their source

for i in 0 1 2 3 4 5 6 7 8 9; do mkdir -p "set/val/$i/deep"; done
n=0
for name in china.jpg flower.jpg grey.jpg rgb.png tall.jpg wide.jpg la.png lossy.webp exif-6.jpg progressive.jpg; do
    for copy in 1 2 10; do
        cp "$pictures/$name" "set/val/$((n % 10))/$copy-$name"
        n=$((n + 3))
    done
done
cp "$pictures/cmyk.jpg" set/val/4/deep
cp "$pictures/cmyk.jpg" set/val/stray.jpg
echo 'no picture' >set/val/3/bad.jpg
: >set/val/5/empty.png

exits 'a set of pictures, two without a crop' 1 cache -m "$TINY" set -o one.vrc
check 'the others are named, and how many there are' all empty -- says '3/bad.jpg: this is no picture' -- says '5/empty.png: is empty' -- \
    says 'holds 34 pictures' -- says '2 of them without'
run cache set -o two.vrc -t 1
mv set moved
run cache moved/val -o three.vrc -t 3
mv moved set
check 'the same pictures give the same bytes' all cmp -s one.vrc two.vrc -- cmp -s one.vrc three.vrc

for flags in '' '--shuffle 3 --limit 9' '--merge tome --r 2 --agreement -b 4' '--sweep none;mame'; do
    # shellcheck disable=SC2086
    run tiny --imagenet set $flags --predictions p1.csv
    cp out e1 && cp err s1 && first=$code
    # shellcheck disable=SC2086
    run tiny --imagenet one.vrc $flags --predictions p2.csv
    check "eval ${flags:-without flags}: byte for byte as from the folder" all test "$code" -eq "$first" -- test -s e1 -- \
        cmp -s <(nameless set e1) <(nameless one.vrc out) -- \
        cmp -s <(sed 's#set/val/#DATA/#g' p1.csv) <(sed 's#one.vrc/#DATA/#g' p2.csv) -- \
        cmp -s <(sed 's#set/val/#DATA/#g' s1) <(sed 's#one.vrc/#DATA/#g' err)
done
check 'eval says which pictures have no crop' says 'one.vrc/3/bad.jpg: this is no picture'

cp -r set/val/4/deep flat
cp "$pictures/china.jpg" flat/c.jpg
cache flat -o flat.vrc
printf 'cmyk.jpg 3\nc.jpg 0\n' >labels.txt
run tiny --imagenet flat --labels labels.txt
cp out e1
run tiny --imagenet flat.vrc --labels labels.txt
check 'a flat folder: --labels goes with its cache' all test "$code" -eq 0 -- cmp -s <(nameless flat e1) <(nameless flat.vrc out)
exits 'a flat folder without --labels' 2 eval -m "$TINY" -q --imagenet flat.vrc

run tiny --imagenet one.vrc --state s --limit 9
run tiny --imagenet one.vrc --state s --limit 9
check '--state: goes on' test "$code" -eq 0
cp set/val/0/1-china.jpg kept.jpg
cp "$pictures/tall.jpg" set/val/0/1-china.jpg
run cache set -o one.vrc
exits '--state: another cache under the same name' 2 eval -m "$TINY" -q --imagenet one.vrc --state s --limit 9

# ---- --verify ----
exits '--verify: crops alone' 0 cache --verify two.vrc
check '--verify: says what is in it' all prints 'bicubic-35-crop32' -- prints '32 as written, 0 damaged'
exits '--verify: a changed source' 1 cache --verify two.vrc set
check '--verify: names it' all says '0/1-china.jpg' -- prints '33 as read, 1 changed, 0 missing, 0 new'
mv kept.jpg set/val/0/1-china.jpg
exits '--verify: all as it was' 0 cache --verify two.vrc set
source=$(find set -name '10-*' | head -1)
mv "$source" "${source/10-/11-}"
exits '--verify: a renamed source' 1 cache --verify two.vrc set
check '--verify: counts both names' prints '33 as read, 0 changed, 1 missing, 1 new'

# ---- refusals ----
exits 'crops for another model' 0 cache --recipe bicubic-248-crop224 flat -o other.vrc
exits 'another recipe' 2 eval -m "$TINY" -q --imagenet other.vrc
check 'another recipe: both are named' all says 'bicubic-248-crop224' -- says 'bicubic-35-crop32'
exits 'another --exif' 2 eval -m "$TINY" -q --exif on --imagenet two.vrc
check 'another --exif is named' says '--exif'
exits 'other limits' 2 eval -m "$TINY" -q --max-pixels 100 --imagenet two.vrc
check 'other limits are named' says '--max-pixels'
exits 'no cache' 5 eval -m "$TINY" -q --imagenet labels.txt
check 'no cache: says so' says 'neither a folder nor a cache'
exits 'no folder' 2 cache -o x.vrc
exits 'no -o' 2 cache set
exits 'standard output' 2 cache set -o -
exits 'an unknown recipe' 2 cache --recipe nothing set -o x.vrc
exits 'a recipe and a model' 2 cache --recipe bicubic-248-crop224 -m "$TINY" set -o x.vrc
exits '--verify writes nothing' 2 cache --verify two.vrc -o x.vrc
mkdir nothing
exits 'a folder without pictures' 4 cache -m "$TINY" nothing -o x.vrc
mkdir broken && echo 'no picture' >broken/x.jpg
exits 'no picture can be read' 4 cache -m "$TINY" broken -o x.vrc
exits 'a folder that is not there' 5 cache -m "$TINY" nowhere -o x.vrc
exits 'a full disk' 5 cache -m "$TINY" set -o /dev/full
check 'a full disk: says so' says 'No space left'
(ulimit -f 20; run cache set -o x.vrc; echo "$code" >status)
check 'a file that may not grow leaves nothing' all test "$(cat status)" -eq 5 -- test -z "$(echo x.vrc*)" -o "$(echo x.vrc*)" = 'x.vrc*'

# ---- damage ----
size=$(wc -c <two.vrc) bad=''
for cut in 0 7 100 4095 4096 10000 $((size - 5000)) $((size - 1)); do
    head -c "$cut" two.vrc >cut.vrc
    run tiny --imagenet cut.vrc
    [ "$code" -eq 5 ] && [ ! -s out ] || bad="$bad $cut"
done
check "a cache that was cut ($bad)" test -z "$bad"
cp two.vrc changed.vrc
printf 'xyz' | dd of=changed.vrc bs=1 seek=5000 conv=notrunc status=none
run tiny --imagenet changed.vrc
check 'a damaged crop ends the run without a result' all test "$code" -eq 5 -- empty -- says 'is damaged'
exits '--verify: a damaged crop' 1 cache --verify changed.vrc
check '--verify: names it' all says '0/1-china.jpg' -- prints '31 as written, 1 damaged'

# ---- interrupted ----
mkdir many
cp "$pictures/china.jpg" many/0.jpg
for i in $(seq 400); do ln many/0.jpg "many/$i.jpg"; done
cat >interrupt.py <<'END'
import os, signal, subprocess, sys, time
p = subprocess.Popen(sys.argv[1:])
while p.poll() is None and not [f for f in os.listdir(".") if f.startswith("i.vrc.")]: time.sleep(0.002)
time.sleep(0.05)
p.send_signal(signal.SIGINT)
sys.exit(p.wait())
END
run python3 interrupt.py "$VITRUN" cache -m "$TINY" -q -t 1 many -o i.vrc
check 'Ctrl-C leaves nothing' all test "$code" -eq 130 -- test "$(echo i.vrc*)" = 'i.vrc*'
