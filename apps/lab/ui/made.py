"""Takes what a run further down on the page has made to the desk where it can be tried.

    bring(desk, [here, newest], [made.live], "learngene", fill, outputs)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from apps.lab.ui.desk import QUIET, Desk
from apps.lab.visitors import Here
from core.engine.errors import LabError

Fill = Callable[[dict[str, Any], set[str]], list[Any]]


def bring(engine: Here, desk: Desk, presses: Sequence[gr.Button], lives: Sequence[Any], what: str, fill: Fill,
          outputs: Sequence[Any]) -> None:
    """Each of `presses` fills `outputs` and goes to the top of the page.

    lives: the live views whose runs count.  what: what should have been made.  fill(record of the run, names of what it kept) gives
    the values of `outputs`.
    """
    def brought(*given: Any) -> list[Any]:
        try:
            record, kept = _newest(engine, given, what)
        except LabError as error:
            return [{"error": error.message, "hint": error.hint}, gr.skip(), *[gr.skip()] * len(outputs)]
        return [gr.skip(), {"by": "press", "sets": {}, "at": record["id"]}, *fill(record, kept)]

    for press in presses:
        done = press.click(brought, inputs=lives, outputs=[desk.answer, desk.asker, *outputs], **QUIET)
        done.then(None, js="() => scrollTo({ top: 0, behavior: 'smooth' })")


def _newest(engine: Here, lives: Sequence[Any], what: str) -> tuple[dict[str, Any], set[str]]:
    """The record of the run that was made last among those that live views show, and the names of what it kept.

    Raises LabError when none of them is a finished run of a visitor.
    """
    runs = [live["run"] for live in lives if isinstance(live, dict) and isinstance(live.get("run"), str)]
    records = [engine.read(run) for run in runs if run and not run.startswith("first-")]
    made = [record for record in records if record["outcome"] == "finished"]
    if not made:
        raise LabError(f"You have made no {what} on this page yet.", "Make one below, wait until it is finished, then come back.")
    last = max(made, key=lambda record: record["created"])
    return last, {event["name"] for event in engine.events(last["id"]) if event["kind"] == "keep"}
