"""What is declared in a paper's spec: quickly read, equal to what its runs say, and named as the code names it."""

from __future__ import annotations

import contextlib

import pytest

from core.engine import registry
from core.engine.claims import CLAIM_TABLES, claims
from core.engine.events import Metric
from core.engine.outputs import each, find, metric, plain
from core.engine.records import Records
from core.engine.run import Run
from core.engine.settings import ASSETS
from core.papers import PAPERS
from core.unlearning.algorithms import ALGORITHMS
from core.unlearning.audit import spec as audit
from core.unlearning.prompts import AUDITS

VIEWS = sorted(folder.name for folder in (ASSETS / "first_views").iterdir())
NAMED = ("metric", "figure", "table", "picture", "text", "keep")


def said(run: str, records: Records) -> set[tuple[str, str]]:
    return {(line["kind"], line["name"]) for line in records.events(run) if line["kind"] in NAMED}


@pytest.mark.parametrize("view", VIEWS)
def test_a_first_view_says_what_its_experiment_declares_and_nothing_else(view: str, tmp_path) -> None:
    records = Records(tmp_path, ASSETS / "first_views")
    entry = registry.find(records.read(f"first-{view}")["name"])
    found = said(f"first-{view}", records)
    assert {one for one in found if find(entry.outputs, *one) is None} == set(), "said, but not declared"
    if view.endswith("-real"):  # on a model that some parts of the run cannot be had with, as its settings say
        return
    silent = [one.name for one in each(entry.outputs) if not one.optional and not any(one.says(*event) for event in found)]
    assert silent == [], "declared, but not said"


def test_an_exact_name_goes_before_a_pattern() -> None:
    outputs = registry.find("unlearning/soft-tokens").outputs
    assert find(outputs, "metric", "direct recall unlearned").title == "Made to forget: just asked"
    assert find(outputs, "metric", "direct recall original").name == "direct recall {}"
    assert find(outputs, "metric", "direct recall ") is None and find(outputs, "table", "controls") is None


class Everything(dict):
    """The metrics of a run that said everything; notes what a claim asks it for."""

    def __missing__(self, name: str) -> float:
        self[name] = 0.5
        return 0.5

    def get(self, name: str, default: object = None) -> float:
        return self[name]


@pytest.mark.parametrize("paper", CLAIM_TABLES)
def test_a_claim_reads_what_its_experiment_declares(paper: str) -> None:
    asked = {}
    for claim in claims(paper):
        metrics = [Everything() for _ in claim.configs]
        with contextlib.suppress(Exception):  # some ask for more than metrics
            claim.measure([{"metrics": one, "verdict": {"evidence": Everything()}, "config": {}, "outcome": "finished"} for one in metrics])
        asked[claim.id] = {name for one in metrics for name in one}
        outputs = registry.find(claim.experiment).outputs
        assert [name for name in asked[claim.id] if find(outputs, "metric", name) is None] == [], claim.id
    assert sum(map(bool, asked.values())) > 0.7 * len(asked), "hardly any claim was looked at"


def test_lists_tell_every_output_with_its_kind_and_title() -> None:
    for entry in registry.everything():
        rows = plain(entry.outputs)
        assert len(rows) == len(list(each(entry.outputs))) and all(row["kind"] in NAMED and row["title"] for row in rows)
        assert entry.described()["outputs"] == rows


def test_every_declaration_names_a_function_of_its_paper() -> None:
    for paper in PAPERS:
        for entry in registry.declared(paper):
            assert callable(entry.function) and entry.paper in {p.number for p in PAPERS} and registry.find(entry.name) is entry


def test_titles_in_the_spec_are_those_of_the_code() -> None:
    assert audit.ALGORITHM_TITLES == {name: f"{'More: ' * row.more}{row.title}" for name, row in ALGORITHMS.items()}
    assert audit.AUDIT_TITLES == {name: row.title for name, row in AUDITS.items()}
    assert audit.NOT_HERE == {name: row.reason for name, row in AUDITS.items() if row.reason}


def test_a_run_says_aloud_what_its_spec_forgot(tmp_path, caplog: pytest.LogCaptureFixture) -> None:
    run = Run("run-1", "test/forgot", "key", 0, tmp_path, False, "somebody", declared=(metric("loss", "Loss"), metric("loss {}", "Part")))
    for name in ("loss", "loss a", "gain", "gain"):
        run.record(Metric(name, 1.0), None)
    assert [record.getMessage() for record in caplog.records] == ["test/forgot says the metric 'gain', which its spec does not declare"]
