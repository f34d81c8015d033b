"""The embedded denoiser of factor windows, trained on the made-up market with seed 0.

    glassbox models build factors
"""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path

import torch

from core.factors.denoiser import FactorDenoiser, new_denoiser
from core.factors.diffusion import train_denoiser
from core.factors.grid import conditions, survey
from core.factors.slider import positions, store
from core.factors.study import prepare
from core.factors.worlds import made_market
from core.zoo.package import Report, table

STEPS, WINDOWS, SEED = 1500, 1000, 0


def build_factors(folder: Path, report: Report) -> None:
    """Trains on all shares of the training days, stores 16-bit weights, and measures what every strength does."""
    panel, split = made_market(SEED)
    study = prepare(panel, **split)
    rows = study.rows("train", target=False)
    rng = torch.Generator().manual_seed(SEED)
    model = new_denoiser(study.names, 10, rng, f"market {SEED}")
    for step in train_denoiser(model, *conditions(study, rows), steps=STEPS, rng=rng):
        report(step.done, step.total, f"denoiser, error {step.loss:.3f}")
    loss = step.loss
    copy.deepcopy(model).half().save_pretrained(folder)
    stored = FactorDenoiser.from_pretrained(folder, dtype=torch.float32).eval()
    found = []
    for row in survey(stored, study, windows=WINDOWS, seed=SEED):
        if row:
            found.append(row)
            report(len(found), 15, f"measuring strength {row['strength']}")
    (folder / "grid.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for done in store(folder, stored, study, hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()):
        report(done, len(positions()), "storing what the slider shows")
    _card(folder, stored, loss, found, len(rows))


def _card(folder: Path, model: FactorDenoiser, loss: float, found: list[dict[str, float]], count: int) -> None:
    lines = [[str(row["strength"]), *(f"{row[key]:.3f}" for key in ("rms", "r2", "fid", "noise fid", "label"))]
             for row in found if row["guidance"] == 2]
    text = ["# factors", "", "A denoiser of windows of eight days by twenty factors: it guesses the noise in a window, told the step, the "
            "coming return and the industry. With it real windows are edited: noised to a strength T' and denoised again.", "",
            f"Error on training windows at the end: {loss:.3f} (1: knows nothing). Edits of {WINDOWS} windows with guidance 2, measured "
            "after the weights had been stored in 16 bits:", "",
            table(["T'", "RMS", "R2", "FID", "FID of noise of that size", "label that can be read"], lines), "",
            f"Real windows: label {found[0]['label']:.3f}; FID of two samples of real windows {found[0]['halves fid']:.3f}.", "",
            f"- Architecture: FactorDenoiser (core/factors/denoiser.py), {sum(p.numel() for p in model.parameters()):,} numbers",
            f"- Trained on: {count:,} windows of a market made by core/factors/market.py with seed {SEED}; no real prices",
            f"- How: {STEPS} steps of 256 windows, AdamW, peak rate 8e-4, running average of weights, seed {SEED}",
            "- Rebuild: `glassbox models build factors`", "- Licence: CC0"]
    (folder / "card.md").write_text("\n".join(text) + "\n", encoding="utf-8")
