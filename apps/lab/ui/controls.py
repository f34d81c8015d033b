"""Controls made from a config class, the only place where a control is described.

    controls = Controls(find("unlearning/audit"), models={"model": ["embedded/worlds"]})
    run.click(start, inputs=controls.inputs)         # in `start`: controls.split(values) -> dict for the engine, seed

A field's `title` is the label, its description the help text, its bounds the bounds. `json_schema_extra` may hold
"more": True (goes under "More"), "labels": {value: words}, "unavailable": {words: why it cannot be chosen here},
"slider": [from, to] or [from, to, step], where the bounds are wider than what is usual; a number beyond it can be typed; and "grid":
squares of one side of a picture, for a text that names some of them ("under": the picture, a file of ui/static).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr
from markupsafe import escape

from apps.lab.ui.drawer import Drawer
from apps.lab.ui.own_file import QUIET, OwnFile
from apps.lab.ui.patch_pad import PatchPad
from apps.lab.ui.shop import OwnModels
from apps.lab.visitors import Here
from core.engine.experiment import Config, Experiment
from core.engine.fields import Setting, fields

RADIO_AT_MOST = 4
_TURN = "(way) => { document.querySelector('#way').closest('.gb-form').classList.toggle('gb-form--own', way === 'own'); }"
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
    engine: keeps the files that visitors bring; without one, fields for files are left out.  widgets: by field, what makes a component
    of the page's own for it.
    """

    def __init__(self, experiment: Experiment, *, models: Mapping[str, Sequence[str]] | None = None, prefix: str = "field",
                 engine: Here | None = None, widgets: Mapping[str, Callable[[], Any]] | None = None) -> None:
        self._widgets = widgets or {}
        self.experiment, self._models, self._prefix, self._engine = experiment, models or {}, prefix, engine
        self._settings = {field.name: field for field in fields(experiment)}
        self._files: dict[str, OwnFile] = {}
        self.own: OwnModels | None = None
        self.components: dict[str, Any] = {}

    def add(self, *names: str) -> None:
        """Makes the components of these fields where the page stands."""
        for name in names:
            if self._engine or name not in self.experiment.data_fields():
                self.components[name] = self._component(self._settings[name])

    @property
    def files(self) -> list[OwnFile]:
        """The controls that take a visitor's own file."""
        return list(self._files.values())

    def given(self, values: Sequence[Any]) -> dict[str, Any]:
        """What the components say, by field."""
        return {name: self._settings[name].typed(value) for name, value in zip(self.components, values, strict=False)}

    def value(self, name: str, value: Any) -> Any:
        """What the component of a field should say for a value of the config."""
        return self._files[name].shown(value) if value and name in self._files else _shown(value)

    def _component(self, field: Setting) -> Any:
        if field.name in self._widgets:
            return self._widgets[field.name]()
        if field.kind == "file":
            self._files[field.name] = OwnFile(self._engine, self.experiment, field.name, prefix=self._prefix)
            return self._files[field.name].choice
        common = {"label": field.title, "info": field.description, "value": _shown(field.default),
                  "elem_id": f"{self._prefix}-{field.name}"}
        if field.kind == "model":
            offered = list(self._models.get(field.name, [common["value"]]))
            made = gr.Dropdown(choices=offered, allow_custom_value=True, filterable=True, **common)
            if self._engine and field.name == self.experiment.model_fields()[0]:
                self.own = OwnModels(self.experiment.families)
                self.own.input(_chosen(offered), inputs=self.own, outputs=made, **QUIET)
            return made
        if field.choices:
            common["value"] = "" if common["value"] is None else common["value"]
            kind = gr.CheckboxGroup if field.kind == "choices" else gr.Radio if len(field.choices) <= RADIO_AT_MOST else gr.Dropdown
            made = kind(choices=[(words, value) for value, words in field.choices], **common)
            _say_why_not(field.unavailable)
            return made
        if field.kind == "switch":
            return gr.Checkbox(**common)
        if field.kind in ("whole", "number"):
            return _number(field, common)
        if "grid" in field.extra:
            return PatchPad(common.pop("label"), side=field.extra["grid"], under=field.extra.get("under", ""), **common)
        return gr.Textbox(max_length=field.longest, lines=1, **common)


def _chosen(offered: Sequence[str]) -> Callable[[Any], Any]:
    """Takes the model that was pressed under a field into the field."""
    def choose(said: Any) -> Any:
        ref = said.get("ref") if isinstance(said, dict) else None
        return gr.Dropdown(choices=[*offered, ref], value=ref) if isinstance(ref, str) and ref else gr.skip()

    return choose


def _shown(value: Any) -> Any:
    return list(value) if isinstance(value, (tuple, set, frozenset)) else value


def _number(field: Setting, common: dict[str, Any]) -> Any:
    low, high, whole = field.low, field.high, field.kind == "whole"
    if field.slider:
        return Dial(field.slider[0], field.slider[1], step=field.slider[2] if field.slider[2:] else 1 if whole else None, **common)
    if low is not None and high is not None and not field.optional and (whole or high <= 20 * max(low, 1)):
        return Dial(low, high, step=1 if whole else round((high - low) / 100, 6), **common)
    # A value outside the bounds reaches the config, whose sentence says what is allowed.
    if field.optional:
        return OptionalNumber(precision=0 if whole else None, placeholder="chosen for you", **common)
    return gr.Number(precision=0 if whole else None, **common)


class Controls(Fields):
    """All fields of an experiment, in order: the first three in sight, the others and those that are "more" in a drawer.

    `inputs` are the components, the last one is the seed.  own: fields for who brings a model and data, the first a file: a choice on
    top, "Demo" or "My model and my questions", shows these in place of the second and third.
    """

    def __init__(self, experiment: Experiment, *, models: Mapping[str, Sequence[str]] | None = None,
                 leave_out: Sequence[str] = (), prefix: str = "field", engine: Here | None = None, own: Sequence[str] = (),
                 widgets: Mapping[str, Callable[[], Any]] | None = None) -> None:
        super().__init__(experiment, models=models, prefix=prefix, engine=engine, widgets=widgets)
        shown = [field for field in self._settings.values() if field.name not in (*leave_out, *own)]
        plain = [field.name for field in shown if not field.more]
        if own:
            self._two_ways(plain[:IN_SIGHT], own)
        else:
            self.add(*plain[:IN_SIGHT])
        with Drawer("More settings" if len(plain) > IN_SIGHT else "More"):
            self.add(*plain[IN_SIGHT:], *(field.name for field in shown if field.more))
            self.seed = gr.Number(0, label="Seed", precision=0, elem_id=f"{prefix}-seed",
                                  info="The same seed gives the same numbers again.")
        self.inputs = [*self.components.values(), self.seed]
        twins = [self.components[field.name] for field in shown if field.kind == "model" and field.optional and field.default]
        if self.own and twins:  # what comes with the lab is no twin of somebody's own model
            self.own.input(lambda: [gr.Dropdown(value=None)] * len(twins), outputs=twins, **QUIET)

    def _two_ways(self, demo: Sequence[str], own: Sequence[str]) -> None:
        way = gr.Radio([("Demo", "demo"), ("My model and my questions", "own")], value="demo", show_label=False, container=False,
                       label="Whose model and questions", elem_id="way", elem_classes="gb-way")
        self.add(demo[0])
        with gr.Column(elem_classes="gb-way-demo"):
            self.add(*demo[1:])
        with gr.Column(elem_classes="gb-way-own"):
            self.add(*own)
        defaults = self.experiment.config()
        unlike = {name: None for name in own if self._settings[name].kind == "model"}  # the built-in twin knows nothing of their questions

        def turn(chosen: str) -> list[Any]:
            said = {name: getattr(defaults, name) for name in own} | (unlike if chosen == "own" else {})
            return [self.value(name, said[name]) if chosen == "demo" or name in unlike else gr.skip() for name in own]

        way.input(turn, inputs=way, outputs=[self.components[name] for name in own], **QUIET)
        way.change(None, inputs=way, js=_TURN, **QUIET)
        for file in self.files:  # a link, a run from before or an upload brings questions: they are to be seen
            file.choice.change(lambda chosen: "own" if chosen else gr.skip(), inputs=file.choice, outputs=way, **QUIET)

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
