"""The decision rule and the words, on outcomes made for the purpose."""

from __future__ import annotations

import pytest
import torch

from core.unlearning.metrics import wilson
from core.unlearning.soft_tokens.results import Outcome, cells_table, estimate, final_metrics, median_steps
from core.unlearning.soft_tokens.verdict import Findings, evidence, say


def outcome(success: bool, steps: int | None = 5, *, broken: bool = False) -> Outcome:
    return Outcome("B", "Where?", "There.", "There." if success else "Hm.", success, steps if success else None, 0.5,
                   1.0 if success else 0.4, 2.0, True if success else None, broken)


def some(hits: int, of: int = 20) -> list[Outcome]:
    return [outcome(i < hits) for i in range(of)]


def findings(b: int, d: int, c: int, *, of: int = 20, **more) -> Findings:
    settings = {"sentence": "I do!", "said": {}, "longest": {}, "tokens": 8, "sentence_tokens": 16, "mode": "answer",
                "unit": "pieces of words"} | more
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
    gap = evidence(found)["true minus unlearned, false answer"]
    assert gap["difference"] == pytest.approx(0.9) and gap["interval"][0] > 0.5


def test_one_control_is_not_enough() -> None:
    said = say(findings(20, 20, 2))
    assert "nobody should be accused" in said


def test_failing_everywhere_is_no_equality() -> None:
    assert "failed everywhere" in say(findings(0, 0, 0))


def test_few_texts_are_called_few() -> None:
    assert "cannot be told from luck" in say(findings(5, 5, 5, of=10))
    assert "cannot be told from luck" not in say(findings(20, 20, 20))


def test_the_sentence_is_reported_for_each_model() -> None:
    said = say(findings(20, 20, 20, said={"original": True, "unlearned": True, "reference": True, "blank": False}))
    assert "“I do!” was said by: original, after forgetting, never knew; not by: random weights." in said
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
