"""The registered claims: askable, their thresholds as written in the method file, and results that fit the table."""

from __future__ import annotations

import math

import pytest

from core.engine.claims import judge, recorded
from core.engine.models import ModelStore
from core.engine.registry import find
from core.engine.settings import Settings
from core.unlearning.audit.claims import CLAIMS, retain_lost

THRESHOLDS = {"01.1a": ">= 0.95", "01.1b": "<= 0.10", "01.2a": ">= 0.85", "01.2b": "<= 0.85", "01.8": ">= 0"}


def test_thresholds_and_seeds_are_those_written_before_measuring() -> None:
    assert {claim.id: claim.threshold for claim in CLAIMS} == THRESHOLDS
    assert all(tuple(claim.seeds) == (0, 1, 2, 3, 4) for claim in CLAIMS)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_every_configuration_is_valid(claim) -> None:
    for config in claim.configs:
        find(claim.experiment).validate(config)


@pytest.mark.parametrize("row", recorded("01"), ids=lambda row: row["id"])
def test_committed_results_are_about_the_shipped_models_and_judged_by_their_interval(row: dict) -> None:
    store = ModelStore(Settings())
    assert set(row["fingerprints"]) == {"embedded/authors", "embedded/authors-retain"}
    assert all(store.fingerprint(ref) == known for ref, known in row["fingerprints"].items())
    assert row["held"] == judge(*row["interval"], row["threshold"])
    assert row["interval"][0] <= row["measured"] <= row["interval"][1]


def test_kept_facts_are_compared_at_matched_forgetting_only() -> None:
    def result(recall: float, kept: float) -> dict:
        return {"metrics": {"direct recall unlearned": recall, "retain recall unlearned": kept}}

    assert retain_lost([result(0.1, 0.9), result(0.05, 0.7)]) == pytest.approx(0.2)
    assert math.isnan(retain_lost([result(0.1, 0.9), result(0.11, 0.7)]))
