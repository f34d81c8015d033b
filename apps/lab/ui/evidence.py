"""The evidence tab: what the paper claims, what this lab measured, and how sure that is."""

from __future__ import annotations

from html import escape
from typing import Any

from apps.lab.ui.words import held, number
from core.engine import claims


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


def threshold(words: str) -> str:
    """">= 0.95" with the sign that books print."""
    return words.replace(">=", "≥").replace("<=", "≤")


def _row(row: dict[str, Any]) -> str:
    interval = row["interval"]
    spread = f' <span class="gb-quiet">({number(interval[0])} to {number(interval[1])})</span>' if interval else ""
    note = f'<br><span class="gb-quiet">{escape(row["note"])}</span>' if row["note"] else ""
    return (f'<tr><th scope="row"><span class="gb-quiet">{escape(row["id"])}</span> {escape(row["statement"])}{note}</th>'
            f'<td>{held(row["held"])}</td><td>{number(row["measured"])}{spread}</td><td>{escape(threshold(row["threshold"]))}</td>'
            f'<td>{len(row["seeds"])} seeds<br><span class="gb-quiet">{escape(row["unit"])}</span></td></tr>')
