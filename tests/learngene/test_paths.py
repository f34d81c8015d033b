"""L1 to L4 of methods/10 section 7: what paths exist and what they cost, counted and by formula."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import ViTConfig

from core.engine.errors import LabError
from core.learngene.data import SYMBOLS
from core.learngene.pool.paths import (
    LARGE,
    SMALL,
    Way,
    all_paths,
    front,
    macs_of,
    paired,
    parameters_of,
    plain_parameters,
    stitch_of,
    stitch_parameters,
    stored,
)
from core.learngene.pool.pool import Matrices, Pool
from core.learngene.vit import block_macs, block_parameters, macs, new_model, parameters, parts_of


@pytest.fixture(scope="module")
def pool() -> Pool:
    torch.manual_seed(0)
    small, large = new_model(6, 24, 3, SYMBOLS), new_model(6, 36, 3, SYMBOLS)
    for model in (small, large):
        model.set_attn_implementation("eager")  # the counter does not know the fused attention of the CPU
    return Pool(small, large, nn.ModuleList(nn.Linear(24, 36) for _ in range(5)), Matrices()).eval()


@pytest.mark.parametrize(("blocks", "stitched", "models", "stitches"), [(6, 16, 18, 5), (9, 25, 27, 8), (12, 34, 36, 11)])
def test_counts_of_paths_and_stitches(blocks, stitched, models, stitches):
    ways = paired(blocks)
    assert (len(ways), len(all_paths(blocks))) == (stitched, models)
    assert set(ways) == {Way(j, k) for j, k in itertools.product(range(blocks), repeat=2) if abs(j - k) <= 1}
    owners = [stitch_of(way, blocks) for way in ways]
    assert len(set(owners)) == stitches
    assert [owners.count(i) for i in range(stitches)] == [4] + [3] * (stitches - 1)


def test_free_stitches_use_the_nearest_window_and_say_that_they_were_never_trained():
    assert stitch_of(Way(0, 5), 6) == 2 and not Way(0, 5).trained and Way(3, 2).trained
    with pytest.raises(LabError):
        stitch_of(Way(6, 0), 6)


@pytest.mark.parametrize("way", all_paths(6), ids=lambda way: way.name)
def test_multiply_adds_by_formula_equal_a_counted_forward(pool, way):
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        pool(torch.zeros(1, 1, 16, 16), way)
    assert macs_of(way, pool.small.config, pool.large.config, len(SYMBOLS)) == counter.get_total_flops() / 2


@pytest.mark.parametrize("way", all_paths(6), ids=lambda way: way.name)
def test_parameters_by_formula_equal_those_that_get_a_gradient(pool, way):
    pool.zero_grad(set_to_none=True)
    pool(torch.randn(2, 1, 16, 16), way).square().sum().backward()
    used = sum(p.numel() for p in pool.parameters() if p.grad is not None)
    assert parameters_of(way, pool.small.config, pool.large.config, len(SYMBOLS)) == used


def test_formulas_of_one_model_equal_the_model(pool):
    config = pool.small.config
    assert plain_parameters(config, len(SYMBOLS)) == parameters(pool.small)
    assert block_parameters(config) == parameters(parts_of(pool.small).blocks[0])
    assert stored(config, pool.large.config, len(SYMBOLS)) == parameters(pool)
    assert macs(config, 7) - macs(config, 6) == block_macs(config)


def _deit(width: int, blocks: int) -> ViTConfig:
    return ViTConfig(hidden_size=width, num_hidden_layers=blocks, intermediate_size=4 * width, num_labels=1000)


def test_numbers_of_the_published_pools():
    """methods/10 section 4: sizes at ImageNet scale, to the digits given there."""
    tiny, base = _deit(192, 6), _deit(768, 6)
    assert stitch_parameters(tiny, base) == 148_224
    assert plain_parameters(tiny, 1000) + plain_parameters(base, 1000) == pytest.approx(47.09e6, abs=5e3)
    assert plain_parameters(_deit(192, 9), 1000) + plain_parameters(_deit(768, 9), 1000) == pytest.approx(69.69e6, abs=5e3)
    costs = [macs_of(way, tiny, base, 1000) for way in paired(6)]
    assert (min(costs), max(costs)) == (pytest.approx(2.02e9, abs=5e6), pytest.approx(8.99e9, abs=5e6))
    assert macs_of(SMALL, tiny, base, 1000) == pytest.approx(0.64e9, abs=5e6)
    assert max(costs) > macs_of(LARGE, tiny, base, 1000)  # one small block and the whole large model: dominated by design


def test_pool_stores_less_and_reaches_lower_than_anchors_as_deep_as_the_ancestor():
    tiny, base, deep_tiny, deep_base = _deit(192, 6), _deit(768, 6), _deit(192, 12), _deit(768, 12)
    assert stored(tiny, base, 1000) < stored(deep_tiny, deep_base, 1000)
    assert macs_of(SMALL, tiny, base, 1000) < macs(deep_tiny)


def test_front_keeps_what_nothing_beats():
    assert front([(3, 0.9), (1, 0.5), (2, 0.4), (2, 0.7), (4, 0.9), (1, 0.6)]) == [5, 3, 0]
