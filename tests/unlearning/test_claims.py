"""The registered claims: askable, their thresholds as written in the method file, and results that fit the table."""

from __future__ import annotations

import math

import pytest

from core.engine.claims import judge, recorded
from core.engine.models import ModelStore
from core.engine.registry import find
from core.engine.settings import Settings
from core.unlearning.audit.claims import (
    CLAIMS,
    MODELS,
    REAL_MODEL,
    key_above_reference,
    push_beyond_controls,
    reference_under_reported,
    retain_lost,
    swapped,
    under_reported,
)

THRESHOLDS = {"01.1a": ">= 0.95", "01.1b": "<= 0.10", "01.2a": ">= 0.85", "01.2b": "<= 0.85", "01.2c": ">= 0.85", "01.2d": ">= 0.85",
              "01.2e": ">= 0.85", "01.3a": ">= 0.10", "01.3b": "<= 0.05", "01.4a": ">= 0.2", "01.4b": ">= 0.2", "01.4c": "<= 0",
              "01.4d": "<= 0", "01.4e": "<= 0", "01.5": ">= 0.03", "01.6": "<= 0.10", "01.7": ">= 1", "01.8": ">= 0",
              **{f"01.R{number}{way}": aim for number, aim in ((1, "<= 0.25"), (2, ">= 0.1"), (3, ">= 0.85")) for way in "abcd"}}


def result(**metrics: float) -> dict:
    return {"metrics": {name.replace("_", " "): value for name, value in metrics.items()}}


def test_thresholds_and_seeds_are_those_written_before_measuring() -> None:
    assert {claim.id: claim.threshold for claim in CLAIMS} == THRESHOLDS
    assert all(tuple(claim.seeds) == ((0,) if claim.spread else (0, 1, 2, 3, 4)) for claim in CLAIMS)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_every_configuration_is_valid(claim) -> None:
    for config in claim.configs:
        find(claim.experiment).validate(config)


@pytest.mark.parametrize("row", recorded("01"), ids=lambda row: row["id"])
def test_committed_results_are_about_the_shipped_models_and_judged_by_their_interval(row: dict) -> None:
    if row["measured"] is None:
        assert row["held"] is None and row["note"]
        return
    store = ModelStore(Settings())
    assert set(row["fingerprints"]) == ({REAL_MODEL} if ".R" in row["id"] else set(MODELS))
    assert all(store.fingerprint(ref) == known for ref, known in row["fingerprints"].items() if ref != REAL_MODEL)
    assert row["held"] == judge(*row["interval"], row["threshold"])
    assert row["interval"][0] <= row["measured"] <= row["interval"][1]


def test_kept_facts_are_compared_at_matched_forgetting_only() -> None:
    def stopped(recall: float, kept: float) -> dict:
        return result(direct_recall_unlearned=recall, retain_recall_unlearned=kept)

    assert retain_lost([stopped(0.1, 0.9), stopped(0.05, 0.7)]) == pytest.approx(0.2)
    assert math.isnan(retain_lost([stopped(0.1, 0.9), stopped(0.11, 0.7)]))


def test_one_way_of_forgetting_that_leaks_is_enough() -> None:
    leak = [result(strongest_audit_unlearned=a, direct_recall_unlearned=d) for a, d in ((0.1, 0.1), (0.5, 0.2))]
    assert under_reported(leak) == pytest.approx(0.3)
    assert reference_under_reported([result(strongest_audit_reference=0.1, direct_recall_reference=0.15)]) == pytest.approx(-0.05)


def test_a_model_that_still_answers_hides_nothing() -> None:
    def of(direct: float) -> list[dict]:
        return [result(key_probability_unlearned=0.6, key_probability_reference=0.2, direct_recall_unlearned=direct)]

    assert key_above_reference(-1.0)(of(0.1)) == pytest.approx(0.4)
    assert key_above_reference(-1.0)(of(0.5)) == -1 and key_above_reference(1.0)(of(0.5)) == 1


def test_a_push_has_to_beat_both_controls() -> None:
    push = {"actpert_recall_unlearned": 0.4, "actpert_recall_random": 0.1, "actpert_recall_reference": 0.3}
    assert push_beyond_controls([result(**push)]) == pytest.approx(0.1)
    assert push_beyond_controls([result(**push | {"actpert_recall_random": 0.5})]) == pytest.approx(-0.1)


def test_pairs_that_change_places_are_counted_and_ties_are_not() -> None:
    def runs(*pairs: tuple[float, float]) -> list[dict]:
        return [result(direct_recall_unlearned=d, worst_recall_unlearned=w) for d, w in pairs]

    assert swapped(runs((0.0, 0.9), (0.1, 0.2), (0.1, 0.1))) == 2
    assert swapped(runs((0.0, 0.1), (0.1, 0.2))) == 0


def test_the_claims_know_which_algorithms_learn_to_refuse():
    from core.unlearning.algorithms import ALGORITHMS
    from core.unlearning.audit.claims import REFUSING

    assert {name for name, algorithm in ALGORITHMS.items() if algorithm.refusal == "said"} == set(REFUSING)
