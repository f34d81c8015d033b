"""Paper 08, live: windows edited at one strength, and everything made twice to see whether anything knows the future.

factors/edit    answer: Edited; figures histogram, pca, curve; numbers rms, r2, fid, noise fid, label, diversity, collision
factors/leak    answer: Leaks; figure leaks; table checks
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from core.engine.answers import Answer, Measure
from core.engine.errors import LabError
from core.engine.lab import Lab
from core.factors import figures, leaks, slider
from core.factors.alpha import ALPHA158, SUBSET, available
from core.factors.diffusion import T, r2_theory
from core.factors.panel import Panel
from core.factors.source import MADE_SEED, fitting, is_embedded, study_of
from core.factors.spec import EMBEDDED, EditConfig, LeakConfig

AUDITED_DAYS, AUDITED_SHARES = 400, 30


@dataclass(frozen=True, kw_only=True)
class Edited(Answer):
    """factor: its name.  factors: all names.  rms, r2: of the edited windows."""

    factor: str
    factors: list[str]
    rms: float
    r2: float


@dataclass(frozen=True, kw_only=True)
class Leaks(Answer):
    """clean: whether nothing knew the future.  control_found: whether the factor that does, put there on purpose, was found."""

    clean: bool
    control_found: bool


def edit_windows(config: EditConfig, lab: Lab) -> Edited:
    """Edits a few hundred training windows of the target, and compares them with noise of the same size."""
    names, shown = (_at_once(config, lab) if _comes_stored(config) else None) or _computed(config, lab)
    if config.factor >= len(names):
        raise LabError(f"There are {len(names)} factors.", f"Choose one from 0 to {len(names) - 1}.")
    name, found = names[config.factor], shown.numbers
    theory = [(s, r2_theory(s, float(config.sampler == "ddpm"))) for s in range(0, T + 1, slider.STEP)]
    return Edited(
        factor=name, factors=list(names), rms=found["rms"], r2=found["r2"], says=_said(config.strength, found["r2"]),
        aside=f"{shown.windows} windows of eight days; {name} is drawn. Edits need not keep what holds between factors, or between a day "
              "and the next window's: nobody asks them to.",
        figures={"histogram": figures.histogram(*(shown.counts[kind][config.factor] for kind in ("real", "edited", "noise of equal size")),
                                                name),
                 "pca": figures.pca(shown.places),
                 "curve": figures.curve(_stored(lab, config), theory, (config.strength, found["r2"]))},
        numbers={"rms": Measure(found["rms"], remark="of scaled values"), "r2": Measure(found["r2"], remark="1: unchanged"),
                 "fid": Measure(found["fid"], remark="edited windows"),
                 "noise fid": Measure(found["noise fid"], remark="noise of equal size"),
                 "label": Measure(found["label"], remark=f"real: {found['real label']:.2f}"),
                 "spread": Measure(found["spread"], remark=f"real: {found['real spread']:.2f}"),
                 "residual": Measure(found["residual"], remark="links between factors that are off"),
                 "collision": Measure(found["collision"], "share", "closer to another real window"),
                 "coverage": Measure(found["coverage"], "share", "real windows covered")},
    )  # fmt: skip


def _comes_stored(config: EditConfig) -> bool:
    """Whether it asks for the windows and the noise that the stored summaries were made with."""
    usual = all(getattr(config, name) == EditConfig.model_fields[name].default for name in ("targets", "windows", "seed", "sampler"))
    return usual and is_embedded(config, MADE_SEED)


def _at_once(config: EditConfig, lab: Lab) -> tuple[tuple[str, ...], slider.Summary] | None:
    return slider.stored(lab.folder("factors"), strength=config.strength, guidance=config.guidance)


def _computed(config: EditConfig, lab: Lab) -> tuple[tuple[str, ...], slider.Summary]:
    study = study_of(config, lab, MADE_SEED)
    if config.denoiser == EMBEDDED and not is_embedded(config, MADE_SEED):
        raise LabError(
            "There is no diffusion model for these prices yet.",
            "Train one in the tab 'Train a diffusion model', then choose it under More.",
        )
    model = fitting(lab.load(config.denoiser).model, study)
    key = ("factors shown", config.data, config.table, config.kappa, config.targets, config.train_days, config.windows)
    if (seen := lab.cache.get(key)) is None:
        seen = lab.cache[key] = slider.seen(study, config.windows)
    how = {"strength": config.strength, "guidance": config.guidance, "eta": float(config.sampler == "ddpm"), "seed": config.seed}
    return study.names, slider.summary(model, seen, **how)


def _stored(lab: Lab, config: EditConfig) -> list[dict[str, Any]]:
    """The survey that came with the embedded model; for another one only theory is drawn."""
    if config.denoiser != EMBEDDED or config.sampler != "ddim":
        return []
    return json.loads((lab.folder("factors") / "grid.json").read_text(encoding="utf-8"))


def _said(strength: int, alike: float) -> str:
    if strength == 0:
        return "Nothing was changed, to the last digit."
    if alike > 0.8:
        return f"Hardly anything is changed: R2 with the original is {alike:.2f}."
    if alike > 0.2:
        return f"Clearly changed, and still a relative of the original: R2 is {alike:.2f}."
    return f"Hardly anything is left of the original window: R2 is {alike:.2f}. What remains is the label, if guidance holds on to it."


def leak(config: LeakConfig, lab: Lab) -> Leaks:
    """Makes factors, scaler, diffusion weights and edits from the whole table and from one without its future, bit for bit."""
    study = study_of(config, lab, MADE_SEED)
    panel = _few(study.panel)
    day = int(config.cut * panel.days)
    checks = list(leaks.audit_factors(panel, day)) if not panel.own else []
    first = max(panel.history, min(60, panel.days // 4))
    split = {"horizon": study.horizon, "train": max(1, day - first - 2 * study.horizon - 1), "valid": 5} if panel.days - day > 30 else {}
    checks += leaks.audit_training(panel, split)
    (on_purpose,) = leaks.audit_factors(panel, day, lambda given: {"peeks": given.close / np.nanmean(given.close, 0)})
    wrong = [check for check in checks if not check.same]
    groups = _grouped(checks)
    says = (
        "Nothing knows the future: all of it is the same, bit for bit."
        if not wrong
        else f"{wrong[0].name} changes when the future is taken away: it knows something that it cannot know."
    )
    return Leaks(
        clean=not wrong, control_found=not on_purpose.same, says=says,
        aside=f"Cut after {panel.dates[day - 1]}; {len(panel.names)} shares, {panel.days} days."
        + (" Factors of your own table are taken as they come." if panel.own else ""),
        figures={"leaks": figures.leaks([*groups, "put there on purpose: price by the mean of all days"],
                                        [*(d / n for n, d in groups.values()), on_purpose.differs / on_purpose.compared])},
        tables={"checks": {"columns": ["made twice", "numbers compared", "that differ"],
                           "rows": [[check.name, check.compared, check.differs] for check in [*wrong, *(c for c in checks if c.same)]]}},
        numbers={"checks": Measure(float(len(checks)), remark="things made twice"),
                 "wrong": Measure(float(len(wrong)), remark="know the future")},
    )  # fmt: skip


def _few(panel: Panel) -> Panel:
    """The last days of the first shares: enough to find a leak, few enough to wait for. A leak does not depend on how many there are."""
    keep = slice(0, AUDITED_SHARES)
    start = max(0, panel.days - AUDITED_DAYS)
    part = {
        "bars": {name: bar[start:, keep] for name, bar in panel.bars.items()},
        "own": {n: v[start:, keep] for n, v in panel.own.items()},
    }
    return replace(
        panel,
        dates=panel.dates[start:],
        names=panel.names[keep],
        industry=panel.industry[keep],
        target=np.ones(len(panel.names[keep]), bool),
        score=None,
        label=None if panel.label is None else panel.label[start:, keep],
        history=max(0, panel.history - start),
        **part,
    )


def _grouped(checks: list[leaks.Check]) -> dict[str, tuple[int, int]]:
    """Compared and different numbers: the usual 20 factors, the other ones, and what is trained."""
    made: dict[str, tuple[int, int]] = {}
    usual = set(available(("open", "high", "low", "close", "volume", "vwap"), SUBSET))
    for check in checks:
        name = "the 20 usual factors" if check.name in usual else "the other factors" if check.name in ALPHA158 else check.name
        n, d = made.get(name, (0, 0))
        made[name] = n + check.compared, d + check.differs
    return made
