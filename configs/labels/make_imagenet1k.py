#!/usr/bin/env python3
"""Write imagenet1k.txt: line i is the synset of class i, a tab, and its words.

    python3 configs/labels/make_imagenet1k.py > configs/labels/imagenet1k.txt

Both lists come with the PyPI package timm (made with 1.0.31): the 1,000 synsets of the ImageNet challenge, in sorted
order, which is the order of the classes, and the words of each, which are WordNet's (WORDNET-LICENSE.txt).
"""
import importlib.util
import pathlib
import re


def main():
    # find_spec does not import timm, which would want torch.
    info = pathlib.Path(importlib.util.find_spec("timm").origin).parent / "data" / "_info"
    synsets = (info / "imagenet_synsets.txt").read_text(encoding="utf-8").split()
    pairs = (info / "imagenet_synset_to_lemma.txt").read_text(encoding="utf-8").splitlines()
    lemma = dict(line.split("\t") for line in pairs)
    assert len(synsets) == len(set(synsets)) == 1000 and synsets == sorted(synsets)
    for synset in synsets:
        assert re.fullmatch(r"n\d{8}", synset) and lemma[synset].strip() == lemma[synset] != ""
        print(synset, lemma[synset], sep="\t")


main()
