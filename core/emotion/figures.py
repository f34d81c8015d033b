"""Numbers in, Plotly figures out: the judges, the wheel, the tree, the cues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from core.emotion.cues import WORDS
from core.emotion.judge import PROTOTYPES
from core.emotion.mikels import EMOTIONS, WHEEL, angle
from core.plots import BLUE, BROWN, GREY, ORANGE, RED, SAND, percent, plain

JUDGES = ("first judge", "second judge")
PALE_LINE, CLEAR = "#A9B0B6", "rgba(0,0,0,0)"
CHANCE = "edits by chance"


def judges(before: Sequence[float], after: Sequence[float], chance: Sequence[Sequence[float]] | None) -> dict[str, Any]:
    """Share of the target for each judge: as it was, after the edit, and of random edits (one list a judge) with their 95 % interval."""
    figure = go.Figure()
    figure.add_bar(x=JUDGES, y=percent(before), name="as it was", marker={"color": BLUE})
    figure.add_bar(x=JUDGES, y=percent(after), name="after the edit", marker={"color": ORANGE})
    if chance is not None:
        means, halves = zip(*(_mean(values) for values in chance), strict=True)
        figure.add_bar(
            x=JUDGES,
            y=percent(means),
            name=CHANCE,
            marker={"color": BROWN},
            error_y={"type": "data", "array": percent(halves), "color": GREY},
        )
    return plain(figure, yaxis={"title": {"text": "percent"}, "range": [0, 100]}, barmode="group")


def _mean(values: Sequence[float]) -> tuple[float, float]:
    from core.engine.claims import interval

    mean, _, high = interval(list(values))
    return mean, (high - mean if len(values) > 1 else 0.0)


def wheel(
    before: Sequence[float], now: Sequence[float], target: str, called: tuple[str, str] = ("as it was", "now")
) -> dict[str, Any]:
    """Both distributions (8,) round the emotion wheel; the target is written in capitals. called: what the two are."""
    figure = go.Figure()
    names = [name.upper() if name == target else name for name in WHEEL]
    for name, q, colour in ((called[0], before, BLUE), (called[1], now, ORANGE)):
        by_name = dict(zip(EMOTIONS, q, strict=True))
        figure.add_barpolar(
            r=percent([by_name[name_] for name_ in WHEEL]),
            theta=[angle(name_) for name_ in WHEEL],
            name=name,
            marker={"color": colour, "opacity": 0.75},
            width=[22] * 8,
            text=names,
            hovertemplate="%{text}: %{r} %",
        )
    figure.data[0].width, figure.data[1].width = [40] * 8, [20] * 8
    return plain(
        figure,
        polar={
            "angularaxis": {"tickvals": [angle(name) for name in WHEEL], "ticktext": names, "direction": "counterclockwise"},
            "radialaxis": {"ticksuffix": " %", "nticks": 3, "gridcolor": PALE_LINE},
            "bgcolor": CLEAR,
        },
        margin={"l": 82, "r": 82, "t": 30, "b": 64},
    )


def cues(have: Mapping[str, float], target: str, before: Mapping[str, float]) -> dict[str, Any]:
    """What the picture has and had, and what the emotion wants, cue by cue, in standard deviations."""
    names = list(PROTOTYPES[target])
    figure = go.Figure()
    rows = (("as it was", before, BLUE, "dot"), ("now", have, ORANGE, "solid"), ("wanted", PROTOTYPES[target], GREY, "dash"))
    for name, values, colour, dash in rows:
        figure.add_scatterpolar(
            r=[round(values[cue], 2) for cue in [*names, names[0]]],
            theta=[WORDS[cue] for cue in [*names, names[0]]],
            name=name,
            mode="lines+markers",
            line={"color": colour, "dash": dash},
        )
    polar = {"radialaxis": {"range": [-3, 3], "nticks": 4, "gridcolor": PALE_LINE}, "bgcolor": CLEAR}
    return plain(figure, polar=polar, margin={"l": 80, "r": 80, "t": 40, "b": 30})


def tree(target: str, factors: Sequence[Mapping[str, Any]], tried: Mapping[str, float], status: Mapping[str, str]) -> dict[str, Any]:
    """Emotion -> factors -> leaves. tried: the critic's score of each leaf alone.  status: kept, undone, planned, by leaf."""
    figure = go.Figure()
    leaves = [(one["phrase"], _leaf(leaf)) for one in factors for leaf in one["leaves"]]
    rows = {leaf: i for i, (_, leaf) in enumerate(leaves)}
    height = {one["phrase"]: _middle([rows[_leaf(leaf)] for leaf in one["leaves"]]) for one in factors}
    root = _middle(list(range(len(leaves)))) if leaves else 0
    lines_x, lines_y = [], []
    for phrase, y in height.items():
        lines_x += [0, 1, None]
        lines_y += [root, y, None]
        for leaf in [leaf for own, leaf in leaves if own == phrase]:
            lines_x += [1, 2, None]
            lines_y += [y, rows[leaf], None]
            lines_x[-2] = _right(tried.get(leaf))
    figure.add_scatter(x=lines_x, y=lines_y, mode="lines", line={"color": PALE_LINE, "width": 1.5}, hoverinfo="skip", showlegend=False)
    figure.add_scatter(
        x=[0],
        y=[root],
        mode="markers+text",
        text=[target],
        textposition="top center",
        showlegend=False,
        marker={"size": 16, "color": BLUE},
        hoverinfo="text",
    )
    figure.add_scatter(
        x=[1] * len(height),
        y=list(height.values()),
        mode="markers+text",
        text=list(height),
        textposition="top center",
        marker={"size": 11, "color": BLUE},
        showlegend=False,
        hoverinfo="text",
    )
    kinds = (("kept", ORANGE, "circle"), ("planned", SAND, "circle"), ("undone", RED, "x"), ("dropped", GREY, "circle-open"))
    for name, colour, symbol in kinds:
        own = [(rows[leaf], leaf) for _, leaf in leaves if status.get(leaf, "dropped") == name]
        scores = [tried.get(leaf) for _, leaf in own]
        figure.add_scatter(
            x=[_right(score) for score in scores],
            y=[y for y, _ in own],
            mode="markers+text",
            name=name,
            text=[f"{leaf} {score:+.2f}" if score is not None else leaf for (_, leaf), score in zip(own, scores, strict=True)],
            textposition="middle right",
            marker={"size": 11, "color": colour, "symbol": symbol},
            hoverinfo="text",
        )
    return plain(figure, xaxis={"visible": False, "range": [-0.2, 3.1]}, yaxis={"visible": False, "range": [len(leaves) - 0.3, -1.0]})


def chosen(counts: Mapping[str, int]) -> dict[str, Any]:
    """How often the planned edit, the one by chance, or neither was chosen by somebody who did not know which was which."""
    figure = go.Figure()
    names = ("planned", "chance", "no difference")
    figure.add_bar(x=["planned edit", "edit by chance", "no difference"], y=[counts[name] for name in names],
                   marker={"color": [ORANGE, BROWN, GREY]}, showlegend=False)
    return plain(figure, yaxis={"title": {"text": "votes"}, "rangemode": "tozero"})


def _right(score: float | None) -> float:
    """How far right a leaf stands: the more the critic liked it, the farther."""
    return 2 + max(0.0, score or 0.0)


def _middle(rows: Sequence[float]) -> float:
    return (min(rows) + max(rows)) / 2 if rows else 0.0


def _leaf(leaf: Sequence[Any]) -> str:
    from core.emotion.tools import TOOLS

    return TOOLS[leaf[0]].called(float(leaf[1]))
