"""Pictures by id: what agents hand each other and checkpoints keep is a short name, never pixels."""

from __future__ import annotations

import hashlib

import numpy as np


class ImageStore:
    """Pictures of one run, bytes (height, width, 3), under the start of the SHA-1 of their content."""

    def __init__(self) -> None:
        self._pictures: dict[str, np.ndarray] = {}

    def put(self, picture: np.ndarray) -> str:
        """The id of a picture (height, width, 3); equal pictures have one id. What is kept cannot be changed in place."""
        kept = np.ascontiguousarray(picture)
        name = hashlib.sha1(repr(kept.shape).encode() + kept.tobytes()).hexdigest()[:16]
        if name not in self._pictures:
            kept = kept.copy()
            kept.flags.writeable = False
            self._pictures[name] = kept
        return name

    def get(self, name: str) -> np.ndarray:
        """The picture (height, width, 3) of an id that `put` gave."""
        return self._pictures[name]
