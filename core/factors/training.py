"""Paper 08: a diffusion model for a market, and what every strength does with its windows (claims C1 and C4 to C7).

factors/train    metrics  denoiser loss; rms, r2, fid, noise fid, label of each strength, "w0" at the end for guidance 0; keeps denoiser
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from core.engine.events import Event, Figure, Keep, Metric, Progress, Table, Verdict
from core.engine.lab import Lab
from core.factors import figures
from core.factors.diffusion import STRENGTHS, T, r2_theory
from core.factors.grid import survey
from core.factors.source import denoiser_of, study_of
from core.factors.spec import TrainConfig
from core.factors.verdict import badges
from core.plots import BLUE, BROWN

MEASURES = ("rms", "r2", "fid", "noise fid", "label")


def train(config: TrainConfig, lab: Lab) -> Iterator[Event]:
    """Trains one where the lab has none for these prices, measures it, and keeps it."""
    yield Progress(0, 1, "getting the prices")
    study = study_of(config, lab)
    model = yield from denoiser_of(config, lab, study, "source", tell=True)
    yield Metric("denoiser loss", _error(model, study))
    rows, steps = [], 2 * (len(STRENGTHS) - 1) + 1
    for row in survey(model, study, windows=config.windows, seed=lab.seed):
        if not row:
            yield Progress(len(rows), steps, "editing at every strength")
            continue
        rows.append(row)
        for name in MEASURES:
            yield Metric(_named(name, row), float(row[name]))
        yield Progress(len(rows), steps, "editing at every strength")
    yield Figure("curve", figures.curve(rows, [(s, r2_theory(s)) for s in range(0, T + 1, 25)]))
    yield Figure(
        "realism", figures.against(rows, {"fid": ("edited", BLUE), "noise fid": ("noise of equal size", BROWN)}, "Frechet distance")
    )
    yield Figure("label", figures.against(rows, {"label": ("edited", BLUE)}, "correlation with the label"))
    yield Table(
        "grid",
        ["strength T'", "guidance", *MEASURES],
        [[row["strength"], row["guidance"], *(round(float(row[name]), 4) for name in MEASURES)] for row in rows],
    )
    yield Keep("denoiser", model)
    yield _said(rows, badges(study))


def _named(name: str, row: dict[str, float]) -> str:
    return f"{name} {row['strength']}" + ("" if row["guidance"] or not row["strength"] else " w0")


def _error(model: object, study: object) -> float:
    """Mean squared error of the noise on 512 training windows, always the same ones and the same noise."""
    import torch

    from core.factors.diffusion import ALPHA_BAR
    from core.factors.grid import conditions, sample

    rows = sample(study, study.rows("train", target=False), 512, np.random.default_rng(12))
    x, y, industry = conditions(study, rows)
    rng = torch.Generator().manual_seed(12)
    step, noise = torch.randint(1, T + 1, (len(x),), generator=rng), torch.randn(x.shape, generator=rng)
    keep = ALPHA_BAR.float()[step][:, None, None]
    with torch.no_grad():
        return float(((model(keep.sqrt() * x + (1 - keep).sqrt() * noise, step, y, industry) - noise) ** 2).mean())


def _said(rows: list[dict[str, float]], about: str) -> Verdict:
    by = {(row["guidance"], row["strength"]): row for row in rows}
    middle, strong = by[2, 300], by[2, 700]
    head = (
        f"Edits look {middle['noise fid'] / max(middle['fid'], 1e-9):.1f} times more real than noise of the same size at T' = 300."
        if middle["fid"] < middle["noise fid"]
        else "These edits look no more real than noise of the same size."
    )
    text = (
        f"At 300 the Frechet distance to real windows is {middle['fid']:.1f}, that of noise {middle['noise fid']:.1f}. At 700 R2 with the "
        f"original is {strong['r2']:.2f}, and the label can be read with a correlation of {strong['label']:.3f} (real windows "
        f"{by[0, 0]['label']:.3f}, without guidance {by[0, 700]['label']:.3f}). One model: too few for an interval. {about}"
    )
    return Verdict(text, {"fid": middle["fid"], "noise fid": middle["noise fid"]}, head)
