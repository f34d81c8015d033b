"""The board of all claims: what the papers say, what was measured when and on which model, and what this machine found since.

    for row in rows(home): row["held"], row["new"]
    csv(rows(home)), html(rows(home))            # to take away: the page needs nothing else and runs no script
"""

from __future__ import annotations

import csv as tables
import io
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.engine import claims
from core.engine.errors import LabError
from core.engine.records import write_json
from core.engine.report import STYLE, escape, no_formula
from core.engine.stored import parse, read_file
from core.papers import PAPERS

if TYPE_CHECKING:
    from core.engine.runner import Engine

WORDS = {True: "held", False: "did not hold", "undecided": "undecided", None: "not measured"}
FACTORS, UNITS = {"share": 100, "points": 100}, {"share": " %", "points": " points"}
COLUMNS = ("claim", "paper", "statement", "result", "measured", "from", "to", "threshold", "sample", "seeds", "model", "when", "note",
           "on the other kind of model")


def rows(home: Path) -> list[dict[str, Any]]:
    """Every registered claim as `claims.recorded` gives it, with `new`: what this machine measured since, or None; and `twins`: the claims
    that ask the same of the other kind of model, little or real."""
    known = claims.recorded()
    return [row | {"new": measured_here(home, row["id"]),
                   "twins": [other for other in known if row["beside"] == other["id"] or other["beside"] == row["id"]]} for row in known]


def on_real(row: dict[str, Any]) -> bool:
    """Whether a claim is about a real model, not about those that come with the lab."""
    return bool(row["beside"]) or any(not ref.startswith(("embedded/", "run/")) for ref in row["fingerprints"])


def by_model(row: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(the claim on the little models, the same on real ones): the row itself and its twins."""
    return (row["twins"], [row]) if on_real(row) else ([row], row["twins"])


def measured_here(home: Path, claim: str) -> dict[str, Any] | None:
    """What `measure_again` found for a claim the last time; None for nothing, or nothing that can be read."""
    try:
        held = parse(read_file(home / "claims" / f"{claim}.json"))
    except (OSError, ValueError):
        return None
    return held if isinstance(held, dict) and held.get("id") == claim and {"held", "measured", "interval", "scale"} <= held.keys() else None


def measure_again(engine: Engine, claim_id: str) -> dict[str, Any]:
    """Measures one claim with fresh runs and remembers it in the home; what comes with the lab stays. Raises LabError."""
    claim = next((claim for claim in claims.claims() if claim.id == claim_id), None)
    if claim is None:
        raise LabError(f"There is no claim {claim_id}.", "Choose one from the board.")
    found = claims.measure(claim, engine, fresh=True)
    folder = engine.settings.home / "claims"
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"{claim_id}.json", found)
    return found


class Measuring:
    """One measurement at a time, in a thread of its own."""

    def __init__(self) -> None:
        self.claim, self.error = "", ""
        self._lock = threading.Lock()

    def start(self, engine: Callable[[], Engine], claim: str) -> None:
        """Raises LabError while another one is measured."""
        with self._lock:
            if self.claim:
                raise LabError(f"Claim {self.claim} is being measured.", "Wait for its end.")
            self.claim, self.error = claim, ""
        threading.Thread(target=self._measure, args=(engine, claim), name="measuring", daemon=True).start()

    def _measure(self, engine: Callable[[], Engine], claim: str) -> None:
        try:
            measure_again(engine(), claim)
        except LabError as error:
            self.error = str(error)
        except Exception as problem:  # a bug: the board says so, and the next claim can be measured
            self.error = f"Something in the lab itself went wrong ({type(problem).__name__})."
        finally:
            self.claim = ""


def value(row: dict[str, Any], which: float | None) -> str:
    """A number of a claim in its own unit."""
    if which is None:
        return "–"
    scale = row["scale"]
    return f"{FACTORS.get(scale, 1) * which:.3g}{UNITS.get(scale, '')}"


def models(row: dict[str, Any]) -> str:
    """The models that a result rests on."""
    return ", ".join(row["fingerprints"]) or "–"


def twins(row: dict[str, Any]) -> str:
    """How the same claim fares on the other kind of model, in one line; "" where none asks it."""
    return "; ".join(f"{other['id']} {WORDS[other['held']]}, {value(other, other['measured'])}" for other in row["twins"])


def csv(found: Sequence[dict[str, Any]]) -> str:
    """One line a claim; what a spreadsheet would compute gets a `'` in front."""
    out = io.StringIO()
    writer = tables.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in found:
        low, high = row["interval"] or ("", "")
        writer.writerow([no_formula(str(cell)) if isinstance(cell, str) else cell for cell in (
            row["id"], row["paper"], row["statement"], WORDS[row["held"]], row["measured"], low, high, row["threshold"], row["unit"],
            len(row["seeds"]), models(row), row["when"], row["note"], twins(row))])
    return out.getvalue()


def html(found: Sequence[dict[str, Any]]) -> str:
    """The board as one self-contained page without any script."""
    names = {paper.number: paper.question for paper in PAPERS}
    parts = [f"<h2>Paper {escape(paper)}: {escape(names.get(paper, ''))}</h2>{_table([row for row in found if row['paper'] == paper])}"
             for paper in dict.fromkeys(row["paper"] for row in found)]
    counts = ", ".join(f"{sum(row['held'] == held for row in found)} {word}" for held, word in WORDS.items())
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>All claims</title><style>{STYLE}</style></head><body>
<h1>All claims</h1><p class="quiet">Glassbox Lab, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC. {len(found)} claims: {escape(counts)}.
A claim holds only if its whole 95 % interval clears the threshold, which was written down before anything was measured.</p>
{"".join(parts)}</body></html>"""


def _table(found: Sequence[dict[str, Any]]) -> str:
    head = "".join(f"<th>{name}</th>" for name in ("claim", "result", "measured", "interval", "threshold", "sample", "model", "when",
                                                    "on the other kind of model"))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(map(_line, found))}</tbody></table>"


def _line(row: dict[str, Any]) -> str:
    spread = " to ".join(value(row, end) for end in row["interval"]) if row["interval"] else "–"
    note = f'<br><span class="quiet">{escape(row["note"])}</span>' if row["note"] else ""
    cells = (WORDS[row["held"]], value(row, row["measured"]), spread, row["threshold"], f"{len(row['seeds'])} seeds; {row['unit']}",
             models(row), row["when"] or "–", twins(row) or "–")
    return f"<tr><td>{escape(row['id'])} {escape(row['statement'])}{note}</td>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"
