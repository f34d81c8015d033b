"""The decision rule and the words, on outcomes made for the purpose."""

from __future__ import annotations

import pytest
import torch

from core.stats import wilson
from core.unlearning.soft_tokens.results import Outcome, cells_table, estimate, final_metrics, median_steps
from core.unlearning.soft_tokens.verdict import Findings, evidence, say


def outcome(success: bool, steps: int | None = 5, *, broken: bool = False) -> Outcome:
    return Outcome("B", "Where?", "There.", "There." if success else "Hm.", success, steps if success else None, 0.5,
                   1.0 if success else 0.4, 2.0, True if success else None, broken)


def some(hits: int, of: int = 20) -> list[Outcome]:
    return [outcome(i < hits) for i in range(of)]


PLAIN = {"original": 1.0, "unlearned": 0.1, "reference": 0.0}


def findings(b: int, d: int, c: int, *, of: int = 20, **more) -> Findings:
    settings = {"sentence": "I do!", "said": {}, "longest": {}, "tokens": 8, "sentence_tokens": 16, "mode": "answer",
                "unit": "pieces of words", "random_length": 8, "asked": PLAIN, "left_out": []} | more
    return Findings({"B": some(b, of), "D": some(d, of), "C": some(c, of)}, rng=torch.Generator().manual_seed(0), **settings)


def test_equal_bars_prove_nothing() -> None:
    found = findings(20, 20, 20)
    assert found.uninformative and "no difference at all: the answers tell you about the attack, not about memory" in say(found)
    assert "0% to 0%" not in say(found)
    assert "no clear difference (95 % intervals" in say(findings(20, 19, 18))
    assert evidence(found)["uninformative"] is True


def test_a_true_answer_that_comes_oftener_than_both_controls_is_told_apart() -> None:
    found = findings(20, 2, 3)
    assert not found.uninformative and "does tell them apart" in say(found)
    gap = evidence(found)["true minus Made to forget: false answer"]
    assert gap["difference"] == pytest.approx(0.9) and gap["interval"][0] > 0.5


@pytest.mark.parametrize(("b", "d", "c", "words"), [
    (20, 2, 3, "does tell them apart"), (10, 10, 11, "no clear difference"), (5, 18, 19, "less often than both controls"),
    (20, 20, 2, "One control differs"), (20, 2, 20, "One control differs"),
    (5, 18, 5, "less often than one control, no oftener"), (5, 5, 18, "less often than one control, no oftener"),
    (10, 1, 20, "contradict each other"), (10, 20, 1, "contradict each other")])
def test_every_pair_of_differences_gets_its_own_words(b: int, d: int, c: int, words: str) -> None:
    said = say(findings(b, d, c))
    assert words in said
    assert ("no sign of memory" in said) == ("less often" in said)


def test_failing_everywhere_is_no_equality() -> None:
    assert "failed everywhere" in say(findings(0, 0, 0))
    assert "failed everywhere" not in say(findings(0, 0, 1)), "one text came out"


@pytest.mark.parametrize(("asked", "words"), [
    ({"unlearned": 1.0}, "the model that should have forgotten still gives 20 of 20 answers. This comparison means nothing."),
    ({"reference": 0.55}, "the model that should never have known gives 11 of 20 answers. This comparison means nothing."),
    ({"original": 0.45}, "the model that should know gives only 9 of 20 answers. This comparison means nothing."),
    ({"unlearned": 0.15, "reference": 0.2}, "still gives 3 of 20 answers, and the model that should never have known gives 4 of 20 "
                                            "answers. Read this comparison with care.")])
def test_what_plain_asking_shows_is_held_against_the_comparison(asked: dict, words: str) -> None:
    found = findings(20, 20, 20, asked=PLAIN | asked)
    assert "Careful: just asked, " in say(found) and words in say(found)
    nothing = "means nothing" in words
    assert ("about the attack, not about memory" in say(found)) != nothing and evidence(found)["comparison means something"] != nothing
    assert "Careful" not in say(findings(20, 20, 20))


def test_models_left_out_are_named() -> None:
    assert "filled anew here: “Made to forget”, “Random weights”." in say(findings(1, 1, 1, left_out=["unlearned", "blank"]))


def test_few_texts_are_called_few() -> None:
    assert "go unnoticed as a rule" in say(findings(5, 5, 5, of=10))
    assert "go unnoticed as a rule" not in say(findings(20, 20, 20))


def test_the_sentence_is_reported_for_each_model() -> None:
    said = say(findings(20, 20, 20, said={"original": True, "unlearned": True, "reference": True, "blank": False}))
    assert "“I do!” was said by “Knows it”, “Made to forget”, “Never knew”; not by “Random weights”." in said
    assert "No model could be made to say" in say(findings(20, 20, 20, said={"original": False}))


def test_the_longest_text_and_breakdowns_are_named() -> None:
    found = findings(20, 20, 20, longest={4: 8, 16: 16})
    assert "had 16 pieces of words (16 soft tokens)" in say(found)
    found.outcomes["B"][0] = outcome(False, broken=True)
    assert "stopped being numbers" in say(found)


def test_tables_and_metrics_count_the_same() -> None:
    outcomes = {"B": some(3, 4), "C": some(0, 4)}
    share, low, high = estimate(outcomes["B"])
    assert (share, low, high) == (0.75, *wilson(3, 4))
    table = cells_table(outcomes)
    assert [row[3:5] for row in table.rows] == [[3, 4], [0, 4]] and table.rows[1][8] is None
    metrics = {m.name: m.value for m in final_metrics(outcomes)}
    assert metrics["success unlearned, true answer"] == 0.75 and metrics["median steps unlearned, true answer"] == 5
    assert "median steps never knew, true answer" not in metrics and median_steps(outcomes["C"]) is None
    assert metrics["generated as promised"] == 1.0


@pytest.mark.parametrize("of", [2, 3, 4])
def test_of_so_few_texts_no_impossible_difference_is_spoken(of: int) -> None:
    """Two shares never differ by more than 1: three texts can show no difference, four can just."""
    found = findings(of, 0, 0, of=of)
    smallest = evidence(found)["smallest detectable difference"]
    assert ("no difference at all can be told" in say(found)) == (of < 4) == (smallest is None)
    assert ("go unnoticed as a rule" in say(found)) == (of == 4) and "114" not in say(found)
