"""Everything the lab can do, by name, read from the specs that core/papers.py names. Listing it imports no torch."""

from __future__ import annotations

import importlib
from difflib import get_close_matches

from core.engine.errors import LabError
from core.engine.experiment import Experiment, shown
from core.papers import PAPERS, Paper


def declared(paper: Paper) -> tuple[Experiment, ...]:
    """What a paper's spec declares, in its order; nothing while it has none."""
    return importlib.import_module(paper.spec).EXPERIMENTS if paper.spec else ()


# An entry itself, or "module:function" of a function with a decorated `.experiment`, as tests add them.
EXPERIMENTS: dict[str, Experiment | str] = {entry.name: entry for paper in PAPERS for entry in declared(paper)}


def find(name: str) -> Experiment:
    """The experiment or probe of that name. Raises LabError naming the nearest."""
    if not isinstance(name, str) or name not in EXPERIMENTS:
        near = get_close_matches(str(name)[:100], EXPERIMENTS, n=1)
        runs = (one for one, entry in EXPERIMENTS.items() if isinstance(entry, str) or entry.kind == "experiment")
        raise LabError(f"There is no experiment called {shown(name)}.",
                       f"Did you mean '{near[0]}'?" if near else f"There are: {', '.join(runs)}. The verb 'list' also names the probes.")
    entry = EXPERIMENTS[name]
    if isinstance(entry, Experiment):
        return entry
    module, _, function = entry.partition(":")
    return getattr(importlib.import_module(module), function).experiment


def everything() -> list[Experiment]:
    """Every experiment and probe, paper by paper."""
    return [find(name) for name in EXPERIMENTS]
