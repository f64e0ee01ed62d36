# The results of check.sh: one JSON with a row a line, which a later call adds to, and one table made from it.
#     say_value PART NAME VALUE UNIT NOTE       a figure; what must be and the goal are looked up in figures.txt
#     say_verdict PART NAME VERDICT NOTE        "passed", "failed", "skipped", ...
# Both print a row, which names the device it is of ($ON) and the time.
# shellcheck shell=bash

# A string of JSON: what would need an escape is left out or replaced, so that rows can be read line by line.
quoted() { printf '"%s"' "$(printf '%s' "$*" | tr '"\\\t\n' "'/  " | tr -cd ' -~' | cut -c1-400)"; }
is_number() { [[ $1 =~ ^-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?$ ]]; }
number_or_text() { if is_number "$1"; then printf '%s' "$1"; elif [ -n "$1" ]; then quoted "$1"; else printf null; fi; }

json_row() { # PART NAME VALUE UNIT MUST GOAL VERDICT NOTE
    printf '{"part":%s,"name":%s,"value":%s,"unit":%s,"must":%s,"goal":%s,"verdict":%s,"note":%s,"on":%s,"when":"%s"}\n' \
        "$(quoted "$1")" "$(quoted "$2")" "$(number_or_text "$3")" "$(quoted "$4")" "$(number_or_text "$5")" \
        "$(number_or_text "$6")" "$(quoted "$7")" "$(quoted "$8")" "$(quoted "$ON")" "$(date -u +%Y-%m-%dT%H:%MZ)"
}

judged() { # VALUE MUST GOAL BETTER
    [ "$EMULATED" = no ] || { echo emulated && return; }
    [ -n "$2$3" ] || return 0
    is_number "$1" || { echo 'not measured' && return; }
    awk -v v="$1" -v must="$2" -v goal="$3" -v better="$4" '
        function good(limit) { return better == "less" ? v + 0 <= limit + 0 : v + 0 >= limit + 0 }
        BEGIN {
            if (goal != "" && good(goal)) print "goal met"
            else if (must == "") print "goal missed"
            else if (good(must)) print "must met, goal missed"
            else print "missed"
        }'
}

figures() { sed -e '/^#/d' -e 's/ *| */|/g' "$HERE/figures.txt"; }
say_value() { # PART NAME VALUE UNIT NOTE
    local unit must goal better
    IFS='|' read -r _ _ unit must goal better < <(figures | awk -F'|' -v part="$1" -v name="$2" '$1 == part && $2 == name')
    json_row "$1" "$2" "$3" "$4" "${must:-}" "${goal:-}" "$(judged "$3" "${must:-}" "${goal:-}" "${better:-}")" "$5"
}
say_verdict() { json_row "$1" "$2" '' '' '' '' "$3$([ "$EMULATED" = no ] || echo ' (emulated)')" "$4"; }

# The figures that are reported on in any case, of one part: those that PRODUCED does not hold yet get VERDICT.
say_missing_figures() { # PART VERDICT NOTE PRODUCED
    local part name unit must goal better
    while IFS='|' read -r part name unit must goal better; do
        [ "$part" = "$1" ] && ! grep -qF "\"name\":$(quoted "$name")," "$4" || continue
        json_row "$part" "$name" '' "$unit" "$must" "$goal" "$2" "$3"
    done < <(figures)
}

# A part's rows take the place of those it gave before; parts stand in the order of $PARTS.
merge_rows() { # FILE-OF-ROWS PART
    local part
    rows_of "$JSON" >"$SCRATCH/all"
    for part in $PARTS; do
        if [ "$part" = "$2" ]; then cat "$1"; else grep -F "{\"part\":\"$part\"," "$SCRATCH/all"; fi
    done >"$SCRATCH/merged"
    {
        printf '{"what":"vitrun gpu-check","version":%s,"commit":%s,"packed":%s,"device":%s,"why_not":%s,"driver":%s,"emulated":%s,"rows":[\n' \
            "$(quoted "$(about version)")" "$(quoted "$(about commit)")" "$(quoted "$(about packed)")" "$(quoted "$ON")" \
            "$(quoted "$WHY_NOT")" "$(quoted "$DRIVER")" "$([ "$EMULATED" = no ] && echo false || echo true)"
        sed '$!s/$/,/' "$SCRATCH/merged"
        echo ']}'
    } >"$SCRATCH/json" && mv "$SCRATCH/json" "$JSON"
    write_table >"$TABLE"
}
rows_of() { [ ! -f "$1" ] || sed -n 's/^\({"part":.*}\),\{0,1\}$/\1/p' "$1"; }

write_table() {
    echo "# vitrun $(about version) (commit $(about commit)) on: $ON"
    echo
    [ "$EMULATED" = no ] || printf 'An emulator stood in for the GPU: this shows that the check runs, and nothing of a GPU.\n\n'
    [ -z "$WHY_NOT" ] || printf 'Nothing could be run: %s\n\n' "$WHY_NOT"
    echo "Driver $DRIVER. Pictures: $(about pictures). Made by \`check.sh\` of a pack of $(about packed)."
    echo
    echo '| part | figure | measured | unit | must | goal | verdict | when | note |'
    echo '|---|---|--:|---|--:|--:|---|---|---|'
    rows_of "$JSON" | awk '
        BEGIN { n = split("part name value unit must goal verdict when note", column, " ") }
        function get(key,   s) {
            if (!match($0, "\"" key "\":(\"[^\"]*\"|[^,}]*)")) return ""
            s = substr($0, RSTART + length(key) + 3, RLENGTH - length(key) - 3)
            gsub(/^"|"$/, "", s)
            gsub(/\|/, "/", s)
            return s == "null" ? "" : s
        }
        {
            line = "|"
            for (i = 1; i <= n; i++) line = line " " get(column[i]) " |"
            print line
        }'
}
