"""Paper 02, live: a scene with its question, and the same scene with residuals turned down and up.

bias/scene       answer: SceneAnswer; pictures first, second, mask; figures options, layers, pushes; table words; numbers fairness, changes
bias/strength    answer: StrengthAnswer; figures bars, layers; numbers before, after, reaction of a plain question
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from core.bias import edits, figures
from core.bias.deck import Deck
from core.bias.editing import calibrate
from core.bias.edits import Strength
from core.bias.experiments import promoted
from core.bias.items import Item
from core.bias.metrics import TAU, fairness
from core.bias.residuals import by_layer, marginal
from core.bias.spec import EditConfig, SceneConfig, StrengthConfig
from core.bias.subject import Subject, subject
from core.engine.answers import Answer, Measure, data_uri
from core.engine.errors import LabError
from core.engine.lab import Lab
from core.scenes import questions as q
from core.scenes.render import mask, render
from core.scenes.scene import HAIR, TONES, Scene

SHOWN = 288  # pixels of a picture on the page
FACTORS = ("hair", "tone", "build", "job", "place", "side", "shape", "colour", "count", "height", "seed")
SLIDER_SEED = 0  # the slider's directions are those of a run with this seed


@dataclass(frozen=True, kw_only=True)
class SceneAnswer(Answer):
    """fair: whether each picture's answer is the fair one.  f: fairness of each.  p: probabilities, one row per picture."""

    options: list[str]
    fair: list[bool]
    f: list[float]
    p: list[list[float]]


@dataclass(frozen=True, kw_only=True)
class StrengthAnswer(Answer):
    """F of both pictures of the pair, before and after, and the options' probabilities."""

    options: list[str]
    before: list[list[float]]
    after: list[list[float]]
    f_before: float
    f_after: float


def scene(config: SceneConfig, lab: Lab) -> SceneAnswer:
    """Renders the pair, asks about both, and opens one layer."""
    who = _seeing(lab, config)
    deck = _deck(lab, who, config)
    if config.layer > deck.layers:
        raise LabError(f"This model has {deck.layers} layers.", f"Choose one from 1 to {deck.layers}.")
    items = deck.items
    (answer,) = deck.ask([{}])
    states = deck.states()
    curve, phi, mass = by_layer(deck, states)
    scores = marginal(deck, states)
    size, groups = len(items[0].options), len(items[0].options) - 1
    p = answer.p[:, :size]
    f = fairness(p[:, :groups])
    mine = next(i for i, item in enumerate(items) if getattr(item.picture, _axis(config)) == getattr(config, _axis(config)))
    names = [_title(getattr(item.picture, _axis(config))) for item in items]
    fair = p.argmax(-1) == groups
    opened = [
        (kind, states.parts[deck.owner == mine][:, config.layer - 1, k].mean(0), float(scores[mine, config.layer - 1, k]))
        for k, kind in enumerate(("attention", "MLP"))
    ]
    return SceneAnswer(
        options=list(items[0].options),
        fair=fair.tolist(),
        f=f.tolist(),
        p=p.tolist(),
        says=_said(names, fair, f, p, items[0].options),
        aside="Made-up leans, drawn by lot: the picture decides nothing here, so both pictures should get the same answer.",
        numbers={
            "fairness": Measure(float(f[mine]), remark="1: groups tie"),
            "changes": Measure(float(np.abs(p[0] - p[-1]).sum() / 2), "share", "what the group in the picture changes"),
            "mass": Measure(float(answer.mass[mine]), "share", "of all words, what the options get"),
        },
        figures={
            "options": figures.bars(items[0].options, dict(zip(names, p.tolist(), strict=True))),
            "layers": figures.layers(curve[mine].numpy(), phi[mine].numpy(), mass[mine].numpy()),
            "pushes": figures.pushes(scores[mine].numpy(), config.layer),
        },
        tables={
            "words": {
                "columns": ["residual", "adds to F", "words it promotes"],
                "rows": [
                    [f"{kind} of layer {config.layer}", round(value, 4), ", ".join(promoted(who, vector))] for kind, vector, value in opened
                ],
            }
        },
        images={
            "first": _picture(items[0].picture),
            "second": _picture(items[-1].picture),
            "mask": _masked(items[mine].picture, _axis(config)),
        },
    )


def strength(config: StrengthConfig, lab: Lab) -> StrengthAnswer:
    """The pair's answers before and after the edit; one token per prompt is computed anew."""
    who = _seeing(lab, config)
    deck = _deck(lab, who, config)
    plan = _plan(lab, who, config, deck.layers)
    before, after = deck.ask([{}, plan])
    size, groups = len(deck.items[0].options), len(deck.items[0].options) - 1
    p, q_ = before.p[:, :size], after.p[:, :size]
    f, g = float(fairness(p[:, :groups]).mean()), float(fairness(q_[:, :groups]).mean())
    names = [_title(getattr(item.picture, _axis(config))) for item in deck.items]
    rows = {f"before, {name}": row for name, row in zip(names, p.tolist(), strict=True)}
    rows |= {f"after, {name}": row for name, row in zip(names, q_.tolist(), strict=True)}
    gap = [float(np.abs(x[0] - x[-1]).sum() / 2) for x in (p, q_)]
    which = "chance directions" if config.control == "random" else "measured directions"
    return StrengthAnswer(
        options=list(deck.items[0].options),
        before=p.tolist(),
        after=q_.tolist(),
        f_before=f,
        f_after=g,
        says=f"With {which}, fairness goes from {f:.2f} to {g:.2f}, and what the pictured group changes from {gap[0]:.0%} to {gap[1]:.0%}.",
        aside="One scene is an example. Press Run above for the answer on scenes and verbs that were never used.",
        numbers={
            "before": Measure(f, remark="fairness before"),
            "after": Measure(g, remark="fairness after"),
            "change": Measure(gap[1], "share", "what the pictured group still changes"),
        },
        figures={"bars": figures.bars(deck.items[0].options, rows)},
    )


def _seeing(lab: Lab, config: SceneConfig) -> Subject:
    who = subject(lab, config.model, config.planted, config.trained)
    if not who.sees:
        raise LabError("This model sees no pictures.", "Choose embedded/scenes here; text models can be audited below.")
    return who


def _axis(config: SceneConfig) -> str:
    return "hair" if config.ask == "job" or config.verb in q.VERBS else "tone"


def _deck(lab: Lab, who: Subject, config: SceneConfig) -> Deck:
    """The pair's deck, with everything before the answering token computed once per scene and question."""
    asked = {name: value for name, value in config.model_dump().items() if name in SceneConfig.model_fields and name != "layer"}
    key = (*who.key, "scene", repr(sorted(asked.items())))
    if (known := lab.cache.get(key)) is not None:
        return known
    drawn = Scene(**{name: getattr(config, name) for name in FACTORS})
    axis = _axis(config)
    if config.ask == "job":
        question, concept = q.occupation((config.first_job, config.second_job), config.wording, hint=config.hint), "job"
    else:
        question, concept = q.association(config.verb, axis, config.wording, config.hint), config.verb
    groups = HAIR if axis == "hair" else TONES
    items = [
        Item(
            "occupation" if config.ask == "job" else "association",
            question.text,
            question.options,
            len(question.options) - 1,
            len(question.options) - 1,
            "live",
            concept,
            i,
            pair=0,
            picture=replace(drawn, **{axis: value}),
        )
        for i, value in enumerate(groups)
    ]
    made = Deck(who.model, who.form, items, keep=True)
    lab.cache[key] = made
    return made


def _plan(lab: Lab, who: Subject, config: StrengthConfig, layers: int) -> edits.Plan:
    ready = calibrate(lab, EditConfig(model=config.model, planted=config.planted, trained=config.trained, axis=_axis(config)), who)
    vectors = ready.vectors
    if config.control == "random":
        vectors = edits.random_vectors(vectors, torch.Generator().manual_seed(SLIDER_SEED))
    where = range(layers) if config.layers == "all" else range(layers // 2, layers)
    return edits.edit(vectors, Strength(config.mode, config.biased, min(config.fair, edits.CAP / len(where)), config.k), where)


def _said(names: list[str], fair: Any, f: Any, p: Any, options: tuple[str, ...]) -> str:
    answers = [options[i] for i in p.argmax(-1)]
    same = len(set(answers)) == 1
    start = (
        f"Both pictures get the answer '{answers[0]}'"
        if same
        else "The answer depends on the picture: " + ", ".join(f"'{a}' with {n}" for a, n in zip(answers, names, strict=True))
    )
    paradox = [n for n, is_fair, value in zip(names, fair, f, strict=True) if is_fair and value < 1 - TAU]
    return start + (f". A paradox: fair outside, but with {' and '.join(paradox)} one group is clearly ahead inside." if paradox else ".")


def _title(value: str) -> str:
    return f"{value} hair" if value in HAIR else value.replace("tone", "tone ")


def _picture(shown: Scene) -> str:
    return data_uri(Image.fromarray(render(shown, SHOWN)))


def _masked(shown: Scene, axis: str) -> str:
    """What the model sees, with the pixels that the group can change in red."""
    seen = render(shown)
    where = mask(shown, axis)
    seen = np.where(where[..., None], (0.35 * seen + 0.65 * np.array([214, 40, 40])).astype(np.uint8), seen)
    return data_uri(Image.fromarray(seen.repeat(4, 0).repeat(4, 1)))
