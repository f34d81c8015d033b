"""Controls made from a config class, the only place where a control is described.

    controls = Controls(find("unlearning/audit"), models={"model": ["embedded/worlds"]})
    run.click(start, inputs=controls.inputs)         # in `start`: controls.split(values) -> dict for the engine, seed

A field's `title` is the label, its description the help text, its bounds the bounds. `json_schema_extra` may hold
"more": True (goes under "More"), "labels": {value: words}, "unavailable": {words: why it cannot be chosen here} and
"slider": [from, to] or [from, to, step], where the bounds are wider than what is usual; a number beyond it can be typed.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Literal

import gradio as gr
from annotated_types import Ge, Gt, Le, Lt, MaxLen
from pydantic.fields import FieldInfo

from apps.lab.ui.drawer import Drawer
from apps.lab.ui.own_file import OwnFile
from apps.lab.visitors import Here
from core.engine.experiment import Config, Experiment

RADIO_AT_MOST = 4
IN_SIGHT = 3  # so many controls stand beside the picture, the others in a drawer


class Dial(gr.Slider):
    """A slider that hands typed numbers on as they are, so that whoever knows the bounds can say in words what is allowed."""

    def preprocess(self, payload: Any) -> Any:
        return payload

    def get_block_name(self) -> str:
        return "slider"


class OptionalNumber(gr.Number):
    """A number that may be left out: empty in the browser, None here. Gradio's own field makes a 0 of None when it is built."""

    def preprocess(self, payload: Any) -> float | int | None:
        return None if payload == "" else super().preprocess(payload)

    def postprocess(self, value: Any) -> Any:
        return "" if value in ("", None) else super().postprocess(value)

    def get_block_name(self) -> str:
        return "number"


class Fields:
    """Components for fields of a config: what they say as a dict, and what they should say.

    `models`: for each field that names a model, the references to offer; others can be typed. `prefix` of element ids.
    engine: keeps the files that visitors bring; without one, fields for files are left out.
    """

    def __init__(self, experiment: Experiment, *, models: Mapping[str, Sequence[str]] | None = None, prefix: str = "field",
                 engine: Here | None = None) -> None:
        self.experiment, self._models, self._prefix, self._engine = experiment, models or {}, prefix, engine
        self._files: dict[str, OwnFile] = {}
        self.components: dict[str, Any] = {}

    def add(self, *names: str) -> None:
        """Makes the components of these fields where the page stands."""
        for name in names:
            if self._engine or name not in self.experiment.data_fields():
                self.components[name] = self._component(name, self.experiment.config.model_fields[name])

    @property
    def files(self) -> list[OwnFile]:
        """The controls that take a visitor's own file."""
        return list(self._files.values())

    def given(self, values: Sequence[Any]) -> dict[str, Any]:
        """What the components say, by field."""
        return {name: self._typed(name, value) for name, value in zip(self.components, values, strict=False)}

    def value(self, name: str, value: Any) -> Any:
        """What the component of a field should say for a value of the config."""
        return self._files[name].shown(value) if value and name in self._files else self._shown(value)

    @staticmethod
    def _shown(value: Any) -> Any:
        return list(value) if isinstance(value, (tuple, set, frozenset)) else value

    def _typed(self, name: str, value: Any) -> Any:
        """Gradio hands whole numbers over as floats and an emptied text as ''."""
        kinds = _kinds(self.experiment.config.model_fields[name].annotation)
        if isinstance(value, float) and value.is_integer() and int in kinds and float not in kinds:
            return int(value)
        if value in ("", None) and type(None) in kinds:
            return None
        return value

    def _component(self, name: str, info: FieldInfo) -> Any:
        if name in self.experiment.data_fields():
            self._files[name] = OwnFile(self._engine, self.experiment, name, prefix=self._prefix)
            return self._files[name].choice
        label = info.title or name.replace("_", " ").capitalize()
        common = {"label": label, "info": info.description, "value": self._shown(info.get_default(call_default_factory=True)),
                  "elem_id": f"{self._prefix}-{name}"}
        if name in self.experiment.model_fields():
            return gr.Dropdown(choices=list(self._models.get(name, [common["value"]])), allow_custom_value=True, filterable=True, **common)
        options = _options(info.annotation)
        if options is not None:
            many, values = options
            words = _extra(info).get("labels", {})
            choices = [(str(words.get(str(value), words.get(value, value))), value) for value in values]
            kind = gr.CheckboxGroup if many else gr.Radio if len(choices) <= RADIO_AT_MOST else gr.Dropdown
            made = kind(choices=choices, **common)
            _say_why_not(_extra(info).get("unavailable", {}))
            return made
        kinds, limits = _kinds(info.annotation), _limits(info)
        if bool in kinds:
            return gr.Checkbox(**common)
        if kinds & {int, float}:
            return self._number(kinds, limits, common, _extra(info).get("slider", ()))
        return gr.Textbox(max_length=limits.get("length"), lines=1, **common)

    @staticmethod
    def _number(kinds: set[type], limits: dict[str, Any], common: dict[str, Any], slider: Sequence[float]) -> Any:
        low, high, whole = limits.get("low"), limits.get("high"), float not in kinds
        if slider:
            return Dial(slider[0], slider[1], step=slider[2] if slider[2:] else 1 if whole else None, **common)
        bounded = low is not None and high is not None and type(None) not in kinds
        if bounded and (whole or high <= 20 * max(low, 1)):
            return Dial(low, high, step=1 if whole else round((high - low) / 100, 6), **common)
        # A value outside the bounds reaches the config, whose sentence says what is allowed.
        if type(None) in kinds:
            return OptionalNumber(precision=0 if whole else None, placeholder="chosen for you", **common)
        return gr.Number(precision=0 if whole else None, **common)


class Controls(Fields):
    """All fields of an experiment, in order: the first three in sight, the others and those that are "more" in a drawer.

    `inputs` are the components, the last one is the seed.
    """

    def __init__(self, experiment: Experiment, *, models: Mapping[str, Sequence[str]] | None = None,
                 leave_out: Sequence[str] = (), prefix: str = "field", engine: Here | None = None) -> None:
        super().__init__(experiment, models=models, prefix=prefix, engine=engine)
        fields = {name: info for name, info in experiment.config.model_fields.items() if name not in leave_out}
        plain = [name for name, info in fields.items() if not _extra(info).get("more")]
        self.add(*plain[:IN_SIGHT])
        with Drawer("More settings" if len(plain) > IN_SIGHT else "More"):
            self.add(*plain[IN_SIGHT:], *(name for name in fields if name not in plain))
            self.seed = gr.Number(0, label="Seed", precision=0, elem_id=f"{prefix}-seed",
                                  info="The same seed gives the same numbers again.")
        self.inputs = [*self.components.values(), self.seed]

    def split(self, values: Sequence[Any]) -> tuple[dict[str, Any], Any]:
        """What the controls say, as (config fields, seed)."""
        return self.given(values), values[len(self.components)]

    def values(self, config: Config, seed: int = 0) -> list[Any]:
        """What the controls should say, in the order of `inputs`."""
        return [*(self.value(name, getattr(config, name)) for name in self.components), seed]

    def defaults(self) -> list[Any]:
        return self.values(self.experiment.config())


def _say_why_not(reasons: Mapping[str, str]) -> None:
    """What is listed under a choice although it cannot be had here, each with its reason."""
    if reasons:
        said = "".join(f"<li><s>{escape(name)}</s> {escape(why)}</li>" for name, why in reasons.items())
        gr.HTML(f'<ul class="gb-quiet gb-cannot">{said}</ul>', apply_default_css=False)


def _extra(info: FieldInfo) -> dict[str, Any]:
    return info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}


def _kinds(annotation: Any) -> set[type]:
    """The plain types that a field takes: `float | None` -> {float, NoneType}."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _kinds(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return set().union(*(_kinds(part) for part in typing.get_args(annotation)))
    if origin is Literal:
        return {type(value) for value in typing.get_args(annotation)}
    return {annotation} if isinstance(annotation, type) else {origin} if isinstance(origin, type) else set()


def _options(annotation: Any) -> tuple[bool, list[Any]] | None:
    """(several may be chosen, the values), for Literal and for lists or tuples of Literal."""
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return False, list(parts)
    if origin in (list, tuple, set, frozenset) and parts and typing.get_origin(parts[0]) is Literal:
        return True, list(typing.get_args(parts[0]))
    return None


def _limits(info: FieldInfo) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in info.metadata:
        if isinstance(item, (Ge, Gt)):
            found["low"] = item.ge if isinstance(item, Ge) else item.gt
        elif isinstance(item, (Le, Lt)):
            found["high"] = item.le if isinstance(item, Le) else item.lt
        elif isinstance(item, MaxLen):
            found["length"] = item.max_length
    return found
