"""Names of adapters: what peft breaks on or silently replaces is a sentence here, and the model stays as it was."""

from __future__ import annotations

import pytest
import torch
from peft import LoraConfig, PeftModel

from core.engine.adapters import attach
from core.engine.errors import LabError
from tests.engine.tiny_models import tiny


def lora() -> LoraConfig:
    return LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)


@pytest.mark.parametrize("name", ["", "a.b", "a b", "../x", "keys", "type", "forward", "lora", "ora"])
def test_a_name_that_cannot_be_one_is_refused_before_anything_changes(name: str) -> None:
    model = tiny("llama")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(LabError) as error:
        attach(model, lora(), name)
    assert error.value.hint and model.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_an_adapter_never_takes_the_place_of_another() -> None:
    """Neither on the wrapped model nor on the one inside it, which carries the same layers."""
    adapted = attach(tiny("llama"), lora(), "first")
    before = {key: value.clone() for key, value in adapted.state_dict().items()}
    for model in (adapted, adapted.base_model.model):
        with pytest.raises(LabError, match="called 'first' already"):
            attach(model, lora(), "first")
    assert adapted.state_dict().keys() == before.keys() and all(torch.equal(adapted.state_dict()[key], before[key]) for key in before)


def test_two_adapters_of_two_names_stand_side_by_side_and_the_new_one_acts() -> None:
    ids = torch.arange(5, 15)[None]
    adapted = attach(tiny("llama"), lora(), "first").eval()
    assert isinstance(adapted, PeftModel)
    first = adapted(input_ids=ids).logits
    assert attach(adapted, lora(), "second") is adapted
    second = adapted(input_ids=ids).logits
    assert adapted.active_adapter == "second" and not torch.allclose(first, second)
    adapted.set_adapter("first")
    assert torch.allclose(adapted(input_ids=ids).logits, first)
