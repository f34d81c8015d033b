"""One made-up market with its study and embedded denoiser, and one quick run, for all tests of this paper."""

from __future__ import annotations

from typing import Any

import pytest

from core.factors.denoiser import FactorDenoiser
from core.factors.study import Study, prepare
from core.factors.worlds import made_market

QUICK = {"strength": 100, "guidance": 0, "seeds": 2, "copies": 1, "steps": 40, "controls": ["jitter", "duplicate"]}


@pytest.fixture(scope="session")
def study() -> Study:
    panel, split = made_market(0)
    return prepare(panel, **split)


@pytest.fixture(scope="session")
def denoiser(warm_engine) -> FactorDenoiser:
    return warm_engine.models.load("embedded/factors").model


@pytest.fixture(scope="session")
def quick(warm_engine) -> dict[str, Any]:
    run = warm_engine.start("factors/augment", QUICK, seed=0)
    assert warm_engine.wait(run.id)["outcome"] == "finished", warm_engine.wait(run.id)
    return warm_engine.result(run.id)
