"""What is trained: one table of components, so that a rival is one row (methods/06 sections 4 and 6).

    tuned = tune(fork, ROWS["lora-16"], rng)         # fork: a copy of the model that may be changed
    tuned.inside, tuned.connector                    # numbers trained inside the language model, and in the connector
    tuned.plan(batch)                                # edits for `trace`; {} for methods that change weights

LoRA, IA3 and OFT are peft's, on the matrices of the language model alone: suffixes would match the vision tower too.
Adapter: a bottleneck behind every MLP, y + Wup tanh(Wdown y), no bias, Wup = 0 at first.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from core.engine.trace import Edit, Site
from core.scenes.packing import IMAGE_TOKENS, Packed, inner_model
from core.steering import positions
from core.steering.data import at, meets_stop, prompt_ends
from core.steering.rows import Row
from core.steering.steer import Steering

EVERY = r".*language_model.*\.(q|k|v|o|gate|up|down)_proj"
Plan = dict[Site, Edit]


@dataclass
class Tuned:
    """A model made ready for training. model: what is called; `plan`: its edits for a batch (None: it has none).

    parameters: what is trained.  inside, connector: how many numbers of these.  steering: the module that edits, if any.
    """

    row: Row
    model: Any
    parameters: list[nn.Parameter]
    inside: int
    connector: int
    editing: Callable[[Packed, float], Plan] | None = None
    steering: nn.Module | None = None
    patches: list[int] = field(default_factory=list)
    strength: float = 1.0

    @property
    def total(self) -> int:
        return self.inside + self.connector

    def plan(self, batch: Packed) -> Plan:
        """The edits of this method for a batch."""
        return self.editing(batch, self.strength) if self.editing else {}


def tune(model: Any, row: Row, rng: torch.Generator, painted: list[int] | None = None) -> Tuned:
    """Freezes all of `model`, a fork of the caller's own, and frees what `row` trains. `painted`: patches the visitor chose."""
    model.requires_grad_(False)
    meets_stop(model)
    with torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=rng)))
        model, editing, steering, patches = RECIPES[row.recipe](model, row, rng, painted or [])
    own = [p for p in (steering.parameters() if steering is not None else model.parameters()) if p.requires_grad]
    inside = sum(p.numel() for p in own)
    projector = list(inner_model(model).multi_modal_projector.parameters())
    if row.connector:
        for p in projector:
            p.requires_grad_(True)
        own += projector
    return Tuned(row, model, own, inside, sum(p.numel() for p in projector) if row.connector else 0, editing, steering, patches)


def _steered(model: Any, row: Row, rng: torch.Generator, painted: list[int]) -> tuple:
    config = model.config.text_config
    steering = Steering(config.hidden_size, positions.layers(row.layers, config.num_hidden_layers), row.rank, rng, row.init)
    if row.recipe == "loreft":
        return model, lambda batch, strength: steering.edits(prompt_ends(batch), strength), steering, []
    patches = positions.chosen(row.positions, IMAGE_TOKENS, share=row.share, painted=painted, rng=rng)
    return model, lambda batch, strength: steering.edits(at(batch, patches), strength), steering, patches


def _lora(model: Any, row: Row, rng: torch.Generator, painted: list[int]) -> tuple:
    from peft import LoraConfig, get_peft_model

    return get_peft_model(model, LoraConfig(r=row.rank, lora_alpha=2 * row.rank, target_modules=EVERY)), None, None, []


def _ia3(model: Any, row: Row, rng: torch.Generator, painted: list[int]) -> tuple:
    from peft import IA3Config, get_peft_model

    config = IA3Config(target_modules=r".*language_model.*\.(k_proj|v_proj|down_proj)",
                       feedforward_modules=r".*language_model.*\.down_proj")
    return get_peft_model(model, config), None, None, []


def _oft(model: Any, row: Row, rng: torch.Generator, painted: list[int]) -> tuple:
    from peft import OFTConfig, get_peft_model

    config = OFTConfig(oft_block_size=row.rank, r=0, target_modules=r".*language_model.*\.(q|k|v)_proj", use_cayley_neumann=False)
    return get_peft_model(model, config), None, None, []


class Bottleneck(nn.Module):
    """y + Wup tanh(Wdown y); Wdown (size, width), Wup (width, size). The identity at first."""

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(width, size, bias=False), nn.Linear(size, width, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, y: Tensor) -> Tensor:
        """float (..., width) -> the same shape."""
        return y + self.up(torch.tanh(self.down(y)))


def _adapter(model: Any, row: Row, rng: torch.Generator, painted: list[int]) -> tuple:
    config = model.config.text_config
    parts = nn.ModuleList(Bottleneck(config.hidden_size, row.rank) for _ in range(config.num_hidden_layers))
    plan = {Site(layer, "mlp_out"): part for layer, part in enumerate(parts)}
    return model, lambda batch, strength: {site: (lambda x, part=part: part(x)) for site, part in plan.items()}, parts, []


def _full(model: Any, row: Row, rng: torch.Generator, painted: list[int]) -> tuple:
    model.model.language_model.requires_grad_(True)
    model.lm_head.requires_grad_(True)
    return model, None, None, []


def _nothing(model: Any, row: Row, rng: torch.Generator, painted: list[int]) -> tuple:
    return model, None, None, []


RECIPES = {"mores": _steered, "loreft": _steered, "lora": _lora, "ia3": _ia3, "oft": _oft, "adapter": _adapter, "full": _full,
           "connector": _nothing, "base": _nothing}


def expected(row: Row, width: int, feed_forward: int, layers: int) -> int | None:
    """Numbers trained inside a language model of the Llama kind, by the formulas of methods/06 section 2.6; None without a formula."""
    steered = len(positions.layers(row.layers, layers))
    return {"mores": steered * (2 * width * row.rank + row.rank), "loreft": steered * (2 * width * row.rank + row.rank),
            "lora": layers * row.rank * (8 * width + 3 * (width + feed_forward)), "ia3": layers * (2 * width + feed_forward),
            "oft": layers * 3 * (width // max(1, row.rank)) * row.rank * (row.rank - 1) // 2,
            "adapter": layers * 2 * width * row.rank, "connector": 0, "base": 0}.get(row.recipe)
