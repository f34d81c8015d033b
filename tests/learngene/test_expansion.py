"""T1 to T3 of methods/09 section 8, and the expansion of blocks of any kind."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import DeiTConfig, DeiTForImageClassification, ViTConfig, ViTForImageClassification
from transformers.models.deit.modeling_deit import DeiTLayer
from transformers.models.vit.modeling_vit import ViTLayer

from core.engine.errors import LabError
from core.learngene.data import SYMBOLS
from core.learngene.depth.expansion import coefficients, expand_blocks, line, twin
from core.learngene.depth.learngene import Learngene, freeze_slope, new_learngene
from core.learngene.vit import block_parameters, logits, new_model, parameters, parts_of


class OwnBlock(nn.Module):
    """A block of nobody's library: expansion must not know any name."""

    def __init__(self) -> None:
        super().__init__()
        self.mix, self.scale = nn.Linear(6, 6), nn.Parameter(torch.ones(6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.scale * torch.tanh(self.mix(x))


def _block(kind: str) -> nn.Module:
    shape = {"hidden_size": 12, "num_attention_heads": 3, "intermediate_size": 24, "attn_implementation": "sdpa"}
    return {"vit": lambda: ViTLayer(ViTConfig(**shape)), "deit": lambda: DeiTLayer(DeiTConfig(**shape)), "own": OwnBlock}[kind]()


def _random_sets(block: nn.Module) -> tuple[dict, dict]:
    generator = torch.Generator().manual_seed(3)
    return tuple({name: torch.randn(p.shape, generator=generator) for name, p in block.named_parameters()} for _ in range(2))


@pytest.fixture
def gene() -> Learngene:
    """Untrained, but with every number away from zero, norms included."""
    torch.manual_seed(1)
    made = new_learngene(8, 24, 3, SYMBOLS)
    with torch.no_grad():
        for parameter in made.store.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return made


@pytest.mark.parametrize("depth", [1, 2, 5, 8, 12])
def test_descendant_equals_the_auxiliary_model_of_its_depth(gene, depth):
    pixels = torch.randn(4, 1, 16, 16)
    assert (logits(gene.expand(depth), pixels) - gene(pixels, depth)).abs().max() <= 1e-5


def test_another_depth_is_another_function(gene):
    pixels = torch.randn(4, 1, 16, 16)
    assert (gene(pixels, 8) - gene(pixels, 7)).abs().max() > 1e-3


@pytest.mark.parametrize("depth", [2, 3, 9])
def test_layers_lie_on_a_line_that_starts_at_the_intercept(gene, depth):
    blocks = [dict(block.named_parameters()) for block in parts_of(gene.expand(depth)).blocks]
    for name, intercept in gene.intercept.items():
        assert torch.equal(blocks[0][name], intercept)
        steps = [later[name] - earlier[name] for earlier, later in zip(blocks, blocks[1:], strict=False)]
        torch.testing.assert_close(steps[0], gene.slope[name] / depth, atol=1e-6, rtol=0)
        torch.testing.assert_close(steps[-1], steps[0], atol=1e-6, rtol=0)


def test_last_layer_never_gets_the_whole_slope():
    assert coefficients(4) == [0, 0.25, 0.5, 0.75]
    assert coefficients(4, divisor=3) == [0, 1 / 3, 2 / 3, 1]


def test_numbers_stored_are_two_blocks_and_the_rest(gene):
    aside = sum(p.numel() for name, p in gene.store.named_parameters() if ".layers." not in name)
    assert parameters(gene.store) == 2 * block_parameters(gene.store.config) + aside
    for depth in (3, 7):
        assert parameters(gene.expand(depth)) == depth * block_parameters(gene.store.config) + aside


@pytest.mark.parametrize("kind", ["vit", "deit", "own"])
def test_blocks_of_any_kind_expand_to_independent_copies(kind):
    template = _block(kind)
    intercept, slope = _random_sets(template)
    blocks = expand_blocks(template, intercept, slope, 3)
    for i, block in enumerate(blocks):
        for name, parameter in block.named_parameters():
            torch.testing.assert_close(parameter, intercept[name] + i / 3 * slope[name])
    name = next(iter(intercept))
    with torch.no_grad():
        dict(blocks[0].named_parameters())[name].zero_()
    assert dict(blocks[1].named_parameters())[name].abs().sum() > 0 and intercept[name].abs().sum() > 0


def test_expanded_blocks_compute_what_functional_calls_compute():
    template = _block("own")
    intercept, slope = _random_sets(template)
    x = by_hand = torch.randn(2, 6)
    for block in expand_blocks(template, intercept, slope, 4):
        x = block(x)
    for values in line(intercept, slope, coefficients(4)):
        by_hand = torch.func.functional_call(template, values, (by_hand,))
    torch.testing.assert_close(x, by_hand)


def test_a_twin_shares_nothing_that_can_change():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    other = twin(model, {name: parameter.detach().clone() for name, parameter in model.named_parameters()})
    x = torch.randn(5, 3)
    before = model.eval()(x)
    assert torch.equal(other.eval()(x), before)
    other.train()(x), other[0].register_forward_hook(lambda *a: 0 * a[2])
    with torch.no_grad():
        other[0].weight.zero_()
    assert torch.equal(model.eval()(x), before) and not model[0]._forward_hooks


@pytest.mark.parametrize("spoil", ["name", "width"])
def test_what_does_not_fit_is_refused(spoil):
    template = _block("own")
    intercept, slope = _random_sets(template)
    if spoil == "name":
        slope["mix.wieght"] = slope.pop("mix.weight")
    else:
        intercept["mix.weight"] = torch.zeros(4, 4)
    with pytest.raises(LabError, match="fit the block" if spoil == "name" else "width"):
        expand_blocks(template, intercept, slope, 3)


@pytest.mark.parametrize("depth", [0, -3])
def test_a_network_without_layers_is_refused(gene, depth):
    with pytest.raises(LabError, match="cannot have"):
        gene.expand(depth)


def test_a_classifier_is_not_a_learngene():
    with pytest.raises(LabError, match="not a learngene"):
        Learngene(new_model(2, 24, 3, SYMBOLS))


def test_gradients_reach_both_sets_as_sums_over_the_layers(gene):
    """Sum over layers for the intercept, weighted by (l - 1) / L for the slope (methods/09 section 2.4)."""
    pixels, depth = torch.randn(3, 1, 16, 16), 3
    gene(pixels, depth).square().sum().backward()
    model = gene.expand(depth)
    logits(model, pixels).square().sum().backward()
    layers = [dict(block.named_parameters()) for block in parts_of(model).blocks]
    for name in gene.intercept:
        grads = torch.stack([layer[name].grad for layer in layers])
        weights = torch.tensor(coefficients(depth)).view(-1, *[1] * (grads.dim() - 1))
        torch.testing.assert_close(gene.intercept[name].grad, grads.sum(0), atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(gene.slope[name].grad, (weights * grads).sum(0), atol=1e-4, rtol=1e-3)


def test_initialisation_gives_standard_norms_and_wider_late_layers():
    torch.manual_seed(0)
    fresh = new_learngene(8, 48, 3, SYMBOLS)
    norm = {name: p for name, p in fresh.slope.items() if "layernorm" in name}
    assert norm and all(p.abs().sum() == 0 for p in norm.values())
    assert all(p.eq(1).all() for name, p in fresh.intercept.items() if "layernorm" in name and name.endswith("weight"))
    last = dict(parts_of(fresh.expand(8)).blocks[7].named_parameters())["mlp.fc1.weight"].std().item()
    assert last / fresh.intercept["mlp.fc1.weight"].std().item() == pytest.approx((1 + (7 / 8) ** 2) ** 0.5, rel=0.05)


def test_flat_learngene_has_equal_layers_and_a_slope_that_stays(gene):
    freeze_slope(gene)
    first, *others = [dict(block.named_parameters()) for block in parts_of(gene.expand(3)).blocks]
    assert all(torch.equal(first[name], other[name]) for other in others for name in first)
    assert not any(parameter.requires_grad for parameter in gene.slope.values())


@pytest.mark.parametrize("family", ["vit", "deit"])
def test_learngene_survives_saving_and_works_for_deit_too(tmp_path, family):
    kinds = {"vit": (ViTConfig, ViTForImageClassification), "deit": (DeiTConfig, DeiTForImageClassification)}
    config_class, model_class = kinds[family]
    torch.manual_seed(0)
    store = model_class(config_class(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=48, image_size=16,
                                     patch_size=4, num_channels=1, num_labels=5, initializer_range=0.2, pooling="patches",
                                     learngene={"depth": 6}, attn_implementation="sdpa"))
    store.save_pretrained(tmp_path)
    pixels, before = torch.randn(2, 1, 16, 16), Learngene(store.eval())
    after = Learngene(model_class.from_pretrained(tmp_path).eval())
    torch.testing.assert_close(after(pixels), before(pixels))
    torch.testing.assert_close(logits(after.expand(6), pixels), before(pixels), atol=1e-5, rtol=1e-5)
