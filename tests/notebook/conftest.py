"""One home with five small runs of two people for all tests of the notebook, and pages that a test opens as one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from core.engine import registry
from core.engine.runner import Engine
from core.engine.settings import Settings
from tests.engine import experiments_for_tests as small

pytest.importorskip("streamlit", reason="The notebook is not installed: ./launch.sh notebook installs it.")
ANN, BOB = "a" * 32, "b" * 32


@dataclass
class Kept:
    """The home: `ann` are the runs of one visitor, oldest first, `bob` the one of another."""

    engine: Engine
    ann: list[str]
    bob: str


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "EXPERIMENTS", registry.EXPERIMENTS | small.TABLE)
        engine = Engine(Settings(home=tmp_path_factory.mktemp("notebook"), any_path=True, threads=1))

        def run(visitor: str, seed: int = 0, **config) -> str:
            handle = engine.start("test/count", config, visitor=visitor, seed=seed)
            engine.wait(handle.id)
            return handle.id

        ann = [run(ANN, steps=4), run(ANN, seed=1, steps=6), run(ANN, steps=6, word="<b>tock</b>"), run(ANN, steps=2)]
        bob = run(BOB, steps=3)
    yield Kept(engine, ann, bob)
    engine.close()


@pytest.fixture(autouse=True)
def _listed(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only as long as a test of the notebook runs: others list what the lab really has."""
    monkeypatch.setattr(registry, "EXPERIMENTS", registry.EXPERIMENTS | small.TABLE)


@pytest.fixture
def opened(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> Callable:
    """opened("runs", reader="owner", run=ID): a page of the notebook as AppTest, after its first run."""
    from streamlit.testing.v1 import AppTest

    from apps.notebook import here

    here.open_home(kept.engine.settings)

    def open_page(page: str, reader: str = here.OWNER, **query: str) -> AppTest:
        monkeypatch.setattr(here, "asked", lambda: reader)
        test = AppTest.from_string(f"from apps.notebook import {page}_page\n{page}_page.show()", default_timeout=60)
        for name, value in query.items():
            test.query_params[name] = value
        return test.run()

    return open_page
