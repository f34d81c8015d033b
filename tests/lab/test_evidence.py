"""What the evidence tab says of a measured claim: the numbers in the unit of its sentence."""

from __future__ import annotations

import re

import pytest

from apps.lab.ui.evidence import aim, evidence_html
from core.engine import claims

ROW = {"id": "00.1", "statement": "It is better.", "note": "", "unit": "mean over seeds", "scale": "number", "held": True, "measured": 0.5,
       "threshold": ">= 0.1", "interval": [0.25, 0.75], "seeds": [0, 1, 2]}


def said(monkeypatch: pytest.MonkeyPatch, **changed) -> str:
    monkeypatch.setattr(claims, "recorded", lambda paper: [ROW | changed])
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", evidence_html("00")))


@pytest.mark.parametrize(("changed", "words"), [
    ({}, "0.5 (0.25 to 0.75) ≥ 0.1"),
    ({"scale": "points"}, "50 points (25 to 75) ≥ 10 points"),
    ({"scale": "points", "threshold": "<= 0.01"}, "50 points (25 to 75) ≤ 1 point "),
    ({"scale": "share"}, "50 % (25 to 75) ≥ 10 %"),
    ({"scale": "share", "interval": [0.4, 1.2]}, "50 % (40 to 100) ≥ 10 %"),
    ({"scale": "correlation", "interval": [-1.18, 1.55]}, "0.5 (-1 to 1) ≥ 0.1"),
    ({"interval": [-1.18, 1.55]}, "0.5 (-1.18 to 1.55) ≥ 0.1"),
    ({"measured": 2.1e-7, "interval": None, "threshold": "<= 0.0001"}, "2.10e-07 ≤ 0.0001"),
    ({"measured": None, "interval": None, "held": None, "note": "No such model."}, "No such model. – not measured – ≥ 0.1")])
def test_a_claim_is_in_the_unit_of_its_sentence(monkeypatch, changed, words):
    assert words in said(monkeypatch, **changed)


def test_whoever_speaks_of_points_is_measured_in_points():
    for paper in claims.CLAIM_TABLES:
        for row in claims.recorded(paper):
            assert aim(row).endswith(("point", "points")) or not re.search(r"\d points?\b", row["statement"])


def test_a_claim_on_a_real_model_stands_beside_the_one_on_the_little_model(monkeypatch):
    little, real = ROW | {"measured": 0.25}, ROW | {"id": "00.R1", "beside": "00.1", "held": False, "statement": "<b>Real</b>"}
    monkeypatch.setattr(claims, "recorded", lambda paper: [little, real])
    board = evidence_html("00").partition("Little model, real model")[2]
    said = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", board))
    assert "It is better." in said and said.index("0.25 (0.25 to 0.75)") < said.index("0.5 (0.25 to 0.75)")
    assert "<b>" not in board
