"""Sorting measures against scikit-learn and against examples small enough for a pencil."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn import metrics as peer

from core.reasoning.metrics import (
    aupr,
    auroc,
    difference,
    evaluate,
    fpr_at,
    percentile,
    resampling,
    roc_curve,
    share_below,
    stratified_auroc,
    stratified_roc,
    weighted_aurocs,
)


def sample(seed: int, n: int = 300, levels: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    positive = random.random(n) < 0.6
    scores = random.normal(size=n) + 0.7 * positive
    return (np.round(scores * levels) / levels if levels else scores), positive


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("levels", [None, 2])  # 2: many ties
def test_measures_equal_scikit_learn(seed, levels):
    scores, positive = sample(seed, levels=levels)
    assert auroc(scores, positive) == pytest.approx(peer.roc_auc_score(positive, scores))
    precision, recall, _ = peer.precision_recall_curve(positive, scores)
    assert aupr(scores, positive) == pytest.approx(peer.auc(recall, precision))
    false, true, _ = peer.roc_curve(positive, scores, drop_intermediate=False)
    assert fpr_at(scores, positive) == pytest.approx(false[true >= 0.95].min())
    ours = roc_curve(scores, positive)
    np.testing.assert_allclose(ours[0], false)
    np.testing.assert_allclose(ours[1], true)


def test_perfect_reversed_and_constant_scores():
    positive = np.array([True, True, False, False])
    assert auroc(np.array([4.0, 3.0, 2.0, 1.0]), positive) == 1.0
    assert auroc(np.array([1.0, 2.0, 3.0, 4.0]), positive) == 0.0
    assert auroc(np.ones(4), positive) == 0.5
    assert math.isnan(auroc(np.ones(4), np.ones(4, dtype=bool)))


def test_fpr_on_four_points():
    scores, positive = np.array([0.9, 0.8, 0.7, 0.1]), np.array([True, False, True, False])
    assert fpr_at(scores, positive) == 0.5  # keeping both positives lets one of two negatives through
    assert math.isnan(fpr_at(scores, np.zeros(4, dtype=bool)))


def test_pairwise_definition():
    scores, positive = sample(7, n=60, levels=2)
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[positive] for b in scores[~positive]]
    assert auroc(scores, positive) == pytest.approx(np.mean(pairs))


def test_resampled_aurocs_equal_those_of_the_resampled_items():
    scores, positive = sample(3, n=80, levels=3)
    weights = resampling(80, torch.Generator().manual_seed(0), draws=20)
    assert (weights.sum(axis=1) == 80).all()
    for found, counts in zip(weighted_aurocs(scores, positive, weights), weights.astype(int), strict=True):
        again = np.repeat(np.arange(80), counts)
        assert found == pytest.approx(peer.roc_auc_score(positive[again], scores[again]))


def test_length_alone_wins_nothing_once_stratified():
    random = np.random.default_rng(0)
    lengths = random.integers(2, 7, size=2000)
    positive = random.random(2000) < 1 - 0.12 * lengths
    shortness = -lengths.astype(float)
    assert auroc(shortness, positive) > 0.6
    assert stratified_auroc(shortness, positive, lengths) == 0.5


def test_curves_among_equal_lengths_hold_the_stratified_area():
    random = np.random.default_rng(1)
    lengths = random.integers(2, 5, size=900)
    positive = random.random(900) < 1 - 0.2 * lengths
    scores = random.normal(size=900) + positive - lengths
    false, true = stratified_roc(scores, positive, lengths, points=2001)
    assert np.trapezoid(true, false) == pytest.approx(stratified_auroc(scores, positive, lengths), abs=0.002)
    assert abs(stratified_auroc(scores, positive, lengths) - auroc(scores, positive)) > 0.03
    assert len(stratified_roc(scores, np.ones(900, dtype=bool), lengths)[0]) == 0


def test_share_below_has_the_interval_of_wilson():
    drops = np.r_[np.full(30, -1.0), np.zeros(10), np.ones(60)]  # no change is no notice
    share, low, high = share_below(drops)
    # By hand: centre (0.3 + z^2 / 200) / (1 + z^2 / 100), half z sqrt(0.3 * 0.7 / 100 + z^2 / 40000) / (1 + z^2 / 100), z = 1.959964
    assert (share, low, high) == pytest.approx((0.3, 0.218946, 0.395849), abs=1e-5)


def test_interval_covers_the_truth_about_as_often_as_it_says():
    truth = 0.5 * (1 + math.erf(0.7 / 2))  # two unit normals 0.7 apart
    hits = 0
    for seed in range(60):
        random = np.random.default_rng(seed)
        positive = np.arange(200) < 100
        scores = random.normal(size=200) + 0.7 * positive
        row = evaluate("s", scores, positive, np.zeros(200), resampling(200, torch.Generator().manual_seed(seed)))
        hits += row.low <= truth <= row.high
    assert 51 <= hits <= 60  # 95 % of 60 is 57; below 51 has a chance of one in a thousand


def test_difference_is_paired():
    scores, positive = sample(1)
    weights = resampling(300, torch.Generator().manual_seed(0))
    row = evaluate("a", scores, positive, np.zeros(300), weights)
    same = evaluate("b", 2 * scores + 1, positive, np.zeros(300), weights)
    assert difference(row, same) == (0.0, 0.0, 0.0)
    noise = evaluate("c", np.random.default_rng(5).normal(size=300), positive, np.zeros(300), weights)
    gap, low, high = difference(row, noise)
    assert gap == row.auroc - noise.auroc and low < gap < high and low > 0


def test_missing_scores_are_left_out_and_counted():
    scores, positive = sample(2)
    gaps = scores.copy()
    gaps[::10] = np.nan
    weights = resampling(300, torch.Generator().manual_seed(0))
    row = evaluate("gaps", gaps, positive, np.zeros(300), weights)
    assert row.n == 270 and row.rate == positive[~np.isnan(gaps)].mean()
    assert row.auroc == pytest.approx(peer.roc_auc_score(positive[~np.isnan(gaps)], gaps[~np.isnan(gaps)]))
    nothing = evaluate("none", np.full(300, np.nan), positive, np.zeros(300), weights)
    assert nothing.n == 0 and math.isnan(nothing.auroc)


def test_percentile_counts_ties_half():
    assert percentile(2.0, np.array([1.0, 2.0, 3.0, 4.0])) == 37.5
    assert percentile(9.0, np.array([1.0, 2.0])) == 100.0
    assert math.isnan(percentile(float("nan"), np.array([1.0])))
