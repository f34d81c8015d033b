"""The table of what can be trained, told without torch: a rival is one row."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One way of training. recipe: a name of methods.RECIPES.  rank: of LoRA, MoReS, LoReFT; block of OFT; bottleneck of the adapter.

    positions, share, layers, init: of a steering (positions.py).  connector: whether the connector is trained too.
    rate: AdamW's, chosen on validation questions (benchmarks/results/steering_rates.md); LoReFT, OFT, adapter and LoRA of rank 4 have
    those of the pilot in methods/06. `steering/compare` can try `RATES` anew.
    """

    title: str
    recipe: str
    rate: float
    rank: int = 0
    connector: bool = True
    positions: str = "all"
    share: float = 1.0
    layers: str = "all"
    init: str = "identity"


ROWS: dict[str, Row] = {
    "mores": Row("MoReS, rank 1", "mores", 2e-3, 1),
    "mores-4": Row("MoReS, rank 4", "mores", 2e-3, 4),
    "mores-8": Row("MoReS, rank 8", "mores", 2e-3, 8),
    "mores-f4l5": Row("MoReS, 9 patches", "mores", 2e-3, 1, positions="first_last"),
    "mores-one": Row("MoReS, 1 patch", "mores", 2e-3, 1, positions="uniform", share=0.01),
    "mores-every2": Row("MoReS, every 2nd layer", "mores", 2e-3, 1, layers="every 2nd"),
    "mores-deep": Row("MoReS, deep half", "mores", 2e-3, 1, layers="deep half"),
    "mores-frozen": Row("MoReS alone, rank 1", "mores", 2e-3, 1, connector=False),
    "mores-4-frozen": Row("MoReS alone, rank 4", "mores", 2e-3, 4, connector=False),
    "connector": Row("connector only", "connector", 2e-3),
    "loreft": Row("LoReFT, rank 4", "loreft", 1e-2, 4),
    "ia3": Row("IA3", "ia3", 2e-3),
    "oft": Row("OFT, blocks of 16", "oft", 2e-3, 16),
    "adapter": Row("adapter, 32 wide", "adapter", 2e-3, 32),
    "lora-1": Row("LoRA, rank 1", "lora", 2e-3, 1),
    "lora-4": Row("LoRA, rank 4", "lora", 2e-3, 4),
    "lora-16": Row("LoRA, rank 16", "lora", 2e-3, 16),
    "full": Row("full fine-tuning", "full", 2e-3),
}
STEERED = tuple(name for name, row in ROWS.items() if row.recipe in ("mores", "loreft"))
RIVALS = tuple(name for name in ROWS if name not in STEERED or name == "loreft")
COMPARED = ("connector", "mores", "mores-8", "mores-f4l5", "mores-every2", "mores-frozen", "ia3", "lora-1", "lora-16", "full")
RATES = (5e-4, 2e-3, 1e-2)  # tried on the validation split
