"""What race and comparison say in words, from their numbers alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from core.engine.events import Verdict
from core.stats import difference, smallest_detectable

CAUTION = "More attention to the picture is not proof of seeing: compare the marks beside another picture."


def race(marks: Mapping[str, Mapping[str, Any]], looks: Mapping[str, Any], tuned: Mapping[str, Any], rng: torch.Generator) -> Verdict:
    """Steering, rival and the untouched model on questions that guessing from words does not answer."""
    mine, rival, base = (marks[who]["unbiased"] for who in ("steered", "rival", "base"))
    one, other = tuned["steered"], tuned["rival"]
    low, high = difference([float(x) for x in mine.own], [float(x) for x in rival.own], rng)
    gained = difference([float(x) for x in mine.own], [float(x) for x in base.own], rng)
    n = len(mine.own)
    seeing = mine.share - (mine.shuffled or 0)
    head = (f"{one.inside:,} numbers inside the model{' and its connector' if one.connector else ''} lift right answers from "
            f"{base.share:.0%} to {mine.share:.0%}; {other.row.title} needs {other.inside:,} for {rival.share:.0%}.")
    if gained[0] <= 0:
        head = f"Steered, it is right in {mine.share:.0%}, untouched in {base.share:.0%}: no gain that {n} questions can show."
    counts = (f"With the connector, which is trained too, it is {one.total:,} against {other.total:,}: "
              f"{other.total / max(1, one.total):.1f} times as many, not {other.inside / max(1, one.inside):,.0f}. What the "
              "connector does alone is the control in the tab 'Every method'." if one.connector else
              f"The connector was left alone: {one.inside:,} against {other.total:,}.")
    text = (f"{counts} Steering minus rival: {100 * (mine.share - rival.share):+.1f} points (95 %: {100 * low:+.1f} to {100 * high:+.1f}; "
            f"{n} questions show differences from {100 * smallest_detectable(n):.0f} points). Beside another picture the steered model "
            f"loses {100 * seeing:.0f} points: that much is seeing. LMAR goes from {looks['base'].mean():.2f} to "
            f"{looks['steered'].mean():.2f}. {CAUTION}")
    evidence = {"base": base.share, "steered": mine.share, "rival": rival.share, "shuffled": mine.shuffled, "n": n,
                "difference": [low, high], "inside": [one.inside, other.inside], "total": [one.total, other.total]}
    return Verdict(text, evidence, head)


def compared(rows: Sequence[Mapping[str, Any]]) -> Verdict:
    """The cheapest method near the best, the control beside it."""
    n = rows[0]["n"]
    best = max(rows, key=lambda row: row["share"])
    near = [row for row in rows if row["share"] >= best["share"] - 0.05 and row["recipe"] != "base"]
    cheap = min(near, key=lambda row: row["inside"])
    head = f"{cheap['name']} comes within five points of the best, {best['name']}, with {cheap['inside']:,} numbers inside the model."
    if cheap is best:
        head = f"{best['name']} is best, and nothing cheaper comes within five points of it."
    control = next((row for row in rows if row["recipe"] == "connector"), None)
    beside = (f" Training the connector alone gives {control['share']:.0%}: only what is above that is due to a method." if control else
              " Connector-only, the control, was not chosen.")
    text = (f"Best: {best['name']}, {best['share']:.1%} of {n} questions whose colours are all alike.{beside} Differences below "
            f"{100 * smallest_detectable(n):.0f} points are not sure with {n} questions. {CAUTION}")
    return Verdict(text, {row["name"]: row["share"] for row in rows} | {"n": n}, head)
