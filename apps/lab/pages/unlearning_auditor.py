"""Did it really forget? A model unlearns a few people in front of the class; then we try to get the answers back."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr

from apps.lab.pages import Page
from apps.lab.ui import frame, setups
from apps.lab.ui.desk import Desk
from apps.lab.ui.live_view import Panel, chart, numbers, panel
from apps.lab.ui.words import term
from apps.lab.visitors import Here
from core.engine.errors import LabError
from core.engine.outputs import figure, table

INTRO = ("A small language model knows invented people by heart. We make it forget some of them, then ask again in other ways and look "
         "inside. A twin that never met those people answers too: it shows what real forgetting looks like.")
SHARE = "answers that contain the key fact / questions asked"
INSIDE, TRUTH, ALL = ("Look inside: can a push on its thoughts bring answers back? (ActPert)", "Does it still find the truth likely?",
                      "All numbers, question by question")


DESKS = ".gb-tabs"  # where a pressed question leads


def _folded(fold: str, *panels: Panel) -> list[Panel]:
    return [{**one, "fold": fold} for one in panels]


PANELS = [
    panel("matrix", "matrix", "Every question, asked in every way", wide=True, select=DESKS,
          note="A green cell: the answer came out. Yellow: it came out, but the twin that never knew gives it too, so it may be luck. "
               "The last column of each block: did any way work? The verdict can count fewer than its green cells: it takes off every "
               "lucky hit of the twin, also where the twin alone was right. Press a cell to read it."),
    numbers("In numbers", [
        {"metric": "direct recall original", "label": "Before forgetting, asked plainly", "formula": SHARE,
         "meaning": "How much the model knew about the people it is about to forget."},
        {"metric": "direct recall unlearned", "label": "Now, asked plainly", "formula": SHARE,
         "meaning": "What a simple test would see of the model that forgot, or that is audited as it is. Near zero looks like forgetting."},
        {"metric": "worst recall unlearned", "label": "Now, any way of asking", "unit": "share",
         "formula": "questions for which at least one way of asking brings out the key fact / questions asked",
         "meaning": "One answer that comes out is enough. But luck counts as well: compare the next number."},
        {"metric": "worst recall reference", "label": "Never knew, any way of asking", "unit": "share",
         "formula": "the same for a model that never met these people",
         "meaning": "Luck. With many ways of asking, and multiple choice among them, guessing alone is right now and then."},
        {"metric": "recovered share", "label": "Brought back, beyond luck", "unit": "share",
         "formula": "(any way, after - any way, never knew) / (plainly, before - plainly, never knew), not below 0",
         "meaning": "Of what the model knew, how much can be brought back once luck is taken off. 0 is real forgetting, 100 % is none."},
        {"metric": "retain recall unlearned", "label": "Now, facts about others", "unit": "share", "formula": SHARE,
         "meaning": "Facts about people who should be kept. Forgetting should not cost them."},
        {"metric": "neighbour recall unlearned", "label": "Now, facts about neighbours", "unit": "share", "formula": SHARE,
         "meaning": "Neighbours share something with the forgotten: the genre of an author, the order of a character, the club of a public "
                    "figure. They should be kept too, and are the first to suffer."}]),
    chart("While it forgets", ["forget loss", "retain loss"], x="training step", y="surprise at the true answer (nats per token)",
          note="Up means: the true answer becomes a surprise. The forget line should rise, the retain line should stay."),
    chart("What it still answers", ["forget recall", "retain recall", "refusals"], x="training step", y="share of questions",
          note="Asked plainly, every few steps. Forget recall: what it should forget. Retain recall: what it should keep. Refusals, "
               "where they are taught: how often it says that it does not know."),
    panel("figure", "recall", "Which way of asking brings most back?", wide=True, height=540,
          note="An orange bar beyond the green one is memory, not luck. Thin lines: how sure we can be with this many questions (95 %). "
               "Grey mark: blind guessing. In a multiple choice the option counts that the model finds likeliest: left alone, a model "
               "that does not know names something that is not among the four."),
    panel("text", "notes", "What was left out, and why", wide=True, rare=True),
    *_folded(
        TRUTH,
        panel("figure", "probability", "How likely is the true answer?",
              note="A model can stay silent, or say that it does not know, and still find the true word likely: held back, not removed."),
        panel("figure", "by_layer", "After which layer can it still be read?",
              note="Looking into the model layer by layer (logit lens): for how many questions does the right value lead all others of its "
                   "kind? Dotted: blind guessing."),
        panel("figure", "truth_ratio", "Does it prefer the truth to an invention?", wide=True,
              note="The truth ratio: how likely are wrong answers compared with the right one? Left of 0 it prefers the truth. After real "
                   "forgetting, orange would lie on green; the Kolmogorov-Smirnov (KS) number says how alike they are.")),
    *_folded(
        INSIDE,
        panel("tokens", "actpert_tokens", "1. Shake the name", wide=True,
              note="The first question as the model reads it. Noise is added to the pieces of the name; the colour shows how far the "
                   "thought at each piece moves. This method is our reconstruction: the paper's own code is not public."),
        panel("figure", "actpert_map", "2. See where the thoughts move", wide=True,
              note="Darker: the shaking of the name moves more there."),
        panel("figure", "actpert_grid", "3. Push along that direction, at every place and strength", wide=True, height=400,
              note="Share of answers that come out on one half of the questions. It is only a search: the best cell is chosen here and "
                   "judged below on the other half."),
        panel("figure", "actpert", "4. Does it count?", wide=True, height=380,
              note="On the other half: hatched, asked plainly; plain, with the best push. It counts only if the orange bar beats a push in "
                   "a random direction and the same search in a model that never knew."),
        panel("table", "actpert_answers", "What was said with the best push", wide=True, select=DESKS,
              note="Press a question to put it to the models yourself.")),
    *_folded(
        ALL,
        panel("table", "answers", "Question by question", wide=True, select=DESKS,
              note="Press a question to put it to the models yourself."),
        panel("table", "scores", "Every measure, the models side by side", wide=True),
        panel("table", "utility", "What is left of the rest: the nine numbers of the utility", wide=True, rare=True,
              note="The utility is their harmonic mean: one bad number pulls it down. Of the two far worlds one fact about everybody is "
                   "asked. Even a model that knows every fact stays well below 1, because a false answer shares most of its words with "
                   "the true one and gets part of the credit: compare with the model from before."),
        panel("table", "membership", "Was this in the training text? Five ways to guess", wide=True, rare=True,
              note="Each way looks at how the model reads the true answers and guesses which of them it was trained on: those to forget "
                   "or those about people whom no model ever met. 1: it always tells them apart. 0.5: it cannot. A model that really "
                   "forgot stands where the one stands that never knew. A sixth way (gradnorm) would need a training step for every "
                   "answer and is left out."),
        panel("table", "shares", "Every share with its 95 % interval", wide=True)),
]
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


ASK_SHOWS = (
    table("answers", "What they say", look="answers"),
    figure("next_tokens", "What it would say first", note="The five likeliest first tokens of the answer."),
    figure("lens", "What each layer would say (logit lens)", height=360),
)
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
    with frame.page(site, page, intro=INTRO, panels=PANELS, models=MODELS) as view:
        def among(shown: dict[str, Any] | None) -> dict[str, str]:
            return models_on_show(view, shown)

        with gr.Tab("Ask the models", id="ask"):
            ask = Desk(view, "unlearning/ask", fields=("question", "style"), press="Ask", among=among, shows=ASK_SHOWS, prefix="ask",
                       invite="Type a question and press Ask: the models answer side by side; after a run, the one that forgot too.")
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
    config, kept, engine = view.experiment.config(), [], view.site.engine
    run = (shown or {}).get("run", "")
    if run:
        try:
            config = view.experiment.validate(engine.read(run)["config"])
            kept = [line["ref"] for line in engine.events(run) if line["kind"] == "keep"]
        except LabError:
            pass
    if config.steps and not config.questions:
        named = {AFTER: kept[-1] if kept else None, BEFORE: config.model, NEVER: config.reference}
    else:
        named = {"The model": config.model, BEFORE: config.original, NEVER: config.reference}
    return {who: ref for who, ref in named.items() if ref and _there(engine, ref)}


def _there(engine: Here, ref: str) -> bool:
    try:
        engine.fingerprint(ref)
    except LabError:
        return False
    return True


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
         "In the field <b>Model</b> on the left: pick a built-in one, or type <code>hf/</code> and the name of a model on the Hugging Face "
         "hub."),
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
            '<p class="gb-quiet">The built-in models never saw your questions, so they can only guess. Under More stands the built-in twin '
            "as the model that never knew; better is a model like yours that never saw the questions, and beside it the model from before "
            "it forgot. Without a model that never knew, nobody can tell luck from memory. To begin with: "
            f'<a href="{example}">a small public model</a> (135 million numbers, 270 MB, downloaded once) with the sample questions, '
            f'or <a href="{as_it_is}">the built-in model as it is, nothing trained</a>. What you bring stays on this computer.</p>'
            f'<p class="gb-quiet">Words on this page: {words}.</p>')
