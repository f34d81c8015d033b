"""The evidence tab: what the paper claims, what this lab measured, and how sure that is."""

from __future__ import annotations

from typing import Any

from markupsafe import escape

from apps.lab.ui.words import held, number
from core.engine import claims

_SIGNS = {">=": "≥", "<=": "≤"}
_FACTORS, _UNITS = {"share": 100, "points": 100}, {"share": " %", "points": " points"}


def evidence_html(paper: str) -> str:
    """The committed results of a paper's claims as a table; a claim that failed stands there as failing."""
    rows = claims.recorded(paper)
    counts = {value: sum(row["held"] is value or row["held"] == value for row in rows) for value in (True, False, "undecided")}
    summary = (f"{counts[True]} of {len(rows)} claims held on our models, {counts[False]} did not, "
               f"{counts['undecided']} are undecided.")
    body = "".join(_row(row) for row in rows)
    return (f'<p class="gb-intro">{summary} A claim holds only if the whole 95 % interval clears its threshold, which was written down '
            "before anything was measured.</p>"
            '<div class="gb-table-frame" tabindex="0" role="region" aria-label="Claims"><table class="gb-claims">'
            '<thead><tr><th scope="col">Claim</th>'
            '<th scope="col">Here</th><th scope="col">Measured</th><th scope="col">Threshold</th><th scope="col">Sample</th></tr></thead>'
            f"<tbody>{body}</tbody></table></div>{_board(rows)}")


def _board(rows: list[dict[str, Any]]) -> str:
    """What was asked of little models and of a real one, side by side; "" where nothing was."""
    known = {row["id"]: row for row in rows}
    pairs = [(known[row["beside"]], row) for row in rows if row.get("beside") in known]
    if not pairs:
        return ""
    body = "".join(f'<tr><th scope="row">{escape(little["statement"])}</th>{_cell(little)}{_cell(real)}</tr>' for little, real in pairs)
    return ('<h3 class="gb-panel-title">Little model, real model</h3><div class="gb-table-frame" tabindex="0" role="region" '
            'aria-label="Little model and real model"><table class="gb-claims"><thead><tr><th scope="col">Asked of both</th>'
            '<th scope="col">Little model</th><th scope="col">Real model (SmolLM2, 135 million numbers)</th></tr></thead>'
            f"<tbody>{body}</tbody></table></div>")


def _cell(row: dict[str, Any]) -> str:
    measured = "" if row["measured"] is None else f": {_said(row['measured'], row['scale'])}{_within(row)}, aim {aim(row)}"
    return f'<td>{held(row["held"])}{measured} <span class="gb-quiet">{escape(row["id"])}</span></td>'


def aim(row: dict[str, Any]) -> str:
    """What a claim has to reach, with the sign that books print and in the unit of its sentence: "≥ 10 points"."""
    sign, bound = row["threshold"].split()
    return f"{_SIGNS[sign]} {_said(float(bound), row['scale'])}"


def _shown(value: float, scale: str) -> str:
    """A measured value in the claim's unit, without its name."""
    return number(float(f"{_FACTORS.get(scale, 1) * value:.6g}"))


def _said(value: float, scale: str) -> str:
    shown, unit = _shown(value, scale), _UNITS.get(scale, "")
    return f"{shown}{unit.rstrip('s') if shown in ('1', '-1') else unit}"


def _spread(row: dict[str, Any]) -> tuple[float, float]:
    """The interval, cut where no value can lie: a share ends at 0 and 1, a difference of shares and a correlation at -1 and 1."""
    low, high = row["interval"]
    return (low, high) if row["scale"] == "number" else (max(0 if row["scale"] == "share" else -1, low), min(1, high))


def _within(row: dict[str, Any]) -> str:
    """The interval behind a measured value; "" where there is none."""
    if not row["interval"]:
        return ""
    low, high = (_shown(end, row["scale"]) for end in _spread(row))
    return f' <span class="gb-quiet">({low} to {high})</span>'


def _row(row: dict[str, Any]) -> str:
    measured = "–" if row["measured"] is None else _said(row["measured"], row["scale"])
    spread, count = _within(row), len(row["seeds"])
    seeds = f"{count} seed{'s' if count > 1 else ''}"
    note = f'<br><span class="gb-quiet">{escape(row["note"])}</span>' if row["note"] else ""
    return (f'<tr><th scope="row"><span class="gb-quiet">{escape(row["id"])}</span> {escape(row["statement"])}{note}</th>'
            f'<td>{held(row["held"])}</td><td>{measured}{spread}</td><td>{escape(aim(row))}</td>'
            f'<td>{seeds}<br><span class="gb-quiet">{escape(row["unit"])}</span></td></tr>')
