"""What each kind of predictor learns from: nothing added, edited windows, and the controls that say whether it is the editing.

arms, edits = yield from arms_of(config, lab, study)        # {"none": Arm, "augmented": Arm, "jitter": Arm, ...}
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from core.engine.events import Event, Progress
from core.engine.lab import Lab
from core.factors.diffusion import editing
from core.factors.fitting import Arm, Fit
from core.factors.grid import conditions
from core.factors.guides import loss_guided, predictor_guided, train_reader
from core.factors.quality import jitter, r2, rms
from core.factors.source import denoiser_of
from core.factors.spec import AugmentConfig
from core.factors.study import Rows, Study


@dataclass(frozen=True)
class Edits:
    """copies: float (k, n, window, factors) of n windows, made so that each has the label that it was asked for."""

    copies: torch.Tensor
    rms: float
    r2: float


def arms_of(config: AugmentConfig, lab: Lab, study: Study) -> Iterator[Event]:
    """The generator's value: (one Arm for each kind, "none" and "augmented" first, and the Edits of "augmented")."""
    rows = study.rows("train", target=True)
    x, labels = torch.from_numpy(study.windows(rows)), _labels(study.taught, rows)
    model = yield from denoiser_of(config, lab, study, "source")
    edits = yield from edits_of(config, lab, study, rows, model, "augmented")
    arms = {"none": Arm(x, labels, rows), "augmented": Arm(x, labels, rows, edits.copies)}
    for name in dict.fromkeys(config.controls):
        if name == "duplicate":
            arms[name] = Arm(x, labels, rows, x[None])
        elif name == "jitter":
            rng = np.random.default_rng(int(torch.randint(2**31, (1,), generator=lab.rng("jitter"))))
            noisy = [torch.from_numpy(jitter(x.numpy(), edits.rms, rng)) for _ in range(config.copies)]
            arms[name] = Arm(x, labels, rows, torch.stack(noisy))
        elif name == "shuffled":
            wrong = yield from edits_of(config, lab, study, rows, model, name)
            arms[name] = Arm(x, labels, rows, wrong.copies)
        elif name == "target_only":
            small = yield from denoiser_of(config, lab, study, "target")
            own = yield from edits_of(config, lab, study, rows, small, name)
            arms[name] = Arm(x, labels, rows, own.copies)
        elif name == "pooled":
            every = study.rows("train", target=False)
            arms[name] = Arm(torch.from_numpy(study.windows(every)), _labels(study.taught_source, every), every)
    return arms, edits


def _labels(taught: np.ndarray, rows: Rows) -> torch.Tensor:
    return torch.from_numpy(taught[rows.day, rows.share]).float()


def edits_of(config: AugmentConfig, lab: Lab, study: Study, rows: Rows, model: torch.nn.Module, name: str) -> Iterator[Event]:
    """The generator's value: Edits. "shuffled": each window is edited towards the label of another one, and keeps its own."""
    windows, asked, industry = conditions(study, rows)
    rng = lab.rng(f"edits {name}")
    if name == "shuffled":
        asked = asked[torch.randperm(len(asked), generator=rng)]
    strengths = np.full(len(rows), config.strength)
    if config.loss_guided and name == "augmented":
        strengths = yield from _by_loss(config, study, windows, rows, rng)
    reader = (yield from _reader(study, lab)) if config.guide == "predictor" else None
    made = []
    for copy in range(config.copies):
        edited, before = windows.clone(), 0
        for strength in np.unique(strengths):
            at = torch.from_numpy(np.flatnonzero(strengths == strength))
            own = asked[at]
            guesses = (lambda part, own=own: predictor_guided(model, reader, own[part], config.guidance)) if reader else None
            how = {"strength": int(strength), "guidance": config.guidance, "rng": rng, "eta": float(config.sampler == "ddpm")}
            for done, now in editing(model, windows[at], own, industry[at], guesses=guesses, **how):
                edited[at] = now
                told = f"editing {len(rows):,} windows: {WORDS[name]}"
                yield Progress(copy * len(rows) + before + done, config.copies * len(rows), told)
            before += len(at)
        made.append(edited)
    real, first = windows.numpy(), made[0].numpy()
    return Edits(torch.stack(made), rms(first, real), r2(first, real))


WORDS = {"augmented": "with their own labels", "shuffled": "with wrong labels", "target_only": "by a model of the few"}
LEARNED, READ = 60, 400  # steps of the predictor that ranks windows by loss, and of the reader of noisy windows


def _by_loss(config: AugmentConfig, study: Study, windows: torch.Tensor, rows: Rows, rng: torch.Generator) -> Iterator[Event]:
    """The generator's value: each window's own strength, by how well a predictor without augmentation has learned it by now."""
    labels = _labels(study.taught, rows)
    fit = Fit("mlp", {"none": Arm(windows, labels, rows)}, study, 1, rng)
    for state in fit.train(LEARNED):
        yield Progress(state.step, LEARNED, "looking which windows are learned easily")
    losses = (fit.read(windows, rows) - labels.numpy()) ** 2
    return loss_guided(config.strength, losses, config.loss_guided)


def _reader(study: Study, lab: Lab) -> Iterator[Event]:
    """The generator's value: a predictor of the label from noised windows of the source."""
    rows = study.rows("train", target=False)
    windows, labels = torch.from_numpy(study.windows(rows)), _labels(study.taught_source, rows)
    reader = None
    for done, made in train_reader(windows, labels, READ, lab.rng("noisy reader")):
        reader = made
        if done % 20 == 0:
            yield Progress(done, READ, "training a reader of noisy windows")
    return reader.requires_grad_(False)
