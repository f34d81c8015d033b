"""All that an experiment or a probe may touch."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.engine.errors import LabError, Stopped
from core.engine.settings import ASSETS

if TYPE_CHECKING:
    import torch

    from core.engine.models import LoadedModel, ModelStore
    from core.engine.shelf import Shelf
    from core.engine.uploads import Uploads


class Cache:
    """The most recently used answers of one process, shared by all visitors; keys begin with a model's fingerprint."""

    def __init__(self, size: int = 256) -> None:
        self._size, self._lock = size, threading.Lock()
        self._items: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable, default: Any = None) -> Any:
        with self._lock:
            if key not in self._items:
                return default
            self._items.move_to_end(key)
            return self._items[key]

    def __setitem__(self, key: Hashable, value: Any) -> None:
        with self._lock:
            self._items[key] = value
            self._items.move_to_end(key)
            while len(self._items) > self._size:
                self._items.popitem(last=False)


class Lab:
    """Models, randomness and the stop flag of one run. After Stop whatever is asked of it raises Stopped: preparing ends there.

    >>> model = lab.fork("embedded/worlds").model          # yours to change
    >>> noise = torch.randn(3, generator=lab.rng("noise"))  # the same for the same seed and name
    """

    def __init__(self, models: ModelStore, cache: Cache, *, seed: int, threads: int, families: tuple[str, ...] = (),
                 is_cancelled: Callable[[], bool] = lambda: False, uploads: Uploads | None = None,
                 shelf: Shelf | None = None) -> None:
        self.seed, self.threads, self.cache = seed, threads, cache
        self.shelf = shelf  # a cache on disk, where there is one
        self.parameters: dict[str, int] = {}
        self.revisions: dict[str, str] = {}
        self._models, self._families, self._is_cancelled, self._uploads = models, families, is_cancelled, uploads

    def load(self, ref: str, attention: str = "sdpa", families: tuple[str, ...] | None = None) -> LoadedModel:
        """A model that everybody shares: read-only. families: which it may be, None: those of the experiment, (): any."""
        self._go_on()
        return self._fitting(self._models.load(ref, attention=attention), families)

    def fork(self, ref: str, share_weights: bool = False, attention: str = "sdpa") -> LoadedModel:
        """A module tree of your own: parameters copied for training, or shared (frozen) under adapters."""
        self._go_on()
        return self._fitting(self._models.fork(ref, share_weights=share_weights, attention=attention))

    def _fitting(self, loaded: LoadedModel, families: tuple[str, ...] | None = None) -> LoadedModel:
        families = self._families if families is None else families
        if families and loaded.family not in families:
            raise LabError(f"{loaded.ref} is a model of the family '{loaded.family}', which this experiment cannot use.",
                           f"It works with: {', '.join(families)}.")
        self.parameters[loaded.ref] = loaded.parameters
        if loaded.revision:
            self.revisions[loaded.ref] = loaded.revision
        return loaded

    def rng(self, name: str) -> torch.Generator:
        """A generator of its own for each purpose, so that adding one draw somewhere changes nothing elsewhere."""
        self._go_on()
        import torch

        digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))

    def _go_on(self) -> None:
        if self._is_cancelled():
            raise Stopped

    @property
    def cancelled(self) -> bool:
        """Whether somebody pressed Stop: leave long inner loops when true."""
        return self._is_cancelled()

    def data(self, ref: str) -> Path:
        """A visitor's own file, see `DataRef`: read it with suspicion. Raises LabError when it is gone or may not be read."""
        self._go_on()
        if self._uploads is None:
            raise LabError("No files can be brought here.", "Leave the field empty.")
        return self._uploads.path(ref)

    def got(self, name: str) -> Path:
        """Files that were got by one press, see `shop.py`. Raises LabError, with what to do, while they are not here."""
        self._go_on()
        return self._models.got(name)

    def kept(self, ref: str) -> Path:
        """The folder of what a run kept ("run/RUN_ID/NAME"), for what is no whole model: read it with suspicion."""
        self._go_on()
        return self._models.folder(ref)

    def folder(self, name: str) -> Path:
        """Read-only data shipped beside the embedded model `name`."""
        return ASSETS / "models" / name
