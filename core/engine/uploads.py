"""Files that visitors bring: a table of questions, a ZIP of pictures.

    ref = uploads.add(path, "questions.csv", visitor)     # "upload/9f86d081884c7d659a2feaa0"
    uploads.path(ref)                                     # what an experiment reads, through lab.data(ref)

A file is named by its content, so nobody can ask for one that they do not have. It stays on this machine and is removed
after a day, when its visitor says so, or when newer files need the room. What it says is checked by those who read it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import secrets
import shutil
import threading
import time
from pathlib import Path
from typing import Any

from core.engine.errors import LabError
from core.engine.settings import Settings

MB = 2**20
LARGEST = 20 * MB
ROOM = 500 * MB
KEPT_S = 24 * 3600
_ID = re.compile(r"[0-9a-f]{24}")


class Uploads:
    """The files of one home folder: `uploads/ID/about.json` beside the file, which keeps its own name."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._lock = settings, threading.Lock()
        self.root = settings.home / "uploads"

    def add(self, source: Path, name: str, visitor: str = "") -> str:
        """Copies a file in and gives its reference. Raises LabError for one that is empty, too large or cannot be stored."""
        size = source.stat().st_size
        if not 0 < size <= LARGEST:
            raise LabError("That file is empty." if not size else f"That file has {size / MB:,.0f} MB.",
                           f"A file may have at most {LARGEST // MB} MB.")
        with source.open("rb") as stream:
            name_of_content = hashlib.file_digest(stream, "sha256").hexdigest()[:24]
        try:
            with self._lock:
                self._make_room(size)
                self._store(source, name_of_content, _plain_name(name), size, visitor)
        except OSError as problem:
            raise LabError(f"The file could not be stored: {problem.strerror}.", "Free some space and try again.") from None
        return f"upload/{name_of_content}"

    def _store(self, source: Path, content: str, name: str, size: int, visitor: str) -> None:
        folder, known = self.root / content, self._about(content)
        if known is None:
            # made under another name, so that nobody ever reads half a file
            draft = self.root / f".{secrets.token_hex(8)}"
            draft.mkdir(parents=True)
            shutil.copyfile(source, draft / name)
            known = {"name": name, "size": size, "visitors": []}
            _write(draft, known | {"added": time.time()})
            shutil.rmtree(folder, ignore_errors=True)
            draft.rename(folder)
        _write(folder, known | {"added": time.time(), "visitors": sorted({*known["visitors"], visitor})})

    def about(self, ref: str) -> dict[str, Any]:
        """{name, size in bytes} of an upload. Raises LabError for one that is gone."""
        found = self._about(_content(ref))
        if found is None:
            raise _gone()
        return {"name": found["name"], "size": found["size"]}

    def path(self, ref: str) -> Path:
        """The file, or for `path/` on the command line perhaps a folder. Raises LabError for what is not there or not allowed."""
        source, _, rest = ref.partition("/")
        if source == "upload":
            return self.root / _content(ref) / self.about(ref)["name"]
        if not self._settings.any_path:
            raise LabError("Files by their path are for the command line.", "Choose the file on the page.")
        try:
            found = Path(rest).expanduser().resolve()
            if not found.exists():
                raise FileNotFoundError(rest)
        except (OSError, RuntimeError, ValueError):
            raise LabError(f"There is no file '{rest}'.", "Name it as path/FILE, seen from the folder you are in.") from None
        return found

    def fingerprint(self, ref: str) -> str:
        """Equal for equal content; of a folder, equal while the names, sizes and times of its files are."""
        if ref.startswith("upload/"):
            self.about(ref)
            return _content(ref)[:16]
        found, digest = self.path(ref), hashlib.sha256()
        if found.is_dir():
            for file in sorted(found.rglob("*")):
                stat = file.lstat()
                digest.update(repr((str(file.relative_to(found)), stat.st_size, stat.st_mtime_ns)).encode())
        else:
            with found.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        return digest.hexdigest()[:16]

    def delete(self, ref: str, visitor: str) -> None:
        """Removes a visitor's file; while others brought the same one, only their name leaves it."""
        content = _content(ref)
        with self._lock:
            known = self._about(content)
            if known is None or visitor not in known["visitors"]:
                raise LabError("There is no such file of yours.", "It may have been removed already.")
            others = [other for other in known["visitors"] if other != visitor]
            if others:
                _write(self.root / content, known | {"visitors": others})
            else:
                shutil.rmtree(self.root / content, ignore_errors=True)

    def _about(self, content: str) -> dict[str, Any] | None:
        with contextlib.suppress(OSError, ValueError):
            found = json.loads((self.root / content / "about.json").read_bytes())
            if time.time() - found["added"] < KEPT_S:
                return found
        return None

    def _make_room(self, size: int) -> None:
        """Removes what is too old, and then the oldest until `size` bytes fit."""
        self.root.mkdir(parents=True, exist_ok=True)
        kept = []
        for folder in self.root.iterdir():
            if known := self._about(folder.name):
                kept.append((known, folder))
            else:
                shutil.rmtree(folder, ignore_errors=True)
        kept.sort(key=lambda pair: pair[0]["added"])
        total = size + sum(known["size"] for known, _ in kept)
        while kept and total > ROOM:
            known, folder = kept.pop(0)
            shutil.rmtree(folder, ignore_errors=True)
            total -= known["size"]


def _content(ref: str) -> str:
    content = ref.removeprefix("upload/")
    if not _ID.fullmatch(content):
        raise _gone()
    return content


def _gone() -> LabError:
    return LabError("That file is no longer here: files are removed after a day.", "Choose it again on the page.")


def _plain_name(name: str) -> str:
    """The last part of a file's name, of letters, digits, dots and dashes; never 'about.json'."""
    stem = re.sub(r"[^\w.-]+", "_", re.split(r"[\\/]", name)[-1]).strip("._")[-80:]
    return f"file-{stem}" if stem in ("", "about.json") else stem


def _write(folder: Path, about: dict[str, Any]) -> None:
    draft = folder / f".{secrets.token_hex(4)}"
    draft.write_text(json.dumps(about), encoding="utf-8")
    draft.replace(folder / "about.json")
