"""The shipped models of the world of authors, loaded once, and one engine."""

from __future__ import annotations

import pytest
import torch

from core.engine.models import LoadedModel, ModelStore
from core.engine.runner import Engine
from core.engine.settings import ASSETS, Settings
from core.unlearning.data import World, read_world
from tests.reading import here


@pytest.fixture(autouse=True)
def _read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of small files are read without a process for each."""
    monkeypatch.setattr("core.engine.rows.apart", here)


@pytest.fixture(scope="session")
def world() -> World:
    return read_world(ASSETS / "models" / "worlds", "authors")


@pytest.fixture(scope="session")
def store() -> ModelStore:
    return ModelStore(Settings())


@pytest.fixture(scope="session")
def authors(store: ModelStore) -> LoadedModel:
    return store.load("embedded/worlds")


@pytest.fixture(scope="session")
def retain_only(store: ModelStore) -> LoadedModel:
    return store.load("embedded/worlds-retain")


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(7)


@pytest.fixture(scope="session")
def engine(warm_engine: Engine) -> Engine:
    return warm_engine
