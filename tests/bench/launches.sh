#!/usr/bin/env bash
# launches.sh [ARCH...]: what the CUDA back end launches in one forward pass, counted on the fake runtime of tests/cuda_host: no
# times, for nothing is computed there but token counts.  BATCH (default 57), DTYPE (default f16), MERGE (mame or evit; default
# mame, which takes 8 blocks).  `make cuda-host all` first.  Fails where bench --kernels and the runtime's log do not agree.
#
# What was not computed is zero, so MaMe merges every source: tokens halve from block to block, the fewest that can be left.
# ToMe and DiffRate choose their tokens by numbers that have to be there.
set -euo pipefail
BUILD=${BUILD:-build} BATCH=${BATCH:-57} DTYPE=${DTYPE:-f16} MERGE=${MERGE:-mame}
[ $# -gt 0 ] || set -- deit_base_patch16_224 deit_small_patch16_224
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
export VITRUN_PLUGIN_PATH=$BUILD/cuda_host/vitrun-cuda.so VITRUN_FAKE_CUDA_ONLY=settle_kernel,evit_kernel
export VITRUN_FAKE_CUDA_LEAKS=fatal
for arch; do
    for merge in none "$MERGE"; do
        VITRUN_FAKE_CUDA_LOG=$T/$arch.$merge.log "$BUILD/vitrun" bench --quiet --arch "$arch" --random --synthetic --device cuda \
            --dtype "$DTYPE" -b "$BATCH" --kernels -r 1 --min-seconds 0 --merge "$merge" --json >"$T/$arch.$merge.json"
    done
done
python3 - "$T" "$MERGE" "$@" <<'END'
import collections, json, re, sys
folder, method, archs = sys.argv[1], sys.argv[2], sys.argv[3:]

def steps(path):  # the kernels of each forward pass in their order, by the runtime's log
    passes = []
    for line in open(path):
        if line.startswith("launch "):
            name = re.match(r"launch \(?(\w+?)(_kernel)?\b", line).group(1)
            if name == "unfold": passes.append([])
        elif line.startswith("matmul "): name = "matmul"
        else: continue
        if passes: passes[-1].append(name)
    return passes

def ranges(numbers):  # 0, 1, 2, 5 -> "0–2, 5"
    runs = []
    for n in numbers:
        if runs and n == runs[-1][1] + 1: runs[-1][1] = n
        else: runs.append([n, n])
    return ", ".join(f"{a}–{b}" if b > a else str(a) for a, b in runs)

def short(names): return ", ".join(n.replace("norm_in_registers", "norm") for n in names)

def megabytes(k): return f"{k['bytes'] / 1e6:.1f}" if k["bytes"] else ""

columns, blocks = [], []
for arch in archs:
    for merge in ("none", method):
        (r,) = json.load(open(f"{folder}/{arch}.{merge}.json"))
        passes = steps(f"{folder}/{arch}.{merge}.log")
        last = passes[-1]
        told = collections.Counter()
        for k in r["kernels"]: told[k["kernel"]] += k["launches"]
        seen = collections.Counter(last)
        if dict(told) != dict(seen): sys.exit(f"bench --kernels says {dict(told)}, the runtime's log {dict(seen)}")
        title = r["model"].split("_patch")[0] + ("" if merge == "none" else ", " + r["merge"])
        columns.append((title, {(k["verb"], k["kernel"]): k for k in r["kernels"]}, len(last)))
        norms = [i for i, n in enumerate(last) if n.startswith("norm")]
        cut = [last[norms[i]:norms[i + 2]] for i in range(0, len(norms) - 1, 2)]
        blocks += [(title, i, names) for i, names in enumerate(cut)]

print("| verb | kernel |" + "".join(f" {t}: launches | MB |" for t, _, _ in columns))
print("|---|---|" + "--:|--:|" * len(columns))
rows = []
for _, kernels, _ in columns: rows += [k for k in kernels if k not in rows]
order = [v for v, _ in rows]
rows.sort(key=lambda k: order.index(k[0]))
for key in rows:
    cells = [kernels.get(key) for _, kernels, _ in columns]
    print("| " + " | ".join(key) + " |" + "".join(f" {c['launches']:.0f} | {megabytes(c)} |" if c else " | |" for c in cells))
total = [(n, sum(k["bytes"] for k in kernels.values()) / 1e6) for _, kernels, n in columns]
print("| all | |" + "".join(f" {n} | {mb:.1f} |" for n, mb in total) + "\n")
print("| a block of | its number | launches | |\n|---|---|--:|---|")
while blocks:
    title, _, names = blocks[0]
    same = [b for b in blocks if b[0] == title and b[2] == names]
    blocks = [b for b in blocks if b not in same]
    print(f"| {title} | {ranges([b[1] for b in same])} | {len(names)} | {short(names)} |")
END
