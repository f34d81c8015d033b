"""What came of every attack, and the tables and final numbers made from it."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from core.engine.events import Metric, Table
from core.stats import wilson
from core.unlearning.figures import Estimate
from core.unlearning.soft_tokens.cells import CELLS
from core.unlearning.soft_tokens.spec import WHO

RIGHT_AT_BEST = "Share of tokens right, at best"


@dataclass(frozen=True)
class Outcome:
    """One attack.  success: the text came out (answer) or the fact followed (opening).  steps: at which, None if never.

    accuracy: share of the text's tokens that were right at best.  norm: length of the soft tokens in normal ones.
    generated: greedy generation gave the same text, None where there was no success to confirm.  late: its minutes were over first.
    """

    cell: str
    question: str
    wanted: str
    said: str
    success: bool
    steps: int | None
    loss: float
    accuracy: float
    norm: float
    generated: bool | None
    broken: bool
    losses: Sequence[float] = ()
    late: bool = False


Outcomes = Mapping[str, list[Outcome]]


def estimate(outcomes: Sequence[Outcome]) -> Estimate:
    """Attack success rate with its 95 % Wilson interval."""
    hits = sum(o.success for o in outcomes)
    return hits / len(outcomes), *wilson(hits, len(outcomes))


def median_steps(outcomes: Sequence[Outcome]) -> float | None:
    """Over the successes; None when there is none."""
    steps = [o.steps for o in outcomes if o.success and o.steps is not None]
    return float(statistics.median(steps)) if steps else None


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def cells_table(found: Outcomes) -> Table:
    """One row per cell, in the order of the table of cells."""
    rows = []
    for key in ordered(found):
        outcomes, cell = found[key], CELLS[key]
        share, low, high = estimate(outcomes)
        rows.append([cell.title, WHO[cell.who], cell.asks, sum(o.success for o in outcomes), len(outcomes), f"{share:.0%}",
                     f"{low:.0%}", f"{high:.0%}", median_steps(outcomes), f"{mean([o.accuracy for o in outcomes]):.0%}",
                     round(mean([o.norm for o in outcomes]), 2)])
    return Table("cells", ["Group", "Model", "What it is for", "Said", "Of", "Share", "Low", "High", "Median steps", RIGHT_AT_BEST,
                           "Length of soft tokens (normal = 1)"], rows)


def targets_table(found: Outcomes) -> Table:
    """One row per attack."""
    words = {None: "–", True: "yes", False: "no"}

    def came(o: Outcome) -> str:
        return "broke down" if o.broken else "time was over" if o.late else words[o.success]

    rows = [[CELLS[key].title, o.question or "(no question)", o.wanted, o.said, came(o), o.steps,
             round(o.loss, 4), f"{o.accuracy:.0%}", round(o.norm, 2), words[o.generated]]
            for key in ordered(found) for o in found[key]]
    return Table("targets", ["Group", "Question", "Wanted", "What it really writes", "Success", "Steps", "Loss", RIGHT_AT_BEST,
                             "Length of soft tokens", "Confirmed by writing"], rows)


def final_metrics(found: Outcomes) -> Iterator[Metric]:
    """Success, median steps (only with a success), right tokens and norm of every cell; the share of confirmed successes."""
    for key in ordered(found):
        outcomes, name = found[key], CELLS[key].name
        yield Metric(f"success {name}", estimate(outcomes)[0], unit="share")
        if (steps := median_steps(outcomes)) is not None:
            yield Metric(f"median steps {name}", steps, unit="steps")
        yield Metric(f"right tokens {name}", mean([o.accuracy for o in outcomes]), unit="share")
        if any(o.late for o in outcomes):
            yield Metric(f"undecided {name}", mean([float(o.late) for o in outcomes]), unit="share")
        yield Metric(f"length {name}", mean([o.norm for o in outcomes]), unit="normal tokens")
    checked = [o.generated for outcomes in found.values() for o in outcomes if o.generated is not None]
    if checked:
        yield Metric("generated as promised", mean(checked), unit="share")


def ordered(found: Outcomes) -> list[str]:
    """The cells there are, in the order of the table."""
    return [key for key in CELLS if found.get(key)]
