"""One gene, any depth? Drag the depth: a network with that many layers is made on the spot and measured."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from apps.lab.pages import Page
from apps.lab.ui import frame
from apps.lab.ui.controls import Dial
from apps.lab.ui.draw_pad import drawn_as
from apps.lab.ui.drawer import Drawer
from apps.lab.ui.live_plot import LivePlot
from apps.lab.ui.own_file import OwnFile
from apps.lab.ui.picture_desk import Fill, PictureDesk, bring, heading, refused, tiles, whole
from apps.lab.ui.words import number, term
from core.engine.claims import recorded
from core.engine.errors import LabError
from core.engine.registry import find

INTRO = ("Two layers' worth of numbers, called a learngene, are enough to make a network of any depth: each layer is the first set plus a "
         "share of the second. Drag the slider: a network with that many layers is made on the spot, and nobody had to train it.")
GENE, ANCESTOR, FLAT = "embedded/learngene-letters", "embedded/learngene-letters-ancestor", "embedded/learngene-letters-flat"
KIN = {GENE: (ANCESTOR, "letters"), "embedded/learngene-digits": ("embedded/learngene-digits-ancestor", "digits")}
GENES, ANCESTORS = list(KIN), [ancestor for ancestor, _ in KIN.values()]
MODELS = {"learngene": GENES, "ancestor": ANCESTORS}
LINE = ("The paper saw that the weights of large trained networks change along a straight line from layer to layer. Does our small "
        "ancestor do that? A bar only counts where it stands above both marks, which show what layers in shuffled order give.")
MAKE = ("Train a learngene of letters, digits or symbols, or of your own pictures. An ancestor that does not know them learns them "
        "first. When it is finished, put it on the slider at the top of the page; Run then lets it race against a network from scratch.")
COST = ("Tick the depths that you want to have. Storing the learngene that is on the slider is compared with storing a network for each "
        "depth.")
READY = '<p class="gb-probe-said" aria-live="polite">Making the first network ...</p>'


def build(site: frame.Site, page: Page) -> None:
    """The slider on top, the race between inherited and scratch below it, and the tabs; what stands in a tab is asked for when it opens."""
    sliders: list[Slider] = []
    with frame.page(site, page, intro=INTRO, models=MODELS, top=lambda site: sliders.append(_slider(site))) as view:
        frame.usual_tabs(view)
        with gr.Tab("Every depth and its rivals", id="depths"):
            frame.another(view, "learngene/depths", press="Measure every depth", models=MODELS | {"flat": [FLAT]})
        with gr.Tab("What many depths cost", id="cost") as cost:
            _cost(view, cost, sliders[0].gene)
        with gr.Tab("Do weights lie on a line?", id="line") as line:
            _line(view, line)
        with gr.Tab("Make a learngene", id="make"):
            gr.HTML(f'<p class="gb-quiet">{MAKE}</p>', apply_default_css=False)
            here = gr.Button("Put it on the slider", size="sm", elem_id="put-on")
            made = frame.another(view, "learngene/train", press="Train a learngene", models={"ancestor": ANCESTORS})
    race = [view.controls.components[name] for name in ("learngene", "ancestor", "source", "source_pictures")]  # so that Run races it
    bring(site.engine, [here, sliders[0].mine], [made.live], "learngene", _with_its_own(sliders[0].own), [*sliders[0].chosen, *race])


@dataclass(frozen=True)
class Slider:
    """`chosen`: where sentences go, and what says which learngene it is; `mine`: the button that puts the one made last there."""

    chosen: list[Any]
    own: OwnFile
    mine: gr.Button
    gene: gr.Dropdown


def _slider(site: frame.Site) -> Slider:
    with gr.Column(elem_classes="gb-try"):
        depth = Dial(1, 16, value=8, step=1, label="Depth", elem_id="grow-depth",
                     info="Layers of the network: drag it. Its width stays: a learngene grows in depth only.")
        with gr.Row(elem_classes="gb-columns"):
            with gr.Column(scale=3, min_width=320):
                said = gr.HTML(READY, apply_default_css=False, elem_id="grown")
                heading("Every depth that you have tried")
                curve = LivePlot("Right answers against depth, for the depths tried so far", height=240, elem_id="grow-curve")
                every = gr.Button("Try all 16", size="sm")
                heading("Where each layer looks: greener means more")
                attention = LivePlot("Attention of each layer on the picture, first layer left", height=150)
                heading("How much of the second set each layer gets")
                strip = LivePlot("Share of the slope in each layer", height=110)
            with gr.Column(scale=1, min_width=270):
                desk = PictureDesk("Draw one here", prefix="grow")
                with Drawer("Use another learngene"):
                    mine = gr.Button("Use the one that I made last", size="sm", elem_id="grow-newest")
                    gene = gr.Dropdown(GENES, value=GENE, label="Learngene", allow_custom_value=True, elem_id="grow-gene",
                                       info="One that a run kept: run/NUMBER/learngene")
                    ancestor = gr.Dropdown(ANCESTORS, value=ANCESTOR, label="Ancestor", allow_custom_value=True, elem_id="grow-ancestor")
                    task = gr.Dropdown(["letters", "digits", "symbols"], value="letters", label="Pictures", elem_id="grow-task")
                    own = OwnFile(site.engine, find("learngene/expand"), "pictures", prefix="grow")
    tried = gr.State({})  # depth -> share of right answers, of one learngene

    rest = [depth, tried, gene, ancestor, task, own.choice]
    outputs = [said, desk.answers, attention, strip, curve, desk.pad, tried]
    quick = {"inputs": [*desk.setting, *rest], "outputs": outputs, "trigger_mode": "always_last", **frame.QUIET}
    grow, timed = _grower(site), _grower(site, latency=True)
    depth.change(grow, **quick)
    depth.release(lambda *given: timed(*given)[0], **{**quick, "outputs": said})  # one that comes late must not turn the rest back
    site.blocks.load(grow, **quick)
    for chosen in (gene, ancestor):
        chosen.change(grow, **quick)
    desk.connect(site.engine, grow, rest=rest, outputs=outputs)
    every.click(_every(site), **quick)
    curve.select(_pointed, outputs=depth, **frame.QUIET)
    gene.input(lambda name: KIN.get(name, [gr.skip()] * 2), inputs=gene, outputs=[ancestor, task], **frame.QUIET)
    task.input(_knower, inputs=[task, gene], outputs=[gene, ancestor], **frame.QUIET)
    return Slider([said, gene, ancestor, task, own.choice], own, mine, gene)


def _knower(task: str, gene: str) -> list[Any]:
    """The lab's own learngene of these pictures and its ancestor, unless a visitor's learngene is on the slider."""
    found = next((name for name, (_, known) in KIN.items() if known == task), None)
    return [found, KIN[found][0]] if found and gene in KIN else [gr.skip()] * 2


def _with_its_own(own: OwnFile) -> Fill:
    """A learngene with the ancestor and the pictures that belong to it: for the slider, and as the source of the race below it."""

    def fill(record: dict[str, Any], kept: set[str]) -> list[Any]:
        config, run = record["config"], f"run/{record['id']}"
        ancestor = f"{run}/ancestor" if "ancestor" in kept else config["ancestor"]
        return 2 * [f"{run}/learngene", ancestor, config["task"], own.shown(config["pictures"])]

    return fill


def _asked(picture: Any, drawing: Any, depth: Any, gene: Any, ancestor: Any, task: Any, pictures: Any) -> dict[str, Any]:
    return {"depth": whole(depth), "picture": whole(picture), "drawing": drawing or (), "learngene": gene, "ancestor": ancestor,
            "task": task, "pictures": pictures or ""}


def _grower(site: frame.Site, *, latency: bool = False):
    def grow(picture: Any, drawing: Any, depth: Any, tried: dict[str, Any], *which: Any) -> list[Any]:
        asked = _asked(picture, drawing, depth, *which)
        try:
            made = site.engine.probe("learngene/expand", asked | ({"latency": True} if latency else {}))
        except LabError as error:
            return refused(error, 7)
        tried = _noted(tried, asked, {made["depth"]: made["right"]})
        return [_said(made), made["figures"]["prediction"], made["figures"]["attention"], made["figures"]["coefficients"],
                _curve(tried, made), drawn_as(made["seen"], own=bool(drawing)), tried]

    return grow


def _every(site: frame.Site):
    """All sixteen depths at once, then the one that the slider stands at."""
    grow = _grower(site)

    def all_depths(picture: Any, drawing: Any, depth: Any, tried: dict[str, Any], *which: Any) -> list[Any]:
        asked = _asked(picture, drawing, depth, *which)
        try:
            found = {one: site.engine.probe("learngene/expand", asked | {"depth": one})["right"] for one in range(1, 17)}
        except LabError as error:
            return refused(error, 7)
        return grow(picture, drawing, depth, _noted(tried, asked, found), *which)

    return all_depths


def _noted(tried: dict[str, Any], asked: dict[str, Any], found: dict[int, float]) -> dict[str, Any]:
    """Depths tried so far; another learngene begins anew."""
    who = [asked[name] for name in ("learngene", "ancestor", "task", "pictures")]
    points = tried["points"] if tried.get("who") == who else {}
    return {"who": who, "points": dict(sorted((points | found).items()))}


def _curve(tried: dict[str, Any], made: dict[str, Any]) -> dict[str, Any]:
    from core.learngene.depth import figures

    drawn = figures.by_depth({"straight from the learngene": tried["points"]}, n=made["pictures"], ancestor=made["ancestor_right"])
    drawn["layout"]["xaxis"] |= {"range": [0.5, 16.5], "dtick": 1}
    here = {"type": "scatter", "mode": "markers", "name": "here", "x": [made["depth"]], "y": [round(100 * made["right"], 1)],
            "marker": {"color": "#D55E00", "size": 13, "symbol": "circle-open", "line": {"width": 3}}}
    return {"data": [*drawn["data"], here], "layout": drawn["layout"] | {"showlegend": False}}


def _pointed(event: gr.EventData) -> Any:
    """The depth of a pressed point."""
    place = event._data.get("x") if isinstance(event._data, dict) else None
    return int(place) if isinstance(place, (int, float)) and 1 <= place <= 16 else gr.skip()


def _said(made: dict[str, Any]) -> str:
    low, high = made["right_interval"]
    beyond = f" That is deeper than anything it was trained for ({made['trained_depth']} layers)." if made["extrapolated"] else ""
    truth = f"it is {escape(made['truth'])}" if made["truth"] else "your own picture"
    layers, n = "1 layer" if made["depth"] == 1 else f"{made['depth']} layers", made["pictures"]
    macs = term("Multiply-adds", "How many times two numbers are multiplied and added for one picture: the work that it costs.")
    agree = term("Says what the ancestor says", f"Share of the {n} pictures on which both give the same answer, right or wrong.")
    timed = made["single_ms"] is not None
    return (
        f'<p class="gb-probe-said" aria-live="polite">{layers}, no training: right in {made["right"]:.1%} of {n} pictures.{beyond} '
        f"<small>Here it says {escape(made['answers'][0][0])} ({truth}); the ancestor says {escape(made['ancestor_answer'])}.</small></p>"
        + tiles([("Right answers", f"{made['right']:.1%}", f"95 % interval {low:.0%} to {high:.0%}; ancestor {made['ancestor_right']:.1%}"),
                 (agree, f"{made['agrees']:.1%}", f"of {n} pictures"),
                 ("Numbers inside", number(made["parameters"]), f"{made['width']} wide, all made from {number(made['stored_parameters'])}"),
                 ("Stored", f"{made['stored_bytes'] / 1000:.0f} kB", "the same at every depth"),
                 (macs, f"{made['macs'] / 1e6:.2f} million", "for one picture"),
                 ("Time for one picture", f"{number(made['single_ms'])} ms" if timed else "–",
                  f"{number(made['batch_ms'])} ms for 64" if timed else "let go of the slider")]))


def _cost(view: frame.View, tab: gr.Tab, gene: gr.Dropdown) -> None:
    gr.HTML(f'<p class="gb-quiet">{COST}</p>', apply_default_css=False)
    with gr.Row():
        with gr.Column(scale=1, min_width=260):
            depths = gr.CheckboxGroup(list(range(1, 17)), value=[4, 6, 8, 10, 12], label="Depths that you want")
            each = Dial(0, 100, value=20, step=1, label="Passes for each inherited network")
            scratch = Dial(1, 300, value=100, step=1, label="Passes for each network from scratch")
        with gr.Column(scale=3, min_width=320):
            said = gr.HTML(apply_default_css=False, elem_id="cost")
            with gr.Row():
                stored = LivePlot("Numbers to store")
                epochs = LivePlot("Passes over the pictures in all")

    def count(depths: list[int], each: Any, scratch: Any, gene: Any) -> list[Any]:
        asked = {"depths": depths, "each": whole(each), "scratch": whole(scratch), "learngene": gene}
        try:
            cost = view.site.engine.probe("learngene/storage", asked)
        except LabError as error:
            return [frame.say(error), gr.skip(), gr.skip()]
        return [_costs(cost), cost["figures"]["storage"], cost["figures"]["epochs"]]

    asked = {"inputs": [depths, each, scratch, gene], "outputs": [said, stored, epochs], "trigger_mode": "always_last", **frame.QUIET}
    for control in (depths, each, scratch):
        control.change(count, **asked)
    tab.select(count, **asked)


def _costs(cost: dict[str, Any]) -> str:
    own = (f"{cost['auxiliary']} of them for the learngene itself" if cost["auxiliary"] is not None
           else "those of the learngene itself not counted, because they were not written down")
    return (f'<p class="gb-probe-said">{cost["ratio"]:.1f} times less to store. <small>Without the last step: '
            f'{cost["ratio_without_head"]:.1f} times (our arithmetic; how the paper counts could not be read). '
            f'Training: {cost["epochs_inherited"]} passes, {own}, against {cost["epochs_scratch"]} from scratch. Passes say nothing about '
            f"how good the networks become.{_how_good()}</small></p>")


def _how_good() -> str:
    """What the evidence measured of quality at the passes that the tab opens with."""
    row = next(row for row in recorded("09") if row["id"] == "09.T10")
    if row["measured"] is None:
        return ""
    points = 100 * row["measured"]
    return (f" Measured on digits: 20 passes after inheriting are {abs(points):.1f} points {'behind' if points < 0 else 'ahead of'} 100 "
            f"from scratch (the worse of two depths, mean of {len(row['seeds'])} trainings).")


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
