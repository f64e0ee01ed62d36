#!/usr/bin/env bash
# If these fail, the GPU is asked for more launches than SPEED.md counts: speed that no test without a GPU would miss.
. tests/support/shell.sh
needs 'the emulated GPU' "$BUILD/cuda_host/vitrun-cuda.so"

# The budget is 7 launches a block: norm, qkv, attention, proj, norm, fc1, fc2.  The exact GELU is one more: cuBLASLt's own is the
# tanh form.  MaMe's three should one day be one, together with the norm behind it.
BATCH=2 run bash tests/bench/launches.sh deit_tiny_patch16_224
check 'the runtime counts what bench --kernels tells' test "$code" -eq 0
check 'a block: 7 launches and the GELU' prints '| deit_tiny | 0–10 | 8 | norm, matmul, fast, matmul, norm, matmul, gelu, matmul |'
check 'the last block: its class token alone' prints '| deit_tiny | 11 | 11 | norm, matmul, gather, gather, matmul, fast, matmul, norm, matmul, gelu, matmul |'
check 'a block that merges by MaMe: 3 more' \
    prints '| deit_tiny, mame_l0-7_t0.8 | 0–7 | 11 | norm, matmul, fast, matmul, decide, settle, merge, norm, matmul, gelu, matmul |'
check 'a whole pass' prints '| all | | 105 |'
check 'a whole pass with MaMe in 8 blocks' grep -q '| all | | 105 | [0-9.]* | 129 |' "$T/out"
BATCH=2 MERGE=evit run bash tests/bench/launches.sh deit_tiny_patch16_224
check 'a block that drops by EViT: 3 more' \
    prints '| deit_tiny, evit_l3+6+9_k0.7 | 3, 6, 9 | 11 | norm, matmul, fast, class_scores, matmul, evit, follow, norm, matmul, gelu, matmul |'

export VITRUN_PLUGIN_PATH=$BUILD/cuda_host/vitrun-cuda.so VITRUN_FAKE_CUDA_LEAKS=fatal
for streams in now late; do
    VITRUN_FAKE_CUDA_STREAMS=$streams run vitrun bench -m "$TINY" --device cuda -b 2 -r 2 --min-seconds 0 --kernels --json
    check "every kernel's time comes from its events, work done $streams" python3 -c '
import json, sys
(r,) = json.load(open(sys.argv[1]))
assert r["device"] == "cuda" and r["peak_flops_per_s"] == 0 and all(k["ms"] > 0 and k["kernel"] for k in r["kernels"]), r
assert sum(k["ms"] for k in r["kernels"]) <= r["step_ms"] and r["launches"] == sum(k["launches"] for k in r["kernels"]), r' "$T/out"
done
