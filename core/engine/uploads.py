"""Files that visitors bring: a table of questions, a ZIP of pictures.

    ref = uploads.add(path, "questions.csv", visitor)     # "upload/9f86d081884c7d659a2feaa0"
    uploads.path(ref)                                     # what an experiment reads, through lab.data(ref)

A file is named by its content and used only by those who brought it. It stays on this machine and is removed after a day, when
its visitor says so, or when newer files need the room: first those of whoever holds most. What it says is checked by those who read it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock
import psutil
from pydantic import BaseModel, Field

from core.engine.errors import LabError
from core.engine.settings import Settings
from core.engine.stored import PASSING, parse, read_file

MB = 2**20
LARGEST = 20 * MB
ROOM, ROOM_EACH = 500 * MB, 100 * MB
MOST_EACH = 50
KEPT_S = 24 * 3600
LOCK = ".lock"
_ID = re.compile(r"[0-9a-f]{24}")


class About(BaseModel):
    """about.json of one file. added: seconds since 1970, by the clock of this machine."""

    name: str = Field(min_length=1, max_length=100)
    size: int = Field(ge=0)
    visitors: list[str]
    added: float


class Uploads:
    """The files of one home folder: `uploads/ID/about.json` beside the file, which keeps its own name."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._lock = settings, threading.Lock()
        self.root = settings.home / "uploads"
        self._between = filelock.FileLock(self.root / LOCK, timeout=20, thread_local=False, poll_interval=0.01)

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        with self._lock:
            self.root.mkdir(parents=True, exist_ok=True)
            with self._between:
                yield

    def add(self, source: Path, name: str, visitor: str = "") -> str:
        """Copies a file in and gives its reference. Raises LabError for one that is empty, too large or cannot be stored."""
        size = source.stat().st_size
        if not 0 < size <= LARGEST:
            raise LabError("That file is empty." if not size else f"That file has {size / MB:,.0f} MB.",
                           f"A file may have at most {LARGEST // MB} MB.")
        try:
            with source.open("rb") as stream:
                name_of_content = hashlib.file_digest(stream, "sha256").hexdigest()[:24]
            with self._turn():
                self._make_room(size, visitor)
                self._store(source, name_of_content, _plain_name(name), size, visitor)
        except (OSError, filelock.Timeout) as problem:
            raise LabError(f"The file could not be stored: {getattr(problem, 'strerror', None) or problem}.",
                           "Free some space and try again.") from None
        return f"upload/{name_of_content}"

    def _store(self, source: Path, content: str, name: str, size: int, visitor: str) -> None:
        folder, known = self.root / content, self._about(content)
        if known is None:
            # made under another name, so that nobody ever reads half a file
            draft = self.root / f".{os.getpid()}-{secrets.token_hex(8)}"
            try:
                draft.mkdir(parents=True)
                shutil.copyfile(source, draft / name)
                _write(draft, About(name=name, size=size, visitors=[visitor], added=time.time()))
                shutil.rmtree(folder, ignore_errors=True)
                draft.rename(folder)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
            return
        _write(folder, known.model_copy(update={"added": time.time(), "visitors": sorted({*known.visitors, visitor})}))

    def about(self, ref: str, visitor: str | None = None) -> dict[str, Any]:
        """{name, size in bytes} of an upload. Raises LabError for one that is gone, or that this visitor has not brought."""
        try:
            found = self._about(_content(ref))
        except OSError as problem:
            raise LabError(f"That file cannot be read now: {problem.strerror}.", "Try again in a minute.") from None
        if found is None or visitor is not None and visitor not in found.visitors:
            raise _gone()
        return {"name": found.name, "size": found.size}

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
        """Removes a visitor's file; while others brought the same one, only their name leaves it. Raises LabError if it cannot."""
        content = _content(ref)
        try:
            with self._turn():
                known = self._about(content)
                if known is None or visitor not in known.visitors:
                    raise LabError("There is no such file of yours.", "It may have been removed already.")
                self._leave(content, known, visitor)
                if (left := self._about(content)) and visitor in left.visitors:
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except (OSError, filelock.Timeout) as problem:
            raise LabError(f"The file could not be removed: {getattr(problem, 'strerror', None) or problem}.",
                           "Try again in a minute.") from None

    def _leave(self, content: str, known: About, visitor: str) -> None:
        others = [other for other in known.visitors if other != visitor]
        if others:
            _write(self.root / content, known.model_copy(update={"visitors": others}))
        else:
            shutil.rmtree(self.root / content, ignore_errors=True)

    def _about(self, content: str) -> About | None:
        """What is known of a file; None for one that is gone, too old or damaged.

        Raises OSError where that cannot be told now: a file must not be taken for a damaged one because too many others are open.
        """
        try:
            found = About.model_validate(parse(read_file(self.root / content / "about.json")))
            plain = _plain_name(found.name) == found.name and (self.root / content / found.name).is_file()
        except (OSError, ValueError) as problem:
            if getattr(problem, "errno", None) in PASSING:
                raise
            return None
        return found if plain and time.time() - found.added < KEPT_S else None

    def _make_room(self, size: int, visitor: str) -> None:
        """Removes what is too old or damaged, then this visitor's oldest, then the oldest of whoever holds most."""
        kept = self._swept()
        mine = [(content, known) for content, known in kept if visitor in known.visitors]
        while mine and (sum(known.size for _, known in mine) + size > ROOM_EACH or len(mine) >= MOST_EACH):
            self._leave(*mine.pop(0), visitor)
        kept = self._swept()
        while kept and sum(known.size for _, known in kept) + size > ROOM:
            holds = Counter[str]()
            for _, known in kept:
                holds.update(dict.fromkeys(known.visitors, known.size))
            most, held = holds.most_common(1)[0]
            if most != visitor and held <= holds[visitor] + size:
                raise LabError("The lab holds as many files as it can.", "Try again later: files are removed after a day.")
            self._leave(*next((content, known) for content, known in kept if most in known.visitors), most)
            kept = self._swept()

    def _swept(self) -> list[tuple[str, About]]:
        """(id, what is known) of all files, oldest first; what is none is removed, unless another process is just making it."""
        found = []
        for folder in self.root.iterdir():
            if folder.name == LOCK:
                continue
            known, maker = self._about(folder.name), folder.name.removeprefix(".").partition("-")[0]
            if known is not None:
                found.append((folder.name, known))
            elif not (folder.name.startswith(".") and maker.isdecimal() and psutil.pid_exists(int(maker))):
                shutil.rmtree(folder, ignore_errors=True)
        return sorted(found, key=lambda pair: pair[1].added)


def _content(ref: str) -> str:
    content = ref.removeprefix("upload/")
    if not _ID.fullmatch(content):
        raise _gone()
    return content


def _gone() -> LabError:
    return LabError("That file is no longer here: files are removed after a day.", "Choose it again on the page.")


def _plain_name(name: str) -> str:
    """The last part of a file's name, of letters, digits, dots and dashes; never 'about.json'."""
    stem = re.sub(r"[^\w.-]+", "_", re.split(r"[\\/]", name)[-1]).strip("._")[-80:].strip("._")
    return f"file-{stem}" if stem in ("", "about.json") else stem


def _write(folder: Path, about: About) -> None:
    draft = folder / f".{secrets.token_hex(4)}"
    draft.write_text(json.dumps(about.model_dump()), encoding="utf-8")
    draft.replace(folder / "about.json")
