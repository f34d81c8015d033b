"""Small experiments and probes that the engine is tested with.

    GATES["first"] = Gate(); engine.start("test/count", {"gate": "first"})    # says one event per `GATES["first"].open()`
"""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from core.engine.errors import LabError
from core.engine.events import Event, Figure, Keep, Metric, Picture, Progress, Table, Text, Verdict
from core.engine.experiment import CleanText, Config, ModelRef, experiment, probe
from core.engine.lab import Lab

NAMES = ("count", "train", "across", "ending", "hostile", "sums", "ask_model", "prepare")
TABLE = {f"test/{name}": f"tests.engine.experiments_for_tests:{name}" for name in NAMES}
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)><a href=\"javascript:alert(3)\">x</a>'\"&\x00\x1b[31m\x9b\u202e </script>"


class Gate:
    """Lets an experiment through one step at a time, and tells how far it has come."""

    def __init__(self) -> None:
        self._steps = threading.Semaphore(0)
        self.reached = threading.Event()

    def open(self, steps: int = 1) -> None:
        self._steps.release(steps)

    def wait(self) -> None:
        self.reached.set()
        assert self._steps.acquire(timeout=120), "a test forgot to open a gate"


GATES: dict[str, Gate] = {}
SEEN: list[str] = []
FORKED: list[weakref.ref] = []
ASKED: list[int] = []


class CountConfig(Config):
    steps: int = Field(3, ge=1, le=5000, description="How far to count")
    gate: str = Field("", max_length=20, description="The gate to wait at before every step")
    pad: int = Field(0, ge=0, le=100_000, description="Characters of text to say at every step")
    word: CleanText = Field("tick", max_length=200, description="What to say at the end")


@experiment("test/count", title="Can it count?", paper="00", families=())
def count(config: CountConfig, lab: Lab) -> Iterator[Event]:
    """Draws from the seeded global generators and from one of its own."""
    import random

    import numpy as np
    import torch

    for step in range(1, config.steps + 1):
        if config.gate:
            GATES[config.gate].wait()
        yield Progress(step, config.steps, "counting")
        yield Metric("global noise", torch.rand(1).item() + random.random() + np.random.rand(), step)
        yield Metric("own noise", torch.rand(1, generator=lab.rng(f"noise {step}")).item(), step)
        if config.pad:
            yield Text("padding", "x" * config.pad)
    yield Verdict(f"Counted to {config.steps}, saying {config.word}.", {"steps": config.steps})


class TrainConfig(Config):
    model: ModelRef
    steps: int = Field(4, ge=0, le=1000, description="Training steps")
    gate: str = Field("", max_length=20, description="The gate to wait at before every step")
    keep: bool = Field(True, description="Whether to keep the model")


@experiment("test/train", title="Does it learn?", paper="00")
def train(config: TrainConfig, lab: Lab) -> Iterator[Event]:
    import torch

    model = lab.fork(config.model).model
    FORKED.append(weakref.ref(model))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for step in range(config.steps):
        if config.gate:
            GATES[config.gate].wait()
        ids = torch.randint(4, model.config.vocab_size, (4, 8))
        loss = model(input_ids=ids, labels=ids).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield Progress(step + 1, config.steps)
        yield Metric("loss", loss, step + 1, "nats per token")
    if config.keep:
        yield Keep("trained", model)
    yield Verdict("It was trained.", {"steps": config.steps})


class AcrossConfig(Config):
    model: ModelRef
    gate: str = Field("", max_length=20, description="The gate to wait at before every step")


@experiment("test/across", title="Does it survive a yield?", paper="00")
def across(config: AcrossConfig, lab: Lab) -> Iterator[Event]:
    """An edit, no_grad and a seed that begin before the first of five yields and must hold until after the last."""
    import torch

    from core.engine.trace import Site, trace

    model = lab.load(config.model).model
    ids = torch.arange(4, 12).reshape(1, 8)
    with torch.no_grad(), trace(model, edit={Site(1, "resid_post"): lambda x: x * 1.5 + 0.25}):
        for step in range(5):
            if config.gate:
                GATES[config.gate].wait()
            logits = model(input_ids=ids).logits
            yield Metric("edited", logits.double().sum(), step)
            yield Metric("grad", float(logits.requires_grad), step)
            yield Metric("draw", torch.rand(1).item(), step)
    yield Metric("plain", model(input_ids=ids).logits.double().sum().item())


class EndingConfig(Config):
    how: Literal["sentence", "bug", "memory", "exit", "oserror", "deaf", "unclean", "polite", "alien", "nothing"] = Field(
        "nothing", description="How it ends")
    model: ModelRef | None = Field(None, description="A model to hold on to")
    gate: str = Field("", max_length=20, description="The gate to wait at before the end")


@experiment("test/ending", title="How does it end?", paper="00")
def ending(config: EndingConfig, lab: Lab) -> Iterator[Event]:
    if config.model:
        model = lab.fork(config.model).model
        FORKED.append(weakref.ref(model))
    SEEN.append(threading.current_thread().name)
    try:
        yield Progress(0, 1)
        if config.gate:
            GATES[config.gate].wait()
        if config.how == "polite" and lab.cancelled:
            return
        yield from _fail(config.how)
        yield Progress(1, 1)
    finally:
        SEEN.append(threading.current_thread().name)
        if config.how == "unclean":
            raise ZeroDivisionError("a bug while cleaning up")


def _fail(how: str) -> Iterator[Event]:
    if how == "sentence":
        raise LabError("It went wrong on purpose.", "Choose another ending.")
    if how == "bug":
        raise ZeroDivisionError("a secret of the machine")
    if how == "memory":
        raise MemoryError
    if how == "exit":
        raise SystemExit(3)
    if how == "oserror":
        raise FileNotFoundError(2, "No such file", "/a/secret/path")
    if how == "alien":
        yield {"kind": "progress"}
    if how == "deaf":
        try:
            yield Progress(0, 1)
        except GeneratorExit:
            yield Progress(0, 1, "I do not listen")
            time.sleep(0)


class PrepareConfig(Config):
    asks: Literal["load", "fork", "rng", "data"] = Field("rng", description="What it asks of its lab at every step")
    model: ModelRef | None = Field(None, description="The model to load")
    gate: str = Field("", max_length=20, description="The gate to wait at before every step")


@experiment("test/prepare", title="Does it get ready?", paper="00")
def prepare(config: PrepareConfig, lab: Lab) -> Iterator[Event]:
    """Takes a thousand steps, each noted in SEEN, before it says anything more."""
    yield Progress(0, 1, "getting ready")
    for step in range(1000):
        GATES[config.gate].wait()
        SEEN.append(str(step))
        with contextlib.suppress(Exception):  # whatever it does with errors
            getattr(lab, config.asks)(config.model or "upload/" + "0" * 24)
    yield Progress(1, 1)


class HostileConfig(Config):
    text: str = Field(HOSTILE, max_length=1000, description="What to say everywhere")


@experiment("test/hostile", title="Is it inert?", paper="00", families=())
def hostile(config: HostileConfig, lab: Lab) -> Iterator[Event]:
    from PIL import Image

    bad = config.text
    yield Progress(1, 1, bad)
    yield Metric(bad, 1.5, 1, bad)
    yield Metric("=1+1", -2.0, None, "@SUM(A1)")
    yield Metric("fine", float("nan"), None)
    yield Figure(bad, {"data": [{"type": "scatter", "name": bad, "text": [bad], "x": [1], "y": [2]}], "layout": {"title": {"text": bad}}})
    yield Table(bad, [bad, "two"], [[bad, None], [1, 2.5]])
    yield Picture(bad, Image.new("RGB", (2, 2), "red"), bad)
    yield Text(bad, bad)
    yield Verdict(bad, {bad: bad})


class SumsConfig(Config):
    numbers: list[int] = Field([1, 2], max_length=9, description="Numbers to add up")
    gate: str = Field("", max_length=20, description="The gate to wait at")
    fail: bool = Field(False, description="Whether to answer with a sentence")


@dataclass(frozen=True)
class Sum:
    total: int
    parts: list[int]
    grad: bool
    threads: int


@probe("test/sums", title="What is the sum?", paper="00", families=())
def sums(config: SumsConfig, lab: Lab) -> Sum:
    import torch

    ASKED.append(sum(config.numbers))
    if config.gate:
        GATES[config.gate].wait()
    if config.fail:
        raise LabError("There is no sum.", "Give other numbers.")
    return Sum(sum(config.numbers), config.numbers, torch.is_grad_enabled(), torch.get_num_threads())


class AskModelConfig(Config):
    model: ModelRef
    shift: float = Field(0.0, ge=-5, le=5, description="What to add to layer 1")


@dataclass(frozen=True)
class Logits:
    total: float


@probe("test/ask_model", title="What does it say?", paper="00")
def ask_model(config: AskModelConfig, lab: Lab) -> Logits:
    import torch

    from core.engine.trace import Site, trace

    ASKED.append(1)
    model = lab.load(config.model).model
    with trace(model, edit={Site(1, "resid_post"): lambda x: x + config.shift}):
        return Logits(model(input_ids=torch.arange(4, 12).reshape(1, 8)).logits.double().sum().item())
