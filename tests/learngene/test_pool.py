"""The pool's forward, its storage as two classifiers, the five ways to begin a stitch, and the distillation."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from transformers import ViTForImageClassification

from core.engine.errors import LabError
from core.learngene.data import SYMBOLS
from core.learngene.pool.distil import Distillation
from core.learngene.pool.paths import LARGE, SMALL, Way, paired, stitch_of
from core.learngene.pool.pool import Matrices, Pool, third_positions
from core.learngene.pool.stitches import INITS, initialise, residual, solve, streams
from core.learngene.vit import new_model
from tests.learngene.brought import deit
from tests.learngene.listened import listened

NARROW, WIDE, BLOCKS = 12, 24, 6


@pytest.fixture
def pool() -> Pool:
    torch.manual_seed(0)
    small, large = new_model(BLOCKS, NARROW, 3, SYMBOLS).eval(), new_model(BLOCKS, WIDE, 3, SYMBOLS).eval()
    matrices = Matrices({m: nn.Linear(WIDE, NARROW) for m in (1, 2, 3)}, {m: nn.Linear(WIDE, WIDE) for m in (1, 2, 3)})
    made = Pool(small, large, nn.ModuleList(nn.Linear(NARROW, WIDE) for _ in range(BLOCKS - 1)), matrices)
    return made.requires_grad_(False)


@pytest.fixture
def pixels() -> torch.Tensor:
    return torch.randn(120, 1, 16, 16, generator=torch.Generator().manual_seed(5))


def test_unstitched_paths_are_the_models_themselves(pool, pixels):
    assert torch.equal(pool(pixels, SMALL), pool.small(pixels).logits)
    assert torch.equal(pool(pixels, LARGE), pool.large(pixels).logits)


def test_stitched_path_runs_small_blocks_then_the_stitch_then_large_blocks(pool, pixels):
    """Against the library's own hidden states: block 2 of the small model, blocks 3.. of the large one."""
    hidden = pool.small(pixels, output_hidden_states=True).hidden_states[3]
    hidden = F.linear(hidden, pool.stitches[2].weight, pool.stitches[2].bias)
    for block in pool.large.vit.layers[3:]:
        hidden = block(hidden)
    expected = pool.large.classifier(pool.large.vit.layernorm(hidden)[:, 0])
    torch.testing.assert_close(pool(pixels, Way(2, 3)), expected)


def test_equal_models_with_identity_stitches_are_one_model():
    torch.manual_seed(0)
    model = new_model(BLOCKS, WIDE, 3, SYMBOLS).eval()
    stitches = nn.ModuleList(nn.Linear(WIDE, WIDE) for _ in range(BLOCKS - 1))
    for stitch in stitches:
        nn.init.eye_(stitch.weight), nn.init.zeros_(stitch.bias)
    pool, pixels = Pool(model, copy.deepcopy(model), stitches, Matrices()), torch.randn(3, 1, 16, 16)
    torch.testing.assert_close(pool(pixels, Way(2, 3)), model(pixels).logits)
    assert (pool(pixels, Way(2, 2)) - model(pixels).logits).abs().max() > 1e-3  # one block twice is something else


def test_two_files_hold_the_whole_pool(pool, pixels, tmp_path):
    for name, model in pool.pack().items():
        model.save_pretrained(tmp_path / name)
    read = [ViTForImageClassification.from_pretrained(tmp_path / name).eval() for name in ("small", "large")]
    again = Pool.unpack(*read)
    for way in (SMALL, LARGE, Way(0, 0), Way(3, 4)):
        torch.testing.assert_close(again(pixels, way), pool(pixels, way))
    for kind in ("small", "large"):
        for third, linear in getattr(pool.matrices, kind).items():
            torch.testing.assert_close(getattr(again.matrices, kind)[third].weight, linear.weight)
    assert read[0].config.num_labels > len(SYMBOLS) and again.small.config.num_labels == len(SYMBOLS)


def test_halves_of_different_pools_are_refused(pool):
    packed = pool.pack()
    with pytest.raises(LabError, match="small and the large"):
        Pool.unpack(packed["large"], packed["small"])
    packed["large"].config.pool["width"] = NARROW + 1
    with pytest.raises(LabError, match="widths"):
        Pool.unpack(packed["small"], packed["large"])


def test_unpacking_leaves_shared_models_as_they_are(pool, pixels):
    packed = pool.pack()
    before = packed["small"].classifier.weight.clone()
    initialise(Pool.unpack(packed["small"], packed["large"]), "random", pixels, torch.Generator().manual_seed(9))
    assert torch.equal(packed["small"].classifier.weight, before)


def test_least_squares_is_the_best_linear_map_for_every_path(pool, pixels):
    """L12: its residual is at most that of every other way to begin; and it equals numpy's solution."""
    import numpy as np

    pixels = pixels[:40]
    solved = {way: solve(pool, way, pixels) for way in paired(BLOCKS)}
    lowest = {way: residual(pool, way, pixels, best[:-1].T, best[-1]) for way, best in solved.items()}
    for name in INITS:
        initialise(pool, name, pixels, torch.Generator().manual_seed(0))
        for way in solved:
            stitch = pool.stitches[stitch_of(way, BLOCKS)]
            assert lowest[way] <= residual(pool, way, pixels, stitch.weight, stitch.bias) + 1e-9, (way, name)
    lower, upper = streams(pool, Way(1, 2), pixels)
    given = np.hstack([lower.numpy(), np.ones((len(lower), 1))])
    np.testing.assert_allclose(solve(pool, Way(1, 2), pixels).numpy(), np.linalg.lstsq(given, upper.numpy(), rcond=None)[0], atol=1e-6)


def test_transposes_follow_the_formulas(pool, pixels):
    mean = torch.stack([pool.matrices.small[m].weight for m in (1, 2, 3)]).mean(0)
    initialise(pool, "transpose", pixels, torch.Generator())
    assert all(torch.equal(stitch.weight, mean.T) and stitch.bias.eq(0).all() for stitch in pool.stitches)
    initialise(pool, "scaled", pixels, torch.Generator())
    back = pool.stitches[0].weight.T @ mean.T
    assert back.diagonal().mean().item() == pytest.approx(1, abs=1e-5)


def test_chain_undoes_the_small_matrix_and_applies_the_large_one(pool, pixels):
    """A point that both matrices were applied to must go from one image to the other, where the small one is invertible."""
    initialise(pool, "chain", pixels, torch.Generator())
    thirds = dict(zip((1, 2, 3), third_positions(BLOCKS), strict=True))
    assert thirds == {1: 1, 2: 3, 3: 5}
    lower, upper = pool.matrices.small[1], pool.matrices.large[1]
    point = torch.linalg.pinv(lower.weight) @ torch.randn(NARROW)
    torch.testing.assert_close(pool.stitches[0](lower(point)), upper(point), atol=1e-4, rtol=1e-4)


def test_ways_that_need_matrices_say_so(pool, pixels):
    pool.matrices = Matrices()
    for name in ("transpose", "scaled", "chain"):
        with pytest.raises(LabError, match="matrices"):
            initialise(pool, name, pixels, torch.Generator())
    initialise(pool, "least_squares", pixels, torch.Generator())


@pytest.mark.parametrize(("kind", "dropped"), [("vit", 0), ("deit", 1)])
def test_distillation_loss_is_the_sum_that_the_method_states(pixels, kind, dropped):
    """Against hidden states of the library and attention outputs taken by a hook of our own; a DeiT without its second token."""
    torch.manual_seed(0)
    ancestor = (new_model(9, WIDE, 3, SYMBOLS) if kind == "vit" else deit(hidden_size=WIDE, num_hidden_layers=9)).eval()
    student, tokens = new_model(6, NARROW, 3, SYMBOLS).eval(), [0, *range(1 + dropped, 17 + dropped)]
    taught, pixels, labels = Distillation(ancestor, student, (2, 3)), pixels[:5], torch.arange(5)
    seen = {}
    hooks = [model.base_model.layers[i].attention.register_forward_hook(lambda m, a, out, key=(name, i): seen.__setitem__(key, out[0]))
             for name, model, places in (("t", ancestor, (5, 8)), ("s", student, (3, 5))) for i in places]
    theirs, ours = (model(pixels, output_hidden_states=True) for model in (ancestor, student))
    for hook in hooks:
        hook.remove()
    soft = -(theirs.logits.softmax(-1) * ours.logits.log_softmax(-1)).sum(-1).mean()
    inside = 0
    for third, t, s in ((2, 5, 3), (3, 8, 5)):
        # the library's last hidden state is normed or not, depending on the version: take the block's output by layer
        inside += F.mse_loss(_block_output(student, pixels, s), taught.matrices_z[third](_block_output(ancestor, pixels, t)[:, tokens]))
        inside += F.mse_loss(seen["s", s], taught.matrices_a[third](seen["t", t][:, tokens]))
    expected = 0.1 * F.cross_entropy(ours.logits, labels) + 0.9 * (soft + inside)
    torch.testing.assert_close(taught.loss(pixels, labels), expected)


@pytest.mark.parametrize(("dense", "matched"), [(True, {"1", "2", "3"}), (False, {"3"})])
def test_the_large_model_is_matched_where_the_choice_says(engine, refs, dense, matched):
    """loss_pos of the B model, methods/10 "Added 28 November"; the small one is dense either way, and only a dense B allows the chain."""
    config = {"task": "symbols", "ancestor": refs["wide"], "epochs": 0, "small_width": 24, "blocks": 3, "dense": dense}
    run, _ = listened(engine, "learngene/pool", config)
    small, large = (engine.models.load(f"run/{run['run_id']}/{half}").model for half in ("small", "large"))
    made = Pool.unpack(small, large)
    assert set(map(str, made.matrices.large)) == matched and set(map(str, made.matrices.small)) == {"1", "2", "3"}


def test_distillation_trains_student_and_matrices_but_not_the_ancestor(pixels):
    torch.manual_seed(0)
    ancestor, student = new_model(3, WIDE, 3, SYMBOLS).requires_grad_(False), new_model(3, NARROW, 3, SYMBOLS)
    taught = Distillation(ancestor, student, (3,))
    taught.loss(pixels[:4], torch.arange(4)).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for name, p in taught.named_parameters() if name.endswith("weight"))
    assert all(p.grad is None for p in ancestor.parameters())


@pytest.mark.parametrize(("shape", "said"), [({"patch_size": 8}, "4 patches, the models of a pool into 16"),
                                             ({"num_hidden_layers": 2}, "has 2 blocks only")])
def test_an_ancestor_that_no_pool_can_be_matched_with_is_named(shape, said):
    with pytest.raises(LabError, match=said):
        Distillation(deit(**shape), new_model(3, NARROW, 3, SYMBOLS), (1, 2, 3))


def _block_output(model: nn.Module, pixels: torch.Tensor, index: int) -> torch.Tensor:
    hidden = model.base_model.embeddings(pixels)
    for block in model.base_model.layers[:index + 1]:
        hidden = block(hidden)
    return hidden
