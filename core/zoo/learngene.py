"""The embedded vision models: ancestors, learngenes, and networks trained from scratch to compare with.

    glassbox models build learngene-letters

Every model is a ViTForImageClassification of width 48 with 3 heads for 16 x 16 pictures; a learngene is stored as one
with two layers (see core/learngene/depth/learngene.py).
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterable
from pathlib import Path

import torch
from transformers import PreTrainedModel, ViTForImageClassification

from core.engine.settings import ASSETS
from core.learngene.data import Task, read_task
from core.learngene.depth.learngene import Learngene, freeze_slope, new_learngene
from core.learngene.metrics import accuracy
from core.learngene.spec import SCRATCH_RATE, SHOWN, TaskName
from core.learngene.training import Recipe, Step, fit, soft_distillation, supervised
from core.learngene.vit import logits, new_model, parameters
from core.zoo.package import Report, table

WIDTH, HEADS, DEPTH = 48, 3, 8
ANCESTOR_EPOCHS, AUXILIARY_EPOCHS = 60, 100

_DATA = {
    "letters": "37 letters of 12 open fonts (assets/fonts), freshly distorted in every epoch of 2,368 pictures",
    "digits": "1,203 scanned digits of scikit-learn (from the UCI archive), shifted by up to a pixel",
}
_LICENCE = {"letters": "CC0 for the weights; the fonts keep their licences (assets/fonts/LICENSE-*.txt)",
            "digits": "CC0 for the weights; the digits are CC BY 4.0 (E. Alpaydin, C. Kaynak, UCI Machine Learning Repository)"}


def store(model: PreTrainedModel, folder: Path) -> ViTForImageClassification:
    """Writes weights as fp16 and gives back what a reader gets: the stored model, computing in fp32, in eval mode."""
    copy.deepcopy(model).half().save_pretrained(folder)
    return ViTForImageClassification.from_pretrained(folder, dtype=torch.float32).eval()


def follow(steps: Iterable[Step], report: Report, note: str) -> None:
    """Runs a training to its end, telling `report` about it."""
    for step in steps:
        report(step.done, step.total, f"{note}, epoch {step.epoch}, loss {step.loss:.3f}")


def build_ancestor(name: TaskName, folder: Path, report: Report) -> None:
    """The large model that is trained on labels, once."""
    _train_plain(name, folder, report, DEPTH, ANCESTOR_EPOCHS, "ancestor", "the model that a learngene is distilled from")


def build_scratch(name: TaskName, depth: int, epochs: int, folder: Path, report: Report) -> None:
    """A rival: the same architecture as a descendant, trained on labels from random weights."""
    _train_plain(name, folder, report, depth, epochs, "scratch", "a rival that inherited nothing")


def build_learngene(name: TaskName, folder: Path, report: Report, flat: bool = False) -> None:
    """Two layers' worth of numbers, trained through an auxiliary model of 8 layers to say what the ancestor says.

    `flat`: the rival whose slope stays zero, so that all its layers are equal.
    """
    task = read_task(name)
    torch.manual_seed(0)
    ancestor = ViTForImageClassification.from_pretrained(ASSETS / "models" / f"learngene-{name}-ancestor", dtype=torch.float32).eval()
    gene = new_learngene(DEPTH, WIDTH, HEADS, task.classes)
    if flat:
        freeze_slope(gene)
    loss_of = soft_distillation(gene, lambda pixels: logits(ancestor, pixels))
    recipe = Recipe(AUXILIARY_EPOCHS, SCRATCH_RATE)
    follow(fit(gene.store.named_parameters(), loss_of, task, recipe, torch.Generator().manual_seed(0)), report, "auxiliary model")
    gene = Learngene(store(gene.store, folder))
    depths = [1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16]
    rows = [[str(depth), *measured(gene.expand(depth), task)] for depth in depths]
    kind = "one layer's worth of numbers, used for every layer (the slope is zero)" if flat else "two layers' worth of numbers"
    text = (f"A learngene for {name}: {kind}, from which a network of any depth is made. "
            f"Descendants, untrained:\n\n" + table(["depth", f"right of {SHOWN}", f"right of {len(task.test_labels)}"], rows))
    card(folder, f"learngene-{name}{'-flat' if flat else ''}", text, gene.store, name,
          f"Distilled from learngene-{name}-ancestor through an auxiliary model of {DEPTH} layers: {AUXILIARY_EPOCHS} epochs, no labels")


def _train_plain(name: TaskName, folder: Path, report: Report, depth: int, epochs: int, kind: str, what: str) -> None:
    task = read_task(name)
    torch.manual_seed(0)
    model = new_model(depth, WIDTH, HEADS, task.classes)
    loss_of = supervised(lambda pixels: logits(model, pixels))
    follow(fit(model.named_parameters(), loss_of, task, Recipe(epochs, SCRATCH_RATE), torch.Generator().manual_seed(0)), report, kind)
    model = store(model, folder)
    shown, test = measured(model, task)
    text = (f"A classifier of {name} with {depth} layers, {what}.\n\n"
            f"Right answers: {shown} of the {SHOWN} pictures shown on the page, {test} of all {len(task.test_labels)} test pictures.")
    ending = "ancestor" if kind == "ancestor" else f"scratch-{depth}-{epochs}"
    card(folder, f"learngene-{name}-{ending}", text, model, name, f"{epochs} epochs on labels")


def measured(model: PreTrainedModel, task: Task) -> tuple[str, str]:
    """Right answers of the pictures shown and of all test pictures, as text."""
    right = [accuracy(lambda pixels: logits(model, pixels), *pictures)
             for pictures in (task.shown, (task.test_pixels, task.test_labels))]
    return f"{right[0]:.1%}", f"{right[1]:.1%}"


def card(folder: Path, name: str, text: str, model: PreTrainedModel, task: TaskName, how: str,
         rate: float = SCRATCH_RATE) -> None:
    """Writes card.md: what, trained on what, measured quality, rebuild command, licence."""
    lines = [f"# {name}", "", text, "", "Measured after the weights had been stored in 16 bits.", "",
             f"- Architecture: ViTForImageClassification, width {model.config.hidden_size}, "
             f"{model.config.num_hidden_layers} layers stored, {parameters(model):,} numbers",
             f"- Trained on: {_DATA[task]}", f"- How: {how}, AdamW, peak rate {rate}, seed 0",
             f"- Rebuild: `glassbox models build {name}`", f"- Licence: {_LICENCE[task]}"]
    (folder / "card.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


letters_ancestor = functools.partial(build_ancestor, "letters")
digits_ancestor = functools.partial(build_ancestor, "digits")
letters_flat = functools.partial(build_learngene, "letters", flat=True)
letters = functools.partial(build_learngene, "letters")
digits = functools.partial(build_learngene, "digits")
letters_scratch_4_5 = functools.partial(build_scratch, "letters", 4, 5)
letters_scratch_8_5 = functools.partial(build_scratch, "letters", 8, 5)
letters_scratch_12_5 = functools.partial(build_scratch, "letters", 12, 5)
letters_scratch_4_20 = functools.partial(build_scratch, "letters", 4, 20)
letters_scratch_8_20 = functools.partial(build_scratch, "letters", 8, 20)
letters_scratch_12_20 = functools.partial(build_scratch, "letters", 12, 20)
