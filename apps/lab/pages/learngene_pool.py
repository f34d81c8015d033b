"""Can small parts build many models? Press blocks on a board: the network that lies along the path is measured at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from apps.lab.pages import Page
from apps.lab.ui import frame
from apps.lab.ui.block_board import BlockBoard, standing, way_of
from apps.lab.ui.controls import Dial
from apps.lab.ui.draw_pad import drawn_as
from apps.lab.ui.drawer import Drawer
from apps.lab.ui.live_plot import LivePlot
from apps.lab.ui.own_file import OwnFile
from apps.lab.ui.picture_desk import Fill, PictureDesk, bring, heading, refused, tiles, whole
from apps.lab.ui.words import number, term
from core.engine.errors import LabError
from core.engine.registry import find

INTRO = ("Twelve trained blocks, six small and six large, can be put together into eighteen networks, from cheap to dear. A path starts in "
         "the small ones, crosses a stitch and goes on in the large ones: press blocks and read what that network costs and how often it "
         "is right.")
COSTS = [("multiply-adds", "macs"), ("numbers inside", "parameters"), ("time", "ms")]
SMALL, LARGE, ANCESTOR = "embedded/learngene-pool-small", "embedded/learngene-pool-large", "embedded/learngene-pool-ancestor"
PARTS = {"small": ["embedded/learngene-instances-small"], "large": ["embedded/learngene-instances-large"], "ancestor": [ANCESTOR]}
MAKE = ("Make a pool of digits, letters or symbols, or of your own pictures. An ancestor that does not know them learns them first. "
        "When it is finished, put it on the board at the top of the page. Its stitches are random: choose another start on the board, "
        "or press Run, which then trains yours.")
BESIDE = ("Higher is better, further left is cheaper. For digits, green shows rivals of sizes in between: each was trained alone and has "
          "to be stored for itself. The pool makes all its networks out of the same twelve blocks.")
TIMED = "Times are those of this computer, for one picture: of the paths that you press, not of the rivals."
Walk = Callable[..., list[Any]]  # (picture, drawing, path, start, tried, cost, times, small, large, task, pictures) -> outputs of `_board`
TRIED = 4  # where in that order the paths tried so far stand
READY = '<p class="gb-probe-said" aria-live="polite">Walking the first path ...</p>'


def build(site: frame.Site, page: Page) -> None:
    """The board on top, the training of the stitches below it, and the tabs."""
    boards: list[Board] = []
    with frame.page(site, page, intro=INTRO, models=PARTS, top=lambda site: boards.append(_board(site))) as view:
        frame.usual_tabs(view)
        with gr.Tab("Compare five starts", id="starts"):
            frame.another(view, "learngene/inits", press="Compare the starts", models=PARTS)
        with gr.Tab("Make a pool", id="make"):
            gr.HTML(f'<p class="gb-quiet">{MAKE}</p>', apply_default_css=False)
            here = gr.Button("Put it on the board", size="sm", elem_id="put-on")
            made = frame.another(view, "learngene/pool", press="Make a pool", models=PARTS)
    beside = [view.controls.components[name] for name in ("small", "large", "task", "pictures")]  # so that Run trains it
    bring(site.engine, [here, boards[0].mine], [view.live, made.live], "pool", _with_its_own(boards[0].own), [*boards[0].chosen, *beside])


@dataclass(frozen=True)
class Board:
    """`chosen`: where sentences go, the path, and what says which pool it is; `mine`: the button that puts the one made last there."""

    chosen: list[Any]
    own: OwnFile
    mine: gr.Button


def _board(site: frame.Site) -> Board:
    with gr.Column(elem_classes="gb-try"):
        board = BlockBoard(value=standing(6, 2, 3), elem_id="board")
        with gr.Row(elem_classes="gb-columns"):
            with gr.Column(scale=3, min_width=320):
                said = gr.HTML(READY, apply_default_css=False, elem_id="walked")
                heading("Every path that you have tried")
                gr.HTML(f'<p class="gb-quiet">{BESIDE}</p>', apply_default_css=False)
                cost = gr.Radio(COSTS, value="macs", label="Against what?", info=TIMED, elem_id="walk-cost")
                plot = LivePlot("Right answers against cost, for the paths tried so far", height=300, elem_id="walked-plot")
                every = gr.Button("Try all paths", size="sm")
                budget = Dial(0.2, 6, value=3, step=0.1, label="Budget", elem_id="budget",
                                   info="Million multiply-adds for one picture. Let go, and the best path within it is chosen.")
                heading("How alike are both streams, before and after the stitch?")
                likeness = LivePlot("Likeness (CKA) to the large model's own stream, before and after the stitch", height=200)
            with gr.Column(scale=1, min_width=270):
                words = find("learngene/stitch").config.model_fields["init"].json_schema_extra["labels"]
                starts = [("as they were trained", ""), *((word, name) for name, word in words.items())]
                start = gr.Dropdown(starts, value="", label="Stitches", elem_id="walk-start")
                desk = PictureDesk("Draw a digit here", prefix="walk")
                with Drawer("Use another pool"):
                    mine = gr.Button("Use the one that I made last", size="sm", elem_id="walk-newest")
                    small = gr.Dropdown([SMALL], value=SMALL, label="Small model", allow_custom_value=True, elem_id="walk-small",
                                        info="One that a run kept: run/NUMBER/small")
                    large = gr.Dropdown([LARGE], value=LARGE, label="Large model", allow_custom_value=True, elem_id="walk-large")
                    task = gr.Dropdown(["digits", "letters", "symbols"], value="digits", label="Pictures", elem_id="walk-task")
                    own = OwnFile(site.engine, find("learngene/path"), "pictures", prefix="walk")
    way = gr.State((2, 3))
    tried = gr.State({})  # path -> what it costs and how often it is right, of one pool
    times = gr.State({})  # path -> milliseconds, of one pool; apart from `tried`, because they come late

    rest = [way, start, tried, cost, times, small, large, task, own.choice]
    inputs, outputs = [*desk.setting, *rest], [said, desk.answers, likeness, plot, board, desk.pad, tried]
    quick = {"inputs": inputs, "outputs": outputs, "trigger_mode": "always_last", **frame.QUIET}
    walk, timed = _walker(site), _timer(site)
    pressed = {"outputs": [way, *outputs], "trigger_mode": "multiple", **frame.QUIET}  # one that waits would lose what was pressed
    board.select(_pressed(walk), inputs=inputs, **pressed).then(
        timed, **{**quick, "outputs": [said, times]})  # a measurement that comes late must not turn the rest back
    site.blocks.load(walk, **quick)
    for chosen in (start, small, large, cost):
        chosen.change(walk, **quick)
    times.change(walk, **quick)
    desk.connect(site.engine, walk, rest=rest, outputs=outputs)
    every.click(_all(site, walk), **quick)
    budget.release(_afford(site, walk), inputs=[budget, *inputs], **pressed)
    plot.select(_pointed(walk), inputs=inputs, **pressed)
    return Board([said, way, small, large, task, own.choice], own, mine)


def _with_its_own(own: OwnFile) -> Fill:
    """A pool with the pictures that belong to it: for the board, and for the training below it."""

    def fill(record: dict[str, Any], _: set[str]) -> list[Any]:
        config, run = record["config"], f"run/{record['id']}"
        which = [f"{run}/small", f"{run}/large", config["task"], own.shown(config["pictures"])]
        return [(0, 1), *which, *which]

    return fill


def _asked(picture: Any, drawing: Any, way: Any, start: Any, small: Any, large: Any, task: Any, pictures: Any) -> dict[str, Any]:
    return {"last_small": way[0], "first_large": way[1], "init": start or None, "picture": whole(picture), "drawing": drawing or (),
            "small": small, "large": large, "task": task, "pictures": pictures or ""}


def _walker(site: frame.Site) -> Walk:
    def walk(picture: Any, drawing: Any, way: Any, start: Any, tried: dict[str, Any], cost: Any, times: Any, *pool: Any) -> list[Any]:
        asked = _asked(picture, drawing, way, start, *pool)
        try:
            made = site.engine.probe("learngene/path", asked)
        except LabError as error:
            return refused(error, 7)
        tried, timed = _noted(tried, asked, {made["shown"]: _point(made, way)}), _noted(times, asked, {})["points"]
        return [_said(made | {name: timed.get(made["shown"], {}).get(name) for name in ("single_ms", "batch_ms")}),
                made["figures"]["prediction"], made["figures"].get("similarity"), _plot(site, tried, timed, made, asked, cost),
                standing(made["blocks"], *way), drawn_as(made["seen"], own=bool(drawing)), tried]

    return walk


def _timer(site: frame.Site) -> Walk:
    """The same path measured for its time too: what is said of it, and the times known so far."""

    def timed(picture: Any, drawing: Any, way: Any, start: Any, _: Any, cost: Any, times: Any, *pool: Any) -> list[Any]:
        asked = _asked(picture, drawing, way, start, *pool)
        try:
            made = site.engine.probe("learngene/path", asked | {"latency": True})
        except LabError as error:
            return refused(error, 2)
        return [_said(made), _noted(times, asked, {made["shown"]: {name: made[name] for name in ("single_ms", "batch_ms")}})]

    return timed


def _every_way(blocks: int) -> list[tuple[int, int]]:
    from core.learngene.pool.paths import paired

    return [(blocks - 1, -1), (-1, 0), *((way.j, way.k) for way in paired(blocks))]


def _try_all(site: frame.Site, picture: Any, drawing: Any, way: Any, start: Any, tried: dict[str, Any], _cost: Any, _times: Any,
             *pool: Any) -> dict[str, Any]:
    """Every path that the pool was trained for, noted."""
    asked = _asked(picture, drawing, way, start, *pool)
    blocks = site.engine.probe("learngene/path", asked | {"last_small": -1, "first_large": 0})["blocks"]
    found = {}
    for one in _every_way(blocks):
        made = site.engine.probe("learngene/path", asked | {"last_small": one[0], "first_large": one[1]})
        found[made["shown"]] = _point(made, one)
    return _noted(tried, asked, found)


def _all(site: frame.Site, walk: Walk) -> Walk:
    def all_paths(*given: Any) -> list[Any]:
        try:
            tried = _try_all(site, *given)
        except LabError as error:
            return refused(error, 7)
        return walk(*given[:TRIED], tried, *given[TRIED + 1:])

    return all_paths


def _afford(site: frame.Site, walk: Walk) -> Walk:
    """The path that is right most often among those within the budget."""

    def afford(budget: Any, *given: Any) -> list[Any]:
        try:
            tried = _try_all(site, *given)
            cheap = [point for point in tried["points"].values() if point["macs"] <= 1e6 * (budget or 0)]
            if not cheap:
                least = min(point["macs"] for point in tried["points"].values())
                raise LabError("No network of this pool is that cheap.", f"The cheapest one needs {least / 1e6:.2f} million multiply-adds.")
        except LabError as error:
            return refused(error, 7, skipped=1)
        way = max(cheap, key=lambda point: (point["right"], -point["macs"]))["way"]
        return [way, *walk(*given[:2], way, given[3], tried, *given[TRIED + 1:])]

    return afford


def _point(made: dict[str, Any], way: Any) -> dict[str, Any]:
    return {"macs": made["macs"], "parameters": made["parameters"], "right": made["right"], "way": list(way)}


def _noted(tried: dict[str, Any], asked: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """Paths tried so far; another pool or another start begins anew."""
    who = [asked[name] for name in ("small", "large", "task", "pictures", "init")]
    return {"who": who, "points": (tried["points"] if tried.get("who") == who else {}) | found}


def _plot(site: frame.Site, tried: dict[str, Any], timed: dict[str, Any], made: dict[str, Any], asked: dict[str, Any],
          cost: str) -> dict[str, Any]:
    from core.learngene.pool import figures

    paths = [figures.Spot(name, point["parameters"], point["macs"], point["right"], timed.get(name, {}).get("single_ms"))
             for name, point in tried["points"].items()]
    rivals = site.engine.probe("learngene/alone", {"task": asked["task"], "pictures": asked["pictures"]})["networks"]
    alone = [figures.Spot(rival["name"], rival["parameters"], rival["macs"], rival["right"]) for rival in rivals]
    drawn = figures.pareto(paths, alone, cost)
    shown = [(getattr(spot, cost), spot.right) for spot in paths + alone if getattr(spot, cost) is not None]
    if not shown:
        return drawn
    drawn["layout"]["yaxis"] |= {"range": [max(0, 100 * min(right for _, right in shown) - 5), 101]}
    drawn["layout"]["xaxis"] |= {"range": [0, 1.1 * max(size for size, _ in shown)]}
    this = next(spot for spot in paths if spot.name == made["shown"])
    here = {"type": "scatter", "mode": "markers", "name": "this path", "x": [getattr(this, cost)], "y": [round(100 * this.right, 1)],
            "text": [this.name], "marker": {"color": "#B0558A", "size": 18, "symbol": "circle-open", "line": {"width": 3}}}
    return {"data": [*drawn["data"], here], "layout": drawn["layout"]}


def _pressed(walk: Walk) -> Walk:
    def pressed(event: gr.EventData, picture: Any, drawing: Any, _: Any, *rest: Any) -> list[Any]:
        try:
            way = way_of(event)
        except LabError as error:
            return refused(error, 7, skipped=1)
        return [way, *walk(picture, drawing, way, *rest)]

    return pressed


def _pointed(walk: Walk) -> Walk:
    """The path of a pressed point."""

    def pointed(event: gr.EventData, *given: Any) -> list[Any]:
        name = event._data.get("text") if isinstance(event._data, dict) else None
        point = given[TRIED].get("points", {}).get(name) if isinstance(name, str) else None
        return [point["way"], *walk(*given[:2], point["way"], *given[3:])] if point else [gr.skip()] * 8

    return pointed


def _said(made: dict[str, Any]) -> str:
    low, high = made["right_interval"]
    name = {"small": "The small model alone", "large": "The large model alone"}.get(made["path"], "This path")
    truth = f"it is {escape(made['truth'])}" if made["truth"] else "your own picture"
    free = "" if made["trained"] else " No stitch was trained for this pair of blocks: the nearest one stands in."
    macs = term("Multiply-adds", "How many times two numbers are multiplied and added for one picture: the work that it costs.")
    alike = term("Likeness at the stitch", "CKA: how alike two streams of numbers are, from 0 to 1, whatever their size or rotation.")
    timed, stitched = made["single_ms"] is not None, made["cka_before"] is not None
    return (
        f'<p class="gb-probe-said" aria-live="polite">{name} is right in {made["right"]:.1%} of {made["pictures"]} pictures.{free} '
        f"<small>Here it says {escape(made['answers'][0][0])} ({truth}).</small></p>"
        + tiles([("Right answers", f"{made['right']:.1%}", f"95 % interval {low:.0%} to {high:.0%}"),
                 ("Numbers inside", number(made["parameters"]), "that this path uses"),
                 (macs, f"{made['macs'] / 1e6:.2f} million", "for one picture"),
                 ("Time for one picture", f"{number(made['single_ms'])} ms" if timed else "–",
                  f"{number(made['batch_ms'])} ms for 64" if timed else "press a block to measure"),
                 (alike, f"{made['cka_after']:.2f}" if stitched else "–",
                  f"{made['cka_before']:.2f} before it" if stitched else "there is no stitch")]))
