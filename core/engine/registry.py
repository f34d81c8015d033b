"""The static table of everything the lab can do. Listing it imports no torch."""

from __future__ import annotations

import importlib
from difflib import get_close_matches

from core.engine.errors import LabError
from core.engine.experiment import Experiment, shown

EXPERIMENTS = {
    "unlearning/audit": "core.unlearning.audit.experiments:audit",
    "unlearning/ask": "core.unlearning.audit.experiments:ask",
    "unlearning/actpert": "core.unlearning.audit.experiments:actpert",
    "unlearning/questions": "core.unlearning.audit.own:brought",
    "unlearning/soft-tokens": "core.unlearning.soft_tokens.experiments:soft_tokens",
    "learngene/depths": "core.learngene.depth.survey:depths",
    "learngene/train": "core.learngene.depth.experiments:train",
    "learngene/finetune": "core.learngene.depth.experiments:finetune",
    "learngene/expand": "core.learngene.depth.probes:expand",
    "learngene/linearity": "core.learngene.depth.probes:linearity",
    "learngene/storage": "core.learngene.depth.probes:storage",
    "reasoning/trace": "core.reasoning.experiments:trace_thought",
    "reasoning/roc": "core.reasoning.experiments:roc",
    "reasoning/energy": "core.reasoning.probes:energy_of",
    "reasoning/corrupt": "core.reasoning.probes:corrupt_one",
    "learngene/pool": "core.learngene.pool.experiments:pool",
    "learngene/stitch": "core.learngene.pool.experiments:stitch",
    "learngene/inits": "core.learngene.pool.experiments:inits",
    "learngene/path": "core.learngene.pool.probes:path",
    "learngene/alone": "core.learngene.pool.probes:trained_alone",
    "learngene/pictures": "core.learngene.own:brought",
}


def find(name: str) -> Experiment:
    """The experiment or probe of that name. Raises LabError naming the nearest."""
    if not isinstance(name, str) or name not in EXPERIMENTS:
        near = get_close_matches(str(name)[:100], EXPERIMENTS, n=1)
        raise LabError(f"There is no experiment called {shown(name)}.",
                       f"Did you mean '{near[0]}'?" if near else f"There are: {', '.join(EXPERIMENTS)}.")
    module, _, function = EXPERIMENTS[name].partition(":")
    return getattr(importlib.import_module(module), function).experiment


def everything() -> list[Experiment]:
    """Every experiment and probe, in the order of the table."""
    return [find(name) for name in EXPERIMENTS]
