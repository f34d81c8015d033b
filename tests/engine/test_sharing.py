"""Many visitors, one machine: equal requests are computed once, and heavy runs take turns."""

from __future__ import annotations

import json
import threading
import time
from collections import deque

import pytest

from core.engine.errors import LabError
from core.engine.runner import Engine
from tests.engine.experiments_for_tests import GATES, Gate
from tests.engine.test_runner import eventually


@pytest.fixture
def gate():
    GATES["g"] = Gate()
    return GATES["g"]


def test_two_visitors_who_press_run_together_share_one_run(engine, gate):
    barrier, handles = threading.Barrier(8), []

    def press(visitor: str) -> None:
        barrier.wait()
        handles.append(engine.start("test/count", {"gate": "g"}, visitor=visitor))

    visitors = [f"visitor {i}" for i in range(8)]
    threads = [threading.Thread(target=press, args=(visitor,)) for visitor in visitors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert len({handle.id for handle in handles}) == 1 and len(engine.records.list()) == 1
    gate.open(3)
    state = engine.wait(handles[0].id, timeout=120)
    assert state["outcome"] == "finished" and sorted(state["visitors"]) == visitors
    assert all([run["id"] for run in engine.records.list(visitor)] == [state["id"]] for visitor in visitors)


def test_a_finished_equal_run_is_offered_from_the_record_and_computed_anew_when_asked(engine):
    first = engine.start("test/count", {}, visitor="ada")
    engine.wait(first.id, timeout=120)
    second = engine.start("test/count", {"steps": 3}, visitor="bob")
    assert (first.recorded, second.recorded, second.id) == (False, True, first.id)
    assert engine.state(first.id)["visitors"] == ["ada", "bob"]
    fresh = engine.start("test/count", {}, visitor="bob", fresh=True)
    assert not fresh.recorded and fresh.id != first.id
    engine.wait(fresh.id, timeout=120)
    assert engine.start("test/count", {}).id == fresh.id
    others = [engine.start("test/count", {}, seed=1), engine.start("test/count", {"steps": 2})]
    assert not any(handle.recorded for handle in others)


def test_another_process_later_offers_the_recorded_run_too(engine, settings):
    first = engine.start("test/count", {})
    engine.wait(first.id, timeout=120)
    assert Engine(settings).start("test/count", {}).recorded


def test_an_interrupted_cancelled_or_failed_run_is_never_offered(engine, gate):
    run = engine.start("test/count", {"gate": "g"})
    assert gate.reached.wait(120)
    engine.cancel(run.id)
    gate.open()
    engine.wait(run.id, timeout=120)
    failed = engine.start("test/ending", {"how": "sentence"})
    engine.wait(failed.id, timeout=120)
    assert not engine.start("test/count", {"gate": "g"}).recorded
    assert not engine.start("test/ending", {"how": "sentence"}).recorded


def test_a_request_equal_to_a_run_that_is_being_stopped_gets_a_run_of_its_own(engine, gate):
    first = engine.start("test/count", {"gate": "g"})
    assert gate.reached.wait(120)
    engine.cancel(first.id)
    second = engine.start("test/count", {"gate": "g"})
    assert second.id != first.id
    gate.open(10)
    assert engine.wait(first.id, timeout=120)["outcome"] == "cancelled"
    assert engine.wait(second.id, timeout=120)["outcome"] == "finished"


def test_a_visitor_who_stops_a_shared_run_leaves_it_to_the_others(engine, gate):
    run = engine.start("test/count", {"gate": "g"}, visitor="ada")
    engine.start("test/count", {"gate": "g"}, visitor="bob")
    assert engine.cancel(run.id, "ada")["left"] is True
    gate.open(1)
    assert eventually(lambda: len(engine.events(run.id)) == 3)
    assert "left" not in engine.cancel(run.id, "bob")
    gate.open(5)
    assert engine.wait(run.id, timeout=120)["outcome"] == "cancelled"


def test_one_who_left_may_come_back(engine, gate):
    run = engine.start("test/count", {"gate": "g"}, visitor="ada")
    engine.start("test/count", {"gate": "g"}, visitor="bob")
    engine.cancel(run.id, "ada")
    assert engine.start("test/count", {"gate": "g"}, visitor="ada").id == run.id
    assert engine.cancel(run.id, "bob")["left"] is True
    gate.open(5)
    assert engine.wait(run.id, timeout=120)["outcome"] == "finished"


def test_those_who_wait_know_their_place_and_about_how_long(engine, gate):
    for seed, seconds in enumerate((10.0, 20.0, 60.0)):
        run = engine.start("test/count", {}, seed=seed)
        engine.wait(run.id, timeout=120)
        engine.records.update(run.id, duration_s=seconds)
    engine = Engine(engine.settings)  # one that has to look into the record
    unknown = engine.start("test/ending", {"gate": "g"})
    assert gate.reached.wait(120)
    first, second = (engine.start("test/count", {"gate": "g", "steps": steps}) for steps in (1, 2))
    assert (engine.state(unknown.id)["place"], engine.state(unknown.id)["estimate_s"]) == (None, None)
    assert (engine.state(first.id)["place"], engine.state(first.id)["estimate_s"]) == (1, None)
    gate.open()
    assert engine.wait(unknown.id, timeout=120)["outcome"] == "finished"
    assert eventually(lambda: engine.state(second.id)["place"] == 1)
    assert 15 < engine.state(second.id)["estimate_s"] <= 20  # the median of 10, 20 and 60, less what the first has done
    assert eventually(lambda: engine._active[first.id].elapsed() > 0)
    engine._active[first.id]._began -= 8
    assert 7 < engine.state(second.id)["estimate_s"] <= 12
    engine._active[first.id]._began -= 100
    assert engine.state(second.id)["estimate_s"] == 0
    engine._active[first.id]._began += 108
    third = engine.start("test/count", {"gate": "g", "steps": 3})
    assert engine.state(third.id)["place"] == 2 and 35 < engine.state(third.id)["estimate_s"] <= 40
    assert engine.cancel(second.id)["outcome"] in ("running", "cancelled")
    assert engine.wait(second.id, timeout=120)["outcome"] == "cancelled"
    assert engine.state(third.id)["place"] == 1
    gate.open(10)
    assert engine.wait(third.id, timeout=120)["outcome"] == "finished"
    assert engine.state(third.id)["started"] >= engine.state(first.id)["started"]


def test_runs_compute_one_after_another_in_the_order_in_which_they_came(engine, gate):
    runs = [engine.start("test/count", {"gate": "g", "steps": 2, "word": str(i)}) for i in range(4)]
    done = []
    watchers = [threading.Thread(target=lambda run=run: (engine.wait(run.id), done.append(run.id))) for run in runs]
    for watcher in watchers:
        watcher.start()
    for finished in range(1, 5):
        gate.open(2)
        assert eventually(lambda finished=finished: len(done) == finished)
        waiting = [run for run in runs[finished + 1:] if engine.events(run.id)]
        assert not waiting
    assert done == [run.id for run in runs]


def test_an_estimate_reads_the_record_of_thousands_of_runs_at_most_once(engine, gate, monkeypatch):
    run = engine.start("test/count", {})
    engine.wait(run.id, timeout=120)
    listed, real = [], engine.records.list
    monkeypatch.setattr(engine.records, "list", lambda *a, **k: (listed.append(1), real(*a, **k))[1])
    engine.start("test/count", {"gate": "g"})
    waiting = engine.start("test/count", {"gate": "g", "steps": 2})
    for _ in range(20):
        assert engine.state(waiting.id)["estimate_s"] is not None
    assert len(listed) <= 1


def test_a_machine_without_threads_to_give_says_so_and_goes_on_later(engine, monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(LabError, match="too busy"):
            engine.start("test/count", {})
    assert [run["outcome"] for run in engine.records.list()] == ["failed"]
    assert engine.wait(engine.start("test/count", {}).id, timeout=120)["outcome"] == "finished"


def test_an_outcome_survives_visitors_who_join_publish_and_pin_at_that_moment(engine):
    for seed in range(10):
        run = engine.start("test/count", {"steps": 1}, seed=seed)
        threads = [threading.Thread(target=engine.start, args=("test/count", {"steps": 1}), kwargs={"seed": seed, "visitor": f"v{i}"})
                   for i in range(4)]
        threads.append(threading.Thread(target=engine.records.publish, args=(run.id,)))
        threads.append(threading.Thread(target=engine.pin, args=(run.id,)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        engine.wait(run.id, timeout=120)
        stored = json.loads((engine.records.folder(run.id) / "run.json").read_text())
        assert stored["outcome"] == "finished" and stored["published"] and stored["pinned"]
        assert sorted(stored["visitors"]) == ["", "v0", "v1", "v2", "v3"]


def test_a_second_engine_watches_a_run_that_the_first_computes(engine, gate, settings):
    run = engine.start("test/count", {"gate": "g", "steps": 4})
    seen: list = []
    watcher = threading.Thread(target=lambda: seen.extend(Engine(settings).watch(run.id)))
    watcher.start()
    for _ in range(4):
        gate.open()
        time.sleep(0.02)
    watcher.join(120)
    assert seen == engine.events(run.id) and seen[-1]["kind"] == "end"


def test_a_quick_run_passes_a_long_one_that_came_just_before_and_not_one_that_has_waited_its_own_length(engine, gate):
    engine._slot._durations.update({"test/count": deque([5.0]), "test/ending": deque([100.0])})
    engine.start("test/ending", {"gate": "g"})
    assert gate.reached.wait(120)
    long = engine.start("test/ending", {"how": "polite"})
    quick = engine.start("test/count", {"steps": 1})
    assert (engine.state(quick.id)["place"], engine.state(long.id)["place"]) == (1, 2)
    engine._slot._due[long.id] -= 100  # it has waited for that long
    later = engine.start("test/count", {"steps": 2})
    assert [engine.state(run.id)["place"] for run in (long, quick, later)] == [1, 2, 3]
    gate.open(5)
    assert engine.wait(later.id, timeout=120)["outcome"] == "finished"


def test_whoever_presses_again_while_waiting_gives_up_the_first_place_and_nobody_elses(engine, gate):
    running = engine.start("test/count", {"gate": "g"}, visitor="ada", replace=True)
    assert gate.reached.wait(120)
    shared = engine.start("test/count", {"steps": 1}, visitor="ada", replace=True)
    assert engine.start("test/count", {"steps": 1}, visitor="bob", replace=True).id == shared.id
    alone = engine.start("test/count", {"steps": 2}, visitor="ada", replace=True)
    last = engine.start("test/count", {"steps": 4}, visitor="ada", replace=True)
    assert engine.wait(alone.id, timeout=120)["error"] == "You started another run instead."
    gate.open(5)
    assert [engine.wait(run.id, timeout=120)["outcome"] for run in (running, shared, last)] == ["finished"] * 3


@pytest.mark.parametrize(("gone", "others", "ends"), [
    ("closed", True, True), ("closed", False, False), ("silent", True, False), ("silent long", True, True), ("open", True, False)])
def test_an_abandoned_run_ends_soon_when_others_wait_even_a_pinned_one(engine, gate, monkeypatch, gone, others, ends):
    run = engine.start("test/count", {"gate": "g"}, pinned=True)
    assert gate.reached.wait(120)
    stop = engine.listen(run.id, lambda: None, "page 1")
    if gone != "open":
        stop()
    if gone == "closed":
        engine.left(run.id, "page 1")
    live, now = engine._active[run.id], time.monotonic()
    with monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: now + (230 if gone == "silent long" else 40))
        if others:
            engine.start("test/count", {"steps": 1})
        engine._stop_if_alone(live)
    assert live.cancelled is ends
    gate.open(5)


def test_the_host_clears_the_line_but_keeps_the_own_run(engine, gate):
    first = engine.start("test/count", {"gate": "g"}, visitor="ada")
    assert gate.reached.wait(120)
    second, mine = (engine.start("test/count", {"steps": i}, visitor=who) for i, who in ((1, "bob"), (2, "host")))
    assert engine.clear_line("host") == 2
    gate.open(5)
    assert [engine.wait(run.id, timeout=120)["outcome"] for run in (first, second, mine)] == ["cancelled", "cancelled", "finished"]
