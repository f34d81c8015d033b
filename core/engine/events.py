"""What an experiment may say. Few kinds, all plain data, all survive JSON.

    yield Progress(3, 60, "unlearning")
    yield Metric("forget loss", 1.25, step=3)
    yield Figure("by_layer", figures.leakage_by_layer(scores))
    yield Verdict("The answers are gone from the output.", evidence={"direct": 0.1, "n": 30})
"""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from PIL.Image import Image
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Event:
    kind: ClassVar[str] = ""


@dataclass(frozen=True)
class Progress(Event):
    """`step` of `total` done; `note` says in a few words what is going on."""

    kind = "progress"
    step: int
    total: int
    note: str = ""


@dataclass(frozen=True)
class Metric(Event):
    """One number of a named series. `step` None marks a single final number."""

    kind = "metric"
    name: str
    value: float
    step: int | None = None
    unit: str = ""


@dataclass(frozen=True)
class Figure(Event):
    """A Plotly figure as JSON (`{"data": [...], "layout": {...}}`); the last one of a name is the one shown."""

    kind = "figure"
    name: str
    figure: dict[str, Any]


@dataclass(frozen=True)
class Table(Event):
    """Rows under named columns; the last one of a name is the one shown."""

    kind = "table"
    name: str
    columns: list[str]
    rows: list[list[Any]]


@dataclass(frozen=True)
class Picture(Event):
    """A picture, stored as PNG beside the log; `alt` is what somebody who cannot see it is told."""

    kind = "picture"
    name: str
    image: Image
    alt: str = ""


@dataclass(frozen=True)
class Text(Event):
    """Words of a model or of the experiment. Always data: whoever shows it escapes it."""

    kind = "text"
    name: str
    text: str


@dataclass(frozen=True)
class Keep(Event):
    """A model to keep as safetensors; others load it as `run/RUN_ID/NAME`."""

    kind = "keep"
    name: str
    model: PreTrainedModel
    tokenizer: Any = None


@dataclass(frozen=True)
class File(Event):
    """Something to take away, stored beside the log; `file`: its name, of small letters, digits and dashes, with a known ending."""

    kind = "file"
    file: str
    data: bytes


@dataclass(frozen=True)
class Verdict(Event):
    """The answer in three layers: a headline of at most 25 words, how sure it is in a few sentences, the numbers it rests on."""

    kind = "verdict"
    text: str
    evidence: dict[str, Any] = field(default_factory=dict)
    headline: str = ""


LONGEST_HEADLINE = 25


def layers(verdict: Any) -> dict[str, Any]:
    """`{headline, text, evidence}` of the line of a verdict; one without a headline is headed by its first sentence, or what fits of it."""
    text = verdict["text"]
    return {"headline": verdict.get("headline") or _first_sentence(text), "text": text, "evidence": verdict["evidence"]}


def _first_sentence(text: str) -> str:
    words = re.split(r"""(?<=[.!?])["')]? (?=[A-Z0-9])""", text, maxsplit=1)[0].split()
    return " ".join(words) if len(words) <= LONGEST_HEADLINE else " ".join(words[:LONGEST_HEADLINE - 1]) + " …"


# Plotly reads a little HTML in its labels. These tags cannot carry an address or an attribute.
_HARMLESS_TAG = r"/?(?:br|b|i|sub|sup|extra)\s*/?>"


def safe_labels(figure: Any) -> Any:
    """The same figure with every other `<` in its strings written as an entity, so that no label can hold a link."""
    if isinstance(figure, dict):
        return {key: safe_labels(item) for key, item in figure.items()}
    if isinstance(figure, list):
        return [safe_labels(item) for item in figure]
    return re.sub(f"<(?!{_HARMLESS_TAG})", "&lt;", figure) if isinstance(figure, str) else figure


def to_plain(value: Any) -> Any:
    """`value` as JSON can carry it: numbers of numpy and torch unwrapped, NaN and infinities as None."""
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if hasattr(value, "tolist"):
        return to_plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise TypeError(f"{type(value).__name__} is not plain data")
