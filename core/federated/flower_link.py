"""The round over Flower as it runs on several machines: one SuperLink, a SuperNode for each place, processes of their own on loopback.

    ./launch.sh flower --processes 2           a SuperLink and two SuperNodes, beside the same round in one process

The apps are those of the simulation (flower.py). What differs is how they start: the SuperLink is handed a folder with a pyproject.toml
that names them, and starts the ServerApp; every SuperNode is told which place it is, and starts the ClientApp. What several machines need
besides is in docs/papers/07.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.engine import settings
from core.engine.errors import LabError
from core.federated.rounds import Outcome

HERE, LOOK_S = "127.0.0.1", 0.3
STARTING_S = 180.0  # until all processes are up and a round is done, beside the patience of the server
APPS = "from core.federated.flower import client_app, deployed\n\nclient = client_app()\nserver = deployed()\n"
PROJECT = """[project]
name = "fedbip-round"
version = "1.0.0"
dependencies = []

[tool.flwr.app]
publisher = "lab"

[tool.flwr.app.components]
serverapp = "apps_of_the_round:server"
clientapp = "apps_of_the_round:client"

[tool.flwr.app.config]
"""


def over_processes(asked: str, places: int, patience: float, late: tuple[int, float], mishaps: Mapping[str, str]) -> Outcome:
    """One round over a SuperLink and a SuperNode for each place; ends all of them. Raises LabError with the last words of one that died."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        home, (link, *nodes) = Path(folder), _free_ports(1 + places)
        given = {"what": asked, "patience": patience, "late": late[0], "late-s": float(late[1]), "mishaps": json.dumps(dict(mishaps)),
                 "out": str(home / "outcome.json")}
        app = _written(home, given, link)
        environment = os.environ | settings.TELEMETRY_OFF | {"FLWR_HOME": str(home), "PYTHONPATH": str(settings.REPOSITORY)}
        start = [("flower-superlink", "--insecure", "--host", HERE, "--port", str(link), "--disable-runtime-dependency-installation")]
        start += [("flower-supernode", "--insecure", "--superlink", f"{HERE}:{link}", "--host", HERE, "--port", str(port),
                   "--node-config", f"partition-id={i} num-partitions={places}") for i, port in enumerate(nodes)]
        running = [stack.enter_context(_process(words, environment, home / f"{i}.log")) for i, words in enumerate(start)]
        _until(lambda: _answers(link), running, home, 60)
        asking = subprocess.run([_tool("flwr"), "run", str(app), "here"], env=environment, capture_output=True, text=True, timeout=120)
        if asking.returncode:
            raise LabError("The SuperLink did not take the round.", (asking.stderr or asking.stdout)[-400:])
        _until((home / "outcome.json").exists, running, home, STARTING_S + patience)
        return Outcome(**json.loads((home / "outcome.json").read_text(encoding="utf-8")))


def _written(home: Path, given: Mapping[str, Any], link: int) -> Path:
    """The folder with the apps, and in `home` the file by which `flwr` finds the SuperLink. A JSON value is a TOML value, too."""
    app = home / "app"
    app.mkdir()
    config = "".join(f"{name} = {json.dumps(value)}\n" for name, value in given.items())
    (app / "pyproject.toml").write_text(PROJECT + config, encoding="utf-8")
    (app / "apps_of_the_round.py").write_text(APPS, encoding="utf-8")
    (home / "config.toml").write_text(f'[superlink]\ndefault = "here"\n\n[superlink.here]\naddress = "{HERE}:{link}"\ninsecure = true\n',
                                      encoding="utf-8")
    return app


def _tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


@contextlib.contextmanager
def _process(words: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen]:
    """A process with its words in a file; it and all that it started are ended on the way out."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}"  # it starts others of Flower's by their names
    with log.open("wb") as stream, subprocess.Popen([_tool(words[0]), *words[1:]], env={**environment, "PATH": path}, stdout=stream,
                                                    stderr=stream, start_new_session=True) as running:
        try:
            yield running
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(running.pid, 15)
            try:
                running.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(running.pid, 9)


def _until(done: Any, running: Sequence[subprocess.Popen], home: Path, seconds: float) -> None:
    until = time.monotonic() + seconds
    while not done():
        ended = [i for i, one in enumerate(running) if one.poll() is not None]
        if ended or time.monotonic() > until:
            who = ended[0] if ended else 0
            words = (home / f"{who}.log").read_text(errors="replace")[-800:]
            raise LabError(f"{'The SuperLink' if not who else f'SuperNode {who}'} {'ended' if ended else 'gave no outcome'}.", words)
        time.sleep(LOOK_S)


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HERE, port), 1):
        return True
    return False


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((HERE, 0))
        return [one.getsockname()[1] for one in sockets]
