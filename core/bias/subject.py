"""The model under study: the shared one, or the little scenes model with an adapter put into a copy of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from core.bias.forms import Form, form_of
from core.bias.forms import Words as LittleModel
from core.bias.items import Item, Split, association_items, control_items, occupation_items
from core.bias.sets import attribute_of, seen_items, set_items
from core.bias.spec import AuditConfig, EditConfig, SubjectConfig
from core.bias.words import Words, name_items, read_words, text_items
from core.engine.errors import LabError
from core.engine.lab import Lab
from core.scenes.adapters import apply_adapter
from core.scenes.pictures import PeopleSet, read_set

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


def knows_scenes(who: Subject) -> bool:
    """Whether plain questions about scenes mean anything to this model."""
    return isinstance(who.form, LittleModel)


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
    """Association items of this split for a model that sees, or sentences about occupations for one that reads.

    Of a visitor's own pictures an audit and a map, which choose nothing, use all scenarios.
    """
    if who.sees and config.pictures:
        people = people_of(lab, config.pictures)
        whole = name in ("audit", "map")
        return [] if twins == "drift" else set_items(people, who.form, None if whole else split, pairs,
                                                     attribute=attribute_of(people, config.attribute))
    if not who.sees:
        return text_items(split, pairs, words_of(lab, config), wordings=max(2, len(wordings)))
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
    """Jobs (for the hair axis) and plain questions: what an edit might spoil. With sentences: which name people have."""
    if not who.sees:
        return name_items(split, max(10, jobs), words_of(lab, config)) if jobs else []
    if config.pictures:
        people = people_of(lab, config.pictures)
        whole = isinstance(config, AuditConfig)
        seen = seen_items(people, who.form, None if whole else split, 2 * config.controls, attribute=attribute_of(people, config.attribute))
        return seen + (control_items(split, max(5, config.controls // 2), lab.rng(f"controls {split}")) if knows_scenes(who) else [])
    items = control_items(split, max(5, config.controls if split == "test" else config.controls // 2), lab.rng(f"controls {split}"))
    return (occupation_items(split, jobs, hint=hint) if config.axis == "hair" and jobs else []) + items


def words_of(lab: Lab, config: Any) -> Words:
    """What text models are asked: ours, or the visitor's table, read once per process."""
    if not config.words:
        return Words()
    file = lab.data(config.words)
    key = ("bias words", str(file), file.stat().st_mtime_ns)
    if (known := lab.cache.get(key)) is None:
        known = read_words(file)
        lab.cache[key] = known
    return known


def people_of(lab: Lab, ref: str) -> PeopleSet:
    """A visitor's set of pictures, read once per process."""
    source = lab.data(ref)
    files = sorted(source.rglob("*")) if source.is_dir() else [source]
    key = ("bias pictures", *((str(file), file.stat().st_mtime_ns) for file in files))
    if (known := lab.cache.get(key)) is None:
        known = read_set(source, stop=lambda: lab.cancelled)
        lab.cache[key] = known
    return known


def unit_rows(items: Sequence[Item], family: str) -> torch.Tensor:
    """Indices of the items whose family begins with `family`. Long (n,)."""
    return torch.tensor([i for i, item in enumerate(items) if item.family.startswith(family)], dtype=torch.long)
