"""Can small parts build many models? Press blocks on a board: the network that lies along the path is measured at once."""

from __future__ import annotations

from typing import Any

import gradio as gr

from apps.lab.pages import Page
from apps.lab.ui import frame
from apps.lab.ui.desk import Desk
from apps.lab.ui.draw_pad import DrawPad
from apps.lab.ui.made import Fill, bring
from core.engine.outputs import figure, number, picture, table
from core.engine.outputs import numbers as tiles

INTRO = ("Twelve trained blocks, six small and six large, can be put together into eighteen networks, from cheap to dear. A path starts in "
         "the small ones, crosses a stitch and goes on in the large ones: press blocks and read what that network costs and how often it "
         "is right.")
SMALL, LARGE, ANCESTOR = "embedded/learngene-pool-small", "embedded/learngene-pool-large", "embedded/learngene-pool-ancestor"
FIRST_PATHS = [[-1, 0], [0, 1], [1, 2], [3, 4], [4, 5], [5, -1]]  # from the large model alone to the small one; -1 for none
PARTS = {"small": ["embedded/learngene-instances-small"], "large": ["embedded/learngene-instances-large"], "ancestor": [ANCESTOR]}
SHARE = "right answers / test pictures, mean over the 16 stitched paths"
MAKE = ("Make a pool of digits, letters or symbols, or of your own pictures. An ancestor that does not know them learns them first. "
        "When it is finished, put it on the board at the top of the page. Its stitches are random: choose another start on the board, "
        "or press Run, which then trains yours.")
BESIDE = ("Higher is better, further left is cheaper. For digits, diamonds show rivals of sizes in between: each was trained alone and has "
          "to be stored for itself. The pool makes all its networks out of the same twelve blocks.")
WALKED = (
    table("board", "The pool: press a block", look="board", wide=True),
    figure("pareto", "Every path that you have tried", main=True, height=300, wide=True, note=BESIDE),
    tiles("In numbers",
          number("right", "Right answers", formula="right answers / test pictures", meaning="Of the network that lies along this path."),
          number("parameters", "Numbers inside"),
          number("macs", "Multiply-adds", meaning="How many times two numbers are multiplied and added for one picture: what it costs."),
          number("ms", "Time for one picture", meaning="Measured on this computer once a path has been pressed."),
          number("likeness", "Likeness at the stitch", formula="CKA, 0 to 1",
                 meaning="How alike two streams of numbers are, whatever their size or rotation.")),
    figure("prediction", "How sure the network is of its likeliest answers", height=230),
    picture("seen", "What the network gets", note="Its picture: 16 x 16 shades of grey."),
    figure("similarity", "How alike are both streams, before and after the stitch?", height=200, wide=True,
           note="Likeness (CKA) to the large model's own stream."),
)


def build(site: frame.Site, page: Page) -> None:
    """The board on top, the training of the stitches below it, and the tabs."""
    desks: list[Desk] = []
    with frame.page(site, page, intro=INTRO, models=PARTS, top=lambda site: desks.append(_board(site, page))) as view:
        frame.usual_tabs(view)
        with gr.Tab("Compare five starts", id="starts"):
            frame.another(view, "learngene/inits", press="Compare the starts", models=PARTS)
        with gr.Tab("Make a pool", id="make"):
            gr.HTML(f'<p class="gb-quiet">{MAKE}</p>', apply_default_css=False)
            here = gr.Button("Put it on the board", size="sm", elem_id="put-on")
            made = frame.another(view, "learngene/pool", press="Make a pool", models=PARTS)
    walked = desks[0]
    with walked.drawer:
        mine = gr.Button("Use the one that I made last", size="sm", elem_id="walk-newest")
    chosen = [walked.components[name] for name in ("small", "large", "task", "pictures")]
    beside = [view.controls.components[name] for name in ("small", "large", "task", "pictures")]  # so that Run trains it
    bring(site.engine, walked, [here, mine], [view.live, made.live], "pool", _with_its_own(walked), [*chosen, *beside])


def _board(site: frame.Site, page: Page) -> Desk:
    with gr.Column(elem_classes="gb-try"):
        desk = Desk(site, "learngene/path", prefix="walk", fields=("cost", "budget", "init"), side=("drawing", "picture", "own"),
                    more=("small", "large", "task", "pictures"), hidden=("last_small", "first_large", "tried", "timed"),
                    widgets={"drawing": lambda: DrawPad("Draw a digit here", elem_id="pad")}, instead=("drawing", "own", "picture"),
                    momentary=("budget",), closely={"latency": True}, models={"small": [SMALL], "large": [LARGE]}, shows=WALKED,
                    extra=f"pages/{page.folder}/desk.js", opens={"tried": FIRST_PATHS},
                    invite="Walking the first paths ...")
        with desk.row:
            desk.button("Try all paths", every=True)
    return desk


def _with_its_own(desk: Desk) -> Fill:
    """A pool with the pictures that belong to it: for the board, and for the training below it."""

    def fill(record: dict[str, Any], _: set[str]) -> list[Any]:
        config, run = record["config"], f"run/{record['id']}"
        return 2 * [f"{run}/small", f"{run}/large", config["task"], desk.fields.value("pictures", config["pictures"])]

    return fill
