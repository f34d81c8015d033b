"""Claims C1 to C7, C14 and C15 on one market, and the parts against closed forms: sampler, batched seeds, strategy, metrics."""

from __future__ import annotations

import hashlib
import json
import math

import numpy as np
import pytest
import torch

from core.engine.settings import ASSETS
from core.factors import backtest as bt
from core.factors import slider
from core.factors.diffusion import ALPHA_BAR, denoise, edit, noised, path, r2_theory
from core.factors.fitting import Arm, Fit
from core.factors.grid import survey
from core.factors.guides import loss_guided
from core.factors.leaks import audit_training
from core.factors.market import market
from core.factors.quality import frechet, jitter, neighbours, r2, rms
from core.factors.signal import daily_ic, daily_rank_ic, icir
from core.factors.study import day_labels, future_return


@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_c2_the_sampler_is_right_for_independent_numbers_and_a_perfect_denoiser(eta: float) -> None:
    x = torch.randn(4000, 10, generator=torch.Generator().manual_seed(1))
    for strength in (100, 300, 500, 1000):
        rng = torch.Generator().manual_seed(strength)
        made = noised(x, strength, torch.randn(x.shape, generator=rng))
        guess = lambda z, t: math.sqrt(1 - float(ALPHA_BAR[t])) * z  # noqa: E731
        *_, made = denoise(made, guess, strength, stride=1, eta=eta, rng=rng, inside=None)
        assert abs(r2(made.numpy(), x.numpy()) - r2_theory(strength, eta)) < 0.02
    assert path(120) == [120, 70, 20, 0] and path(0) == [0]
    assert [round(r2_theory(s), 3) for s in (100, 300, 500, 1000)] == [0.894, 0.259, -0.439, -0.987]


def test_c3_strength_0_changes_nothing_and_a_seed_repeats_itself(study, denoiser) -> None:
    rows = study.rows("train", target=True)[np.arange(40)]
    x, labels, industry = torch.from_numpy(study.windows(rows)), torch.zeros(40), torch.zeros(40, dtype=torch.long)
    how = {"guidance": 2, "strength": 300}
    assert torch.equal(edit(denoiser, x, labels, industry, strength=0, guidance=2, rng=torch.Generator()), x)
    once, again, other = (edit(denoiser, x, labels, industry, rng=torch.Generator().manual_seed(s), **how) for s in (1, 1, 2))
    assert torch.equal(once, again) and not torch.equal(once, other) and float(once.abs().max()) <= 3
    steered = edit(denoiser, x, labels + 2.0, industry, rng=torch.Generator().manual_seed(1), **how)
    assert rms(steered.numpy(), once.numpy()) > 0.01, "the label does not reach the denoiser"


def test_c1_c4_c5_on_the_embedded_denoiser(study, denoiser) -> None:
    rows = [row for row in survey(denoiser, study, windows=250, seed=0, strengths=(100, 300, 700)) if row.get("strength")]
    told = [row for row in rows if row["guidance"] == 2]
    assert [row["rms"] for row in told] == sorted(row["rms"] for row in told)
    assert [row["fid"] for row in told] == sorted(row["fid"] for row in told)
    assert all(row["fid"] < row["noise fid"] for row in told)
    assert told[-1]["label"] > rows[2]["label"], "guidance does not bring the label back at 700"


def test_what_the_slider_has_stored_is_what_it_would_compute(study, denoiser, warm_engine) -> None:
    folder = ASSETS / "models" / "factors"
    names, held = slider.stored(folder, strength=300, guidance=2.0)
    made = slider.summary(denoiser, slider.seen(study, slider.WINDOWS), strength=300, guidance=2.0)
    assert names == study.names
    assert slider.stored(folder, strength=310, guidance=2.0) is None and slider.stored(folder, strength=300, guidance=1.0) is None
    assert held.numbers == pytest.approx(made.numbers, rel=0.02, abs=2e-3)
    for kind in slider.KINDS:  # another processor rounds otherwise
        assert np.abs(held.counts[kind] - made.counts[kind]).sum() <= 0.002 * made.counts[kind].sum()
        assert np.abs(held.places[kind] - made.places[kind]).max() <= 0.05
    weights = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert json.loads((folder / slider.FILE).read_text())["weights"] == weights, "run: glassbox models build factors"
    said = warm_engine.probe("factors/edit", {"strength": 300})
    assert said["r2"] == held.numbers["r2"] and "300 windows" in said["aside"]


def test_c15_nothing_after_the_last_training_label_reaches_scaler_weights_or_edits() -> None:
    panel = market(5, shares=20, days=80, targets=8)
    split = {"horizon": 5, "train": 40, "valid": 8}
    assert all(check.same and check.compared for check in audit_training(panel, split))
    leaking = {"horizon": 5, "train": 41, "valid": 8}  # the same cut, one training day more
    from core.factors.study import prepare

    whole = prepare(panel, **leaking)
    other = prepare(panel.changed_after(whole.last_train_day, np.random.default_rng(0)), **leaking)
    day = whole.splits["train"][-1]
    assert not np.array_equal(whole.asked[day], other.asked[day]), "a change of the last day that is used must be seen"


def test_labels_are_those_of_qlib_with_the_tails_left_out() -> None:
    close = np.arange(1.0, 21.0)[:, None] ** np.linspace(1, 2, 40)
    y = future_return(close, 5)
    assert np.allclose(y[3], close[8] / close[4] - 1) and np.isnan(y[-5:]).all() and np.isfinite(y[:-5]).all()
    everybody, kept = day_labels(y, np.ones(40, bool))
    assert np.isnan(kept[0]).sum() == 2 and np.isnan(kept[0, [0, -1]]).all()
    assert abs(np.nanmean(kept[0])) < 1e-12 and abs(np.nanstd(kept[0]) - 1) < 1e-12 and np.isfinite(everybody[0]).all()


def test_seeds_trained_as_one_are_the_seeds_trained_alone(study) -> None:
    """Every model of the stack gets the loss and gradient that it would have by itself; arms share first weights and draws."""
    rows = study.rows("train", target=True)
    x, y = torch.from_numpy(study.windows(rows)), torch.from_numpy(study.taught[rows.day, rows.share]).float()
    for name in ("gru", "hist"):
        torch.manual_seed(0)
        fit = Fit(name, {"none": Arm(x, y, rows), "same": Arm(x, y, rows)}, study, 2, torch.Generator().manual_seed(3))
        states = [state for state in fit.train(20) if len(state.ic)]
        assert np.allclose(states[-1].ic[0], states[-1].ic[1], atol=1e-5), "equal arms must learn equally"
        alone = fit.kind.make(len(study.names)).eval()
        alone.load_state_dict({key: value[1].detach() for key, value in fit._best.items()}, strict=False)
        day = study.splits["test"][0]
        shares = np.flatnonzero(study.panel.target)
        windows = torch.from_numpy(study.x[day - 7 : day + 1, shares].swapaxes(0, 1).copy())
        with torch.no_grad():
            said = alone(windows, torch.from_numpy(study.panel.industry[shares])).numpy()
        assert np.allclose(said, fit.predictions[0, 1, 0], atol=1e-5)


def test_all_predictors_learn_a_plain_signal() -> None:
    from core.factors.predictors import PREDICTORS

    rng = torch.Generator().manual_seed(0)
    x, industry = torch.randn(96, 8, 20, generator=rng), torch.arange(96) % 10
    y = x[:, -1, 0] - x[:, -1, 1]
    for name, kind in PREDICTORS.items():
        torch.manual_seed(0)
        model = kind.make(20)
        optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
        first = last = 0.0
        for _ in range(25):
            loss = ((model(x, industry) - y) ** 2).mean()
            first, last = first or loss.item(), loss.item()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        assert last < 0.7 * first, (name, first, last)


def test_metrics_against_worked_examples() -> None:
    scores = np.array([[1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 1.0, 1.0], [4.0, np.nan, 2.0, 1.0]])
    returns = np.array([[1.0, 2.0, 3.0, 10.0], [1.0, 2.0, 3.0, 4.0], [0.0, 9.0, 1.0, 3.0]])
    ic = daily_ic(scores, returns)
    assert (
        np.isclose(ic[0], np.corrcoef(scores[0], returns[0])[0, 1])
        and np.isnan(ic[1])
        and np.isclose(ic[2], np.corrcoef([4, 2, 1], [0, 1, 3])[0, 1])
    )
    assert np.allclose(daily_rank_ic(scores, returns)[[0, 2]], [1.0, -1.0])
    assert np.isclose(icir(np.array([0.1, 0.2, 0.3])), 2.0)
    a, b = np.random.default_rng(0).standard_normal((2, 4000, 3))
    assert frechet(a, a) < 1e-9 and abs(frechet(a, 2 * b + 1) - 6) < 0.5  # |1|^2 * 3 + (2 - 1)^2 * 3
    assert abs(rms(jitter(a, 0.4, np.random.default_rng(1)), a) - 0.4) < 0.01
    assert neighbours(a[:50], a[:50]) == (0.0, 1.0)


def test_c14_the_strategy_holds_the_top_pays_and_never_gains_by_costs() -> None:
    rng = np.random.default_rng(0)
    close = 10 * np.exp(0.01 * rng.standard_normal((60, 12)).cumsum(0))
    scores = rng.standard_normal(close.shape)
    whole = bt.topk_dropout(scores, close, topk=4, n_drop=4)
    for day in range(1, 60):
        assert set(np.flatnonzero(whole.held[day])) == set(np.argsort(-scores[day - 1])[:4]), "with n = k the book is the top k"
    books = [bt.topk_dropout(scores, close, topk=4, n_drop=n) for n in (1, 2, 4)]
    assert all((book.cost >= 0).all() and (book.held.sum(1) <= 4).all() for book in books)
    assert books[0].turnover.sum() < books[1].turnover.sum() < books[2].turnover.sum()
    dear = bt.topk_dropout(scores, close, topk=4, n_drop=4, costs=bt.DEFAULT)
    free = bt.topk_dropout(scores, close, topk=4, n_drop=4, costs=(0.0, 0.0))
    assert np.allclose(free.gross, whole.gross, atol=2e-4) and free.cost.sum() == 0 < whole.cost.sum() < dear.cost.sum()
    lots = bt.topk_dropout(scores[:2], close[:2], topk=4, n_drop=4, account=44_000)  # bought once, on the second day
    chosen = np.argsort(-scores[0])[:4]
    value = np.floor(44_000 * 0.95 / 4 / close[1, chosen] / 100) * 100 * close[1, chosen]
    fees = np.maximum(value * bt.BENCHMARK[0], 5)
    assert (fees == 5).any() and np.isclose(lots.cost[1] * 44_000, fees.sum())
    assert np.isclose(lots.turnover[1] * 44_000, (value + fees).sum())
    assert not bt.topk_dropout(scores, close, topk=4, n_drop=4, account=100).traded, "too little for a hundred of any share"
    flat = bt.topk_dropout(np.ones_like(scores), close, topk=4, n_drop=2)
    assert np.isfinite(flat.gross).all() and not bt.topk_dropout(np.full_like(scores, np.nan), close, topk=4, n_drop=2).traded


def test_orders_and_risk_against_worked_examples() -> None:
    score, held = np.array([0.9, 0.1, 0.8, 0.7, 0.2]), np.array([False, True, True, False, True])
    sell, buy = bt.orders(score, held, np.ones(5, bool), topk=3, n_drop=1)
    assert sell.tolist() == [1] and buy.tolist() == [0]  # U = 0 2 4 1 with B = [0]: the last of U goes
    sell, buy = bt.orders(score, held, np.array([True, False, True, True, True]), topk=3, n_drop=1)
    assert sell.tolist() == [] and buy.tolist() == []  # what cannot be sold keeps its place
    r = np.array([0.01, -0.02, 0.03, 0.0])
    told = bt.risk(r)
    assert (
        np.isclose(told["AR"], 238 * 0.005)
        and np.isclose(told["IR"], np.sqrt(238) * r.mean() / r.std(ddof=1))
        and np.isclose(told["MDD"], -0.02)
    )


def test_the_market_has_the_signal_that_was_planted(study) -> None:
    days = study.splits["test"]
    part = slice(days.start, days.stop)
    ic = np.nanmean(daily_ic(study.panel.score[part], study.y[part]))
    assert 0.04 < ic < 0.14
    quiet = market(0, shares=100, days=160, targets=20, kappa=0.0)
    assert abs(np.nanmean(daily_ic(quiet.score[100:-5], future_return(quiet.close, 5)[100:-5]))) < 0.03


def test_loss_guidance_gives_every_window_its_own_strength_around_the_same_mean() -> None:
    losses = np.random.default_rng(0).random(1000)
    made = loss_guided(500, losses, 0.5)
    assert abs(made.mean() - 500) < 5 and made[losses.argmin()] == 750 and made[losses.argmax()] == 250
    assert (loss_guided(500, losses, 0.0) == 500).all() and loss_guided(800, losses, -1.0).max() == 1000
