"""The table of embedded models and the recipes that make them.

    build("authors", report=lambda step, total, note: print(step, total, note))    # assets/models/authors

The same recipe on the same machine and versions gives the same file, bit for bit: one thread, seeded throughout.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import torch

from core.engine.errors import LabError
from core.engine.settings import ASSETS
from core.zoo.authors import build_authors, build_authors_retain
from core.zoo.package import Report, seal

RECIPES: dict[str, Callable[[Path, Report], None]] = {
    "authors": build_authors,
    "authors-retain": build_authors_retain,
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
        RECIPES[name](part, report)
        seal(part)
        shutil.rmtree(root / name, ignore_errors=True)
        part.rename(root / name)
    finally:
        torch.set_num_threads(threads)
        shutil.rmtree(part, ignore_errors=True)
    return root / name
