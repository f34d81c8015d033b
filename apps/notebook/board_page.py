"""The board of claims: every paper, every claim, what was measured; filter, take away, measure again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from apps.notebook import here
from apps.notebook.words import plain, sentences
from core.engine import board
from core.engine.registry import find
from core.papers import PAPERS

ALL = "all"
SYMBOLS = {True: "✓ held", False: "✗ did not hold", "undecided": "? undecided", None: "– not measured"}
_measuring = board.Measuring()


def show() -> None:
    """Draws the page."""
    st.title("Every claim, and what came of it")
    st.caption("A claim holds only if its whole 95 % interval clears the threshold, which was written down before anything was measured. "
               "Claims that fail stand here like those that hold.")
    with st.spinner("The claims are being read ..."):
        rows = board.rows(here.home().settings.home)
    fitting = _filtered(rows)
    _counts(fitting)
    st.dataframe(table_of(fitting), hide_index=True, height=460, column_config={"claim": st.column_config.TextColumn(pinned=True)})
    left, right, _ = st.columns((1, 1, 2))
    left.download_button("Save as CSV", board.csv(fitting), "claims.csv", "text/csv", on_click="ignore")
    right.download_button("Save as one HTML page", board.html(fitting), "claims.html", "text/html", on_click="ignore")
    if fitting:
        _one(fitting)


def _filtered(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    names = {paper.number: f"{paper.number} {paper.question}" for paper in PAPERS}
    paper, result, words = st.columns(3)
    papers = [number for number in names if any(row["paper"] == number for row in rows)]
    of = paper.selectbox("Paper", [ALL, *papers], format_func=lambda one: names.get(one, "every paper"), key="claims-paper")
    held = result.selectbox("Result", [ALL, *board.WORDS.values()], format_func=lambda one: "every result" if one == ALL else one,
                            key="claims-result")
    said = words.text_input("Search", max_chars=200, key="claims-search").lower().split()
    return [row for row in rows if of in (ALL, row["paper"]) and held in (ALL, board.WORDS[row["held"]])
            and all(word in f"{row['id']} {row['statement']} {row['note']}".lower() for word in said)]


def _counts(rows: Sequence[dict[str, Any]]) -> None:
    for column, (held, word) in zip(st.columns(4), board.WORDS.items(), strict=True):
        column.metric(word, sum(row["held"] == held for row in rows))


def table_of(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """What the board says of each claim."""
    return pd.DataFrame([{
        "claim": row["id"], "statement": row["statement"], "result": SYMBOLS[row["held"]], "measured": board.value(row, row["measured"]),
        "95 % interval": " to ".join(board.value(row, end) for end in row["interval"]) if row["interval"] else "–",
        "threshold": row["threshold"], "measured again here": _again(row), "sample": f"{len(row['seeds'])} seeds; {row['unit']}",
        "on the little models": _short(board.by_model(row)[0]), "on a real model": _short(board.by_model(row)[1]),
        "models": board.models(row), "when": row["when"] or "not written down", "note": row["note"]}
        for row in rows])


def _again(row: dict[str, Any]) -> str:
    new = row["new"]
    return f"{SYMBOLS[new['held']]}: {board.value(new, new['measured'])}" if new else "–"


def _short(rows: Sequence[dict[str, Any]]) -> str:
    return "; ".join(f"{SYMBOLS[row['held']].split()[0]} {board.value(row, row['measured'])} ({row['id']})" for row in rows) or "not asked"


def _one(rows: Sequence[dict[str, Any]]) -> None:
    st.subheader("One claim")
    row = st.selectbox("Claim", rows, format_func=lambda one: f"{one['id']} {one['statement'][:90]}", key="one-claim")
    st.markdown(f"**{plain(row['id'])}** {plain(row['statement'])}")
    old, new = st.columns(2)
    _result(old, "With the lab", row)
    if row["new"]:
        _result(new, f"Measured again here, {row['new'].get('when', '')}", row["new"])
    else:
        new.caption("Not measured again on this machine yet.")
    for other in row["twins"]:
        _result(st, f"The same on {'a real model' if board.on_real(other) else 'the little models'}: {other['id']}", other)
    if here.library().owns_all:
        st.fragment(_measure, run_every=1.0 if _measuring.claim else None)(row["id"])
    else:
        st.caption("Whoever owns this machine can measure a claim again: it may take many minutes of computing.")


def _result(place: Any, title: str, row: dict[str, Any]) -> None:
    place.metric(title, board.value(row, row["measured"]))
    spread = " to ".join(board.value(row, end) for end in row["interval"]) if row["interval"] else "no interval"
    place.markdown(f"{SYMBOLS[row['held']]}, threshold {plain(row['threshold'])}, interval {plain(spread)}  \n{plain(row['note'])}")


def _measure(claim_id: str) -> None:
    going = _measuring.claim
    if going:
        st.info(f"Claim {going} is being measured. It goes on when you leave this page.")
    elif st.session_state.get("measuring"):
        st.session_state.measuring = ""
        st.rerun()
    if _measuring.error:
        st.error(plain(_measuring.error))
    claim = next((one for one in _registered() if one.id == claim_id), None)
    if claim is None:
        return
    runs = len(claim.seeds) * len(claim.configs)
    st.caption(f"Measuring it again takes {runs} {'run' if runs == 1 else 'runs'} of '{find(claim.experiment).title}'.")
    if st.button("Measure again", disabled=bool(going), key="measure"):
        with sentences():
            _measuring.start(here.engine, claim_id)
            st.session_state.measuring = claim_id
            st.rerun()


def _registered() -> list[Any]:
    from core.engine.claims import claims

    return claims()
