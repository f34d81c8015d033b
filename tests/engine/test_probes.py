"""Probes: quick, deterministic answers beside a run."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from core.engine import registry
from core.engine.errors import LabError
from core.engine.runner import Engine
from core.engine.seeding import seeded
from tests.engine.experiments_for_tests import ASKED, GATES, Gate


def test_a_probe_answers_with_plain_data_without_gradients_on_its_threads(engine):
    assert engine.probe("test/sums", {"numbers": [1, 2, 3]}) == {"total": 6, "parts": [1, 2, 3], "grad": False, "threads": 1}


def test_an_answer_is_remembered_and_nobody_can_spoil_it_for_others(engine):
    answer = engine.probe("test/sums", {})
    answer["parts"].append(99)
    assert engine.probe("test/sums", {"numbers": [1, 2]})["parts"] == [1, 2] and ASKED == [3]
    engine.probe("test/sums", {"numbers": [2, 1]})
    assert ASKED == [3, 3]


def test_equal_questions_at_once_are_computed_once(engine):
    GATES["g"] = Gate()
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(engine.probe, "test/sums", {"gate": "g"}) for _ in range(8)]
        assert GATES["g"].reached.wait(120)
        GATES["g"].open()
        answers = [future.result(120) for future in asked]
    assert ASKED == [3] and all(answer == answers[0] for answer in answers)
    assert len({id(answer) for answer in answers}) == 8


def test_a_probe_that_fails_tells_everybody_who_asked_and_may_be_asked_again(engine):
    GATES["g"] = Gate()
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(engine.probe, "test/sums", {"gate": "g", "fail": True}) for _ in range(4)]
        assert GATES["g"].reached.wait(120)
        GATES["g"].open(4)
        for future in asked:
            with pytest.raises(LabError, match="There is no sum"):
                future.result(120)
    with pytest.raises(LabError, match="There is no sum"):
        engine.probe("test/sums", {"fail": True})
    assert engine._asked == {}


def test_another_model_under_the_same_name_is_asked_anew(engine, tmp_path):
    from tests.engine.tiny_models import save, tiny

    folder = save(tiny("llama"), tmp_path / "model")
    first = engine.probe("test/ask_model", {"model": f"path/{folder}"})
    assert engine.probe("test/ask_model", {"model": f"path/{folder}"}) == first and len(ASKED) == 1
    save(tiny("llama", seed=1), folder)
    assert engine.probe("test/ask_model", {"model": f"path/{folder}"}) != first and len(ASKED) == 2


def test_probes_beside_a_run_change_nothing_in_it(engine, llama):
    alone = engine.start("test/across", {"model": llama})
    expected = [line for line in events_without_time(engine, alone.id)]
    GATES["g"] = Gate()
    run = engine.start("test/across", {"model": llama, "gate": "g"})
    for step in range(5):
        for shift in (0.5, 1.5):
            engine.probe("test/ask_model", {"model": llama, "shift": shift + step / 10})
        GATES["g"].open()
    assert events_without_time(engine, run.id) == expected


def events_without_time(engine, run_id):
    assert engine.wait(run_id, timeout=120)["outcome"] == "finished"
    return [{key: value for key, value in line.items() if key != "t"} for line in engine.events(run_id)]


def test_an_edit_of_a_probe_moves_its_answer_and_is_gone_afterwards(engine, llama):
    plain, moved = (engine.probe("test/ask_model", {"model": llama, "shift": shift})["total"] for shift in (0.0, 2.0))
    model = engine.models.load(llama).model
    with torch.no_grad():
        assert model(input_ids=torch.arange(4, 12).reshape(1, 8)).logits.double().sum().item() == plain != moved


def test_probe_and_run_count_their_threads_each_for_itself(engine):
    inside, held, release = [], threading.Event(), threading.Event()

    def other() -> None:
        with seeded(0, 2):
            held.set()
            release.wait(120)
            inside.append(torch.get_num_threads())

    thread = threading.Thread(target=other)
    thread.start()
    assert held.wait(120)
    answers = []
    asking = threading.Thread(target=lambda: answers.append(engine.probe("test/sums", {})["threads"]))
    asking.start()
    asking.join(120)
    release.set()
    thread.join(120)
    assert answers == [1] and inside == [2]


@pytest.mark.parametrize(("name", "config", "sentence"), [
    ("test/count", {}, "is an experiment, not a probe"), ("test/nothing", {}, "no experiment called"),
    ("test/sums", {"numbers": [1] * 10}, "at most 9 entries"), ("test/ask_model", {"model": "embedded/gpt9"}, "no embedded model"),
])
def test_bad_questions_are_sentences(engine, name, config, sentence):
    with pytest.raises(LabError, match=sentence):
        engine.probe(name, config)


def test_no_probe_of_the_lab_depends_on_the_global_generators_or_moves_them(settings):
    """A run beside it draws from them. Probes with a field that must be given, or without their model, have no say here."""
    asked = 0
    for probe in (each for each in registry.everything() if each.kind == "probe"):
        answers = []
        for seed in (0, 1, 2):  # the first time round, libraries are imported, some of which draw once
            torch.manual_seed(seed), random.seed(seed), np.random.seed(seed)
            before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist(), np.random.get_state()[2]
            try:
                answers.append(Engine(settings).probe(probe.name, {}))
            except LabError:
                break
            after = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist(), np.random.get_state()[2]
            assert seed == 0 or torch.equal(before[0], after[0]) and before[1:] == after[1:], probe.name
        asked += bool(answers)
        assert all(answer == answers[0] for answer in answers), probe.name
    assert asked, "no probe could be asked"
