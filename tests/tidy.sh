#!/usr/bin/env bash
# What the folders promise each other, read from the sources: who includes whom, who prints, what is dead, how it is set.
set -u
cd "$(dirname "$0")/.."
bad=0
complain() { echo "tidy: $*" >&2; bad=1; }

sources() { git ls-files -co --exclude-standard -- "$@" | while read -r f; do [ -f "$f" ] && echo "$f"; done; }

# Includes point one way: cli > engine > loaders > kernels/base.h; engine > kernels; kernels includes nothing of ours.
allowed() {    # allowed FOLDER REGEX: what quoted includes of that folder may resolve to
    local f target
    for f in $(sources "$1/*.c" "$1/*.h"); do
        while read -r target; do
            local path
            path=$(realpath -m --relative-to=. "$(dirname "$f")/$target")
            [ -f "$path" ] || complain "$f includes $target, which is not there"
            [[ $path =~ $2 ]] || complain "$f includes $path: $1/ may not"
        done < <(grep -oE '^ *# *include "[^"]+"' "$f" | sed -E 's/.*"(.*)"/\1/')
    done
}
allowed kernels '^kernels/'
allowed loaders '^(loaders/|kernels/base\.h$)'
allowed engine '^(engine|loaders|kernels)/'
allowed cli '^(cli|engine|loaders|kernels)/'

# Libraries stay where they belong.
only_under() { # only_under FOLDER HEADER...
    local folder=$1 header; shift
    for header in "$@"; do
        local hits
        hits=$(sources 'cli/*' 'engine/*' 'kernels/*' 'loaders/*' | grep -v "^$folder/" | xargs grep -lE "include <$header" 2>/dev/null)
        [ -z "$hits" ] || complain "<$header> is for $folder/ only: $hits"
    done
}
only_under loaders 'jpeglib' 'png\.h' 'webp/' 'gif_lib' 'stb/' 'cjson/'
only_under kernels/cuda 'cuda' 'cublas' 'cudnn'

# Only cli/ prints and exits.
hits=$(sources 'engine/*.c' 'loaders/*.c' 'kernels/*.c' | xargs grep -nE '(^|[^a-z_])(printf|puts|putchar|perror|exit|_exit|abort) *\(' | grep -vE '^\S+: *(//|/?\*)')
[ -z "$hits" ] || complain "a library that prints or exits: $hits"

# A header that nobody includes, a source that no rule compiles.
for h in $(sources '*.h'); do
    grep -rqE "include [\"<]([^\">]*/)?$(basename "$h")[\">]" --include='*.c' --include='*.h' --include='*.c[pu]*' cli engine kernels loaders tests ||
        complain "$h is included by nobody"
done
for c in $(sources '*.c'); do
    [[ $c =~ ^(cli|engine|loaders|kernels|kernels/cpu|kernels/cpu/isa|kernels/cuda|tests|tests/(reference|support|kernels|engine|loaders|cli|bench|fuzz|gpu|stress))/[^/]+\.c$ ]] ||
        complain "$c lies where nothing compiles it"
done

# A function that a header offers and nothing calls: its name stands once in all the sources, where it is defined.
all=$(sources '*.c' '*.cu' '*.cuh' '*.cpp' | xargs cat | grep -oE '\b(vr|cli|cmd|vitrun|scratch)_[a-z0-9_]+' | sort | uniq -c | awk '$1 == 1 { print $2 }')
for name in $(sources '*.h' | xargs cat | grep -v typedef | grep -ohE '\b(vr|cli|cmd|vitrun|scratch)_[a-z0-9_]+ *\(' | tr -d ' (' | sort -u); do
    grep -qx "$name" <<<"$all" && complain "nothing calls $name"
done

# How it is set.
for f in $(sources '*.c' '*.h'); do
    grep -nP '\t' "$f" /dev/null | head -1 | while read -r line; do echo "tab in $line"; done
    grep -nE '\b(TODO|FIXME|XXX)\b' "$f" /dev/null
done | grep . && complain "tabs or unfinished work (above)"
if command -v clang-format >/dev/null; then
    unformatted=$(sources '*.c' '*.h' | xargs clang-format --dry-run 2>&1 | grep -oE '^[^:]+' | sort -u | grep '\.[ch]$')
    [ -z "$unformatted" ] || complain "run make format: $unformatted"
else
    echo "tidy: SKIP format (no clang-format)"
fi
leaks=$(git grep -nIE '/(work|farm|root)/' -- . ':!tests/tidy.sh' | head -5)
[ -z "$leaks" ] || complain "machine paths: $leaks"

[ $bad -eq 0 ] && echo "tidy: ok"
exit $bad
