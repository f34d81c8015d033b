"""The bench attacks the model of the three worlds; its authors are the default."""

from __future__ import annotations

import pytest

from core.engine.models import LoadedModel, ModelStore
from core.engine.settings import ASSETS
from core.unlearning.data import World, read_world


@pytest.fixture(scope="session")
def world() -> World:
    return read_world(ASSETS / "models" / "worlds", "authors")


@pytest.fixture(scope="session")
def worlds(store: ModelStore) -> LoadedModel:
    return store.load("embedded/worlds")
