"""How an embedded model is stored: fp16 safetensors, tokenizer, card, data, and a manifest of hashes."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from core.engine.weights import sha256

MANIFEST = "manifest.json"
Report = Callable[[int, int, str], None]


def store(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> PreTrainedModel:
    """Writes weights as fp16 and gives back what a reader gets: the stored model, computing in fp32, in eval mode."""
    copy.deepcopy(model).half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def seal(folder: Path) -> None:
    """Writes the hashes of all files below a model folder, as `core.engine.weights.check_manifest` reads them."""
    files = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file() and file.name != MANIFEST)
    hashes = {name: sha256(folder / name) for name in files}
    (folder / MANIFEST).write_text(json.dumps({"sha256": hashes}, indent=1) + "\n", encoding="utf-8")


def table(columns: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
