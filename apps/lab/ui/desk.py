"""A desk: a probe on a page. Its fields become controls, what it gives becomes panels; every change asks again.

    ask = Desk(view, "paper/ask", fields=("question", "style"), press="Ask",         # text waits for Enter or the button
               shows=(figure("lens", "What each layer would say"), table("answers", "Side by side", look="answers")))
    look = Desk(view, "paper/look", fields=("layer", "gain"),                         # sliders ask at once
                side=("drawing", "own"), instead=("drawing", "own"),                 # a square, or an upload: the last one counts
                widgets={"drawing": lambda: DrawPad("Draw here")},
                hears=(ask, view),                                                   # what is pressed there sets fields of the same name
                hidden=("token",), hovers=("token",),                                # a field without a control: the token pointed at
                shows=(numbers("In numbers", number("shift", "Moved by")), picture("seen", "What it sees"), figure("map", "Where")))

Kinds of control come from the config (ui/controls.py): Literal is radio or dropdown, bounded numbers are sliders, a DataRef an upload,
`json_schema_extra={"slider": [1, 12]}` the part of wide bounds that a slider shows. The probe returns an `Answer`
(core/engine/answers.py): figures ready to draw, `images` as data URIs; a point whose `customdata` is {"token": 3} lights everything that
carries the same, and sets that field when pressed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from apps.lab.ui.controls import Fields
from apps.lab.ui.drawer import Drawer
from apps.lab.ui.live_view import panels
from apps.lab.ui.scripts import SCRIPTS
from apps.lab.ui.widget import Widget
from core.engine.errors import LabError
from core.engine.outputs import Output, Outputs, each
from core.engine.registry import find

if TYPE_CHECKING:
    from apps.lab.ui.view import Site, View

# An event of the interface is nobody's API, and quick ones need no queue.
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
LIVE = "live"  # under this name pressed points of the page's run are heard
Given = Callable[[dict[str, Any] | None], dict[str, Any] | None]
Among = Callable[[dict[str, Any] | None], dict[str, str]]


class Asker(Widget):
    """Asks, by its event `input`, when its place is in sight and something has changed; see static/asker.js."""

    module = "asker.js"
    place = "gb-seen"


class Answered(Widget):
    """Shows an answer in panels. Event: `settled`, when the reader rests on an answer that can be asked more closely."""

    module = "answer.js"
    place = "gb-desk-place"
    tells = ("settled",)


class Desk:
    """A probe with its controls (`components`, by field) and its answer.

    fields, more: fields with a control in sight, and in a drawer.  hidden: fields without one, set by what is pressed, or by the answer.
    hovers: those of `hidden` for which pointing is enough.  nothing: what they are when `whole`, a button, is pressed.
    press: the name of a button, for text.  hears: desks, or the view of the page, whose pressed points set fields here.
    given: from the value of the live view to fields that the run on show gives (None: nothing to ask yet).
    among: likewise to {who: model}: each is asked, and the answers stand side by side.  closely: fields for asking once more when the
    reader rests.  widgets: by field, what makes a component of the page's own for it.  shared: components of other desks.
    instead: fields of which the one touched last counts.  momentary: fields that count only when they are moved.
    side, left: fields at the right (in `self.side`, where a page may build more) and at the left of the answer.  invite: what stands
    before the first answer.  unasked: ask before anybody pressed.  opens: hidden fields of that first question.  extra: a script of the
    page's with panels of its own.
    """

    def __init__(self, view: View | Site, name: str, *, fields: Sequence[str] = (), more: Sequence[str] = (), shows: Outputs = (),
                 press: str = "", hidden: Sequence[str] = (), hovers: Sequence[str] = (), nothing: Mapping[str, Any] | None = None,
                 whole: str = "", hears: Sequence[Any] = (), given: Given | None = None, among: Among | None = None,
                 closely: Mapping[str, Any] | None = None, models: Mapping[str, Sequence[str]] | None = None,
                 widgets: Mapping[str, Callable[[], Any]] | None = None, shared: Mapping[str, Any] | None = None,
                 instead: Sequence[str] = (), momentary: Sequence[str] = (), side: Sequence[str] = (), left: Sequence[str] = (),
                 prefix: str = "", invite: str = "", unasked: bool = True, opens: Mapping[str, Any] | None = None, extra: str = "") -> None:
        self.probe, self._shows, self._given, self._among = find(name), tuple(shows), given, among
        self._live = getattr(view, "live", None)
        self._engine = view.site.engine if self._live else view.engine
        self._closely, self._hidden = dict(closely or {}), tuple(hidden)
        self.prefix = prefix or name.replace("/", "-")
        self.fields = Fields(self.probe, models=models, prefix=self.prefix, engine=self._engine)
        self._widgets: dict[str, Any] = dict(shared or {})
        self._instead, self._momentary = tuple(instead), tuple(momentary)
        self.press = None
        with gr.Row(elem_classes="gb-desk-fields", visible=bool(fields or press)) as self.row:
            self._add(fields, widgets)
            if press:
                self.press = gr.Button(press, variant="primary", scale=0, min_width=120, elem_id=f"{self.prefix}-press",
                                       elem_classes="gb-desk-press")
        with gr.Row(elem_classes="gb-columns"):
            with gr.Column(scale=1, min_width=270, visible=bool(left)):
                self._add(left, widgets)
            with gr.Column(scale=3, min_width=320):
                self._answer(hears, hovers, nothing, whole, invite, unasked, opens, extra)
            with gr.Column(scale=1, min_width=270, visible=bool(side)) as self.side:
                self._add(side, widgets)
        with Drawer("More", visible=bool(more)) as self.drawer:
            self._add(more, widgets)
        self._connect()

    @property
    def components(self) -> dict[str, Any]:
        return self.fields.components

    def ask_after(self, event: Any) -> None:
        """Asks once `event`, which set a control, is done."""
        event.then(None, js=self._due("press"), **QUIET)

    def again_after(self, *events: Callable[..., Any], by: str = "input", field: str = "") -> None:
        """Each of `events` makes it ask again. The browser does that by itself, no request is sent before the question."""
        for event in events:
            event(None, js=self._due(by, field), **QUIET)

    # --- building

    def _add(self, names: Sequence[str], widgets: Mapping[str, Callable[[], Any]] | None) -> None:
        for name in names:
            if widgets and name in widgets:
                self._widgets[name] = widgets[name]()
            else:
                self.fields.add(name)

    def button(self, words: str, **sets: Any) -> gr.Button:
        """A button, where the page stands, that asks with these fields set."""
        made = gr.Button(words, size="sm")
        made.click(None, js=self._due("press", sets=sets), **QUIET)
        return made

    def _answer(self, hears: Sequence[Any], hovers: Sequence[str], nothing: Mapping[str, Any] | None, whole: str, invite: str,
                unasked: bool, opens: Mapping[str, Any] | None, extra: str) -> None:
        answer = f"{self.prefix}-answer"
        heard = [answer, *(one.answer.elem_id if isinstance(one, Desk) else LIVE for one in hears)]
        self.asker = Asker(answer=answer, hears=heard, hovers=list(hovers), first=unasked, opens=dict(opens or {}))
        self.answer = Answered(elem_id=answer, id=answer, aria=self.probe.title, panels=panels(self._shows), whole=whole,
                               nothing=dict(nothing or {}), invite=invite, extra=extra and SCRIPTS + extra)

    def _connect(self) -> None:
        for name, component in self.components.items():
            self.again_after(*_events(component, name in self.probe.data_fields()), field=name)
        for name, component in self._widgets.items():
            self.again_after(*_events(component, False), field=name)
        if self.press:
            self.again_after(self.press.click, by="press")
        if self._live and (self._given or self._among):
            self.again_after(self._live.change, self._live.finish, by="run")
        controls = [*self.components.values(), *self._widgets.values()]
        self._inputs = [self.asker, *controls, *([self._live] if self._live else [])]
        asked = self.asker.input(self._ask, inputs=self._inputs, outputs=[self.answer, *controls], trigger_mode="multiple", **QUIET)
        asked.failure(_broken, inputs=self.asker, outputs=self.answer, **QUIET)
        if self._closely:
            self.answer.settled(self._ask_closely, inputs=self._inputs, outputs=self.answer, trigger_mode="always_last", **QUIET)

    def _due(self, by: str, field: str = "", sets: Mapping[str, Any] | None = None) -> str:
        """For the browser: tells the asker. Not through its value, which is the question that may just be on its way."""
        detail = json.dumps({"id": self.answer.elem_id, "by": by, "field": field, "sets": sets or {}})
        # A desk in a tab that has not been open yet is made when it opens: it finds there what it was pressed for.
        kept = f"(window.gbPressed ??= {{}})[{json.dumps(self.answer.elem_id)}] = {detail}; " if by == "press" else ""
        return f"() => {{ {kept}document.dispatchEvent(new CustomEvent('gb-due', {{ detail: {detail} }})); }}"

    # --- asking

    def _ask(self, asked: dict[str, Any] | None, *values: Any) -> list[Any]:
        untouched = [gr.skip()] * (len(self.components) + len(self._widgets))
        if not isinstance(asked, dict):
            return [gr.skip(), *untouched]
        live, sets = values[-1] if self._live else None, {}
        try:
            config, sets = self._config(asked, values, live)
            if config is None:
                return [{"asked": asked.get("n")}, *untouched]
            answers = self._answers(config, live, asked.get("by"))
        except LabError as error:
            return [refused(asked, error), *self._put(sets)]  # the controls say what was pressed, and can be set to something better
        for answer in answers.values():
            sets |= answer.get("sets") or {}
        return [self._shown(asked, answers, config, live), *self._put(sets)]

    def _ask_closely(self, asked: dict[str, Any], *values: Any) -> Any:
        live = values[-1] if self._live else None
        try:
            config, _ = self._config(asked, values, live)
            answers = self._answers(config | self._closely, live, "press") if config else {}
        except LabError as error:
            return refused(asked, error)
        return self._shown(asked, answers, config, live) | {"later": False} if answers else gr.skip()

    def _config(self, asked: dict[str, Any], values: Sequence[Any], live: Any) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        """The question, and what of it the controls do not say yet. None: there is nothing to ask."""
        said = self.fields.given(values[:len(self.components)])
        said |= {name: value for name, value in zip(self._widgets, values[len(self.components):], strict=False) if value is not None}
        keep, sets = _dict(asked.get("keep")), _dict(asked.get("sets"))
        for name in self._momentary:
            if asked.get("field") != name:
                said.pop(name, None)
        if self._instead:
            said = self._one_of(said, asked.get("field"), keep)
        known = {name: value for name, value in keep.items() if name in self._hidden and value is not None}
        sets = {name: value for name, value in sets.items() if name in self.probe.config.model_fields}
        if self._given:
            fixed = self._given(live)
            if fixed is None:
                return None, {}
            run = _dict(live).get("run")
            if keep.get("run") != run:  # another run came on show: the controls follow it
                sets = {name: value for name, value in fixed.items() if name in said} | sets
                known = {}
            said = fixed | said
        return said | known | sets, sets

    def _one_of(self, said: dict[str, Any], field: Any, keep: Mapping[str, Any]) -> dict[str, Any]:
        """Without the fields of `instead` but the one that was touched last, if it holds anything."""
        there = [name for name in self._instead if said.get(name) not in (None, "", [], ())]
        touched = field if field in there else keep.get("instead")
        chosen = touched if touched in there else next(iter(there), None)
        return {name: value for name, value in said.items() if name not in self._instead or name == chosen}

    def _answers(self, config: dict[str, Any], live: Any, by: str | None) -> dict[str, Any]:
        """Who was asked -> what the probe gave. Empty when nobody should be asked without having been pressed for."""
        if self._among is None:
            return {"": self._engine.probe(self.probe.name, config)}
        refs = self._among(live)
        if not refs:
            raise LabError("The models of this run are no longer here.", "Press Run to make them again.")
        if by in ("sight", "run") and any(ref.startswith(("hf/", "got/")) for ref in refs.values()):
            return {}  # a large model is not loaded for somebody who scrolls by
        return {who: self._engine.probe(self.probe.name, config | {"model": ref}) for who, ref in refs.items()}

    def _shown(self, asked: dict[str, Any], answers: Mapping[str, Any], config: Mapping[str, Any], live: Any) -> dict[str, Any]:
        if not answers:
            return {"asked": asked.get("n")}
        first = next(iter(answers.values()))
        kept = {name: config.get(name) for name in self._hidden} | {"instead": next((n for n in self._instead if n in config), None)}
        for answer in answers.values():
            kept |= {name: value for name, value in (answer.get("sets") or {}).items() if name in self._hidden}
        lit = {name: value for name, value in config.items() if name in self._hidden and isinstance(value, (int, str))}
        parts = [{"who": who, "events": events(answer, self._shows)} for who, answer in answers.items()]
        if len(parts) > 1:
            _side_by_side(parts, self._shows)
        return {"asked": asked.get("n"), "says": first.get("says", ""), "aside": first.get("aside", ""), "parts": parts, "lit": lit or None,
                "keep": kept | {"run": _dict(live).get("run", "")}, "later": bool(self._closely)}

    def _put(self, sets: Mapping[str, Any]) -> list[Any]:
        """Updates of all controls, in order."""
        said = [self.fields.value(name, sets[name]) if name in sets else gr.skip() for name in self.components]
        return [*said, *(sets.get(name, gr.skip()) for name in self._widgets)]


def refused(asked: Mapping[str, Any], error: LabError) -> dict[str, Any]:
    """An error as the value of an answer; what is on show stays."""
    return {"asked": asked.get("n"), "error": error.message, "hint": error.hint}


def _broken(asked: dict[str, Any]) -> dict[str, Any]:
    return refused(asked, LabError("Something went wrong while this was computed.", "Change a setting, or ask again."))


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _events(component: Any, brings_a_file: bool) -> list[Callable[..., Any]]:
    """What makes a control ask: text waits for Enter, a file for having been read."""
    if isinstance(component, gr.Textbox):
        return [component.submit]
    if isinstance(component, gr.Slider):
        return [component.input, component.release]  # dragged, typed
    return [component.change] if brings_a_file else [component.input]


# --- from an answer to panels

_ROOMS = {"figure": "figures", "table": "tables", "text": "texts", "picture": "images", "metric": "numbers"}


def events(answer: Mapping[str, Any], shows: Outputs) -> list[dict[str, Any]]:
    """What a probe gave, as the events that panels show."""
    return [made for one in each(shows) if (made := _event(one, answer)) is not None]


def _event(one: Output, answer: Mapping[str, Any]) -> dict[str, Any] | None:
    found = _dict(answer.get(_ROOMS[one.kind])).get(one.name, answer.get(one.name))
    if found is None:
        return None
    if one.kind == "metric":
        measure = found if isinstance(found, dict) else {"value": found}
        if measure["value"] is None and not measure.get("remark"):
            return None
        return {"kind": "metric", "name": one.name, "unit": one.unit} | {key: value for key, value in measure.items() if value != ""}
    about = {"figure": {"figure": found}, "text": {"text": found}, "picture": {"src": found, "alt": one.note or one.title}}
    return {"kind": one.kind, "name": one.name} | (found if one.kind == "table" else about[one.kind])


def _side_by_side(parts: list[dict[str, Any]], shows: Outputs) -> None:
    """The one card of an answer names who gave it, and stands beside those of the others in every part."""
    cards = {one.name for one in each(shows) if one.look == "answers"}
    for name in cards:
        rows = [[part["who"], *row[1:]] for part in parts for event in part["events"] if event["name"] == name for row in event["rows"]]
        for part in parts if len(rows) == len(parts) else ():
            part["events"] = [event | {"rows": rows} if event["name"] == name else event for event in part["events"]]
