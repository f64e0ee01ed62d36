#!/usr/bin/env bash
# If these fail, the Tab key offers nothing, or something that does not exist.
. tests/support/shell.sh

exits 'bash' 0 completion bash
check 'bash: a script that bash accepts' all quiet -- bash -n "$T/out"
# shellcheck source=/dev/null
. "$T/out"
compopt() { :; } # exists only while the Tab key is pressed
complete_words() {
    COMP_WORDS=(vitrun "$@") COMP_CWORD=$#
    _vitrun
    printf '%s\n' "${COMPREPLY[@]}"
}
check 'commands' test "$(complete_words cl)" = classify
check 'flags of a command' test "$(complete_words classify --top)" = --topk
check 'not the flags of others' test -z "$(complete_words classify --blo)"
check 'words of a flag' test "$(complete_words classify --format tim)" = timm-csv
check 'words of the same flag elsewhere' test "$(complete_words bench -f m)" = md
cd "$T" || exit 1
: >photo.jpg
check 'files' test "$(complete_words classify pho)" = photo.jpg
exits 'zsh' 2 completion zsh
check 'zsh: not supported yet' says 'not supported yet'
exits 'an unknown shell' 2 completion tcsh
