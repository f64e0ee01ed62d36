#!/usr/bin/env bash
# make study IMAGENETTE=DIR: README's table and figure of token reduction, measured anew.  Each line of docs/study.txt is a
# list of settings that run in one pass over the pictures, so that their times can be compared; the unmerged model is in
# each.  LIMIT=N takes a sample of N pictures.  A run that was stopped goes on where it was (build/study-*.state).
set -eu
: "${IMAGENETTE:?which folder holds the pictures? make study IMAGENETTE=DIR}"
build=${BUILD:-build}
sample=()
[ -z "${LIMIT:-}" ] || sample=(--limit "$LIMIT" --shuffle 1)
results=()
while IFS= read -r sweep; do
    name=study-$((${#results[@]} + 1))
    "$build/vitrun" eval --imagenet "$IMAGENETTE" "${sample[@]}" --agreement --sweep "$sweep" \
        --state "$build/$name.state" --json -o "docs/$name.json"
    rm -f "$build/$name.state" # the next time is measured anew
    results+=("docs/$name.json")
done <docs/study.txt
"$build/vitrun" report "${results[@]}" -f svg -o docs/study.svg
"$build/vitrun" report "${results[@]}" -f md -o "$build/study.md"

# The columns that the README shows, with tokens after four blocks, between its two marks; the unmerged model once.
awk -F ' *[|] *' '
    /^[|]/ && $2 == "merging" {
        print "| merging | top-1 % | 95 % interval | agrees % | GMACs | tokens after blocks 0 / 3 / 7 / 11 | speed-up | share of the saving |"
        print "|---|--:|--:|--:|--:|---|--:|--:|"
    }
    /^[|]/ && $2 != "merging" && $2 !~ /^-/ && !($2 == "none" && seen++) {
        split($17, left, " ")
        printf "| %s | %s | %s | %s | %s | %s / %s / %s / %s | %s | %s |\n", $2, $3, $4, $6, $10, left[1], left[4], left[8], left[12], $13, $14
    }' "$build/study.md" >"$build/study.table"
awk -v table="$build/study.table" '
    /<!-- study -->/ { print; while ((getline line <table) > 0) print line; skip = 1; next }
    /<!-- end of study -->/ { skip = 0 }
    !skip' README.md >"$build/README.new"
cat "$build/README.new" >README.md
