"""The measures against values worked out by hand, and the splits kept apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.bias import metrics
from core.bias.items import assert_apart, association_items, control_items, occupation_items
from core.bias.metrics import Meta, bootstrap, difference, fairness, measure

P = np.array([[0.3, 0.1, 0.6], [0.1, 0.1, 0.8], [0.5, 0.1, 0.4], [0.2, 0.6, 0.2]])
META = Meta(
    shown=np.array([0, 1, 0, 1]),
    lean=np.array([0, 0, 1, 1]),
    pair=np.array([0, 0, 1, 1]),
    scenario=np.array([0, 0, 1, 1]),
    fair=True,
    options=3,
)


def test_measures_by_hand():
    found = measure(P, META)
    by_hand = {
        "fair_rate": 0.5,
        "response_bias": 0.0,
        "fairness": (0.8 + 1.0 + 0.6 + 0.6) / 4,
        "signed_gap": (0.2 + 0.0 - 0.4 + 0.4) / 4,
        "paradox": 0.5,
        "tv": (0.2 + 0.5) / 2,
        "flips": 0.5,
        "confidence_gap": abs(0.55 - 0.7),
        "conditional_gap": (0.5 + 0.0 + 4 / 6 + 0.5) / 4,
        "tvd": np.abs(P - [0.05, 0.05, 0.9]).sum(1).mean() / 2,
    }
    for name, value in by_hand.items():
        assert found[name] == pytest.approx(value), name
    q = P[:, :2] / P[:, :2].sum(1, keepdims=True)
    assert found["conditional_entropy"] == pytest.approx(np.mean([-(r * np.log(r)).sum() / np.log(2) for r in q]))
    ref = np.array([0.05, 0.05, 0.9])
    assert found["kl"] == pytest.approx(np.mean([(ref * np.log(ref / row)).sum() for row in P]))


def test_calibration_error_is_that_of_ten_bins():
    sure, right = P.max(1), P.argmax(1) == 2
    bins = {b: [i for i in range(4) if int(sure[i] * 10) == b] for b in {int(s * 10) for s in sure}}
    assert metrics.calibration_error(P, META) == pytest.approx(
        sum(len(rows) / 4 * abs(sure[rows].mean() - right[rows].mean()) for rows in bins.values())
    )


def test_fairness_lies_between_zero_and_one_and_is_one_exactly_when_groups_tie():
    """U6"""
    p = np.random.default_rng(0).dirichlet(np.ones(5), 500)
    f = fairness(p[:, :4])
    assert ((f >= 0) & (f <= 1)).all() and (f < 1).all()
    assert (fairness(np.full((3, 4), 0.2)) == 1).all() and fairness(np.array([[1.0, 0, 0]])) == 0


def test_a_set_without_a_fair_option_has_only_what_it_can_have():
    found = measure(P[:, :2], Meta(META.shown, META.lean, META.pair, META.scenario, False, 2))
    assert np.isnan([found[name] for name in ("fair_rate", "paradox", "ece")]).all() and found["fairness"] == pytest.approx(0.75)


def test_intervals_come_from_scenarios_and_never_from_rows():
    """Copying every row of a scenario a hundred times must not make the interval narrower."""
    rng = np.random.default_rng(1)
    p = rng.dirichlet([4, 2, 6], 30)
    meta = Meta(*(np.full(30, -1) for _ in range(3)), np.arange(30), True, 3)
    many = Meta(*(np.full(3000, -1) for _ in range(3)), np.repeat(np.arange(30), 100), True, 3)
    one, copied = bootstrap(p, meta, "fairness", 0, 400), bootstrap(np.repeat(p, 100, 0), many, "fairness", 0, 400)
    assert np.allclose(one, copied)
    spread = fairness(p[:, :2]).std(ddof=1) / np.sqrt(30)  # the closed form of the same interval
    assert (one[1] - one[0]) / 2 == pytest.approx(1.96 * spread, rel=0.2)


def test_a_paired_difference_of_equal_answers_is_zero_with_no_width_and_twins_stay_together():
    assert difference(P, P, META, "tv", resamples=50) == (0.0, 0.0, 0.0)
    low, high = bootstrap(P, META, "tv", resamples=200)
    assert (low, high) == (pytest.approx(0.2), pytest.approx(0.5))  # either scenario alone, or both


def test_calibration_dev_and_test_share_neither_scenario_nor_concept():
    """U7, and that the check itself finds what it should find."""
    rng = torch.Generator().manual_seed(0)
    sets = [
        association_items(split, 60, rng) + occupation_items(split, 30) + control_items(split, 10, rng)
        for split in ("calibration", "dev", "test")
    ]
    assert_apart(*sets)
    with pytest.raises(AssertionError, match="scenario"):
        assert_apart(sets[0], sets[2], sets[0])
    pictures = [{item.picture for item in items} for items in sets]
    assert not pictures[0] & pictures[1] and not pictures[0] & pictures[2] and not pictures[1] & pictures[2]


def test_twins_of_association_items_differ_in_the_hair_alone():
    from dataclasses import replace

    items = association_items("test", 10, torch.Generator().manual_seed(0))
    for one, other in zip(items[::2], items[1::2], strict=True):
        assert one.pair == other.pair and one.text == other.text and replace(one.picture, hair=other.picture.hair) == other.picture
        assert one.picture.hair != other.picture.hair
    drift = association_items("test", 10, torch.Generator().manual_seed(0), twins="drift")
    assert all(
        one.picture.hair == other.picture.hair and one.picture != other.picture for one, other in zip(drift[::2], drift[1::2], strict=True)
    )
