"""Energies against examples worked out by hand, in float64."""

from __future__ import annotations

import math

import pytest
import torch

from core.engine.errors import LabError
from core.reasoning.energy import coe_scores, coe_terms, energy, kinetics, path_of
from core.reasoning.spec import VARIANT_NAMES


def states(*rows: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def random_states(seed: int = 0, layers: int = 7, width: int = 5) -> torch.Tensor:
    return torch.randn(layers + 1, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


WORLD = ("R0_kinetic", "R2_kinetic_minus_curvature", "R3_bending", "R4_discounted")


@pytest.mark.parametrize("variant", WORLD)
def test_moving_every_state_changes_nothing_and_scaling_squares(variant):
    found = energy(path_of(random_states()), variant)
    moved = energy(path_of(random_states() + torch.arange(5.0)), variant)
    scaled = energy(path_of(3 * random_states()), variant)
    torch.testing.assert_close(moved, found)
    torch.testing.assert_close(scaled, 9 * found)
    assert abs(float(found)) > 1e-3


def test_normalised_variant_does_not_see_the_scale():
    found, scaled = (energy(path_of(c * random_states()), "R1_additive_norm") for c in (1, 3))
    torch.testing.assert_close(scaled, found)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.8, 1.5])
def test_straight_on_costs_nothing(gamma):
    path = path_of(states((0, 0), (2, 0), (4, 0), (6, 0)))
    assert path.curvature.abs().max() < 1e-8
    assert float(energy(path, gamma=gamma)) == pytest.approx(2.0)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.8, 1.5])
def test_right_angles_and_reversals_cost_gamma_and_twice_gamma(gamma):
    stairs = path_of(states((0, 0), (2, 0), (2, 2), (4, 2)))
    back_and_forth = path_of(states((0, 0), (2, 0), (0, 0), (2, 0)))
    assert float(energy(stairs, gamma=gamma)) == pytest.approx((1 - gamma) * 2, abs=1e-8)
    assert float(energy(back_and_forth, gamma=gamma)) == pytest.approx((1 - 2 * gamma) * 2, abs=1e-8)


def test_default_gamma_turns_a_reversal_into_minus_six_tenths():
    assert float(energy(path_of(states((0, 0), (2, 0), (0, 0), (2, 0))))) == pytest.approx(-0.6 * 2)


def test_gamma_zero_is_the_mean_kinetic_energy_of_all_but_the_last_step():
    h = random_states(3)
    by_hand = sum(0.5 * float(((h[i + 1] - h[i]) ** 2).sum()) for i in range(6)) / 6
    assert float(energy(path_of(h), gamma=0.0)) == pytest.approx(by_hand)


def test_boxed_equation_term_by_term():
    h, gamma = random_states(4), 0.8
    total = 0.0
    for i in range(6):
        v, w = h[i + 1] - h[i], h[i + 2] - h[i + 1]
        cosine = float(v @ w) / math.sqrt(float(v @ v) * float(w @ w))
        total += 0.5 * float(v @ v) * (1 - gamma * (1 - cosine))
    assert float(energy(path_of(h))) == pytest.approx(total / 6)


def test_bending_uses_the_squared_acceleration():
    h = random_states(5)
    velocity = h.diff(dim=0)
    acceleration = velocity.diff(dim=0)
    by_hand = 0.5 * velocity.square().sum(-1).mean() - 0.8 * 0.5 * acceleration.square().sum(-1).mean()
    assert float(energy(path_of(h), "R3_bending")) == pytest.approx(float(by_hand))


def test_bending_flips_the_sign_when_steps_are_orthogonal():
    h = torch.cat([torch.zeros(1, 8), torch.eye(8).cumsum(0)]).double()
    assert float(energy(path_of(h), "R0_kinetic")) > 0 > float(energy(path_of(h), "R3_bending"))


def test_discount_weighs_old_layers_less():
    path = path_of(states((0, 0), (2, 0), (2, 4), (8, 4)))  # K = 2, 8, 18
    assert float(energy(path, "R4_discounted", 0.5)) == pytest.approx(0.25 * 2 + 0.5 * 8 + 18)


def test_additive_norm_by_hand():
    path = path_of(states((0, 0), (3, 0), (3, 4)))  # lengths 3 and 4, displacement 5, one right angle
    assert float(energy(path, "R1_additive_norm", 0.8)) == pytest.approx((3 / 5 + 4 / 5) / 2 - 0.8)


def test_entropy_potential_needs_the_lens_and_weighs_it():
    h = random_states(6)
    with pytest.raises(LabError):
        energy(path_of(h), "R5_entropy_potential")
    with_lens = path_of(h, torch.tensor(0.25), scale=4.0)
    assert float(energy(with_lens, "R5_entropy_potential", 0.8)) == pytest.approx(float(energy(path_of(h), "R0_kinetic")) - 0.8 * 4 * 0.25)


def test_batches_give_what_singles_give_and_every_variant_is_there():
    rows = torch.stack([random_states(seed) for seed in range(4)])
    for variant in VARIANT_NAMES[:5]:
        torch.testing.assert_close(energy(path_of(rows), variant), torch.stack([energy(path_of(row), variant) for row in rows]))


def test_chain_of_embedding_by_hand():
    # three layers in the plane: (1, 0) -> (0, 1) -> (0, 2) -> (-2, 0)
    h = states((1, 0), (0, 1), (0, 2), (-2, 0))
    lengths = [math.sqrt(2) / 3, 1 / 3, math.sqrt(8) / 3]
    angles = [0.5, 0.0, 0.5]  # quarter turn, none, quarter turn, over a half turn in all
    found_lengths, found_angles = coe_terms(h)
    assert found_lengths.tolist() == pytest.approx(lengths)
    assert found_angles.tolist() == pytest.approx(angles, abs=1e-4)
    magnitude, angle = sum(lengths) / 3, sum(angles) / 3
    across = sum(m * math.cos(a) for m, a in zip(lengths, angles, strict=True)) / 3
    up = sum(m * math.sin(a) for m, a in zip(lengths, angles, strict=True)) / 3
    scores = coe_scores(h)
    assert float(scores["CoE-R"]) == pytest.approx(magnitude - angle, abs=1e-4)
    assert float(scores["CoE-C"]) == pytest.approx(math.hypot(across, up), abs=1e-4)
    assert float(scores["CoE-Mag"]) == pytest.approx(magnitude) and float(scores["CoE-Ang"]) == pytest.approx(-angle, abs=1e-4)


def test_standing_still_is_not_a_division_by_zero():
    path = path_of(torch.ones(4, 3))
    assert all(torch.isfinite(energy(path, variant)) for variant in VARIANT_NAMES[:5])
    assert all(torch.isfinite(value) for value in coe_scores(torch.zeros(4, 3)).values())


def test_half_precision_is_computed_in_single():
    coarse = random_states(7).to(torch.bfloat16)
    torch.testing.assert_close(energy(path_of(coarse)), energy(path_of(coarse.float())))
    assert energy(path_of(coarse)).dtype == torch.float32


def test_cosines_stay_in_range():
    _, cosine = kinetics(torch.full((3, 4), 1e-20))
    assert ((cosine >= -1) & (cosine <= 1)).all()
