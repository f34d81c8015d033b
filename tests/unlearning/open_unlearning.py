"""What open-unlearning itself gives on a fixed batch, written down beside this file; none of its code is in here.

    git clone https://github.com/locuslab/open-unlearning && python -m tests.unlearning.open_unlearning open-unlearning

The batch has no prompt beyond the first token, no padding and equally long answers, so that the ways in which we differ on
purpose (traps 2 to 4 of methods/01 section 3, the average over tokens) do not show. KL is left out: there it also counts the
position after the answer, and no batch is without one.
"""

from __future__ import annotations

import importlib
import json
import sys
import types
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

RESULTS = Path(__file__).with_suffix(".json")
WIDTH, VOCABULARY, LENGTH, ROWS = 16, 40, 6, 3
LAYER = 2


def fixed_model(seed: int) -> LlamaForCausalLM:
    """Weights from a formula, so that they are the same on every machine; float64."""
    model = LlamaForCausalLM(LlamaConfig(vocab_size=VOCABULARY, hidden_size=WIDTH, intermediate_size=24, num_hidden_layers=4,
                                         num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=32)).double()
    with torch.no_grad():
        for i, p in enumerate(model.parameters()):
            if p.dim() > 1:
                p.copy_(0.5 * torch.sin(torch.arange(p.numel(), dtype=torch.float64) * (1.7 + 0.13 * i) + seed).reshape(p.shape))
    return model.eval()


def fixed_ids(seed: int) -> Tensor:
    """(rows, length): the first token is the prompt, the rest the answer."""
    return (torch.arange(ROWS * LENGTH).reshape(ROWS, LENGTH) * (7 + 2 * seed) + seed * seed) % VOCABULARY


def fixed_direction() -> Tensor:
    """(width,): where RMU is to send the hidden states."""
    return torch.arange(1, WIDTH + 1, dtype=torch.float64) / 5


def labels_of(ids: Tensor) -> Tensor:
    """Everything but the first token."""
    return torch.cat([torch.full((len(ids), 1), -100), ids[:, 1:]], dim=1)


def summary(loss: Tensor, model: LlamaForCausalLM) -> dict[str, float]:
    """The loss, the length of its gradient, and one projection of it."""
    grads = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    flat = torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for p, g in zip(model.parameters(), grads, strict=True)])
    return {"loss": loss.item(), "gradient norm": flat.norm().item(),
            "gradient projection": (flat @ torch.cos(torch.arange(len(flat), dtype=flat.dtype))).item()}


def _load(folder: Path) -> dict[str, Callable]:
    """Their loss functions and trainers, without the training machinery around them."""
    sys.path.insert(0, str(folder / "src"))
    base = types.ModuleType("trainer.unlearn.base")
    base.UnlearnTrainer = object
    deepspeed = types.ModuleType("deepspeed")
    deepspeed.DeepSpeedEngine = type(None)
    for name, path in (("trainer", "src/trainer"), ("trainer.unlearn", "src/trainer/unlearn")):
        package = types.ModuleType(name)
        package.__path__ = [str(folder / path)]
        sys.modules[name] = package
    sys.modules |= {"trainer.unlearn.base": base, "deepspeed": deepspeed}
    names = {"utils": "trainer.utils", **{n: f"trainer.unlearn.{n}" for n in ("grad_diff", "simnpo", "ceu", "rmu")}}
    return {name: importlib.import_module(path) for name, path in names.items()}


def _settings(kind: type, **values: object) -> object:
    """One of their trainers, with only the fields that its loss reads."""
    made = object.__new__(kind)
    made.__dict__.update({"gamma": 1.0, "alpha": 1.0, "retain_loss_type": "NLL"} | values)
    return made


def write(folder: Path) -> None:
    """Runs theirs on the fixed batch and writes the numbers down."""
    theirs = _load(folder)
    model, frozen = fixed_model(0), fixed_model(1)
    forget, retain, refusal = ({"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels_of(ids)}
                               for ids in map(fixed_ids, (0, 1, 2)))
    both = {"forget": forget, "retain": retain}
    utils, rmu = theirs["utils"], theirs["rmu"].RMU
    layers = {"model_module": model.model.layers[LAYER], "ref_module": frozen.model.layers[LAYER], "ref_model": frozen}
    losses = {
        "graddiff": lambda: _settings(theirs["grad_diff"].GradDiff).compute_loss(model, both),
        "npo": lambda: utils.compute_dpo_loss(model, frozen, None, forget, beta=0.1)[0]
        + _settings(theirs["grad_diff"].GradDiff).compute_retain_loss(model, retain),
        "idk_dpo": lambda: utils.compute_dpo_loss(model, frozen, refusal, forget, beta=0.1)[0]
        + _settings(theirs["grad_diff"].GradDiff).compute_retain_loss(model, retain),
        "simnpo": lambda: _settings(theirs["simnpo"].SimNPO, delta=0.0, beta=4.5, gamma=0.125).compute_loss(model, both),
        "wga": lambda: utils.compute_wga_loss(model, forget, 1.0)[0]
        + _settings(theirs["grad_diff"].GradDiff).compute_retain_loss(model, retain),
        "undial": lambda: utils.compute_undial_loss(model, frozen, forget, 10.0)[0],
        "ceu": lambda: theirs["ceu"].compute_batch_ceu(model, forget)[0],
        "rmu": lambda: _settings(rmu, retain_loss_type="EMBED_DIFF", control_vec=fixed_direction(), **layers).compute_loss(model, both),
    }
    found = {name: summary(loss(), model) for name, loss in losses.items()}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
