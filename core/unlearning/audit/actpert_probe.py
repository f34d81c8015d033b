"""ActPert on one question: the name is shaken, the states move, and the answer is given again with a push along the way.

    look = look(lab.load("embedded/worlds"), ActPertConfig(question="Where was Felix Tanaka born?", alpha=-1), lab)
    look.before, look.after, look.random
"""

from __future__ import annotations

from dataclasses import dataclass

from core.engine.answers import Answer
from core.engine.errors import LabError
from core.engine.families import family_of
from core.engine.lab import Lab
from core.engine.models import LoadedModel
from core.unlearning.answers import after_thinking, answer, encode_prompt
from core.unlearning.audit import figures
from core.unlearning.audit.actpert import HIDDEN_NOISE, Cell, Shift, answers, noised_answer, perturb, random_like, subject_span
from core.unlearning.audit.spec import EXAMPLE, ActPertConfig
from core.unlearning.prompts import Prompt, render
from core.unlearning.replies import check_length

CARDS = (("Without a push", "the usual answer"),
         ("Pushed along the name", "the direction in which the shaking moved its thoughts"),
         ("Pushed at random", "the control: a random direction, equally strong"))

NOISED = ("Plain noise on its thoughts", "a control without any direction; it is not ActPert")


@dataclass(frozen=True)
class Look(Answer):
    """tokens: the prompt as the model reads it.  shaken: which of them carry the name.  size: by layer and token, how far the
    state moved (the length of delta).  noise: standard deviation of what was added to the word vectors.
    before, after, random: the answer without a push, with it, and along a random direction of the same length. In the mode
    hidden_noise nothing is pushed: `after` is the answer under noise on the states, `random` under a second draw of it.
    figure map; tables tokens (the strip) and answers (three cards).
    """

    model: str
    tokens: list[str]
    shaken: list[bool]
    size: list[list[float]]
    noise: float
    layer: int
    layers: int
    before: str
    after: str
    random: str


def look(loaded: LoadedModel, config: ActPertConfig, lab: Lab) -> Look:
    """Raises LabError for an empty question, a question without a name, and a layer that the model does not have."""
    model, tokenizer = loaded.model, loaded.tokenizer
    layers = len(family_of(model).layers(model))
    if not config.question:
        raise LabError("There is no question.", f"Type one, for example: {EXAMPLE}")
    if config.layer > layers:
        raise LabError(f"{loaded.ref} has no layer {config.layer}.", f"Choose 1 to {layers}.")
    text = render(Prompt(config.question, "", ""), tokenizer)
    check_length(encode_prompt(tokenizer, text), model, loaded.ref)
    begin, end = _name(config)
    text = after_thinking(model, tokenizer, [text])[0]
    start = text.text.rindex(config.question)
    shift = perturb(model, tokenizer, [text], [(start + begin, start + end)], layers=[config.layer], rng=lab.rng("actpert noise"),
                    noise=config.noise, unit=config.noise_unit)
    tokens, shaken = [tokenizer.decode([token]) for token in shift.ids[0].tolist()], shift.subject[0].tolist()
    size = [[round(far, 6) for far in row] for row in shift.size[:, 0].tolist()]
    said = [answer(model, tokenizer, [text])[0], *_pushed(loaded, shift, config, lab)]
    noised = config.mode == "hidden_noise"
    moved = size[config.layer - 1]
    strip = {"columns": ["token", "moved by", "shaken"], "customdata": [{"place": i} for i in range(len(tokens))],
             "rows": [[token, far, "yes" if own else "no"] for token, far, own in zip(tokens, moved, shaken, strict=True)]}
    titles = (CARDS[0], NOISED, ("The same, drawn again", NOISED[1])) if noised else CARDS
    cards = [[title, words, remark] for (title, remark), words in zip(titles, said, strict=True)]
    did = "Noise falls on every thought after" if noised else "The push follows"
    return Look(
        loaded.ref, tokens, shaken, size, shift.noise, config.layer, layers, *said,
        aside=f"The name was shaken by noise of strength {shift.noise:.3g}. {did} layer {config.layer} of {layers}.",
        figures={"map": figures.shift_map(tokens, shaken, size)},
        tables={"tokens": strip, "answers": {"columns": ["how", "answer", "what for"], "rows": cards}})


def _pushed(loaded: LoadedModel, shift: Shift, config: ActPertConfig, lab: Lab) -> list[str]:
    """The answers with the push and with its control; for the mode hidden_noise two draws of the noise."""
    model, tokenizer = loaded.model, loaded.tokenizer
    if config.mode == "hidden_noise":
        rng = lab.rng("actpert hidden noise")
        return [noised_answer(model, tokenizer, shift, config.layer, rng, HIDDEN_NOISE * config.alpha) for _ in range(2)]
    asked = [(0, Cell(config.layer, config.mode, config.alpha))]
    return [answers(model, tokenizer, along, asked)[0] for along in (shift, random_like(shift, lab.rng("actpert random")))]


def _name(config: ActPertConfig) -> tuple[int, int]:
    if config.subject:
        begin = config.question.lower().find(config.subject.lower())
        if begin < 0:
            raise LabError(f"'{config.subject}' does not stand in the question.", "Write the name as it stands in the question.")
        return begin, begin + len(config.subject)
    span = subject_span(config.question, None)
    if span is None:
        raise LabError("There is no name in this question.", "Say in 'The name in it' which words to shake.")
    return span
