"""Low-rank adapters on a model (peft), under names that were checked before they are used.

    adapted = attach(lab.fork(ref, share_weights=True).model, LoraConfig(r=16, target_modules="all-linear"))
    attach(adapted, LoraConfig(r=16, target_modules="all-linear"))   # LabError: there is an adapter of that name

peft itself answers a bad name with whatever breaks first, and takes a second adapter of the same name without a word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.engine.errors import LabError

if TYPE_CHECKING:
    from peft import PeftConfig, PeftModel
    from torch import nn

DEFAULT = "default"


def attach(model: nn.Module, config: PeftConfig, name: str = DEFAULT) -> PeftModel:
    """`model` with a new adapter, which is the one that acts; its own weights are frozen.

    Raises LabError, and leaves the model as it was, for a name that cannot stand in the name of a weight, that peft would take
    for part of its own, or that is taken.
    """
    from peft import PeftModel, get_peft_model

    check_name(model, config, name)
    if not isinstance(model, PeftModel):
        return get_peft_model(model, config, adapter_name=name)
    model.add_adapter(name, config)
    model.set_adapter(name)
    return model


def check_name(model: nn.Module, config: PeftConfig, name: str) -> None:
    """Raises LabError where an adapter of this name would break, or take the place of another."""
    from peft.mapping import PEFT_TYPE_TO_PREFIX_MAPPING
    from peft.tuners.tuners_utils import BaseTunerLayer
    from torch import nn

    if not name.isidentifier():
        raise LabError(f"'{name}' cannot be the name of an adapter.", "Use letters, digits and underscores, a letter first.")
    # an adapter's weights lie in a ModuleDict under its name, behind peft's own prefix
    if hasattr(nn.ModuleDict(), name) or name in PEFT_TYPE_TO_PREFIX_MAPPING.get(config.peft_type, ""):
        raise LabError(f"An adapter cannot be called '{name}': the libraries use that name themselves.", "Choose another name.")
    layers = [module for module in model.modules() if isinstance(module, BaseTunerLayer)]
    taken = set(getattr(model, "peft_config", ())) | {held for layer in layers for part in layer.adapter_layer_names
                                                      for held in getattr(layer, part, ())}
    if name in taken:
        raise LabError(f"The model has an adapter called '{name}' already.", "Choose another name, or merge that one first.")
