"""What is said about a visitor's file of questions as soon as it is brought."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from core.engine.errors import LabError
from core.engine.settings import ASSETS
from core.unlearning.audit.experiments import _nameless
from core.unlearning.audit.spec import AuditConfig


def test_the_file_is_read_at_once_and_what_it_does_not_allow_is_said(engine, tmp_path) -> None:
    (tmp_path / "mine.csv").write_text("question,answer\nWho baked the cake?,Ida baked it.\nWho ate the cake?,Ben ate it.\nWho?,\n")
    found = engine.probe("unlearning/questions", {"questions": f"path/{tmp_path}/mine.csv"})
    assert found["questions"] == 2 and {"choice", "reverse", "paraphrase", "synonym"} <= set(found["refused"])
    assert "2 questions" in found["says"] and "Who baked the cake?" in found["says"] and "Row 4" in found["says"]
    assert "Multiple choice" in found["says"] and "Start the answer for it" not in found["says"]


def test_the_sample_allows_all_but_the_description(engine, tmp_path) -> None:
    (tmp_path / "sample.csv").write_bytes((ASSETS / "samples" / "questions.csv").read_bytes())
    assert set(engine.probe("unlearning/questions", {"questions": f"path/{tmp_path}/sample.csv"})["refused"]) == {"reverse"}


def test_a_wrong_table_and_no_table_get_a_sentence(engine, tmp_path) -> None:
    (tmp_path / "wrong.csv").write_text("name,town\nIda,Porto\n")
    with pytest.raises(LabError, match="no column 'question'"):
        engine.probe("unlearning/questions", {"questions": f"path/{tmp_path}/wrong.csv"})
    with pytest.raises(LabError, match="No file was given"):
        engine.probe("unlearning/questions", {})


@pytest.mark.parametrize(("asked", "said"), [
    (["where is it?", "who was Ida?"], "Look inside was left out: only 1 of 2 questions names somebody."),
    (["where is it?", "who was Ida?", "who was Ben?"], "Look inside left out 1 of 3 questions: they name nobody."),
    (["who was Ida?", "who was Ben?"], "")])
def test_what_the_look_inside_leaves_out_is_said(asked: list[str], said: str) -> None:
    records = [SimpleNamespace(question=question, subject_span=None) for question in asked]
    notes = _nameless(SimpleNamespace(records=records))
    assert notes == ([f"{said} Add a column 'subject' with the name."] if said else [])


def test_the_audit_names_this_reader() -> None:
    assert AuditConfig.model_fields["questions"].json_schema_extra["reader"] == "unlearning/questions"
