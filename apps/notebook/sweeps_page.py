"""The page of sweeps: a form that starts one, made from the same list of fields as the pages, and views over what one gave."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from apps.notebook import figures, here, sweep_form
from apps.notebook.plot import plot
from apps.notebook.words import number, plain, sentences, when
from core.engine import outputs, sweeps
from core.engine.errors import LabError
from core.engine.library import Library, declared, in_order, title_of
from core.engine.registry import find
from core.engine.sweeps import Point, Sweep, Sweeps

LOOKS = ("lines", "heat map", "one setting against several numbers", "which setting matters")
MOST_COLUMNS = 8


def show() -> None:
    """Draws the page."""
    st.title("Many runs at once, with intervals")
    library = here.library()
    notes = Sweeps(here.home().settings.home)
    if library.owns_all:
        with st.expander("Start a sweep", expanded=not notes.list()):
            sweep_form.show(library.rows())
    else:
        st.caption("Whoever owns this machine can start sweeps: one may compute for hours.")
    st.fragment(_going, run_every=1.0 if sweep_form.running.busy else None)()
    held = [one for one in notes.list() if library.owns_all or library.reader and one.owner == library.reader]
    if not held:
        if not sweep_form.running.busy:
            st.info("There is no sweep yet. Choose above what is to vary: every combination is run with several seeds, and the answers "
                    "stand here with intervals." if library.owns_all else "There is no sweep yet.")
        return
    chosen = st.selectbox("Sweep", held, format_func=_called, key="sweep")
    _view(library, notes, chosen)


def _called(held: Sweep) -> str:
    what = "; ".join(f"{field}: {', '.join(map(sweeps.text_of, values))}" for field, values in held.grid.items()) or "the defaults"
    return f"{when(held.created)}, {_title(held.name)}, {what}, {len(held.seeds)} {'seed' if len(held.seeds) == 1 else 'seeds'}"


def _title(name: str) -> str:
    try:
        return find(name).title
    except LabError:  # an experiment of another version: its sweep is still shown
        return name


def _going() -> None:
    running = sweep_form.running
    if running.busy:
        said = f"{running.done} of {running.size} runs are done. It goes on when you leave this page."
        st.progress(running.done / max(1, running.size), said)
        if running.stopped:
            st.caption("It is being stopped: the run that goes on ends at its next word.")
        elif st.button("Stop this sweep", key="stop-sweep"):
            running.stop()
            st.rerun()
        if st.session_state.get("sweeping") != running.done:  # what is below says what is finished by now
            st.session_state.sweeping = running.done
            st.rerun()
    elif st.session_state.pop("sweeping", None) is not None:
        st.rerun()
    if running.error:
        st.error(plain(running.error))


def _view(library: Library, notes: Sweeps, held: Sweep) -> None:
    rows = library.rows()
    table = sweeps.points(held, rows)
    st.caption(f"{len(table)} of {held.size} runs are finished.")
    names = in_order(held.name, sweeps.measured(table))
    if names:
        look = st.segmented_control("View", LOOKS, default=LOOKS[0], key="look") or LOOKS[0]
        fields = [field for field, values in held.grid.items() if len(values) > 1] or list(held.grid)[:1]
        with sentences():
            if not fields:
                st.caption("No setting varies here, only the seed: see the table.")
            elif look == "one setting against several numbers":
                _matrix(held, table, names, fields)
            else:
                metric = st.selectbox("Number", names, format_func=lambda one: title_of(held.name, "metric", one)[0], key="sweep-number")
                {"lines": _lines, "heat map": _heat, "which setting matters": _matters}[look](held, table, metric, fields)
        _cells(held, table, names)
    if library.owns_all and st.button("Forget this sweep", help="Its runs stay.", key="forget"):
        notes.delete(held.id)
        st.rerun()


def _words(held: Sweep, field: str) -> list[str]:
    return [sweeps.text_of(value) for value in held.grid[field]]


def _pick(fields: Sequence[str]) -> tuple[str, str | None]:
    left, right = st.columns(2)
    x = left.selectbox("Across", fields, key=f"x-{'-'.join(fields)}")
    others = [field for field in fields if field != x]
    return x, right.selectbox("And", others, key=f"y-{'-'.join(others)}") if others else None


def _lines(held: Sweep, table: Sequence[Point], metric: str, fields: Sequence[str]) -> None:
    x, y = _pick(fields)
    found = sweeps.across(table, [x] + ([y] if y else []), metric)
    groups = {}
    for other in _words(held, y) if y else [""]:
        cells = [found.get((one, other) if y else (one,)) for one in _words(held, x)]
        groups[f"{y} = {other}" if y else metric] = [cell and (cell.mean, *(cell.interval or (cell.mean, cell.mean))) for cell in cells]
    title, unit = title_of(held.name, "metric", metric)
    plot(figures.lines(_words(held, x), groups, x, unit or title), name=f"{title} by {x}", key="sweep-lines", height=400)
    _caption(held, fields, [x, y])


def _caption(held: Sweep, fields: Sequence[str], used: Sequence[str | None], words: str = "Points are means, whiskers") -> None:
    rest = [field for field in fields if field not in used]
    st.caption(f"{words} the 95 % interval (Student's t) over " + ", ".join(["seeds", *rest])
               + ("." if len(held.seeds) > 1 or rest else "; one run has no interval: sweep over several seeds to get one."))


def _said(cell: sweeps.Estimate | None) -> str:
    if cell is None:
        return ""
    return number(cell.mean) + (f" ± {number((cell.interval[1] - cell.interval[0]) / 2)}" if cell.interval else "")


def _heat(held: Sweep, table: Sequence[Point], metric: str, fields: Sequence[str]) -> None:
    x, y = _pick(fields)
    across, down = _words(held, x), _words(held, y) if y else [metric]
    found = sweeps.across(table, [x] + ([y] if y else []), metric)
    board = [[found.get((one, other) if y else (one,)) for one in across] for other in down]
    pressed = plot(figures.heat(down, across, [[cell and cell.mean for cell in row] for row in board],
                                [[_said(cell) for cell in row] for row in board], x, y or ""),
                   name=f"{metric} by {x} and {y}", key="sweep-heat", height=120 + 60 * len(down))
    _caption(held, fields, [x, y], "Numbers are means ± half of")
    _opened(pressed and found.get((str(pressed["x"]), str(pressed["y"])) if y else (str(pressed["x"]),)))


def _opened(cell: sweeps.Estimate | None) -> None:
    """The runs behind what was pressed."""
    if cell:
        st.markdown("Runs of the square that you pressed: " + ", ".join(f"[{run_id}](/?run={run_id})" for run_id in cell.runs))
        st.link_button("Open them side by side", f"/?run={','.join(cell.runs[:6])}")
    else:
        st.caption("Press a square to open its runs.")


def _matrix(held: Sweep, table: Sequence[Point], names: Sequence[str], fields: Sequence[str]) -> None:
    left, right = st.columns(2)
    field = left.selectbox("Setting", fields, key="matrix-setting")
    metrics = right.multiselect("Numbers", names, _alike(held.name, table, names)[:MOST_COLUMNS], key="matrix-numbers",
                                format_func=lambda one: title_of(held.name, "metric", one)[0])
    if not metrics:
        st.caption("Choose at least one number.")
        return
    down = _words(held, field)
    found = {metric: sweeps.across(table, [field], metric) for metric in metrics}
    board = [[found[metric].get((one,)) for metric in metrics] for one in down]
    titles, units = zip(*(title_of(held.name, "metric", metric) for metric in metrics), strict=True)
    values = [[cell and cell.mean for cell in row] for row in board]
    pressed = plot(figures.heat(down, titles, values if len(set(units)) == 1 else _by_column(values),
                                [[_said(cell) for cell in row] for row in board], "", field),
                   name=f"{field} against several numbers", key="sweep-matrix", height=160 + 60 * len(down))
    if len(set(units)) > 1:
        st.caption("These numbers have different units: each column is coloured from its own smallest to its own largest.")
    _caption(held, fields, [field], "Numbers are means ± half of")
    metric = dict(zip(titles, metrics, strict=True)).get(str(pressed["x"])) if pressed else None
    _opened(metric and found[metric].get((str(pressed["y"]),)))


def _alike(name: str, table: Sequence[Point], numbers: Sequence[str]) -> list[str]:
    """The numbers that are one thing measured in several ways, as recall is by every way of asking: the largest group of such, and of
    equally large ones that which differs most between the runs. All numbers where there is none."""
    groups: dict[tuple[str, str], list[str]] = {}
    for one in numbers:
        said = outputs.find(declared(name), "metric", one)
        if said and said.name.startswith("{}"):
            groups.setdefault((said.name, one.split()[-1]), []).append(one)

    def spread(group: list[str]) -> float:
        given = [[point.numbers[one] for point in table if point.numbers.get(one) is not None] for one in group]
        return sum(statistics.pvariance(values) for values in given if values)

    return max(groups.values(), key=lambda group: (len(group), spread(group)), default=list(numbers))


def _by_column(values: Sequence[Sequence[float | None]]) -> list[list[float | None]]:
    """Every column from 0 to 1."""
    columns = []
    for column in zip(*values, strict=True):
        low, high = (end([value for value in column if value is not None], default=0.0) for end in (min, max))
        columns.append([None if value is None else (value - low) / (high - low or 1.0) for value in column])
    return [list(row) for row in zip(*columns, strict=True)]


def _matters(held: Sweep, table: Sequence[Point], metric: str, fields: Sequence[str]) -> None:
    split = sweeps.shares(table, fields, metric)
    if split is None:
        st.info("That can be said once every combination is finished and the number differs between runs.")
        return
    plot(figures.bars(list(split), list(split.values()), "share of the variance, %"), name="Which setting matters", key="sweep-shares",
         height=120 + 40 * len(split))
    st.caption("The variance of this number over all runs of the sweep, shared out: a setting's share is what the means of its values "
               "explain (eta squared). Its limits: it says nothing of values that were not tried, a wider range of values makes a setting "
               "look more important, what two settings do only together stands in the rest, and with few "
               "seeds a small share may be chance.")


def _cells(held: Sweep, table: Sequence[Point], names: Sequence[str]) -> None:
    st.subheader("Every run of this sweep")
    titles = {name: title_of(held.name, "metric", name)[0] for name in names[:12]}
    if len(set(titles.values())) < len(titles):
        titles = {name: name for name in titles}
    frame = pd.DataFrame([point.settings | {"seed": point.seed} | {title: point.numbers.get(name) for name, title in titles.items()}
                          | {"run": f"/?run={point.run_id}"} for point in table])
    st.dataframe(frame, hide_index=True, height=320, column_config={"run": st.column_config.LinkColumn("run", display_text="open")})
    st.download_button("Save as CSV", frame.to_csv(index=False), "sweep.csv", "text/csv", on_click="ignore")
    missing: list[Any] = [run_id for run_id in held.runs.values() if run_id not in {point.run_id for point in table}]
    if missing:
        st.caption(f"{len(missing)} of its runs did not finish, were deleted, or belong to somebody else.")
