"""Ask the data: ready questions and SQL over what the reader may see, answered by a locked database in memory."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from apps.notebook import figures, here
from apps.notebook.plot import plot
from apps.notebook.words import sentences
from core.engine import question
from core.engine.claims import recorded
from core.engine.library import Library
from core.engine.report import no_formula

WITH_CURVES, MOST_POINTS = 100, 300
OWN = "a question of my own, in SQL"


def show() -> None:
    """Draws the page."""
    st.title("Ask the data")
    library = here.library()
    ready = st.selectbox("What do you want to know?", [*question.READY, OWN], key="ready")
    with st.expander("How it is asked (SQL)", expanded=ready == OWN):
        st.caption("Read-only: nothing that you write here changes a run, or reaches a file or the network. "
                   f"At most {question.MOST_ROWS:,} rows, {question.LONGEST_S:g} seconds.")
        sql = st.text_area("SQL", question.READY.get(ready, "SELECT id, question, outcome FROM runs LIMIT 10"), height=140,
                           max_chars=question.LONGEST_SQL, key=f"sql-{ready}")
        _tables()
    with sentences():
        found = question.ask(_base(library), sql)
        _answer(found)


def _tables() -> None:
    st.markdown("\n".join(f"- `{table}`: {', '.join(f'`{column}`' for column in columns)}" for table, columns in question.TABLES.items()))
    st.caption(f"`curves` holds the newest {WITH_CURVES} runs; `numbers` the last value of every number of all runs.")


def _base(library: Library):
    """The database of this session, made anew when there are other runs."""
    rows = library.rows()
    stamp = hash(tuple((row.id, row.outcome, row.label, row.tags, len(row.numbers)) for row in rows))
    held = st.session_state.get("base")
    if held is None or held[0] != stamp:
        with st.spinner("The runs are being gathered ..."):
            lines = {row.id: library.lines(row.id) for row in rows[:WITH_CURVES]}
            held = st.session_state.base = (stamp, question.load(rows, lines, recorded()))
    return held[1]


def _answer(found: question.Found) -> None:
    frame = pd.DataFrame(found.rows, columns=_different(found.columns))
    cut = f"; only the first {len(found.rows):,} are shown" if found.cut else ""
    st.caption(f"{len(found.rows):,} {'row' if len(found.rows) == 1 else 'rows'} in {found.seconds:.2f} s{cut}")
    st.dataframe(frame, hide_index=True)
    st.download_button("Save as CSV", _safe_csv(frame), "answer.csv", "text/csv", on_click="ignore")
    _chart(frame)


def _different(columns: list[str]) -> list[str]:
    """Column names as they are, numbered where one comes twice: a table needs different ones."""
    return [name if columns.index(name) == place else f"{name} ({columns[:place].count(name) + 1})" for place, name in enumerate(columns)]


def _safe_csv(frame: pd.DataFrame) -> str:
    return frame.map(lambda cell: no_formula(cell) if isinstance(cell, str) else cell).to_csv(index=False)


def _chart(frame: pd.DataFrame) -> None:
    numbers = [name for name in frame.columns if pd.api.types.is_numeric_dtype(frame[name])]
    if not numbers or len(frame) < 2:
        return
    others = [name for name in frame.columns if name not in numbers] or [name for name in frame.columns if name != numbers[0]]
    left, right, look = st.columns(3)
    y = left.selectbox("Height", numbers, key=f"y-{'-'.join(numbers)}")
    x = right.selectbox("Across", others or [y], key=f"x-{'-'.join(others)}")
    kind = look.segmented_control("Chart", ["bars", "points"], default="bars", key="kind") or "bars"
    part = frame.head(MOST_POINTS)
    xs, ys = part[x].astype(str).tolist(), [None if pd.isna(value) else float(value) for value in part[y]]
    plot(figures.across(xs, ys, x, y, kind == "bars"), name=f"{y} by {x}", key="chart")
