"""The factor page's speed: 158 factors beside pandas' own rolling, a step of the slider, and seeds trained as one.

    python -m benchmarks.factors              # prints, and writes benchmarks/results/factors.md with --write
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from core.engine.settings import ASSETS
from core.factors.alpha import WINDOWS, alpha
from core.factors.denoiser import FactorDenoiser
from core.factors.diffusion import edit
from core.factors.fitting import Arm, Fit
from core.factors.grid import conditions, sample
from core.factors.study import Study, prepare
from core.factors.worlds import made_market

SHARES, DAYS = 300, 2000
RESULTS = Path(__file__).parent / "results" / "factors.md"


def timed(what: Callable[[], object]) -> float:
    """Seconds of processor time of this process."""
    began = time.process_time()
    what()
    return time.process_time() - began


def by_pandas(bars: dict[str, np.ndarray]) -> None:
    """What of the 158 pandas' built-in rolling can do, without apply: no straight lines and no places of the highest, 128 in all."""
    import pandas as pd

    c, h, low, v = (pd.DataFrame(bars[name]) for name in ("close", "high", "low", "volume"))
    last, change, flow = c.shift(1), c - c.shift(1), v - v.shift(1)
    ratio, logged, moved = c / last, np.log(v + 1), np.log(v / v.shift(1) + 1)
    weighted = (ratio - 1).abs() * v
    for d in WINDOWS:
        r, rv = c.rolling(d, min_periods=1), v.rolling(d, min_periods=1)
        _ = [c.shift(d) / c, r.mean() / c, r.std() / c, h.rolling(d, min_periods=1).max() / c, low.rolling(d, min_periods=1).min() / c,
             r.quantile(0.8) / c, r.quantile(0.2) / c, r.rank(pct=True), r.corr(logged), ratio.rolling(d, min_periods=1).corr(moved),
             rv.mean() / v, rv.std() / v, weighted.rolling(d, min_periods=1).std() / weighted.rolling(d, min_periods=1).mean(),
             (c - low.rolling(d, min_periods=1).min()) / h.rolling(d, min_periods=1).max(),
             (c > last).rolling(d, min_periods=1).mean(), (c < last).rolling(d, min_periods=1).mean()]
        for x in (change, flow):
            all_of_it = x.abs().rolling(d, min_periods=1).sum()
            _ = [part.clip(lower=0).rolling(d, min_periods=1).sum() / all_of_it for part in (x, -x)]


def made_bars() -> dict[str, np.ndarray]:
    """Bars of 300 shares on 2,000 days, each (days, shares)."""
    rng = np.random.default_rng(0)
    close = 20 * np.exp(0.02 * rng.standard_normal((DAYS, SHARES)).cumsum(0))
    spread = 0.01 * rng.random(close.shape)
    return {"open": close * (1 + 0.5 * spread), "high": close * (1 + spread), "low": close * (1 - spread), "close": close, "vwap": close,
            "volume": np.round(1e5 * np.exp(rng.standard_normal(close.shape)))}


def seeds_as_one(study: Study, seeds: int, steps: int) -> tuple[float, float]:
    """(processor seconds of one batched training, of one after the other)."""
    rows = study.rows("train", target=True)
    arm = Arm(torch.from_numpy(study.windows(rows)), torch.from_numpy(study.taught[rows.day, rows.share]).float(), rows)

    def learn(count: int) -> None:
        for _ in Fit("mlp", {"none": arm}, study, count, torch.Generator().manual_seed(0)).train(steps):
            pass

    learn(1)
    return timed(lambda: learn(seeds)), timed(lambda: [learn(1) for _ in range(seeds)])


def main() -> None:
    """Measures all three and prints a table."""
    options = argparse.ArgumentParser()
    options.add_argument("--write", action="store_true")
    torch.set_num_threads(1)
    bars = made_bars()
    ours, theirs = timed(lambda: alpha(bars)), timed(lambda: by_pandas(bars))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    panel, split = made_market(0)
    study = prepare(panel, **split)
    model = FactorDenoiser.from_pretrained(ASSETS / "models" / "factors", dtype=torch.float32).eval()
    given = conditions(study, sample(study, study.rows("train", target=True), 3000, np.random.default_rng(0)))
    slide = timed(lambda: edit(model, *given, strength=300, guidance=2, rng=torch.Generator().manual_seed(0)))
    batched, alone = seeds_as_one(study, 5, 100)
    lines = ["| what | ours | peer | ratio | aim |", "| --- | --- | --- | --- | --- |",
             f"| 158 factors, {SHARES} shares x {DAYS} days, s of CPU; peer: pandas' rolling, 128 of them | {ours:.1f} | {theirs:.1f} | "
             f"{theirs / ours:.1f} | 5 |",
             f"| largest memory of that process, GB | {memory:.2f} | | | 1.5 |",
             f"| 3,000 windows edited at 300 with guidance, s of CPU | {slide:.1f} | | | |",
             f"| five MLPs, 100 steps, s of CPU; peer: one after the other | {batched:.1f} | {alone:.1f} | {alone / batched:.2f} | 1.5 |"]
    print("\n".join(lines))
    if options.parse_args().write:
        text = ["# Factor augmentation", "", "`python -m benchmarks.factors --write`, one thread.", "", *lines]
        RESULTS.write_text("\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
