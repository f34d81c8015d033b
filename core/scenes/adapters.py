"""Small changes to a model's weights, stored beside it: W + B A for the matrices of its language model.

    write_adapter(Path("mixed.safetensors"), {"model.language_model.layers.0.mlp.up_proj": (A, B)})
    apply_adapter(model, Path("mixed.safetensors"))          # in place: give it a fork
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from core.engine.errors import LabError


def write_adapter(file: Path, parts: dict[str, tuple[Tensor, Tensor]]) -> None:
    """Stores A (rank, in) and B (out, rank) of each module as float16; what scales them belongs into B."""
    from safetensors.torch import save_file

    save_file({f"{name}.{half}": tensor.detach().half().contiguous() for name, pair in parts.items()
               for half, tensor in zip("AB", pair, strict=True)}, file)


def apply_adapter(model: nn.Module, file: Path) -> None:
    """Adds B A to the weights of the modules named in `file`. Raises LabError if they are not those of this model."""
    from safetensors.torch import load_file

    stored = load_file(file)
    modules = dict(model.named_modules())
    names = {name.rpartition(".")[0] for name in stored}
    with torch.no_grad():
        for name in sorted(names):
            down, up = stored.get(f"{name}.A"), stored.get(f"{name}.B")
            weight = getattr(modules.get(name), "weight", None)
            if weight is None or down is None or up is None or weight.shape != (up.shape[0], down.shape[1]):
                raise LabError(f"The adapter {file.name} belongs to another model ({name}).", "Restore the files under assets/models.")
            weight += up.to(weight.dtype) @ down.to(weight.dtype)
