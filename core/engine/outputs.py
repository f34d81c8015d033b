"""What an experiment gives, declared beside its config: pages, report, reference and notebook derive from it. Imports no torch.

    OUTPUTS = (
        numbers("In numbers",
                number("direct recall unlearned", "Now, asked plainly", unit="share", formula="answers with the key fact / questions",
                       meaning="Near zero looks like forgetting.")),
        chart("While it forgets", series("forget loss", "facts to forget"), x="training step", y="nats per token"),
        figure("by_layer", "After which layer can it still be read?", note="Dotted: blind guessing."),
        table("answers", "Question by question", rare=True),
        kept("unlearned", "The model that forgot"),
    )

An entry stands for the events of its kind and name. A name may hold `{}` for a word that differs from run to run: "loss {}" is every
metric whose name begins so. The order of the entries is the order in which people see them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

Kind = Literal["metric", "figure", "table", "picture", "text", "keep"]
Look = Literal["number", "line", "figure", "table", "tokens", "answers", "matrix", "picture", "reveal", "film", "text", "kept", "plain"]


@dataclass(frozen=True)
class Output:
    """One named thing that a run says: what it is called, what one looks at, its unit and where the number comes from.

    kind: the event that carries it.  look: how it is shown ("plain": recorded and listed, without a picture of its own).
    formula, meaning: how a number is made, and how to read it.  colour, dash: of a line, names of the palette.
    optional: a run with the default settings need not say it; a page has no place for it until one does.
    more: what only pages need: main (the picture of its page), wide, height (pixels), fold (see `fold`), select (True: a pressed row
    leads to the tabs below).
    """

    kind: Kind
    name: str
    title: str
    note: str = ""
    unit: str = ""
    formula: str = ""
    meaning: str = ""
    look: Look = "plain"
    colour: str = ""
    dash: str = "solid"
    optional: bool = False
    more: dict[str, Any] = field(default_factory=dict)

    def says(self, kind: str, name: str) -> bool:
        """Whether an event of this kind and name is this output."""
        return kind == self.kind and re.fullmatch(".+".join(map(re.escape, self.name.split("{}"))), name) is not None


@dataclass(frozen=True)
class Group:
    """Several outputs in one picture: tiles of single numbers, a chart of lines with its axes, or what one slider moves among."""

    look: Literal["numbers", "chart", "levels"]
    title: str
    outputs: tuple[Output, ...]
    x: str = ""
    y: str = ""
    note: str = ""
    more: dict[str, Any] = field(default_factory=dict)


Outputs = Sequence[Output | Group]


def each(outputs: Outputs) -> Iterator[Output]:
    """Every single output, those inside groups too, in order."""
    for one in outputs:
        yield from one.outputs if isinstance(one, Group) else (one,)


def find(outputs: Outputs, kind: str, name: str) -> Output | None:
    """The declared output that an event of this kind and name is; exact names go before patterns."""
    fitting = [one for one in each(outputs) if one.says(kind, name)]
    return min(fitting, key=lambda one: "{}" in one.name, default=None)


def plain(outputs: Outputs) -> list[dict[str, Any]]:
    """The declaration as plain data, for lists and programs: what is empty is left out."""
    return [{key: value for key, value in asdict(one).items() if value not in ("", {}, False) and key != "more"} for one in each(outputs)]


def number(metric: str, title: str, *, unit: str = "", formula: str = "", meaning: str = "", optional: bool = False) -> Output:
    """A metric as a tile: its last value."""
    return Output("metric", metric, title, unit=unit, formula=formula, meaning=meaning, look="number", optional=optional)


def numbers(title: str, *items: Output, **more: Any) -> Group:
    """Tiles side by side."""
    return Group("numbers", title, items, more=more)


def series(metric: str, title: str = "", *, unit: str = "", colour: str = "", dash: str = "solid", optional: bool = False) -> Output:
    """A metric as a line of a chart: its value at every step."""
    return Output("metric", metric, title or metric, unit=unit, look="line", colour=colour, dash=dash, optional=optional)


def chart(title: str, *lines: Output, x: str = "step", y: str = "", note: str = "", **more: Any) -> Group:
    """Lines that grow while it runs, over one x axis."""
    return Group("chart", title, lines, x, y, note, more)


def levels(title: str, *items: Output, setting: str, words: Mapping[str, str], note: str = "", **more: Any) -> Group:
    """Figures and pictures that a run says once for each of several values, and a slider that moves among those values at once.

    items: their names hold `{}` for the value.  words: value -> what the slider says there, in order.  setting: the field of the config
    whose value comes first."""
    return Group("levels", title, items, note=note, more=more | {"setting": setting, "positions": [list(one) for one in words.items()]})


def metric(name: str, title: str, *, unit: str = "", formula: str = "", meaning: str = "", optional: bool = False) -> Output:
    """A metric that is recorded and has no picture of its own."""
    return Output("metric", name, title, unit=unit, formula=formula, meaning=meaning, optional=optional)


def figure(name: str, title: str, *, note: str = "", look: Look = "figure", optional: bool = False, **more: Any) -> Output:
    """A Plotly figure; `look` "matrix" is a board of cells to press, "plain": a tab beside the run shows it."""
    return Output("figure", name, title, note, look=look, optional=optional, more=more)


def fold(title: str, *outputs: Output | Group) -> list[Output | Group]:
    """What is folded away under a title until somebody opens it."""
    return [replace(one, more=one.more | {"fold": title}) for one in outputs]


def table(name: str, title: str, *, note: str = "", look: Look = "table", optional: bool = False, **more: Any) -> Output:
    """Rows under columns; `look` "tokens" is a strip of words, "matrix" a coloured board."""
    return Output("table", name, title, note, look=look, optional=optional, more=more)


def picture(name: str, title: str, *, note: str = "", look: Look = "picture", optional: bool = False, **more: Any) -> Output:
    """A PNG; `look` "reveal" lays it over the one called `before`, "film" shows all whose names begin with `films`, side by side."""
    return Output("picture", name, title, note, look=look, optional=optional, more=more)


def text(name: str, title: str, *, note: str = "", optional: bool = False, **more: Any) -> Output:
    """Words of a model or of the experiment."""
    return Output("text", name, title, note, look="text", optional=optional, more=more)


def kept(name: str, title: str, *, note: str = "", optional: bool = False) -> Output:
    """A model that the run keeps, for other pages and for download."""
    return Output("keep", name, title, note, look="kept", optional=optional)
