"""What the probes of paper 03 say in words, tiles, strips and tables: numbers in, plain data out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core.engine.answers import Measure

LABELS = {"sound": "Sound: every step is right.", "lucky": "Lucky: the answer is right, the reasoning is not.", "wrong": "Wrong answer.",
          "unknown": "Nobody here knows the right answer."}
PARTS = {"prompt": "the problem", "open": "tag that opens the thinking", "think": "reasoning", "close": "tag that closes the thinking",
         "answer": "answer", "end": "end mark", "off": "left out"}
NOTICED = (("MaxProb think", "Mean certainty of the reasoning"), ("MinProb think", "Lowest certainty in the reasoning"),
           ("PPL think", "Minus the surprise at what is written (perplexity)"), ("R0 think", "Momentum energy alone (R0)"),
           ("CoE-R", "Chain-of-Embedding score (CoE-R)"))


def label(kind: str, truncated: bool) -> str:
    return LABELS[kind] + (" It was cut off while thinking." if truncated else "")


def measures(energy: float, token_energy: float | None, percentiles: Mapping[str, float]) -> dict[str, Measure]:
    """The tiles: energy of the reasoning, of the chosen token, and how sure the model was among its outputs."""
    sure = percentiles.get("MaxProb think")
    return {"energy": Measure(energy, remark="a reconstruction"), "token energy": Measure(token_energy, remark="of the token pointed at"),
            "surer": Measure(None if sure is None else round(sure), remark="of this model's outputs")}


def strip(words: Sequence[str], roles: Sequence[str], certainty: Sequence[float], wrong: tuple[int, int] | None) -> dict[str, Any]:
    """The whole text token by token; certainty (tokens written,) belongs to the last ones. `kinds` says how a token is drawn."""
    sure = [None] * (len(words) - len(certainty)) + [round(float(value), 4) for value in certainty]
    inside = [bool(wrong) and wrong[0] <= i < wrong[1] for i in range(len(words))]
    rows = [[word, value, PARTS.get(role, role) + (", in the first wrong step" if bad else "")]
            for word, value, role, bad in zip(words, sure, roles, inside, strict=True)]
    kinds = ["wrong" if bad else role for role, bad in zip(roles, inside, strict=True)]
    return {"columns": ["token", "certainty", "part"], "rows": rows, "kinds": kinds,
            "customdata": [{"token": i} for i in range(len(words))]}


def steps(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One row per step; each knows its number, counted from 1."""
    judged = {True: "yes", False: "no", None: "nobody knows"}
    return {"columns": ["step", "energy", "lowest certainty", "right?", "why not"],
            "customdata": [{"step": i} for i in range(1, len(rows) + 1)],
            "rows": [[f"{i}. {row['text'].rstrip(';')}", row["energy"], row["certainty"], judged[row["right"]], row["reason"]]
                     for i, row in enumerate(rows, 1)]}


def noticed(energies: tuple[float, float], before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, Any]:
    """Each score before and after a change, and whether it noticed: less trust, as every score is written so that more is more trust."""
    rows = [("Energy (as chosen above)", *energies)] + [(said, before[name], after[name]) for name, said in NOTICED]
    return {"columns": ["score", "before", "after", "it noticed?"], "rows": [[said, a, b, _moved(a, b)] for said, a, b in rows]}


def _moved(before: float | None, after: float | None) -> str:
    if before is None or after is None:
        return "–"
    if before == after:
        return "no change"
    share = abs(after - before) / abs(before) if before else 0.0
    by = f"{100 * share:.1f} %" if share >= 0.001 else "under 0.1 %"
    return f"{'less trust' if after < before else 'more trust'} ({by})"
