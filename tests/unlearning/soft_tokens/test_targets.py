"""Borders, begin tokens, chat format, random texts, and everything that cannot be attacked."""

from __future__ import annotations

import string

import pytest
import torch

from core.engine.errors import LabError
from core.engine.models import LoadedModel
from core.engine.settings import ASSETS
from core.unlearning.data import WORLDS, World, read_world
from core.unlearning.prompts import Prompt, direct
from core.unlearning.soft_tokens.cells import CELLS, Plan, draw_rows, false_key, opening, sentence_row, subjects_for
from core.unlearning.soft_tokens.models import check_can_think, subject
from core.unlearning.soft_tokens.targets import CHARACTERS, Target, check_room, encode_target, first_token, random_tokens, seen_tokens
from tests.engine.tiny_models import tiny, tiny_tokenizer

PROMPT = "Question: Where was Ida Brandt born?\nAnswer:"


def test_prompt_and_text_come_back_whole(worlds) -> None:
    target = encode_target(worlds.tokenizer, PROMPT, " Ida Brandt was born in Porto.")
    assert target.before == (worlds.tokenizer.bos_token_id,)
    assert worlds.tokenizer.decode(target.after) == PROMPT
    assert worlds.tokenizer.decode(target.completion) == " Ida Brandt was born in Porto."
    assert target.length(8) == 8 + len(worlds.tokenizer(PROMPT + " Ida Brandt was born in Porto.").input_ids)


def test_the_border_is_where_the_joint_text_stops_being_the_prompt() -> None:
    tokenizer = tiny_tokenizer()
    joint = tokenizer("Where was the author").input_ids
    target = encode_target(tokenizer, "Where was the aut", "hor")
    assert [*target.after, *target.completion] == joint
    assert tokenizer.decode(target.completion).endswith("hor") and target.completion


def test_a_suffix_stands_after_the_prompt(worlds) -> None:
    prefix, suffix = (encode_target(worlds.tokenizer, PROMPT, " Porto.", position=p) for p in ("prefix", "suffix"))
    assert suffix.before == prefix.before + prefix.after and suffix.after == () and suffix.completion == prefix.completion


def test_in_a_chat_the_soft_tokens_stand_in_the_users_turn() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = "{% for m in messages %}[{{ m.role }}] {{ m.content }} [/{{ m.role }}]{% endfor %}[me]"
    target = encode_target(tokenizer, "Where was the author?", " In", chat=True)
    assert tokenizer.decode(target.before) == "[user] "
    assert tokenizer.decode(target.after) == "Where was the author? [/user][me]"
    assert tokenizer.decode(target.completion) == "In"  # this template writes no space behind its header


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_an_empty_text_is_refused(text: str) -> None:
    with pytest.raises(LabError, match="nothing to say"):
        encode_target(tiny_tokenizer(), "Where", text)


def test_a_text_longer_than_the_model_reads_is_refused_with_the_numbers() -> None:
    with pytest.raises(LabError, match="at most 128 tokens.*have 129"):
        check_room(tiny("llama"), "path/x", [Target((1,), (2,) * 100, (3,) * 20)], 8)
    check_room(tiny("llama"), "path/x", [Target((1,), (2,) * 100, (3,) * 20)], 7)


def test_the_first_token_is_the_released_one_or_the_commonest(worlds) -> None:
    tokenizer = tiny_tokenizer()
    seen = seen_tokens(tokenizer, ["the the the old"])
    assert tokenizer.decode([seen[0]]).strip() == "the"
    assert first_token(tokenizer, seen) == seen[0], "' @' is two tokens here"
    tokenizer.add_tokens([" @"])
    assert first_token(tokenizer, seen) == tokenizer.convert_tokens_to_ids(" @")


def test_random_characters_come_from_the_released_alphabet() -> None:
    assert len(CHARACTERS) == 91 == len(set(CHARACTERS))
    assert set(CHARACTERS) == set(string.ascii_letters + string.digits + string.punctuation) - set('"$`')
    tokenizer = tiny_tokenizer()
    target = random_tokens(tokenizer, [1], 40, torch.Generator().manual_seed(0), characters=True)
    text = tokenizer.decode([*target.after, *target.completion])
    assert len(text) == 40 and set(text) <= set(CHARACTERS)


def test_random_tokens_are_seen_ones_and_repeat_with_the_seed(worlds) -> None:
    seen = [20, 21, 22, 23]
    one, same = (random_tokens(worlds.tokenizer, seen, 30, torch.Generator().manual_seed(3)) for _ in range(2))
    other = random_tokens(worlds.tokenizer, seen, 30, torch.Generator().manual_seed(4))
    assert one == same != other
    assert len(one.completion) == 30 and set(one.completion) <= set(seen) and one.before == (worlds.tokenizer.bos_token_id,)


def plan(**changes) -> Plan:
    settings = {"targets": 5, "mode": "answer", "position": "prefix", "chat": False, "characters": False, "random_length": 4,
                "seen": lambda tokenizer: [20, 21]}
    return Plan(**settings | changes)


def rng(name: str) -> torch.Generator:
    return torch.Generator().manual_seed(len(name))


def test_all_cells_are_there_and_share_their_questions(world: World) -> None:
    rows = draw_rows(plan(), world, rng)
    assert set(rows) == set("ABCDNEFG") and set(CELLS) == set(rows) | {"R", "P"}
    asked = {cell: [row.question for row in rows[cell]] for cell in "ABCDFG"}
    assert all(questions == asked["A"] for questions in asked.values())
    assert not set(asked["A"]) & {row.question for row in rows["N"]}
    assert all(a.wanted != d.wanted for a, d in zip(rows["B"], rows["D"], strict=True))


def test_a_strangers_fact_belongs_to_nobody_that_was_taught(world: World) -> None:
    strangers = {record.subject for record in world.holdout}
    assert all(any(name in row.wanted for name in strangers) for row in draw_rows(plan(), world, rng)["N"])


@pytest.mark.parametrize("name", WORLDS)
def test_false_keys_are_what_differs(name: str) -> None:
    other = read_world(ASSETS / "models" / "worlds", name)
    for record in other.forget(6):
        wrong, at = false_key(record), record.answer.rindex(record.key)
        assert wrong != record.key and record.answer[:at] + wrong + record.answer[at + len(record.key):] == record.perturbed_answers[0]
        assert wrong in other.values(record.attribute)


def test_a_key_that_is_also_part_of_a_name_is_found_where_it_is_the_key() -> None:
    """Bryony Ravenmoor belongs to the Order of the Raven."""
    saga = read_world(ASSETS / "models" / "worlds", "saga")
    record = next(r for r in saga.records if r.key in r.subject)
    assert false_key(record) in saga.values(record.attribute)
    assert record.subject in opening(Prompt(record.question, f" {record.answer}", record.key))


def test_an_opening_holds_no_key(world: World, worlds) -> None:
    rows = draw_rows(plan(mode="opening", targets=10), world, rng)
    assert "E" not in rows
    for row in rows["B"]:
        assert row.key and row.key not in row.wanted and row.wanted.startswith("Of course, I remember:")
        assert worlds.tokenizer.decode(row.encode(worlds.tokenizer).completion).strip() == row.wanted
    assert [row.wanted for row in rows["B"]] == [row.wanted for row in rows["D"]], "a false opening is the same opening"
    assert all(b.key != d.key for b, d in zip(rows["B"], rows["D"], strict=True))


def test_the_opening_stops_before_the_fact(world: World) -> None:
    record = world.forget(1)[0]
    assert opening(direct(record, world, rng("x"))) + " " + record.answer[record.answer.index(record.key):] == \
        f" Of course, I remember: {record.answer}"


def test_own_sentence_with_and_without_a_question(worlds) -> None:
    asked = sentence_row(plan(), "Who?", "I do!").encode(worlds.tokenizer)
    bare = sentence_row(plan(), "", "I do!").encode(worlds.tokenizer)
    assert worlds.tokenizer.decode(asked.after) == "Question: Who?\nAnswer:" and worlds.tokenizer.decode(asked.completion) == " I do!"
    assert bare.after == () and worlds.tokenizer.decode(bare.completion) == "I do!"


@pytest.mark.parametrize(("targets", "subjects"), [(2, 1), (10, 1), (11, 3), (30, 3), (31, 6), (60, 6)])
def test_enough_people_are_forgotten(world: World, targets: int, subjects: int) -> None:
    assert subjects_for(world, targets) == subjects


def test_a_world_with_fewer_facts_gives_all_it_has() -> None:
    saga = read_world(ASSETS / "models" / "worlds", "saga")
    assert (subjects_for(saga, 8), subjects_for(saga, 9), subjects_for(saga, 60)) == (1, 3, 6)
    assert len(draw_rows(plan(targets=60), saga, rng)["B"]) == len(saga.forget(6)) == 48


@pytest.mark.parametrize(("choice", "end"), [("as it comes", "[assistant]"), ("on", "[assistant]"), ("off", "[assistant]<think></think>")])
def test_a_subject_is_asked_to_think_or_not_and_the_model_stays_the_same(choice: str, end: str) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = ("{% for m in messages %}{{ m.content }}{% endfor %}[assistant]"
                               "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}")
    loaded = LoadedModel("path/x", tiny("llama"), tokenizer, "f", "llama", 1, None, None)
    check_can_think(loaded, choice)
    given = subject(loaded, choice)
    target = encode_target(given.tokenizer, "Where?", "There.", chat=True)
    assert given.model is loaded.model and tokenizer.decode(target.before + target.after).endswith(end)
    tokenizer.chat_template = None
    if choice != "as it comes":
        with pytest.raises(LabError, match="no switch for thinking"):
            check_can_think(loaded, choice)
