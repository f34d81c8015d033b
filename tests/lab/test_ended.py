"""The whole server is ended - asked to, or killed - while visitors run experiments, bring files and watch: what they were told stays.

GLASSBOX_KILLS=20 kills as often, here it is once.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest

from core.engine.runner import Engine
from core.engine.settings import REPOSITORY, Settings
from core.engine.uploads import MOST_EACH
from tests.warm import warm

KILLS = int(os.environ.get("GLASSBOX_KILLS", "1"))
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a fresh interpreter for each would take too long")

# Imports the server once and forks one for every line that it reads.
SERVER = """
import os, sys
import gradio, uvicorn
import apps.lab.server
from apps.lab.__main__ import main
from core.engine import registry
registry.EXPERIMENTS["test/count"] = "tests.cli.experiments:count"
for line in sys.stdin:
    pid = os.fork()
    if not pid:
        os.environ["GLASSBOX_HOME"] = line.strip()
        print("pid", os.getpid(), flush=True)
        sys.exit(main(["--port", "0", "--no-browser"]))
    print("ended", os.waitpid(pid, 0)[1], flush=True)
"""


@dataclass
class Visitors:
    """They work until the server is gone, and note what it has told them."""

    address: str
    runs: dict[str, str] = field(default_factory=dict)  # run -> the outcome that was told last
    files: dict[str, str] = field(default_factory=dict)  # file -> its content
    watched: int = 0

    def __post_init__(self) -> None:
        client = self.client()
        self.token = client.cookies["glassbox_visitor"]
        self.threads = [threading.Thread(target=self._until_it_is_gone, args=(one,)) for one in (self._run, self._look, self._bring)]
        for thread in self.threads:
            thread.start()

    def client(self) -> httpx.Client:
        client = httpx.Client(base_url=self.address, timeout=30)
        client.get("/", headers={"accept": "text/html"}).raise_for_status()
        return client

    def _until_it_is_gone(self, work: Callable[[httpx.Client, int], None]) -> None:
        with httpx.Client(base_url=self.address, timeout=30, cookies={"glassbox_visitor": self.token}) as client:
            for number in range(10_000):
                try:
                    work(client, number)
                except (httpx.TransportError, httpx.HTTPStatusError):
                    return

    def _run(self, client: httpx.Client, number: int) -> None:
        config = {"steps": 30, "pause": 0.01, "picks": [number]}
        event = client.post("gradio_api/call/test_count", json={"data": [config, 0, True]}).raise_for_status().json()["event_id"]
        client.get(f"gradio_api/call/test_count/{event}").raise_for_status()

    def _look(self, client: httpx.Client, number: int) -> None:
        for run in client.get("lab/runs").raise_for_status().json()["runs"]:
            self.runs[run["id"]] = run["outcome"]
        for run in [run for run, outcome in self.runs.items() if outcome == "running"][:1]:
            with client.stream("GET", f"lab/runs/{run}/events?since=0&wait=20") as said:
                for _ in said.iter_lines():
                    self.watched += 1
        time.sleep(0.02)

    def _bring(self, client: httpx.Client, number: int) -> None:
        time.sleep(0.05)
        if number >= MOST_EACH:  # with one more the oldest goes
            client.get("lab/runs").raise_for_status()
            return
        text = f"question,answer\nWho is {number}?,Ida\n"
        answer = client.post("lab/uploads", files={"file": ("mine.csv", text.encode())}).raise_for_status()
        self.files[answer.json()["ref"]] = text


@pytest.fixture(scope="module")
def servers() -> Iterator[subprocess.Popen[str]]:
    started = subprocess.Popen(warm(SERVER), stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=REPOSITORY, text=True,
                               env=os.environ | {"GLASSBOX_THREADS": "1"})
    yield started
    started.stdin.close()
    started.wait(60)


@contextmanager
def serving(servers: subprocess.Popen[str], home: Path) -> Iterator[tuple[psutil.Process, str]]:
    servers.stdin.write(f"{home}\n")
    servers.stdin.flush()
    process = psutil.Process(int(next(line for line in servers.stdout if line.startswith("pid")).split()[1]))
    try:
        yield process, next(match[0] for line in servers.stdout if (match := re.search(r"http://127\.0\.0\.1:\d+/", line)))
    finally:
        if process.is_running():
            process.kill()
            next(line for line in servers.stdout if line.startswith("ended"))


def test_what_visitors_were_told_outlives_the_server(servers, tmp_path):
    home, pick = tmp_path / "home", random.Random(7)
    told: list[Visitors] = []
    for how in [signal.SIGTERM] + KILLS * [signal.SIGKILL]:
        with serving(servers, home) as (process, address):
            told.append(visitors := Visitors(address))
            while not (visitors.files and "finished" in visitors.runs.values() and visitors.watched):
                time.sleep(0.05)
            time.sleep(pick.uniform(0.0, 0.5))
            children = process.children(recursive=True)
            process.send_signal(how)
            status = int(next(line for line in servers.stdout if line.startswith("ended")).split()[1])
            for thread in visitors.threads:
                thread.join(60)
        assert os.waitstatus_to_exitcode(status) in ((0, -how) if how == signal.SIGTERM else (-how,))
        assert not psutil.wait_procs(children, timeout=30)[1], "a process that read for the server outlived it"
        if how == signal.SIGTERM:
            assert not (home / "tmp" / str(process.pid)).exists()
        _nothing_is_lost(home, told)


def test_a_home_that_goes_and_handles_that_run_out_are_sentences_and_the_lab_goes_on(servers, tmp_path):
    table = ("mine.csv", b"question,answer\nWho?,Ida\n")

    def everything(client: httpx.Client, seed: int) -> list[int]:
        """A page, a file, a file on its way to a page, and a run."""
        page = client.get("/", headers={"accept": "text/html"})
        brought = client.post("lab/uploads", files={"file": table})
        handed = client.post("gradio_api/upload", files={"files": table})
        event = client.post("gradio_api/call/test_count", json={"data": [{}, seed, True]}).json()["event_id"]
        assert '"outcome": "finished"' in client.get(f"gradio_api/call/test_count/{event}").text
        return [page.status_code, brought.status_code, handed.status_code]

    with serving(servers, tmp_path / "home") as (process, address), httpx.Client(base_url=address, timeout=60) as client:
        assert everything(client, 1) == [200, 200, 200]
        run = client.get("lab/runs").json()["runs"][0]["id"]
        shutil.rmtree(tmp_path / "home")
        gone = client.get(f"lab/runs/{run}")
        assert gone.status_code == 404 and set(gone.json()) == {"error", "hint"}
        assert everything(client, 2) == [200, 200, 200] and len(client.get("lab/runs").json()["runs"]) == 1
        run, most = client.get("lab/runs").json()["runs"][0]["id"], process.rlimit(psutil.RLIMIT_NOFILE)
        process.rlimit(psutil.RLIMIT_NOFILE, (3, most[1]))  # what is open stays open, and nothing more can be
        refused = client.post("lab/uploads", files={"file": table})
        assert refused.status_code == 503 and refused.json() == {"error": "The lab is too busy just now.", "hint": "Try again in a minute."}
        process.rlimit(psutil.RLIMIT_NOFILE, most)
        assert everything(client, 3) == [200, 200, 200]


def _nothing_is_lost(home: Path, told: list[Visitors]) -> None:
    """In a new lab on the same home: every run and file that somebody was told of is there and whole, and nothing half made."""
    lab = Engine(Settings(home=home, threads=1))
    listed = {run.id: run for run in lab.records.list()}
    for visitors in told:
        for run, outcome in visitors.runs.items():
            lines = lab.events(run)
            assert [line["seq"] for line in lines] == list(range(len(lines))) and visitors.token in listed[run].visitors
            assert lines[-1]["outcome"] == listed[run].outcome in ("finished", "cancelled", "interrupted")
            assert outcome == "running" or outcome == listed[run].outcome
        for ref, text in visitors.files.items():
            assert lab.uploads.path(ref).read_text() == text and lab.uploads.about(ref, visitors.token)["name"] == "mine.csv"
    assert lab.records.damaged() == [] and not list(lab.records.root.rglob("*.part"))
    print(json.dumps({"runs": len(listed), "files": sum(len(visitors.files) for visitors in told)}))
    lab.close()
