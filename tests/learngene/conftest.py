"""Small random models of the right shape, saved as folders."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.engine.runner import Engine
from core.learngene.data import SYMBOLS
from core.learngene.depth.learngene import new_learngene
from core.learngene.vit import new_model
from tests.learngene.listened import listened
from tests.reading import here

WIDTH, HEADS, DEPTH = 24, 3, 4


@pytest.fixture(autouse=True)
def _read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of small files are read without a process for each."""
    monkeypatch.setattr("core.learngene.pictures.apart", here)
    monkeypatch.setattr("core.learngene.collection.apart", here)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A classifier of the symbols with 4 layers, a learngene of the same width, and a wider classifier."""
    root = tmp_path_factory.mktemp("models")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        models = {"ancestor": new_model(DEPTH, WIDTH, HEADS, SYMBOLS), "wide": new_model(6, 2 * WIDTH, HEADS, SYMBOLS),
                  "learngene": new_learngene(DEPTH, WIDTH, HEADS, SYMBOLS).store}
    for name, model in models.items():
        model.save_pretrained(root / name)
    return {name: root / name for name in models}


@pytest.fixture(scope="session")
def engine(warm_engine: Engine) -> Engine:
    return warm_engine


@pytest.fixture
def refs(folders) -> dict[str, str]:
    """The same models as the engine names them."""
    return {name: f"path/{folder}" for name, folder in folders.items()}


@pytest.fixture(scope="session")
def made(engine, folders) -> tuple[dict, dict[str, list[dict]], dict[str, str]]:
    """A pool of the symbols, built once: the result, what was said, and its two halves."""
    config = {"task": "symbols", "ancestor": f"path/{folders['wide']}", "epochs": 2, "small_width": 24, "blocks": 3}
    result, said = listened(engine, "learngene/pool", config)
    return result, said, {half: f"run/{result['run_id']}/{half}" for half in ("small", "large")}
