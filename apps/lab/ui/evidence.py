"""The evidence tab: what the paper claims, what this lab measured, and how sure that is."""

from __future__ import annotations

import re
from html import escape
from typing import Any

from apps.lab.ui.words import held, number
from core.engine import claims

_SIGNS = {">=": "≥", "<=": "≤"}


def evidence_html(paper: str) -> str:
    """The committed results of a paper's claims as a table; a claim that failed stands there as failing."""
    rows = claims.recorded(paper)
    counts = {value: sum(row["held"] is value or row["held"] == value for row in rows) for value in (True, False, "undecided")}
    summary = (f"{counts[True]} of {len(rows)} claims held on our small models, {counts[False]} did not, "
               f"{counts['undecided']} are undecided.")
    body = "".join(_row(row) for row in rows)
    return (f'<p class="gb-intro">{summary} A claim holds only if the whole 95 % interval clears its threshold, which was written down '
            "before anything was measured.</p>"
            '<div class="gb-table-frame" tabindex="0" role="region" aria-label="Claims"><table class="gb-claims">'
            '<thead><tr><th scope="col">Claim</th>'
            '<th scope="col">Here</th><th scope="col">Measured</th><th scope="col">Threshold</th><th scope="col">Sample</th></tr></thead>'
            f"<tbody>{body}</tbody></table></div>")


def aim(row: dict[str, Any]) -> str:
    """What a claim has to reach, with the sign that books print and in the unit of its sentence: "≥ 10 points"."""
    sign, bound = row["threshold"].split()
    factor, unit = _scale(row)
    return f"{_SIGNS[sign]} {_with_unit(factor * float(bound), unit)}"


def _scale(row: dict[str, Any]) -> tuple[float, str]:
    """What a measured value is multiplied by to be in the unit that the claim speaks of, and that unit's name."""
    words = f"{row['unit']} {row['statement']}"
    if re.search(r"\bpoints?\b|^difference of shares\b", words):
        return 100, " points"
    return (100, " %") if re.search(r"^share\b|\d %", words) else (1, "")


def _spread(row: dict[str, Any]) -> tuple[float, float]:
    """The interval, cut where no value can lie: a share ends at 0 and 1, a correlation at -1 and 1."""
    low, high = row["interval"]
    least = 0 if _scale(row)[1] == " %" else -1
    bounded = _scale(row)[0] == 100 or "correlation" in row["statement"]
    return (max(least, low), min(1, high)) if bounded else (low, high)


def _with_unit(value: float, unit: str) -> str:
    said = number(round(value, 6))
    return f"{said}{unit.rstrip('s') if said in ('1', '-1') else unit}"


def _row(row: dict[str, Any]) -> str:
    factor, unit = _scale(row)
    measured = "–" if row["measured"] is None else _with_unit(factor * row["measured"], unit)
    spread = ""
    if row["interval"]:
        low, high = (number(round(factor * end, 6)) for end in _spread(row))
        spread = f' <span class="gb-quiet">({low} to {high})</span>'
    note = f'<br><span class="gb-quiet">{escape(row["note"])}</span>' if row["note"] else ""
    return (f'<tr><th scope="row"><span class="gb-quiet">{escape(row["id"])}</span> {escape(row["statement"])}{note}</th>'
            f'<td>{held(row["held"])}</td><td>{measured}{spread}</td><td>{escape(aim(row))}</td>'
            f'<td>{len(row["seeds"])} seeds<br><span class="gb-quiet">{escape(row["unit"])}</span></td></tr>')
