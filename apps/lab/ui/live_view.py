"""The live view of a run: one Gradio component around static/live_view.js, which follows the run over HTTP.

    view = LiveView(panels=[chart("Losses", ["forget loss", "retain loss"], x="step", y="nats per token")], ...)
    run_button.click(start, outputs=view)        # start gives shown(run_id) or refused(error)
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import gradio as gr

from apps.lab.links import FOREIGN_PREFIXES
from apps.lab.ui.scripts import SCRIPTS
from core.engine.errors import LabError

BASE = "lab/"
Panel = dict[str, Any]

_MOUNT = """
// An address that asks for something: what it asks for, or why not, comes as the next value, together with the settings of the controls.
const given = [...new URLSearchParams(location.search).keys()].some((name) => !props.foreign.some((start) => name.startsWith(start)));
import(new URL(props.scripts + "live_view.js", document.baseURI)).then(({ mount }) => {
  const base = new URL(props.base, document.baseURI).href;
  const { page, experiment, title, panels, pace } = props;
  const view = mount(element.querySelector(".gb-live"), {
    base, page, experiment, title, panels, pace,
    onPoint: (payload) => trigger("select", payload),
    onEnd: (payload) => trigger("finish", payload),
  });
  watch("value", () => {
    view.show(props.value);
    // on a narrow screen the controls stand above: bring what was asked for into sight
    const asked = props.value && (props.value.error || !/^first-/.test(props.value.run));
    if (asked && element.getBoundingClientRect().top > innerHeight * 0.8) element.scrollIntoView({ behavior: "smooth", block: "start" });
  });
  if (!given || !props.value?.built) view.show(props.value);
});
"""

_counter = itertools.count(1)


class LiveView(gr.HTML):
    """Shows any run, live or recorded; its value is what `shown` and `refused` give.

    `pace`: seconds that each step of a run stays in sight at least; only the picture waits, never the run.
    Events: `select` (a clicked point, row or token), `finish` (a live run ended: {"run", "outcome"}).
    """

    def __init__(self, *, page: str, experiment: str, title: str, panels: Sequence[Panel], value: dict[str, Any] | None = None,
                 pace: float = 0, **options: Any) -> None:
        super().__init__(value=value and {**value, "built": True}, html_template='<div class="gb-live" aria-busy="true"></div>',
                         js_on_load=_MOUNT, apply_default_css=False, elem_classes="gb-live-frame", base=BASE, scripts=SCRIPTS, page=page,
                         experiment=experiment, title=title, panels=list(panels), pace=pace, foreign=list(FOREIGN_PREFIXES), **options)

    def get_block_name(self) -> str:
        return "html"

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}


def shown(run_id: str, *, recorded: bool = False) -> dict[str, Any]:
    """Show this run. `recorded`: nothing new was computed."""
    return {"run": run_id, "recorded": recorded, "error": "", "hint": "", "nonce": next(_counter)}


def refused(error: LabError, run_id: str = "") -> dict[str, Any]:
    """Say why not, and keep showing what is there (or the run named)."""
    return {"run": run_id, "recorded": False, "error": error.message, "hint": error.hint, "nonce": next(_counter)}


def line(metric: str, label: str, colour: str, dash: str = "solid") -> dict[str, str]:
    """One series of a chart with a look of its own; `colour` is one of the light palette, "dash" is left to pinned runs."""
    return {"metric": metric, "label": label, "colour": colour, "dash": dash}


def chart(title: str, metrics: Sequence[str | dict[str, str]], *, x: str = "step", y: str = "", note: str = "",
          wide: bool = False) -> Panel:
    """Metric series as lines that grow: their names, or what `line` gives where the next colour would not do."""
    looks = {one["metric"]: one for one in metrics if isinstance(one, dict)}
    names = [one if isinstance(one, str) else one["metric"] for one in metrics]
    return {"kind": "chart", "title": title, "metrics": names, "looks": looks, "x": x, "y": y, "note": note, "wide": wide}


def panel(kind: str, name: str, title: str, *, note: str = "", wide: bool = False, **more: Any) -> Panel:
    """The last event of that name: kind is figure, table, tokens, text or picture."""
    return {"kind": kind, "name": name, "title": title, "note": note, "wide": wide, **more}


def numbers(title: str, items: Sequence[dict[str, str]]) -> Panel:
    """Tiles of single numbers; each item has metric, label, unit, formula and meaning."""
    return {"kind": "numbers", "title": title, "items": list(items), "wide": True}
