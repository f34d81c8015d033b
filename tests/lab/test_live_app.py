"""A run beside a live Gradio app: what it began before a yield still holds after it, whatever visitors do meanwhile."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import core.engine.settings as settings
from core.engine import registry
from core.engine.runner import Engine
from tests.engine import experiments_for_tests as small
from tests.engine.tiny_models import save, tiny

YIELDS, CALLS = 5, 12


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setattr(registry, "EXPERIMENTS", registry.EXPERIMENTS | small.TABLE)
    small.GATES.clear()
    started = Engine(settings.Settings(home=tmp_path / "home", any_path=True, threads=1))
    yield started
    for gate in small.GATES.values():
        gate.open(10_000)
    started.close()


@pytest.fixture
def address(engine: Engine) -> Iterator[str]:
    """A small Gradio app around the engine: a probe, starting a run, and a generator that streams a run's events."""
    import gradio as gr

    def ask(model: str, shift: float) -> float:
        return engine.probe("test/ask_model", {"model": model, "shift": shift})["total"]

    def start(model: str, gate: str) -> str:
        return engine.start("test/across", {"model": model, "gate": gate}, seed=5).id

    def watch(run_id: str) -> dict:
        yield from engine.watch(run_id)

    with gr.Blocks() as app:
        gr.api(ask, api_name="ask", concurrency_limit=4)
        gr.api(start, api_name="start")
        gr.api(watch, api_name="watch", concurrency_limit=4)
    _, url, _ = app.launch(prevent_thread_lock=True, quiet=True)
    yield url
    app.close()


def said(engine: Engine, run_id: str) -> list[tuple]:
    assert engine.wait(run_id, timeout=120)["outcome"] == "finished"
    return [(line["name"], line["step"], line["value"]) for line in engine.events(run_id) if line["kind"] == "metric"]


def test_no_grad_an_edit_and_a_seed_survive_five_yields_beside_twelve_calls(engine, address, tmp_path):
    from gradio_client import Client

    model = f"path/{save(tiny('llama'), tmp_path / 'llama')}"
    alone = engine.start("test/across", {"model": model}, seed=5)
    expected = said(engine, alone.id)
    assert len({value for name, _, value in expected if name == "edited"}) == 1
    assert {value for name, _, value in expected if name == "grad"} == {0.0}
    assert len({value for name, _, value in expected if name == "draw"}) == YIELDS

    client = Client(address, verbose=False)
    small.GATES["g"] = gate = small.Gate()
    run_id = client.predict(model, "g", api_name="/start")
    streams = [client.submit(run_id, api_name="/watch") for _ in range(2)]
    answers: queue.Queue = queue.Queue()
    calls = [i / 2 for i in range(CALLS)]
    for step in range(YIELDS):
        part = calls[step * CALLS // YIELDS:(step + 1) * CALLS // YIELDS]
        jobs = [(shift - 3, client.submit(model, shift - 3, api_name="/ask")) for shift in part]
        for shift, job in jobs:
            answers.put((shift, job.result(timeout=120)))
        gate.open()
    assert said(engine, run_id) == expected

    assert answers.qsize() == CALLS and engine.records.list()[0]["id"] == run_id
    for shift, answer in list(answers.queue):
        assert answer == engine.probe("test/ask_model", {"model": model, "shift": shift})["total"]
    assert len({answer for _, answer in list(answers.queue)}) == CALLS, "every visitor's edit moved the answer in its own way"
    for stream in streams:
        assert stream.result(timeout=120)["kind"] == "end"
        assert [line["seq"] for line in stream.outputs()] == list(range(len(engine.events(run_id))))


def test_a_browser_that_leaves_does_not_stop_its_run(engine, address, tmp_path):
    from gradio_client import Client

    model = f"path/{save(tiny('llama'), tmp_path / 'llama')}"
    client = Client(address, verbose=False)
    small.GATES["g"] = gate = small.Gate()
    run_id = client.predict(model, "g", api_name="/start")
    stream = client.submit(run_id, api_name="/watch")
    gate.open(2)
    first = next(iter(stream))
    assert first["seq"] == 0
    leaving = threading.Thread(target=stream.cancel)
    leaving.start()
    gate.open(3)
    leaving.join(120)
    assert [name for name, _, _ in said(engine, run_id)] == ["edited", "grad", "draw"] * YIELDS + ["plain"]
    assert client.submit(run_id, api_name="/watch").result(timeout=120)["outcome"] == "finished"
