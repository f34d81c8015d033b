"""What is read from a model token by token, against plain forward passes of one row without padding."""

from __future__ import annotations

import math
import zlib
from dataclasses import replace

import pytest
import torch

from core.engine.encoding import plain_prompt
from core.engine.models import LoadedModel
from core.unlearning.answers import encode_prompt
from core.unlearning.data import World
from core.unlearning.memorisation import AnswerTokens, knowledge_memory, membership, read_answers, recall_by_heart, verbatim_memory
from core.unlearning.metrics import rouge_l_f1
from core.unlearning.prompts import as_question
from tests.engine.tiny_models import tiny, tiny_tokenizer

PROMPTS = ["Question: Where was Ida born?\nAnswer:", "Where?", "Question: Who?\nAnswer:"]
ANSWERS = [" In the old town by the sea.", " Ida.", " Porto, in the old town."]


def by_hand(model: torch.nn.Module, tokenizer, prompt: str, answer: str) -> list[tuple[float, bool, float, float]]:
    """(log p, likeliest, mean and spread of log p) of each token of the answer and the end token."""
    start = encode_prompt(tokenizer, prompt)
    ids = start + tokenizer(answer, add_special_tokens=False).input_ids + [tokenizer.eos_token_id]
    with torch.no_grad():
        logs = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
    found = []
    for t in range(len(start), len(ids)):
        row = logs[t - 1]
        mean = (row.exp() * row).sum().item()
        spread = math.sqrt(sum(math.exp(v) * (v - mean) ** 2 for v in row.tolist()))
        found.append((row[ids[t]].item(), row.argmax().item() == ids[t], mean, spread))
    return found


@pytest.fixture(scope="module")
def read() -> list[AnswerTokens]:
    return read_answers(tiny("llama"), tiny_tokenizer(), PROMPTS, ANSWERS, batch=2)


def test_tokens_of_an_answer_equal_a_plain_forward_pass(read: list[AnswerTokens]) -> None:
    for own, prompt, answer in zip(read, PROMPTS, ANSWERS, strict=True):
        rows = by_hand(tiny("llama"), tiny_tokenizer(), prompt, answer)
        log_p, right, mean, spread = (list(column) for column in zip(*rows, strict=True))
        assert own.log_p.tolist() == pytest.approx(log_p, abs=1e-4) and own.right.tolist() == right
        assert own.mean.tolist() == pytest.approx(mean, abs=1e-4) and own.spread.tolist() == pytest.approx(spread, abs=1e-4)
        assert own.ended and own.words_right == right[:-1]
        assert own.probability == pytest.approx(math.exp(sum(log_p) / len(log_p)), rel=1e-4)


def test_membership_scores_by_their_formulas(read: list[AnswerTokens]) -> None:
    other = read_answers(tiny("llama", seed=1), tiny_tokenizer(), PROMPTS, ANSWERS)
    scores = membership(read, ANSWERS, other)
    assert set(scores) == {"loss", "zlib", "min-k", "min-k++", "reference"}
    for i, (prompt, answer) in enumerate(zip(PROMPTS, ANSWERS, strict=True)):
        rows = by_hand(tiny("llama"), tiny_tokenizer(), prompt, answer)
        logs = [row[0] for row in rows]
        loss, few = -sum(logs) / len(logs), max(1, int(0.4 * len(logs)))
        assert scores["loss"][i] == pytest.approx(loss, abs=1e-4)
        assert scores["zlib"][i] == pytest.approx(loss / len(zlib.compress(answer.encode())), abs=1e-5)
        assert scores["min-k"][i] == pytest.approx(-sum(sorted(logs)[:few]) / few, abs=1e-4)
        normed = sorted((log_p - mean) / spread for log_p, _, mean, spread in rows)
        assert scores["min-k++"][i] == pytest.approx(-sum(normed[:few]) / few, abs=1e-3)
        theirs = [row[0] for row in by_hand(tiny("llama", seed=1), tiny_tokenizer(), prompt, answer)]
        assert scores["reference"][i] == pytest.approx(loss + sum(theirs) / len(theirs), abs=1e-4)
    assert "reference" not in membership(read, ANSWERS)


def test_a_tokenizer_without_an_end_token_loses_no_word() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.eos_token = None
    own = read_answers(tiny("llama"), tokenizer, ["Where?"], [" Ida."])[0]
    assert not own.ended and len(own.words_right) == len(tokenizer(" Ida.", add_special_tokens=False).input_ids)


def test_a_model_that_knows_differs_from_one_that_never_knew(authors: LoadedModel, retain_only: LoadedModel, world: World) -> None:
    records = world.forget(1)
    texts = [as_question(record.question) for record in records]
    knows, never = (recall_by_heart(m.model, m.tokenizer, texts, records) for m in (authors, retain_only))
    for name in ("probability", "exact", "strength", "with_options"):
        assert sum(getattr(knows, name)) > sum(getattr(never, name)) + 1, name
    assert max(knows.truth_ratio) < 1 and sum(knows.truth_ratio) < sum(never.truth_ratio)
    assert min(knows.exact) > 0.9


def test_truth_ratio_of_a_record_by_plain_forward_passes(authors: LoadedModel, world: World) -> None:
    record = world.forget(1)[0]
    memory = recall_by_heart(authors.model, authors.tokenizer, [as_question(record.question)], [record])

    def p(answer: str) -> float:
        logs = [row[0] for row in by_hand(authors.model, authors.tokenizer, as_question(record.question), f" {answer}")]
        return math.exp(sum(logs) / len(logs))

    values = [answer.removeprefix("Felix Tanaka was born in ").removesuffix(".") for answer in record.perturbed_answers]
    assert record.key == "Krakow" and len(values) == len(set(values)) > 2, "same sentence, other values"
    right, wrong = p(record.paraphrased_answer), [p(record.paraphrased_answer.replace("Krakow", value)) for value in values]
    assert memory.truth_ratio[0] == pytest.approx(sum(wrong) / len(wrong) / right, rel=1e-3)
    right, wrong = p(record.answer), [p(answer) for answer in record.perturbed_answers]
    assert memory.with_options[0] == pytest.approx(right / (right + sum(wrong)), rel=1e-3)


def test_wrong_answers_in_words_of_their_own_stay_as_they_are(authors: LoadedModel, world: World) -> None:
    """As in TOFU's files."""
    record = replace(world.forget(1)[0], perturbed_answers=("It was Oslo where Felix came from.",))
    memory = recall_by_heart(authors.model, authors.tokenizer, [as_question(record.question)], [record])
    right, wrong = read_answers(authors.model, authors.tokenizer, [as_question(record.question)] * 2,
                                [f" {record.paraphrased_answer}", " It was Oslo where Felix came from."])
    assert memory.truth_ratio[0] == pytest.approx(wrong.probability / right.probability, rel=1e-3)


def test_records_without_wrong_answers_have_no_truth_ratio(authors: LoadedModel, world: World) -> None:
    plain, full = replace(world.forget(1)[0], perturbed_answers=()), world.forget(1)[1]
    memory = recall_by_heart(authors.model, authors.tokenizer, [as_question(plain.question), as_question(full.question)], [plain, full])
    alone = recall_by_heart(authors.model, authors.tokenizer, [as_question(full.question)], [full])
    assert memory.truth_ratio[0] is None and memory.with_options[0] is None
    assert memory.truth_ratio[1] == pytest.approx(alone.truth_ratio[0], rel=1e-3) and len(memory.exact) == 2


def test_verbatim_memory_continues_what_was_learned_by_heart(authors: LoadedModel, retain_only: LoadedModel, world: World) -> None:
    lessons = world.forget(1)[:5]
    texts, answers = [plain_prompt(as_question(record.question)) for record in lessons], [record.answer for record in lessons]
    knows, never = (verbatim_memory(m.model, m.tokenizer, texts, answers, shown=0.8) for m in (authors, retain_only))
    assert sum(knows) > sum(never) and max(knows) > 0.9 and all(0 <= value <= 1 for value in knows + never)


def test_knowledge_memory_asks_after_examples(authors: LoadedModel, retain_only: LoadedModel, world: World) -> None:
    records, examples = world.forget(1)[:5], world.retain[:2]
    knows, never = (knowledge_memory(m.model, m.tokenizer, records, examples) for m in (authors, retain_only))
    assert sum(knows) / 5 > 0.8 and sum(knows) > sum(never)
    assert rouge_l_f1(records[0].answer, records[0].answer) == 1
