"""How well a model knows given answers, token by token.

    memory = recall_by_heart(model, tokenizer, [render(p, tokenizer) for p in prompts], records)
    memory.strength, memory.truth_ratio            # one number per question
    scores = membership(read_answers(model, tokenizer, texts, answers), answers)["min-k++"]

Formulas are in `metrics.py`; definitions follow methods/01 section 4.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.engine.encoding import PromptText, as_prompt, begin_ids, encode_pairs, end_ids, plain_prompt
from core.unlearning.answers import BATCH, encode_answers, rival_losses, room_left, speak, token_scores
from core.unlearning.data import Record
from core.unlearning.metrics import exact_memorisation, extraction_strength, probability_with_options, rouge_l_f1, truth_ratio
from core.unlearning.prompts import as_question, put, render

MIN_K = 0.4
VERBATIM_TOKENS = 128
KNOWLEDGE_TOKENS = 32


@dataclass(frozen=True)
class AnswerTokens:
    """One answer, teacher-forced; each (tokens,), the end token last where the tokenizer has one.

    log_p: of the true token, in nats.  right: whether it is the likeliest.  mean, spread: expectation and standard deviation
    of log p over the vocabulary, as the model itself believes.  ended: whether the last token is the end token.
    """

    log_p: Tensor
    right: Tensor
    mean: Tensor
    spread: Tensor
    ended: bool

    @property
    def probability(self) -> float:
        """Per token: exp of the mean log-probability."""
        return self.log_p.mean().exp().item()

    @property
    def words_right(self) -> list[bool]:
        """`right` without the end token."""
        return self.said(self.right).tolist()

    def said(self, values: Tensor) -> Tensor:
        """One value per token, (tokens,), without that of the end token."""
        return values[:-1] if self.ended else values


@dataclass(frozen=True)
class Memory:
    """One number per question.

    probability: of the true answer, per token.  exact: EM.  strength: ES.
    with_options: probability with options, None where it was not asked for; truth_ratio: R with the arithmetic mean, geometric: with
    the geometric one. All three None where a record has no wrong answers.
    """

    probability: list[float]
    exact: list[float]
    strength: list[float]
    with_options: list[float | None]
    truth_ratio: list[float | None]
    geometric: list[float | None]


@torch.no_grad()
def read_answers(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[PromptText | str],
                 answers: Sequence[str], *, batch: int = BATCH) -> list[AnswerTokens]:
    """One entry per prompt; all prompts are plain, or all are in the chat template."""
    ended, found = bool(prompts) and bool(end_ids(tokenizer, as_prompt(prompts[0]))), []
    for start in range(0, len(prompts), batch):
        scores = token_scores(model, encode_answers(tokenizer, prompts[start:start + batch], answers[start:start + batch]))
        logs = scores.logits.log_softmax(-1)
        p = logs.exp()
        mean = (p * logs).sum(-1)
        spread = (p * (logs - mean[:, None]).square()).sum(-1).sqrt()
        sizes = torch.bincount(scores.row, minlength=scores.rows).tolist()
        columns = [column.cpu().split(sizes) for column in (scores.log_p, logs.argmax(-1) == scores.wanted, mean, spread)]
        found += [AnswerTokens(*parts, ended) for parts in zip(*columns, strict=True)]
    return found


def recall_by_heart(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: Sequence[PromptText | str],
                    records: Sequence[Record], options: bool = True) -> Memory:
    """Everything about the true answers of `records`, asked by the rendered prompts `texts`.

    The truth ratio compares with the paraphrased answer, or with the answer where a record has no paraphrase.  options: whether the
    probability with options is wanted, for which the wrong answers are read once more, in the words of the answer.
    """
    beside = [record.perturbed_answers if options else () for record in records]
    rivals = [[f" {text}" for text in (*wrong, *_rivals(record))] for wrong, record in zip(beside, records, strict=True)]
    tokens = read_answers(model, tokenizer, texts, [f" {record.answer}" for record in records])
    losses = rival_losses(model, tokenizer, texts, rivals)
    probabilities = iter([math.exp(-loss) for own in losses for loss in own])
    shares, ratios, geometric = [], [], []
    for own, asked, record in zip(tokens, beside, records, strict=True):
        shares.append(probability_with_options(own.probability, [next(probabilities) for _ in asked]) if asked else None)
        if not record.perturbed_answers:
            ratios.append(None)
            geometric.append(None)
            continue
        true, wrong = next(probabilities), [next(probabilities) for _ in record.perturbed_answers]
        ratios.append(truth_ratio(true, wrong))
        geometric.append(truth_ratio(true, wrong, geometric=True))
    right = [own.words_right for own in tokens]
    return Memory([own.probability for own in tokens], [exact_memorisation(r) for r in right],
                  [extraction_strength(r) for r in right], shares, ratios, geometric)


def _rivals(record: Record) -> list[str]:
    """The true answer and the wrong ones, all in the words of the paraphrase where there is one; empty without wrong answers.

    TOFU's wrong answers have those words. Those of our worlds have the words of the answer itself, so that their values move into
    the paraphrase: else the ratio would compare two ways of saying it instead of two facts.
    """
    if not record.perturbed_answers:
        return []
    true, wrong = record.paraphrased_answer or record.answer, list(record.perturbed_answers)
    before, _, after = record.answer.partition(record.key)
    alike = all(text.startswith(before) and text.endswith(after) for text in wrong)
    if alike and before + after and record.key in true and true != record.answer:
        wrong = [true.replace(record.key, text[len(before):len(text) - len(after)]) for text in wrong]
    return [true, *wrong]


def membership(tokens: Sequence[AnswerTokens], answers: Sequence[str],
               reference: Sequence[AnswerTokens] | None = None) -> dict[str, list[float]]:
    """Membership scores by name, one number per answer; the lower, the more it looks like training data.

    loss: NLL per token.  zlib: that, over the length of the zipped answer.  min-k: minus the mean of the lowest 40 % of log p.
    min-k++: the same on (log p - mean) / spread.  reference: NLL per token minus that of the reference model, if there is one.
    The end token counts for loss, zlib and reference and not for min-k and min-k++, as open-unlearning has it.
    """
    loss = [-own.log_p.mean().item() for own in tokens]
    scores = {
        "loss": loss,
        "zlib": [value / len(zlib.compress(text.encode())) for value, text in zip(loss, answers, strict=True)],
        "min-k": [-_lowest(own.said(own.log_p)) for own in tokens],
        "min-k++": [-_lowest(own.said((own.log_p - own.mean) / own.spread.clamp(min=1e-6))) for own in tokens],
    }
    if reference is not None:
        scores["reference"] = [value + other.log_p.mean().item() for value, other in zip(loss, reference, strict=True)]
    return scores


def _lowest(values: Tensor) -> float:
    """Mean of the lowest 40 %, at least one."""
    return values.sort().values[:max(1, int(MIN_K * len(values)))].mean().item()


def verbatim_memory(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[PromptText], answers: Sequence[str],
                    shown: float = 0.5) -> list[float]:
    """VerbMem (MUSE): ROUGE-L F1 of the continuation of the first part of each lesson, at most 128 tokens, with the true one.

    A lesson is a prompt with its answer, in the form in which the model reads it.
    """
    begun, wanted = [], []
    for prompt, pair in zip(prompts, encode_pairs(tokenizer, prompts, answers, end=False), strict=True):
        middle = max(1, int(shown * len(pair.ids)))
        text = tokenizer.decode(pair.ids[len(begin_ids(tokenizer, prompt)):middle], skip_special_tokens=not prompt.chat)
        begun.append(PromptText(text, "", prompt.chat, prompt.turn))
        wanted.append(tokenizer.decode(pair.ids[middle:middle + VERBATIM_TOKENS], skip_special_tokens=True))
    return [rouge_l_f1(text, true) for text, true in zip(_continued(model, tokenizer, begun), wanted, strict=True)]


def given_verbatim(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, records: Sequence[Record]) -> list[float]:
    """VerbMem of texts whose beginning and continuation a file gives apart, as MUSE does."""
    said = _continued(model, tokenizer, [plain_prompt(record.question) for record in records])
    return [rouge_l_f1(text, record.answer) for text, record in zip(said, records, strict=True)]


def _continued(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[PromptText]) -> list[str]:
    room = max(1, min(VERBATIM_TOKENS, room_left(model, tokenizer, prompts)))
    return [said.thinking + said.answer for said in speak(model, tokenizer, prompts, new_tokens=room)]


def knowledge_memory(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, records: Sequence[Record],
                     examples: Sequence[Record]) -> list[float]:
    """KnowMem (MUSE): ROUGE-L F1 of at most 32 tokens of answer with the true one, after the same answered examples.

    Empty when examples and questions are longer than the model can read.
    """
    shots = "".join(f"{as_question(shot.question)} {shot.answer}\n\n" for shot in examples)
    prompts = [render(put(record, before=shots), tokenizer) for record in records]
    if room_left(model, tokenizer, prompts) < KNOWLEDGE_TOKENS:
        return []
    said = speak(model, tokenizer, prompts, new_tokens=KNOWLEDGE_TOKENS)
    return [rouge_l_f1(re.split(r"\n\n|\nQuestion|Question:", own.answer)[0], record.answer)
            for own, record in zip(said, records, strict=True)]
