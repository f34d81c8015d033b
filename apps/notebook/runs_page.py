"""The page of runs: a table to filter and choose from, and below it the chosen ones side by side."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from apps.notebook import compare, here, keep
from apps.notebook.words import called, number, plain, sentences, when
from core.engine.errors import LabError
from core.engine.index import Row
from core.engine.library import Library
from core.engine.registry import find
from core.papers import PAPERS

SHOWN, MOST_CHOSEN = 300, 6
ALL = "all"


def show() -> None:
    """Draws the page."""
    library = here.library()
    st.title("Every run side by side")
    rows = library.rows()
    _from_address(rows)
    fitting = filtered(rows, *_filters(library, rows))
    _table(fitting, len(rows))
    if damaged := library.damaged():
        st.caption(f"{len(damaged)} {'record' if len(damaged) == 1 else 'records'} cannot be read, as after a power cut, and "
                   f"{'is' if len(damaged) == 1 else 'are'} left out: {plain(', '.join(damaged[:3]))}. The folders lie in "
                   f"{plain(library.records.root)} and can be deleted there.")
    chosen = [row for row in rows if row.id in st.session_state.chosen]
    chosen.sort(key=lambda row: st.session_state.chosen.index(row.id))
    st.query_params["run"] = ",".join(st.session_state.chosen)
    if not chosen:
        st.query_params.clear()
        st.info("Tick runs in the table: their settings, curves, numbers and figures then stand here side by side.")
    else:
        compare.show(library, chosen)
    keep.show(library, chosen)


def _from_address(rows: Sequence[Row]) -> None:
    """The runs that a link names are the chosen ones when the page is opened."""
    if "chosen" in st.session_state:
        return
    known = {row.id for row in rows}
    asked = [run_id for run_id in st.query_params.get("run", "").split(",") if run_id][:MOST_CHOSEN]
    st.session_state.chosen = [run_id for run_id in asked if run_id in known]
    if len(st.session_state.chosen) < len(asked):
        st.warning("The link names a run that does not exist, was deleted, or belongs to somebody else who has not opened it. "
                   "Tick another one in the table, or open the notebook from the page of that run.")


def _filters(library: Library, rows: Sequence[Row]) -> tuple[str, str, str, str, bool]:
    titles = {row.name: row.title for row in reversed(rows)}
    words, question, ending, tag = st.columns((3, 3, 2, 2))
    said = words.text_input("Search", placeholder="a word, a setting such as algorithm=npo, a name", max_chars=200, key="search")
    name = question.selectbox("Question", [ALL, *sorted(titles, key=_paper)], format_func=lambda one: titles.get(one, "every question"),
                              key="question")
    outcome = ending.selectbox("Outcome", [ALL, *sorted({row.outcome for row in rows})], key="outcome",
                               format_func=lambda one: "every outcome" if one == ALL else one)
    tags = sorted({tag for row in rows for tag in row.tags})
    tagged = tag.selectbox("Tag", [ALL, *tags], key="tag", format_func=lambda one: "every tag" if one == ALL else one)
    with_first = st.toggle("Also the recorded runs that come with the lab", value=not any(not _ships(row) for row in rows), key="shipped")
    return said, name, outcome, tagged, with_first


def _paper(name: str) -> tuple[int, str]:
    """Questions stand in the order of the papers."""
    fields = [paper.spec.split(".")[1] for paper in PAPERS if paper.spec]
    return next((i for i, field in enumerate(fields) if name.startswith(field)), len(fields)), name


def _ships(row: Row) -> bool:
    return row.id.startswith("first-")


def filtered(rows: Sequence[Row], said: str, name: str = ALL, outcome: str = ALL, tag: str = ALL, shipped: bool = True) -> list[Row]:
    """The rows that hold every word of `said` and fit the rest."""
    words = said.lower().split()
    return [row for row in rows if (shipped or not _ships(row)) and name in (ALL, row.name) and outcome in (ALL, row.outcome)
            and (tag == ALL or tag in row.tags) and (not words or all(word in row.text for word in words))]


def table_of(rows: Sequence[Row]) -> pd.DataFrame:
    """What the table says of each run."""
    return pd.DataFrame({
        "name": [called(row) for row in rows], "question": [row.title for row in rows], "answer": [row.headline for row in rows],
        "outcome": [row.outcome for row in rows], "settings": [_changed(row) for row in rows],
        "tags": [", ".join(row.tags) for row in rows], "seconds": [row.duration_s for row in rows],
        "made": [when(row.created) for row in rows], "run": [row.id for row in rows]})


def _changed(row: Row) -> str:
    """The settings that are not the default, as far as today's experiment knows them."""
    defaults = _defaults(row.name)
    given = [(field, _text(value)) for field, value in row.config.items()]
    return ", ".join(f"{field}={value}" for field, value in given if defaults.get(field) != value)


@functools.lru_cache(maxsize=64)
def _defaults(name: str) -> dict[str, str]:
    try:
        return {field: _text(info.get_default(call_default_factory=True)) for field, info in find(name).config.model_fields.items()}
    except LabError:
        return {}


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _table(rows: Sequence[Row], of: int) -> None:
    shown = rows[:SHOWN]
    more = f"; the newest {SHOWN} are shown. Search to find others." if len(rows) > SHOWN else ""
    st.caption(f"{number(len(rows))} of {number(of)} runs{more}")
    places = {row.id: place for place, row in enumerate(shown)}
    ticked = [places[run_id] for run_id in st.session_state.chosen if run_id in places]
    # another key for other rows: Streamlit remembers the ticks by their places
    key = f"table-{hash(tuple(places))}-{st.session_state.get('fresh', 0)}"
    picked = st.dataframe(table_of(shown), key=key, hide_index=True, on_select="rerun", selection_mode="multi-row", height=320,
                          selection_default={"selection": {"rows": ticked}},
                          column_config={"seconds": st.column_config.NumberColumn(format="%.1f")})
    now = [shown[place].id for place in picked["selection"]["rows"] if place < len(shown)]
    others = [run_id for run_id in st.session_state.chosen if run_id not in places]
    order = [run_id for run_id in st.session_state.chosen if run_id in now]
    chosen = [*others, *order, *(run_id for run_id in now if run_id not in order)]
    if len(chosen) > MOST_CHOSEN:
        st.warning(f"Six runs fit side by side: the first {MOST_CHOSEN} of your ticks count.")
    st.session_state.chosen = chosen[:MOST_CHOSEN]
    if others:
        with sentences():
            st.caption(f"{len(others)} chosen {'run is' if len(others) == 1 else 'runs are'} not in the table above as it is filtered now.")
            if st.button("Choose none"):
                st.session_state.chosen, st.session_state.fresh = [], st.session_state.get("fresh", 0) + 1
                st.rerun()
