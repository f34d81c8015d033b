"""Flower itself, in the environment that `./launch.sh flower` sets up: skipped with a reason where that is not there."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from safetensors.torch import save_file

from core.engine.settings import REPOSITORY
from core.federated.classifier import Classifier
from core.federated.painter import store

PYTHON = Path(f"{os.environ.get('GLASSBOX_VENV', REPOSITORY / '.venv')}-flower") / "bin" / "python"
QUICK = {"shots": 2, "steps": 5, "tuning": 2, "learning": 10, "tests": 20}

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="Flower is not installed: ./launch.sh flower installs it on its own.")


@pytest.fixture(scope="module")
def over_flower(painter, tmp_path_factory):
    """What `./launch.sh flower` prints, with a painter of random weights."""
    folder = tmp_path_factory.mktemp("painter")
    store(painter, folder)
    for name in ("classifier", "reader"):
        save_file(Classifier().state_dict(), folder / f"{name}.safetensors")

    def run(*words: str) -> dict:
        done = subprocess.run([str(PYTHON), "-m", "core.federated.flower", "--painter", str(folder), "--config", json.dumps(QUICK), *words],
                              cwd=REPOSITORY, env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True, timeout=400)
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout.splitlines()[-1])

    return run


def test_f10_what_carries_the_uploads_changes_nothing(over_flower):
    found = over_flower()
    assert found["equal hashes"] and found["equal accuracy"] and len(found["flower"]["hashes"]) == 4 and not found["flower"]["refused"]


def test_who_dies_is_late_or_sends_nonsense_is_left_out_and_the_round_goes_on(over_flower):
    found = over_flower("--mishap", "school=silent,night=nan", "--late", "60", "--patience", "40")
    refused = found["flower"]["refused"]
    assert "did not come in time" in refused["school"] and "not finite" in refused["night"] and "did not come in time" in refused["harbour"]
    assert list(found["flower"]["hashes"]) == ["post"] and found["equal hashes"] and found["equal accuracy"]


def test_a_superlink_and_two_supernodes_as_processes_give_what_one_process_gives(over_flower):
    found = over_flower("--processes", "2")
    assert found["equal hashes"] and found["equal accuracy"] and list(found["flower"]["hashes"]) == ["post", "school"]
