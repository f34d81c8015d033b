"""A claim is a sentence of a paper, the runs that test it, and an inequality written down before measuring.

    Claim("01.2", "01", "NPO looks forgotten: few forgotten answers come back when asked plainly.", "report",
          "unlearning/audit", configs=[{"algorithm": "npo"}],
          measure=lambda results: results[0]["metrics"]["direct recall unlearned"], threshold="<= 0.25")

`held` is true only if the whole 95 % interval over seeds clears the threshold, false if it lies on the other side,
"undecided" in between, None if a model it needs is absent.
"""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from core.engine.errors import LabError
from core.engine.settings import ASSETS

if TYPE_CHECKING:
    from core.engine.runner import Engine

CLAIM_TABLES = {"01": "core.unlearning.audit.claims"}
RESULTS = ASSETS / "claims"

Held = bool | Literal["undecided"] | None


@dataclass(frozen=True)
class Claim:
    """`measure` gets the results of one seed, one per config, in order, and gives one number."""

    id: str
    paper: str
    statement: str
    kind: Literal["gate", "report"]
    experiment: str
    configs: Sequence[dict[str, Any]]
    measure: Callable[[list[dict[str, Any]]], float]
    threshold: str
    seeds: Sequence[int] = (0, 1, 2, 3, 4)
    unit: str = "mean over seeds"
    note: str = ""
    needs: Sequence[str] = field(default=())


def claims(paper: str | None = None) -> list[Claim]:
    """The registered claims of one paper, or of all. Raises LabError for a paper without any."""
    if paper is not None and paper not in CLAIM_TABLES:
        raise LabError(f"No claims are registered for paper '{paper}'.", f"Papers with claims: {', '.join(CLAIM_TABLES)}.")
    return [claim for key, module in CLAIM_TABLES.items() if paper in (None, key)
            for claim in importlib.import_module(module).CLAIMS]


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Mean and two-sided 95 % Student-t interval of `values` (n >= 2; a single value has an unbounded interval)."""
    from scipy import stats

    n = len(values)
    mean = math.fsum(values) / n
    if n < 2:
        return mean, -math.inf, math.inf
    deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1))
    half = float(stats.t.ppf(0.975, n - 1)) * deviation / math.sqrt(n)
    return mean, mean - half, mean + half


def judge(low: float, high: float, threshold: str) -> Held:
    """Whether the interval [low, high] clears a threshold such as ">= 0.95"."""
    sign, value = threshold.split()
    bound = float(value)
    if sign == ">=":
        return True if low >= bound else False if high < bound else "undecided"
    if sign == "<=":
        return True if high <= bound else False if low > bound else "undecided"
    raise ValueError(f"a threshold starts with >= or <=, not {threshold!r}")


def measure(claim: Claim, engine: Engine) -> dict[str, Any]:
    """Runs what the claim needs, or takes it from the record, and judges it.

    Returns {id, paper, statement, kind, held, measured, interval, threshold, unit, seeds, note, fingerprints}.
    """
    values, fingerprints = [], {}
    answer = {"id": claim.id, "paper": claim.paper, "statement": claim.statement, "kind": claim.kind}
    tail = {"threshold": claim.threshold, "unit": claim.unit, "seeds": list(claim.seeds)}
    for seed in claim.seeds:
        results = []
        for config in claim.configs:
            try:
                run = engine.start(claim.experiment, dict(config), seed=seed, visitor="claims")
            except LabError as error:
                return {**answer, "held": None, "measured": None, "interval": None, **tail, "note": str(error), "fingerprints": {}}
            state = engine.wait(run.id)
            if state["outcome"] != "finished":
                raise LabError(f"Claim {claim.id} could not be measured: {state['error'] or state['outcome']}.",
                               "Look at the run with: glassbox runs show " + run.id)
            fingerprints |= state["fingerprints"]
            results.append(engine.result(run.id))
        values.append(float(claim.measure(results)))
    mean, low, high = interval(values)
    return {**answer, "held": judge(low, high, claim.threshold), "measured": round(mean, 6),
            "interval": [round(low, 6), round(high, 6)], **tail, "note": claim.note, "fingerprints": fingerprints}


def measure_all(engine: Engine, paper: str | None = None) -> Iterator[dict[str, Any]]:
    """One measured claim after another; equal runs are computed once."""
    for claim in claims(paper):
        yield measure(claim, engine)


def recorded(paper: str | None = None, folder: Path = RESULTS) -> list[dict[str, Any]]:
    """The committed results, in the order of the tables. A claim that was never measured has held None and says so."""
    stored = {row["id"]: row for file in sorted(folder.glob("*.json")) for row in json.loads(file.read_text())["claims"]}
    answers = []
    for claim in claims(paper):
        base = {"id": claim.id, "paper": claim.paper, "statement": claim.statement, "kind": claim.kind, "held": None,
                "measured": None, "interval": None, "threshold": claim.threshold, "unit": claim.unit,
                "seeds": list(claim.seeds), "note": "Not measured yet.", "fingerprints": {}}
        answers.append(base | stored.get(claim.id, {}))
    return answers


def write(results: Sequence[dict[str, Any]], folder: Path = RESULTS) -> list[Path]:
    """Stores measured claims as `assets/claims/PAPER.json`, the form in which they are committed."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for paper in sorted({row["paper"] for row in results}):
        file = folder / f"{paper}.json"
        rows = [row for row in results if row["paper"] == paper]
        file.write_text(json.dumps({"claims": rows}, indent=1, ensure_ascii=False) + "\n")
        files.append(file)
    return files
