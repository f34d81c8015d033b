"""What one may ask the models of the auditor: a question of one's own, one question from the inside, and what is in a file.

    said = ask(AskConfig(question="Where was Ida Brandt born?"), lab)
    said.answer          # "Ida Brandt was born in Porto."
    said.lens[2][0]      # after two layers, what it would have said first
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.engine.answers import Answer
from core.engine.decoding import decode_greedily, end_tokens
from core.engine.encoding import PromptText, plain_prompt
from core.engine.errors import LabError
from core.engine.lab import Lab
from core.engine.lens import read_attention, read_layers
from core.engine.system_prompt import said as said_before
from core.engine.system_prompt import without
from core.engine.thinking import split_ids
from core.unlearning.answers import NEW_TOKENS, cut, encode_prompt, speak
from core.unlearning.audit import actpert_probe, figures
from core.unlearning.audit.actpert_probe import Look
from core.unlearning.audit.spec import EXAMPLE, ActPertConfig, AskConfig, QuestionsConfig
from core.unlearning.prompts import AUDITS, PREFIXES, STARTS, Prompt, offered, render
from core.unlearning.questions import read_questions
from core.unlearning.replies import STILL_THINKING, check_length, with_tokenizer

LOOKED_AT = 60  # questions, to say which ways of asking a table allows
TOP = 5
LENS_TOKENS = 12
@dataclass(frozen=True)
class Guess:
    """A token as readable text, and its probability."""

    token: str
    probability: float


@dataclass(frozen=True)
class Reply(Answer):
    """tokens: the prompt as the model reads it.  top: the likeliest first tokens of the answer, best first.
    said: the answer's first tokens.  lens: per layer (0 = before any) and per token of `said`, what that layer would say.
    settled: per layer and token, the probability that the layer gives to what was really said.
    attention: per layer and token of the prompt, what share of its attention falls there before the answer begins, mean over heads.
    figures next_tokens, lens, attention; table answers: one card.
    """

    model: str
    prompt: str
    tokens: list[str]
    answer: str
    top: list[Guess]
    said: list[str]
    lens: list[list[Guess]]
    settled: list[list[float]]
    attention: list[list[float]]


def ask(config: AskConfig, lab: Lab) -> Reply:
    """Greedy answer with the inside view. Raises LabError for an empty question and for one longer than the model can read."""
    loaded = with_tokenizer(lab.load(config.model))
    model, tokenizer = loaded.model, loaded.tokenizer if config.system == "as it comes" else without(loaded.tokenizer)
    text = _prompt(config, tokenizer)
    ids = encode_prompt(tokenizer, text)
    check_length(ids, model, loaded.ref)
    row = torch.tensor([ids], device=model.device)
    said = decode_greedily(model, row, torch.ones_like(row), end_tokens(model, tokenizer), NEW_TOKENS)[0]
    shown = said[:LENS_TOKENS]  # the last token said needs no position of its own
    whole = torch.tensor([ids + shown[:-1]], device=model.device)
    depths = read_layers(model, whole, positions=range(len(ids) - 1, whole.shape[1])).exp()
    shown = shown or [int(depths[-1, 0].argmax())]  # a model that says nothing has chosen to end
    best = depths.max(-1)
    lens = [[Guess(readable(tokenizer, token), round(probability, 6)) for token, probability in zip(tokens, probabilities, strict=True)]
            for tokens, probabilities in zip(best.indices.tolist(), best.values.tolist(), strict=True)]
    settled = [[round(layer[i, token].item(), 6) for i, token in enumerate(shown)] for layer in depths]
    top = depths[-1, 0].topk(TOP)
    guesses = [Guess(readable(tokenizer, t), round(p, 6)) for t, p in zip(top.indices.tolist(), top.values.tolist(), strict=True)]
    answer, words = _answer_of(model, tokenizer, text, said), [readable(tokenizer, token) for token in shown]
    looked = read_attention(lab.fork(config.model, share_weights=True).model, row)
    looks, read = [[round(share, 6) for share in layer] for layer in looked.tolist()], [readable(tokenizer, token) for token in ids]
    drawn = {"next_tokens": figures.next_tokens([asdict(guess) for guess in guesses]),
             "lens": figures.lens(words, [[asdict(guess) for guess in layer] for layer in lens], settled),
             "attention": figures.attention(read, looks)}
    card = [loaded.ref, answer, f"first token {guesses[0].token!r}, probability {guesses[0].probability:.3g}"]
    unasked = said_before(tokenizer) if text.chat else ""
    return Reply(loaded.ref, text.text, read, answer, guesses, words, lens, settled, looks,
                 aside=unasked and f"Before your question it read: {unasked}", figures=drawn,
                 tables={"answers": {"columns": ["who", "answer", "first token"], "rows": [card]}})


def _answer_of(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, text: PromptText, said: list[int]) -> str:
    """Of a model that thinks first, what stands behind its thoughts."""
    own = split_ids(tokenizer, said, text.turn)
    if own.state != "none":
        own = speak(model, tokenizer, [text])[0]
    return STILL_THINKING if own.state == "unfinished" else cut(own.answer)


def _prompt(config: AskConfig, tokenizer: PreTrainedTokenizerBase) -> PromptText:
    if not config.question:
        raise LabError("There is no question.", f"Type one, for example: {EXAMPLE}")
    if config.style == "raw":
        return plain_prompt(config.question)
    before = f"{PREFIXES[0]}\n" if config.style == "prefix" else ""
    start = STARTS[0] if config.style == "affirm" else ""
    return render(Prompt(config.question, "", "", before=before, start=start), tokenizer)


def readable(tokenizer: PreTrainedTokenizerBase, token: int) -> str:
    """One token as text: spaces kept; a piece of a character shows as a replacement sign, a special token by its name."""
    return tokenizer.decode([token], skip_special_tokens=False)


def actpert(config: ActPertConfig, lab: Lab) -> Look:
    """One question: how far shaking the name moves the states, and the answer before and after a push."""
    return actpert_probe.look(with_tokenizer(lab.load(config.model)), config, lab)


@dataclass(frozen=True)
class Found:
    """says: what was found, in sentences.  questions: how many can be asked.  refused: way of asking -> why it cannot be tried."""

    says: str
    questions: int
    refused: dict[str, str]


def questions(config: QuestionsConfig, lab: Lab) -> Found:
    """Reads the file. Raises LabError for a file that is no table of questions."""
    if not (config.questions or config.keep):
        raise LabError("No file was given.", "Bring a table whose first row names the columns 'question' and 'answer'.")
    world = read_questions(lab.data(config.questions or config.keep), lab.data(config.keep) if config.questions and config.keep else None)
    refused = {way: why for way, why in offered(world.records[:LOOKED_AT], world).items() if why and AUDITS[way].build}
    count, titles = len(world.records), [f'"{AUDITS[way].title}"' for way in refused]
    says = [f"{count} question{'' if count == 1 else 's'}, for example: {world.records[0].question}", *world.notes]
    if titles:
        says.append(f"This table does not allow {', '.join(titles)}: those ways of asking need more columns.")
    return Found(" ".join(says), count, refused)
