#!/usr/bin/env python3
"""vitrun beside ONNX Runtime, OpenVINO and torch: the same weights, the same pixels, the same threads, in turn.

    python tests/bench/peers.py --step build/step [--models deit_small,deit_base] [--batches 1,8] [--threads 2] [--rounds 25]
        [--busy N] [--no-compile]

Outputs are compared before anything is timed.  Each round runs every engine once, in rotating order, with a pause in
which the others' threads fall asleep; quoted are medians, and ratios pair by pair.  --busy N keeps N cores busy with
processes of other sessions meanwhile.  torch runs eagerly and compiled, which wants a C++ compiler; --no-compile leaves
that out.  Needs torch, timm, onnxruntime, openvino and onnxscript.
"""
import argparse
import contextlib
import copy
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import timm
import torch
from safetensors.torch import save_file


def make_model(name, folder):
    torch.manual_seed(0)
    model = timm.create_model(name, pretrained=False).eval()
    with torch.no_grad():
        for n, p in model.named_parameters():          # random, but with norms and biases that matter
            if p.ndim == 1:
                p.add_(torch.randn_like(p) * 0.1)
            elif n.startswith("head"):
                p.copy_(torch.randn_like(p) * 0.05)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, os.path.join(folder, "model.safetensors"))
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump({"architecture": name, "num_classes": 1000}, f)
    return model


class Vitrun:
    name = "vitrun f32"

    def __init__(self, step, folder, threads, x, merge=(), dtype=None):
        self.pixels = os.path.join(folder, "pixels.rgb" if x.dtype == np.uint8 else "pixels.f32")
        self.logits = os.path.join(folder, "-".join(["logits", dtype or "", *merge]) + ".f32")
        if dtype:
            self.name = "vitrun " + dtype
        self.images = len(x)
        x.tofile(self.pixels)
        self.process = subprocess.Popen([step, folder, str(threads), str(len(x)), self.pixels, self.logits, *merge],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=dict(os.environ, **({"STEP_DTYPE": dtype} if dtype else {})))
        words = self.process.stdout.readline().split()
        if len(words) != 3:
            raise RuntimeError(f"step ended with exit status {self.process.wait()}")
        self.isa, self.dtype, self.gmacs = words[0], words[1], float(words[2])

    def outputs(self):
        return np.fromfile(self.logits, np.float32).reshape(self.images, -1)

    def run(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Peer:
    def __init__(self, name, call):
        self.name, self.call = name, call

    def outputs(self):
        return self.call()

    def run(self):
        start = time.perf_counter()
        self.call()
        return time.perf_counter() - start

    def close(self):
        pass


def export(model, x, folder):
    path = os.path.join(folder, "model.onnx")
    torch.onnx.export(model, (torch.from_numpy(x),), path, input_names=["x"], output_names=["y"], dynamo=True)
    return path


def onnxruntime_peer(path, x, threads, dtype="f32"):
    """int8: weights by output, activations by tensor as they come, which is what it does without calibration."""
    import onnxruntime as ort
    if dtype == "int8":
        from onnxruntime import quantization
        quantization.quantize_dynamic(path, path + ".int8", per_channel=True, weight_type=quantization.QuantType.QInt8)
        path += ".int8"
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return Peer("ONNX Runtime " + dtype, lambda: session.run(None, {"x": x})[0])


def openvino_peer(path, x, threads, dtype="f32"):
    import openvino as ov
    core = ov.Core()
    compiled = core.compile_model(core.read_model(path), "CPU", {
        "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": dtype})
    request = compiled.create_infer_request()
    return Peer("OpenVINO " + dtype, lambda: request.infer({0: x})[compiled.output(0)])


def torch_peer(model, x, dtype=torch.float32, compiled=False):
    model, tensor = copy.deepcopy(model).to(dtype), torch.from_numpy(x).to(dtype)
    if compiled:
        from torch._inductor import config
        config.freezing = True      # weights are constants, packed once
        torch._dynamo.reset()       # or what it saw of another batch would make this one's shapes variable
        model = torch.compile(model, dynamic=False)

    def call():
        with torch.no_grad() if compiled else torch.inference_mode():
            return model(tensor).float().numpy()
    return Peer(("torch compiled " if compiled else "torch ") + ("bf16" if dtype == torch.bfloat16 else "f32"), call)


def has(*flags):
    with open("/proc/cpuinfo") as f:
        there = next(line for line in f if line.startswith("flags")).split()
    return any(flag in there for flag in flags)


def all_engines(args, folder, model, x):
    """f32 of everybody; bf16 of the others where the processor multiplies it, int8 where it does that."""
    path = export(model, x, folder)
    engines = [Vitrun(args.step, folder, args.threads, x, dtype="f32"), onnxruntime_peer(path, x, args.threads),
               openvino_peer(path, x, args.threads), torch_peer(model, x), Vitrun(args.step, folder, args.threads, x, dtype="bf16")]
    if has("avx512_bf16", "amx_bf16"):
        engines += [openvino_peer(path, x, args.threads, "bf16"), torch_peer(model, x, torch.bfloat16)]
    if not args.no_compile:
        engines.append(torch_peer(model, x, compiled=True))
        if has("avx512_bf16", "amx_bf16"):
            engines.append(torch_peer(model, x, torch.bfloat16, compiled=True))
    if has("avx512_vnni"):
        engines += [Vitrun(args.step, folder, args.threads, x, dtype="int8"), onnxruntime_peer(path, x, args.threads, "int8")]
    return engines


@contextlib.contextmanager
def busy_cores(count):
    """So many processes that only turn, each of its own session, as another job would be."""
    jobs = [subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True) for _ in range(count)]
    try:
        yield
    finally:
        for job in jobs:
            job.kill()
            job.wait()


def interleave(engines, rounds, burst=1):
    """Seconds of each engine, round by round, another one first each time; two rounds more to warm up.  A round is the
    median of a burst of runs."""
    times = {e.name: [] for e in engines}
    for r in range(rounds + 2):
        for e in engines[r % len(engines):] + engines[:r % len(engines)]:
            time.sleep(0.03)
            t = statistics.median(e.run() for _ in range(burst))
            if r >= 2:
                times[e.name].append(t)
    return times


def compare(name, batch, args):
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(name, folder)
        x = np.random.default_rng(1).standard_normal((batch, 3, 224, 224), dtype=np.float32)
        engines = all_engines(args, folder, model, x)
        ours = engines[0]
        wanted = torch_peer(model, x).outputs()
        for e in engines:
            error = np.abs(e.outputs() - wanted).max() / np.abs(wanted).max()
            assert error < {"f32": 1e-4, "bf16": 5e-2, "int8": 1e-1}[e.name.split()[-1]], f"{e.name}: outputs differ by {error}"
            print(f"{e.name}: largest difference from torch f32 {error:.1e} of the largest logit", file=sys.stderr)
        with busy_cores(args.busy):
            times = interleave(engines, args.rounds)
        rows = []
        for e in engines:
            t = times[e.name]
            ratio = statistics.median(b / a for a, b in zip(times[ours.name], t))
            rows.append((e.name, statistics.median(t) * 1e3, min(t) * 1e3, np.percentile(t, 90) * 1e3, ratio))
            e.close()
        return ours.isa, rows


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--step", required=True)
    ap.add_argument("--models", default="deit_small,deit_base")
    ap.add_argument("--batches", default="1,8")
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--rounds", type=int, default=25)
    ap.add_argument("--busy", type=int, default=0)
    ap.add_argument("--no-compile", action="store_true")
    args = ap.parse_args()
    torch.set_num_threads(args.threads)
    print("| model | batch | engine | median ms | min ms | p90 ms | time / vitrun f32 |\n|---|---|---|---|---|---|---|")
    for name in args.models.split(","):
        for batch in map(int, args.batches.split(",")):
            isa, rows = compare(name + "_patch16_224", batch, args)
            for engine, median, low, p90, ratio in rows:
                print(f"| {name} | {batch} | {engine} | {median:.1f} | {low:.1f} | {p90:.1f} | {ratio:.2f} |", flush=True)
    beside = f", {args.busy} cores kept busy by another job" if args.busy else ""
    print(f"\n{args.threads} threads, {args.rounds} rounds{beside}, vitrun on {isa}; load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
