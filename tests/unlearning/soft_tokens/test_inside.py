"""The view of soft tokens from inside, against numpy and against the plain model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from core.unlearning.soft_tokens.attack import embedding_matrix
from core.unlearning.soft_tokens.inside import Projection, last_states, moved_by, norm_ratio, tiles
from core.unlearning.soft_tokens.targets import Target
from tests.engine.tiny_models import tiny, tiny_tokenizer


def test_the_plane_is_that_of_a_singular_value_decomposition() -> None:
    matrix = torch.randn(200, 12, generator=torch.Generator().manual_seed(0)) * torch.linspace(3, 0.5, 12)
    plane = Projection.of(matrix)
    centred = matrix.numpy() - matrix.numpy().mean(0)
    _, values, vectors = np.linalg.svd(centred, full_matrices=False)
    assert plane.share == pytest.approx((values**2 / (values**2).sum())[:2], rel=1e-5)
    assert np.allclose(np.abs(vectors[:2] @ plane.axes.numpy()), np.eye(2), atol=1e-4)
    assert plane.shown(matrix) == pytest.approx(sum(plane.share), rel=1e-4)


def test_the_tile_of_a_word_is_that_word() -> None:
    matrix, tokenizer = embedding_matrix(tiny("llama")), tiny_tokenizer()
    found = tiles(matrix[[100, 101]], matrix, "embedding", tokenizer)
    assert [tile.words[0] for tile in found] == [tokenizer.decode([100]), tokenizer.decode([101])]
    mixture = torch.zeros(1, len(matrix))
    mixture[0, 77] = 1.0
    assert tiles(mixture, matrix, "vocabulary", tokenizer)[0].words[0] == tokenizer.decode([77])
    assert norm_ratio(mixture, matrix, "vocabulary") == pytest.approx((matrix[77].norm() / matrix.norm(dim=-1).mean()).item(), rel=1e-5)
    assert norm_ratio(3 * matrix, matrix, "embedding") == pytest.approx(3.0, rel=1e-5)


def test_states_are_the_models_hidden_states() -> None:
    model = tiny("llama")
    states = last_states(model, Target((1,), (40, 41), (50,)), None)
    with torch.no_grad():
        hidden = model(input_ids=torch.tensor([[1, 40, 41]]), output_hidden_states=True).hidden_states
    for layer in range(len(hidden) - 1):  # the last one is reported after the final norm
        assert torch.allclose(states[layer], hidden[layer][0, -1], atol=1e-5)


def test_words_that_change_nothing_move_nothing() -> None:
    model = tiny("llama")
    targets = [Target((), (40, 41), (50,)), Target((), (42, 43), (51,))]
    attacked, ordinary = moved_by(model, [(t, torch.zeros(0, 32)) for t in targets])
    assert attacked == pytest.approx([1.0] * len(attacked), abs=1e-5)
    assert min(ordinary) < 0.99
    moved, _ = moved_by(model, [(t, 5 * torch.ones(2, 32)) for t in targets])
    assert moved[0] == pytest.approx(1.0, abs=1e-5) and min(moved) < 0.99
