"""Does an answer prove that it knew? An attack so strong that it makes models say what they never learned."""

from __future__ import annotations

from typing import Any

import gradio as gr

from apps.lab.pages import Page
from apps.lab.ui import frame, setups
from apps.lab.ui.inside import ask_and_look
from core.unlearning.soft_tokens.spec import WHO

INTRO = ("Soft tokens are a few free lists of numbers, put in front of a question where words would stand, and tuned until the model gives "
         "the text one wants. If that works on a model that forgot, does it prove that the knowledge was still inside?")
ASKED = "The same question without any attack: what do the models say by themselves, and what would each of their layers have said?"
BOTH = ["embedded/worlds", "embedded/worlds-retain"]
MODELS = {"model": BOTH, "reference": BOTH[::-1], "unlearned": []}
WITNESSES = {"kind": "witnesses", "title": "Ask the three yourself", "asks": "unlearning/witnesses"}

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
    with frame.page(site, page, intro=INTRO, models=MODELS, beside=[WITNESSES]) as view:
        with gr.Tab("Ask and look inside", id="ask"):
            gr.HTML(f'<p class="gb-quiet">{ASKED}</p>', apply_default_css=False)
            ask_and_look(view, _models, question=_asked_about)
        with gr.Tab("Go further", id="further"):
            gr.HTML(_further(page), apply_default_css=False)
        frame.usual_tabs(view)


def _asked_about(config: Any) -> str:
    """What the run on show was about: of the real world nobody asks for an invented author."""
    return "What is the capital of France?" if config.world == "capitals" else config.question


def _models(config: Any) -> dict[str, str | None]:
    """Who can be asked without any attack: the model that knows and, where the run compares with one, the one that never did."""
    twin = config.reference if config.what in ("bench", "sentence") else None
    return {WHO["original"]: config.model, WHO["unlearned"]: config.unlearned, WHO["reference"]: twin}


def _further(page: Page) -> str:
    return (setups.cards(page, FURTHER) +
            '<p class="gb-quiet">The attack is a reconstruction: the released code could be read, the paper\'s own settings could not. '
            "Inside a model every piece of a word is a list of numbers; a soft token is such a list that belongs to no word.</p>")
