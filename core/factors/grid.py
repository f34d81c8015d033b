"""What every strength does to the same windows: the curve under the slider, and what claims C1 and C4 to C7 rest on.

for row in survey(model, study, windows=1000, rng=rng):
    row                        # {"guidance": 2, "strength": 700, "rms": .95, "r2": .01, "fid": 18.9, "noise fid": 90., "label": .07}
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from core.factors.diffusion import STRENGTHS, editing
from core.factors.quality import frechet, jitter, label_probe, r2, read_label, rms
from core.factors.study import Rows, Study

GUIDANCES = (0, 2)


def sample(study: Study, rows: Rows, count: int, rng: np.random.Generator) -> Rows:
    """`count` of the rows, in order."""
    return rows if len(rows) <= count else rows[np.sort(rng.choice(len(rows), count, replace=False))]


def conditions(study: Study, rows: Rows) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What a denoiser is given for these rows: windows (n, 8, factors), labels (n,), industries (n,)."""
    return (
        torch.from_numpy(study.windows(rows)),
        torch.from_numpy(study.asked[rows.day, rows.share]).float(),
        torch.from_numpy(study.panel.industry[rows.share]).long(),
    )


def reading(study: Study) -> np.ndarray:
    """A label probe (features + 1,) that never saw the target, where there are other shares; else one of everybody."""
    rows = study.rows("train", target=False)
    others = rows[~study.panel.target[rows.share]]
    rows = others if len(others) else rows
    return label_probe(study.windows(rows), study.taught_source[rows.day, rows.share])


def survey(
    model: torch.nn.Module, study: Study, *, windows: int, seed: int = 0, strengths: tuple[int, ...] = STRENGTHS[1:]
) -> Iterator[dict[str, Any]]:
    """One row for every guidance and strength, on windows of the target's training days; None between, while it works."""
    rng = np.random.default_rng([9, seed])
    every = study.rows("train", target=True)
    rows = sample(study, every, windows, rng)
    x, y, industry = conditions(study, rows)
    real, labels = x.numpy(), study.taught[rows.day, rows.share]
    other = study.windows(sample(study, every, windows, np.random.default_rng([10, seed])))
    probe = reading(study)
    yield {
        "guidance": 0,
        "strength": 0,
        "rms": 0.0,
        "r2": 1.0,
        "fid": 0.0,
        "noise fid": 0.0,
        "label": read_label(real, labels, probe),
        "halves fid": frechet(other, real),
    }
    for guidance in GUIDANCES:
        for strength in strengths:
            edited = real
            for _, made in editing(
                model, x, y, industry, strength=strength, guidance=guidance, rng=torch.Generator().manual_seed(seed + strength)
            ):
                edited = made.numpy()
                yield {}
            size = rms(edited, real)
            yield {
                "guidance": guidance,
                "strength": strength,
                "rms": size,
                "r2": r2(edited, real),
                "fid": frechet(edited, real),
                "noise fid": frechet(jitter(real, size, rng), real),
                "label": read_label(edited, labels, probe),
            }
