"""One model, all questions: what it answers, how likely it finds the truth, and from which layer on the truth can be read.

    scores = yield from examine(lab.load("embedded/authors"), questions, pace, "original")
    scores.direct.hits, scores.n
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.engine.events import Progress
from core.engine.lens import read_layers
from core.unlearning.answers import BATCH, answer, answer_losses, encode_answers
from core.unlearning.audits import Prompt, build_prompts, render
from core.unlearning.data import Record, World
from core.unlearning.metrics import key_found, rouge_l_recall


@dataclass(frozen=True)
class Questions:
    """What every model is asked: the facts to forget, plainly and under the audit, and a sample of facts to keep, plainly."""

    records: list[Record]
    direct: list[Prompt]
    audited: list[Prompt]
    retain: list[Prompt]
    values: dict[str, list[str]]

    @classmethod
    def draw(cls, world: World, subjects: int, audit: str, retain: Sequence[Record], rng: torch.Generator) -> Questions:
        """All facts of `subjects` people; `retain` are the records asked to see what is kept."""
        records = world.forget(subjects)
        return cls(records, build_prompts("direct", records, world, rng), build_prompts(audit, records, world, rng),
                   build_prompts("direct", retain, world, rng), {record.attribute: world.values(record.attribute) for record in records})


@dataclass
class Outputs:
    """Answers to a list of prompts, and which of them hold the key."""

    texts: list[str] = field(default_factory=list)
    found: list[bool] = field(default_factory=list)

    @property
    def hits(self) -> int:
        return sum(self.found)

    @property
    def share(self) -> float:
        """Answer-key recall."""
        return self.hits / len(self.found)


@dataclass
class Scores:
    """Everything measured on one model; lists have one entry per forget question, `readable` one list per layer."""

    direct: Outputs
    audited: Outputs
    retain: Outputs
    answer_probability: list[float]
    key_probability: list[float]
    overlap: list[float]
    readable: list[list[bool]]


class Pace:
    """Counts what is done of a known total, for the progress bar."""

    def __init__(self, total: int) -> None:
        self.done, self.total = 0, total

    def step(self, note: str, by: int = 1) -> Progress:
        """One more part is beginning."""
        self.done = min(self.done + by, self.total)
        return Progress(self.done, self.total, note)


PARTS = 5


def reply(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Prompt]) -> Outputs:
    """Greedy answers to all prompts."""
    texts = answer(model, tokenizer, [render(prompt, tokenizer) for prompt in prompts])
    return Outputs(texts, [key_found(text, prompt.key) for text, prompt in zip(texts, prompts, strict=True)])


def examine(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, questions: Questions, pace: Pace,
            who: str) -> Generator[Progress, None, Scores]:
    """Asks everything, saying before each part what comes."""
    yield pace.step(f"asking the {who} model plainly")
    direct = reply(model, tokenizer, questions.direct)
    yield pace.step(f"asking the {who} model in the other way")
    audited = reply(model, tokenizer, questions.audited)
    retain = Outputs()
    for start in range(0, len(questions.retain), BATCH):
        yield pace.step(f"asking the {who} model what it should keep", by=int(start == 0))
        part = reply(model, tokenizer, questions.retain[start:start + BATCH])
        retain = Outputs(retain.texts + part.texts, retain.found + part.found)
    yield pace.step(f"how likely the {who} model finds the truth")
    texts = [render(prompt, tokenizer) for prompt in questions.direct]
    answers = [prompt.answer for prompt in questions.direct]
    whole = answer_losses(model, tokenizer, texts, answers)
    leads, keys = zip(*(split_at_key(prompt) for prompt in questions.direct), strict=True)
    key = answer_losses(model, tokenizer, [a + b for a, b in zip(texts, leads, strict=True)], keys, end=False)
    yield pace.step(f"reading the layers of the {who} model")
    readable = read_values(model, tokenizer, questions)
    return Scores(direct, audited, retain, whole.mean.neg().exp().tolist(), key.mean.neg().exp().tolist(),
                  [rouge_l_recall(text, prompt.answer) for text, prompt in zip(direct.texts, questions.direct, strict=True)], readable)


def split_at_key(prompt: Prompt) -> tuple[str, str]:
    """The answer up to its key, and the key with the space before it: (" Ida was born in", " Porto")."""
    start = prompt.answer.index(prompt.key)
    return prompt.answer[:start].rstrip(), " " + prompt.key


def read_values(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, questions: Questions) -> list[list[bool]]:
    """Per layer (0 = the embeddings), per question: does the logit lens rank the right value above all others of its kind?

    Read where the key begins in the true answer to the plain question. Values are compared by their first token, so a
    question is left out when the tokenizer begins all of its values alike; empty when no question is left.
    """
    found: list[list[bool]] = []
    for begin in range(0, len(questions.records), BATCH):
        prompts, records = questions.direct[begin:begin + BATCH], questions.records[begin:begin + BATCH]
        leads = [render(prompt, tokenizer) + split_at_key(prompt)[0] for prompt in prompts]
        encoded = encode_answers(tokenizer, leads, [""] * len(leads), end=False)
        ends = [(row, int(mask.sum()) - 1) for row, mask in enumerate(encoded.mask)]
        depths = read_layers(model, encoded.ids.to(model.device), encoded.mask.to(model.device), positions=ends)
        hits = []
        for row, record in enumerate(records):
            right = _first_token(tokenizer, record.key)
            others = sorted({_first_token(tokenizer, value) for value in questions.values[record.attribute]} - {right})
            if others:
                hits.append((depths[:, row, right] > depths[:, row, others].amax(-1)).tolist())
        if hits:
            found = [old + list(new) for old, new in zip(found or [[]] * len(depths), zip(*hits, strict=True), strict=True)]
    return found


def _first_token(tokenizer: PreTrainedTokenizerBase, value: str) -> int:
    return tokenizer(" " + value, add_special_tokens=False).input_ids[0]
