"""Numbers against closed forms and other libraries; the training's schedule and losses against their definitions."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn import functional as F

from core.learngene.data import SYMBOLS, read_task
from core.learngene.metrics import accuracy, agreement, cka, linearity, weight_groups
from core.learngene.pool.experiments import _beside
from core.learngene.pool.paths import SMALL
from core.learngene.training import Recipe, born_from, fit, schedule, soft_distillation, steps_of, supervised
from core.learngene.vit import look_closely, new_model, parts_of
from core.stats import beyond_chance, share_interval


def _linearity(layers: torch.Tensor, shuffles: int = 200):
    return linearity("w", layers, torch.Generator().manual_seed(0), shuffles)


def test_weights_on_a_line_are_explained_wholly_and_above_chance():
    slope, start = torch.randn(2, 50, generator=torch.Generator().manual_seed(1))
    found = _linearity(torch.stack([start + i * slope for i in range(8)]))
    assert found.r2 == pytest.approx(1, abs=1e-6) and found.correlation2 == pytest.approx(1, abs=1e-6)
    assert found.explained == pytest.approx(1, abs=1e-6) and found.chance_p95 < 0.95
    assert list(found.scores) == sorted(found.scores)


def test_r2_equals_an_ordinary_regression_per_weight():
    layers = torch.randn(6, 40, generator=torch.Generator().manual_seed(2)) + torch.arange(6)[:, None] * 0.3
    x, y = np.arange(6) / 6, layers.double().numpy()
    fitted = np.polynomial.polynomial.polyval(x, np.polynomial.polynomial.polyfit(x, y, 1)).T
    expected = 1 - ((y - fitted) ** 2).sum() / ((y - y.mean(0)) ** 2).sum()
    assert _linearity(layers).r2 == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("depth", [8, 12])
def test_unrelated_layers_are_explained_as_chance_says(depth):
    """E[R2] = 1 / (L - 1) for unrelated layers (methods/09 section 5)."""
    found = _linearity(torch.randn(depth, 20_000, generator=torch.Generator().manual_seed(3)), 1000)
    assert found.chance_mean == pytest.approx(1 / (depth - 1), abs=0.002)
    assert found.r2 == pytest.approx(1 / (depth - 1), abs=0.01)


def test_weight_groups_are_the_matrices_of_every_block():
    groups = weight_groups(parts_of(new_model(4, 12, 3, SYMBOLS)).blocks)
    assert len(groups) == 6 and all(layers.shape[0] == 4 for layers in groups.values())


def test_likeness_ignores_rotation_and_size_but_not_content():
    generator = torch.Generator().manual_seed(0)
    one, other = torch.randn(400, 6, generator=generator), torch.randn(400, 6, generator=generator)
    turn, _ = torch.linalg.qr(torch.randn(6, 6, generator=generator))
    assert cka(one, 3 * one @ turn + 5) == pytest.approx(1, abs=1e-5)
    assert cka(one, other) < 0.1


@pytest.mark.parametrize(("right", "n"), [(0, 20), (7, 20), (250, 256)])
def test_interval_of_a_share_is_wilsons(right, n):
    expected = stats.binomtest(right, n).proportion_ci(method="wilson")
    assert share_interval(right / n, n) == pytest.approx((expected.low, expected.high), abs=1e-6)


@pytest.mark.parametrize(("n", "words"), [(1, "with only 1 test picture no such difference can be told from chance"),
                                          (400, "would have to be 6.9 points")])
def test_one_picture_tells_no_difference_and_no_impossible_one_is_named(n, words):
    rival = SimpleNamespace(name="alone", width=36, parameters=10, macs=10)
    said = _beside([(rival, 0.5)], {SMALL: (5, 1.0)}, n)
    with pytest.raises(StopIteration) as ended:
        while True:
            next(said)
    assert words in ended.value.value and "196" not in ended.value.value


def test_smallest_difference_shrinks_with_the_square_root_of_n():
    assert beyond_chance(0.5, 400) == pytest.approx(beyond_chance(0.5, 100) / 2)


def test_accuracy_and_agreement_count_largest_logits():
    scores = torch.tensor([[2.0, 1], [0, 3], [5, 4]])
    assert accuracy(lambda pixels: scores, torch.zeros(3, 1), torch.tensor([0, 1, 1])) == pytest.approx(2 / 3)
    assert agreement(scores, torch.tensor([[9.0, 1], [9, 3], [1, 4]])) == pytest.approx(1 / 3)


def test_attention_maps_say_where_the_picture_is_looked_at():
    torch.manual_seed(0)
    model = new_model(3, 12, 3, SYMBOLS).eval()
    model.set_attn_implementation("eager")
    pixels = torch.randn(2, 1, 16, 16)
    (scores, maps), own = look_closely(model, pixels, 1), model(pixels, output_attentions=True).attentions
    torch.testing.assert_close(scores, model(pixels).logits)
    assert len(maps) == 3 and maps[0].shape == (4, 4)
    for given, weights in zip(maps, own, strict=True):
        torch.testing.assert_close(given.flatten(), weights[1, :, 1:, 1:].mean((0, 1)))


def test_schedule_rises_to_the_peak_and_falls_to_a_hundredth():
    rates = [schedule(step, 100, 0.1) for step in range(100)]
    assert rates[9] == 1 and rates[0] == pytest.approx(0.1) and max(rates) == 1
    assert rates[55] == pytest.approx(0.01 + 0.99 * 0.5) and rates[-1] < 0.012
    assert rates[10:] == sorted(rates[10:], reverse=True)


@pytest.mark.parametrize("legacy", [False, True])
def test_soft_distillation_is_divided_by_the_batch_or_by_the_classes_too(legacy):
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(4, 5, generator=generator), torch.randn(4, 5, generator=generator)
    p, q = (teacher / 2).softmax(-1), (student / 2).softmax(-1)
    expected = 4 * (p * (p / q).log()).sum() / (20 if legacy else 4)
    loss_of = soft_distillation(lambda x: student, lambda x: teacher, tau=2.0, legacy=legacy)
    torch.testing.assert_close(loss_of(torch.zeros(4), torch.zeros(4, dtype=torch.long)), expected)


def test_labels_count_only_when_alpha_is_below_one():
    student, teacher, labels = torch.randn(3, 4), torch.randn(3, 4), torch.tensor([0, 1, 2])
    kl = soft_distillation(lambda x: student, lambda x: teacher)(student, labels)
    mixed = soft_distillation(lambda x: student, lambda x: teacher, alpha=0.25)(student, labels)
    torch.testing.assert_close(mixed, 0.75 * F.cross_entropy(student, labels) + 0.25 * kl)


def test_training_learns_symbols_and_repeats_itself():
    task, shares, losses = read_task("symbols"), [], []
    for _ in range(2):
        with born_from(torch.Generator().manual_seed(4)):
            model = new_model(2, 24, 3, task.classes)
        steps = list(fit(model.named_parameters(), supervised(lambda x, m=model: m(x).logits), task, Recipe(30, 2e-3),
                         torch.Generator().manual_seed(0)))
        losses.append([step.loss for step in steps])
        shares.append(accuracy(lambda x, m=model: m(x).logits, task.test_pixels, task.test_labels))
    assert losses[0] == losses[1] and shares[0] == shares[1]
    assert shares[0] > 3 / len(SYMBOLS) and len(losses[0]) == steps_of(task, Recipe(30, 2e-3)) == 60
    assert (steps[-1].epoch, steps[0].epoch, steps[1].epoch) == (30, 0, 1)


def test_weights_born_from_a_generator_ignore_what_was_drawn_before():
    born = []
    for before in (0, 7):
        torch.manual_seed(before)
        with born_from(torch.Generator().manual_seed(11)):
            born.append(new_model(1, 12, 3, SYMBOLS).state_dict()["classifier.weight"])
    assert torch.equal(*born)
    drawn = torch.rand(1)
    torch.manual_seed(7)
    assert torch.equal(torch.rand(1), drawn)  # the global generator stands where it stood


def test_frozen_parameters_stay():
    task, model = read_task("symbols"), new_model(1, 12, 3, SYMBOLS)
    model.vit.requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    list(fit(model.named_parameters(), supervised(lambda x: model(x).logits), task, Recipe(1, 1e-2), torch.Generator()))
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed == {"classifier.weight", "classifier.bias"}
    assert math.isfinite(model.classifier.weight.sum().item())
