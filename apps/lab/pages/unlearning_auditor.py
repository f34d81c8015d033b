"""Did it really forget? A model unlearns a few people in front of the class; then we try to get the answers back."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr

from apps.lab.pages import Page
from apps.lab.ui import frame
from apps.lab.ui.live_plot import LivePlot
from apps.lab.ui.live_view import chart, numbers, panel
from apps.lab.ui.words import number
from core.engine.errors import LabError
from core.unlearning.audit import figures

INTRO = ("A small language model knows 48 invented authors by heart. Make it unlearn some of them, then ask again in another way; "
         "a twin that never met those authors shows what real forgetting looks like.")
SHARE = "answers that contain the key fact / questions asked"
PANELS = [
    numbers("In numbers", [
        {"metric": "direct recall original", "label": "Before: answered when asked plainly", "formula": SHARE,
         "meaning": "How much the model knew about the people it is about to forget."},
        {"metric": "direct recall unlearned", "label": "After: answered when asked plainly", "formula": SHARE,
         "meaning": "What a simple test would see. Near zero looks like forgetting."},
        {"metric": "audited recall unlearned", "label": "After: answered to the trick question", "formula": SHARE,
         "meaning": "The same facts, asked in a way that the unlearning never trained on."},
        {"metric": "audited recall reference", "label": "Never knew: answered to the trick question", "formula": SHARE,
         "meaning": "Luck. A model that never met these people gets this many right by guessing."},
        {"metric": "key probability unlearned", "label": "After: probability of the key fact",
         "formula": "exp(mean log p(token | question, answer so far)) over the tokens of the key fact",
         "meaning": "How likely the model still finds the key word when the rest of the answer is given to it."},
        {"metric": "retain recall unlearned", "label": "After: others still known", "formula": SHARE,
         "meaning": "Facts about people who should be kept. Forgetting should not cost them."}]),
    chart("While it unlearns", ["forget loss", "retain loss"], x="unlearning step", y="surprise at the true answer (nats per token)",
          note="Up means: the true answer becomes a surprise. The forget line should rise, the retain line should stay."),
    chart("What it still answers", ["forget recall", "retain recall"], x="unlearning step", y="share of questions answered",
          note="Asked plainly, every few steps."),
    panel("figure", "recall", "Did the answers come back?", wide=True,
          note="Three models, two ways of asking. The bars show how sure we can be with this many questions (95 %)."),
    panel("figure", "probability", "How likely is the true answer?",
          note="A model can stay silent and still find the true word likely: suppressed, not removed."),
    panel("figure", "by_layer", "Where can it still be read?",
          note="The right value, read from inside after each layer. Chance is what blind guessing among the values would give."),
    panel("table", "answers", "Question by question", wide=True, select=True, note="Press a question to ask it yourself below."),
    panel("table", "scores", "All shares with their intervals", wide=True),
]
MODELS = {"model": ["embedded/authors", "embedded/authors-retain"], "reference": ["embedded/authors-retain", "embedded/authors"]}
STYLES = [("Plainly", "plain"), ("Demand an answer", "prefix"), ("Begin the answer for it", "affirm"), ("Just continue my text", "raw")]
EMPTY = "Type a question and press Ask: the models answer side by side. After a run, the one that unlearned answers too."


def build(site: frame.Site, page: Page) -> None:
    """The page, its own tab first: ask the models yourself."""
    with frame.page(site, page, intro=INTRO, panels=PANELS, models=MODELS) as view:
        with gr.Tab("Ask the models", id="ask"):
            _ask(view)
        frame.usual_tabs(view)


def _ask(view: frame.View) -> None:
    with gr.Row():
        question = gr.Textbox("Where was Felix Tanaka born?", label="Your question", max_length=400, scale=4, elem_id="question",
                              placeholder="Where was Felix Tanaka born?")
        style = gr.Dropdown(STYLES, value="plain", label="How to ask", scale=1)
        press = gr.Button("Ask", variant="primary", scale=0, min_width=110, elem_id="ask")
    answers = gr.HTML(f'<p class="gb-quiet">{EMPTY}</p>', apply_default_css=False, elem_id="answers")
    inside = gr.Radio([], label="Look inside", visible=False)
    with gr.Row():
        with gr.Column():
            gr.HTML('<h3 class="gb-panel-title">What it would say first</h3>', apply_default_css=False)
            likeliest = LivePlot("The five likeliest first tokens")
        with gr.Column(scale=2):
            gr.HTML('<h3 class="gb-panel-title">What each layer would say (logit lens)</h3>', apply_default_css=False)
            layers = LivePlot("What each layer would say, token by token", height=360)
    asked = gr.State({})  # label -> reference: names only, never a model

    def question_to(ref: str, words: str, how: str) -> dict[str, Any]:
        return view.site.engine.probe("unlearning/ask", {"model": ref, "question": words, "style": how})

    def ask(words: str, how: str, shown: dict[str, Any] | None) -> list[Any]:
        refs = _models(view, shown)
        try:
            replies = {who: question_to(ref, words, how) for who, ref in refs.items()}
        except LabError as error:
            return [frame.say(error), gr.skip(), gr.skip(), gr.skip(), gr.skip()]
        first = next(iter(replies))
        return [_answers(replies), gr.Radio(list(replies), value=first, visible=True),
                *_inside(replies[first]), refs]

    def look(words: str, how: str, who: str, refs: dict[str, str]) -> list[Any]:
        if who not in refs:
            return [gr.skip(), gr.skip()]
        try:
            reply = question_to(refs[who], words, how)
        except LabError:
            return [gr.skip(), gr.skip()]
        return _inside(reply)

    outputs = [answers, inside, likeliest, layers, asked]
    for trigger in (press.click, question.submit):
        trigger(ask, inputs=[question, style, view.live], outputs=outputs, trigger_mode="always_last", **frame.QUIET)
    inside.input(look, inputs=[question, style, inside, asked], outputs=[likeliest, layers], trigger_mode="always_last", **frame.QUIET)
    view.site.blocks.load(ask, inputs=[question, style, view.live], outputs=outputs, **frame.QUIET)
    picked = view.live.select(_picked, outputs=question, **frame.QUIET)
    picked.then(ask, inputs=[question, style, view.live], outputs=outputs, **frame.QUIET)


def _inside(reply: dict[str, Any]) -> list[dict[str, Any]]:
    return [figures.next_tokens(reply["top"]), figures.lens(reply["said"], reply["lens"], reply["settled"])]


def _picked(event: gr.EventData) -> Any:
    """The question of a pressed table row."""
    return (event._data.get("row") or {}).get("question") or gr.skip()


def _models(view: frame.View, shown: dict[str, Any] | None) -> dict[str, str]:
    """Who is asked: the models of the run on show, with what it kept."""
    config, found = view.experiment.config(), {}
    run = (shown or {}).get("run", "")
    if run:
        try:
            config = view.experiment.validate(view.site.engine.records.read(run)["config"])
            found.update(("After unlearning", line["ref"]) for line in view.site.engine.events(run) if line["kind"] == "keep")
        except LabError:
            pass
    present = {who: ref for who, ref in found.items() if _kept(view, ref)}
    return {"Before": config.model, **present, "Never knew": config.reference}


def _kept(view: frame.View, ref: str) -> bool:
    try:
        view.site.engine.models.fingerprint(ref)
    except LabError:
        return False
    return True


def _answers(replies: dict[str, dict[str, Any]]) -> str:
    def card(who: str, reply: dict[str, Any]) -> str:
        first = reply["top"][0]
        return (f'<div class="gb-answer"><h3>{escape(who)}</h3>'
                f'<p class="gb-answer-text">{escape(reply["answer"]) or "<i>says nothing</i>"}</p>'
                f'<p class="gb-quiet">first token {escape(repr(first["token"]))}, probability {number(first["probability"])}</p></div>')

    cards = "".join(card(who, reply) for who, reply in replies.items())
    return f'<div class="gb-answers-row" aria-live="polite">{cards}</div>'
