"""The model under study: the shared one, or the little scenes model with an adapter put into a copy of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from core.bias.forms import Form, form_of
from core.bias.items import Item, Split, association_items, control_items, occupation_items
from core.bias.spec import AuditConfig, EditConfig, SubjectConfig
from core.bias.words import text_items
from core.engine.errors import LabError
from core.engine.lab import Lab
from core.scenes.adapters import apply_adapter

SCENES = "embedded/scenes"


@dataclass(frozen=True)
class Subject:
    """A model in eval mode and how it is asked. `key`: what makes its answers, for caches."""

    model: Any
    form: Form
    key: tuple[str, ...]

    @property
    def sees(self) -> bool:
        return self.form.sees


def subject(lab: Lab, model: str, planted: str = "consistent", trained: str = "none") -> Subject:
    """Loads once per process. Raises LabError for adapters on a model that has none, and for models that cannot be asked."""
    loaded = lab.load(model)
    names = [name for name, on in (("mixed", planted == "mixed"), (trained, trained != "none")) if on]
    if len(names) == 2:
        raise LabError("The trained rivals exist for the lean that goes mostly to short hair.", "Choose that lean, or no further training.")
    if names and model != SCENES:
        raise LabError("Planted leans and trained rivals belong to embedded/scenes.", "Leave both as they are for another model.")
    key = (loaded.fingerprint, "bias subject", *names)
    if (known := lab.cache.get(key)) is not None:
        return known
    form = form_of(loaded)
    if names:
        fork = lab.fork(model)
        apply_adapter(fork.model, lab.folder("scenes") / f"{names[0]}.safetensors")
        form = form_of(fork)
        fork.model.eval().requires_grad_(False)
    made = Subject(form.model, form, key)
    lab.cache[key] = made
    return made


def of(lab: Lab, config: SubjectConfig) -> Subject:
    return subject(lab, config.model, config.planted, config.trained)


def bias_items(
    lab: Lab,
    config: Any,
    who: Subject,
    split: Split,
    pairs: int,
    *,
    wordings: Sequence[int] = (0,),
    hint: str = "plain",
    drift: bool = False,
    twins: str = "group",
    name: str = "",
) -> list[Item]:
    """Association items of this split for a model that sees, or sentences about occupations for one that reads."""
    if not who.sees:
        return text_items(split, pairs, lab.data(config.words) if config.words else None, wordings=max(2, len(wordings)))
    return association_items(
        split,
        pairs,
        lab.rng(f"{name} {split} {twins}"),
        axis=config.axis,
        preset=config.planted,
        wordings=wordings,
        hint=hint,
        drift=drift,
        twins=twins,
    )


def more_items(lab: Lab, config: AuditConfig | EditConfig, who: Subject, split: Split, jobs: int, *, hint: str = "plain") -> list[Item]:
    """Jobs (for the hair axis) and plain questions: what an edit might spoil. Sentences have neither."""
    if not who.sees:
        return []
    items = control_items(split, max(5, config.controls if split == "test" else config.controls // 2), lab.rng(f"controls {split}"))
    return (occupation_items(split, jobs, hint=hint) if config.axis == "hair" and jobs else []) + items


def unit_rows(items: Sequence[Item], family: str) -> torch.Tensor:
    """Indices of the items whose family begins with `family`. Long (n,)."""
    return torch.tensor([i for i, item in enumerate(items) if item.family.startswith(family)], dtype=torch.long)
