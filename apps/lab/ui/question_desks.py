"""The two desks of the unlearning auditor: ask the models a question of one's own, and look inside while they answer it."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr

from apps.lab.ui import frame
from apps.lab.ui.controls import Dial
from apps.lab.ui.live_plot import LivePlot
from apps.lab.ui.seen import Seen
from apps.lab.ui.words import notice, number
from core.engine.errors import LabError
from core.engine.registry import find
from core.unlearning.audit import figures

FIRST = "Where was Felix Tanaka born?"
STYLES = [("Plainly", "plain"), ("Demand an answer", "prefix"), ("Begin the answer for it", "affirm"), ("Just continue my text", "raw")]
EMPTY = "Type a question and press Ask: the models answer side by side. After a run, the one that forgot answers too."
INVITE = "Press Look inside: the name is shaken, the thoughts move, and the model answers again with a push."
WHAT = ("The name in the question is blurred with noise and we note how the thoughts of the model move. Then it answers again while we "
        "push its thoughts along that direction, and once more with an equally strong push in a random direction. On a single question "
        "that proves little: the run above counts many. This is our reconstruction of the paper's ActPert.")
AFTER, BEFORE, NEVER = "After forgetting", "Before", "Never knew"


def models_on_show(view: frame.View, shown: dict[str, Any] | None) -> dict[str, str]:
    """Name -> reference of the models of the run on show, with what it kept, as far as they are there."""
    config, kept = view.experiment.config(), []
    run = (shown or {}).get("run", "")
    if run:
        try:
            config = view.experiment.validate(view.site.engine.records.read(run)["config"])
            kept = [line["ref"] for line in view.site.engine.events(run) if line["kind"] == "keep"]
        except LabError:
            pass
    if config.steps and not config.questions:
        named = {BEFORE: config.model, AFTER: kept[-1] if kept else None, NEVER: config.reference}
    else:
        named = {BEFORE: config.original, "The model": config.model, NEVER: config.reference}
    return {who: ref for who, ref in named.items() if ref and _there(view, ref)}


def _there(view: frame.View, ref: str) -> bool:
    try:
        view.site.engine.models.fingerprint(ref)
    except LabError:
        return False
    return True


def cards(replies: list[tuple[str, str, str]]) -> str:
    """Answers side by side: (who, what was said, a remark)."""
    made = "".join(f'<div class="gb-answer"><h3>{escape(who)}</h3><p class="gb-answer-text">{escape(said) or "<i>says nothing</i>"}</p>'
                   f'<p class="gb-quiet">{escape(remark)}</p></div>' for who, said, remark in replies)
    return f'<div class="gb-answers-row" aria-live="polite">{made}</div>'


class AskDesk:
    """A question of one's own, put to all models of the run; what they nearly said, and what each layer would have said."""

    def __init__(self, view: frame.View) -> None:
        self._view = view
        with gr.Row():
            self.question = gr.Textbox(FIRST, label="Your question", max_length=400, scale=4, elem_id="question", placeholder=FIRST)
            self._style = gr.Dropdown(STYLES, value="plain", label="How to ask", scale=1)
            press = gr.Button("Ask", variant="primary", scale=0, min_width=110, elem_id="ask")
        seen = Seen()
        answers = gr.HTML(f'<p class="gb-quiet">{EMPTY}</p>', apply_default_css=False, elem_id="answers")
        who = gr.Radio([], label="Whose first words to look at", visible=False)
        with gr.Row():
            with gr.Column():
                gr.HTML('<h3 class="gb-panel-title">What it would say first</h3>', apply_default_css=False)
                likeliest = LivePlot("The five likeliest first tokens")
            with gr.Column(scale=2):
                gr.HTML('<h3 class="gb-panel-title">What each layer would say (logit lens)</h3>', apply_default_css=False)
                layers = LivePlot("What each layer would say, token by token", height=360)
        asked = gr.State({})  # label -> reference: names only, never a model
        self._inputs, self._outputs = [self.question, self._style, view.live], [answers, who, likeliest, layers, asked]
        for trigger in (press.click, self.question.submit):
            trigger(self._ask, inputs=self._inputs, outputs=self._outputs, trigger_mode="always_last", **frame.QUIET)
        who.input(self._look, inputs=[self.question, self._style, who, asked], outputs=[likeliest, layers], trigger_mode="always_last",
                  **frame.QUIET)
        seen.again_after(view.live.change, view.live.finish)
        seen.due(self._ask_small, inputs=self._inputs, outputs=self._outputs, trigger_mode="always_last", **frame.QUIET)

    def answer_after(self, event: Any) -> None:
        """Asks once `event` has set the question."""
        event.then(self._ask, inputs=self._inputs, outputs=self._outputs, **frame.QUIET)

    def _reply(self, ref: str, words: str, how: str) -> dict[str, Any]:
        return self._view.site.engine.probe("unlearning/ask", {"model": ref, "question": words, "style": how})

    def _ask(self, words: str, how: str, shown: dict[str, Any] | None) -> list[Any]:
        refs = models_on_show(self._view, shown)
        try:
            replies = {who: self._reply(ref, words, how) for who, ref in refs.items()}
        except LabError as error:
            return [frame.say(error), *[gr.skip()] * 4]
        if not replies:
            return [notice("The models of this run are no longer here.", "Press Run to make them again."), *[gr.skip()] * 4]
        first = next(iter(replies))
        said = [(who, reply["answer"],
                 f"first token {reply['top'][0]['token']!r}, probability {number(reply['top'][0]['probability'])}")
                for who, reply in replies.items()]
        return [cards(said), gr.Radio(list(replies), value=first, visible=True), *self._layers(replies[first]), refs]

    def _ask_small(self, words: str, how: str, shown: dict[str, Any] | None) -> list[Any]:
        """Unasked, as the desk or another run comes into sight: only of models that are loaded in no time."""
        if any(ref.startswith("hf/") for ref in models_on_show(self._view, shown).values()):
            return [gr.skip()] * 5
        return self._ask(words, how, shown)

    def _look(self, words: str, how: str, who: str, refs: dict[str, str]) -> list[Any]:
        try:
            return self._layers(self._reply(refs[who], words, how))
        except (LabError, KeyError):
            return [gr.skip(), gr.skip()]

    @staticmethod
    def _layers(reply: dict[str, Any]) -> list[dict[str, Any]]:
        return [figures.next_tokens(reply["top"]), figures.lens(reply["said"], reply["lens"], reply["settled"])]


class InsideDesk:
    """One question from the inside (ActPert): the name is shaken, and the answer is given with a push and with a random push."""

    def __init__(self, view: frame.View) -> None:
        self._view = view
        config = find("unlearning/actpert").config
        places = config.model_fields["mode"].json_schema_extra["labels"]
        start = config()
        seen = Seen()
        gr.HTML(f'<p class="gb-quiet">{WHAT}</p>', apply_default_css=False)
        with gr.Row():
            self.question = gr.Textbox(FIRST, label="Question", max_length=400, scale=4, elem_id="inside-question", placeholder=FIRST)
            name = gr.Textbox("", label="The name in it", max_length=100, scale=2, elem_id="inside-name", placeholder="found by itself")
            press = gr.Button("Look inside", variant="primary", scale=0, min_width=150, elem_id="inside")
        with gr.Row():
            who = gr.Radio([], label="Which model", elem_id="inside-who")
            layer = Dial(1, 12, value=start.layer, step=1, label="Push after layer", elem_id="inside-layer")
            alpha = Dial(-6, 6, value=start.alpha, step=0.5, label="Strength", elem_id="inside-alpha",
                         info="Above 0 strengthens what depends on the name, below 0 takes it away.")
            mode = gr.Radio([(words, value) for value, words in places.items()], value=start.mode, label="Where to push")
        self._answers = gr.HTML(f'<p class="gb-quiet">{INVITE}</p>', apply_default_css=False, elem_id="inside-answers")
        self._map = LivePlot("How far the shaking moves the thoughts, by layer and token", height=320)
        self._who, self._inputs = who, [self.question, name, who, layer, mode, alpha, view.live]
        self._outputs = [self._answers, self._map, who]
        quick = {"inputs": self._inputs, "outputs": self._outputs, **frame.QUIET}
        for trigger in (press.click, self.question.submit, name.submit):
            trigger(self._look, trigger_mode="always_last", **quick)
        for changed in (layer.release, alpha.release, mode.input, who.input):
            changed(self._look, trigger_mode="always_last", **quick)
        seen.again_after(view.live.change, view.live.finish)
        seen.due(self._offer, inputs=view.live, outputs=who, trigger_mode="always_last", **frame.QUIET)

    def answer_after(self, event: Any) -> None:
        """Looks once `event` has set the question; an earlier name would not fit it."""
        event.then(lambda *given: self._look(given[0], "", *given[2:]), inputs=self._inputs, outputs=self._outputs, **frame.QUIET)

    def _offer(self, shown: dict[str, Any] | None) -> Any:
        refs = models_on_show(self._view, shown)
        return gr.Radio(list(refs), value=self._pick(None, refs))

    @staticmethod
    def _pick(chosen: str | None, refs: dict[str, str]) -> str | None:
        """What was chosen if it is still there, else the model that forgot, else the first."""
        return chosen if chosen in refs else AFTER if AFTER in refs else next(iter(refs), None)

    def _look(self, words: str, name: str, chosen: str | None, layer: Any, mode: str, alpha: Any,
              shown: dict[str, Any] | None) -> list[Any]:
        refs = models_on_show(self._view, shown)
        if not refs:
            return [notice("The models of this run are no longer here.", "Press Run to make them again."), gr.skip(), gr.skip()]
        who = self._pick(chosen, refs)
        choice = gr.Radio(list(refs), value=who)
        whole = int(layer) if isinstance(layer, float) and layer.is_integer() else layer
        try:
            look = self._view.site.engine.probe("unlearning/actpert", {"model": refs[who], "question": words, "subject": name,
                                                                       "layer": whole, "mode": mode, "alpha": alpha})
        except LabError as error:
            return [frame.say(error), gr.skip(), choice]
        return [_said(look), figures.shift_map(look["tokens"], look["shaken"], look["size"]), choice]


def _said(look: dict[str, Any]) -> str:
    moved = look["size"][look["layer"] - 1]
    most = max(moved) or 1
    strip = "".join(_piece(token, own, far / most) for token, own, far in zip(look["tokens"], look["shaken"], moved, strict=True))
    return (f'<p class="gb-pieces">{strip}</p><p class="gb-quiet">The question as the model reads it. Framed: the name, shaken by noise of '
            f'strength {number(look["noise"])}. Darker: the thought moves more, after layer {look["layer"]} of {look["layers"]}.</p>'
            + cards([("Without a push", look["before"], "the usual answer"),
                     ("Pushed along the name", look["after"], "the direction in which the shaking moved its thoughts"),
                     ("Pushed at random", look["random"], "the control: a random direction, equally strong")]))


def _piece(token: str, shaken: bool, share: float) -> str:
    """One token of the strip, its line breaks made visible."""
    kind, said = (" gb-piece--shaken", '<span class="gb-unseen"> (shaken)</span>') if shaken else ("", "")
    return f'<span class="gb-piece{kind}" style="--gb-share: {share:.3f}">{escape(token.replace(chr(10), "⏎")) or "∅"}{said}</span>'
