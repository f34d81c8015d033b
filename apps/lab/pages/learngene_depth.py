"""One gene, any depth? Drag the depth: a network with that many layers is made on the spot and measured."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from apps.lab.pages import Page
from apps.lab.ui import frame
from apps.lab.ui.controls import Dial
from apps.lab.ui.draw_pad import DrawPad, drawn_as, ink_of
from apps.lab.ui.live_plot import LivePlot
from apps.lab.ui.live_view import chart, numbers, panel
from apps.lab.ui.words import number, term
from core.engine.errors import LabError

INTRO = ("Two layers' worth of numbers, called a learngene, are enough to make a network of any depth: each layer is the first set plus a "
         "share of the second. Drag the slider and the network is there, untrained, and already reads letters.")
GENE, ANCESTOR = "embedded/learngene-letters", "embedded/learngene-letters-ancestor"
SHARE = "right answers / test pictures"
PANELS = [
    numbers("In numbers", [
        {"metric": "start inherited", "label": "Inherited: right before learning", "formula": SHARE,
         "meaning": "The inherited layers with a new last step. Near luck when the task is new, because nobody told it these classes."},
        {"metric": "end inherited", "label": "Inherited: right after learning", "formula": SHARE,
         "meaning": "The same network after its passes over the training pictures."},
        {"metric": "start scratch", "label": "From scratch: right before learning", "formula": SHARE,
         "meaning": "A network of the same size that starts from random numbers. This is luck."},
        {"metric": "end scratch", "label": "From scratch: right after learning", "formula": SHARE,
         "meaning": "What learning alone gives in that time. The distance to the inherited one is what inheriting is worth."}]),
    panel("figure", "training", "Who learns faster?", wide=True,
          note="Measured on test pictures after every pass. Both have the same layers, the same pictures and the same number of passes, "
               "unless you change that."),
    panel("figure", "epochs", "What does it cost in all?",
          note="The learngene had to be trained once, which took 100 passes. It pays off only when several depths are wanted."),
    chart("While they learn", ["loss inherited", "loss scratch"], x="pass over the pictures", y="surprise at the right answer (nats)",
          note="Down means: the right answer becomes less of a surprise."),
    panel("table", "compared", "All with their intervals (95 %)", wide=True),
]
MODELS = {"learngene": [GENE], "ancestor": [ANCESTOR]}
TRAIN_PANELS = [
    panel("figure", "by_depth", "How well do all depths do?", wide=True, note="Drawn again while it learns. Bars are 95 % intervals."),
    panel("figure", "training", "While it learns", note="The auxiliary model: 8 layers made from the two sets of numbers."),
    panel("figure", "storage", "What has to be stored"),
    panel("figure", "linearity", "Do the ancestor's weights follow a line?", wide=True,
          note="A bar above both marks would mean: more than shuffled layers give."),
    panel("table", "by_depth", "Depth by depth", wide=True),
]
LINE = ("The paper saw that the weights of large trained networks change along a straight line from layer to layer. Does our small "
        "ancestor do that? A bar only counts where it stands above both marks, which show what layers in shuffled order give.")
COST = "Tick the depths that you want to have. Storing one learngene is compared with storing a network for each depth."
READY = '<p class="gb-probe-said" aria-live="polite">Making the first network ...</p>'


def build(site: frame.Site, page: Page) -> None:
    """The slider on top, the race between inherited and scratch below it, and the tabs; what stands in a tab is asked for when it opens."""
    with frame.page(site, page, intro=INTRO, panels=PANELS, models=MODELS, top=_slider) as view:
        frame.usual_tabs(view)
        with gr.Tab("What many depths cost", id="cost") as cost:
            _cost(view, cost)
        with gr.Tab("Do weights lie on a line?", id="line") as line:
            _line(view, line)
        with gr.Tab("Make a learngene", id="make"):
            frame.another(view, "learngene/train", press="Train a learngene", panels=TRAIN_PANELS, models={"ancestor": [ANCESTOR]})


def _slider(site: frame.Site) -> None:
    with gr.Column(elem_classes="gb-try"):
        depth = Dial(1, 16, value=8, step=1, label="Depth", info="Layers of the network. It was trained at 8.", elem_id="grow-depth")
        with gr.Row(elem_classes="gb-columns"):
            with gr.Column(scale=3, min_width=320):
                said = gr.HTML(READY, apply_default_css=False, elem_id="grown")
                _heading("Every depth that you have tried")
                curve = LivePlot("Right answers against depth, for the depths tried so far", height=240, elem_id="grow-curve")
                every = gr.Button("Try all 16", size="sm")
                _heading("Where each layer looks: greener means more")
                attention = LivePlot("Attention of each layer on the picture, first layer left", height=150)
                _heading("How much of the second set each layer gets")
                strip = LivePlot("Share of the slope in each layer", height=110)
            with gr.Column(scale=1, min_width=270):
                pad = DrawPad("Draw a letter here", elem_id="pad")
                _heading("What it reads in this picture")
                answer = LivePlot("How sure the network is of its likeliest answers", height=240)
                picture = Dial(0, 255, value=0, step=1, label="Or look at a test picture", elem_id="grow-picture")
                upload = gr.UploadButton("Use a picture file", size="sm", file_types=[".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif"],
                                         type="filepath")
                with gr.Accordion("Use another learngene", open=False):
                    gene = gr.Dropdown([GENE], value=GENE, label="Learngene", allow_custom_value=True, elem_id="grow-gene",
                                       info="One you made below: run/NUMBER/learngene")
                    ancestor = gr.Dropdown([ANCESTOR], value=ANCESTOR, label="Ancestor", allow_custom_value=True, elem_id="grow-ancestor")
                    task = gr.Dropdown(["letters", "digits", "symbols"], value="letters", label="Pictures", elem_id="grow-task")
    focus = gr.State([])  # the drawing as 16 x 16 numbers; empty: a test picture
    tried = gr.State({})  # depth -> share of right answers, of one learngene

    setting = [depth, picture, focus, tried, gene, ancestor, task]
    outputs = [said, answer, attention, strip, curve, pad, tried]
    quick = {"inputs": setting, "outputs": outputs, "trigger_mode": "always_last", **frame.QUIET}
    grow = _grower(site)
    timed = _grower(site, latency=True)
    words = {**quick, "outputs": said}  # a measurement that comes late must not turn the rest back
    depth.change(grow, **quick)
    depth.release(lambda *given: timed(*given)[0], **words)
    site.blocks.load(grow, **quick)
    for chosen in (gene, ancestor, task):
        chosen.change(grow, **quick)
    picture.change(lambda: [], outputs=focus, **frame.QUIET).then(grow, **quick)
    own = {"outputs": [focus, *outputs], "trigger_mode": "multiple", **frame.QUIET}  # one that waits would lose its drawing
    pad.select(_drawn(grow), inputs=setting, **own)
    upload.upload(_uploaded(grow), inputs=[upload, *setting], **own)
    every.click(_every(site), **quick)
    curve.select(_pointed, outputs=depth, **frame.QUIET)


def _heading(words: str) -> None:
    gr.HTML(f'<h3 class="gb-panel-title">{words}</h3>', apply_default_css=False)


def _asked(depth: Any, picture: Any, drawing: Any, gene: Any, ancestor: Any, task: Any) -> dict[str, Any]:
    return {"depth": int(depth), "picture": int(picture), "drawing": drawing or (), "learngene": gene, "ancestor": ancestor, "task": task}


def _grower(site: frame.Site, *, latency: bool = False):
    def grow(depth: Any, picture: Any, drawing: Any, tried: dict[str, Any], gene: Any, ancestor: Any, task: Any) -> list[Any]:
        asked = _asked(depth, picture, drawing, gene, ancestor, task)
        try:
            made = site.engine.probe("learngene/expand", asked | ({"latency": True} if latency else {}))
        except LabError as error:
            return [frame.say(error), *[gr.skip()] * 6]
        tried = _noted(tried, asked, {made["depth"]: made["right"]})
        return [_said(made), made["figures"]["prediction"], made["figures"]["attention"], made["figures"]["coefficients"],
                _curve(tried, made), drawn_as(_rows(asked), own=bool(drawing)), tried]

    return grow


def _every(site: frame.Site):
    """All sixteen depths at once, then the one that the slider stands at."""
    grow = _grower(site)

    def all_depths(depth: Any, picture: Any, drawing: Any, tried: dict[str, Any], gene: Any, ancestor: Any, task: Any) -> list[Any]:
        found = {}
        try:
            for one in range(1, 17):
                asked = _asked(one, picture, drawing, gene, ancestor, task)
                found[one] = site.engine.probe("learngene/expand", asked)["right"]
        except LabError as error:
            return [frame.say(error), *[gr.skip()] * 6]
        return grow(depth, picture, drawing, _noted(tried, asked, found), gene, ancestor, task)

    return all_depths


def _noted(tried: dict[str, Any], asked: dict[str, Any], found: dict[int, float]) -> dict[str, Any]:
    """Depths tried so far; another learngene begins anew."""
    who = [asked["learngene"], asked["ancestor"], asked["task"]]
    points = tried["points"] if tried.get("who") == who else {}
    return {"who": who, "points": dict(sorted((points | found).items()))}


def _curve(tried: dict[str, Any], made: dict[str, Any]) -> dict[str, Any]:
    from core.learngene.data import SHOWN
    from core.learngene.depth import figures

    drawn = figures.by_depth({"straight from the learngene": tried["points"]}, n=SHOWN, ancestor=made["ancestor_right"])
    drawn["layout"]["xaxis"] |= {"range": [0.5, 16.5], "dtick": 1}
    here = {"type": "scatter", "mode": "markers", "name": "here", "x": [made["depth"]], "y": [round(100 * made["right"], 1)],
            "marker": {"color": "#D55E00", "size": 13, "symbol": "circle-open", "line": {"width": 3}}}
    return {"data": [*drawn["data"], here], "layout": drawn["layout"] | {"showlegend": False}}


def _rows(asked: dict[str, Any]) -> Any:
    from core.learngene.data import read_task

    return asked["drawing"] or read_task(asked["task"]).shown[0][asked["picture"], 0].tolist()


def _drawn(grow: Any):
    from core.learngene.pictures import from_drawing

    def drawn(event: gr.EventData, *setting: Any) -> list[Any]:
        return _own(lambda: from_drawing(ink_of(event)), grow, setting)

    return drawn


def _uploaded(grow: Any):
    from core.learngene.pictures import read_picture, to_pixels

    return lambda file, *setting: _own(lambda: to_pixels(read_picture(Path(file))), grow, setting)


def _own(read: Any, grow: Any, setting: Any) -> list[Any]:
    """The visitor's picture and what the network makes of it, or why it cannot be used."""
    try:
        rows = read()[0, 0].tolist()
    except LabError as error:
        return [gr.skip(), frame.say(error), *[gr.skip()] * 6]
    depth, picture, _, *rest = setting
    return [rows, *grow(depth, picture, rows, *rest)]


def _pointed(event: gr.EventData) -> Any:
    """The depth of a pressed point."""
    place = event._data.get("x") if isinstance(event._data, dict) else None
    return int(place) if isinstance(place, (int, float)) and 1 <= place <= 16 else gr.skip()


def _said(made: dict[str, Any]) -> str:
    low, high = made["right_interval"]
    beyond = " That is deeper than anything it was trained for." if made["extrapolated"] else ""
    best = escape(made["answers"][0][0])
    truth = f"it is {escape(made['truth'])}" if made["truth"] else "your own picture"
    layers = "1 layer" if made["depth"] == 1 else f"{made['depth']} layers"
    macs = term("Multiply-adds", "How many times two numbers are multiplied and added for one picture: the work that it costs.")
    agree = term("Says what the ancestor says", "Share of the 256 pictures on which both give the same answer, right or wrong.")
    timed = made["single_ms"] is not None
    return (
        f'<p class="gb-probe-said" aria-live="polite">{layers}, no training: right in {made["right"]:.1%} of 256 pictures.{beyond} '
        f"<small>Here it says {best} ({truth}); the ancestor says {escape(made['ancestor_answer'])}.</small></p>"
        '<dl class="gb-probe-tiles">'
        + _tile("Right answers", f"{made['right']:.1%}", f"95 % interval {low:.0%} to {high:.0%}; ancestor {made['ancestor_right']:.1%}")
        + _tile(agree, f"{made['agrees']:.1%}", "of 256 pictures")
        + _tile("Numbers inside", number(made["parameters"]), f"all made from {number(made['stored_parameters'])}")
        + _tile("Stored", f"{made['stored_bytes'] / 1000:.0f} kB", "the same at every depth")
        + _tile(macs, f"{made['macs'] / 1e6:.2f} million", "for one picture")
        + _tile("Time for one picture", f"{number(made['single_ms'])} ms" if timed else "–",
                f"{number(made['batch_ms'])} ms for 64" if timed else "let go of the slider")
        + "</dl>")


def _tile(label: str, value: str, more: str) -> str:
    """One number; all three are HTML already."""
    return f"<div><dt>{label}</dt><dd>{value}<small>{more}</small></dd></div>"


def _cost(view: frame.View, tab: gr.Tab) -> None:
    gr.HTML(f'<p class="gb-quiet">{COST}</p>', apply_default_css=False)
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            depths = gr.CheckboxGroup(list(range(1, 17)), value=[4, 6, 8, 10, 12], label="Depths that you want")
            each = Dial(0, 100, value=5, step=1, label="Passes for each inherited network")
            scratch = Dial(1, 300, value=100, step=1, label="Passes for each network from scratch")
        with gr.Column(scale=3, min_width=320):
            said = gr.HTML(apply_default_css=False, elem_id="cost")
            with gr.Row():
                stored = LivePlot("Numbers to store")
                epochs = LivePlot("Passes over the pictures in all")

    def count(depths: list[int], each: Any, scratch: Any) -> list[Any]:
        try:
            cost = view.site.engine.probe("learngene/storage", {"depths": depths, "each": int(each), "scratch": int(scratch)})
        except LabError as error:
            return [frame.say(error), gr.skip(), gr.skip()]
        words = (f'<p class="gb-probe-said">{cost["ratio"]:.1f} times less to store. <small>Without the last step, which the paper leaves '
                 f'out: {cost["ratio_without_head"]:.1f} times. Training: {cost["epochs_inherited"]} passes, the 100 of the auxiliary '
                 f'model counted, against {cost["epochs_scratch"]} from scratch.</small></p>')
        return [words, cost["figures"]["storage"], cost["figures"]["epochs"]]

    asked = {"inputs": [depths, each, scratch], "outputs": [said, stored, epochs], "trigger_mode": "always_last", **frame.QUIET}
    for control in (depths, each, scratch):
        control.change(count, **asked)
    tab.select(count, **asked)


def _line(view: frame.View, tab: gr.Tab) -> None:
    gr.HTML(f'<p class="gb-quiet">{LINE}</p>', apply_default_css=False)
    model = gr.Dropdown([ANCESTOR], value=ANCESTOR, label="Which network", allow_custom_value=True, elem_id="line-model",
                        info="Any ViT or DeiT classifier with four layers or more. Try hf/facebook/deit-tiny-patch16-224 (a download).")
    said = gr.HTML(apply_default_css=False, elem_id="line")
    with gr.Row():
        groups = LivePlot("What a line over the layers explains, with what shuffled layers give")
        places = LivePlot("First principal component of the weights against the layer")

    def fit(model: str) -> list[Any]:
        try:
            found = view.site.engine.probe("learngene/linearity", {"model": model})
        except LabError as error:
            return [frame.say(error), gr.skip(), gr.skip()]
        words = f"In {found['above_chance']} of {len(found['rows'])} groups of weights a line explains more than 95 of 100 shuffles do."
        return [f'<p class="gb-probe-said">{words} <small>About one in twenty would by luck alone.</small></p>',
                found["figures"]["linearity"], found["figures"]["positions"]]

    model.change(fit, inputs=model, outputs=[said, groups, places], trigger_mode="always_last", **frame.QUIET)
    tab.select(fit, inputs=model, outputs=[said, groups, places], **frame.QUIET)
