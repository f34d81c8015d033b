"""The embedded pool of paper 10: one ancestor, the two models distilled from it, the same two stitched and trained, and rivals.

    glassbox models build learngene-pool-small

Digits, 16 x 16: ancestor 9 blocks x 72 wide, small model 6 x 36, large model 6 x 72 (methods/10 section 6). A pool is
stored as two classifiers whose last layer holds stitches and matrices too (core/learngene/pool/pool.py). The two halves
come out of one seeded training; a process that builds both trains once. The rivals are whole networks of sizes between the two,
each trained alone (methods/10 section 5, "individual").
"""

from __future__ import annotations

import functools
from pathlib import Path

import torch
from torch import nn
from transformers import PreTrainedModel, ViTForImageClassification

from core.engine.settings import ASSETS
from core.learngene.data import Task, read_task
from core.learngene.metrics import accuracy
from core.learngene.pool.distil import Distillation
from core.learngene.pool.paths import LARGE, SMALL, all_paths
from core.learngene.pool.pool import THIRDS, Matrices, Pool
from core.learngene.pool.stitches import initialise
from core.learngene.spec import SCRATCH_RATE, SHOWN, TUNE_RATE
from core.learngene.training import Recipe, fit, supervised
from core.learngene.vit import new_model
from core.zoo.learngene import card, follow, measured, store
from core.zoo.package import Report, table

BLOCKS, ANCESTOR_BLOCKS = 6, 9
SMALL_WIDTH, WIDTH, HEADS = 36, 72, 3
EPOCHS, POOL_EPOCHS = 50, 40
TASK = "digits"

_made: dict[str, Pool] = {}  # what this process has trained already


def ancestor(folder: Path, report: Report) -> None:
    """The one large model."""
    _on_labels(ANCESTOR_BLOCKS, WIDTH, "learngene-pool-ancestor", "from which the pool is distilled", folder, report)


def alone(width: int, folder: Path, report: Report) -> None:
    """A rival: as many blocks as the pool's models have, of a width between theirs, trained for nothing but itself."""
    _on_labels(BLOCKS, width, f"learngene-alone-{width}", "trained alone to be compared with paths of the pool", folder, report)


def _on_labels(blocks: int, width: int, name: str, what: str, folder: Path, report: Report) -> None:
    task = read_task(TASK)
    torch.manual_seed(0)
    model = new_model(blocks, width, HEADS, task.classes)
    steps = fit(model.named_parameters(), supervised(lambda pixels: model(pixels).logits), task, Recipe(EPOCHS, SCRATCH_RATE),
                torch.Generator().manual_seed(0))
    follow(steps, report, name)
    model = store(model, folder)
    shown, test = measured(model, task)
    text = (f"A classifier of digits with {blocks} layers, {what}.\n\nRight answers: {shown} of the "
            f"{SHOWN} pictures shown on the page, {test} of all {len(task.test_labels)} test pictures.")
    card(folder, name, text, model, TASK, f"{EPOCHS} epochs on labels")


def instances_small(folder: Path, report: Report) -> None:
    """The small half of the distilled pool; its stitches are random."""
    _store_half(_distilled(report), "instances", "small", folder)


def instances_large(folder: Path, report: Report) -> None:
    """The large half of the distilled pool, with the transformation matrices of both."""
    _store_half(_distilled(report), "instances", "large", folder)


def pool_small(folder: Path, report: Report) -> None:
    """The small half of the trained pool, with its stitches."""
    _store_half(_trained(report), "pool", "small", folder)


def pool_large(folder: Path, report: Report) -> None:
    """The large half of the trained pool."""
    _store_half(_trained(report), "pool", "large", folder)


def _distilled(report: Report) -> Pool:
    if "instances" not in _made:
        task, models, matrices = read_task(TASK), {}, {}
        folder = ASSETS / "models" / "learngene-pool-ancestor"
        teacher = ViTForImageClassification.from_pretrained(folder, dtype=torch.float32).eval().requires_grad_(False)
        for name, width in (("small", SMALL_WIDTH), ("large", WIDTH)):
            torch.manual_seed(0)
            models[name] = new_model(BLOCKS, width, HEADS, task.classes)
            taught = Distillation(teacher, models[name], THIRDS)
            steps = fit(taught.named_parameters(), taught.loss, task, Recipe(EPOCHS, SCRATCH_RATE), torch.Generator().manual_seed(0))
            follow(steps, report, f"{name} model")
            matrices[name] = taught.matrices_z
        stitches = nn.ModuleList(nn.Linear(SMALL_WIDTH, WIDTH) for _ in range(BLOCKS - 1))
        made = Pool(models["small"], models["large"], stitches, Matrices(**matrices))
        initialise(made, "random", task.shown[0], torch.Generator().manual_seed(0))
        _made["instances"] = made
    return _made["instances"]


def _trained(report: Report) -> Pool:
    """Read from the stored instances, so that the pool is what the page gets when it trains them."""
    if "pool" not in _made:
        task, halves = read_task(TASK), []
        for half in ("small", "large"):
            folder = ASSETS / "models" / f"learngene-instances-{half}"
            halves.append(ViTForImageClassification.from_pretrained(folder, dtype=torch.float32))
        made, draws = Pool.unpack(*halves), torch.Generator().manual_seed(0)
        ways = all_paths(BLOCKS)
        initialise(made, "least_squares", task.epoch(torch.Generator().manual_seed(0))[0], draws)
        loss_of = supervised(lambda pixels: made(pixels, ways[torch.randint(len(ways), (1,), generator=draws).item()]))
        steps = fit(made.named_parameters(), loss_of, task, Recipe(POOL_EPOCHS, TUNE_RATE), torch.Generator().manual_seed(0))
        follow(steps, report, "pool")
        _made["pool"] = made
    return _made["pool"]


def _store_half(made: Pool, kind: str, half: str, folder: Path) -> None:
    task, packed = read_task(TASK), made.pack()
    model = store(packed[half], folder)
    halves = {name: _rounded(packed[name]) for name in packed} | {half: model}
    what = {"instances": f"Distilled from learngene-pool-ancestor for {EPOCHS} epochs, matched at three depths",
            "pool": f"Stitched by least squares and trained for {POOL_EPOCHS} epochs, a random path at every step"}[kind]
    measured_paths = _paths(Pool.unpack(halves["small"], halves["large"]), task, kind)
    text = (f"The {half} half of a pool for digits: {BLOCKS} blocks, every one a learngene instance"
            f"{', stitches untrained' if kind == 'instances' else ''}.\n\n{measured_paths}")
    card(folder, f"learngene-{kind}-{half}", text, model, TASK, what, SCRATCH_RATE if kind == "instances" else TUNE_RATE)


def _paths(made: Pool, task: Task, kind: str) -> str:
    ways = all_paths(BLOCKS) if kind == "pool" else [SMALL, LARGE]
    rows = [[way.name, f"{accuracy(lambda pixels, way=way: made(pixels, way), task.test_pixels, task.test_labels):.1%}"] for way in ways]
    return table(["path", f"right of {len(task.test_labels)} test pictures"], rows)


def _rounded(model: PreTrainedModel) -> PreTrainedModel:
    """The other half as it is stored: rounded to 16 bits."""
    return model.half().float().eval()


alone_36 = functools.partial(alone, 36)
alone_45 = functools.partial(alone, 45)
alone_54 = functools.partial(alone, 54)
alone_63 = functools.partial(alone, 63)
alone_72 = functools.partial(alone, 72)
