"""A run that only says what time it is: what 100 watchers follow in benchmarks/site.py."""

from __future__ import annotations

import time
from collections.abc import Iterator

from pydantic import Field

from core.engine.events import Event, Metric
from core.engine.experiment import Config, experiment
from core.engine.lab import Lab


class StreamConfig(Config):
    events: int = Field(100, ge=1, le=10_000, description="How many events")
    pause: float = Field(0.1, ge=0, le=10, description="Seconds between two of them")


@experiment("benchmark/stream", title="What time is it?", paper="00", families=())
def stream(config: StreamConfig, lab: Lab) -> Iterator[Event]:
    for step in range(config.events):
        time.sleep(config.pause)
        yield Metric("time", time.time(), step, "s")
