"""The steering that comes with `scenes-base`: trained as the page trains one, kept beside the model it belongs to."""

from __future__ import annotations

import copy
from pathlib import Path
from types import SimpleNamespace

import torch
from transformers import LlavaForConditionalGeneration

from core.engine.weights import fingerprint, weight_files
from core.steering.data import Scenes, training_set
from core.steering.keeping import kept
from core.steering.methods import tune
from core.steering.rows import ROWS
from core.steering.training import Budget, fit
from core.zoo.package import Report
from core.zoo.scenes.words import make_tokenizer

NAME, STEPS, PICTURES, RATE = "mores", 60, 800, 1e-2


def ship_steering(folder: Path, report: Report) -> None:
    """Trains MoReS of rank 4 with the connector on the model stored in `folder`, and keeps it in `folder / "mores"`."""
    model = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    scenes = Scenes(SimpleNamespace(model=model, tokenizer=make_tokenizer(), fingerprint=fingerprint(folder, weight_files(folder)),
                                    ref="embedded/scenes-base"))
    row = ROWS["mores-4"]
    one = tune(copy.deepcopy(model), row, torch.Generator().manual_seed(21))
    lesson = training_set(scenes, PICTURES, torch.Generator().manual_seed(22))
    losses = fit(one, scenes, lesson, Budget(STEPS, 12), rate=RATE, rng=torch.Generator().manual_seed(23))
    for step, loss in enumerate(losses, start=1):
        report(step, STEPS, f"steering: loss {loss:.3f}")
    kept(one, scenes).save_pretrained(folder / NAME)
