"""The live view of a run: one Gradio component around static/live_view.js, which follows the run over HTTP.

    view = LiveView(outputs=find("unlearning/audit").outputs, ...)
    run_button.click(start, outputs=view)        # start gives shown(run_id) or refused(error)
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from apps.lab.links import FOREIGN_PREFIXES
from apps.lab.ui.scripts import SCRIPTS
from apps.lab.ui.widget import Drawn
from core.engine.errors import LabError
from core.engine.outputs import Group, Output, Outputs

BASE = "lab/"
TABS = ".gb-tabs"  # where a pressed row leads
WITHOUT = ("number", "line", "kept", "plain")  # the looks of single outputs that have no panel of their own; a page may bring further ones
Panel = dict[str, Any]

_MOUNT = """
// An address that asks for something: what it asks for, or why not, comes as the next value, together with the settings of the controls.
const given = [...new URLSearchParams(location.search).keys()].some((name) => !props.foreign.some((start) => name.startsWith(start)));
import(new URL(props.scripts + "live_view.js", document.baseURI)).then(({ mount }) => {
  const base = new URL(props.base, document.baseURI).href;
  const { page, experiment, title, panels, pace, first } = props;
  const view = mount(element.querySelector(".gb-live"), {
    base, page, experiment, title, panels, pace, first,
    onPoint: (payload) => {
      trigger("select", payload);
      const fact = [payload.custom].flat(9).find((one) => one && typeof one === "object"); // a desk may hear it: static/asker.js
      if (fact) document.dispatchEvent(new CustomEvent("gb-picked", { detail: { id: "live", fact, pressed: true } }));
    },
    onEnd: (payload) => trigger("finish", payload),
    onAgain: (payload) => trigger("again", payload),
  });
  watch("value", () => view.show(props.value));
  if (!given || !props.value?.built) view.show(props.value);
});
"""

_counter = itertools.count(1)


class LiveView(Drawn):
    """Shows any run, live or recorded; its value is what `shown` and `refused` give.

    `pace`: seconds that each step of a run stays in sight at least; only the picture waits, never the run.
    first: the first experiment of the page, which an address need not name.  beside: panels of the page's own, beside the main picture.
    Events: `select` (a clicked point, row or token), `finish` (a live run ended: {"run", "outcome"}), `again` ({"run"}: compute it anew).
    """

    def __init__(self, *, page: str, experiment: str, title: str, outputs: Outputs, value: dict[str, Any] | None = None,
                 pace: float = 0, first: str = "", beside: Sequence[Panel] = (), **options: Any) -> None:
        super().__init__(value=value and {**value, "built": True}, html_template='<div class="gb-live" aria-busy="true"></div>',
                         js_on_load=_MOUNT, elem_classes="gb-live-frame", base=BASE, scripts=SCRIPTS, page=page,
                         experiment=experiment, title=title, panels=[*panels(outputs), *beside], pace=pace, first=first,
                         foreign=list(FOREIGN_PREFIXES), **options)


def shown(run_id: str, *, recorded: bool = False, pressed: bool = False, lesson: bool = False) -> dict[str, Any]:
    """Show this run. `recorded`: nothing new was computed. `pressed`: somebody has just asked for it; `lesson`: in a lesson."""
    return {"run": run_id, "recorded": recorded, "error": "", "hint": "", "pressed": pressed, "lesson": lesson, "nonce": next(_counter)}


def refused(error: LabError, run_id: str = "") -> dict[str, Any]:
    """Say why not, and keep showing what is there (or the run named)."""
    return {"run": run_id, "recorded": False, "error": error.message, "hint": error.hint, "nonce": next(_counter)}


def panels(outputs: Outputs) -> list[Panel]:
    """What live_view.js draws for the declared outputs of an experiment, in their order; what has no picture of its own is left out."""
    return [_group(one) if isinstance(one, Group) else _single(one) for one in outputs if isinstance(one, Group) or one.look not in WITHOUT]


def _group(group: Group) -> Panel:
    if group.look == "numbers":
        items = [{"metric": one.name, "label": one.title} | _said(one, "unit", "formula", "meaning", "optional") for one in group.outputs]
        return {"kind": "numbers", "title": group.title, "items": items, "note": group.note, "wide": True} | group.more
    if group.look == "levels":
        return {"kind": "levels", "title": group.title, "items": [_single(one) for one in group.outputs], "note": group.note,
                "wide": True} | group.more
    looks = {one.name: {"label": one.title, "dash": one.dash} | _said(one, "colour") for one in group.outputs}
    return {"kind": "chart", "title": group.title, "metrics": list(looks), "looks": looks, "x": group.x, "y": group.y,
            "note": group.note, "wide": False} | group.more


def _single(one: Output) -> Panel:
    said = {"kind": one.look, "name": one.name, "title": one.title, "note": one.note, "wide": one.look == "answers", "rare": one.optional}
    return said | one.more | ({"select": TABS} if one.more.get("select") is True else {})


def _said(one: Output, *fields: str) -> dict[str, str]:
    return {field: value for field in fields if (value := getattr(one, field))}
