"""Can small parts build many models? Press blocks on a board: the network that lies along the path is measured at once."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import gradio as gr

from apps.lab.pages import Page
from apps.lab.ui import frame
from apps.lab.ui.block_board import BlockBoard, standing, way_of
from apps.lab.ui.controls import Dial
from apps.lab.ui.draw_pad import DrawPad, drawn_as, ink_of
from apps.lab.ui.live_plot import LivePlot
from apps.lab.ui.live_view import chart, numbers, panel
from apps.lab.ui.words import number, term
from core.engine.errors import LabError

INTRO = ("One large network taught a small one and a larger one of six blocks each. A path starts in the small one, crosses a stitch and "
         "goes on in the large one: press blocks and read what that network costs and how often it is right.")
SMALL, LARGE, ANCESTOR = "embedded/learngene-pool-small", "embedded/learngene-pool-large", "embedded/learngene-pool-ancestor"
PARTS = {"small": ["embedded/learngene-instances-small"], "large": ["embedded/learngene-instances-large"], "ancestor": [ANCESTOR]}
SHARE = "right answers / test pictures, mean over the 16 stitched paths"
PANELS = [
    numbers("In numbers", [
        {"metric": "stitched before", "label": "Stitched: right before training", "formula": SHARE,
         "meaning": "Both models are trained, the stitches have only been set. This shows what a good start is worth."},
        {"metric": "stitched after", "label": "Stitched: right after training", "formula": SHARE,
         "meaning": "After training a random path at every step."},
        {"metric": "after small", "label": "Small model alone", "formula": "right answers / test pictures",
         "meaning": "The cheapest network of the pool. Training the pool changes it too."},
        {"metric": "after large", "label": "Large model alone", "formula": "right answers / test pictures",
         "meaning": "The rival that every stitched network should come near, at a lower cost."}]),
    panel("figure", "pareto", "Right answers against cost", wide=True,
          note="Each point is a network from the same blocks. Stars are the two models without a stitch. On the dotted line stand the "
               "networks that no other one beats in both."),
    panel("figure", "board", "Every path at once", note="Across: last small block. Up: first large block. The darker, the better."),
    panel("figure", "storage", "What has to be stored",
          note="SN-Net, the method this one is compared with, stores two models as deep as the ancestor."),
    panel("figure", "training", "While random paths are trained", note="Mean over the stitched paths, on 256 pictures."),
    chart("Surprise", ["loss pool"], x="pass over the pictures", y="surprise at the right answer (nats)"),
    panel("table", "paths", "Path by path, with 95 % intervals", wide=True),
]
INIT_PANELS = [
    panel("figure", "inits", "Which start is best?", wide=True,
          note="The paper's start is the transposed matrix. Least squares is SN-Net's. Random learned nothing. What is shown is what was "
               "measured here, whoever it favours."),
    panel("figure", "training", "While they learn"),
    panel("table", "inits", "All starts"),
]
POOL_PANELS = [
    panel("figure", "training", "While the two models learn", wide=True),
    panel("figure", "storage", "What has to be stored"),
    panel("table", "storage", "In numbers"),
]
STARTS = [("as they were trained", ""), ("transposed (the paper's start)", "transpose"), ("transposed and scaled", "scaled"),
          ("chain through the ancestor", "chain"), ("least squares (SN-Net's start)", "least_squares"), ("random", "random")]
Walk = Callable[..., list[Any]]  # (path, start, picture, drawing, tried, small, large, pictures) -> the outputs of `_board`
READY = '<p class="gb-probe-said" aria-live="polite">Walking the first path ...</p>'


def build(site: frame.Site, page: Page) -> None:
    """The board on top, the training of the stitches below it, and the tabs."""
    with frame.page(site, page, intro=INTRO, panels=PANELS, models=PARTS, top=_board) as view:
        frame.usual_tabs(view)
        with gr.Tab("Compare five starts", id="starts"):
            frame.another(view, "learngene/inits", press="Compare the starts", panels=INIT_PANELS, models=PARTS)
        with gr.Tab("Make a pool", id="make"):
            frame.another(view, "learngene/pool", press="Make a pool", panels=POOL_PANELS, models=PARTS)


def _board(site: frame.Site) -> None:
    with gr.Column(elem_classes="gb-try"):
        board = BlockBoard(value=standing(6, 2, 3), elem_id="board")
        with gr.Row(elem_classes="gb-columns"):
            with gr.Column(scale=3, min_width=320):
                said = gr.HTML(READY, apply_default_css=False, elem_id="walked")
                _heading("Every path that you have tried")
                plot = LivePlot("Right answers against multiply-adds, for the paths tried so far", height=300, elem_id="walked-plot")
                every = gr.Button("Try all paths", size="sm")
                budget = Dial(0.2, 6, value=3, step=0.1, label="Budget", elem_id="budget",
                                   info="Million multiply-adds for one picture. Let go, and the best path within it is chosen.")
                _heading("How alike are both streams, before and after the stitch?")
                likeness = LivePlot("Likeness (CKA) to the large model's own stream, before and after the stitch", height=200)
            with gr.Column(scale=1, min_width=270):
                start = gr.Dropdown(STARTS, value="", label="Stitches", elem_id="walk-start")
                pad = DrawPad("Draw a digit here", elem_id="pad")
                _heading("What it reads in this picture")
                answer = LivePlot("How sure the network is of its likeliest answers", height=220)
                picture = Dial(0, 255, value=0, step=1, label="Or look at a test picture", elem_id="walk-picture")
                with gr.Accordion("Use another pool", open=False):
                    small = gr.Dropdown([SMALL], value=SMALL, label="Small model", allow_custom_value=True, elem_id="walk-small",
                                        info="One you made below: run/NUMBER/small")
                    large = gr.Dropdown([LARGE], value=LARGE, label="Large model", allow_custom_value=True, elem_id="walk-large")
                    task = gr.Dropdown(["digits", "letters", "symbols"], value="digits", label="Pictures", elem_id="walk-task")
    way = gr.State((2, 3))
    focus = gr.State([])  # the drawing as 16 x 16 numbers; empty: a test picture
    tried = gr.State({})  # path -> what it costs and how often it is right, of one pool

    outputs = [said, answer, likeness, plot, board, pad, tried]
    inputs = [way, start, picture, focus, tried, small, large, task]
    quick = {"inputs": inputs, "outputs": outputs, "trigger_mode": "always_last", **frame.QUIET}
    walk, timed = _walker(site), _walker(site, latency=True)
    own = {"trigger_mode": "multiple", **frame.QUIET}  # one that waits would lose what was pressed or drawn
    board.select(_pressed(walk), inputs=inputs, outputs=[way, *outputs], **own).then(
        lambda *given: timed(*given)[0], **{**quick, "outputs": said})  # a measurement that comes late must not turn the rest back
    site.blocks.load(walk, **quick)
    for chosen in (start, small, large, task):
        chosen.change(walk, **quick)
    picture.change(lambda: [], outputs=focus, **frame.QUIET).then(walk, **quick)
    pad.select(_drawn(walk), inputs=inputs, outputs=[focus, *outputs], **own)
    every.click(_all(site, walk), **quick)
    budget.release(_afford(site, walk), inputs=[budget, *inputs], outputs=[way, *outputs], **own)
    plot.select(_pointed(walk), inputs=inputs, outputs=[way, *outputs], **own)


def _heading(words: str) -> None:
    gr.HTML(f'<h3 class="gb-panel-title">{words}</h3>', apply_default_css=False)


def _asked(way: Any, start: Any, picture: Any, drawing: Any, small: Any, large: Any, task: Any) -> dict[str, Any]:
    return {"last_small": way[0], "first_large": way[1], "init": start or None, "picture": int(picture), "drawing": drawing or (),
            "small": small, "large": large, "task": task}


def _walker(site: frame.Site, *, latency: bool = False) -> Walk:
    def walk(way: Any, start: Any, picture: Any, drawing: Any, tried: dict[str, Any], small: Any, large: Any, task: Any) -> list[Any]:
        asked = _asked(way, start, picture, drawing, small, large, task)
        try:
            made = site.engine.probe("learngene/path", asked | ({"latency": True} if latency else {}))
        except LabError as error:
            return [frame.say(error), *[gr.skip()] * 6]
        tried = _noted(tried, asked, {made["path"]: _point(made, way)})
        return [_said(made), made["figures"]["prediction"], made["figures"].get("similarity"), _plot(tried, made),
                standing(made["blocks"], *way), drawn_as(_rows(asked), own=bool(drawing)), tried]

    return walk


def _every_way(blocks: int) -> list[tuple[int, int]]:
    from core.learngene.pool.paths import paired

    return [(blocks - 1, -1), (-1, 0), *((way.j, way.k) for way in paired(blocks))]


def _try_all(site: frame.Site, way: Any, *rest: Any) -> dict[str, Any]:
    """Every path that the pool was trained for, noted."""
    start, picture, drawing, tried, small, large, task = rest
    asked = _asked(way, start, picture, drawing, small, large, task)
    blocks = site.engine.probe("learngene/path", asked)["blocks"]
    found = {}
    for one in _every_way(blocks):
        made = site.engine.probe("learngene/path", _asked(one, start, picture, drawing, small, large, task))
        found[made["path"]] = _point(made, one)
    return _noted(tried, asked, found)


def _all(site: frame.Site, walk: Walk) -> Walk:
    def all_paths(*given: Any) -> list[Any]:
        try:
            tried = _try_all(site, *given)
        except LabError as error:
            return _refused(error)[1:]
        return walk(*given[:4], tried, *given[5:])

    return all_paths


def _afford(site: frame.Site, walk: Walk) -> Walk:
    """The path that is right most often among those within the budget."""

    def afford(budget: Any, *given: Any) -> list[Any]:
        try:
            tried = _try_all(site, *given)
            cheap = [point for point in tried["points"].values() if point["macs"] <= 1e6 * float(budget)]
            if not cheap:
                least = min(point["macs"] for point in tried["points"].values())
                raise LabError("No network of this pool is that cheap.", f"The cheapest one needs {least / 1e6:.2f} million multiply-adds.")
        except LabError as error:
            return _refused(error)
        way = max(cheap, key=lambda point: (point["right"], -point["macs"]))["way"]
        return [way, *walk(way, *given[1:4], tried, *given[5:])]

    return afford


def _refused(error: LabError) -> list[Any]:
    """Nothing changes but the words."""
    return [gr.skip(), frame.say(error), *[gr.skip()] * 6]


def _point(made: dict[str, Any], way: Any) -> dict[str, Any]:
    return {"macs": made["macs"], "right": made["right"], "way": list(way)}


def _noted(tried: dict[str, Any], asked: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """Paths tried so far; another pool or another start begins anew."""
    who = [asked["small"], asked["large"], asked["task"], asked["init"]]
    return {"who": who, "points": (tried["points"] if tried.get("who") == who else {}) | found}


def _plot(tried: dict[str, Any], made: dict[str, Any]) -> dict[str, Any]:
    from core.learngene.pool import figures
    from core.learngene.pool.paths import front

    names = list(tried["points"])
    points = [(tried["points"][name]["macs"], tried["points"][name]["right"]) for name in names]
    best = set(front(points))
    drawn = figures.pareto([(name, *point, i in best) for i, (name, point) in enumerate(zip(names, points, strict=True))],
                           "multiply-adds for one picture")
    drawn["layout"]["yaxis"] |= {"range": [max(0, 100 * min(right for _, right in points) - 10), 101]}
    here = {"type": "scatter", "mode": "markers", "name": "here", "x": [made["macs"]], "y": [round(100 * made["right"], 1)],
            "text": [made["path"]], "marker": {"color": "#B0558A", "size": 18, "symbol": "circle-open", "line": {"width": 3}}}
    return {"data": [*drawn["data"], here], "layout": drawn["layout"]}


def _rows(asked: dict[str, Any]) -> Any:
    from core.learngene.data import read_task

    return asked["drawing"] or read_task(asked["task"]).shown[0][asked["picture"], 0].tolist()


def _pressed(walk: Walk) -> Walk:
    def pressed(event: gr.EventData, *given: Any) -> list[Any]:
        try:
            way = way_of(event)
        except LabError as error:
            return _refused(error)
        return [way, *walk(way, *given[1:])]

    return pressed


def _drawn(walk: Walk) -> Walk:
    from core.learngene.pictures import from_drawing

    def drawn(event: gr.EventData, *given: Any) -> list[Any]:
        try:
            rows = from_drawing(ink_of(event))[0, 0].tolist()
        except LabError as error:
            return _refused(error)
        return [rows, *walk(*given[:3], rows, *given[4:])]

    return drawn


def _pointed(walk: Walk) -> Walk:
    """The path of a pressed point."""

    def pointed(event: gr.EventData, *given: Any) -> list[Any]:
        name = event._data.get("text") if isinstance(event._data, dict) else None
        point = given[4].get("points", {}).get(name) if isinstance(name, str) else None
        return [point["way"], *walk(point["way"], *given[1:])] if point else [gr.skip()] * 8

    return pointed


def _said(made: dict[str, Any]) -> str:
    low, high = made["right_interval"]
    name = {"small": "The small model alone", "large": "The large model alone"}.get(made["path"], "This path")
    truth = f"it is {escape(made['truth'])}" if made["truth"] else "your own picture"
    free = "" if made["trained"] else " No stitch was trained for this pair of blocks: the nearest one stands in."
    macs = term("Multiply-adds", "How many times two numbers are multiplied and added for one picture: the work that it costs.")
    alike = term("Likeness at the stitch", "CKA: how alike two streams of numbers are, from 0 to 1, whatever their size or rotation.")
    timed, stitched = made["single_ms"] is not None, made["likeness_before"] is not None
    return (
        f'<p class="gb-probe-said" aria-live="polite">{name} is right in {made["right"]:.1%} of 256 pictures.{free} '
        f"<small>Here it says {escape(made['answers'][0][0])} ({truth}).</small></p>"
        '<dl class="gb-probe-tiles">'
        + _tile("Right answers", f"{made['right']:.1%}", f"95 % interval {low:.0%} to {high:.0%}")
        + _tile("Numbers inside", number(made["parameters"]), "that this path uses")
        + _tile(macs, f"{made['macs'] / 1e6:.2f} million", "for one picture")
        + _tile("Time for one picture", f"{number(made['single_ms'])} ms" if timed else "–",
                f"{number(made['batch_ms'])} ms for 64" if timed else "press a block to measure")
        + _tile(alike, f"{made['likeness_after']:.2f}" if stitched else "–",
                f"{made['likeness_before']:.2f} before it" if stitched else "there is no stitch")
        + "</dl>")


def _tile(label: str, value: str, more: str) -> str:
    """One number; all three are HTML already."""
    return f"<div><dt>{label}</dt><dd>{value}<small>{more}</small></dd></div>"
