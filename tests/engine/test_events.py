"""Events are plain data: whatever an experiment computes with, JSON comes out."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from core.engine.events import Metric, Table, safe_labels, to_plain


@dataclass
class Point:
    x: float
    inner: list


@pytest.mark.parametrize(("value", "plain"), [
    (np.float32(0.5), 0.5), (np.int64(3), 3), (np.bool_(True), True), (np.arange(3), [0, 1, 2]),
    (torch.tensor(0.25, dtype=torch.bfloat16, requires_grad=True), 0.25), (torch.eye(2), [[1.0, 0.0], [0.0, 1.0]]),
    (float("nan"), None), (float("-inf"), None), (np.float64("inf"), None), (torch.tensor([1.0, float("nan")]), [1.0, None]),
    ((1, (2, "x")), [1, [2, "x"]]), ({1: {True: None}}, {"1": {"True": None}}), (Point(1.0, [np.int8(2)]), {"x": 1.0, "inner": [2]}),
])
def test_values_become_plain(value, plain):
    found = to_plain(value)
    assert found == plain and type(found) is type(plain)
    assert json.loads(json.dumps(found, allow_nan=False)) == plain


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, object(), 1j])
def test_what_json_cannot_carry_is_a_bug_of_the_experiment(value):
    with pytest.raises(TypeError, match="not plain data"):
        to_plain({"deep": [value]})


def test_an_event_is_its_fields():
    loss = torch.tensor(0.75, requires_grad=True) * 2  # no leaf of its graph, which cannot be deep-copied
    assert to_plain(Metric("loss", loss, 3, "nats")) == {"name": "loss", "value": 1.5, "step": 3, "unit": "nats"}
    assert to_plain(Table("t", ["a"], [[np.float64("nan")]])) == {"name": "t", "columns": ["a"], "rows": [[None]]}


def test_labels_keep_line_breaks_and_lose_everything_that_can_act():
    label = 'x<br>y<sub>2</sub><a href="javascript:alert(1)">z</a><img src=x onerror=y><b onclick="a()">w</b><extra></extra>'
    safe = safe_labels({"data": [{"text": [label, 3]}]})["data"][0]["text"]
    assert safe[1] == 3
    assert safe[0] == ('x<br>y<sub>2</sub>&lt;a href="javascript:alert(1)">z&lt;/a>&lt;img src=x onerror=y>'
                       '&lt;b onclick="a()">w</b><extra></extra>')
