#!/usr/bin/env python3
"""Write the schedules of this folder, one for each setting in the paper's tables and ablations, and DiffRate's tables.

    python3 configs/schedules/make_schedules.py          write them
    python3 configs/schedules/make_schedules.py --check  say which differ from what this would write

A file's name is the row it stands for.  Where the paper does not say a number, `source` says what was assumed.
Not here: similarity "eucl" and "softmax" of Fig. 4b, which the paper never defines; Fig. 6's other numbers of blocks and
source ratios, which stand only in its drawing; the rows with Stable Diffusion, which is no Vision Transformer.
"""
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent

# DiffRate's compression_rate.json (github.com/OpenGVLab/DiffRate), verbatim: for each target in GMACs the tokens left by
# pruning and by merging after each block, class token included.  Name, width, blocks, tokens, what the head pools, and
# the table to use when none is named: the one of the paper's Table 1, for ViT-T the one that also halves the cost.
DIFFRATE = [
    ("deit_tiny", 192, 12, 197, "class", "0.6", {  # ViT-T-DeiT
        "0.6": ("197,196,180,157,130,107,86,73,63,51,40,3",
                "197,187,167,139,114,90,76,66,57,45,37,3"),
        "0.7": ("197,196,194,180,150,123,98,82,68,60,52,3",
                "197,196,192,158,133,103,88,72,64,58,49,3"),
        "0.8": ("197,197,196,186,166,147,117,103,92,80,74,3",
                "197,196,190,172,154,125,107,96,84,78,70,3"),
        "0.9": ("197,197,196,190,182,166,141,125,113,105,99,3",
                "197,196,194,188,172,147,129,115,107,103,96,3"),
        "1.0": ("197,197,196,194,188,184,178,164,156,137,129,21",
                "197,197,196,190,186,154,148,156,145,135,125,21"),
    }),
    ("deit_small", 384, 12, 197, "class", "2.3", {  # ViT-S-DeiT
        "2.3": ("197,192,168,143,121,105,92,74,62,45,33,3",
                "197,180,156,127,109,98,80,66,52,37,31,3"),
        "2.5": ("197,192,174,156,131,115,111,99,76,50,39,3",
                "197,186,160,133,119,107,96,82,66,43,37,3"),
        "2.7": ("197,196,182,160,141,127,115,105,88,66,49,3",
                "197,188,170,147,131,119,109,96,76,54,45,3"),
        "2.9": ("197,196,190,168,150,139,129,117,99,78,58,3",
                "197,194,176,156,141,133,121,107,88,64,56,3"),
        "3.1": ("197,197,194,180,160,147,137,129,115,92,76,3",
                "197,196,186,164,150,141,133,121,103,78,68,3"),
    }),
    ("deit_base", 768, 12, 197, "class", "8.7", {  # ViT-B-DeiT
        "8.7": ("197,192,172,156,131,107,90,72,56,33,17,3",
                "197,178,162,141,115,96,78,60,47,21,13,3"),
        "10.0": ("197,194,182,168,148,129,113,101,82,49,25,3",
                 "197,186,174,156,137,117,105,90,66,31,19,3"),
        "10.4": ("197,196,188,174,156,141,121,103,90,58,25,3",
                 "197,190,184,164,145,131,107,94,74,31,21,3"),
        "11.5": ("197,197,197,188,170,154,139,123,107,72,43,3",
                 "197,197,192,178,158,145,127,111,94,50,35,3"),
        "12.5": ("197,197,196,192,184,170,154,139,129,94,58,3",
                 "197,196,194,190,176,160,145,131,115,68,47,3"),
    }),
    ("mae_base", 768, 12, 197, "mean", "8.7", {  # ViT-B-MAE
        "8.7": ("197,192,166,143,119,103,86,72,54,43,37,23",
                "197,176,150,127,107,92,76,58,47,41,23,23"),
        "10.0": ("197,194,173,154,135,120,108,92,76,64,52,40",
                 "197,181,160,141,122,116,95,80,67,60,40,40"),
        "10.4": ("197,195,179,159,140,122,105,100,89,71,56,45",
                 "197,187,166,145,125,109,102,97,75,64,45,45"),
        "11.5": ("197,196,182,172,162,147,131,109,101,94,70,49",
                 "197,192,178,164,150,133,115,101,96,82,49,49"),
    }),
    ("mae_large", 1024, 24, 197, "mean", "31.0", {  # ViT-L-MAE
        "31.0": ("197,195,188,179,168,157,146,143,131,121,111,102,93,85,76,70,61,53,47,35,31,26,21,14",
                 "197,191,184,172,161,151,145,135,125,117,106,96,89,80,72,64,54,50,40,27,27,23,14,14"),
        "34.7": ("197,195,192,189,181,170,161,160,149,140,128,118,109,95,91,82,73,68,58,54,43,38,29,18",
                 "197,193,190,185,173,164,159,154,142,137,121,111,103,97,82,76,67,61,58,48,35,32,18,18"),
        "38.5": ("197,197,195,190,187,183,179,171,164,159,151,143,137,114,106,89,88,85,76,57,47,53,32,24",
                 "197,196,193,189,183,180,175,167,161,158,152,134,120,110,97,91,87,83,65,47,54,34,24,24"),
        "42.3": ("197,197,197,195,194,193,191,187,182,180,173,149,142,134,125,121,111,106,91,87,77,39,38,32",
                 "197,197,196,194,193,192,187,183,181,173,154,146,137,127,123,114,105,98,87,75,43,45,32,32"),
        "46.1": ("197,197,197,196,194,192,191,188,185,181,170,157,154,146,143,139,128,125,111,100,92,83,69,60",
                 "197,197,196,195,193,191,189,187,183,176,162,155,148,145,139,133,127,118,104,95,86,71,60,60"),
    }),
    ("mae_huge", 1280, 32, 257, "mean", "93.2", {  # ViT-H-MAE
        "83.7": ("257,255,246,227,200,178,168,159,155,145,140,139,128,119,114,109,107,100,101,102,117,104,103,97,97,102,95,90,82,83,74,56",
                 "257,252,240,212,186,172,160,163,148,142,138,132,118,114,111,108,103,102,105,106,109,105,108,99,96,96,95,86,79,77,56,56"),
        "93.2": ("257,257,257,257,248,250,240,239,229,209,160,159,149,111,109,106,104,106,101,104,85,96,88,93,94,88,88,91,81,78,76,75",
                 "257,257,257,249,242,241,239,229,209,203,159,150,124,107,107,101,100,101,104,89,101,88,89,88,91,86,86,83,78,78,75,75"),
        "103.4": ("257,256,255,251,245,235,204,197,194,189,185,177,169,160,152,144,146,139,139,136,135,133,131,128,126,126,124,121,114,96,82,53",
                  "257,256,253,247,238,211,201,195,193,185,179,171,162,154,150,145,141,138,137,135,134,133,130,127,125,125,122,114,101,90,53,53"),
        "124.5": ("257,256,252,248,238,237,220,214,198,186,189,191,191,185,188,186,186,183,183,182,182,183,183,181,186,182,182,180,178,180,161,136",
                  "257,254,251,244,238,223,221,203,194,192,191,190,188,184,188,185,184,183,185,183,183,185,183,183,185,183,179,167,177,133,136,136"),
    }),
]

# name: (model, EViT keep and blocks, ToMe r, DiffRate's table)
TABLE1 = {
    "deit_s": ("deit_small_patch16_224", 0.5, "3,6,9", 16, "2.3"),
    "deit_b": ("deit_base_patch16_224", 0.5, "3,6,9", 16, "8.7"),
    "mae_b": ("mae_vit_base_patch16_224", 0.5, "3,6,9", 16, "8.7"),
    "mae_l": ("mae_vit_large_patch16_224", 0.5, "6,12,18", 8, "31.0"),
    "mae_h": ("mae_vit_huge_patch14_224", 0.6, "9,18,27", 7, "93.2"),
}
RECOVERED = "; the paper gives only GMACs, from which this was recovered"
NOT_STATED = "; its blocks are not stated, the first 8 are assumed"
ASSUMED_EVIT = "; not identified: keep 0.6 at 9/18/27 comes to its 99.1 GMACs"


def mame(tau, layers="0-7", **more):
    step = {"method": "mame", "layers": layers, "tau": tau, "rule": "alg1", "refine": True, "partition": "alternating",
            "feature": "x", "similarity": "cosine", "forced": None}
    step.update(more)
    return step


def tome(r):
    return {"method": "tome", "r": r}


def schedules():
    """Yield name, model, source, step."""
    for row, (model, keep, blocks, r, rates) in TABLE1.items():
        yield f"table1_mame_{row}", model, "paper, Table 1", mame(0.8)
        yield f"table1_tome_{row}", model, "paper, Table 1" + RECOVERED, tome(r)
        yield (f"table1_evit_{row}", model, "paper, Table 1" + (ASSUMED_EVIT if row == "mae_h" else RECOVERED),
               {"method": "evit", "layers": blocks, "keep": keep, "fuse": False})
        yield f"table1_diffrate_{row}", model, "paper, Table 1" + RECOVERED, {"method": "diffrate", "rates": rates}

    for row, model in ("t", "deit_tiny"), ("s", "deit_small"), ("b", "deit_base"):
        yield (f"table2_mame_vit_{row}", model + "_patch16_224",
               "paper, Table 2, from scratch and fine-tuned: forced 2:1 at blocks 3/6/9", mame(0.5, "3,6,9", forced="merge"))
        yield (f"table2_mame_last_vit_{row}", model + "_patch16_224",
               "paper, Table 2, last block only; forced 2:1 and tau are assumed as in its other rows",
               mame(0.5, "11", forced="merge"))

    clip, siglip, siglip2 = "clip_vit_large_patch14_224", "siglip_base_patch16_512", "siglip2_base_patch16_512"
    for name, model, taus, rs in (("clip_l", clip, (0.7, 0.8), (8, 12)), ("siglip_b", siglip, (0.8, 0.9), (32, 64)),
                                  ("siglip2_b", siglip2, (0.9, 0.95), (32, 64))):
        for tau in taus:
            yield f"table3_mame_{name}_t{tau}", model, "paper, Table 3" + NOT_STATED, mame(tau)
        for r in rs:
            yield f"table3_tome_{name}_r{r}", model, "paper, Table 3", tome(r)

    llava = "clip_vit_large_patch14_336"
    yield "table4_mame_llava", llava, "paper, Table 4, LLaVA-1.5-7B's vision tower" + NOT_STATED, mame(0.8)
    yield "table4_tome_llava", llava, "paper, Table 4, LLaVA-1.5-7B's vision tower", tome(8)

    for name, taus, rs in ("b", (0.8, 0.9), (96, 128)), ("l", (0.8,), (32,)):
        model = {"b": "videomae_base_patch16_224", "l": "videomae_large_patch16_224"}[name]
        for tau in taus:
            yield f"table6_mame_videomae_{name}_t{tau}", model, "paper, Table 6" + NOT_STATED, mame(tau)
        for r in rs:
            yield f"table6_tome_videomae_{name}_r{r}", model, "paper, Table 6", tome(r)

    augreg = "vit_base_patch16_224"
    variants = {"default": {}, "feature_k": {"feature": "k"}, "feature_k-mean": {"feature": "k-mean"},
                "similarity_dot": {"similarity": "dot"}, "partition_sequential": {"partition": "sequential"},
                "partition_random": {"partition": "random", "seed": 0, "share": 0.5}, "refine_off": {"refine": False}}
    for name, more in variants.items():
        yield f"fig4_{name}", augreg, "paper, Fig. 4 and 5 (AugReg ViT-B/16)", mame(0.8, **more)
    for name, more in ("refine_off", {"refine": False}), ("default", {}):
        yield f"fig4_{name}_mae_b", TABLE1["mae_b"][0], "paper, Fig. 4d, row mae", mame(0.8, **more)

    for size in "small", "base", "large":
        for tau in 0.6, 0.65, 0.7, 0.75, 0.8:
            yield (f"fig6_vit_{size[0]}_t{tau}", f"vit_{size}_patch16_224",
                   "paper, Fig. 6 (AugReg), sweep of tau at 8 blocks; its steps between 0.6 and 0.8 are assumed", mame(tau))
    for seed in range(5):
        yield (f"fig6_random_vit_b_seed{seed}", augreg, "paper, Fig. 6 (AugReg), random partition; five seeds, ratio assumed",
               mame(0.8, partition="random", seed=seed, share=0.5))


def pool_of(step):
    return "mass" if step["method"] in ("tome", "diffrate") else "plain"


def text_of(name, model, source, step):
    top = {"name": name, "source": source, "model": model, "scope": "image", "pool": pool_of(step), "prop_attn": "auto"}
    lines = [f'  "{key}": {json.dumps(value)},\n' for key, value in top.items()]
    return "{\n" + "".join(lines) + '  "steps": [\n    ' + json.dumps(step) + "\n  ]\n}\n"


def diffrate_text():
    families = []
    for name, dim, depth, tokens, pool, default, rates in DIFFRATE:
        rows = []
        for rate, lists in rates.items():
            for counts in lists:
                assert len(counts.split(",")) == depth
            prune, merge = lists
            rows.append(f'      "{rate}": {{\n        "prune": [{prune}],\n        "merge": [{merge}]\n      }}')
        families.append(f'    {{"name": "{name}", "dim": {dim}, "depth": {depth}, "tokens": {tokens}, "pool": "{pool}", '
                        f'"default": "{default}", "rates": {{\n' + ",\n".join(rows) + "\n    }}")
    return ('{\n  "source": "DiffRate, compression_rate.json",\n  "tables": [\n' + ",\n".join(families) + "\n  ]\n}\n")


def main():
    files = {"diffrate.json": diffrate_text()}
    for name, model, source, step in schedules():
        assert name + ".json" not in files, name
        files[name + ".json"] = text_of(name, model, source, step)
    for name, text in files.items():
        json.loads(text)
    if "--check" not in sys.argv[1:]:
        for name, text in files.items():
            (HERE / name).write_text(text, encoding="utf-8")
        return 0
    found = {p.name: p.read_text(encoding="utf-8") for p in HERE.glob("*.json")}
    wrong = sorted(n for n in files.keys() | found.keys() if files.get(n) != found.get(n))
    for name in wrong:
        print(f"{name}: differs from what make_schedules.py writes", file=sys.stderr)
    return 1 if wrong else 0


sys.exit(main())
