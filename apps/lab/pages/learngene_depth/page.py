"""One gene, any depth? Drag the depth: a network with that many layers is made on the spot and measured."""

from __future__ import annotations

from typing import Any

import gradio as gr

from apps.lab.pages import Page
from apps.lab.ui import frame
from apps.lab.ui.desk import Desk
from apps.lab.ui.draw_pad import DrawPad
from apps.lab.ui.made import Fill, bring
from core.engine.outputs import figure, number, picture
from core.engine.outputs import numbers as tiles

INTRO = ("Two layers' worth of numbers, called a learngene, are enough to make a network of any depth: each layer is the first set plus a "
         "share of the second. Drag the slider: a network with that many layers is made on the spot, and nobody had to train it.")
GENE, ANCESTOR, FLAT = "embedded/learngene-letters", "embedded/learngene-letters-ancestor", "embedded/learngene-letters-flat"
SHARE = "right answers / test pictures"
KIN = {GENE: (ANCESTOR, "letters"), "embedded/learngene-digits": ("embedded/learngene-digits-ancestor", "digits")}
GENES, ANCESTORS = list(KIN), [ancestor for ancestor, _ in KIN.values()]
MODELS = {"learngene": GENES, "ancestor": ANCESTORS}
LINE = ("The paper saw that the weights of large trained networks change along a straight line from layer to layer. Does our small "
        "ancestor do that? A bar only counts where it stands above both marks, which show what layers in shuffled order give.")
MAKE = ("Train a learngene of letters, digits or symbols, or of your own pictures. An ancestor that does not know them learns them "
        "first. When it is finished, put it on the slider at the top of the page; Run then lets it race against a network from scratch.")
COST = ("Tick the depths that you want to have. Storing the learngene that is on the slider is compared with storing a network for each "
        "depth.")
GROWN = (
    figure("by_depth", "Every depth that you have tried", main=True, height=240, wide=True, note="Press a point to go to that depth."),
    tiles("In numbers",
          number("right", "Right answers", formula=SHARE, meaning="Of the network that stands there now, which nobody trained."),
          number("agrees", "Says what the ancestor says", formula="pictures on which both give the same answer / pictures",
                 meaning="Right or wrong: whether the small one has its forebear's opinions."),
          number("parameters", "Numbers inside"), number("stored", "Stored", meaning="The learngene alone: every depth is made from it."),
          number("macs", "Multiply-adds", meaning="How many times two numbers are multiplied and added for one picture: what it costs."),
          number("ms", "Time for one picture", meaning="Measured on this computer once you let go of the slider.")),
    figure("prediction", "How sure the network is of its likeliest answers", height=230),
    picture("seen", "What the network gets", note="Its picture: 16 x 16 shades of grey."),
    figure("attention", "Where each layer looks: bluer means more", height=150, wide=True),
    figure("coefficients", "How much of the second set each layer gets", height=110, wide=True,
           note="Layer l of L layers is the first set plus (l - 1) / L of the second: two templates, mixed in fixed shares 1 and "
                "(l - 1) / L. A later method, WAVE, trains such shares and has more templates."),
)
COSTS = (figure("storage", "Numbers to store"), figure("epochs", "Passes over the pictures in all"))
LINES = (figure("linearity", "What a line over the layers explains, with what shuffled layers give"),
         figure("positions", "First principal component of the weights against the layer"))


def build(site: frame.Site, page: Page) -> None:
    """The slider on top, the race between inherited and scratch below it, and the tabs; what stands in a tab is asked for when it opens."""
    desks: list[Desk] = []
    with frame.page(site, page, intro=INTRO, models=MODELS, top=lambda site: desks.append(_slider(site))) as view:
        frame.usual_tabs(view)
        grown = desks[0]
        with gr.Tab("Every depth and its rivals", id="depths"):
            frame.another(view, "learngene/depths", press="Measure every depth", models=MODELS | {"flat": [FLAT]})
        with gr.Tab("What many depths cost", id="cost"):
            gr.HTML(f'<p class="gb-quiet">{COST}</p>', apply_default_css=False)
            Desk(view, "learngene/storage", fields=("depths", "each", "scratch"), shows=COSTS, prefix="cost",
                 shared={"learngene": grown.components["learngene"]})
        with gr.Tab("Do weights lie on a line?", id="line"):
            gr.HTML(f'<p class="gb-quiet">{LINE}</p>', apply_default_css=False)
            Desk(view, "learngene/linearity", fields=("model",), shows=LINES, prefix="line", models={"model": [ANCESTOR]})
        with gr.Tab("Make a learngene", id="make"):
            gr.HTML(f'<p class="gb-quiet">{MAKE}</p>', apply_default_css=False)
            here = gr.Button("Put it on the slider", size="sm", elem_id="put-on")
            made = frame.another(view, "learngene/train", press="Train a learngene", models={"ancestor": ANCESTORS})
    with grown.drawer:
        mine = gr.Button("Use the one that I made last", size="sm", elem_id="grow-newest")
    chosen = [grown.components[name] for name in ("learngene", "ancestor", "task", "pictures")]
    race = [view.controls.components[name] for name in ("learngene", "ancestor", "source", "source_pictures")]  # so that Run races it
    bring(site.engine, grown, [here, mine], [made.live], "learngene", _with_its_own(grown), [*chosen, *race])


def _slider(site: frame.Site) -> Desk:
    with gr.Column(elem_classes="gb-try"):
        desk = Desk(site, "learngene/expand", prefix="grow", fields=("depth",), side=("drawing", "picture", "own"),
                    widgets={"drawing": lambda: DrawPad("Draw one here", elem_id="pad")},
                    more=("learngene", "ancestor", "task", "pictures"),
                    instead=("drawing", "own", "picture"), hidden=("tried",), closely={"latency": True}, models=MODELS, shows=GROWN,
                    opens={"tried": [2, 4, 12, 16]}, invite="Making the first networks ...")
        with desk.row:
            desk.button("Try all 16", every=True)
    gene, ancestor, task = (desk.components[name] for name in ("learngene", "ancestor", "task"))
    desk.ask_after(gene.input(lambda name: KIN.get(name, [gr.skip()] * 2), inputs=gene, outputs=[ancestor, task], **frame.QUIET))
    desk.ask_after(task.input(_knower, inputs=[task, gene], outputs=[gene, ancestor], **frame.QUIET))
    return desk


def _knower(task: str, gene: str) -> list[Any]:
    """The lab's own learngene of these pictures and its ancestor, unless a visitor's learngene is on the slider."""
    found = next((name for name, (_, known) in KIN.items() if known == task), None)
    return [found, KIN[found][0]] if found and gene in KIN else [gr.skip()] * 2


def _with_its_own(desk: Desk) -> Fill:
    """A learngene with the ancestor and the pictures that belong to it: for the slider, and as the source of the race below it."""

    def fill(record: dict[str, Any], kept: set[str]) -> list[Any]:
        config, run = record["config"], f"run/{record['id']}"
        ancestor = f"{run}/ancestor" if "ancestor" in kept else config["ancestor"]
        return 2 * [f"{run}/learngene", ancestor, config["task"], desk.fields.value("pictures", config["pictures"])]

    return fill
