"""What may be asked, and what people are told when it may not."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import Field

from core.engine import registry
from core.engine.errors import LabError
from core.engine.experiment import CleanText, Config, ModelRef, experiment
from core.engine.settings import Settings


class Wishes(Config):
    model: ModelRef = Field("embedded/worlds", title="Model", description="A model")
    rival: ModelRef | None = None
    crowd: list[ModelRef] = Field([], max_length=2)
    algorithm: Literal["ga", "npo"] = "npo"
    steps: int = Field(60, ge=0, le=2000)
    rate: float | None = Field(None, gt=0, lt=1)
    question: CleanText = Field("Where?", max_length=40)
    loud: bool = False
    people: Literal[1, 3, 6] = 3
    ticks: list[int] = Field(default_factory=lambda: [1, 2])
    needed: int


@experiment("test/wishes", title="Wishes", paper="00")
def wishes(config: Wishes, lab):
    yield


WISHES = wishes.experiment


@pytest.mark.parametrize(("given", "sentence"), [
    ({"steps": 5000}, "'steps' cannot be 5000: at most 2000 is allowed."),
    ({"steps": -1}, "'steps' cannot be -1: at least 0 is needed."),
    ({"steps": 1.5}, "'steps' cannot be 1.5: it must be a whole number."),
    ({"steps": "many"}, "'steps' cannot be 'many': it must be a whole number."),
    ({"steps": 10**5000}, "'steps' cannot be a number of thousands of digits: at most 2000 is allowed."),
    ({"rate": 0}, "'rate' cannot be 0: it must be more than 0.0."),
    ({"rate": 1}, "'rate' cannot be 1: it must be less than 1.0."),
    ({"rate": float("nan")}, "'rate' cannot be nan: it must be a finite number."),
    ({"rate": float("inf")}, "'rate' cannot be inf: it must be a finite number."),
    ({"algorithm": "gaa"}, "'algorithm' cannot be 'gaa': choose 'ga' or 'npo'."),
    ({"people": 2}, "'people' cannot be 2: choose 1, 3 or 6."),
    ({"question": "a" * 41}, f"'question' cannot be '{'a' * 41}': at most 40 characters are allowed."),
    ({"question": 3}, "'question' cannot be 3: it must be text."),
    ({"question": "\ud800"}, "'question' cannot be '\\ud800': it holds characters that are no text."),
    ({"loud": "perhaps"}, "'loud' cannot be 'perhaps': it is either true or false."),
    ({"crowd": 3}, "'crowd' cannot be 3: it must be a list."),
    ({"crowd": ["run/a/b"] * 3}, "'crowd' cannot be ['run/a/b', 'run/a/b', 'run/a/b']: at most 2 entries are allowed."),
    ({"stepz": 3}, "There is no field called 'stepz' (did you mean 'steps'?)."),
    ({"x": 3, "y": 4}, "There is no field called 'x'; There is no field called 'y'."),
    ({"needed": None}, "'needed' cannot be None: it must be a whole number."),
])
def test_a_wrong_field_is_named_with_what_is_allowed(given, sentence):
    with pytest.raises(LabError) as caught:
        WISHES.validate({"needed": 1} | given)
    assert caught.value.message == sentence
    assert caught.value.hint.startswith("Fields of test/wishes: model, rival,")


def test_a_missing_field_and_no_fields_at_all_are_sentences():
    with pytest.raises(LabError, match="'needed' is missing"):
        WISHES.validate({})
    with pytest.raises(LabError, match="set of named fields, not list"):
        WISHES.validate([("needed", 1)])


def test_what_was_given_is_cut_short_in_the_sentence():
    with pytest.raises(LabError) as caught:
        WISHES.validate({"needed": 1, "question": "<b>" * 5000, "z" * 5000: 1})
    assert len(caught.value.message) < 250


@pytest.mark.parametrize("ref", ["", "embedded", "embedded/", "gpt2", "s3/bucket/model", "path/a\tb", "hf/a b", "hf/a\nb", "run/\x00x",
                                 "hf/\x9bx", 3, None, "embedded/" + "a" * 300])
def test_what_is_no_model_reference_is_refused(ref):
    with pytest.raises(LabError, match="'model' cannot be"):
        WISHES.validate({"needed": 1, "model": ref})


def test_models_are_found_in_every_kind_of_field():
    config = WISHES.validate({"needed": 1, "rival": "hf/a/b", "crowd": ["run/abcd/x", "path/My model (Q8 0).gguf"]})
    assert WISHES.model_fields() == ["model", "rival", "crowd"]
    assert WISHES.models(config) == ["embedded/worlds", "hf/a/b", "run/abcd/x", "path/My model (Q8 0).gguf"]
    assert WISHES.models(WISHES.validate({"needed": 1})) == ["embedded/worlds"]


def test_changed_gives_what_differs_from_the_defaults_and_what_has_none():
    assert WISHES.validate({"needed": 0}).changed() == {"needed": 0}
    config = WISHES.validate({"needed": 0, "steps": 61, "rate": None, "ticks": [1, 2], "question": " Where? ", "crowd": ["hf/a/b"]})
    assert config.changed() == {"needed": 0, "steps": 61, "crowd": ["hf/a/b"]}
    assert WISHES.validate(config.changed()) == config


def test_text_loses_control_characters_and_nothing_else():
    text = "\x00Zoë\u200d 👩\u200d🔬\t\x1b[31m<b>\x7f\x9b\nß\r "
    assert WISHES.validate({"needed": 1, "question": text}).question == "Zoë\u200d 👩\u200d🔬\t[31m<b>\nß"


def test_the_key_of_a_request_depends_on_everything_that_its_numbers_depend_on():
    config = WISHES.validate({"needed": 1})
    key = WISHES.key(config, 0, {"embedded/worlds": "a"})
    assert key == WISHES.key(WISHES.validate({"steps": 60, "needed": 1}), 0, {"embedded/worlds": "a"})
    others = [WISHES.key(WISHES.validate({"needed": 2}), 0, {"embedded/worlds": "a"}), WISHES.key(config, 1, {"embedded/worlds": "a"}),
              WISHES.key(config, 0, {"embedded/worlds": "b"})]
    assert len({key, *others}) == 4


def test_an_unknown_experiment_is_answered_with_the_nearest():
    with pytest.raises(LabError, match="Did you mean 'unlearning/audit'"):
        registry.find("unlearning/audits")
    for name in (None, ["unlearning/audit"], "<b>" * 100_000):
        with pytest.raises(LabError) as caught:
            registry.find(name)
        assert len(str(caught.value)) < 1000


def test_the_number_of_threads_is_checked(monkeypatch):
    monkeypatch.setenv("GLASSBOX_THREADS", "3")
    assert Settings().threads == 3
    for wrong in ("0", "-1", "two", "1.5", "99999"):
        monkeypatch.setenv("GLASSBOX_THREADS", wrong)
        with pytest.raises(LabError, match="GLASSBOX_THREADS"):
            Settings()


def test_a_field_that_may_be_empty_may_be_left_empty_as_text() -> None:
    from core.engine.registry import find
    from core.engine.text_values import config_from_text

    audit = find("unlearning/audit")
    config = config_from_text(audit, {"reference": "", "learning_rate": " ", "questions": "", "steps": "0"})
    assert (config.reference, config.learning_rate, config.questions, config.steps) == (None, None, "", 0)
    with pytest.raises(LabError, match="'steps' cannot be ''"):
        config_from_text(audit, {"steps": ""})
