"""Gradio's own check of files is at work in the mounted app, also for whoever would get past the guard."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.attack.conftest import META, SECRET, Lab


@pytest.fixture(scope="module")
def inner(lab: Lab) -> TestClient:
    """The Gradio app itself, without anything of ours in front."""
    return TestClient(lab.mounted, base_url="http://127.0.0.1:7860", raise_server_exceptions=False)


def copies(lab: Lab) -> list[Path]:
    """Where what lies outside has come to lie inside."""
    return [file for file in (lab.home / "tmp").rglob("*") if file.is_file() and file.read_bytes() == SECRET.encode()]


@pytest.mark.parametrize("control", ["TAKES", "PLAIN"])
def test_a_value_that_claims_to_be_a_file_brings_none(lab: Lab, inner, control):
    secret = str(lab.outside / "secret.txt")
    for value in ({"path": secret, "meta": META}, [{"path": secret, "meta": META}], {"path": secret, "url": "x", "meta": META}):
        answer = inner.post("/gradio_api/run/predict", json={"fn_index": lab.controls[control], "data": [value], "session_hash": "inner"})
        assert answer.status_code == 500 and SECRET not in answer.text
        assert copies(lab) == []


def test_what_was_sent_is_taken(lab: Lab):
    sent = lab.bob.post("/gradio_api/upload", files={"files": ("mine.csv", b"question,answer\nWho?,Ida\n")}).json()[0]
    body = {"fn_index": lab.controls["TAKES"], "data": [{"path": sent, "meta": META}], "session_hash": "honest"}
    answer = lab.bob.post("/gradio_api/run/predict", json=body)
    assert answer.status_code == 200 and "upload/" in answer.text
    assert not Path(sent).exists(), "what a page has taken is gone from where the browser put it"
    assert lab.bob.post("/gradio_api/run/predict", json=body).status_code == 400


def test_the_app_counts_as_launched_until_it_closes(lab: Lab):
    assert lab.mounted.get_blocks().has_launched and lab.mounted.get_blocks().is_running
