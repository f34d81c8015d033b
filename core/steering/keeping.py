"""A trained steering on disk: R, W and b of each layer, the connector if it was trained with it, and in its JSON what it belongs to.

    yield Keep("steering", kept(tuned, scenes))                  # a run keeps it as safetensors
    steered = read_kept(folder, scenes)                          # checked against the model it is to steer
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

from core.engine.errors import LabError
from core.engine.weights import read_json, weight_files
from core.scenes.packing import inner_model
from core.steering.data import Scenes
from core.steering.methods import Tuned
from core.steering.steer import LinearSteer, Steering

KIND = "linear_steering"


class SteeringConfig(PretrainedConfig):
    """What a kept steering says of itself; plain JSON."""

    model_type = KIND


class KeptSteering(PreTrainedModel):
    """Tensors under their names, no more: `layers.3.R`, `layers.3.W`, `layers.3.b`, `connector.linear_1.weight`, ..."""

    config_class = SteeringConfig

    def __init__(self, config: SteeringConfig, tensors: dict[str, Tensor]) -> None:
        super().__init__(config)
        for name, value in tensors.items():
            *path, last = name.split(".")
            owner: nn.Module = self
            for part in path:
                if part not in owner._modules:
                    owner.add_module(part, nn.Module())
                owner = owner._modules[part]
            owner.register_parameter(last, nn.Parameter(value.detach().clone().float().contiguous(), requires_grad=False))


def kept(one: Tuned, scenes: Scenes) -> KeptSteering:
    """For `Keep`: the steering with its connector, if that was trained."""
    tensors = {f"layers.{layer}.{name}": value for layer, steer in one.steering.steers.items() for name, value in steer.matrices().items()}
    if one.connector:
        tensors |= {f"connector.{name}": value for name, value in inner_model(one.model).multi_modal_projector.state_dict().items()}
    row = one.row
    config = SteeringConfig(
        method=row.recipe, rank=row.rank, width=scenes.width, model_layers=scenes.layers, steered_layers=one.steering.layers,
        patches=one.patches, steers="picture" if row.recipe == "mores" else "question", connector=bool(one.connector),
        base=scenes.ref, base_fingerprint=scenes.fingerprint)
    return KeptSteering(config, tensors)


@dataclass
class Stored:
    """A steering as it was kept. connector: state of the projector, or None.  patches: what it steers, [] for words."""

    steering: Steering
    connector: dict[str, Tensor] | None
    patches: list[int]
    method: str


def read_kept(folder: Path, scenes: Scenes) -> Stored:
    """Raises LabError for what is no steering, and for one whose shapes are not those of the model."""
    from safetensors.torch import load_file

    try:
        said = read_json(folder / "config.json")
        if said.get("model_type") != KIND:
            raise ValueError
        tensors = {name: value for file in weight_files(folder) for name, value in load_file(file).items()}
        layers = sorted({int(name.split(".")[1]) for name in tensors if name.startswith("layers.")})
        patches, method = [int(i) for i in said["patches"]], str(said["method"])
        parts = {layer: {name: tensors[f"layers.{layer}.{name}"] for name in "RWb"} for layer in layers}
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        raise LabError("That is not a steering that this lab kept.", "Train one on this page: its run keeps it as 'steering'.") from None
    return Stored(_rebuilt(parts, scenes), _connector(tensors, scenes), _inside(patches), method)


def _rebuilt(parts: dict[int, dict[str, Tensor]], scenes: Scenes) -> Steering:
    if not parts or max(parts) >= scenes.layers:
        raise _other(f"it steers layer {max(parts) + 1}, the model has {scenes.layers}" if parts else "it steers no layer")
    ranks = {p["R"].shape[0] for p in parts.values()}
    for p in parts.values():
        rank = p["R"].shape[0]
        if p["R"].dim() != 2 or p["R"].shape[1] != scenes.width or p["W"].shape != p["R"].shape or p["b"].shape != (rank,):
            raise _other(f"its states have {p['R'].shape[-1]} numbers, the model's {scenes.width}")
        if not torch.allclose(p["R"].float() @ p["R"].float().T, torch.eye(rank), atol=1e-3):
            raise _other("the rows of R are not orthonormal")
    made = Steering(scenes.width, parts, max(ranks), torch.Generator().manual_seed(0))
    for layer, p in parts.items():
        steer = made.steers[str(layer)]
        if p["R"].shape[0] != max(ranks):
            made.steers[str(layer)] = steer = LinearSteer(scenes.width, p["R"].shape[0], torch.Generator().manual_seed(0))
        steer.take(p["R"], p["W"], p["b"])
    return made.requires_grad_(False)


def _connector(tensors: dict[str, Tensor], scenes: Scenes) -> dict[str, Tensor] | None:
    found = {name.removeprefix("connector."): value for name, value in tensors.items() if name.startswith("connector.")}
    own: Any = scenes.model.model.multi_modal_projector.state_dict()
    if found and {n: v.shape for n, v in found.items()} != {n: v.shape for n, v in own.items()}:
        raise _other("its connector has other shapes")
    return found or None


def _inside(patches: list[int]) -> list[int]:
    if any(not 0 <= i < 64 for i in patches):
        raise _other("it steers patches that the picture does not have")
    return patches


def _other(why: str) -> LabError:
    return LabError(f"This steering belongs to another model: {why}.", "Choose the model it was trained on, or train a new one.")
