"""glassbox list, runs, models, claims: documents for programs, tables for people."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import types
from pathlib import Path

import pytest

from core.engine import claims as ledger


def test_list_describes_every_entry_of_the_registry(ask) -> None:
    from core.engine import registry

    status, document = ask("list")
    assert status == 0 and [row["name"] for row in document["experiments"]] == list(registry.EXPERIMENTS)
    for row in document["experiments"]:
        assert set(row) == {"name", "title", "paper", "kind", "config_schema", "families", "outputs"}
        assert row["kind"] in ("experiment", "probe") and row["config_schema"]["additionalProperties"] is False


def test_list_of_one_shows_its_settings_in_words(call) -> None:
    status, out, _ = call("list", "test/count")
    assert status == 0
    for words in ("whole number, 1 to 1000", "number, 0 to 1 or null", "plain, loud", "true or false", "text, at most 20 characters",
                  "list of whole number", "How far to count"):
        assert words in out, out


def test_listing_needs_no_torch(repository: Path) -> None:
    code = ("import sys; from apps.cli import main; status = main(['list', '--json']);"
            "heavy = {'torch', 'transformers', 'gradio', 'plotly'} & set(sys.modules); sys.exit(f'imported: {heavy}' if heavy else status)")
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["experiments"]


def test_runs_are_listed_shown_exported_and_deleted(ask, call, tmp_path: Path) -> None:
    first, second = (ask("run", "test/count", "--seed", seed)[1] for seed in ("0", "1"))
    runs = ask("runs", "list")[1]["runs"]
    assert {run["id"] for run in runs} == {first["run_id"], second["run_id"]}
    assert not {"visitors", "owner", "pid"} & set(runs[0])
    assert ask("runs", "list", "--name", "test/echo")[1] == {"runs": [], "damaged": []}
    assert len(ask("runs", "list", "--limit", "1")[1]["runs"]) == 1

    shown = ask("runs", "show", first["run_id"])[1]
    assert {field: shown[field] for field in first} == first and shown["command"].startswith("./launch.sh cli run test/count")
    assert "Counted to 3" in call("runs", "show", first["run_id"])[1]

    exported = ask("runs", "export", first["run_id"], "--out", str(tmp_path / "taken"))[1]
    assert all(Path(file).is_file() for file in exported["files"]) and len(exported["files"]) == 3

    assert ask("runs", "delete", first["run_id"], "no-such-run")[0] == 2
    assert len(ask("runs", "list")[1]["runs"]) == 2, "one wrong name deletes nothing"
    assert ask("runs", "delete", first["run_id"])[1] == {"deleted": [first["run_id"]]}
    assert [run["id"] for run in ask("runs", "list")[1]["runs"]] == [second["run_id"]]


@pytest.mark.parametrize("verb", ["show", "export", "delete"])
def test_a_run_that_is_not_there_is_a_sentence(ask, verb: str) -> None:
    status, document = ask("runs", verb, "20260101-000000-abcdef")
    assert status == 2 and "no such run" in document["error"]


def test_the_command_of_a_shown_run_computes_it_again(ask) -> None:
    first = ask("run", "test/count", "--set", "word=it's", "--set", "picks=[7]", "--seed", "5")[1]
    words = shlex.split(ask("runs", "show", first["run_id"])[1]["command"])
    again = ask(*words[2:])[1]
    assert again["run_id"] != first["run_id"]
    for field in ("config", "seed", "metrics", "verdict"):
        assert again[field] == first[field]


def test_embedded_models_are_listed_with_their_cards(ask, repository: Path) -> None:
    status, document = ask("models", "list")
    assert status == 0
    names = sorted(file.parent.name for file in (repository / "assets" / "models").glob("*/config.json"))
    assert [row["name"] for row in document["models"]] == names
    for row in document["models"]:
        assert row["parameters"] > 0 and row["fingerprint"]
        card = ask("models", "card", row["name"])[1]
        assert card["card"] == (repository / "assets" / "models" / row["name"] / "card.md").read_text()
    assert ask("models", "card", "nobody")[0] == 2


def test_a_model_without_a_recipe_is_a_sentence(ask) -> None:
    status, document = ask("models", "build", "nobody")
    assert status == 2 and "no recipe" in document["error"]


@pytest.fixture
def two_claims(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A claim that holds by arithmetic and one whose interval straddles the threshold, instead of the papers' own."""
    def claim(identity: str, measure, threshold: str) -> ledger.Claim:
        return ledger.Claim(identity, "00", f"Sentence {identity}", "report", "test/count", [{"steps": 2}], measure, threshold, (0, 1, 2))

    table = types.SimpleNamespace(CLAIMS=[
        claim("00.1", lambda results: results[0]["metrics"]["total"] + results[0]["seed"] / 100, ">= 2.5"),
        claim("00.2", lambda results: float(results[0]["seed"]), ">= 1.0")])
    monkeypatch.setitem(sys.modules, "tests.cli.two_claims", table)
    monkeypatch.setattr(ledger, "CLAIM_TABLES", {"00": "tests.cli.two_claims"})


CLAIM = {"id", "paper", "statement", "kind", "held", "measured", "interval", "threshold", "unit", "seeds", "note"}


def test_claims_are_measured_now(ask, two_claims) -> None:
    status, document = ask("claims", "--paper", "00")
    first, second = document["claims"]
    assert status == 0 and set(first) == CLAIM
    assert (first["held"], first["measured"], first["seeds"]) == (True, 3.01, [0, 1, 2])
    assert second["held"] == "undecided" and second["interval"][0] < 1.0 < second["interval"][1]


def test_one_claim_can_be_asked_for(ask, two_claims) -> None:
    assert [row["id"] for row in ask("claims", "--only", "00.2")[1]["claims"]] == ["00.2"]
    status, document = ask("claims", "--only", "00.3", "--recorded")
    assert status == 2 and "no claim '00.3'" in document["error"]


def test_recorded_claims_are_printed_without_measuring(ask, call, two_claims, home: Path) -> None:
    status, document = ask("claims", "--recorded")
    assert status == 0 and [row["held"] for row in document["claims"]] == [None, None] and set(document["claims"][0]) == CLAIM
    assert not list(home.glob("runs/*"))
    assert "held: not measured" in call("claims", "--recorded")[1]


def test_a_paper_without_claims_is_a_sentence(ask) -> None:
    status, document = ask("claims", "--paper", "99", "--recorded")
    assert status == 2 and "No claims are registered" in document["error"]


def test_a_thing_is_got_listed_and_removed_by_the_command(ask, call, home: Path, tiny_item, tiny_index, monkeypatch) -> None:
    monkeypatch.setattr("core.engine.shop.ITEMS", {tiny_item.name: tiny_item})
    monkeypatch.setattr(tiny_index, "breaks_at", 100_000)
    status, document = ask("get", "tiny")
    assert status == 1 and "stopped answering" in document["error"] and "embedded model" in document["hint"]
    assert ask("get")[1]["items"][0]["state"] == "begun"
    tiny_index.breaks_at = None
    status, document = ask("get", "tiny")
    assert status == 0 and document["ref"] == "got/tiny" and (Path(document["folder"]) / "card.md").is_file()
    assert "got" in call("get")[1] and "A tiny model" in call("get")[1]
    assert ask("get", "tiny", "--remove")[1] == {"name": "tiny", "removed": True}
    assert [file.name for file in (home / "got").iterdir()] == []
    status, document = ask("get", "nothing")
    assert status == 2 and "There are: tiny." in document["hint"]
