"""Pictures of a visitor in place of a task of the lab: read once per process, and an ancestor that learns classes new to it.

learngene/pictures     a probe: what is in a ZIP file or a folder of pictures

    task = yield from taking(lab, config.task, config.pictures)          # in an experiment: says how far the reading is
    task = task_of(lab, config.task, config.pictures)                    # in a probe
    ancestor = yield from knowing(lab, config.ancestor, task, epochs)    # taught the classes if it does not know them
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from core.engine.answers import Answer, data_uri
from core.engine.errors import LabError
from core.engine.events import Event, Keep
from core.engine.lab import Lab
from core.engine.models import LoadedModel
from core.engine.steps import Pacer, remembered, value_of
from core.learngene.collection import reading
from core.learngene.data import Placed, Task, read_task
from core.learngene.metrics import accuracy
from core.learngene.running import told
from core.learngene.spec import TUNE_RATE, PicturesConfig, TaskName
from core.learngene.training import Recipe, born_from, fit, steps_of, supervised
from core.learngene.vit import check_pictures, classes_of, listed, logits, new_head

if TYPE_CHECKING:
    from PIL import Image

SIDE, EACH, ROWS = 48, 8, 12  # of the preview: pixels along a picture, pictures of a class, classes


def taking(lab: Lab, name: TaskName, pictures: str) -> Generator[Event, None, Task]:
    """The task of the lab with that name, or the visitor's pictures if any were given."""
    if not pictures:
        return read_task(name)
    source = lab.data(pictures)
    key = _key(source)
    if (known := lab.cache.get(key)) is not None:
        return known
    steps, progress = reading(source, stop=lambda: lab.cancelled), None
    while True:
        try:
            _, total = next(steps)
        except StopIteration as end:
            lab.cache[key] = made = replace(end.value, mark=key[1])
            return made
        progress = progress or Pacer(total)
        yield from progress.step("reading your pictures")


def task_of(lab: Lab, name: TaskName, pictures: str) -> Task:
    """The same at once."""
    return value_of(taking(lab, name, pictures))


def _key(source: Path) -> tuple[str, str]:
    """Another key once a file has changed. An upload lies in a folder named after its content."""
    files = sorted(source.rglob("*")) if source.is_dir() else [source]
    states = [(str(file), stat.st_size, stat.st_mtime_ns) for file in files for stat in [file.lstat()]]
    return "pictures", str(hash(tuple(states)))


def knowing(lab: Lab, ref: str, task: Task, epochs: int) -> Generator[Event, None, LoadedModel]:
    """The ancestor `ref` if it knows the classes of `task`; another one gets a new last layer and learns them first.

    A taught one is kept as "ancestor". Raises LabError for an ancestor that takes other pictures.
    """
    loaded = lab.load(ref)
    check_pictures(loaded.model, "ancestor")
    if classes_of(loaded.model) == task.classes:
        return loaded
    key = (loaded.fingerprint, "taught", lab.seed, task.name, task.mark, epochs)
    taught = yield from remembered(lab, key, lambda: _taught(lab, ref, task, epochs))
    yield Keep("ancestor", taught.model)
    return taught


def _taught(lab: Lab, ref: str, task: Task, epochs: int) -> Generator[Event, None, LoadedModel]:
    taught = lab.fork(ref)
    model, recipe = taught.model, Recipe(epochs, TUNE_RATE)
    with born_from(lab.rng("ancestor's head")):
        new_head(model, task.classes)

    def scores_of(pixels: Tensor) -> Tensor:
        return logits(model, pixels)

    steps = fit(model.named_parameters(), supervised(scores_of), task, recipe, lab.rng("ancestor's pictures"))
    yield from told(steps, "ancestor", Pacer(steps_of(task, recipe)), lambda: accuracy(scores_of, *task.shown), every=max(1, epochs // 10))
    model.eval().requires_grad_(False)
    return taught


@dataclass(frozen=True, kw_only=True)
class Brought(Answer):
    """What was found in a visitor's pictures. `classes` by name, with how many of their pictures are kept for testing.

    placed: how a new picture is made like these.  image seen: some of them as the network gets them, a row for each class.
    """

    classes: dict[str, int]
    learned: int
    tested: int
    placed: Placed


def brought(config: PicturesConfig, lab: Lab) -> Brought:
    """Reads a ZIP file or a folder of pictures and says what is in it."""
    if not config.pictures:
        raise LabError("No pictures were given.", "Choose a ZIP file with one folder of pictures per class.")
    task = task_of(lab, "letters", config.pictures)
    counts = task.test_labels.bincount(minlength=len(task.classes)).tolist()
    tested = len(task.test_labels)
    says = (f"{len(task.classes)} classes: {listed(task.classes)}. {task.distinct} pictures to learn from, {tested} kept for testing; "
            "all were squeezed to 16 x 16 shades of grey, as you see them here.")
    return Brought(says=" ".join([says, *task.notes]), images={"seen": data_uri(_sheet(task))},
                   classes=dict(zip(task.classes, counts, strict=True)), learned=task.distinct, tested=tested, placed=task.placed)


def _sheet(task: Task) -> Image.Image:
    """Test pictures as the network gets them, a row for each of the first classes, enlarged without smoothing."""
    from PIL import Image

    most = min(EACH, int(task.test_labels.bincount().max()))
    sheet = Image.new("L", (most * (SIDE + 4), min(len(task.classes), ROWS) * (SIDE + 4)), 128)
    for label in range(min(len(task.classes), ROWS)):
        for place, pixels in enumerate(task.test_pixels[task.test_labels == label][:EACH]):
            grey = Image.fromarray(((pixels[0] + 1) * 127.5).round().to(torch.uint8).numpy()).resize((SIDE, SIDE), Image.Resampling.NEAREST)
            sheet.paste(grey, (place * (SIDE + 4) + 2, label * (SIDE + 4) + 2))
    return sheet
