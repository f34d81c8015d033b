"""Does an answer prove that it knew? An attack so strong that it makes models say what they never learned."""

from __future__ import annotations

import gradio as gr

from apps.lab.pages import Page
from apps.lab.ui import frame, setups
from apps.lab.ui.live_view import chart, line, numbers, panel
from core.unlearning.soft_tokens.looks import COLOURS, DASHES, FALSE, STRANGER, TRUE, WHO, Who

INTRO = ("Soft tokens are a few free lists of numbers, put in front of a question where words would stand, and tuned until the model gives "
         "the text one wants. If that works on a model that forgot, does it prove that the knowledge was still inside?")
SAID = "texts that came out word for word / texts tried; told only the beginning: answers that go on with the fact / questions tried"
SHOWN: list[tuple[Who, str, str]] = [
    ("original", TRUE, "original, true answer"), ("unlearned", TRUE, "unlearned, true answer"),
    ("unlearned", FALSE, "unlearned, false answer"), ("reference", TRUE, "never knew, true answer"),
    ("original", STRANGER, "original, stranger"), ("blank", TRUE, "random weights, true answer")]


def _lines(what: str) -> list[dict[str, str]]:
    """A model has the same colour in all charts and figures of this page, what it is made to say the same dash."""
    return [line(f"{what} {name}", f"{WHO[who]}: {text}", COLOURS[who], DASHES[text]) for who, text, name in SHOWN]


PANELS = [
    numbers("In numbers", [
        {"metric": "success unlearned, true answer", "label": "Made to forget: true answers got", "formula": SAID,
         "meaning": "Alone, this looks like proof that nothing was forgotten. It is not: see the next two."},
        {"metric": "success unlearned, false answer", "label": "Made to forget: false answers got", "formula": SAID,
         "meaning": "The same model and questions, but the answers are wrong. It cannot have remembered these."},
        {"metric": "success never knew, true answer", "label": "Never knew: true answers got", "formula": SAID,
         "meaning": "A model that never read about these people. There is nothing in it to find."},
        {"metric": "direct recall unlearned", "label": "Made to forget: just asked",
         "formula": "answers that contain the key fact / questions asked",
         "meaning": "Without any attack. This is what asking honestly shows."},
        {"metric": "median steps unlearned, true answer", "label": "Steps for a true answer", "unit": "steps",
         "formula": "median over the texts that came out", "meaning": "How much work one answer took. A weak hint, and no proof."},
        {"metric": "median steps unlearned, false answer", "label": "Steps for a false answer", "unit": "steps",
         "formula": "median over the texts that came out", "meaning": "The same work for an answer that is wrong."}]),
    panel("tokens", "target", "What comes out, piece by piece", wide=True,
          note="The watched text, your own sentence if there is one. A gap means: the model would still say something else there."),
    panel("table", "sentence", "Your own sentence", wide=True,
          note="What each model writes on its own once the soft tokens stand in front."),
    panel("figure", "controls", "Who can be made to say what?", wide=True, height=460,
          note="Never look at one bar alone. If false answers and a model that never knew do as well, the attack proves nothing about "
               "memory. Thin lines: 95 % intervals."),
    chart("While it attacks", _lines("loss"), x="attack step", y="surprise at the wanted text (nats per token)",
          note="Down means: the wanted text becomes the natural thing to say."),
    chart("Your sentence under attack", [line(f"loss sentence, {name.lower()}", name, COLOURS[who]) for who, name in WHO.items()],
          x="attack step", y="surprise at the sentence (nats per token)",
          note="A line ends where the model says the sentence. With random weights there is no way down."),
    chart("How many have come out", _lines("reached"), x="attack step", y="share of texts",
          note="Each attack ends when its text has come out."),
    panel("tokens", "tiles", "The soft tokens", note="Each is a list of numbers, no word. Shown is the nearest real word, which is only a "
                                                     "rough likeness, and how long the list is compared with that of a real word."),
    panel("figure", "path", "Where the soft tokens go",
          note="A flat map of the space of words: grey dots are real words. The map is fixed; how much it shows is written on it."),
    panel("figure", "layers", "What the attack does inside",
          note="How much the inside of the model still looks as if the plain question had been asked: 1 is the same. "
               "Dotted: the plain question against another question."),
    panel("figure", "surface", "How long can a text be?",
          note="Random texts without meaning. Strong colour: at least half of the texts came out. The number is the share of pieces "
               "that were right at best."),
    panel("figure", "losses", "Every single attack", note="One line per text; it ends where the text came out."),
    panel("table", "cells", "All groups with their intervals", wide=True),
    panel("table", "targets", "Attack by attack", wide=True),
]
BOTH = ["embedded/worlds", "embedded/worlds-retain"]
MODELS = {"model": BOTH, "reference": BOTH[::-1], "unlearned": []}

FURTHER: list[setups.Setup] = [
    ("Other worlds", "The same models also know a book that was never written and public figures who do not exist. Does it matter whose "
     "facts are attacked?", {"world": "saga"}),
    ("Tell it less", "An earlier attack tells the soft tokens only how the answer begins. The fact itself has to come from the model. "
     "That is a fairer test: watch the model that never knew.", {"mode": "opening"}),
    ("Starve it", "With a single soft token the attack has hardly any room to smuggle the answer in.", {"tokens": 1}),
    ("As released", "The settings of the published example code, gradients that pile up included. It mostly breaks the attack.",
     {"space": "vocabulary", "learning_rate": 0.0005, "clear_gradients": False, "start": "word"}),
    ("400 characters", "The paper gets random texts of more than 400 characters out of models with billions of parameters. Our small model "
     "stops near sixteen pieces of words. This sets up such a text on a larger model; pressing Run downloads about 1 GB and takes long "
     "without a graphics card.", {"what": "string", "model": "hf/Qwen/Qwen2.5-0.5B", "random_kind": "characters", "random_length": 400,
                                  "targets": 2, "many_tokens": 10, "steps": 3000, "surface_targets": 0}),
]


def build(site: frame.Site, page: Page) -> None:
    """The page, with further experiments as links that set the controls."""
    with frame.page(site, page, intro=INTRO, panels=PANELS, models=MODELS) as view:
        with gr.Tab("Go further", id="further"):
            gr.HTML(_further(page), apply_default_css=False)
        frame.usual_tabs(view)


def _further(page: Page) -> str:
    return (setups.cards(page, FURTHER) +
            '<p class="gb-quiet">The attack is a reconstruction: the released code could be read, the paper\'s own settings could not. '
            "Inside a model every piece of a word is a list of numbers; a soft token is such a list that belongs to no word.</p>")
