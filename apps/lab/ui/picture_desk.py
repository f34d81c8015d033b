"""What the pages about pictures share: the picture that a network looks at, its answers, and words in tiles.

    desk = PictureDesk("Draw a letter here", prefix="grow")
    desk.connect(site.engine, answer, rest=[depth, task, pictures], outputs=[said, ...])

`answer(picture, drawing, *rest)` gives the values of `outputs`; `drawing` is 16 x 16 numbers, or empty for the test picture.
`rest` ends with the task and the visitor's own pictures: what is drawn or brought is placed as those are.
`bring` takes what a run further down has made to where it can be tried.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from apps.lab.ui import frame
from apps.lab.ui.controls import Dial
from apps.lab.ui.draw_pad import DrawPad, ink_of
from apps.lab.ui.live_plot import LivePlot
from apps.lab.visitors import Here
from core.engine.errors import LabError

KINDS = [".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif"]
LAST = 255  # number of the last test picture that is shown of the lab's own
Answer = Callable[..., list[Any]]
Fill = Callable[[dict[str, Any], set[str]], list[Any]]


class PictureDesk:
    """A square to draw on, test pictures by their number, a picture file, and how sure the network is of what."""

    def __init__(self, draw: str, *, prefix: str) -> None:
        self.pad = DrawPad(draw, elem_id="pad")
        heading("What it reads in this picture")
        self.answers = LivePlot("How sure the network is of its likeliest answers", height=230, elem_id=f"{prefix}-answers")
        self.picture = Dial(0, LAST, value=0, step=1, label="Or look at a test picture", elem_id=f"{prefix}-picture")
        self._file = gr.UploadButton("Use a picture file", size="sm", file_types=KINDS, type="filepath", elem_id=f"{prefix}-file")
        self.focus = gr.State([])  # a drawing or a file as 16 x 16 numbers; empty: the test picture

    @property
    def setting(self) -> list[Any]:
        """The components that say which picture it is."""
        return [self.picture, self.focus]

    def connect(self, engine: Here, answer: Answer, *, rest: Sequence[Any], outputs: Sequence[Any]) -> None:
        """Asks again for every drawing, file and test picture, and for other pictures. `outputs[0]` is where sentences go."""
        inputs, quick = [*self.setting, *rest], {"trigger_mode": "always_last", **frame.QUIET}
        for chosen in (self.picture, *rest[-2:]):  # what was drawn for other pictures is not placed like these
            chosen.change(lambda: [], outputs=self.focus, **frame.QUIET).then(answer, inputs=inputs, outputs=outputs, **quick)
        own = {"outputs": [self.focus, *outputs], "trigger_mode": "multiple", **frame.QUIET}  # one that waits would lose its drawing
        self.pad.select(_drawn(engine, answer, len(outputs)), inputs=inputs, **own)
        self._file.upload(_brought(engine, answer, len(outputs)), inputs=[self._file, *inputs], **own)


def _drawn(engine: Here, answer: Answer, outputs: int) -> Answer:
    from core.learngene.pictures import from_drawing

    def drawn(event: gr.EventData, picture: Any, _: Any, *rest: Any) -> list[Any]:
        try:
            rows = from_drawing(ink_of(event), _placed(engine, *rest))[0, 0].tolist()
        except LabError as error:
            return refused(error, outputs, skipped=1)
        return [rows, *answer(picture, rows, *rest)]

    return drawn


def _brought(engine: Here, answer: Answer, outputs: int) -> Answer:
    from core.learngene.pictures import read_picture, to_pixels

    def brought(file: str, picture: Any, _: Any, *rest: Any) -> list[Any]:
        try:
            with engine.taken(file) as given:
                rows = to_pixels(read_picture(given), _placed(engine, *rest))[0, 0].tolist()
        except LabError as error:
            return refused(error, outputs, skipped=1)
        return [rows, *answer(picture, rows, *rest)]

    return brought


def _placed(engine: Here, *rest: Any) -> Any:
    from core.learngene.data import PLACED

    *_, task, pictures = rest
    return engine.probe("learngene/pictures", {"pictures": pictures})["placed"] if pictures else PLACED.get(task, "letter")


def refused(error: LabError, outputs: int, *, skipped: int = 0) -> list[Any]:
    """Values of `skipped` components that stay as they are, then of `outputs`, of which the first one says what was wrong."""
    return [*[gr.skip()] * skipped, frame.say(error), *[gr.skip()] * (outputs - 1)]


def whole(value: Any) -> Any:
    """What a dial says as a whole number if it is one; the config has a sentence for everything else."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def bring(engine: Here, presses: Sequence[gr.Button], lives: Sequence[Any], what: str, fill: Fill, outputs: Sequence[Any]) -> None:
    """Each of `presses` takes what was made last up to the top of the page, where it can be tried.

    lives: the live views whose runs count.  what: what should have been made.  fill(record of the run, names of what it kept) gives
    the values of `outputs[1:]`; `outputs[0]` is where sentences go.
    """
    def brought(*given: Any) -> list[Any]:
        try:
            record, kept = _newest(engine, given, what)
        except LabError as error:
            return refused(error, len(outputs))
        return [gr.skip(), *fill(record, kept)]

    for press in presses:
        press.click(brought, inputs=lives, outputs=outputs, **frame.QUIET).then(None, js="() => scrollTo({ top: 0, behavior: 'smooth' })")


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


def heading(words: str) -> None:
    """A small heading above a figure."""
    gr.HTML(f'<h3 class="gb-panel-title">{words}</h3>', apply_default_css=False)


def tiles(rows: Sequence[tuple[str, str, str]]) -> str:
    """Numbers with a label above and a remark below; all three are HTML already."""
    made = "".join(f"<div><dt>{label}</dt><dd>{value}<small>{more}</small></dd></div>" for label, value, more in rows)
    return f'<dl class="gb-probe-tiles">{made}</dl>'
