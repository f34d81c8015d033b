"""What one position of the strength slider shows, as few numbers; those of the market with seed 0 come stored with the embedded model.

    shown = summary(model, seen, strength=700, guidance=2.0)      # some hundred milliseconds
    shown = stored(folder, strength=700, guidance=2.0)            # none; None where that position is not stored
    figures.histogram(shown.counts["real"][4], ...)
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.factors.diffusion import T, edit
from core.factors.grid import GUIDANCES, conditions, reading, sample
from core.factors.quality import components, frechet, jitter, neighbours, r2, read_label, rms
from core.factors.study import Rows, Study

FILE, STEP, WINDOWS, SEED = "slider.json", 25, 300, 0
EDGES = np.linspace(-3.125, 3.125, 26)
KINDS = ("real", "noise of equal size", "edited")
HUNDREDTH = 100  # places are stored as whole hundredths, which is how they are drawn
NUMBERS = ("rms", "r2", "fid", "noise fid", "label", "spread", "residual", "collision", "coverage", "real label", "real spread")


@dataclass(frozen=True)
class Seen:
    """The windows of a study that the slider edits: what a denoiser is given, the label probe, and two principal directions."""

    rows: Rows
    given: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
    labels: np.ndarray
    probe: np.ndarray
    mean: np.ndarray
    directions: np.ndarray


@dataclass(frozen=True)
class Summary:
    """numbers: by the names of NUMBERS.  counts: kind -> values in each quarter, int (factors, 25).  places: kind -> (windows, 2).
    windows: how many were edited."""

    numbers: Mapping[str, float]
    counts: Mapping[str, np.ndarray]
    places: Mapping[str, np.ndarray]
    windows: int


def seen(study: Study, windows: int) -> Seen:
    """So many training windows of the target, always the same ones."""
    every = study.rows("train", target=True)
    rows = sample(study, every, windows, np.random.default_rng(9))
    return Seen(rows, conditions(study, rows), study.taught[rows.day, rows.share], reading(study), *components(study.windows(every), 2))


def summary(model: torch.nn.Module, shown: Seen, *, strength: int, guidance: float, eta: float = 0.0, seed: int = SEED) -> Summary:
    """Edits the windows and looks at them beside noise of the same size.  eta: 0 is DDIM, 1 is DDPM."""
    made = edit(model, *shown.given, strength=strength, guidance=guidance, rng=torch.Generator().manual_seed(seed), eta=eta)
    real, edited = shown.given[0].numpy(), made.numpy()
    size = rms(edited, real)
    noisy = jitter(real, size, np.random.default_rng(seed))
    collision, coverage = neighbours(edited, real) if strength else (0.0, 1.0)
    found = (size, r2(edited, real), frechet(edited, real), frechet(noisy, real), read_label(edited, shown.labels, shown.probe),
             float(edited.std()), _residual(edited, real), collision, coverage, read_label(real, shown.labels, shown.probe),
             float(real.std()))
    parts = dict(zip(KINDS, (real, noisy, edited), strict=True))
    return Summary(
        dict(zip(NUMBERS, found, strict=True)), {kind: _counts(part) for kind, part in parts.items()},
        {kind: np.round((part.reshape(len(part), -1) - shown.mean) @ shown.directions, 2) for kind, part in parts.items()}, len(real),
    )  # fmt: skip


def _counts(windows: np.ndarray) -> np.ndarray:
    """How many values of each factor lie in each quarter: (n, window, factors) -> int (factors, 25)."""
    flat = windows.reshape(-1, windows.shape[-1])
    return np.stack([np.histogram(flat[:, factor], EDGES)[0] for factor in range(flat.shape[1])])


def _residual(edited: np.ndarray, real: np.ndarray) -> float:
    """Mean absolute difference of the correlations between factors, (n, window, factors) twice."""
    a, b = (np.nan_to_num(np.corrcoef(part.reshape(-1, part.shape[-1]), rowvar=False)) for part in (edited, real))
    return float(np.abs(np.atleast_2d(a - b)).mean())


def positions() -> list[tuple[int, int]]:
    """(strength, guidance) of all that is stored."""
    return [(strength, guidance) for guidance in GUIDANCES for strength in range(0, T + 1, STEP)]


def store(folder: Path, model: torch.nn.Module, study: Study, weights: str) -> Iterator[int]:
    """Writes all positions for `stored`; gives how many are done.  weights: SHA-256 of those that made them."""
    shown, made = seen(study, WINDOWS), []
    for strength, guidance in positions():
        made.append(summary(model, shown, strength=strength, guidance=float(guidance)))
        yield len(made)
    held = {"weights": weights, "factors": study.names, "real": _whole(made[0], KINDS[0]),
            "positions": [{"numbers": [round(one.numbers[name], 6) for name in NUMBERS]} | {kind: _whole(one, kind) for kind in KINDS[1:]}
                          for one in made]}
    (folder / FILE).write_text(json.dumps(held, separators=(",", ":")) + "\n", encoding="utf-8")


def _whole(one: Summary, kind: str) -> list[list[Any]]:
    return [one.counts[kind].tolist(), np.rint(one.places[kind] * HUNDREDTH).astype(int).tolist()]


def stored(folder: Path, *, strength: int, guidance: float) -> tuple[tuple[str, ...], Summary] | None:
    """(names of the factors, what that position shows), or None where it is not stored. folder: of the embedded model."""
    if strength % STEP or guidance not in GUIDANCES:
        return None
    held = _read(folder / FILE)
    found = held["positions"][positions().index((strength, int(guidance)))]
    parts = {kind: [np.array(part) for part in (held if kind == KINDS[0] else found)[kind]] for kind in KINDS}
    return tuple(held["factors"]), Summary(
        dict(zip(NUMBERS, found["numbers"], strict=True)), {kind: counts for kind, (counts, _) in parts.items()},
        {kind: places / HUNDREDTH for kind, (_, places) in parts.items()}, WINDOWS,
    )  # fmt: skip


@functools.cache
def _read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8"))
