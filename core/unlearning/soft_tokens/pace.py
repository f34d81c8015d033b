"""Progress that neither floods the log nor falls silent."""

from __future__ import annotations

import time
from collections.abc import Iterator

from core.engine.events import Event
from core.unlearning.audit.examine import Pace

QUIET_S = 0.6


class Beat:
    """Progress a few times a second, however quick the steps are."""

    def __init__(self, total: int) -> None:
        self._pace, self._last = Pace(total), 0.0

    def step(self, note: str, by: int = 1) -> Iterator[Event]:
        """Counts `by` parts as done and says so if it has been quiet for a while."""
        progress = self._pace.step(note, by)
        if time.monotonic() - self._last > QUIET_S:
            self._last = time.monotonic()
            yield progress
