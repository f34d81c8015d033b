"""One warm lab that strangers call, two visitors whose things they must not reach, and a folder beside its home that nobody may touch."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import psutil
import pytest

from apps.lab.server import create_app
from core.engine import registry
from core.engine.runner import Engine
from core.engine.settings import Settings
from tests.servers import serving

META = {"_type": "gradio.FileData"}
SECRET = "quince-marmalade"  # stands in everything that belongs to Ann
MEASURED: list[str] = []
SPACE = 400 * 2**20  # what all cases together may add to the memory of the idle lab


@dataclass
class Lab:
    """The lab under attack. ann: owns a run, a published run, a file, and one on its way to a page.  bob: another visitor.

    outside: a folder beside the home.  controls: numbers of handlers.  mounted: Gradio's app, without what stands in front.
    """

    address: str
    engine: Engine
    home: Path
    outside: Path
    ann: httpx.Client
    bob: httpx.Client
    run: str
    shared: str
    file: str
    handed: str
    controls: dict[str, int]
    mounted: Any

    def fill(self, text: str) -> str:
        """The text of a case with this lab's own names put in."""
        names = {
            "RUN": self.run,
            "SHARED": self.shared,
            "FILE": self.file.removeprefix("upload/"),
            "HANDED": self.handed,
            "OUTSIDE": str(self.outside / "secret.txt"),
        } | {name: str(index) for name, index in self.controls.items()}
        for name, value in names.items():
            text = text.replace(f"<{name}>", value)
        return text


def visitor(address: str) -> httpx.Client:
    client = httpx.Client(base_url=address, timeout=60, follow_redirects=False)
    client.get("/", headers={"accept": "text/html"})
    return client


@contextlib.contextmanager
def _counting() -> Iterator[None]:
    from tests.lab.conftest import COUNTING

    with pytest.MonkeyPatch.context() as patch:
        for name, place in COUNTING.items():
            patch.setitem(registry.EXPERIMENTS, name, place)
        yield


@pytest.fixture(scope="module", autouse=True)
def _listed() -> Iterator[None]:
    """Only as long as the cases run: tests of other folders list what the lab really has."""
    with _counting():
        yield


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    import torch  # noqa: F401 - as in a lab that has been open for a while
    from transformers import LlamaForCausalLM  # noqa: F401

    root = tmp_path_factory.mktemp("attack")
    outside = root / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text(SECRET)
    engine = Engine(Settings(home=root / "home", threads=1))
    with contextlib.ExitStack() as stack:
        with _counting():
            app = create_app(engine=engine)
            mounted = next(route.app for route in reversed(app.routes) if hasattr(getattr(route, "app", None), "get_blocks"))
            address = stack.enter_context(serving(app))
            ann, bob = visitor(address), visitor(address)
            shared = Lab(
                address, engine, root / "home", outside, ann, bob, *_belongings(engine, ann), _controls(mounted.get_blocks()), mounted
            )
        yield shared
    engine.close()


def _belongings(engine: Engine, ann: httpx.Client) -> tuple[str, str, str, str]:
    runs = []
    for seed in (1, 2):
        run = engine.start("test/count", {"word": SECRET, "steps": 2}, seed=seed, visitor=ann.cookies["glassbox_visitor"]).id
        engine.wait(run, timeout=120)
        runs.append(run)
    ann.post(f"/lab/runs/{runs[1]}/publish", json={"published": True}).raise_for_status()
    table = f"question,answer\nWho likes {SECRET}?,Ida\n".encode()
    file = ann.post("/lab/uploads", files={"file": ("mine.csv", table)}).json()["ref"]
    handed = ann.post("/gradio_api/upload", files={"files": ("mine.csv", table)}).json()[0]
    return *runs, file, handed


def _controls(blocks: gr.Blocks) -> dict[str, int]:
    """Numbers of handlers: one that takes a file, one that takes none, one for programs."""
    takes = next(i for i, fn in blocks.fns.items() if len(fn.inputs) == 1 and isinstance(fn.inputs[0], gr.UploadButton))
    plain = next(i for i, fn in blocks.fns.items() if not fn.queue and fn.inputs and isinstance(fn.inputs[0], (gr.Dropdown, gr.Slider)))
    public = next(i for i, fn in blocks.fns.items() if fn.api_name == "test_count")
    return {"TAKES": takes, "PLAIN": plain, "PUBLIC": public}


@pytest.fixture
def raw(lab: Lab) -> Callable[..., tuple[int, bytes]]:
    """Sends bytes as they are, which no client library would, and gives (status, whole answer)."""
    port = int(lab.address.rstrip("/").rpartition(":")[2])

    def ask(data: bytes) -> tuple[int, bytes]:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
            line.sendall(data)
            answer = b""
            while b"\r\n\r\n" not in answer or not _whole(answer):
                if not (part := line.recv(65536)):
                    break
                answer += part
        return (int(answer.split(b" ", 2)[1]) if answer else 0), answer

    return ask


def _whole(answer: bytes) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    size = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), None)
    return size is not None and len(body) >= size


def is_refusal(text: str) -> bool:
    """Whether an answer says what was wrong in the lab's own form, in words, without anything of the program."""
    said: Any = json.loads(text)
    words = f"{said.get('error')} {said.get('hint')}"
    return (
        set(said) == {"error", "hint"}
        and bool(said["error"])
        and not any(mark in words for mark in ("Traceback", 'File "', ".py", "Error:", "<class", "site-packages"))
    )


@pytest.fixture(autouse=True)
def _unharmed(lab: Lab) -> Iterator[None]:
    """After every case: the lab answers, nothing outside its home has changed, and Ann still has what is hers."""
    yield
    assert lab.ann.get("/lab/runs").status_code == 200
    assert {path.name: path.read_text() for path in lab.outside.iterdir()} == {"secret.txt": SECRET}
    assert lab.engine.records.read(lab.run).visitors == [lab.ann.cookies["glassbox_visitor"]]
    assert lab.engine.uploads.path(lab.file).is_file() and os.path.isfile(lab.handed)


@pytest.fixture(scope="module", autouse=True)
def _memory(lab: Lab) -> Iterator[None]:
    """All cases of a file together add no more than SPACE to the lab's memory, which is printed."""
    process = psutil.Process()
    idle, high = process.memory_info().rss, _high_water()
    yield
    after = process.memory_info().rss
    MEASURED.append(f"memory of the lab: idle {idle >> 20} MB, afterwards {after >> 20} MB, highest {_high_water() >> 20} MB")
    assert max(process.memory_info().rss, _high_water() if _high_water() > high else 0) - idle < SPACE


def _high_water() -> int:
    """The most memory that this process ever had, where the system tells."""
    try:
        words = Path("/proc/self/status").read_text().split()
    except OSError:
        return 0
    return int(words[words.index("VmHWM:") + 1]) * 1024


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for line in MEASURED:
        terminalreporter.line(line)
