"""What a race kept can be taken along by whom it belongs to, and nothing else of its folder."""

from __future__ import annotations

import pytest

from core.engine.door import Door
from core.engine.errors import LabError

QUICK = {"steps": 2, "batch": 4, "pictures": 50, "questions": 20}
MINE, OTHER = "a" * 32, "b" * 32


def test_a_kept_steering_is_taken_along_by_its_visitor_alone(warm_engine):
    run = warm_engine.start("steering/train", QUICK | {"positions": "first_last", "rival": "ia3"}, visitor=MINE)
    warm_engine.wait(run.id)
    door = Door(warm_engine, MINE)
    assert door.kept_file(run.id, "steering", "model.safetensors").stat().st_size > 2310 * 4
    assert b'"linear_steering"' in door.kept_file(run.id, "steering", "config.json").read_bytes()
    for who, name, file in ((OTHER, "steering", "config.json"), (MINE, "other", "config.json"), (MINE, "steering", "../../run.json"),
                            (MINE, "..", "config.json"), (MINE, "steering", "events.jsonl")):
        with pytest.raises(LabError):
            Door(warm_engine, who).kept_file(run.id, name, file)
