#!/usr/bin/env python3
"""Top-1 of `vitrun classify --json` over a folder whose sub-folders are named by WordNet id.

    vitrun classify --json -k 1 DIR/val | python3 weights/top1.py
"""
import json
import os
import sys

right = wrong = failed = 0
for line in sys.stdin:
    row = json.loads(line)
    if row["error"]:
        failed += 1
    elif row["topk"][0]["synset"] == os.path.basename(os.path.dirname(row["file"])):
        right += 1
    else:
        wrong += 1
total = right + wrong
print(f"{right} of {total} right, top-1 {100 * right / max(total, 1):.2f} %, {failed} not read")
sys.exit(0 if total and not failed else 1)
