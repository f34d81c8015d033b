"""Did it really forget? A model unlearns a few people in front of the class; then we try to get the answers back."""

from __future__ import annotations

import contextlib
from typing import Any

import gradio as gr
from markupsafe import escape

from apps.lab.pages import Page
from apps.lab.ui import frame, setups
from apps.lab.ui.desk import Desk
from apps.lab.ui.inside import ask_and_look, is_here, settings_on_show
from apps.lab.ui.words import term
from core.engine.errors import LabError
from core.engine.outputs import figure, table

INTRO = ("A small language model knows invented people by heart. We make it forget some of them, then ask again in other ways and look "
         "inside. A twin that never met those people answers too: it shows what real forgetting looks like.")
WORLDS = ["embedded/worlds", "embedded/worlds-retain"]
MODELS = {"model": WORLDS, "reference": WORLDS[::-1], "original": WORLDS[:1]}
SMALL_MODEL = "hf/HuggingFaceTB/SmolLM2-135M-Instruct"
WORDS = {
    "forget set": "the facts about the people to be forgotten",
    "key fact": "the one word an answer must contain, for example the town",
    "recall": "the share of questions whose answer contains the key fact",
    "95 % interval": "where the true share probably lies: with few questions we cannot know it better",
    "token": "a word or a piece of a word, as the model reads it",
}


LOOK_SHOWS = (
    table("answers", "With and without a push", look="answers"),
    table("tokens", "The question as the model reads it", look="tokens", wide=True,
          note="Stronger: the thought moves more when the name is shaken, after the layer of the push."),
    figure("map", "How far the shaking moves the thoughts", wide=True, note="By layer and token. ◆ the shaken name."),
)
WHAT = ("The name in the question is blurred with noise and we note how the thoughts of the model move. Then it answers again while we "
        "push its thoughts along that direction, and once more with an equally strong push in a random direction. On a single question "
        "that proves little: the run above counts many. This is our reconstruction of the paper's ActPert.")
AFTER, BEFORE, NEVER = "After forgetting", "Before", "Never knew"


def build(site: frame.Site, page: Page) -> None:
    """The run on top; in tabs the models to ask, one question from the inside, the visitor's own model, lesson and evidence."""
    with frame.page(site, page, intro=INTRO, models=MODELS, own=("questions", "reference")) as view:
        def among(shown: dict[str, Any] | None) -> dict[str, str]:
            return models_on_show(view, shown)

        with gr.Tab("Ask the models", id="ask"):
            ask = ask_and_look(view, among=among, invite="Type a question and press Ask: the models answer side by side; after a run, the "
                                                         "one that forgot too.")
        with gr.Tab("Look inside one question", id="inside"):
            gr.HTML(f'<p class="gb-quiet">{WHAT}</p>', apply_default_css=False)
            inside = Desk(view, "unlearning/actpert", fields=("question", "subject", "layer", "alpha", "mode"), press="Look inside",
                          among=among, shows=LOOK_SHOWS, prefix="inside", unasked=False,
                          invite="Press Look inside: the name is shaken, the thoughts move, and each model answers again with a push.")
        with gr.Tab("Audit your own model", id="own"):
            gr.HTML(_own(page), apply_default_css=False)
        frame.usual_tabs(view)
    question, name = inside.components["question"], inside.components["subject"]
    picked = view.live.select(_picked, outputs=[ask.components["question"], question, name, view.tabs], **frame.QUIET)
    ask.ask_after(picked)
    inside.ask_after(picked)


def models_on_show(view: frame.View, shown: dict[str, Any] | None) -> dict[str, str]:
    """Name -> reference of the models of the run on show, with what it kept, as far as they are there."""
    config, kept, engine = settings_on_show(view, shown), [], view.site.engine
    run = (shown or {}).get("run", "")
    if run:
        with contextlib.suppress(LabError):
            kept = [line["ref"] for line in engine.events(run) if line["kind"] == "keep"]
    if config.steps and not config.questions:
        named = {AFTER: kept[-1] if kept else None, BEFORE: config.model, NEVER: config.reference}
    else:
        named = {"The model": config.model, BEFORE: config.original, NEVER: config.reference}
    return {who: ref for who, ref in named.items() if ref and is_here(engine, ref)}


def _picked(event: gr.EventData) -> list[Any]:
    """The question of a pressed row or cell, for both desks, without the name of an earlier one, and the tab it asks for."""
    values, go = event._data.get("values"), event._data.get("go")
    question = values.get("Question") if isinstance(values, dict) else None
    if not isinstance(question, str) or not question:
        return [gr.skip()] * 4
    return [question, question, "", gr.Tabs(selected=go if go in ("ask", "inside") else "ask")]


def _own(page: Page) -> str:
    steps = [
        ("1. Choose the model",
         "On the left choose <b>My model and my questions</b>. In the field <b>Model</b> pick a built-in one, or type <code>hf/</code> and "
         "the name of a model on the Hugging Face hub."),
        ("2. Bring your questions",
         "Under <b>Your own questions</b> press <b>Bring a file</b>: a table (CSV) whose first row says <code>question,answer</code>. "
         "Better with <code>key</code> (the one word that counts), <code>subject</code> (the name) and <code>wrong_answers</code> "
         '(between |). <a href="lab/samples/questions.csv" download>Download a sample</a>.'),
        ("3. Press Run",
         "Nothing is trained. The model is asked every question in every way that your table allows. What had to be left out, and why, "
         "stands under the charts."),
    ]
    cards = "".join(f'<div class="gb-answer"><h3>{head}</h3><p>{words}</p></div>' for head, words in steps)
    example, as_it_is = (escape(setups.address(page, {"steps": 0, **model})) for model in ({"model": SMALL_MODEL}, {}))
    words = ", ".join(term(word, meaning) for word, meaning in WORDS.items())
    return (f'<div class="gb-answers-row">{cards}</div>'
            '<p class="gb-quiet">The built-in models never saw your questions, so they can only guess. Best is to name a model '
            "like yours that never saw the questions as well, and under More settings the model from before it forgot. "
            "Without a model that never knew, nobody can tell luck from memory. To begin with: "
            f'<a href="{example}">a small public model</a> (135 million numbers, 270 MB, downloaded once) with the sample questions, '
            f'or <a href="{as_it_is}">the built-in model as it is, nothing trained</a>. What you bring stays on this computer.</p>'
            f'<p class="gb-quiet">Words on this page: {words}.</p>')
