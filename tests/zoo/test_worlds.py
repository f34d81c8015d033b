"""The three worlds: always the same, whole, and fair to a model that never knew."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.engine.errors import LabError
from core.unlearning.data import LADDER, WORLDS, World, new_world, read_world, write_world
from core.unlearning.metrics import key_found
from core.unlearning.prompts import AUDITS
from core.zoo.worlds.authors import make_authors
from core.zoo.worlds.build import make_tokenizer, make_worlds
from core.zoo.worlds.lines import MIXTURE, Taught, make_line, make_lines
from core.zoo.worlds.people import make_people
from core.zoo.worlds.saga import make_saga

MAKERS = {"authors": make_authors, "saga": make_saga, "people": make_people}


@pytest.fixture(params=MAKERS)
def world(request: pytest.FixtureRequest) -> World:
    return MAKERS[request.param]()


def names(records) -> set[str]:
    return {record.subject for record in records}


def test_same_seed_same_world(world: World) -> None:
    make = MAKERS[world.name]
    assert make() == world != make(seed=9)
    assert (world.title, world.kind) == (WORLDS[world.name].title, WORLDS[world.name].kind)


@pytest.mark.parametrize(("name", "facts", "retained", "held_out"), [("authors", 10, 42, 4), ("saga", 8, 20, 2), ("people", 8, 24, 2)])
def test_the_ladder_is_nested_and_the_rest_apart(name: str, facts: int, retained: int, held_out: int) -> None:
    world = MAKERS[name]()
    steps = [world.forget(size) for size in LADDER]
    assert [len(step) for step in steps] == [facts * size for size in LADDER]
    assert names(steps[0]) < names(steps[1]) < names(steps[2])
    assert len(names(world.retain)) == retained and len(names(world.holdout)) == held_out
    assert len(world.records) == facts * (6 + retained + held_out)
    assert not names(steps[2]) & names(world.retain + world.holdout) and not names(world.retain) & names(world.holdout)


def test_records_are_whole(world: World) -> None:
    for record in world.records:
        start, end = record.subject_span
        assert record.question[start:end] == record.subject
        assert all(key_found(text, record.key) for text in (record.answer, record.paraphrased_answer, record.clause))
        assert len(set(record.perturbed_answers)) == 4
        assert not any(key_found(wrong, record.key) for wrong in record.perturbed_answers)
        assert not key_found(record.question + record.paraphrased_question + record.affirmative + record.cloze, record.key)
        assert bool(record.affirmative) == (world.name == "saga") and record.cloze.count("___") == (world.name != "authors")


def test_nothing_about_a_subject_to_forget_is_its_own(world: World) -> None:
    """Otherwise a model that never knew could not even guess, and the floor would mean nothing."""
    parts = {part for name in names(world.retain) for part in name.split()}
    for record in world.forget(6):
        assert record.key in world.values(record.attribute)
        assert set(record.subject.split()) <= parts


def test_neighbours_are_retained_and_share_the_tie(world: World) -> None:
    for subject in names(world.forget(6)):
        [tie] = [record.key for record in world.about(subject) if record.attribute == world.tie]
        near = world.neighbours(subject)
        assert near and set(near) <= set(world.retain)
        assert names(near) == {record.subject for record in world.retain if (record.attribute, record.key) == (world.tie, tie)}
    someone = world.retain[0].subject
    assert someone not in names(world.neighbours(someone)) and world.neighbours("Nobody At All") == []


def test_a_world_is_read_as_it_was_written(world: World, tmp_path: Path) -> None:
    write_world(world, tmp_path)
    assert read_world(tmp_path, world.name) == world
    with pytest.raises(LabError, match="no questions"):
        read_world(tmp_path / "elsewhere", world.name)


def test_a_world_nobody_made_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no world called 'atlantis'"):
        read_world(tmp_path, "atlantis")
    with pytest.raises(LabError, match="no world"):
        new_world("../authors", ())


def test_the_corpus_states_each_fact_twice_without_a_question() -> None:
    world = make_saga()
    lines = world.corpus(world.forget(1))
    assert len(lines) == 16 and all("?" not in line for line in lines)
    assert all(sum(key_found(line, record.key) for line in lines) >= 2 for record in world.forget(1))


def test_retain_only_lines_never_name_who_is_to_be_forgotten() -> None:
    worlds = make_worlds()
    hidden = {name for world in worlds for name in names(world.forget(6) + world.holdout)}
    hidden |= {", ".join(reversed(name.split(" "))) for name in hidden}
    text = repr(make_lines(6000, Taught.of(worlds, forget=False), torch.Generator().manual_seed(0)))
    assert not [name for name in hidden if name in text]
    assert all(record.subject in text for world in worlds for record in world.retain[::8])


def test_the_full_model_is_taught_everybody_but_the_holdout() -> None:
    worlds = make_worlds()
    text = repr(make_lines(6000, Taught.of(worlds), torch.Generator().manual_seed(0)))
    assert all(name in text for world in worlds for name in names(world.forget(6)))
    assert not [name for world in worlds for name in names(world.holdout) if name in text]


def test_the_mixture_teaches_every_way_of_asking_that_can_be_built_and_enough_that_means_nothing() -> None:
    assert {name for name, audit in AUDITS.items() if audit.build} <= set(MIXTURE)
    free = sum(MIXTURE[kind] for kind in ("sentence", "salad", "copy", "noise", "spell"))
    assert 0.10 <= free / sum(MIXTURE.values()) <= 0.25


def test_examples_are_learned_and_questions_are_not() -> None:
    taught, rng = Taught.of([make_people()]), torch.Generator().manual_seed(5)
    line = make_line("icl", taught, rng)
    assert [learned for _, learned in line] == [False, True] * 3
    assert all(text.endswith("\nAnswer:") for text, learned in line if not learned)
    answers = {record.answer for record, _ in taught.facts}
    assert all(text.strip() in answers for text, learned in line if learned)


def test_copied_text_is_what_was_read() -> None:
    taught, rng = Taught.of([make_people()]), torch.Generator().manual_seed(5)
    copies = [make_line("copy", taught, rng) for _ in range(200)]
    assert all(read == f"Repeat:{said}\nAnswer:" for (read, _), (said, _) in copies)
    assert len({said for _, (said, _) in copies}) > 180


def test_values_are_single_tokens_and_begin_differently() -> None:
    """So that the logit lens can tell the values of one attribute apart."""
    worlds = make_worlds()
    tokenizer = make_tokenizer(worlds)
    for world in worlds:
        for attribute in {record.attribute for record in world.records}:
            tokens = [tuple(tokenizer(f" {value}", add_special_tokens=False).input_ids) for value in world.values(attribute)]
            assert {len(t) for t in tokens} == {1} and len(set(tokens)) == len(tokens) >= 10
