"""Small experiments that the command line is tested with. They need no model file."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from core.engine.errors import LabError
from core.engine.events import Event, Metric, Progress, Verdict
from core.engine.experiment import CleanText, Config, DataRef, experiment, probe
from core.engine.lab import Lab


class CountConfig(Config):
    steps: int = Field(3, ge=1, le=1000, description="How far to count")
    word: CleanText = Field("tick", max_length=20, description="What to say at each step")
    rate: float | None = Field(None, ge=0, le=1, description="A share, or null for none")
    mode: Literal["plain", "loud"] = Field("plain", description="How to say it")
    picks: list[int] = Field([1, 2], max_length=5, description="Numbers to add up")
    fail: bool = Field(False, description="Whether to end in a sentence")
    pause: float = Field(0.0, ge=0, le=1, description="Seconds between steps")


@experiment("test/count", title="Can it count?", paper="00", families=())
def count(config: CountConfig, lab: Lab) -> Iterator[Event]:
    import torch

    print("a library talks to standard output")
    os.write(1, b"and so does compiled code\n")
    for step in range(1, config.steps + 1):
        yield Progress(step, config.steps, "counting")
        yield Metric("noise", torch.rand(1, generator=lab.rng("noise")).item(), step)
        time.sleep(config.pause)
    if config.fail:
        raise LabError("The counting failed on purpose.", "Set fail to false.")
    yield Metric("total", float(sum(config.picks)))
    yield Verdict(f"Counted to {config.steps}, saying {config.word!r}.", {"steps": config.steps})


@experiment("test/broken", title="Does a bug stay out of sight?", paper="00", families=())
def broken(config: CountConfig, lab: Lab) -> Iterator[Event]:
    yield Progress(0, 1)
    raise ZeroDivisionError("a bug")


@dataclass(frozen=True)
class Echo:
    words: list[str]


@probe("test/echo", title="What did I say?", paper="00", families=())
def echo(config: CountConfig, lab: Lab) -> Echo:
    return Echo([config.word] * config.steps)


class FileConfig(Config):
    mine: DataRef = Field("", title="Your file", description="A text to measure.", json_schema_extra={
        "files": [".txt"], "reader": "test/length", "labels": {"": "Our text"}})


@dataclass(frozen=True)
class Length:
    says: str


@experiment("test/file", title="Measure a text", paper="00", families=())
def file(config: FileConfig, lab: Lab) -> Iterator[Event]:
    """As many characters as the file has."""
    yield Metric("length", len(lab.data(config.mine).read_text()) if config.mine else 0)
    yield Verdict("Measured.")


@probe("test/length", title="How long", paper="00", families=())
def length(config: FileConfig, lab: Lab) -> Length:
    """Refuses what is no text."""
    text = lab.data(config.mine).read_bytes()
    if b"\0" in text:
        raise LabError("That is no text.", "Bring a text.")
    return Length(f"{len(text)} characters.")
