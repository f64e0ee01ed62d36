#!/usr/bin/env bash
# If these fail, a page shows numbers that nobody measured, compares what cannot be compared, or runs what a file's name says.
. tests/support/shell.sh
cd "$T" || exit 1

result() { # MERGE TOP1 GMACS INFER_MS [MORE-FIELDS]: as eval writes it, merging's own 0.05 GMACs not in GMACS
    printf '{"model":"tiny","top1":%s,"top5":99.5,"img_size":224,"partial":false,"images":200,"skipped":1,"wanted":201,' "$2"
    printf '"top1_low":90.25,"top1_high":98.75,"merge":"%s","tokens":[100,60.25,1],"gmacs":%s,"merge_gmacs":0.05,' "$1" "$3"
    printf '"recipe":"bicubic-256-crop224","exif":false,"device":"cpu","isa":"avx2","dtype":"f32","version":"0.1.0",'
    printf '"dataset":"val","layout":"synset folders","threads":2,"infer_ms":%s%s}' "$4" "${5:+,$5}"
}
sweep() { # of eleven settings, as an array
    printf '['
    result none 96.5 3.95 40
    for i in 1 2 3 4 5; do
        printf ',\n'
        result "tome_r$i" "9$i.5" "3.$((9 - i))" 30 "\"speedup\":1.$i,\"agreement\":9$i.25,\"agreement_count\":19$i,\"only_merged_right\":2,\"only_unmerged_right\":7,\"mcnemar_p\":0.18"
        printf ',\n'
        result "mame_l0-7_t0.$i" "8$i.5" "2.$((9 - i))" 20 "\"speedup\":1.$i,\"agreement\":8$i.25"
    done
    printf ']\n'
}
times() { [ "$(grep -oF -e "$1" "$3" | wc -l)" -eq "$2" ]; } # TEXT COUNT FILE
holds() { grep -qF -e "$2" "$1"; }                            # FILE TEXT
lacks() { ! grep -qF -e "$2" "$1"; }
xml() { ! command -v xmllint >/dev/null || xmllint --noout "$1"; }
sweep >sweep.json

# ---- the page ----
run vitrun report sweep.json -o page.html
check 'a page' all test "$code" -eq 0 -- quiet -- empty -- xml page.html -- test "$(tail -1 page.html)" = '</html>'
check 'every setting is a point of three figures and a row' all times '<g class="point">' 33 page.html -- \
    times '<tr><td class="text">' 11 page.html -- times '<g class="series">' 12 page.html
check 'nothing from outside, no script' all lacks page.html http -- lacks page.html '<script' -- lacks page.html 'src=' -- \
    lacks page.html 'href=' -- lacks page.html 'url(' -- lacks page.html '@import'
row() { grep -F "<td class=\"text\">$2</td>" "$1"; }
# Speed-up 1.3; GMACs 4.00 and 3.65: 0.3 / (4 / 3.65 - 1) = 3.13.
check 'the numbers of a row' test "$(row page.html tome_r3)" = '<tr><td class="text">tome_r3</td><td>93.50</td><td>90.25–98.75</td><td>99.50</td><td>93.25</td><td>7</td><td>2 : 7</td><td>0.18</td><td>3.650</td><td>0.0500</td><td>30.00</td><td>1.30</td><td>3.13</td><td>200</td><td>1</td><td class="text tokens">100 60.3 1</td></tr>'
check 'what hovering says' all holds page.html 'top-1 93.50 % (95 % interval 90.25 to 98.75)' -- holds page.html '3.650 GMACs, merging 0.0500 of them'
check 'speed is the speed-up where all have one' all holds page.html 'measured batch by batch in the same run.' -- lacks page.html '≈ '
check 'the last block, of special tokens alone, is left out' holds page.html 'The last block is left out'
check 'the file, its size and its hash' all holds page.html "$(sha256sum <sweep.json | cut -d' ' -f1)" -- holds page.html "<td>$(wc -c <sweep.json)</td>"
run vitrun report sweep.json
cp out again.html
check 'without -o, into a file: the same bytes' cmp -s again.html page.html

run vitrun report sweep.json -f md
check 'markdown: a heading and a table' all lines 15 -- test "$(tail -n +3 out | tr -cd '|\n' | sort -u)" = "$(printf '|%.0s' $(seq 17))" -- \
    prints '| tome_r3 | 93.50 | 90.25–98.75 |' -- prints 'tiny on val, 201 pictures of 224 pixels, cpu, avx2, f32, 2 threads, vitrun 0.1.0'
cp out table.md
run vitrun report sweep.json -o named.md
check '-o NAME.md' cmp -s named.md table.md
run vitrun report sweep.json -o figure.svg
check 'a figure alone' all test "$code" -eq 0 -- xml figure.svg -- holds figure.svg 'xmlns="http://www.w3.org/2000/svg"' -- times '<g class="point">' 11 figure.svg
check 'a line for each method, dashes for the unmerged model' all times '<path class="line m1" d="M' 2 figure.svg -- \
    times '<path class="line m4" d="M' 2 figure.svg -- times '<path class="base"' 1 figure.svg
run vitrun report sweep.json -f svg
check '-f svg: the same bytes' cmp -s out figure.svg

# ---- several files ----
result none 96 3.95 40 >none.json
result evit_l3+6+9_k0.7 95 2.95 30 >evit.json
result evit_l3+6+9_k0.5_fused 95 2.45 30 >fused.json
run vitrun report none.json evit.json fused.json -o page.html
check 'separate files: one section; speeds are pictures a second, speed-ups are about' all test "$code" -eq 0 -- \
    times '<section>' 2 page.html -- holds page.html 'pictures a second, arithmetic alone' -- holds page.html '<td>≈ 1.33</td>'
check 'a variant is a curve of its own' all holds page.html '>EViT</text>' -- holds page.html '>EViT, fused</text>'
result evit_l3+6+9_k0.9 99 4.95 45 >more.json
run vitrun report evit.json more.json -f svg
check 'a curve of two points: both are labelled' all prints '>k0.7</text>' -- prints '>k0.9</text>'
sed 's/"threads":2/"threads":1/; s/f32/f16/' evit.json >other.json
run vitrun report none.json evit.json other.json -o page.html
check 'other threads: sections, and why' all test "$code" -eq 0 -- times '<section>' 3 page.html -- holds page.html 'they differ in: element type, threads.'
exits 'two sections in one figure' 2 report none.json evit.json other.json -f svg
check 'two sections in one figure: says so' all empty -- says '2 sections'
run vitrun report none.json evit.json other.json -f md
check 'two sections in markdown' all lines 12 -- test "$(grep -c '^| merging' out)" -eq 2
cp none.json copy.json
exits 'the same bytes twice' 2 report none.json copy.json
check 'the same bytes twice: names both' all says none.json -- says copy.json
run vitrun report none.json -o page.html
check 'the unmerged model alone: a table, no figure' all test "$code" -eq 0 -- lacks page.html '<g class="point">' -- times '<tr><td class="text">' 1 page.html
result tome_r1 null null null | sed 's/"images":200/"images":0/; s/\[100,60.25,1\]/[null,null,null]/' >empty.json
run vitrun report none.json evit.json empty.json -o page.html
check 'a result without a picture: a row, no point' all test "$code" -eq 0 -- times '<tr><td class="text">' 3 page.html -- times '<g class="point">' 4 page.html -- xml page.html -- lacks page.html nan

# ---- what files say is text ----
result '<script>alert(1)</script>\"&'"'"'|`x`' 95 2.95 30 '"agreement":98' | sed 's/"model":"tiny"/"model":"\\u0007<b>\&amp;"/; s/"val"/"\\" onload=\\"x"/' >bad.json
mv bad.json $'a<b>"\xff.json'
for form in html svg md; do run vitrun report $'a<b>"\xff.json' -o "bad.$form" && cp err "err.$form"; done
check 'markup in names is shown, not obeyed' all test "$code" -eq 0 -- lacks bad.html '<script' -- lacks bad.svg '<script' -- lacks bad.md '<script' -- \
    holds bad.html '&#60;script&#62;alert(1)&#60;/script&#62;&#34;&#38;&#39;|`x`' -- holds bad.html '&#60;b&#62;&#38;amp;' -- \
    holds bad.html '&#34; onload=&#34;x' -- holds bad.html 'a&#60;b&#62;&#34;' -- holds bad.md '\|\`x\`' -- xml bad.html -- xml bad.svg
check 'bytes that are no UTF-8 do not get into the page' iconv -f utf-8 -t utf-8 -o /dev/null bad.html

# ---- what is no results ----
refused() { # NAME CODE TEXT WORDS...: the file wrong.json, beside a good one
    local name=$1 want=$2
    printf '%s' "$3" >wrong.json
    shift 3
    rm -f wrong.html
    run vitrun report sweep.json wrong.json -o wrong.html
    local conditions=(test "$code" -eq "$want" -- test ! -e wrong.html -- says wrong.json -- lines 0)
    for word in "$@"; do conditions+=(-- says "$word"); done
    check "refused: $name" all "${conditions[@]}"
}
good=$(result tome_r9 90 3 20)
refused 'nothing' 5 ''
refused 'an array of nothing' 2 '[]' 'no results'
refused 'a number' 2 '7' 'a number'
refused 'an array of numbers' 2 '[7]' 'result 1' 'a number'
refused 'JSON of another kind' 2 '{"version":"0.1.0","results":[]}' "'merge'" 'eval --json'
refused 'half a file' 5 "${good:0:200}"
refused 'lines of JSON' 5 "$good$good"
refused 'not UTF-8' 5 $'{"merge":"\xff"}'
refused 'a key twice' 5 "${good%\}},\"merge\":\"none\"}" 'merge'
refused 'top1 is a text' 5 "${good/\"top1\":90/\"top1\":\"90\"}" "'top1'" 'a string'
refused 'top1 above 100' 5 "${good/\"top1\":90/\"top1\":100.5}" "'top1'" '100'
refused 'cost below nothing' 5 "${good/\"gmacs\":3/\"gmacs\":-3}" "'gmacs'"
refused 'images is a fraction' 5 "${good/\"images\":200/\"images\":2.5}" "'images'"
refused 'the second of an array, without gmacs' 2 "[$good,${good/\"gmacs\":3/\"gmac\":3}]" 'result 2' "'gmacs'"
refused 'merge is a number' 5 "${good/\"tome_r9\"/9}" "'merge'"
refused 'merge is empty' 5 "${good/tome_r9/}" "'merge'"
refused 'merge is a book' 5 "${good/tome_r9/$(printf 'x%.0s' $(seq 300))}" "'merge'"
refused 'tokens is a text' 5 "${good/\[100,60.25,1\]/\"100\"}" "'tokens'"
refused 'tokens of too many blocks' 5 "${good/60.25/$(printf '1,%.0s' $(seq 300))1}" "'tokens'"
refused 'partial is a number' 5 "${good/\"partial\":false/\"partial\":0}" "'partial'"
refused 'the model is a list' 5 "${good/\"tiny\"/[]}" "'model'"
refused 'the device is a list' 5 "${good/\"cpu\"/[]}" "'device'"
refused 'speed-up is a switch' 5 "${good%\}},\"speedup\":true}" "'speedup'"
refused 'too many results' 2 "[$(for _ in $(seq 500); do printf '%s,' "$good"; done)$good]" '500'
head -c 9000000 /dev/zero | tr '\0' ' ' >wrong.json
exits 'refused: 9 MB' 5 report wrong.json
exits 'no such file' 5 report missing.json
check 'no such file: named' all says missing.json -- empty
exits 'a folder' 5 report .
exits 'no file' 2 report
exits 'a format that is none' 2 report sweep.json -f pdf
exits 'flags of others' 2 report sweep.json --merge tome
if [ -e "$TINY" ]; then
    vitrun bench -q -m "$TINY" --json -r 1 --min-seconds 0 >bench.json 2>err
    exits 'the JSON of bench' 2 report bench.json
    check 'the JSON of bench: says what is wanted' all says bench.json -- says 'eval --json'
fi

# ---- where it goes ----
cp sweep.json kept.json
exits '-o onto an input' 2 report kept.json -o ./kept.json
check '-o onto an input: it is left as it is' cmp -s kept.json sweep.json
vitrun report sweep.json >/dev/full 2>err
code=$?
check 'a full disk' all test "$code" -eq 5 -- says 'No space left'
{ sleep 0.3; vitrun report sweep.json 2>err; echo $? >code; } | true
code=$(cat code)
check 'a closed pipe: quietly 141' all test "$code" -eq 141 -- quiet
if command -v script >/dev/null; then
    script -qec "'$VITRUN' report sweep.json" /dev/null >out 2>err </dev/null
    code=$?
    check 'a terminal gets no page' all test "$code" -eq 2 -- prints '-o report.html'
    script -qec "'$VITRUN' report sweep.json -f md" /dev/null >out 2>err </dev/null
    code=$?
    check 'a terminal gets a table' all test "$code" -eq 0 -- prints 'tome_r3'
fi

# ---- what eval really writes ----
needs 'results of eval' "$TINY"
for class in 0 1 2 3 4 5 6 7 8 9; do mkdir -p "index/$class" && cp "$ROOT/tests/pictures/rgb-444.jpg" "index/$class"; done
vitrun eval -m "$TINY" -q --imagenet index --json >none.json
vitrun eval -m "$TINY" -q --imagenet index --json --merge tome --r 2 --agreement >tome.json
run vitrun report none.json tome.json -o page.html
check 'results of eval' all test "$code" -eq 0 -- quiet -- times '<section>' 2 page.html -- times '<tr><td class="text">' 2 page.html -- \
    times '<g class="point">' 6 page.html -- holds page.html '<td>10.00</td>' -- xml page.html
