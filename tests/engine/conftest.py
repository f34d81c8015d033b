"""An engine of its own for each test, with the test experiments in the table and one small model on disk."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.engine import registry
from core.engine.runner import Engine
from core.engine.settings import REPOSITORY, Settings
from tests.engine import experiments_for_tests as small
from tests.warm import warm


@pytest.fixture
def experiments(monkeypatch: pytest.MonkeyPatch) -> None:
    """The experiments of `experiments_for_tests` by the names "test/..."."""
    monkeypatch.setattr(registry, "EXPERIMENTS", registry.EXPERIMENTS | small.TABLE)
    for used in (small.GATES, small.SEEN, small.FORKED, small.ASKED):
        used.clear()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", any_path=True, threads=1)


@pytest.fixture
def engine(experiments: None, settings: Settings) -> Iterator[Engine]:
    started = Engine(settings)
    yield started
    for gate in small.GATES.values():
        gate.open(10_000)
    started.close()


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A reference to a saved random-weight Llama."""
    from tests.engine.tiny_models import save, tiny

    return f"path/{save(tiny('llama'), tmp_path_factory.mktemp('models') / 'llama')}"


@pytest.fixture
def python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs code in a process of its own, with `engine(home)` and the test experiments at hand; fails if the code does."""
    start = ("import sys; from pathlib import Path\n"
             "from core.engine import registry; from core.engine.runner import Engine; from core.engine.settings import Settings\n"
             "from tests.engine.experiments_for_tests import GATES, TABLE, Gate\n"
             "registry.EXPERIMENTS |= TABLE\n"
             "def engine(home): return Engine(Settings(home=Path(home), any_path=True, threads=1))\n")

    def run(code: str, *words: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(warm(start + code, *map(str, words)), cwd=REPOSITORY, capture_output=True, text=True, timeout=timeout)
        assert done.returncode == 0, done.stderr[-3000:]
        return done

    return run
