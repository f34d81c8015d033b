"""An engine of its own per test file, with the test experiments beside the real ones."""

from __future__ import annotations

import pytest

from core.engine import registry
from core.engine.runner import Engine
from core.engine.settings import Settings

COUNTING = {f"test/{name}": f"tests.cli.experiments:{name}" for name in ("count", "broken", "echo", "file", "length")}


@pytest.fixture(scope="module", autouse=True)
def _test_experiments():
    with pytest.MonkeyPatch.context() as patch:
        for name, place in COUNTING.items():
            patch.setitem(registry.EXPERIMENTS, name, place)
        yield


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory):
    engine = Engine(Settings(home=tmp_path_factory.mktemp("home"), threads=1))
    yield engine
    engine.close()
