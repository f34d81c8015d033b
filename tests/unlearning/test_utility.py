"""The nine numbers of the utility, and multiple choice, against plain forward passes of one row."""

from __future__ import annotations

import math
from statistics import fmean

import pytest
import torch
from scipy import stats

from core.engine.models import LoadedModel
from core.engine.settings import ASSETS
from core.engine.steps import Pacer
from core.unlearning.answers import encode_prompt
from core.unlearning.audit.examine import Questions, examine, plain
from core.unlearning.audit.utility import PEOPLE_TO_KEEP, RetainScores, counted, one_of_each, utility
from core.unlearning.data import WORLDS, Record, World, read_world
from core.unlearning.memorisation import recall_by_heart
from core.unlearning.prompts import as_question, build_prompts
from core.unlearning.replies import Replies, choose, reply


def probability(loaded: LoadedModel, prompt: str, answer: str) -> float:
    """Per token, end token included, by one plain forward pass."""
    start = encode_prompt(loaded.tokenizer, prompt)
    ids = [*start, *loaded.tokenizer(answer, add_special_tokens=False).input_ids, loaded.tokenizer.eos_token_id]
    with torch.no_grad():
        logs = loaded.model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
    return math.exp(fmean(logs[t - 1, ids[t]].item() for t in range(len(start), len(ids))))


def by_hand(loaded: LoadedModel, record: Record, far: bool) -> tuple[float, float]:
    """Probability (among the options if far) and max(0, 1 - R) of one record."""
    prompt, key = as_question(record.question), record.key
    right = probability(loaded, prompt, f" {record.answer}")
    before, _, after = record.answer.partition(key)
    values = [wrong.removeprefix(before).removesuffix(after) for wrong in record.perturbed_answers]
    said = [probability(loaded, prompt, f" {record.paraphrased_answer.replace(key, value)}") for value in (key, *values)]
    options = [probability(loaded, prompt, f" {wrong}") for wrong in record.perturbed_answers]
    return right / (right + sum(options)) if far else right, max(0.0, 1 - fmean(said[1:]) / said[0])


@pytest.mark.parametrize("far", [False, True])
def test_three_numbers_of_a_set_by_plain_forward_passes(retain_only: LoadedModel, world: World, far: bool) -> None:
    """Two facts that the model knows and two that it does not."""
    records = world.retain[:2] + world.holdout[3:5]
    memory = recall_by_heart(retain_only.model, retain_only.tokenizer, [as_question(r.question) for r in records], records)
    outputs = Replies([records[0].answer, "", "Nobody was here", records[3].answer], [True, False, False, True])
    kept = RetainScores.of(outputs, memory, records, far=far)
    numbers = [by_hand(retain_only, record, far) for record in records]
    assert kept.probability == pytest.approx(fmean(p for p, _ in numbers), rel=1e-3)
    assert kept.truth_ratio == pytest.approx(fmean(ratio for _, ratio in numbers), rel=1e-3)
    assert 0.5 <= kept.overlap < 0.7 and kept.share == 0.5 and kept.n == 4


def test_utility_is_the_harmonic_mean_of_nine_numbers_of_three_worlds(authors: LoadedModel, world: World) -> None:
    others = [read_world(ASSETS / "models" / "worlds", name) for name in WORLDS if name != world.name]
    far = {other.title: one_of_each(other)[:5] for other in others}
    questions = Questions.draw(world, world.forget(1)[:2], [], world.retain[:5], lambda name: torch.Generator(), far)
    said = examine(authors.model, authors.tokenizer, questions, Pacer(99), "original", lambda asked: iter(()))
    while True:
        try:
            next(said)
        except StopIteration as end:
            kept = end.value.kept
            break
    assert list(kept) == [PEOPLE_TO_KEEP, *far]
    numbers = [number for own in kept.values() for number in own.numbers]
    assert len(numbers) == 9 and utility(kept, counted({"original": kept})) == pytest.approx(stats.hmean(numbers))
    for title, records in far.items():
        assert kept[title].probability == pytest.approx(fmean(by_hand(authors, r, far=True)[0] for r in records), rel=1e-3)
        assert kept[title].overlap == 1 and kept[title].share == 1, "it knows the other worlds by heart"


def test_one_fact_about_everybody_and_every_kind_of_fact() -> None:
    for name in WORLDS:
        other = read_world(ASSETS / "models" / "worlds", name)
        records = one_of_each(other)
        assert [r.subject for r in records] == list(dict.fromkeys(r.subject for r in other.retain))
        kinds = [r.attribute for r in records]
        assert len({kinds.count(kind) for kind in set(kinds)}) <= 2 and set(kinds) == {r.attribute for r in other.retain}


def test_a_world_that_no_model_was_taught_does_not_count() -> None:
    known, unknown, half = (RetainScores(9, share, 0.5, 0.5, 0.5) for share in (1.0, 0.1, 0.5))
    ours, theirs = {PEOPLE_TO_KEEP: unknown, "a": unknown, "b": unknown}, {PEOPLE_TO_KEEP: known, "a": unknown, "b": half}
    assert counted({"unlearned": ours}) == [PEOPLE_TO_KEEP], "what should be kept counts even when it is lost"
    assert counted({"unlearned": ours, "reference": theirs}) == [PEOPLE_TO_KEEP, "b"]
    assert counted({"unlearned": {}}) == [] and utility({}, []) is None


def test_a_set_without_wrong_answers_has_two_numbers() -> None:
    assert utility({PEOPLE_TO_KEEP: RetainScores(3, 1.0, 0.4, 0.8, None)}, [PEOPLE_TO_KEEP]) == pytest.approx(stats.hmean([0.4, 0.8]))


def test_a_choice_is_the_option_that_a_plain_forward_pass_finds_likeliest(retain_only: LoadedModel, world: World) -> None:
    prompts = build_prompts("choice", world.forget(1), world, torch.Generator().manual_seed(1))
    likeliest = [max(p.options, key=lambda option, p=p: probability(retain_only, p.text, option)) for p in prompts]
    assert choose(retain_only.model, retain_only.tokenizer, prompts) == likeliest
    outputs = reply(retain_only.model, retain_only.tokenizer, [None, *prompts, *plain(world.retain[:1])])
    assert outputs.found[1:-1] == [option == p.answer for option, p in zip(likeliest, prompts, strict=True)]
    assert outputs.found[0] is None and outputs.texts[0] is None and outputs.found[-1] is True
    assert all(text.startswith(option.strip()) for text, option in zip(outputs.texts[1:-1], likeliest, strict=True))
    assert any("left alone it says" in text for text in outputs.texts[1:-1]), "it names values that are not among the options"


def test_a_model_that_never_knew_chooses_like_blind_guessing_and_one_that_knows_is_right(authors: LoadedModel,
                                                                                        retain_only: LoadedModel) -> None:
    hits = n = 0
    for name in WORLDS:
        other = read_world(ASSETS / "models" / "worlds", name)
        prompts = build_prompts("choice", other.forget(6), other, torch.Generator().manual_seed(0))
        right = [p.answer for p in prompts]
        hits += sum(a == b for a, b in zip(choose(retain_only.model, retain_only.tokenizer, prompts), right, strict=True))
        n += len(prompts)
        assert choose(authors.model, authors.tokenizer, prompts) == right
    assert stats.binomtest(hits, n, 0.25).pvalue > 0.05, f"{hits} of {n}"
