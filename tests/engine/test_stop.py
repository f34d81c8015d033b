"""Stop is met at once in every phase of every experiment: counted are the multiplications after the flag, not seconds.

Experiments run with their defaults and are stopped at some forward of a layer, so mostly while they still get ready.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from core.engine.errors import Stopped
from core.engine.registry import EXPERIMENTS, find
from core.engine.runner import Engine
from core.engine.stopping import go_on, stoppable, stopped
from core.engine.trace import Site, trace
from tests.engine.tiny_models import inputs_for, tiny

MOST = 3e9  # multiplications; one thread does ten times as many in a second of its own
RUNS = [name for name in EXPERIMENTS if find(name).kind == "experiment"]


class Work:
    """Counts the forwards of linear layers in one run's thread, calls `reached` at number `at`, and then adds what they multiply."""

    def __init__(self, at: int) -> None:
        self.at, self.forwards, self.after, self.reached, self.run = at, 0, 0.0, lambda: None, ""

    def __call__(self, module: nn.Module, given: tuple, output: object) -> None:
        weight = getattr(module, "weight", None)
        if weight is None or weight.dim() < 2 or isinstance(module, nn.Embedding) or not threading.current_thread().name.startswith("run-"):
            return
        self.forwards += 1
        if self.forwards == self.at:
            self.reached()
        elif self.forwards > self.at:
            channels = output.shape[1 if weight.dim() > 2 else -1]  # a convolution has them second, a linear layer last
            self.after += weight.numel() * output.numel() / channels


@contextmanager
def counted(at: int) -> Iterator[Work]:
    work = Work(at)
    handle = register_module_forward_hook(work)
    try:
        yield work
    finally:
        handle.remove()


@pytest.mark.parametrize("at", [1, 300])
@pytest.mark.parametrize("name", RUNS)
def test_little_is_computed_after_stop(warm_engine: Engine, name: str, at: int) -> None:
    with counted(at) as work:
        begun = threading.Event()
        work.reached = lambda: (begun.wait(60), warm_engine.cancel(work.run))
        work.run = warm_engine.start(name, {}, seed=at, fresh=True).id
        begun.set()
        outcome = warm_engine.wait(work.run, timeout=300)["outcome"]
    print(f"{name}: {work.after:.2g} multiplications after stop at forward {at} of {work.forwards}")
    assert outcome == ("cancelled" if work.forwards >= at else "finished")
    assert work.after < MOST


def test_the_flag_belongs_to_its_thread_and_to_its_block() -> None:
    seen: list[bool] = []
    with stoppable(lambda: True):
        assert stopped()
        beside = threading.Thread(target=lambda: seen.append(stopped()))
        beside.start()
        beside.join()
        with stoppable(lambda: False):
            go_on()
    assert seen == [False] and not stopped()


def test_a_text_on_its_way_through_the_layers_goes_no_further_than_the_next() -> None:
    model, passed, pressed = tiny("llama"), [], []
    edits = {Site(layer, "resid_post"): lambda x, layer=layer: passed.append(layer) or (pressed.append(1) if layer == 1 else None) or x
             for layer in range(4)}
    with pytest.raises(Stopped), stoppable(lambda: bool(pressed)), trace(model, edit=edits):
        model(**inputs_for(model))
    assert passed == [0, 1]
    with trace(model, edit=edits):
        model(**inputs_for(model))
    assert passed == [0, 1, 0, 1, 2, 3]
