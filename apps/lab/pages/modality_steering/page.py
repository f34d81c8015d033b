"""Words or picture: what does it believe? A model that reads well and looks little is steered, beside everything that costs more."""

from __future__ import annotations

from typing import Any

import gradio as gr
from markupsafe import escape

from apps.lab import links
from apps.lab.pages import Page
from apps.lab.ui import frame
from apps.lab.ui.desk import QUIET, Desk
from apps.lab.ui.view import View
from core.engine.errors import LabError
from core.engine.outputs import figure, number, numbers, picture, table
from core.steering.rows import ROWS

INTRO = (
    "A small model reads words well and sees pictures, but nobody ever asked it about a picture: it guesses the usual answer. Here a few "
    "numbers are trained that change what the model makes of the picture, beside rivals that train a hundred times as many. Both ways of "
    "counting stand on the page, and every question is also asked beside the wrong picture."
)
MODELS = {"model": ["embedded/scenes-base"]}
LOOKERS = {"model": ["embedded/scenes-base", "embedded/scenes"]}
ASKED = ("question", "shape", "colour", "count", "height", "side")
REST = ("place", "hair", "tone", "build", "job", "seed", "picture")
STRENGTH_SHOWS = (
    picture("seen", "What the model is shown"),
    figure("bars", "What it would say", note="Grey: untouched. Blue: steered. Always on the same axis.", wide=True),
    figure("patches", "Where it looks while it answers", note="The darker, the more attention. Outlined: steered patches.", wide=True),
    figure("lmar", "Attention to the picture, layer by layer (LMAR)", note="1: a patch gets as much as a word."),
    table("words", "What each layer would say"),
    numbers("In numbers", number("before", "Untouched"), number("after", "Steered"), number("moved", "Moved by")),
)
LOOK_SHOWS = (
    picture("seen", "What the model is shown"),
    figure("patches", "Where it looks while it answers", note="The darker, the more attention.", wide=True),
    figure("lmar", "Attention to the picture, layer by layer (LMAR)", note="1: a patch gets as much as a word."),
    figure("answers", "What it would say next"),
    table("words", "What each layer would say"),
    numbers("In numbers", number("lmar", "Mean LMAR"), number("share", "Share of all attention"), number("balance", "Balance error B")),
)
TURN = (
    "Drag the strength: at 0 it is the same model without steering, at 1 as it was trained. The connector, which carries the picture into "
    "the language model, was trained beside it and has a switch of its own. Without the picture nothing may change. After a race of yours "
    "it is your steering that is turned; before, one that comes with the lab."
)
ANY = (
    "LMAR says how much attention a patch of the picture gets for each word of the question. Models of your own of the LLaVA or Qwen-VL "
    "kind can be looked at too: put their folder under --models. They read any question; the little one knows 160 words."
)
EVERY = (
    "Each way of training starts from the same model and gets the same questions in the same order. Connector-only is the control that the "
    "paper lacks: what it reaches is not due to a method."
)


MOST = 30  # runs of the visitor's that are shown
NONE = '<p class="gb-quiet">Your own races will be listed here.</p>'
FILES = {"model.safetensors": "its numbers", "config.json": "what they are"}
MEASURED_SHOWS = (
    figure("against", "Right answers against numbers trained", wide=True,
           note="Full: counted inside the language model, as the paper does. Hollow: with the connector."),
    table("points", "Every point", wide=True),
)


def _made(view: View, live: Any) -> dict[str, Any]:
    """The steering of the race on show, once it is finished and the visitor's; else the one that is chosen."""
    run = live.get("run") if isinstance(live, dict) else None
    try:
        record = view.site.engine.read(run) if run and not run.startswith("first-") else None
    except LabError:
        return {}
    done = record is not None and record["name"] == "steering/train" and record["outcome"] == "finished"
    return {"steering": f"run/{run}/steering"} if done else {}


def _points(view: View) -> dict[str, Any]:
    """The recorded comparison and the visitor's own races, as the probe takes them."""
    engine, points = view.site.engine, []
    try:
        recorded = engine.result(f"first-{view.page.first_view('steering/compare')}")
    except LabError:
        recorded = None  # there is no recorded comparison on this machine
    if recorded:
        found, n = recorded["metrics"], 5 * recorded["config"]["questions"]
        points += [_point(ROWS[name].title, ROWS[name].recipe, found, f"{name} {{}}", n) for name in recorded["config"]["methods"]]
    races = [(run["id"], "your ") for run in _own(view)]
    for run, whose in [(f"first-{view.page.route}", "recorded "), *races] if frame.first_view(view.site, view.page) else races:
        result = engine.result(run)
        config, found = result["config"], result["metrics"]
        n, rival = 5 * config["questions"], ROWS[config["rival"]]
        points.append(_point(f"{whose}{config['method']} {config['rank']}", config["method"], found, "{} steered", n))
        points.append(_point(f"{whose}{rival.title}", rival.recipe, found, "{} rival", n))
    return {"points": points}


def _point(name: str, recipe: str, found: dict[str, Any], metric: str, n: int) -> tuple[Any, ...]:
    inside, total, share = (found[metric.format(what)] for what in ("inside", "total", "unbiased"))
    return name, recipe, int(inside), int(total), share, n


def _own(view: View) -> list[Any]:
    return [run for run in view.site.engine.runs("steering/train") if run["outcome"] == "finished"][:MOST]


def _opened(view: View) -> str:
    """Links that open the visitor's races again."""
    made = []
    for run in _own(view):
        result = view.site.engine.result(run["id"])
        config, right = result["config"], result["metrics"]["unbiased steered"]
        words = f"{config['method']} of rank {config['rank']} against {config['rival']}: {right:.0%} right"
        files = " ".join(f'<a href="lab/runs/{escape(run["id"])}/kept/steering/{file}" download>{said}</a>' for file, said in FILES.items())
        made.append(f'<li><a href="{escape(links.to_run(run).lstrip("/"))}">{escape(words)}</a> ({files})</li>')
    return f'<ul class="gb-quiet">{"".join(made)}</ul>' if made else NONE


def build(site: frame.Site, page: Page) -> None:
    """The race on top; in tabs the slider, attention of any model, every method, lesson and evidence."""
    with frame.page(site, page, intro=INTRO, models=MODELS) as view:
        parts = view.controls.components
        parts["painted"].input(lambda: "painted", outputs=parts["positions"], **QUIET)  # whoever paints means it
        with gr.Tab("Ask it yourself", id="strength"):
            gr.HTML(f'<p class="gb-quiet">{TURN}</p>', apply_default_css=False)
            asked = Desk(view, "steering/strength", left=("strength", "connector", "shown", *ASKED), more=(*REST, "steering", "model"),
                         shows=STRENGTH_SHOWS, prefix="strength", models=MODELS | {"steering": []}, given=lambda live: _made(view, live))
        with gr.Tab("Any model", id="look"):
            gr.HTML(f'<p class="gb-quiet">{ANY}</p>', apply_default_css=False)
            shared = {name: component for name, component in asked.components.items() if name in (*ASKED, *REST) and name != "picture"}
            Desk(view, "steering/look", left=("model", "layer"), more=("picture",), shows=LOOK_SHOWS, prefix="look", models=LOOKERS,
                 shared=shared)
        with gr.Tab("Every method", id="compare"):
            gr.HTML(f'<p class="gb-quiet">{EVERY}</p>', apply_default_css=False)
            Desk(view, "steering/measured", shows=MEASURED_SHOWS, prefix="measured", given=lambda live: _points(view))
            own = gr.HTML(NONE, apply_default_css=False)
            view.live.finish(lambda: _opened(view), outputs=own, **QUIET)
            site.blocks.load(lambda: _opened(view), outputs=own, **QUIET)
            frame.another(view, "steering/compare", press="Train them all", models=MODELS)
        frame.usual_tabs(view)
