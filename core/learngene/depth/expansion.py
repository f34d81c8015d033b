"""Linear expansion: layer l of L is `(l - 1) / L * slope + intercept` (methods/09 section 2), for any block class.

    blocks = expand_blocks(template, intercept, slope, depth=12)      # twelve independent copies of the template

A block is whatever `named_parameters()` says it is; no name is written down here. The first layer is the intercept at
every depth, and the last one never quite reaches intercept + slope, because the divisor is L, not L - 1.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from core.engine.errors import LabError


def coefficients(depth: int, divisor: int | None = None) -> list[float]:
    """The share of the slope in each layer: 0, 1/L, ..., (L-1)/L. `divisor` replaces L (methods/09 T12 compares L - 1)."""
    if depth < 1:
        raise LabError(f"A network cannot have {depth} layers.", "Choose a depth of at least 1.")
    divisor = depth if divisor is None else max(1, divisor)
    return [i / divisor for i in range(depth)]


def line(intercept: Mapping[str, Tensor], slope: Mapping[str, Tensor], shares: list[float]) -> list[dict[str, Tensor]]:
    """The parameters of every layer, by name; gradients reach both sets. Each name has one (*shape,) in all of them."""
    by_name = stacked(intercept, slope, shares)
    values = [tensor.unbind() for tensor in by_name.values()]
    return [dict(zip(by_name, row, strict=True)) for row in zip(*values, strict=True)]


def stacked(intercept: Mapping[str, Tensor], slope: Mapping[str, Tensor], shares: list[float]) -> dict[str, Tensor]:
    """All layers at once: each name maps to (layers, *shape). One operation per name, not one per name and layer."""
    layers = {}
    for name, tensor in intercept.items():
        share = torch.tensor(shares, dtype=tensor.dtype, device=tensor.device).view(-1, *[1] * tensor.dim())
        layers[name] = torch.addcmul(tensor[None], share, slope[name][None])
    return layers


def expand_blocks(template: nn.Module, intercept: Mapping[str, Tensor], slope: Mapping[str, Tensor], depth: int) -> nn.ModuleList:
    """Independent copies of `template` holding the layers of a descendant. Raises LabError when the names do not fit.

    Each name has the template's (*shape,).
    """
    names = {name for name, _ in template.named_parameters()}
    if names != set(intercept) or names != set(slope):
        odd = sorted(names ^ set(intercept) or names ^ set(slope))[0]
        raise LabError(f"This learngene does not fit the block: '{odd}' is on one side only.", "Use the block class it was trained with.")
    shapes = {name: parameter.shape for name, parameter in template.named_parameters()}
    wrong = next((name for name in shapes if intercept[name].shape != shapes[name] or slope[name].shape != shapes[name]), None)
    if wrong:
        raise LabError(f"This learngene has another width than the block: '{wrong}' is {tuple(intercept[wrong].shape)}, "
                       f"not {tuple(shapes[wrong])}.", "A learngene grows in depth, not in width.")
    with torch.no_grad():
        return nn.ModuleList(twin(template, values) for values in line(intercept, slope, coefficients(depth)))


def twin(module: nn.Module, values: Mapping[str, Tensor], instead: Mapping[str, nn.Module] | None = None, prefix: str = "") -> nn.Module:
    """A module tree of its own whose parameters are `values`, by name; nothing is initialised and no number is copied.

    `instead` puts other modules in place of some, by their path. A fraction of the time of `copy.deepcopy`, which a slider feels.
    Each of `values` has the (*shape,) of the parameter that it stands for.
    """
    made = object.__new__(type(module))
    own = {name: value.copy() if isinstance(value, dict) else value for name, value in module.__dict__.items()}
    own["_parameters"] = {name: given if given is None else nn.Parameter(values[prefix + name])
                          for name, given in module._parameters.items()}
    own["_buffers"] = {name: given if given is None else given.clone() for name, given in module._buffers.items()}
    own["_modules"] = {}
    made.__dict__ = own
    for name, child in module._modules.items():
        other = (instead or {}).get(prefix + name)
        made._modules[name] = other or child and twin(child, values, instead, f"{prefix}{name}.")
    return made
