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
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from core.engine.errors import LabError
from core.engine.experiment import Config
from core.engine.registry import find
from core.engine.settings import ASSETS
from core.papers import PAPERS

if TYPE_CHECKING:
    from core.engine.models import ModelStore
    from core.engine.runner import Engine

CLAIM_TABLES = {paper.number: paper.claims for paper in PAPERS if paper.claims}
RESULTS = ASSETS / "claims"

Scale = Literal["share", "points", "correlation", "number"]
Held = bool | Literal["undecided"] | None


@dataclass(frozen=True)
class Claim:
    """`measure` gets the results of one seed, one per config, in order, and gives one number.

    scale: what that number is: a share (0..1, shown in per cent), points (a difference of shares), a correlation (-1..1), or a number as
    it stands.  threshold: which way is better, and how far it has to go, in the measure's own unit.  spread: of a model on which several
    seeds would take too long, the 95 % interval over the questions of its one run, which is then judged.  beside: of a claim on a real
    model, the one on the little models that asks the same.
    """

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
    scale: Scale = "number"
    spread: Callable[[list[dict[str, Any]]], tuple[float, float]] | None = None
    beside: str = ""


def metric(result: dict[str, Any], name: str) -> float:
    """The last value of a metric in a result, as `Engine.result` gives it: what most measures of claims begin with."""
    return result["metrics"][name]


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


def measure(claim: Claim, engine: Engine, fresh: bool = False) -> dict[str, Any]:
    """Runs what the claim needs, or takes it from the record unless `fresh`, and judges it.

    Returns {id, paper, statement, kind, held, measured, interval, threshold, unit, seeds, note, fingerprints, when}.
    """
    experiment = find(claim.experiment)
    configs = [experiment.validate(dict(config)) for config in claim.configs]
    refs = dict.fromkeys([ref for config in configs for ref in experiment.models(config)] + list(claim.needs))
    try:
        fingerprints = {ref: engine.models.fingerprint(ref) for ref in refs}
    except LabError as error:
        return _row(claim, note=str(error))
    runs = [[_finished(claim, engine, config, seed, fresh) for config in configs] for seed in claim.seeds]
    values = [_value(claim, results, seed) for results, seed in zip(runs, claim.seeds, strict=True)]
    mean, low, high = interval(values)
    if claim.spread is not None:
        low, high = claim.spread(runs[0])
    return _row(claim, held=judge(low, high, claim.threshold), measured=_rounded(mean), fingerprints=fingerprints, note=claim.note,
                when=f"{datetime.now(UTC):%Y-%m-%d}",
                interval=[_rounded(low), _rounded(high)] if math.isfinite(low) and math.isfinite(high) else None)


def _rounded(value: float) -> float:
    """Six decimals, and more where six significant digits need them: a millionth part is not nothing."""
    return round(value, max(6, 5 - math.floor(math.log10(abs(value))))) if value else 0.0


def _row(claim: Claim, **measured: Any) -> dict[str, Any]:
    return {"id": claim.id, "paper": claim.paper, "statement": claim.statement, "kind": claim.kind, "held": None, "measured": None,
            "interval": None, "threshold": claim.threshold, "unit": claim.unit, "scale": claim.scale, "seeds": list(claim.seeds),
            "note": claim.note, "fingerprints": {}, "when": "", "beside": claim.beside} | measured


def _finished(claim: Claim, engine: Engine, config: Config, seed: int, fresh: bool) -> dict[str, Any]:
    run = engine.start(claim.experiment, config, seed=seed, visitor="claims", pinned=True, fresh=fresh)
    state = engine.wait(run.id)
    if state["outcome"] != "finished":
        raise LabError(f"Claim {claim.id} could not be measured: {state['error'] or state['outcome']}.",
                       "Look at the run with: glassbox runs show " + run.id)
    return engine.result(run.id)


def _value(claim: Claim, results: list[dict[str, Any]], seed: int) -> float:
    value = claim.measure(results)
    if value is None or not math.isfinite(value):
        raise LabError(f"Claim {claim.id} could not be measured: with seed {seed} its runs give no number.",
                       "Look at these runs: " + ", ".join(result["run_id"] for result in results))
    return float(value)


def measure_all(engine: Engine, paper: str | None = None) -> Iterator[dict[str, Any]]:
    """One measured claim after another; equal runs are computed once."""
    for claim in claims(paper):
        yield measure(claim, engine)


def recorded(paper: str | None = None, folder: Path = RESULTS) -> list[dict[str, Any]]:
    """The committed results, in the order of the tables.

    A claim that was never measured, or that asks for something else today than when it was, has held None and says so.
    """
    stored = {row["id"]: row for file in sorted(folder.glob("*.json")) for row in _read(file)}
    return [_recorded(claim, stored.get(claim.id)) for claim in claims(paper)]


def _recorded(claim: Claim, row: dict[str, Any] | None) -> dict[str, Any]:
    today = _row(claim, note="Not measured yet.")
    if row is None:
        return today
    if any(row[field] != today[field] for field in ("threshold", "seeds", "unit")):
        return today | {"note": "Threshold, unit or seeds have changed since it was measured: measure it again."}
    return today | {field: row[field] for field in ("held", "measured", "interval", "note", "fingerprints")} | {"when": row.get("when", "")}


def stale(rows: Sequence[dict[str, Any]], models: ModelStore) -> list[str]:
    """One sentence per recorded result that rests on another version of an embedded model than today's, or on nothing."""
    found = [f"Claim {row['id']}: {row['note']}" for row in rows if row["measured"] is None]
    return found + [f"Claim {row['id']} was measured on another {ref}: measure it again." for row in rows
                    for ref, fingerprint in row["fingerprints"].items()
                    if ref.startswith("embedded/") and models.fingerprint(ref) != fingerprint]


def _read(file: Path) -> list[dict[str, Any]]:
    return json.loads(file.read_text(encoding="utf-8"))["claims"] if file.is_file() else []


def write(results: Sequence[dict[str, Any]], folder: Path = RESULTS) -> list[Path]:
    """Stores measured claims as `assets/claims/PAPER.json`, the form in which they are committed; others there stay."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for paper in sorted({row["paper"] for row in results}):
        file = folder / f"{paper}.json"
        rows = {row["id"]: row for row in [*_read(file), *results] if row["paper"] == paper}
        file.write_text(json.dumps({"claims": list(rows.values())}, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
                        encoding="utf-8")
        files.append(file)
    return files
