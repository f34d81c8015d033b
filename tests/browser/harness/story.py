"""Made-up event lines for tests of the live view. They are test material: no page ever shows them."""

from __future__ import annotations

import math
from typing import Any

import plotly.graph_objects as go

HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script><a href="https://evil.example/">go</a>'
PANELS = [
    {
        "kind": "numbers",
        "title": "The numbers",
        "items": [
            {
                "metric": "recall",
                "label": "Answers it still gives",
                "unit": "%",
                "formula": "answers with the key / all questions",
                "meaning": "100 % is a model that knows everything.",
            },
            {
                "metric": "hidden",
                "label": "Answers still inside",
                "unit": "%",
                "formula": "max over layers of probe accuracy",
                "meaning": "What a probe reads inside the model.",
            },
            {
                "metric": "retain loss",
                "label": "Damage to the rest",
                "formula": "mean of -log p over kept answers",
                "meaning": "Lower is better.",
            },
        ],
    },
    {
        "kind": "chart",
        "title": "While it unlearns",
        "metrics": ["forget loss", "retain loss"],
        "x": "step",
        "y": "loss (nats per token)",
        "note": "The forget loss should rise while the retain loss stays low.",
    },
    {
        "kind": "figure",
        "name": "by_layer",
        "title": "What each layer still knows",
        "note": "Bars above the dashed line are better than guessing.",
    },
    {"kind": "figure", "name": "map", "title": "Token by layer", "height": 260},
    {
        "kind": "table",
        "name": "answers",
        "title": "Answers",
        "select": True,
        "wide": True,
        "note": "Click a row to ask that question yourself.",
    },
    {
        "kind": "tokens",
        "name": "question",
        "title": "Which words matter",
        "note": "Blue words push towards the answer, orange words away from it.",
    },
    {"kind": "text", "name": "answer", "title": "In its own words"},
    {"kind": "picture", "name": "view", "title": "What the model saw"},
]


def lines(steps: int = 20, *, scale: float = 1.0, seconds: float = 10.0, hostile: bool = False, ends: bool = True) -> list[dict[str, Any]]:
    """A run of `steps` steps over `seconds`; `scale` makes two runs differ; `hostile` puts markup into every string."""
    name = (lambda text: f"{text}{HOSTILE}") if hostile else (lambda text: text)
    events: list[dict[str, Any]] = []

    def add(kind: str, t: float, **fields: Any) -> None:
        events.append({"seq": len(events), "t": round(t, 4), "kind": kind, **fields})

    for step in range(1, steps + 1):
        t, share = seconds * step / (steps + 2), step / steps
        add("progress", t, step=step, total=steps, note=name("unlearning six people"))
        add("metric", t, name="forget loss", value=scale * (0.3 + 4 * share**1.5), step=step, unit="nats per token")
        add("metric", t, name="retain loss", value=0.25 + 0.2 * scale * math.sin(3 * share) ** 2, step=step, unit="nats per token")
        if step % 5 == 0:
            add("figure", t, name="by_layer", figure=_bars(share, scale, name))
    add("figure", seconds, name="map", figure=_heat(scale, name))
    add(
        "table",
        seconds,
        name="answers",
        columns=["question", name("before"), "after", "chance"],
        rows=[[name(f"Where was author {i} born?"), "Lisbon", name("I do not know."), round(0.04 * i * scale, 3)] for i in range(1, 9)],
    )
    add(
        "table",
        seconds,
        name="question",
        columns=["token", "value", "probability"],
        rows=[
            [word, value, abs(value) / 2]
            for word, value in zip(
                [name("Where"), " was", " Ines", " Valcourt", " born", "?\n"], [0.1, -0.2, 0.9 * scale, 1.4, 0.5, -0.6], strict=True
            )
        ],
    )
    add("text", seconds, name="answer", text=name("I am not sure who that is.\nPerhaps a writer?"))
    add("picture", seconds, name="view", file="view-1.png", alt=name("a small blue square"))
    add("metric", seconds, name="recall", value=4.5 * scale, step=None, unit="%")
    add("metric", seconds, name="hidden", value=62.0 * scale, step=None, unit="%")
    add("verdict", seconds, text=name("The answers are gone from the output, but 62 % can still be read at layer 3."), evidence={"n": 60})
    if ends:
        add("end", seconds, outcome="finished", error="", hint="")
    return events


def _bars(share: float, scale: float, name: Any) -> dict[str, Any]:
    layers = list(range(1, 7))
    figure = go.Figure(
        [
            go.Bar(
                x=layers,
                y=[scale * (0.9 - 0.5 * share) * math.exp(-((layer - 3) ** 2) / 6) for layer in layers],
                name=name("after"),
                error_y={"array": [0.05] * 6},
            ),
            go.Bar(x=layers, y=[0.9 * math.exp(-((layer - 3) ** 2) / 8) for layer in layers], name="before"),
        ]
    )
    figure.update_layout(
        xaxis_title=name("layer"),
        yaxis_title="probe accuracy",
        shapes=[{"type": "line", "x0": 0, "x1": 1, "xref": "paper", "y0": 0.1, "y1": 0.1, "line": {"dash": "dash"}}],
    )
    return figure.to_plotly_json() | {"layout": figure.layout.to_plotly_json()}


def _heat(scale: float, name: Any) -> dict[str, Any]:
    z = [[round(scale * math.sin(a * 0.7) * math.cos(b * 0.5), 3) for a in range(8)] for b in range(6)]
    figure = go.Figure(go.Heatmap(z=z, x=[name(f"word {a}") for a in range(8)], y=[f"layer {b}" for b in range(6)], colorscale="Blues"))
    return figure.to_plotly_json() | {"layout": figure.layout.to_plotly_json()}
