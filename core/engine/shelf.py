"""Large results that outlive the process: one safetensors file per key, under `GLASSBOX_HOME/shelf`.

    shelf.put(("thoughts", fingerprint, 1000), {"states": states}, {"texts": texts})
    shelf.get(("thoughts", fingerprint, 1000))       # (tensors, facts), also in another process; None if unknown or damaged

A key names everything that the result depends on: nothing here ever asks whether it is still true.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

LIMIT = 512 * 1024**2
FACTS, DIGEST = "facts", "sha256"

log = logging.getLogger("glassbox")


class Shelf:
    """Tensors with JSON facts by key. Holds `limit` bytes at most; what was used longest ago goes first."""

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self._folder, self._limit = folder, limit

    def get(self, key: Sequence[Any]) -> tuple[dict[str, Tensor], Any] | None:
        """What was put under an equal key, or None. A damaged file is removed, so that it is computed again.

        Tensors of any shape (...), on the CPU.
        """
        from safetensors import SafetensorError, safe_open

        path = self._path(key)
        try:
            with safe_open(path, framework="pt") as file:
                about = file.metadata()
                tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - no mapping
            if _digest(key, tensors, about[FACTS]) != about[DIGEST]:
                raise ValueError("the content has changed")
            os.utime(path)
            return tensors, json.loads(about[FACTS])
        except FileNotFoundError:
            return None
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as problem:
            log.warning("a stored result is computed again: %s", problem)
            with contextlib.suppress(OSError):
                path.unlink()
            return None

    def put(self, key: Sequence[Any], tensors: Mapping[str, Tensor], facts: Any) -> None:
        """Stores a result, all or nothing. One that is too large, or that the disk refuses, is not stored. Tensors of any shape (...)."""
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        said = json.dumps(facts, ensure_ascii=False)
        kept = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        path = self._path(key)
        part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            save_file(kept, part, metadata={FACTS: said, DIGEST: _digest(key, kept, said)})
            if part.stat().st_size <= self._limit:
                part.replace(path)
                self._make_room(path)
        except (OSError, SafetensorError) as problem:
            log.warning("a result was not stored: %s", problem)
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)

    def _make_room(self, newest: Path) -> None:
        found = []
        for path in self._folder.glob("*.safetensors"):
            with contextlib.suppress(FileNotFoundError):  # another process makes room too
                found.append((path == newest, path.stat().st_mtime, path.stat().st_size, path))
        room = self._limit
        for _, _, size, path in sorted(found, reverse=True):
            room -= size
            if room < 0:
                path.unlink(missing_ok=True)

    def _path(self, key: Sequence[Any]) -> Path:
        return self._folder / f"{hashlib.sha256(_plain(key)).hexdigest()[:40]}.safetensors"


def _plain(key: Sequence[Any]) -> bytes:
    return json.dumps(list(key), ensure_ascii=False).encode()


def _digest(key: Sequence[Any], tensors: Mapping[str, Tensor], facts: str) -> str:
    import torch

    digest = hashlib.sha256(_plain(key) + facts.encode())
    for name in sorted(tensors):
        digest.update(f"{name}{tensors[name].dtype}{tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
