#!/usr/bin/env python3
"""vitrun beside torch on one GPU: the same weights, the same photographs, f16, in turn.

    python peers.py deit_base|deit_small|vit_large|latency|mame|attention --rows FILE [--library-path DIRS]

Called by check.sh, from a pack (make gpu-pack), which holds the programs, the pictures and bench_peers.py.  Weights are
random, made once and saved as safetensors for vitrun; outputs are compared before anything is timed.  In each round every
engine has a burst of runs, in rotating order; quoted are the median, the 10th and 90th percentile of the rounds, ratios pair
by pair.  A row is written as soon as it is known: name, value, unit, note, separated by tabs.

torch's time is that of a forward pass whose normalised pixels lie on the GPU, without the copy of logits; a second figure begins
with the photographs' bytes in the host's memory and ends with logits there, as all of vitrun's do.  --device cpu tries the script
where there is no GPU.
"""
import argparse
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
from PIL import Image

from bench_peers import Peer, Vitrun, interleave, make_model

HERE = os.path.dirname(os.path.abspath(__file__))
AGREE = 1e-4     # mean squared difference of logits over their mean square, f16 against torch's f32
MODELS = {"deit_base": ("DeiT-B", "deit_base_patch16_224"), "deit_small": ("DeiT-S", "deit_small_patch16_224"),
          "vit_large": ("ViT-L", "vit_large_patch16_224"), "deit_tiny": ("DeiT-Ti", "deit_tiny_patch16_224")}


class Disagreement(Exception):
    pass


class Rows:
    def __init__(self, path):
        self.path = path

    def add(self, name, value, unit="", note=""):
        line = "\t".join([name, value if isinstance(value, str) else f"{value:.6g}", unit, note.replace("\t", " ")])
        print(line, flush=True)
        with open(self.path, "a") as f:
            print(line, file=f)


def photographs(count):
    """Bytes [count, 224, 224, 3] of the pack's pictures, round and round."""
    folder = os.path.join(HERE, "pictures")
    names, distinct = sorted(os.listdir(folder)), []
    for name in names[:count]:
        im = Image.open(os.path.join(folder, name)).convert("RGB")
        scale = 224 / min(im.size)
        im = im.resize([max(224, round(s * scale)) for s in im.size], Image.BICUBIC)
        left, top = (im.width - 224) // 2, (im.height - 224) // 2
        distinct.append(np.asarray(im.crop((left, top, left + 224, top + 224)), np.uint8))
    return np.stack([distinct[i % len(distinct)] for i in range(count)])


class Normal:
    """Bytes to what a model of timm wants, and the config.json that tells vitrun the same."""

    def __init__(self, model):
        self.mean, self.std = (list(model.pretrained_cfg[k]) for k in ("mean", "std"))
        self.numbers = {}

    def __call__(self, rgb, dtype):
        if rgb.device not in self.numbers:
            self.numbers[rgb.device] = [torch.tensor(v, device=rgb.device).view(1, 3, 1, 1) for v in (self.mean, self.std)]
        mean, std = self.numbers[rgb.device]
        return ((rgb.permute(0, 3, 1, 2).contiguous().float() / 255 - mean) / std).to(dtype)

    def tell(self, folder):
        path = os.path.join(folder, "config.json")
        with open(path) as f:
            config = json.load(f)
        config["pretrained_cfg"] = {"mean": self.mean, "std": self.std}
        with open(path, "w") as f:
            json.dump(config, f)


class Gpu:
    """Where torch computes, and how it is waited for."""

    def __init__(self, device):
        self.device = device
        self.half = torch.float16 if device == "cuda" else torch.float32
        self.wait = torch.cuda.synchronize if device == "cuda" else lambda: None
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False

    def ours(self, folder, x, library_path, merge=()):
        before = os.environ.get("LD_LIBRARY_PATH")
        os.environ["LD_LIBRARY_PATH"] = library_path
        try:
            engine = Vitrun(os.path.join(HERE, "step"), folder, 0, x, merge)
        finally:
            if before is None:
                del os.environ["LD_LIBRARY_PATH"]
            else:
                os.environ["LD_LIBRARY_PATH"] = before
        engine.name = "vitrun" + "".join(f" {m}" for m in merge)
        if self.device == "cuda" and engine.dtype != "f16":
            raise RuntimeError(f"vitrun runs in {engine.dtype} on {engine.isa}, not on the GPU")
        return engine


class Torch(Peer):
    """A model of torch on pixels that lie on the GPU; from_host: on bytes in the host's pinned memory, logits back there."""

    def __init__(self, name, gpu, model, x, normal, from_host=False):
        self.name, self.gpu, self.model, self.normal = name, gpu, model, normal
        rgb = torch.from_numpy(x)
        self.rgb = rgb.pin_memory() if from_host and gpu.device == "cuda" else rgb if from_host else None
        self.pixels = None if from_host else normal(rgb.to(gpu.device), gpu.half)

    def call(self):
        with torch.inference_mode():
            if self.rgb is None:
                return self.model(self.pixels)
            return self.model(self.normal(self.rgb.to(self.gpu.device, non_blocking=True), self.gpu.half)).cpu()

    def outputs(self):
        return self.call().float().cpu().numpy()

    def run(self):
        self.gpu.wait()
        start = time.perf_counter()
        self.call()
        self.gpu.wait()
        return time.perf_counter() - start


def reference(gpu, model, x, normal):
    """torch's f32 logits, a few images at a time."""
    model = model.float().to(gpu.device)
    with torch.inference_mode():
        return np.concatenate([model(normal(torch.from_numpy(x[i:i + 16]).to(gpu.device), torch.float32)).cpu().numpy()
                               for i in range(0, len(x), 16)])


def torch_engines(gpu, model, x, normal, rows):
    half = model.to(gpu.half)
    engines = [Torch("torch eager", gpu, half, x, normal)]
    compiled = torch.compile(half, mode="max-autotune", dynamic=False)
    try:
        engine = Torch("torch.compile", gpu, compiled, x, normal)
        engine.outputs()
        engines += [engine, Torch("torch.compile from the host", gpu, compiled, x, normal, from_host=True)]
    except Exception as e:      # it wants a C compiler, for one
        rows.add("torch.compile", "did not work here", "", str(e).splitlines()[0][:200])
    return engines


def compare_outputs(engines, wanted, rows, label):
    for e in engines:
        found = e.outputs()
        off = float(((found - wanted) ** 2).sum() / (wanted ** 2).sum())
        rows.add(f"{label}, {e.name}: mean squared error against torch's f32", off, "of the logits'")
        if not off <= AGREE:
            raise Disagreement(f"{label}, {e.name}: outputs differ from torch's f32 by {off:.1e} of the logits' mean square")


def measure(engines, args, burst):
    times = interleave(engines, args.rounds, burst)
    return {e.name: times[e.name] for e in engines}


def tell_times(rows, label, times, batch):
    for name, t in times.items():
        rows.add(f"{label}, {name}", batch / statistics.median(t), "img/s",
                 f"ms: median {1e3 * statistics.median(t):.3f}, p10 {1e3 * np.percentile(t, 10):.3f}, "
                 f"p90 {1e3 * np.percentile(t, 90):.3f} of {len(t)} rounds")


def ratio(times, over, under):
    return statistics.median(a / b for a, b in zip(times[over], times[under]))


def spread(times, name):
    """How far apart two halves of one engine's rounds are: a ratio within that of 1 says nothing."""
    t = times[name]
    return abs(statistics.median(t[::2]) / statistics.median(t[1::2]) - 1)


def beside_torch(which, batch, burst, gpu, rows, args):
    label, arch = MODELS[which]
    label = f"{label}, batch {batch}"
    with tempfile.TemporaryDirectory() as folder:
        model = make_model(arch, folder)
        normal = Normal(model)
        normal.tell(folder)
        x = photographs(batch)
        wanted = reference(gpu, model, x, normal)
        engines = [gpu.ours(folder, x, args.library_path)] + torch_engines(gpu, model, x, normal, rows)
        compare_outputs(engines, wanted, rows, label)
        times = measure(engines, args, burst)
        if batch == 1:
            t = times["vitrun"]
            rows.add(f"{label}: latency", 1e3 * statistics.median(t), "ms",
                     f"p10 {1e3 * np.percentile(t, 10):.3f}, p90 {1e3 * np.percentile(t, 90):.3f}, from bytes in the host's memory")
            cold_start(folder, label.split(",")[0], rows, args)
        else:
            rows.add(label, batch / statistics.median(times["vitrun"]), "img/s", "from bytes in the host's memory to logits there")
        tell_times(rows, label, times, batch)
        for peer in list(times)[1:]:
            note = f"spread of vitrun's own rounds {spread(times, 'vitrun'):.3f}, of its {spread(times, peer):.3f}"
            rows.add(f"{label}: speed / {peer}", ratio(times, peer, "vitrun"), "x", note)
        for e in engines:
            e.close()


def cold_start(folder, label, rows, args):
    picture = os.path.join(HERE, "pictures", sorted(os.listdir(os.path.join(HERE, "pictures")))[0])
    seconds = []
    for _ in range(7):
        start = time.perf_counter()
        subprocess.run([os.path.join(HERE, "vitrun"), "classify", "-q", "-k", "1", "--device", args.device, "-m", folder, picture],
                       check=True, stdout=subprocess.DEVNULL, env={**os.environ, "LD_LIBRARY_PATH": args.library_path})
        seconds.append(time.perf_counter() - start)
    rows.add(f"cold start to first logits, {label}", statistics.median(seconds), "s",
             f"vitrun classify of one photograph, whole process, files cached; first {seconds[0]:.2f}, least {min(seconds):.2f}")


def mame(gpu, rows, args):
    """vitrun with MaMe beside vitrun without, on a model that was trained and on DeiT-B with random weights."""
    with tempfile.TemporaryDirectory() as scratch:
        own, deit = os.path.join(scratch, "own"), os.path.join(scratch, "deit")
        os.mkdir(deit)
        os.symlink(os.path.realpath(os.path.join(HERE, "model")), own)
        label, arch = MODELS[args.mame_model]
        Normal(make_model(arch, deit)).tell(deit)
        for name, folder in (("default model", own), (label, deit)):
            for batch in map(int, args.batches.split(",")):
                mame_once(name, folder, photographs(batch), scratch, gpu, rows, args)


def mame_once(name, model, x, scratch, gpu, rows, args):
    folder = os.path.join(scratch, f"{os.path.basename(model)}-{len(x)}")
    os.mkdir(folder)        # pixels and logits go beside the model's files
    for f in os.listdir(model):
        os.symlink(os.path.realpath(os.path.join(model, f)), os.path.join(folder, f))
    engines = [gpu.ours(folder, x, args.library_path), gpu.ours(folder, x, args.library_path, ("mame", "0.8"))]
    rho = engines[0].gmacs / engines[1].gmacs
    times = measure(engines, args, 20 if len(x) == 1 else 3)
    label = f"MaMe, tau 0.8, batch {len(x)}, {name}"
    speed_up = ratio(times, engines[0].name, engines[1].name)
    note = f"GMACs {engines[0].gmacs:.3f} and {engines[1].gmacs:.3f}, ratio {rho:.3f}; speed-up {speed_up:.3f}"
    tell_times(rows, label, times, len(x))
    if rho < 1.1:
        rows.add(f"{label}: too little merges to judge", rho, "x", note)
    elif len(x) == 1:
        rows.add(f"{label}: time / time without", 1 / speed_up, "x", note)
    else:
        rows.add(f"{label}: speed-up / GMACs' ratio", speed_up / rho, "x", note)
    for e in engines:
        e.close()


def attention(gpu, rows, args):
    """torch's attention alone, by each of its back ends: vitrun's own is timed by bench --kernels."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    heads, tokens, size, batch = 12, 197, 64, 64
    q, k, v = (torch.randn(batch, heads, tokens, size, device=gpu.device, dtype=gpu.half) for _ in range(3))
    for backend in (SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH):
        name = f"torch's SDPA by {backend.name.lower()}, 197 tokens, head 64, batch 64"
        try:
            with sdpa_kernel(backend), torch.inference_mode():
                seconds = []
                for r in range(args.rounds + 2):
                    gpu.wait()
                    start = time.perf_counter()
                    for _ in range(20):
                        torch.nn.functional.scaled_dot_product_attention(q, k, v)
                    gpu.wait()
                    seconds.append((time.perf_counter() - start) / 20)
            useful = 4 * batch * heads * tokens * tokens * size / statistics.median(seconds[2:])
            rows.add(name, 1e6 * statistics.median(seconds[2:]), "us", f"{useful * 1e-12:.0f} TFLOP/s")
        except RuntimeError as e:
            rows.add(name, "did not work here", "", str(e).splitlines()[0][:200])


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("what", choices=[*MODELS, "latency", "mame", "attention"])
    ap.add_argument("--rows", required=True)
    ap.add_argument("--library-path", default=os.path.join(HERE, "lib"))
    ap.add_argument("--rounds", type=int, default=15)
    ap.add_argument("--batches", default="256,1", help="of mame")
    ap.add_argument("--mame-model", choices=MODELS, default="deit_base")
    ap.add_argument("--batch", type=int, default=256, help="of the models by name")
    ap.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    args = ap.parse_args()
    if args.rounds < 2:
        ap.error("--rounds: two at least, to see how far they differ")
    gpu, rows = Gpu(args.device), Rows(args.rows)
    if args.device == "cpu":
        rows.add("tried on a CPU", "no figure of a GPU")
    try:
        if args.what == "mame":
            mame(gpu, rows, args)
        elif args.what == "attention":
            attention(gpu, rows, args)
        elif args.what == "latency":
            beside_torch("deit_base", 1, 20, gpu, rows, args)
        else:
            beside_torch(args.what, args.batch, 3, gpu, rows, args)
    except Disagreement as e:
        sys.exit(str(e))


if __name__ == "__main__":
    main()
