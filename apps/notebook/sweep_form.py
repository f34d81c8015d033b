"""The form of a sweep: which experiment, which settings vary, which are fixed, how many seeds; and the sweep that is going on."""

from __future__ import annotations

import json
import math
import shlex
import statistics
import threading
from collections.abc import Sequence
from typing import Any

import streamlit as st

from apps.notebook import here
from apps.notebook.words import plain, sentences
from core.engine import outputs
from core.engine.errors import LabError
from core.engine.experiment import Experiment
from core.engine.fields import Setting, fields
from core.engine.index import Row
from core.engine.registry import everything
from core.engine.sweep import cells, sweep
from core.engine.text_values import config_from_text, to_text

MOST_SEEDS = 20


class Running:
    """One sweep at a time, in a thread of its own; its runs take turns in the engine of the notebook."""

    def __init__(self) -> None:
        self.busy, self.done, self.size, self.error, self.stopped = False, 0, 0, "", False
        self._lock = threading.Lock()

    def start(self, name: str, grid: dict[str, list[Any]], seeds: list[int], keep: bool = False) -> None:
        """Raises LabError while another one goes on, and for settings that are out of bounds."""
        size = len(cells(name, grid, seeds))
        with self._lock:
            if self.busy:
                raise LabError("A sweep is going on.", "Wait for its end, or stop it.")
            self.busy, self.done, self.size, self.error, self.stopped = True, 0, size, "", False
        threading.Thread(target=self._run, args=(name, grid, seeds, keep), name="sweeping", daemon=True).start()

    def stop(self) -> None:
        """Ends the sweep with the run that is going on; what is finished stays."""
        self.stopped = True
        engine = here.engine()
        for run in engine.records.list("sweep"):
            if run.outcome == "running" and engine.computes(run.id):
                engine.cancel(run.id, "sweep")

    def _run(self, name: str, grid: dict[str, list[Any]], seeds: list[int], keep: bool) -> None:
        try:
            for _ in sweep(here.engine(), name, grid, seeds, keep=keep):
                self.done += 1
                if self.stopped:
                    break
        except LabError as error:
            self.error = str(error)
        except Exception as problem:  # a bug: the page says so, and the next sweep can be started
            self.error = f"Something in the lab itself went wrong ({type(problem).__name__})."
        finally:
            self.busy = False


running = Running()


def show(rows: Sequence[Row]) -> None:
    """Draws the form. rows: all runs, which tell how long one of them may take."""
    experiments = [one for one in everything() if one.kind == "experiment"]
    chosen = st.selectbox("Experiment", experiments, format_func=lambda one: f"{one.paper} {one.title}", key="sweep-experiment")
    settings = {one.name: one for one in fields(chosen) if one.kind != "file"}

    def titled(name: str) -> str:
        return settings[name].title

    vary = st.multiselect("Settings that vary", list(settings), format_func=titled, key=f"vary-{chosen.name}")
    given = {name: _values(chosen, settings[name], True) for name in vary}
    fix = st.multiselect("Settings that are not the default", [name for name in settings if name not in vary], format_func=titled,
                         key=f"fix-{chosen.name}")
    given |= {name: _values(chosen, settings[name], False) for name in fix}
    seeds = st.slider("Seeds: how often each combination is run", 1, MOST_SEEDS, 3, key="sweep-seeds")
    runs = seeds * math.prod(len(words) for words in given.values())
    keeps = any(one.kind == "keep" for one in outputs.each(chosen.outputs))
    keep = keeps and st.toggle("Keep the models that they train", key="sweep-keep", help="So that other pages can use them. Most of what a "
                               "run leaves on the disk are its models.")
    st.caption(f"{runs} {'run' if runs == 1 else 'runs'} in all{_long(rows, chosen.name, runs)}. The same on the command line:")
    st.code(command(chosen, given, seeds, keep), language=None, wrap_lines=True)
    if st.button("Start the sweep", disabled=running.busy, type="primary", key="start-sweep"):
        with sentences():
            running.start(chosen.name, typed(chosen, given), list(range(seeds)), keep)
            st.session_state.sweeping = -1
            st.rerun()


def _values(experiment: Experiment, setting: Setting, several: bool) -> list[str]:
    """What the form gives for one setting, as words of the command line."""
    key, help_ = f"value-{experiment.name}-{setting.name}", plain(setting.description)
    default = "" if setting.default is None else to_text(setting.default)
    if setting.kind in ("choice", "switch"):
        words = {to_text(value): name for value, name in setting.choices} or {"true": "yes", "false": "no"}
        if several:
            return st.multiselect(setting.title, list(words), list(words)[:2], format_func=words.get, help=help_, key=key)
        return [st.selectbox(setting.title, list(words), list(words).index(default) if default in words else 0, format_func=words.get,
                             help=help_, key=key)]
    said = st.text_input(f"{setting.title} ({plain(setting.allowed)})" + (": values, parted by commas" if several else ""), default,
                         help=help_, max_chars=1000, key=key)
    return [word.strip() for word in said.split(",")] if several and setting.kind in ("whole", "number", "model") else [said]


def typed(experiment: Experiment, given: dict[str, list[str]]) -> dict[str, list[Any]]:
    """The same as the config takes them. Raises LabError for what is out of bounds."""
    return {name: [getattr(config_from_text(experiment, {name: word}), name) for word in words] for name, words in given.items()}


def _long(rows: Sequence[Row], name: str, runs: int) -> str:
    """How long that may take, going by runs of the same question; those of this machine count where there are any."""
    taken = [row for row in rows if row.name == name and row.outcome == "finished" and row.duration_s]
    taken = [row for row in taken if not row.id.startswith("first-")] or taken
    if not taken:
        return ""
    seconds = runs * statistics.median(row.duration_s for row in taken)
    told = f"{seconds:.0f} seconds" if seconds < 90 else f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
    return f", about {told} if they take as long as those so far"


def command(experiment: Experiment, given: dict[str, list[str]], seeds: int, keep: bool = False) -> str:
    """The command line of the same sweep."""
    words = [word for name, values in given.items() for word in ("--grid", f"{name}={_listed(values, json.dumps(values))}")]
    return shlex.join(["./launch.sh", "cli", "sweep", experiment.name, *words, "--seeds", f"0..{seeds - 1}"]
                      + ["--keep-models"] * keep)


def _listed(values: list[str], as_json: str) -> str:
    return as_json if any("," in value or value.startswith("[") or not value for value in values) else ",".join(values)
