#!/usr/bin/env bash
# If these fail, the first command that anybody tries does not answer.
. tests/support/shell.sh
needs 'the demonstration model' "$DEMO/model.safetensors"
photo=$ROOT/tests/pictures/china.jpg

exits 'info' 0 info "$DEMO"
check 'info: ten classes' prints '10, pooling'
picture "$T/flat.ppm" 64 64
run vitrun classify "$T/flat.ppm"
check 'no model given: said on stderr' all test "$code" -eq 0 -- says 'ten classes' -- lines 5
run vitrun classify -q "$T/flat.ppm"
check 'no model given, -q' all test "$code" -eq 0 -- quiet
mkdir -p "$T/tree/bin" "$T/tree/share/vitrun/weights" # installed, under a prefix that it was not compiled for
cp "$VITRUN" "$T/tree/bin/"
ln -s "$DEMO" "$T/tree/share/vitrun/weights/"
ln -s "$ROOT/configs" "$T/tree/share/vitrun/"
cd / || exit 1
run "$T/tree/bin/vitrun" classify -q "$T/flat.ppm"
check 'installed' all test "$code" -eq 0 -- quiet -- lines 5
run vitrun classify -q "$T/flat.ppm"
check 'from another folder' test "$code" -eq 0
if [ -e "$photo" ]; then
    run vitrun classify --json -k 1 "$photo"
    check 'a photo: label and synset' all json_lines -- test "$code" -eq 0 -- grep -q '"synset":"n[0-9]' "$T/out"
else
    skip 'a photo' 'tests/pictures/china.jpg is not there'
fi
