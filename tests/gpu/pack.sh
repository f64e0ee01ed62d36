#!/usr/bin/env bash
# make gpu-pack: gathers in one folder what a machine with a GPU needs to check and measure vitrun: no compiler, no network,
# no packages.
#     pack.sh FOLDER        BUILD, PLUGIN (empty: none), PICTURES (a folder; empty: cutouts of our own photographs),
#                           PACK_MIB (how large it may be, with the tree where it lies inside; 62)
# A pack inside the tree links to the tree's model and golden cases, so that both travel together; elsewhere it has copies.
set -eu
cd "$(dirname "$0")/../.."
build=${BUILD:-build} pack=${1:?which folder?} limit=$((${PACK_MIB:-62} * 1048576)) golden_limit=8000000
say() { echo "gpu-pack: $*" >&2; }

mib() { awk -v n="$1" 'BEGIN { printf "%.1f MiB", n / 1048576 }'; }
bytes_of() { find "$@" -type f -printf '%s\n' | awk '{ n += $1 } END { print n + 0 }'; } # links count nothing

if [ -e "$pack" ] && [ ! -f "$pack/about.txt" ] && [ -n "$(ls -A "$pack")" ]; then
    say "$pack is there and is no pack; name another folder (make gpu-pack PACK=...)"
    exit 2
fi
mkdir -p "$pack"
pack=$(cd "$pack" && pwd -P)
find "$pack" -mindepth 1 -maxdepth 1 ! -name results -exec rm -rf {} +
mkdir "$pack/lib" "$pack/pictures"

# Programs, and the libraries that they load beyond the C library itself.
programs=("$build/vitrun" "$build/golden_runner" "$build/step")
[ -z "${PLUGIN:-}" ] || programs+=("$PLUGIN")
for program in "${programs[@]}"; do strip -o "$pack/$(basename "$program")" "$program"; done
ldd "${programs[@]}" | sed -n 's/^\t\([^ ]*\) => \(\/[^ ]*\) .*/\1 \2/p' | sort -u | while read -r name file; do
    case $name in libc.so.* | libm.so.* | libdl.so.* | libpthread.so.* | librt.so.* | ld-linux*) continue ;; esac
    install -m 644 "$file" "$pack/lib/$name"
done
install -m 755 tests/gpu/check.sh "$pack/check.sh"
install -m 644 tests/gpu/results.sh tests/gpu/parts.sh tests/gpu/figures.txt tests/gpu/peers.py "$pack/"
install -m 644 tests/bench/peers.py "$pack/bench_peers.py"
cp -r configs LICENSE NOTICE "$pack/"

case $pack/ in
"$(pwd -P)"/*)
    ln -s "$(realpath --relative-to="$pack" weights/dinov2_small_imagenette)" "$pack/model"
    ln -s "$(realpath --relative-to="$pack" tests/golden)" "$pack/golden"
    with='the tree' tracked=$(git ls-files -z 2>/dev/null | xargs -0 -r stat -c %s | awk '{ n += $1 } END { print n + 0 }')
    [ "$tracked" -gt 0 ] || tracked=$(bytes_of cli configs docs engine kernels loaders tests weights) # no git here
    travels=$((tracked + $(bytes_of "$pack")))
    ;;
*)
    cp -r weights/dinov2_small_imagenette "$pack/model"
    cp -r tests/golden "$pack/golden"
    with='' travels=$(bytes_of "$pack")
    ;;
esac

if [ -n "${PICTURES:-}" ]; then
    find -L "$PICTURES" -type f \( -iname '*.jpg' -o -iname '*.jpeg' -o -iname '*.png' \) | sort | awk 'NR <= 200' |
        while read -r file; do cp "$file" "$pack/pictures/$((n = ${n:-1000} + 1))_$(basename "$file")"; done
    origin="pictures of a folder that was named"
else
    "$build/cutouts" "$pack/pictures" 200 tests/pictures/china.jpg tests/pictures/flower.jpg
    origin="cutouts of two photographs, every other one mirrored (tests/pictures/README.md says whose)"
fi
count=$(find "$pack/pictures" -type f | wc -l)
if [ "$count" -eq 0 ]; then
    say "there is no picture in $PICTURES"
    exit 2
fi
travels=$((travels + $(bytes_of "$pack/pictures")))

newest() { objdump -T "$@" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -1 | cut -d_ -f2; }
changed=$(git status --porcelain --untracked-files=no 2>/dev/null | head -1)
{
    echo "version $("$build/vitrun" --version | awk '{ print $2; exit }')"
    echo "commit $(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)${changed:+ and changes}"
    echo "packed $(date -u +%Y-%m-%dT%H:%MZ)"
    echo "glibc $(newest "$pack"/vitrun* "$pack"/golden_runner "$pack"/step "$pack"/lib/*)"
    echo "plugin $([ -n "${PLUGIN:-}" ] && echo yes || echo none)"
    echo "pictures $count, $origin"
} >"$pack/about.txt"

golden=$(bytes_of tests/golden)
if [ "$golden" -gt "$golden_limit" ] || [ "$travels" -gt "$limit" ]; then
    say "too large: tests/golden $(mib "$golden") of $(mib $golden_limit); the pack${with:+ and $with} $(mib "$travels") of $(mib $limit)"
    (cd "$pack" && du -aL --apparent-size -d 1 -k . | sort -rn | head -12 >&2)
    exit 1
fi
[ -n "${PLUGIN:-}" ] || say "there is no GPU plugin in this pack (no nvcc, or CUDA=0): its check can only say so"
echo "$pack: $count pictures, $(mib "$travels")${with:+ with $with}; run $pack/check.sh"
