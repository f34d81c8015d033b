"""Sound reasoning, or luck? A chain of thought moves through the layers; its energy is read, and then put to the test."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr

from apps.lab.pages import Page
from apps.lab.ui import frame, setups
from apps.lab.ui.controls import Dial
from apps.lab.ui.drawer import Drawer
from apps.lab.ui.live_plot import LivePlot
from apps.lab.ui.seen import Seen
from apps.lab.ui.thought_desk import ThoughtDesk
from apps.lab.ui.words import number
from core.engine.errors import LabError
from core.engine.registry import find

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
SCORES_SHOWN = (("MaxProb think", "Mean certainty of the reasoning"), ("MinProb think", "Lowest certainty in the reasoning"),
                ("PPL think", "Minus the surprise at what is written (perplexity)"), ("R0 think", "Momentum energy alone (R0)"),
                ("CoE-R", "Chain-of-Embedding score (CoE-R)"))
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
PARTS = {"prompt": "the problem", "open": "tag that opens the thinking", "think": "reasoning", "close": "tag that closes the thinking",
         "answer": "answer", "end": "end mark", "off": "left out"}


class _Dial(Dial):
    """A slider that takes a typed number beyond its ends for its end, where Gradio's own would fail."""

    def preprocess(self, payload: float) -> float:
        return min(max(payload, self.minimum), self.maximum)


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
        with gr.Tab("Larger models", id="larger"):
            gr.HTML(_larger(page), apply_default_css=False)
        frame.usual_tabs(view)
    site.blocks.load(_tab_of_link, outputs=view.tabs, **frame.QUIET)


def _tab_of_link(request: gr.Request) -> Any:
    return gr.Tabs(selected="roc") if request.query_params.get("of") == "reasoning/roc" else gr.skip()


def _closely(view: frame.View) -> None:
    _names()
    config = find("reasoning/energy").config
    words = config.model_fields["variant"].json_schema_extra["labels"]
    start = config()
    source = gr.State(None)  # what is looked at: fields of the probe, plain words and numbers
    token = gr.State(-1)
    with gr.Row():
        variant = gr.Dropdown([(said, name) for name, said in words.items()], value=start.variant, label="Reading of the energy",
                              info="Reconstructions, each with its own idea of what curvature costs.", elem_id="closely-variant")
        gamma = _Dial(0, 1.5, value=start.gamma, step=0.05, label="Gamma: the price of a turn", elem_id="closely-gamma",
                          info="Recomputed from what was noted; the model does not run again.")
        heat = gr.Radio([("energy", "energy"), ("turn", "turn")], value="energy", label="The map shows")
        usual = gr.Checkbox(True, label="Layers minus what is usual", info="Raw layer profiles of right and wrong outputs look alike.")
    seen = Seen()
    facts = gr.HTML(apply_default_css=False, elem_id="facts")
    desk = ThoughtDesk()
    changed = _Changed(view)

    inputs = [source, token, variant, gamma, heat, usual]

    def look(about: dict[str, Any] | None, at: int, *setting: Any) -> list[Any]:
        if not about:
            return [gr.skip(), gr.skip()]
        try:
            chosen = dict(zip(("variant", "gamma", "heat", "difference"), setting, strict=True))
            answer = view.site.engine.probe("reasoning/energy", {**about, "token": at, **chosen})
        except LabError as error:
            return [frame.say(error), gr.skip()]
        return [_facts(answer), _shown(answer, at)]

    def hovered(event: gr.EventData, about: dict[str, Any] | None, at: int, *setting: Any) -> list[Any]:
        at = event._data.get("token", -1)
        at = at if isinstance(at, int) else -1
        return [at, *look(about, at, *setting)]

    def follow(live: dict[str, Any] | None, *rest: Any) -> list[Any]:
        """The output of the run on show, once it has one, as the controls of the desk say."""
        about = _output_of(view, live)
        if about is None:
            return [gr.skip()] * (6 + len(changed.outputs))
        setting = [about.pop("variant"), about.pop("gamma")]
        return [about, -1, *setting, *look(about, -1, *setting, *rest), *changed.offer(about)]

    shown = [facts, desk]
    seen.again_after(view.live.change, view.live.finish)
    # The desk lies below the run. Its probe loads the model, so nobody waits for it who has not scrolled there.
    seen.due(follow, inputs=[view.live, heat, usual], outputs=[source, token, variant, gamma, *shown, *changed.outputs],
             trigger_mode="always_last", **frame.QUIET)
    for control in (variant, gamma, heat, usual):
        control.input(look, inputs=inputs, outputs=shown, trigger_mode="always_last", **frame.QUIET)
    # one that waits would be sent with the token of the one before; the desk knows which answer it waits for
    desk.select(hovered, inputs=inputs, outputs=[token, *shown], trigger_mode="multiple", **frame.QUIET)
    changed.connect(source, variant, gamma)


def _names() -> None:
    """What the names under panels E and F mean, for whoever wants to know."""
    with Drawer("What the names mean"):
        rows = "".join(f'<tr><th scope="row">{escape(name)}</th><td>{escape(meaning)}</td></tr>' for name, meaning in NAMES)
        gr.HTML('<p class="gb-quiet">Every score is written so that more means more trust.</p>'
                '<div class="gb-table-frame"><table class="gb-table">'
                f'<caption class="gb-unseen">Names of scores and their meanings</caption><tbody>{rows}</tbody></table></div>',
                apply_default_css=False)


class _Changed:
    """H. One result of the chain is changed; everything is scored again at once."""

    def __init__(self, view: frame.View) -> None:
        self._view = view
        gr.HTML('<h3 class="gb-thought-title">H. Change one digit</h3><p class="gb-quiet">Choose a step and write another result there. '
                "The model reads the changed chain at once. Does the energy notice, or its plain rival, the certainty?</p>",
                apply_default_css=False)
        with gr.Row():
            self.step = gr.Radio([], label="Step", elem_id="changed-step")
            self.value = gr.Radio([], label="Its new result", elem_id="changed-value")
        self.said = gr.HTML(apply_default_css=False, elem_id="changed")
        self.plot = LivePlot("Probability of every written token before and after the change", height=300)
        self.outputs = [self.step, self.value, self.said, self.plot]

    def connect(self, source: gr.State, variant: gr.Dropdown, gamma: gr.Slider) -> None:
        for control in (self.step, self.value, variant, gamma):
            control.input(self._change, inputs=[source, variant, gamma, self.step, self.value], outputs=[self.said, self.plot],
                          trigger_mode="always_last", **frame.QUIET)

    def offer(self, about: dict[str, Any]) -> list[Any]:
        """For `outputs`: the steps that the model wrote and the values that may stand in them."""
        empty = [gr.Radio([], value=None), gr.Radio([], value=None)]
        if about["output"] or not about["model"].startswith("embedded/"):
            return [*empty, '<p class="gb-quiet">Digits can be changed in the likeliest output of the little reasoners only.</p>', None]
        try:
            steps = self._view.site.engine.probe("reasoning/energy", about)["steps"]
        except LabError as error:
            return [*empty, frame.say(error), None]
        values = list("TF") if set(about["problem"].upper()) & set("TF") else list("0123456789")
        names = [(f"{i}: {step['text'].rstrip(';')}", i) for i, step in enumerate(steps, 1) if step["text"]]
        return [gr.Radio(names, value=names[0][1] if names else None), gr.Radio(values, value=None), "", None]

    def _change(self, about: dict[str, Any] | None, variant: str, gamma: float, step: int | None, value: str | None) -> list[Any]:
        if not about or step is None or value is None or about["output"]:
            return [gr.skip(), gr.skip()]
        given = {k: v for k, v in about.items() if k != "output"} | {"variant": variant, "gamma": gamma, "step": step, "value": value}
        try:
            answer = self._view.site.engine.probe("reasoning/corrupt", given)
        except LabError as error:
            return [frame.say(error), None]
        return [_before_after(answer), answer["figures"]["before_after"]]


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


def _shown(answer: dict[str, Any], token: int) -> dict[str, Any]:
    """What the desk draws."""
    wrong = next(([step["start"], step["end"]] for step in answer["steps"] if step["right"] is False), None)
    return {"tokens": answer["tokens"], "roles": answer["roles"], "chosen": token, "wrong": wrong, "parts": PARTS, "top": answer["top"],
            "thinking": [i for i, role in enumerate(answer["roles"]) if role == "think"],
            "figures": {name: answer["figures"][name] for name in ("path", "profile", "heat", "chain")}}


_LABELS = {"sound": ("good", "Sound: every step is right"), "lucky": ("warn", "Lucky: the answer is right, the reasoning is not"),
           "wrong": ("bad", "Wrong answer"), "unknown": ("plain", "Nobody here knows the right answer")}


def _facts(answer: dict[str, Any]) -> str:
    kind, words = _LABELS[answer["label"]]
    own = f'<span>energy of this token <b>{number(answer["token_energy"])}</b></span>' if answer["token_energy"] is not None else ""
    place = answer["percentiles"].get("MaxProb think")
    sure = f'<span>surer than <b>{number(round(place))} %</b> of this model\'s outputs</span>' if place is not None else ""
    cut = '<span class="gb-chip gb-chip--warn">Cut off while thinking</span>' if answer["truncated"] else ""
    return (f'<p class="gb-thought-facts"><span class="gb-chip gb-chip--{kind}">{escape(words)}</span>{cut}'
            f'<span>energy of the reasoning <b id="energy">{number(answer["energy"])}</b> (reconstruction)</span>{own}{sure}</p>')


def _before_after(answer: dict[str, Any]) -> str:
    rows = [("Energy (as chosen above)", answer["energy_before"], answer["energy_after"])]
    rows += [(said, answer["scores_before"][name], answer["scores_after"][name]) for name, said in SCORES_SHOWN]
    body = "".join(f'<tr><th scope="row">{escape(said)}</th><td>{number(before)}</td><td>{number(after)}</td>'
                   f"<td>{_moved(before, after)}</td></tr>" for said, before, after in rows)
    return ('<div class="gb-thought-changed" aria-live="polite" tabindex="0" role="region" aria-label="Before and after the change">'
            f'<p>Written: <code>{escape(answer["before"])}</code><br>Changed to: <code>{escape(answer["after"])}</code></p>'
            '<table class="gb-table"><caption class="gb-unseen">Scores before and after the change</caption><thead><tr>'
            '<th scope="col">Score</th>'
            f'<th scope="col">before</th><th scope="col">after</th><th scope="col">it noticed?</th></tr></thead>'
            f"<tbody>{body}</tbody></table>"
            '<p class="gb-quiet">Every score is written so that less means less trust. One change proves little: the ROC lab makes two '
            "hundred.</p></div>")


def _moved(before: float | None, after: float | None) -> str:
    if before is None or after is None:
        return "–"
    if before == after:
        return "no change"
    share = abs(after - before) / abs(before) if before else 0.0
    by = f"{100 * share:.1f} %" if share >= 0.001 else "under 0.1 %"
    return f"{'less trust' if after < before else 'more trust'} ({by})"


def _larger(page: Page) -> str:
    return (setups.cards(page, OWN_MODELS) +
            '<p class="gb-quiet">Pressing Run downloads the model once; nothing you type leaves this machine. Such a model reads any '
            "question, but nobody checks its steps, so only its answer to a chain can be judged. Any other model that writes "
            "&lt;think&gt; and &lt;/think&gt; can be typed into the model field.</p>")
