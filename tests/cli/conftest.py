"""The command line as a process and as a function, with the test experiments beside the real ones."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from core.engine import registry
from tests.warm import warm

TABLE = {f"test/{name}": f"tests.cli.experiments:{name}" for name in ("count", "broken", "echo")}
START = f"import sys, core.engine.registry as r; r.EXPERIMENTS |= {TABLE!r}; from apps.cli import main; sys.exit(main())"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home for each test, and the test experiments in the table."""
    monkeypatch.setenv("GLASSBOX_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(registry, "EXPERIMENTS", registry.EXPERIMENTS | TABLE)
    return tmp_path / "home"


@pytest.fixture
def glassbox(repository: Path) -> Callable[..., subprocess.Popen]:
    """Starts the command line as a process of its own."""

    def start(*words: str, **options) -> subprocess.Popen:
        kept = {name: value for name, value in os.environ.items() if name != "GLASSBOX_DEBUG"}
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        # a shell starts what runs in its background deaf to Ctrl-C, and whoever runs the tests hands that on
        streams["preexec_fn"] = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)
        return subprocess.Popen(warm(START, *words), cwd=repository, text=True, env=kept, **streams)

    return start


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Calls `main` in this process: (exit status, standard output, standard error)."""
    from apps.cli import main

    def answer(*words: str) -> tuple[int, str, str]:
        capfd.readouterr()
        status = main(words)
        return status, *capfd.readouterr()

    return answer


@pytest.fixture
def ask(call) -> Callable[..., tuple[int, dict]]:
    """Calls `main` with --json and reads the one document that it prints: (exit status, document)."""

    def answer(*words: str) -> tuple[int, dict]:
        status, out, _ = call(*words, "--json")
        assert out.count("\n") == 1, out
        return status, json.loads(out)

    return answer
