"""Many visitors, one model: each sees its own edits and nobody else's."""

from __future__ import annotations

import contextvars
import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from core.engine.trace import Site, trace
from tests.engine.hand_hooks import gap, hook_count, result
from tests.engine.tiny_models import inputs_for, tiny

VISITORS, ROUNDS = 8, 6
SITE = Site(1, "resid_post")


def edit_of(visitor: int):
    return lambda x: x + visitor * torch.linspace(-1, 1, x.shape[-1])


@torch.no_grad()
def visit(model, inputs, visitor):
    with trace(model, capture=[Site(2, "attn_out")], edit={SITE: edit_of(visitor)}) as acts:
        return result(model(**inputs)), acts[Site(2, "attn_out")]


@pytest.mark.parametrize("kind", ["llama", "gpt2", "clip_vision", "llava"])
def test_eight_threads_with_eight_edits_on_one_model_equal_eight_solo_runs_bit_for_bit(kind):
    model, untouched = tiny(kind), tiny(kind)
    inputs = inputs_for(model)
    with torch.no_grad():
        clean = result(untouched(**inputs))
    solo = [visit(untouched, inputs, visitor) for visitor in range(VISITORS)]
    assert all(gap(solo[0][0], output) > 1e-3 for output, _ in solo[1:])  # every edit but the zeroth moves the output
    start = threading.Barrier(VISITORS + 1)

    def together(visitor):
        start.wait()
        return [visit(model, inputs, visitor) for _ in range(ROUNDS)]

    def bystander():
        start.wait()
        with torch.no_grad():
            return [result(model(**inputs)) for _ in range(ROUNDS)]

    with ThreadPoolExecutor(VISITORS + 1) as pool:
        visits = [pool.submit(together, visitor) for visitor in range(VISITORS)]
        watched = pool.submit(bystander)
        for visitor, visited in enumerate(visits):
            for output, captured in visited.result():
                assert torch.equal(output, solo[visitor][0]) and torch.equal(captured, solo[visitor][1])
        assert all(torch.equal(output, clean) for output in watched.result())
    assert hook_count(model) == hook_count(untouched)  # transformers sets some of its own


@torch.no_grad()
def test_a_thread_takes_part_only_with_a_copy_of_the_context():
    model = tiny("llama")
    inputs = inputs_for(model)
    clean, edited = result(model(**inputs)), visit(model, inputs, 3)[0]
    assert gap(clean, edited) > 1e-3

    @torch.no_grad()
    def compute():
        return result(model(**inputs))

    go = threading.Event()

    def late():
        go.wait()
        return compute()

    with ThreadPoolExecutor(3) as pool:
        with trace(model, edit={SITE: edit_of(3)}):
            outside = pool.submit(compute).result()
            inside = pool.submit(contextvars.copy_context().run, compute).result()
            outlives = pool.submit(contextvars.copy_context().run, late)
        go.set()
        assert torch.equal(outside, clean) and torch.equal(inside, edited)
        assert torch.equal(outlives.result(), clean)  # its copy of the context is older than the end of the block


@torch.no_grad()
def test_a_generator_stepped_and_closed_in_different_contexts_leaves_no_edit_behind():
    """What happens to a generator that a web framework drives: the edit may be unseen, but it may never leak."""
    model = tiny("llama")
    inputs = inputs_for(model)
    clean, edited = result(model(**inputs)), visit(model, inputs, 3)[0]

    def steps():
        with trace(model, edit={SITE: edit_of(3)}):
            while True:
                yield result(model(**inputs))

    started_in, closed_in = contextvars.copy_context(), contextvars.copy_context()
    generator = steps()
    assert torch.equal(started_in.run(next, generator), edited)
    assert torch.equal(result(model(**inputs)), clean)
    closed_in.run(generator.close)
    assert torch.equal(started_in.run(lambda: result(model(**inputs))), clean)


@torch.no_grad()
def test_a_traced_model_is_freed_when_nobody_holds_it():
    model = tiny("llama")
    visit(model, inputs_for(model), 1)
    gone = weakref.ref(model.model.layers[0])
    del model
    gc.collect()
    assert gone() is None
