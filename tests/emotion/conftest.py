"""Photographs that come with the lab and drawn scenes, small; a critic and agents on them."""

from __future__ import annotations

import numpy as np
import pytest

from core.emotion.critic import Critic
from core.emotion.cues import small
from core.emotion.graph import Agents
from core.emotion.pictures import FILES, photograph
from core.emotion.planner import Search
from core.emotion.store import ImageStore
from core.zoo.emotion import scenes


@pytest.fixture(scope="session")
def photographs() -> list[np.ndarray]:
    return [small(photograph(name)) for name in FILES]


@pytest.fixture(scope="session")
def reference(photographs) -> list[np.ndarray]:
    """Six pictures: the photographs and three drawn scenes."""
    return photographs + scenes(3, seed=9)[0]


@pytest.fixture
def agents(photographs):
    def make(target: str = "sadness", gate: float = 0.65, picture: int = 0, **more) -> Agents:
        critic = Critic(photographs[picture], target, gate)
        return Agents(critic, Search(critic), ImageStore(), **more)

    return make
