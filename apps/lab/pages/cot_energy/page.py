"""Sound reasoning, or luck? A chain of thought moves through the layers; its energy is read, and then put to the test."""

from __future__ import annotations

from typing import Any

import gradio as gr
from markupsafe import escape

from apps.lab.pages import Page
from apps.lab.ui import frame, setups
from apps.lab.ui.desk import Desk
from apps.lab.ui.drawer import Drawer
from apps.lab.ui.inside import ask_and_look
from core.engine.errors import LabError
from core.engine.outputs import figure, number, table, text
from core.engine.outputs import numbers as tiles

INTRO = ("A small model works out a chain of sums and writes every step down, so we know whether a right answer was earned or lucky. "
         "Watch its thought move through the layers like a particle and read its energy. The energy equation is a reconstruction: the "
         "paper's own could not be read.")
PACE_S = 0.08  # a token of the little reasoner takes a tenth of that: too quick for the eye
REASONERS = ["embedded/reasoner-70", "embedded/reasoner-50", "embedded/reasoner-85"]
MODELS = {"model": REASONERS}
OWN_MODELS: list[setups.Setup] = [
    ("DeepSeek-R1 distill, 1.5 billion", "Thinks in English before it answers. Its template opens the thinking for it. About 3.6 GB.",
     {"model": "hf/deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B", "new_tokens": 1024, "decoding": "model card"}),
    ("Qwen3, 0.6 billion", "Opens and closes its thinking by itself. About 1.5 GB.",
     {"model": "hf/Qwen/Qwen3-0.6B", "new_tokens": 1024, "decoding": "model card"}),
]
NAMES = [
    ("think, answer, all", "over which tokens a score is taken: the reasoning, the answer, or both"),
    ("MaxProb", "how sure the model was, on average: the chance it gave its likeliest next token"),
    ("MinProb", "how sure it was at its least sure token"),
    ("PPL", "perplexity with a minus: how little its own words surprised it"),
    ("Entropy", "how undecided it was, on average, with a minus"),
    ("Temperature", "MaxProb again, after the chances were made softer or sharper until they fitted this model best (for a model of your "
                    "own by a fixed amount)"),
    ("Free energy", "how large the raw scores of all next tokens were together"),
    ("CoE", "Chain-of-Embedding: how far and how sharply the mean state of the reasoning moves. Mag: how long its way is, compared with "
            "the straight line. Ang: how much its direction changes, with a minus. R adds the two, C joins them like arrows"),
    ("Late entropy", "how undecided the later half of the layers was about the next token, with a minus"),
    ("R0 to R5", "the readings of the energy, over the reasoning. R0 prompt: R0 over the problem itself, a control"),
    ("Straightness", "how little the path turns"),
    ("Shortness", "how short the output is, a control"),
]
ASKED = ("The beginning of a text, and how the model goes on with it: its likeliest next signs, what each of its layers would say, and "
         "where each looks. The little reasoners know sums and nothing else.")
CLOSELY = (
    table("words", "The whole text, token by token", look="tokens", wide=True,
          note="Pointing at a token lights it in every picture. Shaded: how sure the model was of it. Dashed: in the first wrong step."),
    tiles("In numbers",
          number("energy", "Energy of the reasoning",
                 formula="mean over layers of K x (1 - gamma x (1 - cos turn)), K = half the squared step",
                 meaning="The energy equation is a reconstruction."),
          number("token energy", "Energy of this token", meaning="Of the token pointed at alone; the whole is no sum of these."),
          number("surer", "Surer than", unit="% of its outputs", formula="share of 250 calibration outputs with a lower mean certainty",
                 meaning="The plain rival of the energy.")),
    figure("path", "A. Its way through the layers", note="Circles: where the path ends after each token of the reasoning."),
    figure("profile", "B. Layer by layer", note="How far the state moves in each layer, and what turning costs, of all or of the "
           "token pointed at. The axis says whether the usual was subtracted; for single tokens nobody has measured it."),
    figure("heat", "C. Map of tokens and layers", note="Blue: the reasoning. Orange: the first wrong step. Point at a column."),
    figure("chain", "D. Along the chain", note="Energy of the reasoning so far, beside the model's own certainty."),
    figure("lens", "What each layer would say next", wide=True, height=380,
           note="If the model had to speak after that layer (“logit lens”): its likeliest next tokens. Framed: what was written."),
    table("steps", "Step by step", wide=True, note="Press a step to change its result below.", select="#changed-answer"),
)
CHANGED = (
    text("written", "Written"),
    text("changed", "Changed to"),
    table("noticed", "Who noticed?", wide=True, note="Every score is written so that less means less trust. One change proves little: the "
          "ROC lab makes two hundred."),
    figure("before_after", "Probability of every written token before and after the change", wide=True, height=300),
)


def build(site: frame.Site, page: Page) -> None:
    """The page: the run on top; in tabs the desk with the changed digit, the ROC lab and larger models."""
    with frame.page(site, page, intro=INTRO, models=MODELS, pace=PACE_S) as view:
        with gr.Tab("Look closely", id="closely"):
            _closely(view)
        with gr.Tab("ROC lab", id="roc"):
            gr.HTML('<p class="gb-quiet">Can any score tell right from wrong, or sound from lucky? The model thinks about many problems '
                    "and every score has to sort the outputs. The first run takes a while; after it, another gamma or label is quick.</p>",
                    apply_default_css=False)
            frame.another(view, "reasoning/roc", press="Test the scores", models=MODELS)
            _names()
        with gr.Tab("Ask and look inside", id="ask"):
            gr.HTML(f'<p class="gb-quiet">{ASKED}</p>', apply_default_css=False)
            ask_and_look(view, lambda config: {"The model": config.model}, question=_asked_about, style="raw")
        with gr.Tab("Larger models", id="larger"):
            gr.HTML(_larger(page), apply_default_css=False)
        frame.usual_tabs(view)
    site.blocks.load(_tab_of_link, outputs=view.tabs, **frame.QUIET)


def _tab_of_link(request: gr.Request) -> Any:
    return gr.Tabs(selected="roc") if request.query_params.get("of") == "reasoning/roc" else gr.skip()


def _closely(view: frame.View) -> None:
    """The output of the run on show, token by token; and H, the same with one result changed."""
    _names()
    closely = Desk(view, "reasoning/energy", fields=("variant", "gamma", "heat", "difference"), hidden=("token",), hovers=("token",),
                   nothing={"token": -1}, whole="Look at the reasoning as a whole", prefix="closely", shows=CLOSELY,
                   given=lambda live: _output_of(view, live), invite="When the run has written something, it can be looked at here.")
    gr.HTML('<h3 class="gb-thought-title">H. Change one digit</h3><p class="gb-quiet">Choose a step and write another result there. '
            "The model reads the changed chain at once. Does the energy notice, or its plain rival, the certainty?</p>",
            apply_default_css=False)
    Desk(view, "reasoning/corrupt", fields=("step", "value"), hears=(closely,), prefix="changed", shows=CHANGED,
         given=lambda live: _chain_of(view, live), shared={name: closely.components[name] for name in ("variant", "gamma")},
         invite="Digits can be changed in the likeliest output of the little reasoners only.")


def _asked_about(config: Any) -> str:
    """What the model of the run on show was given: a little reasoner reads a sum up to its equals sign."""
    from core.reasoning.data import parse  # needs torch, which a page that opens does not

    try:
        return parse(config.problem).prompt if config.model.startswith("embedded/") else config.problem
    except LabError:
        return config.problem


def _names() -> None:
    """What the names under panels E and F mean, for whoever wants to know."""
    with Drawer("What the names mean"):
        rows = "".join(f'<tr><th scope="row">{escape(name)}</th><td>{escape(meaning)}</td></tr>' for name, meaning in NAMES)
        gr.HTML('<p class="gb-quiet">Every score is written so that more means more trust.</p>'
                '<div class="gb-table-frame"><table class="gb-table">'
                f'<caption class="gb-unseen">Names of scores and their meanings</caption><tbody>{rows}</tbody></table></div>',
                apply_default_css=False)


def _output_of(view: frame.View, live: dict[str, Any] | None) -> dict[str, Any] | None:
    """What the probe needs to know about the run on show; None while it has no output."""
    run = (live or {}).get("run", "")
    if not run:
        return None
    try:
        record = view.site.engine.read(run)
        config = view.experiment.validate(record["config"])
        said = [line["text"] for line in view.site.engine.events(run) if line["kind"] == "text" and line["name"] == "output"]
    except LabError:
        return None
    if not said or record["outcome"] != "finished":
        return None
    # The likeliest output is the same again; a drawn one, or a cut one, is read from its text.
    again = config.decoding == "greedy" and config.model.startswith("embedded/") and config.new_tokens >= 64
    return {"model": config.model, "problem": config.problem, "variant": config.variant, "gamma": config.gamma, "tags": config.tags,
            "last_state": config.last_state, "embedding": config.embedding, "output": "" if again else said[-1]}


def _chain_of(view: frame.View, live: dict[str, Any] | None) -> dict[str, Any] | None:
    """The same for the changed digit: only what the model said by itself, in a bare chain, can be changed and judged."""
    about = _output_of(view, live)
    if about is None or about.pop("output") or not about["model"].startswith("embedded/"):
        return None
    return about | {"value": "T" if set(about["problem"].upper()) & set("TF") else "0"}


def _larger(page: Page) -> str:
    return (setups.cards(page, OWN_MODELS) +
            '<p class="gb-quiet">Pressing Run downloads the model once; nothing you type leaves this machine. Such a model reads any '
            "question, but nobody checks its steps, so only its answer to a chain can be judged. Any other model that writes "
            "&lt;think&gt; and &lt;/think&gt; can be typed into the model field.</p>")
