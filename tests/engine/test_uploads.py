"""Files that visitors bring: named by content, removed in time, and never a way to read somebody else's disk."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from core.engine import uploads as module
from core.engine.errors import LabError
from core.engine.experiment import Config, DataRef, experiment
from core.engine.lab import Cache, Lab
from core.engine.settings import Settings
from core.engine.uploads import Uploads


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(Settings(home=tmp_path / "home"))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "mine.csv"
    path.write_text("question,answer\nWho?,Ida\n")
    return path


def test_same_content_same_name(uploads: Uploads, table: Path, tmp_path: Path):
    other = tmp_path / "copy.csv"
    other.write_bytes(table.read_bytes())
    ref = uploads.add(table, "mine.csv", "ann")
    assert uploads.add(other, "copy.csv", "ben") == ref
    assert uploads.path(ref).read_bytes() == table.read_bytes()
    assert uploads.about(ref) == {"name": "mine.csv", "size": table.stat().st_size}
    changed = tmp_path / "changed.csv"
    changed.write_text("question,answer\nWho?,Otto\n")
    assert uploads.add(changed, "mine.csv", "ann") != ref


@pytest.mark.parametrize(("given", "kept"), [("../../etc/passwd", "passwd"), ("C:\\x\\y.csv", "y.csv"), ("about.json", "file-about.json"),
                                             ("...", "file-"), ("a b<c>.csv", "a_b_c_.csv"), ("ü.csv", "ü.csv")])
def test_names_stay_inside(uploads: Uploads, table: Path, given: str, kept: str):
    path = uploads.path(uploads.add(table, given))
    assert path.name == kept
    assert path.resolve().is_relative_to(uploads.root.resolve())


def test_a_file_of_two_visitors_goes_with_the_last(uploads: Uploads, table: Path):
    ref = uploads.add(table, "mine.csv", "ann")
    uploads.add(table, "mine.csv", "ben")
    with pytest.raises(LabError, match="no such file of yours"):
        uploads.delete(ref, "eve")
    uploads.delete(ref, "ann")
    assert uploads.path(ref).exists()
    uploads.delete(ref, "ben")
    with pytest.raises(LabError, match="no longer here"):
        uploads.path(ref)


def test_a_day_later_it_is_gone(uploads: Uploads, table: Path, tmp_path: Path):
    ref = uploads.add(table, "mine.csv", "ann")
    about = uploads.path(ref).with_name("about.json")
    about.write_text(json.dumps(json.loads(about.read_text()) | {"added": time.time() - module.KEPT_S - 1}))
    with pytest.raises(LabError, match="after a day"):
        uploads.about(ref)
    other = tmp_path / "other.csv"
    other.write_text("x")
    uploads.add(other, "other.csv")
    assert not about.parent.exists()


def test_the_oldest_makes_room(uploads: Uploads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "ROOM", 25)
    refs = []
    for i in range(3):
        path = tmp_path / f"{i}"
        path.write_text(str(i) * 10)
        refs.append(uploads.add(path, f"{i}.txt"))
    with pytest.raises(LabError):
        uploads.path(refs[0])
    assert uploads.path(refs[1]).exists() and uploads.path(refs[2]).exists()


def test_empty_and_too_large(uploads: Uploads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "x"
    path.write_text("")
    with pytest.raises(LabError, match="empty"):
        uploads.add(path, "x")
    monkeypatch.setattr(module, "LARGEST", 3)
    path.write_text("four")
    with pytest.raises(LabError, match="at most"):
        uploads.add(path, "x")
    assert not list(uploads.root.glob("*")) if uploads.root.exists() else True


@pytest.mark.parametrize("ref", ["upload/../../etc", "upload/" + "0" * 24, "upload/zz"])
def test_what_is_not_there(uploads: Uploads, ref: str):
    with pytest.raises(LabError, match="no longer here"):
        uploads.path(ref)


def test_paths_only_where_the_disk_is_ones_own(uploads: Uploads, table: Path, tmp_path: Path):
    with pytest.raises(LabError, match="command line"):
        uploads.path(f"path/{table}")
    own = Uploads(Settings(home=tmp_path / "home", any_path=True))
    assert own.path(f"path/{table}") == table.resolve()
    before = own.fingerprint(f"path/{table}")
    table.write_text("changed")
    assert own.fingerprint(f"path/{table}") != before
    with pytest.raises(LabError, match="There is no file"):
        own.path("path/nothing.csv")


class FileConfig(Config):
    mine: DataRef = ""


@experiment("test/file", title="Reads a file", paper="00")
def reads(config: FileConfig, lab: Lab):
    yield from ()


def test_a_field_that_names_a_file(uploads: Uploads, table: Path):
    described = reads.experiment
    ref = uploads.add(table, "mine.csv")
    config = described.validate({"mine": ref})
    assert described.data_fields() == ["mine"] and described.data(config) == [ref] and described.data(FileConfig()) == []
    lab = Lab(None, Cache(), seed=0, threads=1, uploads=uploads)
    assert lab.data(ref).read_bytes() == table.read_bytes()
    for wrong in ("questions.csv", "upload/", "embedded/worlds", "path/a\nb"):
        with pytest.raises(LabError, match="upload/ID"):
            described.validate({"mine": wrong})
