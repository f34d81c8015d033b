"""The life of a run: one thread from beginning to end, every outcome, every event, and nothing left behind."""

from __future__ import annotations

import dataclasses
import gc
import logging
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from core.engine import runner
from core.engine.errors import LabError
from core.engine.seeding import seeded
from tests.engine.experiments_for_tests import FORKED, GATES, SEEN, Gate


def ended(engine, name, config, **how):
    run = engine.start(name, config, **how)
    return engine.wait(run.id, timeout=120)


def eventually(holds, seconds=60.0):
    """Whether something becomes true that another thread is about to do."""
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    return holds()


def test_a_run_is_recorded_from_its_first_event_to_its_end(engine):
    state = ended(engine, "test/count", {"steps": 2, "word": "tock"}, seed=7, visitor="ada")
    assert state["outcome"] == "finished" and state["seed"] == 7 and state["threads"] == 1
    assert state["config"] == {"steps": 2, "gate": "", "pad": 0, "word": "tock"}
    assert state["owner"] == "ada" and state["visitors"] == ["ada"] and state["duration_s"] >= 0
    assert state["versions"]["torch"] == torch.__version__.split("+")[0] or state["versions"]["torch"] == torch.__version__
    lines = engine.events(state["id"])
    assert [line["kind"] for line in lines] == ["progress", "metric", "metric"] * 2 + ["verdict", "end"]
    assert [line["seq"] for line in lines] == list(range(8))
    assert [line["t"] for line in lines] == sorted(line["t"] for line in lines)
    result = engine.result(state["id"])
    assert result["verdict"] == {"headline": "Counted to 2, saying tock.", "text": "Counted to 2, saying tock.", "evidence": {"steps": 2}}
    assert set(result["metrics"]) == {"global noise", "own noise"} and result["model"] is None


def test_the_record_names_the_model_and_its_size(engine, llama):
    result = engine.result(ended(engine, "test/train", {"model": llama})["id"])
    assert result["model"] == {"ref": llama, "fingerprint": engine.models.fingerprint(llama),
                               "parameters": sum(p.numel() for p in engine.models.load(llama).model.parameters())}


def test_the_revision_of_a_model_from_a_hub_is_recorded(engine, llama, monkeypatch):
    real = engine.models.fork
    monkeypatch.setattr(engine.models, "fork", lambda *a, **k: dataclasses.replace(real(*a, **k), revision="0123abcd"))
    assert ended(engine, "test/train", {"model": llama, "steps": 0})["revisions"] == {llama: "0123abcd"}


def test_a_context_holds_across_yields(engine, llama):
    metrics = [line for line in engine.events(ended(engine, "test/across", {"model": llama})["id"]) if line["kind"] == "metric"]
    edited = {line["value"] for line in metrics if line["name"] == "edited"}
    plain = next(line["value"] for line in metrics if line["name"] == "plain")
    assert len(edited) == 1 and edited != {plain}
    assert {line["value"] for line in metrics if line["name"] == "grad"} == {0.0}
    generator = torch.Generator().manual_seed(0)
    assert [line["value"] for line in metrics if line["name"] == "draw"] == [torch.rand(1, generator=generator).item() for _ in range(5)]


def test_equal_requests_give_equal_numbers_and_another_seed_others(engine, llama):
    first, again = (engine.result(ended(engine, "test/train", {"model": llama}, seed=3, fresh=True)["id"]) for _ in range(2))
    other = engine.result(ended(engine, "test/train", {"model": llama}, seed=4)["id"])
    unequal = {key for key in first if first[key] != again[key]}
    assert unequal <= {"run_id", "duration_s"} and first["run_id"] != again["run_id"]
    assert first["metrics"] != other["metrics"]


def test_numbers_do_not_depend_on_what_was_drawn_before(engine):
    results = []
    for state in (1, 2):
        torch.manual_seed(state), random.seed(state), np.random.seed(state)
        results.append(engine.result(ended(engine, "test/count", {}, seed=3, fresh=True)["id"]))
    assert results[0]["metrics"] == results[1]["metrics"]
    other = engine.result(ended(engine, "test/count", {}, seed=4)["id"])
    assert all(other["metrics"][name] != results[0]["metrics"][name] for name in ("global noise", "own noise"))


def test_the_global_generators_are_put_back(engine):
    torch.manual_seed(1), random.seed(1), np.random.seed(1)
    expected = torch.rand(1).item(), random.random(), np.random.rand()
    torch.manual_seed(1), random.seed(1), np.random.seed(1)
    ended(engine, "test/count", {})
    assert (torch.rand(1).item(), random.random(), np.random.rand()) == expected


def test_a_run_computes_with_its_own_number_of_threads_and_leaves_that_of_others(engine):
    before, inside = torch.get_num_threads(), []
    GATES["g"] = Gate()
    run = engine.start("test/count", {"steps": 1, "gate": "g"})
    assert GATES["g"].reached.wait(120)
    torch.set_num_threads(3)
    with seeded(0, engine.settings.threads):
        inside.append(torch.get_num_threads())
    assert inside == [1] and torch.get_num_threads() == 3
    GATES["g"].open()
    engine.wait(run.id, timeout=120)
    assert torch.get_num_threads() == 3
    torch.set_num_threads(before)


@pytest.mark.parametrize("how", ["nothing", "bug", "sentence"])
def test_a_generator_begins_and_ends_in_the_thread_of_its_run(engine, how):
    logging.getLogger("glassbox").disabled = True
    try:
        state = ended(engine, "test/ending", {"how": how})
    finally:
        logging.getLogger("glassbox").disabled = False
    assert SEEN == [f"run-{state['id']}"] * 2


def test_a_stopped_generator_is_closed_in_the_thread_of_its_run(engine):
    GATES["g"] = Gate()
    run = engine.start("test/ending", {"gate": "g"})
    assert GATES["g"].reached.wait(120)
    engine.cancel(run.id)
    assert SEEN == [f"run-{run.id}"]
    GATES["g"].open()
    assert engine.wait(run.id, timeout=120)["outcome"] == "cancelled"
    assert SEEN == [f"run-{run.id}"] * 2 and f"run-{run.id}" != threading.current_thread().name


@pytest.mark.parametrize(("how", "outcome", "error"), [
    ("nothing", "finished", ""),
    ("sentence", "failed", "It went wrong on purpose."),
    ("bug", "failed", "Something in the lab itself went wrong (ZeroDivisionError); your settings are kept."),
    ("exit", "failed", "Something in the lab itself went wrong (SystemExit); your settings are kept."),
    ("oserror", "failed", "Something in the lab itself went wrong (FileNotFoundError); your settings are kept."),
    ("alien", "failed", "Something in the lab itself went wrong (TypeError); your settings are kept."),
    ("unclean", "failed", "Something in the lab itself went wrong (ZeroDivisionError); your settings are kept."),
    ("memory", "failed", "There was not enough memory for this run."),
])
def test_every_outcome_is_recorded_with_a_sentence_and_no_secret(engine, how, outcome, error):
    state = ended(engine, "test/ending", {"how": how})
    end = engine.events(state["id"])[-1]
    assert (state["outcome"], state["error"]) == (end["outcome"], end["error"]) == (outcome, error)
    assert end["kind"] == "end" and "secret" not in str(state) + str(end)
    assert ended(engine, "test/count", {})["outcome"] == "finished"


@pytest.mark.parametrize("how", ["nothing", "deaf", "unclean", "polite"])
def test_whoever_is_stopped_counts_as_stopped_however_it_takes_it(engine, how):
    GATES["g"] = Gate()
    run = engine.start("test/ending", {"how": how, "gate": "g"})
    assert GATES["g"].reached.wait(120)
    assert engine.cancel(run.id)["outcome"] == "running"
    GATES["g"].open()
    assert engine.wait(run.id, timeout=120)["outcome"] == "cancelled"
    assert engine.cancel(run.id)["outcome"] == "cancelled"


@pytest.mark.parametrize("asks", ["load", "fork", "rng", "data"])
def test_stop_is_met_while_a_run_gets_ready_at_the_next_thing_it_asks_for(engine, llama, asks):
    GATES["g"] = Gate()
    run = engine.start("test/prepare", {"asks": asks, "gate": "g"} | ({"model": llama} if asks in ("load", "fork") else {}))
    GATES["g"].open(3)
    assert eventually(lambda: len(SEEN) == 3)
    engine.cancel(run.id)
    GATES["g"].open(1000)
    state = engine.wait(run.id, timeout=120)
    assert (state["outcome"], state["error"]) == ("cancelled", "") and len(SEEN) <= 4, "one step more at most"


def test_a_run_stops_at_its_next_event(engine):
    GATES["g"] = Gate()
    run = engine.start("test/count", {"steps": 1000, "gate": "g"})
    GATES["g"].open(2)
    assert eventually(lambda: len(engine.events(run.id)) == 6)
    engine.cancel(run.id)
    GATES["g"].open(500)
    engine.wait(run.id, timeout=120)
    assert [line["kind"] for line in engine.events(run.id)[6:]] == ["progress", "end"]


@pytest.mark.parametrize("how", ["nothing", "sentence", "bug", "cancelled"])
def test_the_model_of_a_run_is_gone_with_it_without_the_garbage_collector(engine, llama, how, monkeypatch):
    monkeypatch.setattr(logging.getLogger("glassbox"), "disabled", True)  # pytest keeps every logged traceback, with its frames
    GATES["g"] = Gate()
    engine.start("test/count", {})
    gc.collect()
    gc.disable()
    try:
        run = engine.start("test/ending", {"model": llama, "how": "nothing" if how == "cancelled" else how, "gate": "g"})
        assert GATES["g"].reached.wait(120) and FORKED[0]() is not None
        if how == "cancelled":
            engine.cancel(run.id)
        GATES["g"].open()
        engine.wait(run.id, timeout=120)
        assert eventually(lambda: FORKED[0]() is None)
    finally:
        gc.enable()


def test_a_watcher_that_was_away_has_lost_no_event(engine):
    GATES["g"] = Gate()
    run = engine.start("test/count", {"steps": 30, "gate": "g"})
    watching, seen = engine.watch(run.id), []
    GATES["g"].open(3)
    seen += [next(watching) for _ in range(5)]
    watching.close()  # the connection breaks here
    GATES["g"].open(10)
    assert eventually(lambda: len(engine.events(run.id)) == 39)
    again = engine.watch(run.id, since=len(seen))
    seen += [next(again) for _ in range(7)]
    again.close()
    GATES["g"].open(100)
    engine.wait(run.id, timeout=120)
    seen += list(engine.watch(run.id, since=len(seen)))
    assert [line["seq"] for line in seen] == list(range(92)) and seen[-1]["kind"] == "end"
    assert seen == engine.events(run.id) == engine.records.events(run.id)


def test_a_live_and_a_recorded_run_are_watched_alike(engine):
    GATES["g"] = Gate()
    GATES["g"].open(20)
    run = engine.start("test/count", {"steps": 20, "gate": "g"})
    live = list(engine.watch(run.id))
    assert live == list(engine.watch(run.id)) == list(engine.watch(run.id, follow=False))
    assert engine.events(run.id, since=60) == live[60:] and engine.events(run.id, since=-5) == live
    assert engine.events(run.id, since=10_000) == list(engine.watch(run.id, since=10_000)) == []


def test_many_watchers_of_one_run_all_see_everything(engine):
    GATES["g"] = Gate()
    run = engine.start("test/count", {"steps": 100, "gate": "g"})
    seen: list[list] = [[] for _ in range(20)]
    watchers = [threading.Thread(target=lambda lines=lines: lines.extend(engine.watch(run.id))) for lines in seen]
    for watcher in watchers:
        watcher.start()
    GATES["g"].open(100)
    for watcher in watchers:
        watcher.join(120)
    assert all(lines == seen[0] for lines in seen) and len(seen[0]) == 302


def test_whoever_hears_the_last_event_need_not_wait_for_another(engine):
    GATES["g"] = Gate()
    run = engine.start("test/count", {"steps": 1, "gate": "g"})
    live, ended_when_told = engine._active[run.id], []
    engine.listen(run.id, lambda: ended_when_told.append(live.ended.is_set()))
    GATES["g"].open()
    engine.wait(run.id, timeout=120)
    assert eventually(lambda: ended_when_told == [False] * 4 + [True])


def test_a_listener_is_told_of_every_event_and_a_broken_one_is_dropped(engine):
    GATES["g"] = Gate()
    run = engine.start("test/count", {"steps": 2, "gate": "g"})
    calls, stopped = [], []
    engine.listen(run.id, lambda: calls.append(1))
    engine.listen(run.id, lambda: 1 / 0)
    stop = engine.listen(run.id, lambda: stopped.append(1))
    stop()
    GATES["g"].open(2)
    assert engine.wait(run.id, timeout=120)["outcome"] == "finished"
    assert eventually(lambda: len(calls) == 8) and not stopped
    assert engine.listen(run.id, lambda: None)() is None


def test_a_run_that_nobody_watches_is_stopped_unless_pinned(engine, monkeypatch):
    monkeypatch.setattr(runner, "UNWATCHED_LIMIT_S", 0.0)
    state = ended(engine, "test/count", {"steps": 5}, pinned=True)
    assert state["outcome"] == "finished"
    GATES["g"] = Gate()
    run = engine.start("test/count", {"steps": 5, "gate": "g"})
    GATES["g"].open(10)
    assert eventually(lambda: engine.state(run.id)["outcome"] == "cancelled")
    assert engine.state(run.id)["error"] == "Nobody has watched this run for ten minutes."


def test_who_listened_for_long_and_then_left_has_only_just_left(engine, monkeypatch):
    GATES["g"] = Gate()
    run = engine.start("test/count", {"steps": 2, "gate": "g"})
    live, stop, now = engine._active[run.id], engine.listen(run.id, lambda: None), time.monotonic()
    with monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: now + 3600)
        while_listening, _, just_left = live.unwatched_for(), stop(), live.unwatched_for()
        patch.setattr(time, "monotonic", lambda: now + 3661)
        later = live.unwatched_for()
    assert (while_listening, just_left, later) == (0, 0, pytest.approx(61))


def test_waiting_for_a_run_is_watching_it(engine, monkeypatch):
    GATES["g"] = Gate()
    run = engine.start("test/count", {"steps": 5, "gate": "g"})
    waiting = threading.Thread(target=engine.wait, args=(run.id, 120))
    waiting.start()
    assert eventually(lambda: engine._active[run.id]._watchers == 1)
    monkeypatch.setattr(runner, "UNWATCHED_LIMIT_S", 0.0)
    GATES["g"].open(10)
    waiting.join(120)
    assert engine.state(run.id)["outcome"] == "finished"


def test_wait_gives_up_when_told_to(engine):
    GATES["g"] = Gate()
    run = engine.start("test/count", {"gate": "g"})
    with pytest.raises(TimeoutError):
        engine.wait(run.id, timeout=0.05)
    assert engine.state(run.id)["outcome"] == "running"


@pytest.mark.parametrize(("name", "config", "seed", "sentence"), [
    ("test/nothing", {}, 0, "There is no experiment called"),
    ("test/sums", {}, 0, "is a probe, not an experiment"),
    ("test/count", {"steps": 0}, 0, "'steps' cannot be 0"),
    ("test/count", {}, -1, "The seed cannot be -1"),
    ("test/count", {}, True, "The seed cannot be True"),
    ("test/count", {}, "0", "The seed cannot be '0'"),
    ("test/count", {}, 2**31, "The seed cannot be 2147483648"),
    pytest.param("test/count", {}, 10**5000, "The seed cannot be a number of thousands of digits", id="endless seed"),
    ("test/train", {"model": "embedded/gpt9"}, 0, "There is no embedded model called"),
    ("test/train", {"model": "run/20260101-000000-abc/x"}, 0, "No run kept a model"),
])
def test_bad_requests_are_refused_and_leave_no_record(engine, name, config, seed, sentence):
    with pytest.raises(LabError) as caught:
        engine.start(name, config, seed=seed)
    assert sentence in caught.value.message and engine.records.list() == []


@pytest.mark.parametrize("run_id", ["", "x", "../../etc", "first-nothing", "20260101-000000-abcdef", None, 3, "a" * 500, ".deleted-abcd"])
def test_an_unknown_run_is_a_sentence_everywhere(engine, run_id):
    for ask in (engine.state, engine.events, engine.result, engine.cancel, engine.wait, engine.pin, engine.delete,
                lambda run: list(engine.watch(run))):
        with pytest.raises(LabError, match="no such run"):
            ask(run_id)


def test_what_a_run_kept_can_be_loaded_by_the_next(engine, llama):
    first = ended(engine, "test/train", {"model": llama})
    keep = next(line for line in engine.events(first["id"]) if line["kind"] == "keep")
    assert keep["ref"] == f"run/{first['id']}/trained"
    before, after = engine.models.load(llama).model.state_dict(), engine.models.load(keep["ref"]).model.state_dict()
    assert before.keys() == after.keys() and any(not torch.equal(before[name], after[name]) for name in before)
    assert ended(engine, "test/train", {"model": keep["ref"]})["outcome"] == "finished"
    engine.delete(first["id"])
    with pytest.raises(LabError, match="No run kept"):
        engine.start("test/train", {"model": keep["ref"], "steps": 2})


def test_closing_waits_no_longer_than_it_is_told_for_a_run_that_does_not_listen(engine):
    GATES["g"] = Gate()
    run = engine.start("test/count", {"gate": "g"})
    assert GATES["g"].reached.wait(120)
    engine.close(timeout=0.05)
    assert engine.state(run.id)["outcome"] == "running"


def test_closing_waits_for_the_thread_of_a_run_that_has_ended(engine, monkeypatch):
    tidied = []
    monkeypatch.setattr(runner, "give_back_memory", lambda: (time.sleep(0.2), tidied.append(True)))
    engine.wait(engine.start("test/count", {"steps": 1}).id)
    assert not tidied
    engine.close()
    assert tidied


def test_closing_waits_for_a_probe_that_is_being_answered(engine):
    GATES["g"] = Gate()
    with ThreadPoolExecutor(2) as pool:
        asked = pool.submit(engine.probe, "test/sums", {"gate": "g"})
        assert GATES["g"].reached.wait(120)
        closing = pool.submit(engine.close, timeout=60)
        with pytest.raises(TimeoutError):
            closing.result(0.2)
        GATES["g"].open()
        assert closing.result(60) is None and asked.result(60)["total"]


def test_closing_the_engine_stops_everything(engine):
    GATES["g"] = Gate()
    runs = [engine.start("test/count", {"steps": 1000, "gate": "g", "word": str(i)}) for i in range(3)]
    closing = threading.Thread(target=engine.close)
    closing.start()
    assert eventually(lambda: all(engine._active[r.id].cancelled for r in runs[:1] if r.id in engine._active))
    GATES["g"].open(10)
    closing.join(120)
    assert [engine.state(run.id)["outcome"] for run in runs] == ["cancelled"] * 3
