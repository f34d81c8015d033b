"""Results that outlive the process: the same numbers again, damage noticed, room kept."""

from __future__ import annotations

import os
import subprocess

import pytest
import torch

from core.engine.shelf import Shelf
from tests.warm import warm

KEY = ("thoughts", "abc123", 1000, 0.8, None)
FACTS = {"texts": ["3+4=7;", "<b>ü</b>"], "scale": 0.1}


def some() -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    return {"states": torch.randn(7, 3, 5, generator=rng), "scores": torch.randn(7, generator=rng, dtype=torch.float64),
            "coarse": torch.randn(4, generator=rng).bfloat16(), "ids": torch.arange(9), "none": torch.zeros(0, 4)}


@pytest.fixture
def shelf(tmp_path) -> Shelf:
    return Shelf(tmp_path / "shelf")


def files(shelf: Shelf) -> list:
    return sorted(shelf._folder.iterdir())


def test_what_was_put_comes_back_bit_for_bit_and_nan_stays(shelf):
    tensors = some() | {"holes": torch.tensor([1.0, float("nan")])}
    shelf.put(KEY, tensors, FACTS)
    found, facts = shelf.get(KEY)
    assert facts == FACTS and set(found) == set(tensors)
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype and found[name].shape == tensor.shape
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=0, equal_nan=True)


def test_another_process_finds_it(shelf):
    shelf.put(KEY, some(), FACTS)
    code = ("import sys; from pathlib import Path; from core.engine.shelf import Shelf;"
            f"tensors, facts = Shelf(Path(sys.argv[1])).get({KEY!r}); print(float(tensors['states'].sum()), facts['scale'])")
    said = subprocess.run(warm(code, str(shelf._folder)), capture_output=True, text=True, check=True).stdout.split()
    assert float(said[0]) == float(some()["states"].sum()) and said[1] == "0.1"


def test_any_other_key_is_unknown(shelf):
    shelf.put(KEY, some(), FACTS)
    for other in (("thoughts",), (*KEY[:-1], 0.0), (*KEY, None), ("thoughts", "abc124", *KEY[2:])):
        assert shelf.get(other) is None
    assert shelf.get(KEY) is not None


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "text", "renamed"])
def test_a_damaged_file_is_removed_and_computed_again(shelf, damage):
    shelf.put(KEY, some(), FACTS)
    (path,) = files(shelf)
    good = path.read_bytes()
    if damage == "renamed":  # the content of another key
        shelf.put(("other",), some(), {})
        next(other for other in files(shelf) if other != path).replace(path)
    else:
        path.write_bytes({"cut": good[:-20], "bit": good[:-5] + bytes([good[-5] ^ 1]) + good[-4:], "empty": b"", "text": b"hello"}[damage])
    assert shelf.get(KEY) is None and not path.exists()
    shelf.put(KEY, some(), FACTS)
    assert shelf.get(KEY) is not None


def test_room_is_made_by_what_was_used_longest_ago(tmp_path):
    shelf = Shelf(tmp_path / "shelf", limit=10_000)
    block = {"block": torch.zeros(1000)}  # 4,000 bytes and a header: two fit
    for age, name in ((300, "first"), (200, "second")):
        shelf.put((name,), block, {})
        os.utime(shelf._path((name,)), (1e9 - age, 1e9 - age))
    shelf.get(("first",))  # used now
    shelf.put(("third",), block, {})
    assert [shelf.get((name,)) is not None for name in ("first", "second", "third")] == [True, False, True]
    assert sum(path.stat().st_size for path in files(shelf)) <= 10_000


def test_what_is_too_large_is_not_kept_and_drives_nothing_out(tmp_path):
    shelf = Shelf(tmp_path / "shelf", limit=10_000)
    shelf.put(("small",), {"block": torch.zeros(10)}, {})
    shelf.put(("huge",), {"block": torch.zeros(10_000)}, {})
    assert shelf.get(("huge",)) is None and shelf.get(("small",)) is not None and len(files(shelf)) == 1


def test_a_disk_that_refuses_costs_nothing_but_the_shelf(tmp_path):
    (tmp_path / "shelf").write_text("a file where the folder should be")
    shelf = Shelf(tmp_path / "shelf")
    shelf.put(KEY, some(), FACTS)
    assert shelf.get(KEY) is None
