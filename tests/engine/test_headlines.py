"""The first layer of every verdict: at most 25 words, said by the evidence alone, and the same in the record, the report and the answer."""

from __future__ import annotations

import json

import pytest

from core.engine import report
from core.engine.events import LONGEST_HEADLINE, layers
from core.engine.settings import FIRST_VIEWS
from core.learngene import headlines as learngene
from core.reasoning import evaluation
from core.unlearning.audit import verdict as audit
from core.unlearning.soft_tokens import alone
from core.unlearning.soft_tokens import verdict as soft_tokens


def attacked(numbers: dict) -> str:
    """Of one model alone, or of the whole bench."""
    return alone.headline(numbers) if "true minus others, 10" in numbers else soft_tokens.headline(numbers)


HEADED = {"unlearning/audit": audit.headline, "unlearning/soft-tokens": attacked, "reasoning/roc": evaluation.headline,
          "learngene/finetune": learngene.finetuned, "learngene/train": learngene.trained, "learngene/pool": learngene.pooled,
          "learngene/stitch": learngene.stitched, "learngene/inits": learngene.begun}
VIEWS = sorted(path.name for path in FIRST_VIEWS.iterdir() if path.is_dir())


def verdict_of(view: str) -> tuple[str, dict]:
    lines = [json.loads(line) for line in (FIRST_VIEWS / view / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    name = json.loads((FIRST_VIEWS / view / "run.json").read_text(encoding="utf-8"))["name"]
    return name, next(line for line in reversed(lines) if line["kind"] == "verdict")


@pytest.mark.parametrize("view", VIEWS)
def test_a_first_view_is_headed_by_what_its_evidence_says(view):
    name, line = verdict_of(view)
    headline = layers(line)["headline"]
    assert len(headline.split()) <= LONGEST_HEADLINE and headline.endswith(".") and not headline.endswith("…")
    if name in HEADED:
        assert headline == HEADED[name](line["evidence"])


@pytest.mark.parametrize(("low", "high", "knew", "steps", "says"), [
    (0.2, 0.6, 1.0, 30, "but 12 of 30"), (-0.1, 0.3, 1.0, 30, "no way of asking"), (-0.6, -0.1, 1.0, 30, "even less"),
    (0.2, 0.6, 0.1, 30, "too few"), (0.2, 0.6, 1.0, 0, "plain questions, and 12 of 30")])
def test_the_auditors_headline_follows_the_interval_and_not_the_count(low, high, knew, steps, says):
    def share(right):
        return {"right": right, "of": 30, "share": right / 30}

    numbers = {"n": 30, "steps": steps, "direct original": share(round(30 * knew)), "direct unlearned": share(2),
               "any way unlearned": share(22), "beyond the model that never knew": {"difference": 0.4, "interval": [low, high]}}
    assert says in audit.headline(numbers)


def test_an_old_verdict_is_headed_by_its_first_sentence_and_a_long_one_is_cut():
    assert layers({"text": "It is 2.5 times more. That is much.", "evidence": {}})["headline"] == "It is 2.5 times more."
    long = layers({"text": "word " * 40, "evidence": {}})["headline"]
    assert long.endswith("…") and len(long.split()) == LONGEST_HEADLINE


def test_the_report_shows_all_three_layers(engine):
    run = engine.start("test/count", {"steps": 1})
    engine.wait(run.id, timeout=120)
    assert '<p class="verdict">Counted to 1, saying tick.</p>' in report.html(engine.records, run.id)
