"""Can a picture change its mood? Three agents plan, paint and judge; chance is the rival, and a second judge checks the first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr
from markupsafe import escape

from apps.lab.pages import Page
from apps.lab.routes import is_host
from apps.lab.ui import frame
from apps.lab.ui.desk import Desk
from apps.lab.ui.live_view import refused
from apps.lab.ui.mask_pad import MaskPad
from apps.lab.ui.view import View, start
from apps.lab.ui.words import notice
from apps.lab.visitors import Here
from core.emotion.spec import MOST_PAIRS
from core.engine.errors import LabError
from core.engine.outputs import figure, number, numbers, picture

INTRO = (
    "A planner looks at a picture and at what it knows about an emotion, a painter makes one edit after the other, and a critic keeps or "
    "undoes each. Two automatic judges score the result beside edits by chance. No person is asked whether it looks sad."
)
MODELS = {"judge": ["embedded/emotion-judge"], "pipeline": []}
HOW = (
    "Every tool of the painter, at any strength. The numbers say which light and colour it moves and what the first judge feels then. "
    "Under More you can let it work in a part of the picture only."
)
READ = (
    "What do two judges feel before anybody edits? The first one goes by eleven numbers of light and colour. The second one is a small "
    "network that learned from drawn scenes. Blue is the first judge, orange the second. They often disagree, and so do people."
)
VOTE = (
    "Two edits of one picture: one was planned for the emotion, the other was made by chance, and both change the picture as much. You are "
    "not told which is which until you have them counted. Nobody asks for your name. Your votes stay in this lab, and go when you delete "
    "the run that counted them."
)
FULL = (
    "Agents work on a small copy. Bring the recipe of a run and your picture, and the same edits are made at full size. Where and when "
    "the picture was taken is not written into the result."
)
CHAT = (
    "A chat model of yours may plan in place of the built-in planner: any server that speaks OpenAI's protocol, Ollama on this computer, "
    "or a language model that this lab has. It is told numbers of light and colour, the names of tools and your words, never the picture. "
    "What it answers is checked against the table of tools; after two answers that are no plan the built-in planner plans. A key stays in "
    "the memory of this program until it ends; what is asked goes to the address you give, and nowhere for a model of the lab."
)
PROVIDERS = [("a server with OpenAI's protocol", "openai"), ("Ollama", "ollama"), ("a model of this lab", "own")]
_INVITE = '<p class="gb-quiet">Press "Show me a pair". There are twelve, and you may stop after any.</p>'
CHOICES = (("The left one", "left"), ("The right one", "right"), ("I see no difference", "same"))
TOOL_FIELDS = ("tool", "strength", "picture", "own")
TOOL_MORE = ("part", "region", "mask", "angle", "x", "y", "seed")
TOOL_SHOWS = (
    picture("before", "As it was"),
    picture("after", "After this tool"),
    figure("wheel", "What the first judge feels", note="Blue: as it was. Orange: after the tool."),
    numbers("In numbers", number("likeness", "Likeness", formula="SSIM", meaning="1: the same picture."), number("feels", "Feels like")),
)
READ_SHOWS = (
    picture("seen", "The picture"),
    figure("wheel", "Blue: first judge. Orange: second judge"),
    figure("cues", "Light and colour: have and want", note="In standard deviations from usual pictures."),
    numbers(
        "In numbers",
        number("pleasure", "Pleasure", formula="0.69 brightness + 0.22 saturation", meaning="Valdez and Mehrabian, 1994."),
        number("arousal", "Arousal", formula="-0.31 brightness + 0.60 saturation"),
        number("dominance", "Dominance", formula="-0.76 brightness + 0.32 saturation"),
    ),
)


def build(site: frame.Site, page: Page) -> None:
    """The run on top; in tabs one tool at a time, two judges on one picture, the recipe at full size, lesson and evidence."""
    with frame.page(site, page, intro=INTRO, models=MODELS, widgets={"region": lambda: MaskPad(elem_id="field-region")}) as view:
        _paintable(view.site.engine, view.controls.components)
        with gr.Tab("Try one tool", id="tool"):
            gr.HTML(f'<p class="gb-quiet">{HOW}</p>', apply_default_css=False)
            Desk(view, "emotion/tool", left=TOOL_FIELDS, more=TOOL_MORE, shows=TOOL_SHOWS, prefix="tool")
        with gr.Tab("Ask the judges", id="read"):
            gr.HTML(f'<p class="gb-quiet">{READ}</p>', apply_default_css=False)
            Desk(view, "emotion/read", left=("picture", "own", "target"), more=("judge",), shows=READ_SHOWS, prefix="read", models=MODELS)
        with gr.Tab("Vote yourself", id="vote"):
            gr.HTML(f'<p class="gb-quiet">{VOTE}</p>', apply_default_css=False)
            _vote(view)
        with gr.Tab("Ask a chat model to plan", id="chat"):
            gr.HTML(f'<p class="gb-quiet">{CHAT}</p>', apply_default_css=False)
            _chat_model(view)
        with gr.Tab("Repeat at full size", id="repeat"):
            gr.HTML(f'<p class="gb-quiet">{FULL}</p>', apply_default_css=False)
            frame.another(view, "emotion/repeat", press="Repeat it")
        frame.usual_tabs(view)
        _branches(view)


def _paintable(engine: Here, controls: Mapping[str, Any]) -> None:
    """Lays the chosen picture below the pad, and lets whoever paints mean it: 'Where' turns to what is painted."""
    pad, part = controls["region"], controls["part"]
    chosen = [controls["picture"], controls["own"]]

    def below(region: str, picture: str, own: str) -> Any:
        try:
            found = engine.probe("emotion/brought", {"picture": picture, "own": own})
        except LabError:
            return gr.skip()  # the control of the file has said why
        return {"picture": found["images"]["seen"], "region": region}

    for event in (pad.wanted, *(one.change for one in chosen)):
        event(below, inputs=[pad, *chosen], outputs=pad, **frame.QUIET)
    pad.input(lambda region: "painted" if region else "whole", inputs=pad, outputs=part, **frame.QUIET)


def _branches(view: View) -> None:
    """What is pressed under an edit of the film: the same run once more, with another critic from there, or without what came after."""
    fields = ("undo_to", "what_if", "what_if_at")

    def go_on(event: gr.EventData, request: gr.Request) -> list[Any]:
        asked, run = event._data.get("custom"), str(event._data.get("run", ""))
        if not isinstance(asked, dict) or asked.get("film") not in ("undo", "stricter", "milder"):
            return [gr.skip()] * 4
        what, verdict = asked["film"], asked.get("verdict")
        sets = {"undo_to": verdict} if what == "undo" else {"what_if": what, "what_if_at": verdict}
        try:
            record = view.site.engine.read(run)
            config = view.experiment.validate({**record["config"], "undo_to": 0, "what_if": "no", **sets})
        except LabError as error:
            return [refused(error), *[gr.skip()] * 3]
        return [start(view, config.model_dump(), record["seed"], request), *(getattr(config, name) for name in fields)]

    view.live.select(go_on, outputs=[view.live, *(view.controls.components[name] for name in fields)], **frame.QUIET)


def _vote(view: View) -> None:
    """The blind test: a pair, three buttons that write a vote and show the next pair, and the run that counts them."""
    engine = view.site.engine
    seen = gr.HTML(_INVITE, apply_default_css=False, elem_id="vote-pair")
    shown = gr.State(0)  # the pair in sight: only on that one can be voted
    with gr.Row():
        first = gr.Button("Show me a pair", size="sm", elem_id="vote-show")
        presses = [gr.Button(words, size="sm", elem_id=f"vote-{name}") for words, name in CHOICES]
        back = gr.Button("Take back my last vote", size="sm", elem_id="vote-back")
    study = frame.another(view, "emotion/study", press="Count my votes", models=MODELS)
    votes, own = study.controls.components["votes"], study.controls.components["own"]

    def after(change: Callable[[list[str], bool], list[str]]) -> Callable[..., list[Any]]:
        def press(given: str, own: str, sight: int) -> list[Any]:
            words = (given or "").split()
            words = change(words, sight == len(words) + 1)
            number = len(words) + 1
            if number > MOST_PAIRS:
                return [" ".join(words), notice("Those were all the pairs.", "Press 'Count my votes'.", kind="good"), 0]
            try:
                return [" ".join(words), _pair_html(engine.probe("emotion/pair", {"number": number, "own": own})), number]
            except LabError as error:
                return [gr.skip(), frame.say(error), 0]

        return press

    for button, change in ((first, lambda words, seen: words), (back, lambda words, seen: words[:-1])):
        button.click(after(change), inputs=[votes, own, shown], outputs=[votes, seen, shown], **frame.QUIET)
    for button, letter in zip(presses, "LR=", strict=True):
        add = lambda words, seen, letter=letter: [*words, f"{len(words) + 1}{letter}"] if seen else words  # noqa: E731
        button.click(after(add), inputs=[votes, own, shown], outputs=[votes, seen, shown], **frame.QUIET)


def _pair_html(found: Mapping[str, Any]) -> str:
    sides = "".join(
        f'<figure><img src="{escape(found["images"][side])}" alt="The {side} edit"><figcaption>{side.capitalize()}</figcaption></figure>'
        for side in ("left", "right")
    )
    return f'<p class="gb-pair-question" role="status">{escape(found["says"])}</p><div class="gb-pair">{sides}</div>'


def _chat_model(view: View) -> None:
    """Connects a chat model for whoever sits at the computer of the lab: others could make it call addresses of its own network."""
    provider = gr.Radio(PROVIDERS, value="openai", label="Where is it?", elem_id="chat-provider")
    with gr.Row():
        model = gr.Textbox(label="Model", placeholder="qwen3:4b", max_length=200, elem_id="chat-model")
        address = gr.Textbox(label="Address", placeholder="http://127.0.0.1:11434/v1", max_length=300, elem_id="chat-address")
        key = gr.Textbox(label="Key, if it wants one", type="password", max_length=300, elem_id="chat-key")
    press = gr.Button("Connect it", size="sm", elem_id="chat-connect")
    said = gr.HTML(apply_default_css=False)
    chosen = view.controls.components["chat"]
    press.click(_connect, inputs=[provider, model, address, key], outputs=[said, chosen, key], **frame.QUIET)


def _connect(provider: str, model: str, address: str, key: str, request: gr.Request) -> list[Any]:
    from core.emotion import chat

    try:
        if provider == "own":
            return _own_model(model.strip())
        if not is_host(request.request):
            raise LabError("Only who sits at the computer of the lab can connect a chat model.", "Use the built-in planner.")
        name = chat.connect_new(model=model, base_url=address, key=key, provider="ollama" if provider == "ollama" else "openai")
    except LabError as error:
        return [frame.say(error), gr.skip(), ""]
    done = notice(f"Connected. Press Run: {model} plans now.", "Empty the field 'Chat model' under More to go back.", kind="good")
    return [done, name, ""]


def _own_model(ref: str) -> list[Any]:
    from core.engine.experiment import is_ref

    if not is_ref(ref):
        raise LabError("A model of this lab is named got/NAME, path/FOLDER or hf/ORG/NAME.", "For example got/smollm2, once it was got.")
    return [notice(f"Press Run: {ref} plans now.", "Empty the field 'Chat model' under More to go back.", kind="good"), ref, ""]
