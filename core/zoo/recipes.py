"""The recipes that make the embedded models; core/papers.py names them.

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
from core.papers import PAPERS
from core.zoo.package import Report, seal

# a recipe fills an empty folder with a stored model, its tokenizer, card.md and data: recipe(folder, report)
RECIPES = {name: recipe for paper in PAPERS for name, recipe in paper.recipes.items()}


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
