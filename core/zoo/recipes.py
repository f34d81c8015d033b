"""The table of embedded models and the recipes that make them.

    build("worlds", report=lambda step, total, note: print(step, total, note))    # assets/models/worlds

The same recipe on the same machine and versions gives the same file, bit for bit: one thread, seeded throughout.
"""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

import torch

from core.engine.errors import LabError
from core.engine.settings import ASSETS
from core.zoo.package import Report, seal

# a recipe fills an empty folder with a stored model, its tokenizer, card.md and data: recipe(folder, report)
RECIPES = {
    "reasoner-50": "core.zoo.reasoner:young",
    "reasoner-70": "core.zoo.reasoner:middle",
    "reasoner-85": "core.zoo.reasoner:grown",
    "worlds": "core.zoo.worlds.build:build_worlds",
    "worlds-retain": "core.zoo.worlds.build:build_worlds_retain",
    "worlds-128": "core.zoo.worlds.build:build_worlds_128",
    "worlds-256": "core.zoo.worlds.build:build_worlds_256",
    "learngene-letters-ancestor": "core.zoo.learngene:letters_ancestor",
    "learngene-digits-ancestor": "core.zoo.learngene:digits_ancestor",
    "learngene-letters": "core.zoo.learngene:letters",
    "learngene-digits": "core.zoo.learngene:digits",
    "learngene-letters-flat": "core.zoo.learngene:letters_flat",
    "learngene-letters-scratch-4-5": "core.zoo.learngene:letters_scratch_4_5",
    "learngene-letters-scratch-8-5": "core.zoo.learngene:letters_scratch_8_5",
    "learngene-letters-scratch-12-5": "core.zoo.learngene:letters_scratch_12_5",
    "learngene-letters-scratch-4-20": "core.zoo.learngene:letters_scratch_4_20",
    "learngene-letters-scratch-8-20": "core.zoo.learngene:letters_scratch_8_20",
    "learngene-letters-scratch-12-20": "core.zoo.learngene:letters_scratch_12_20",
    "learngene-pool-ancestor": "core.zoo.learngene_pool:ancestor",
    "learngene-instances-small": "core.zoo.learngene_pool:instances_small",
    "learngene-instances-large": "core.zoo.learngene_pool:instances_large",
    "learngene-pool-small": "core.zoo.learngene_pool:pool_small",
    "learngene-pool-large": "core.zoo.learngene_pool:pool_large",
    "learngene-alone-36": "core.zoo.learngene_pool:alone_36",
    "learngene-alone-45": "core.zoo.learngene_pool:alone_45",
    "learngene-alone-54": "core.zoo.learngene_pool:alone_54",
    "learngene-alone-63": "core.zoo.learngene_pool:alone_63",
    "learngene-alone-72": "core.zoo.learngene_pool:alone_72",
}


def build(name: str, report: Report, root: Path = ASSETS / "models") -> Path:
    """Trains, measures and packs the embedded model `name` into `root / name`; the old one stays until the new one is whole.

    report(step, total, note) is called after every training step. Raises LabError for a name without a recipe.
    """
    if name not in RECIPES:
        raise LabError(f"There is no recipe for a model called '{name}'.", f"There are: {', '.join(RECIPES)}.")
    part = root / f".building-{name}"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        module, _, function = RECIPES[name].partition(":")
        getattr(importlib.import_module(module), function)(part, report)
        seal(part)
        shutil.rmtree(root / name, ignore_errors=True)
        part.rename(root / name)
    finally:
        torch.set_num_threads(threads)
        shutil.rmtree(part, ignore_errors=True)
    return root / name
