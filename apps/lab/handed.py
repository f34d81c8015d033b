"""Files that a browser hands over before a page takes them: each belongs to who sent it, lies in our own folder, and goes soon.

    handed = Handed(home)                       # GLASSBOX_HOME/tmp/PID
    handed.add(visitor, ["/.../mine.csv"])      # what an upload answered
    handed.owns(visitor, path)
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path

import psutil

MB = 2**20
ROOM, ROOM_EACH = 300 * MB, 60 * MB
KEPT_S = 3600.0


class Handed:
    """One process's folder of files on their way from a browser to a page. What other, dead processes left is removed."""

    def __init__(self, home: Path) -> None:
        self.root = (home / "tmp").resolve() / f"{os.getpid()}"
        self._lock = threading.Lock()
        self._owners: dict[Path, dict[str, float]] = {}
        for left in self.root.parent.glob("*"):
            if not (left.name.isdecimal() and psutil.pid_exists(int(left.name))):
                shutil.rmtree(left, ignore_errors=True)

    def ready(self) -> None:
        """Makes the folders into which a browser's files are written, should somebody have deleted them; cannot fail.

        Tells Gradio, which asks at every event, that it is here: another lab of this process may have named its own since."""
        os.environ["GRADIO_TEMP_DIR"], os.environ["GRADIO_EXAMPLES_CACHE"] = str(self.root), str(self.root / "examples")
        with contextlib.suppress(OSError):
            self.root.mkdir(parents=True, exist_ok=True)
            Path(tempfile.gettempdir()).mkdir(parents=True, exist_ok=True)

    def add(self, visitor: str, paths: list[str]) -> None:
        """Notes whose files these are."""
        with self._lock:
            for path in map(Path, paths):
                self._owners.setdefault(path, {})[visitor] = time.monotonic()

    def owns(self, visitor: str, path: str) -> bool:
        """Whether this visitor sent the file of that name, and it is still a plain file in our folder."""
        found = Path(path)
        with self._lock:
            mine = bool(visitor) and visitor in self._owners.get(found, ())
        return mine and not found.is_symlink() and found.is_file() and found.resolve().is_relative_to(self.root)

    def release(self, path: str | Path, visitor: str) -> None:
        """Removes a file that a page has taken, unless somebody else sent the same; touches nothing outside our folder."""
        found = Path(path)
        with self._lock:
            owners = self._owners.get(found)
            if owners is None or visitor not in owners:
                return
            del owners[visitor]
            if not owners:
                del self._owners[found]
                self._remove(found)

    def has_room(self, visitor: str, size: int) -> bool:
        """Whether `size` more bytes of this visitor may come; what is too old goes first."""
        self.sweep()
        with self._lock:
            sizes = {path: _size(path) for path in self._owners}
            mine = sum(size for path, size in sizes.items() if visitor in self._owners[path])
        return mine + size <= ROOM_EACH and sum(sizes.values()) + size <= ROOM

    def sweep(self) -> None:
        """Removes what lies here longer than an hour."""
        now = time.monotonic()
        with self._lock:
            for path, owners in list(self._owners.items()):
                for visitor in [who for who, since in owners.items() if now - since > KEPT_S]:
                    del owners[visitor]
                if not owners:
                    del self._owners[path]
                    self._remove(path)
        with contextlib.suppress(OSError):
            for left in list(self.root.iterdir()):  # half uploads, and empty files that Gradio makes and forgets
                if left.is_file() and time.time() - left.stat().st_mtime > min(KEPT_S, 600):
                    left.unlink(missing_ok=True)

    def _remove(self, path: Path) -> None:
        with contextlib.suppress(OSError):
            if path.parent.parent == self.root:
                shutil.rmtree(path.parent, ignore_errors=True)

    def close(self) -> None:
        """Removes the whole folder."""
        shutil.rmtree(self.root, ignore_errors=True)


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0
