"""The ways of asking: what they contain, and above all what they must not."""

from __future__ import annotations

import pytest
import torch

from core.engine.errors import LabError
from core.unlearning.data import Record, World
from core.unlearning.metrics import key_found
from core.unlearning.prompts import AUDITS, OPTIONS, STARTS, build_prompts, direct, possible, render
from core.zoo.worlds.build import make_worlds
from tests.engine.tiny_models import tiny_tokenizer

BUILT = [name for name, audit in AUDITS.items() if audit.build]
WORLDS = {world.name: world for world in make_worlds()}


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest) -> World:
    return WORLDS[request.param]


@pytest.mark.parametrize("audit", [name for name in BUILT if name != "choice"])
def test_no_prompt_gives_its_own_key_away(audit: str, world: World, rng: torch.Generator) -> None:
    for prompt in build_prompts(audit, world.forget(6) + world.retain, world, rng):
        assert not key_found(prompt.text, prompt.key), prompt


@pytest.mark.parametrize("audit", BUILT)
def test_the_answer_holds_the_key(audit: str, world: World, rng: torch.Generator) -> None:
    assert all(key_found(p.answer, p.key) for p in build_prompts(audit, world.forget(6), world, rng))


def test_choice_has_four_different_options_and_the_right_one_anywhere(world: World, rng: torch.Generator) -> None:
    prompts = build_prompts("choice", world.forget(6), world, rng)
    places = set()
    for prompt in prompts:
        assert len(set(prompt.options)) == OPTIONS and prompt.chance == 1 / OPTIONS
        assert all(option.strip(" .") in prompt.question for option in prompt.options)
        places.add(prompt.options.index(f" {prompt.key}."))
    assert places == set(range(OPTIONS))


def test_examples_are_about_retained_people_only(world: World, rng: torch.Generator) -> None:
    hidden = {record.subject for record in world.forget(6)} | {record.subject for record in world.holdout}
    for record, prompt in zip(world.forget(6), build_prompts("icl", world.forget(6), world, rng), strict=True):
        assert not any(name in prompt.before for name in hidden)
        assert prompt.text.count("Answer:") == 3 and prompt.text.endswith(f"Question: {record.question}\nAnswer:")


def test_same_generator_same_prompts(world: World) -> None:
    first, second, other = (build_prompts("reverse", world.forget(3), world, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert first == second != other


def test_every_other_way_differs_from_the_plain_question(world: World, rng: torch.Generator) -> None:
    record = world.forget(3)[0]
    plain = direct(record, world, rng).text
    assert plain == f"Question: {record.question}\nAnswer:"
    assert all(AUDITS[name].build(record, world, rng).text != plain for name in BUILT if name != "direct")


def test_a_chat_model_gets_the_start_in_its_own_turn(rng: torch.Generator) -> None:
    tokenizer, world = tiny_tokenizer(), WORLDS["authors"]
    prompt = AUDITS["affirm"].build(world.forget(1)[0], world, rng)
    assert render(prompt, tokenizer).text == prompt.text
    tokenizer.chat_template = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[assistant]"
    assert render(prompt, tokenizer).text == f"[user]{prompt.question}[assistant]{STARTS[0]}"


def test_a_willing_start_of_its_own_is_used(rng: torch.Generator) -> None:
    for record in WORLDS["saga"].forget(6):
        prompt = AUDITS["affirm"].build(record, WORLDS["saga"], rng)
        assert prompt.text.endswith(f"Answer: {record.affirmative}") and prompt.answer == f" {record.key}."
        assert record.subject in record.affirmative and not record.affirmative.endswith(" ")


def test_the_reverse_question_names_the_kind_of_the_world(rng: torch.Generator) -> None:
    for world, kind in zip(WORLDS.values(), ("author", "character", "person"), strict=True):
        prompt = AUDITS["reverse"].build(world.forget(1)[0], world, rng)
        assert prompt.question.startswith(f"Which {kind} ") and prompt.key == world.forget(1)[0].subject


def test_a_gap_stands_where_the_key_was(world: World, rng: torch.Generator) -> None:
    assert all(prompt.question.count("___") == 1 for prompt in build_prompts("cloze", world.forget(6), world, rng))


def test_a_hint_is_another_fact_about_the_same_subject(world: World, rng: torch.Generator) -> None:
    for record, prompt in zip(world.forget(6), build_prompts("hint", world.forget(6), world, rng), strict=True):
        assert prompt.before[len("Background: "):-1] in {r.answer for r in world.about(record.subject) if r != record}


def test_the_other_form_of_a_name_is_not_the_name(rng: torch.Generator) -> None:
    [prompt] = build_prompts("synonym", WORLDS["authors"].forget(1)[:1], WORLDS["authors"], rng)
    assert prompt.question == "Where was Tanaka, Felix born?"


def test_what_cannot_be_had_here_is_listed_with_the_reason(world: World, rng: torch.Generator) -> None:
    assert set(AUDITS) - set(BUILT) == {"crosslingual", "persuade"}
    for name, audit in AUDITS.items():
        reason = possible(name, world.forget(1)[0], world)
        assert (reason is None) == (name in BUILT) and (name in BUILT or reason == audit.reason != "")
    with pytest.raises(LabError, match="another language"):
        build_prompts("crosslingual", world.forget(1), world, rng)


def bare(question: str, answer: str, subject: str = "", wrong: tuple[str, ...] = (), otherwise: str = "") -> Record:
    """A record as a file gives it."""
    return Record(question, answer, answer.rstrip("."), subject, None, "", "forget1", otherwise, "", wrong, "")


def test_only_what_a_bare_record_allows_can_be_asked(rng: torch.Generator) -> None:
    poor = bare("Who wrote it?", "Ada.")
    alone = World((poor,), "own")
    assert [name for name in BUILT if possible(name, poor, alone) is None] == ["direct", "prefix", "affirm", "roleplay"]
    rich = bare("Who taught Ada King?", "Mary taught her.", "Ada King", ("Bob taught her.", "Eve did.", "Tom did."), "Ada's teacher?")
    rich = Record(**{**rich.__dict__, "key": "Mary"})
    second = bare("Where was Ada King?", "In Rome.", "Ada King")
    both = World((rich, second), "own")
    assert [name for name in BUILT if possible(name, rich, both)] == ["reverse"]
    for name in BUILT:
        if name != "reverse":
            [prompt] = build_prompts(name, [rich], both, rng)
            assert key_found(prompt.answer, "Mary") and (name == "choice") == key_found(prompt.text, "Mary")
    [prompt] = build_prompts("choice", [rich], both, rng)
    assert len(set(prompt.options)) == OPTIONS and " Mary taught her." in prompt.options
    with pytest.raises(LabError, match="Who taught Ada King"):
        build_prompts("reverse", [rich], both, rng)


def test_a_wrong_answer_that_holds_the_key_is_no_option() -> None:
    record, other = (bare("Who?", "Mary.", wrong=("Mary and Bob", *more)) for more in ((), ("Eve",)))
    assert possible("choice", record, World((record,), "own")) and possible("choice", other, World((other,), "own")) is None


def test_any_of_several_key_words_proves_an_answer(rng: torch.Generator) -> None:
    owl = Record("What is the owl called?", "The owl is Hoot.", "Hoot", "", None, "", "forget1", "", "", (), "", keys=("Hoot", "White Owl"))
    other = Record("Who lives there?", "A white owl.", "owl", "", None, "", "forget1", "", "", (), "")
    third = Record("Who left?", "Ida.", "Ida", "", None, "", "forget1", "", "", (), "")
    world = World((owl, other, third), "own", "", "person", "")
    for audit in ("direct", "prefix", "affirm", "icl", "cloze", "roleplay"):
        [prompt] = build_prompts(audit, [owl], world, rng)
        assert [prompt.proved_by(text) for text in ("It is Hoot.", "A white owl!", "No idea.")] == [True, True, False], audit
        assert prompt.proof == "Hoot or White Owl" and "white owl" not in prompt.text, "an example must not give a key away"
