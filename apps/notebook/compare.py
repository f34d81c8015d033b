"""The chosen runs side by side: what differs, one replay for all, curves over each other, numbers, and their own figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urljoin

import pandas as pd
import streamlit as st

from apps.lab import links
from apps.notebook import figures, here
from apps.notebook.plot import plot
from apps.notebook.words import called, number, plain, sentences
from core.engine import outputs
from core.engine.errors import LabError
from core.engine.fields import fields as settings
from core.engine.index import Row
from core.engine.library import Library, Lines, curves, cut, declared, in_order, last, numbers, outdated, settings_that_differ, title_of
from core.engine.records import DONE
from core.engine.registry import find
from core.papers import PAPERS

LIVE_S = 1.0
FIRST_CURVES = 2
PALE = "background-color: rgba(230, 171, 2, .28)"


def show(library: Library, rows: Sequence[Row]) -> None:
    """Draws everything below the table; while one of the runs goes on, it is looked at once a second."""
    names = short_names(rows)
    _heads(library, rows, names)
    _settings(rows, names)
    going = any(row.outcome not in DONE for row in rows)
    st.fragment(_moving, run_every=LIVE_S if going else None)(library, {row.id: row.outcome for row in rows}, names)


def short_names(rows: Sequence[Row]) -> dict[str, str]:
    """run -> what it is called here; the same name twice gets a number."""
    found: dict[str, str] = {}
    for row in rows:
        name = called(row)
        again = sum(one == name or one.startswith(f"{name} (") for one in found.values())
        found[row.id] = f"{name} ({again + 1})" if again else name
    return found


def _heads(library: Library, rows: Sequence[Row], names: dict[str, str]) -> None:
    for column, row in zip(st.columns(len(rows)), rows, strict=True):
        with column, sentences():
            st.markdown(f"**{plain(names[row.id])}**  \n{plain(row.title)}")
            st.markdown(plain(row.headline or row.outcome))
            run = library.read(row.id)
            if row.id.startswith("first-"):
                page = next((paper.route for paper in PAPERS if paper.number == row.paper), "")
                st.link_button("Open its page in the lab", urljoin(here.lab_address(), page))
            else:
                st.link_button("Open it in the lab", urljoin(here.lab_address(), links.to_run(run).lstrip("/")))
            if row.torn:
                st.warning(f"{row.torn} {'line' if row.torn == 1 else 'lines'} of this run's log could not be read, as after a power cut, "
                           f"and {'was' if row.torn == 1 else 'were'} left out.")
            if (old := outdated(run)) and not row.id.startswith("first-"):
                st.warning(plain(old))


def _settings(rows: Sequence[Row], names: dict[str, str]) -> None:
    configs = [row.config | {"seed": row.seed} for row in rows]
    differ = settings_that_differ(configs)
    st.subheader("Settings")
    if len(rows) > 1:
        some = ", ".join(differ) if len(differ) <= 8 else f"{', '.join(differ[:8])} and others"
        marked = "1 differs and is marked" if len(differ) == 1 else f"{len(differ)} differ and are marked"
        st.caption(f"{marked}: {some}." if differ else "All settings are the same.")
    only = len(rows) > 1 and st.toggle("Only what differs", value=bool(differ), key="only-differing")
    fields = differ if only else list(dict.fromkeys(field for config in configs for field in config))
    titles = _titles(rows[0].name) if len({row.name for row in rows}) == 1 else {}
    frame = pd.DataFrame([[_cell(config.get(field, "–")) for config in configs] for field in fields], index=fields,
                         columns=list(names.values()))
    frame.insert(0, "what it is", [titles.get(field, "") for field in fields])
    marked = frame.style.apply(lambda line: [PALE if line.name in differ and len(rows) > 1 else ""] * len(line), axis=1)
    st.dataframe(marked, height="content" if len(fields) < 12 else 420)


def _titles(name: str) -> dict[str, str]:
    """field -> what the controls of its page call it."""
    try:
        return {setting.name: setting.title for setting in settings(find(name))} | {"seed": "The number all chance comes from"}
    except LabError:
        return {}


def _cell(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _moving(library: Library, said: dict[str, str], names: dict[str, str]) -> None:
    """What changes with the replay, and while a run goes on; said: run -> its outcome as the head above says it."""
    with sentences():
        runs = [library.read(run_id) for run_id in said]
        whole = {run.id: library.lines(run.id) for run in runs}
        if any(run.outcome not in DONE for run in runs):
            _progress(runs, whole, names)
        share = st.slider("Replay: how much of each run is shown", 0, 100, 100, format="%d %%", key="replay") / 100
        shown = {run_id: cut(lines, share) for run_id, lines in whole.items()}
        experiment = {run.id: run.name for run in runs}
        _curves(shown, whole, names, experiment)
        _numbers(shown, names, experiment)
        _figures(shown, names, experiment)
        _pictures(library, shown, names)
        if any(run.outcome in DONE and said[run.id] != run.outcome for run in runs):
            st.rerun()  # the table and what stands above say how it ended


def _progress(runs: Sequence[Any], whole: dict[str, Lines], names: dict[str, str]) -> None:
    for run in runs:
        if run.outcome not in DONE:
            step = next((line for line in reversed(whole[run.id]) if line["kind"] == "progress"), None)
            done = step["step"] / max(1, step["total"]) if step else 0.0
            st.progress(min(1.0, max(0.0, done)), f"{plain(names[run.id])} goes on: {plain(step['note']) if step else 'it waits'}")


def _curves(shown: dict[str, Lines], whole: dict[str, Lines], names: dict[str, str], experiment: dict[str, str]) -> None:
    of_each = {run_id: curves(lines) for run_id, lines in whole.items()}
    metrics = list(dict.fromkeys(name for found in of_each.values() for name in found))
    if not metrics:
        return
    st.subheader("While they ran")
    home = next(iter(experiment.values()))
    picked = st.multiselect("Curves", metrics, metrics[:FIRST_CURVES], key="curves",
                            format_func=lambda one: title_of(home, "metric", one)[0])
    now = {run_id: curves(lines) for run_id, lines in shown.items()}
    for place, metric in enumerate(picked):
        title, unit = title_of(home, "metric", metric)
        st.markdown(f"**{plain(title)}**" + (f": {plain(unit)}" if unit else ""))
        steps = [step for found in of_each.values() for step in found.get(metric, ((), ()))[0]]
        figure = figures.overlay({names[run_id]: found.get(metric, ((), ())) for run_id, found in now.items() if metric in of_each[run_id]},
                                 unit, (min(steps), max(steps)) if len(set(steps)) > 1 else None)
        plot(figure, name=title, key=f"curve-{place}-{metric}")


def _numbers(shown: dict[str, Lines], names: dict[str, str], experiment: dict[str, str]) -> None:
    of_each = {run_id: numbers(lines) for run_id, lines in shown.items()}
    home = next(iter(experiment.values()))
    metrics = in_order(home, list(dict.fromkeys(name for found in of_each.values() for name in found)))
    if not metrics:
        return
    st.subheader("Numbers")
    titles = [title_of(home, "metric", metric) for metric in metrics]
    frame = pd.DataFrame({"number": [title for title, _ in titles], "unit": [unit for _, unit in titles],
                          **{names[run_id]: [number(found.get(metric)) for metric in metrics] for run_id, found in of_each.items()}})
    st.dataframe(frame, hide_index=True, height="content" if len(metrics) < 12 else 420)
    _how_made(home, metrics)


def _how_made(experiment: str, metrics: Sequence[str]) -> None:
    said = [one for metric in metrics if (one := outputs.find(declared(experiment), "metric", metric)) and (one.formula or one.meaning)]
    if said:
        with st.expander("How these numbers are made, and how to read them"):
            for one in {one.name: one for one in said}.values():
                st.markdown(f"**{plain(one.title)}**: {plain(one.formula)}  \n{plain(one.meaning)}")


def _figures(shown: dict[str, Lines], names: dict[str, str], experiment: dict[str, str]) -> None:
    of_each = {run_id: last(lines, "figure") for run_id, lines in shown.items()}
    told = list(dict.fromkeys(name for found in of_each.values() for name in found))
    if not told:
        return
    st.subheader("Their figures")
    home = next(iter(experiment.values()))
    in_order = [one.name for one in outputs.each(declared(home)) if one.kind == "figure"]
    told.sort(key=lambda name: in_order.index(name) if name in in_order else len(in_order))
    picked = st.selectbox("Figure", told, format_func=lambda one: title_of(home, "figure", one)[0], key="figure")
    note = outputs.find(declared(home), "figure", picked)
    if note and note.note:
        st.caption(plain(note.note))
    for column, (run_id, found) in zip(st.columns(min(len(shown), 3)) * 2, of_each.items(), strict=False):
        with column:
            st.markdown(f"**{plain(names[run_id])}**")
            if picked in found:
                title = f"{title_of(home, 'figure', picked)[0]}, {names[run_id]}"
                plot(found[picked]["figure"], name=title, key=f"figure-{picked}-{run_id}", height=figures.height(found[picked]["figure"]))
            else:
                st.caption("This run has not said it" + (" yet." if shown[run_id] and shown[run_id][-1]["kind"] != "end" else "."))


def _pictures(library: Library, shown: dict[str, Lines], names: dict[str, str]) -> None:
    of_each = {run_id: last(lines, "picture") for run_id, lines in shown.items()}
    told = list(dict.fromkeys(name for found in of_each.values() for name in found))
    if not told:
        return
    st.subheader("Pictures")
    picked = st.selectbox("Picture", told, key="picture")
    for column, (run_id, found) in zip(st.columns(len(of_each)), of_each.items(), strict=True):
        if picked in found:
            line = found[picked]
            column.image(library.picture(run_id, line["file"]).read_bytes(), caption=plain(f"{names[run_id]}: {line['alt']}"))
