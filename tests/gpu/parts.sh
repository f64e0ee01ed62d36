# The parts of check.sh.  Each prints its rows; it runs in a process of its own and may be stopped.  `skip WHY` leaves a part
# that cannot be run here, `fail WHY` one that broke.  $SCRATCH is a folder for what is not to be kept.
# shellcheck shell=bash

skip() {
    echo "$*" >"$SCRATCH/why"
    exit 77
}
fail() {
    echo "$*" >"$SCRATCH/why"
    exit 1
}
only_on_a_gpu() { [ "$EMULATED" = no ] || skip 'an emulator has no speed, no memory of its own and no sanitizer'; }
TINY=$HERE/golden/models/timm_cls # ten classes, 32 x 32 pixels, 4 blocks
TINY_MEAN=$HERE/golden/models/timm_avg
median() { sort -g | awk '{ x[NR] = $1 } END { if (NR) print NR % 2 ? x[(NR + 1) / 2] : (x[NR / 2] + x[NR / 2 + 1]) / 2 }'; }

# ---- device ----

part_device() {
    local key value
    say_value device GPU "$ON" '' "$(ours vitrun devices 2>&1 | grep '^cuda' | tr -s ' ')"
    say_value device driver "$DRIVER" '' ''
    say_value device 'C library here / needed' "$(ldd --version 2>/dev/null | sed -n '1s/.* //p') / $(about glibc)" '' ''
    say_value device cuBLASLt "${VITRUN_CUBLASLT:-found by the loader}" '' ''
    say_value device processor "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)" '' "$(nproc) cores"
    [ "$EMULATED" = no ] && command -v nvidia-smi >/dev/null || return 0
    for key in clocks.sm clocks.max.sm clocks.mem clocks.max.mem power.limit temperature.gpu memory.total compute_cap pcie.link.gen.current; do
        value=$(nvidia-smi -i 0 --query-gpu="$key" --format=csv,noheader 2>/dev/null) || continue
        say_value device "$key" "$value" '' 'idle, as nvidia-smi says'
    done
    value=$("$PYTHON" -c 'import sys, torch, timm; print(f"Python {sys.version.split()[0]}, torch {torch.__version__}, timm {timm.__version__}")' 2>/dev/null)
    say_value device 'for peers' "${value:-no Python with torch and timm}" '' ''
}

# ---- right answers ----

golden() { # DTYPE
    local small=() name="golden cases, $1" sum failures status
    [ "$EMULATED" = no ] || small=(--small)
    ours golden_runner "${small[@]}" --device cuda --dtype "$1" "$HERE/golden" >"$SCRATCH/golden" 2>&1
    status=$?
    cat "$SCRATCH/golden" >&2
    sum=$(tail -1 "$SCRATCH/golden")
    failures=$(grep '^FAIL' "$SCRATCH/golden" | tr -s ' ' | paste -sd ';')
    [ $status -eq 0 ] && say_verdict "golden-$1" "$name" passed "$sum${small:+, without models of full size}" ||
        say_verdict "golden-$1" "$name" failed "$sum; $failures"
}
part_golden_f32() { golden f32; }
part_golden_tf32() { golden tf32; }
part_golden_f16() { golden f16; }
part_golden_bf16() { golden bf16; }

# What every picture gives in batches of N, without the times.
answers() { # N FLAG...
    local batch=$1
    shift
    ours vitrun classify -q --json -k 10 -m "$INVARIANT_MODEL" --device cuda --dtype f16 -b "$batch" "$@" -- "${INVARIANT_PICTURES[@]}" |
        sed 's/"ms":{[^}]*},//'
}
same_bits() { # NAME FLAG...
    local name=$1 batch different
    shift
    for batch in 1 7 64; do answers $batch --deterministic "$@" >"$SCRATCH/b$batch"; done
    different=$(for batch in 7 64; do diff "$SCRATCH/b1" "$SCRATCH/b$batch"; done | grep -c '^<')
    if [ "$(wc -l <"$SCRATCH/b1")" -eq ${#INVARIANT_PICTURES[@]} ] && [ "$different" -eq 0 ] && ! grep -q '"error":"' "$SCRATCH/b1"; then
        say_verdict invariance "$name" passed "${#INVARIANT_PICTURES[@]} pictures, f16"
    else
        say_verdict invariance "$name" failed "$different pictures differ, of ${#INVARIANT_PICTURES[@]} twice; $(wc -l <"$SCRATCH/b1") answered"
    fi
}
largest_difference() { # NAME FLAG...
    local name=$1
    shift
    answers 1 "$@" >"$SCRATCH/b1"
    answers 64 "$@" >"$SCRATCH/b64"
    say_value invariance "$name" "$(paste -d '\n' "$SCRATCH/b1" "$SCRATCH/b64" | awk '
        { n = split($0, part, /"index":/)
          for (i = 2; i <= n; i++) {
              class = part[i] + 0
              match(part[i], /"logit":[^,}]*/)
              logit = substr(part[i], RSTART + 8, RLENGTH - 8) + 0
              if (NR % 2) first[class] = logit
              else if (class in first) { d = logit - first[class]; if (d < 0) d = -d; if (d > worst) worst = d }
              if (logit > most) most = logit
              if (-logit > most) most = -logit
          } }
        END { if (most > 0) printf "%.2e", worst / most }')" '' 'of the largest logit; f16'
}
part_invariance() {
    local tau=0.8
    INVARIANT_MODEL=$HERE/model INVARIANT_PICTURES=("$HERE"/pictures/*)
    [ "$EMULATED" = no ] || { INVARIANT_MODEL=$TINY tau=0.5 INVARIANT_PICTURES=("${INVARIANT_PICTURES[@]:0:3}"); }
    same_bits '--deterministic: the same bits in batches of 1, 7 and 64'
    same_bits '--deterministic with MaMe: the same bits in batches of 1, 7 and 64' --merge mame --tau $tau
    largest_difference 'without --deterministic: largest difference between batches of 1 and 64'
    largest_difference 'without --deterministic, with MaMe: largest difference' --merge mame --tau $tau
}

sanitizer() { # PART NAME TOOL FLAG...
    local part=$1 name=$2 tool=$3 program picture=$HERE/pictures runs=0 status flags
    shift 3
    only_on_a_gpu
    program=$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer /usr/local/cuda-*/bin/compute-sanitizer 2>/dev/null | head -1)
    [ -n "$program" ] || skip 'compute-sanitizer is not on this machine'
    picture=$(ls -d "$HERE"/pictures/* | head -1)
    for flags in '' '--merge mame --tau 0.5' '--merge mame --tau 0.5 --restore 2' '--merge tome --r 3' '--merge evit --merge-layers 1,2'; do
        for dtype in f16 f32; do
            local model=$TINY
            [[ $flags == *restore* ]] && model=$TINY_MEAN
            LD_LIBRARY_PATH=$LIBRARIES "$program" --tool "$tool" --error-exitcode 99 "$@" "$HERE/vitrun" classify -q -m "$model" \
                --device cuda --dtype $dtype $flags "$picture" >"$SCRATCH/sanitizer" 2>&1
            status=$?
            cat "$SCRATCH/sanitizer" >&2
            grep -qiE 'not supported|unable to|failed to (initialize|launch)' "$SCRATCH/sanitizer" &&
                skip "compute-sanitizer does not work here: $(grep -iE 'not supported|unable to|failed to' "$SCRATCH/sanitizer" | head -1)"
            if [ $status -ne 0 ]; then
                say_verdict "$part" "$name" failed "classify $flags --dtype $dtype: $(grep -E '^=+ *[A-Z]' "$SCRATCH/sanitizer" | sed -n 2p) $(tail -1 "$SCRATCH/sanitizer")"
                return
            fi
            runs=$((runs + 1))
        done
    done
    say_verdict "$part" "$name" passed "$runs runs of classify on small models"
}
part_sanitizer_memory() { sanitizer sanitizer-memory 'compute-sanitizer memcheck' memcheck; }
part_sanitizer_races() { sanitizer sanitizer-races 'compute-sanitizer racecheck' racecheck; }

# ---- speed, without Python ----

# What vitrun bench writes; where it fails, its own last words are in the log.
bench() { ours vitrun bench -q --device cuda "$@"; }

# A row for each combination, on the pack's photographs.
bench_rows() { # LABEL FLAG...
    local label=$1 line
    shift
    if ! bench --json "$@" "$HERE"/pictures/* >"$SCRATCH/bench"; then
        say_verdict speed "$label ($*)" failed 'vitrun bench failed; gpu-check.log has what it said'
    fi
    grep '"img_per_s":' "$SCRATCH/bench" | while IFS= read -r line; do
        field() { sed "s/.*\"$1\":\"\{0,1\}\([^,\"]*\).*/\1/" <<<"$line"; }
        say_value speed "$label, $(field dtype), batch $(field batch), merging $(field merge)" "$(field img_per_s)" img/s \
            "p50 $(field ms_p50) ms, p90 $(field ms_p90) ms, $(field input), GMACs $(field gmacs)"
    done
}
part_speed() {
    local lanes
    if [ "$EMULATED" = yes ]; then
        bench_rows 'a tiny model' -m "$TINY" -b 1 -r 1 --min-seconds 0
        return
    fi
    bench_rows 'default model' -m "$HERE/model" -b 1,64,256
    bench_rows 'default model' -m "$HERE/model" -b 1,256 --merge mame --tau 0.8
    bench_rows DeiT-B --arch deit_base_patch16_224 --random -b 1
    bench_rows DeiT-B --arch deit_base_patch16_224 --random -b 256 --dtype f16,bf16,tf32,f32
    for lanes in 1 2; do
        bench_rows "DeiT-B, --lanes $lanes" --arch deit_base_patch16_224 --random -b 1024 --lanes $lanes
        bench_rows "DeiT-B, --lanes $lanes" --arch deit_base_patch16_224 --random -b 1024 --lanes $lanes --merge mame --tau 0.8
    done
    bench_rows DeiT-S --arch deit_small_patch16_224 --random -b 1,256
    bench_rows ViT-L --arch vit_large_patch16_224 --random -b 256 -r 5
}

# Most memory of GPU 0 in use while a command runs, in MiB.
most_memory() {
    local used most=0
    "$@" >/dev/null &
    while kill -0 $! 2>/dev/null; do
        used=$(nvidia-smi -i 0 --query-gpu=memory.used --format=csv,noheader,nounits)
        [ "${used:-0}" -le "$most" ] || most=$used
    done
    wait $! && echo "$most"
}
# The context is what a model of 60 kB takes, less the 32 MiB that cuBLASLt gets from us.  Pixels do not matter here.
part_memory() {
    local tiny big lanes name='device memory above the context, DeiT-B, batch 1,024'
    only_on_a_gpu
    command -v nvidia-smi >/dev/null || skip 'nvidia-smi is not there'
    tiny=$(most_memory bench -m "$TINY" -b 1 --lanes 1 --synthetic --min-seconds 4) || fail 'vitrun bench failed on a tiny model'
    for lanes in 2 1; do
        big=$(most_memory bench --arch deit_base_patch16_224 --random --fp16 -b 1024 --lanes $lanes --synthetic --min-seconds 5) ||
            fail "vitrun bench of DeiT-B, batch 1024, failed with --lanes $lanes"
        say_value memory "$name$([ $lanes -eq 2 ] || echo ', --lanes 1')" \
            "$(awk -v b="$big" -v t="$tiny" 'BEGIN { printf "%.3f", (b - t + 32) * 1.048576e-3 }')" GB \
            "$big MiB in use; $tiny MiB with a tiny model, 32 of them ours"
    done
}

seconds_of() { # COMMAND...
    local start=$EPOCHREALTIME
    "$@" >/dev/null || return
    awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.4f\n", b - a }'
}
part_cold() {
    local model=$HERE/model picture
    picture=$(ls -d "$HERE"/pictures/* | head -1)
    [ "$EMULATED" = no ] || model=$TINY
    for _ in 1 2 3 4 5 6 7; do
        seconds_of ours vitrun classify -q -k 1 --device cuda -m "$model" "$picture" || fail 'vitrun classify failed'
    done >"$SCRATCH/seconds"
    say_value cold 'cold start to first logits, default model' "$(median <"$SCRATCH/seconds")" s 'whole process, median of 7, files cached'
}

# ---- kernel by kernel ----

# The rows of bench --kernels, on the pack's photographs: verb, kernel, launches, ms, share and flops, separated by tabs.
# Columns are found by their names; commas between quotes separate nothing.
kernel_rows() { # FLAG...
    bench --kernels --format csv "$@" "$HERE"/pictures/* >"$SCRATCH/csv" || fail 'vitrun bench --kernels failed'
    awk -v wanted='verb kernel launches ms share flops' '
        function cells(line,   i, c, inside, tabbed) {
            for (i = 1; i <= length(line); i++) {
                c = substr(line, i, 1)
                if (c == "\"") inside = !inside
                else tabbed = tabbed (c == "," && !inside ? "\t" : c)
            }
            return split(tabbed, cell, "\t")
        }
        BEGIN { n = split(wanted, name, " ") }
        NR == 1 {
            for (i = cells($0); i > 0; i--) at[cell[i]] = i
            for (i = 1; i <= n; i++) if (!(name[i] in at)) { print "bench --kernels has no column " name[i] > "/dev/stderr"; exit 1 }
            next
        }
        { cells($0); for (i = 1; i <= n; i++) printf "%s%s", cell[at[name[i]]], i < n ? "\t" : "\n" }
        ' "$SCRATCH/csv" >"$SCRATCH/kernels" || fail 'what bench --kernels prints is not what was expected'
    cat "$SCRATCH/kernels" >&2
}
part_kernels() {
    local verb kernel launches ms share of='DeiT-B, f16, batch 256, MaMe, tau 0.8'
    local flags=(--arch deit_base_patch16_224 --random --fp16 -b 256 --merge mame --tau 0.8)
    [ "$EMULATED" = no ] || { of='a tiny model' flags=(-m "$TINY" -b 1 -r 1 --min-seconds 0 --merge mame --tau 0.5); }
    kernel_rows "${flags[@]}"
    say_value kernels "merge kernels' share of the step" \
        "$(awk -F'\t' '$1 == "mame" { share += $5 } END { printf "%.2f", 100 * share }' "$SCRATCH/kernels")" % "$of, one lane"
    while IFS=$'\t' read -r verb kernel launches ms share _; do
        say_value kernels "$verb, ${kernel/#-/not in any kernel}" "$ms" ms \
            "$(awk -v s="$share" 'BEGIN { printf "%.1f", 100 * s }') % of the step, $launches launches"
    done < <(awk -F'\t' -v OFS='\t' '$2 == "" { $2 = "-" } { print }' "$SCRATCH/kernels") # read would skip an empty one
}

# ---- beside torch ----

peers() { # PART NAME
    local status
    only_on_a_gpu
    "$PYTHON" -c 'import numpy, PIL, safetensors, timm, torch; assert torch.cuda.is_available()' 2>"$SCRATCH/import" ||
        skip "no Python with numpy, PIL, safetensors, timm and a torch that sees the GPU ($PYTHON: $(tail -1 "$SCRATCH/import")); name one with PYTHON="
    : >"$SCRATCH/measured"
    "$PYTHON" "$HERE/peers.py" "$2" --rows "$SCRATCH/measured" --library-path "$LIBRARIES" >&2 &
    trap 'kill $! 2>/dev/null' TERM # time is up: what was measured so far counts
    wait $!
    status=$?
    say_measured "$1"
    return $status
}
say_measured() { # PART
    local name value unit note
    while IFS=$'\t' read -r name value unit note; do say_value "$1" "$name" "$value" "$unit" "$note"; done <"$SCRATCH/measured"
}
part_attention() {
    local cudnn
    peers attention attention || return
    cudnn=$(awk -F'\t' '/cudnn/ && $2 + 0 > 0 { print $2 }' "$SCRATCH/measured")
    [ -n "$cudnn" ] || skip "torch's SDPA by cuDNN does not work here"
    kernel_rows --arch deit_base_patch16_224 --random --fp16 -b 64
    # By useful flops a second, since our attention's calls are of as many images as fit the plan.
    say_value attention "attention, 197 tokens, head 64, batch 64: speed / cuDNN's SDPA" "$(awk -F'\t' -v us="$cudnn" '
        $1 == "attention" { ms += $4; flops += $6 }
        END { if (ms > 0) printf "%.3f", flops / (ms * 1e-3) / (4 * 64 * 12 * 197 * 197 * 64 / (us * 1e-6)) }' "$SCRATCH/kernels")" x \
        'by useful flops a second, DeiT-B, the last block with its class rows alone included'
}
part_peers_deit_base() { peers peers-deit_base deit_base; }
part_peers_latency() { peers peers-latency latency; }
part_peers_deit_small() { peers peers-deit_small deit_small; }
part_peers_vit_large() { peers peers-vit_large vit_large; }
part_peers_mame() { peers peers-mame mame; }
