"""Pages, API and routes reach what belongs to somebody through the visitor's door, and the guard's tables know all they need."""

from __future__ import annotations

import ast

import pytest

from core.engine.door import Door
from core.engine.settings import REPOSITORY

CODE = sorted((REPOSITORY / "apps" / "lab").rglob("*.py"))
WHOLE = {"server.py": {"close", "settings"}}


def of_the_engine(file) -> list[str]:
    """What a file asks of something called `engine`."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    asked = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    return [node.attr for node in asked if getattr(node.value, "attr", getattr(node.value, "id", "")) in ("engine", "_engine", "door")]


@pytest.mark.parametrize("file", CODE, ids=lambda file: file.name)
def test_nothing_of_the_lab_asks_for_more_than_the_door_gives(file):
    allowed = {name for name in dir(Door) if not name.startswith("_")} | {"door", "taken", "visitor"} | WHOLE.get(file.name, set())
    assert set(of_the_engine(file)) <= allowed
