"""Where does a stereotype sit? A model that sees and reads leans towards one group; residuals are turned down and up, and tested."""

from __future__ import annotations

from typing import Any

import gradio as gr

from apps.lab.pages import Page
from apps.lab.ui import frame
from apps.lab.ui.desk import Desk
from apps.lab.ui.drawer import Drawer
from apps.lab.ui.inside import ask_and_look
from core.engine.outputs import figure, number, numbers, picture, table, text

INTRO = (
    "A small model sees a drawn person and is asked who would rather do something, which no picture can tell. In training we planted a "
    "lean towards one kind of hair, drawn by lot. Here you follow it through the layers, turn it down, and see what that costs. The "
    "numbers say what happens inside this model. They say nothing about people."
)
MODELS = {"model": ["embedded/scenes"]}
OWN = (
    "Any two pictures with any question, if your model reads any text (LLaVA or Qwen-VL, in a folder of yours). The little model knows "
    "drawn scenes and its own words alone: download the two samples and bring them. Whole sets of pictures go into the test above, the "
    "audit and the map, under More settings."
)
WORDS = (
    "Sentences about occupations, and how a text model goes on: he or she. Directions are measured on some occupations, strengths are "
    "chosen on others, and the numbers come from a third lot. An edit counts only if plain sentences stay nearly as easy to read. "
    "With a real model that you got (smollm2), choose it here."
)
ASKED = (
    "How the model of the run goes on with a beginning of yours, what each of its layers would say next, and where each looks. The little "
    "model was taught invented people alone: that it says names there is all it knows."
)
BEGUN = "The nurse said that"
TABS = {"bias/text": "text", "bias/audit": "audit", "bias/map": "map"}
PAIR_FIELDS = ("first", "second", "question", "options")
PAIR_SHOWS = (
    picture("first", "The first picture, as the model gets it"),
    picture("second", "The second"),
    figure("options", "One bar for each picture", note="If no picture can tell, bars of a pair should be alike.", wide=True),
    figure("layers", "Fairness after each layer", note="Grey: unreadable.", wide=True),
    text("first said", "About the first, without options it says"),
    text("second said", "About the second"),
    numbers("In numbers", number("fairness", "Fairness F"), number("changes", "The other picture changes"),
            number("mass", "Options together")),
)
SCENE_FIELDS = ("verb", "hair", "tone", "build", "job", "place", "planted", "layer")
SCENE_MORE = ("ask", "first_job", "second_job", "hint", "wording", "trained", "side", "shape", "colour", "count", "height", "seed", "model")
SCENE_SHOWS = (
    picture("first", "With short hair (or tone 1)"),
    picture("second", "With long hair (or tone 3)"),
    picture("mask", "What the model sees", note="64 by 64 pixels. Red: all that differs between the two."),
    figure(
        "options",
        "Who would rather? One bar for each picture",
        note="Nothing in the picture can tell, so all bars of a colour should be alike, and 'same' should take all.",
        wide=True,
    ),
    figure(
        "layers",
        "Fairness after each layer",
        note="What the model would answer if it stopped there, for the picture chosen on the left. Grey: "
        "unreadable. Press a point to open that layer.",
    ),
    figure("pushes", "What attention and MLP add", note="Above 0: fairer. Below: less fair. Press a bar to open that layer."),
    table("words", "The opened layer: the words its two residuals promote", wide=True),
    numbers(
        "In numbers", number("fairness", "Fairness F"), number("changes", "Pictured group changes"), number("mass", "Options together")
    ),
)
STRENGTH_FIELDS = ("biased", "fair", "mode", "layers", "control")
STRENGTH_SHOWS = (
    figure("bars", "Before and after", note="Hatched: before. Plain: after. Always on the same axis.", wide=True),
    numbers("In numbers", number("before", "Before"), number("after", "After"), number("change", "Pictured group changes")),
)
HOW = (
    "Each layer adds two things to the thought: what attention found, and what the MLP made of it. On other "
    "scenes and verbs we measured which of "
    "the two makes answers fairer and which makes them lean, and took the mean of each. The sliders take the "
    "leaning direction away and make the "
    "fair one stronger. The scene and the question are those of the first tab."
)
AUDITED = (
    "Many pairs of pictures that differ in nothing but the group, asked in five ways. A model can choose the "
    "fair answer and still be far ahead "
    "for one group behind it: that is the paradox of the paper. A text model of your own can be asked too: "
    "then sentences are continued with "
    "he or she, or with words of your own table."
)


def build(site: frame.Site, page: Page) -> None:
    """The test of the edit on top; in tabs the scene, the sliders, audit, map, lesson and evidence."""
    with frame.page(site, page, intro=INTRO, models=MODELS) as view:
        with gr.Tab("Build a scene", id="scene"):
            scene = Desk(
                view, "bias/scene", left=SCENE_FIELDS, more=SCENE_MORE, shows=SCENE_SHOWS, prefix="scene", models=MODELS
            )
        with gr.Tab("Turn it down yourself", id="strength"):
            gr.HTML(f'<p class="gb-quiet">{HOW}</p>', apply_default_css=False)
            Desk(
                view,
                "bias/strength",
                left=STRENGTH_FIELDS,
                shows=STRENGTH_SHOWS,
                prefix="strength",
                shared={name: component for name, component in scene.components.items() if name != "layer"},
            )
        with gr.Tab("Two pictures of your own", id="pair"):
            gr.HTML(f'<p class="gb-quiet">{OWN}</p>', apply_default_css=False)
            Desk(view, "bias/pair", left=PAIR_FIELDS, more=("fair", "planted", "trained", "model"), shows=PAIR_SHOWS,
                 press="Ask about both", prefix="pair", models=MODELS, unasked=False,
                 invite="Bring two pictures that should get the same answer, and ask about them.")
        with gr.Tab("Words alone", id="text"):
            gr.HTML(f'<p class="gb-quiet">{WORDS}</p>', apply_default_css=False)
            words = frame.another(view, "bias/text", press="Follow the words", models={"model": ["embedded/worlds"]})
            with Drawer("Ask and look inside"):
                gr.HTML(f'<p class="gb-quiet">{ASKED}</p>', apply_default_css=False)
                ask_and_look(words, lambda config: {"The model": config.model}, question=lambda config: BEGUN, style="raw")
        with gr.Tab("Audit", id="audit"):
            gr.HTML(f'<p class="gb-quiet">{AUDITED}</p>', apply_default_css=False)
            frame.another(view, "bias/audit", press="Audit it", models=MODELS)
        with gr.Tab("Residual map", id="map"):
            frame.another(view, "bias/map", press="Draw the map", models=MODELS)
        frame.usual_tabs(view)
    site.blocks.load(_tab_of_link, outputs=view.tabs, **frame.QUIET)


def _tab_of_link(request: gr.Request) -> Any:
    """A link to a run of another experiment opens the tab in which it is shown."""
    tab = TABS.get(request.query_params.get("of", ""))
    return gr.Tabs(selected=tab) if tab else gr.skip()
