"""Who may import whom: lower floors never know higher ones, no field another, no paper its neighbour, and there is no circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from core.engine.settings import REPOSITORY

FLOORS = (("core.papers",), ("core.engine",), ("core.stats", "core.plots"), ("core.scenes",),
          ("core.unlearning", "core.bias", "core.reasoning", "core.emotion", "core.steering", "core.federated", "core.factors",
           "core.learngene"), ("core.zoo",), ("apps",))
FIELDS = FLOORS[4]
MODULES = {str(file.relative_to(REPOSITORY))[:-3].replace("/", ".").removesuffix(".__init__"): file
           for folder in ("core", "apps") for file in (REPOSITORY / folder).rglob("*.py")}


def imports(file: Path) -> set[str]:
    """The modules of this program that a file names in an import, those for types and those inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in inner}
    return found & set(MODULES)


def within(module: str, room: str) -> bool:
    return module == room or module.startswith(room + ".")


def floor(module: str) -> int | None:
    return next((number for number, rooms in enumerate(FLOORS) if any(within(module, room) for room in rooms)), None)


def trespasses(graph: dict[str, set[str]]) -> Iterator[str]:
    """Every import that goes up, across to another field, or into the rooms of one paper from outside them, in words."""
    for module, used in graph.items():
        home = next((room for room in FIELDS if within(module, room)), None)
        for other in used:
            if floor(other) > floor(module):
                yield f"{module} imports {other}, which stands on a higher floor"
            if home and floor(other) == floor(module) and not within(other, home):
                yield f"{module} imports {other}, another field"
            paper = other.split(".")[:3]
            if home and within(other, home) and len(other.split(".")) > 3 and module.split(".")[:3] != paper:
                if "algorithms" not in paper:
                    yield f"{module} imports {other}: what two papers share stands one level up"


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    return {module: imports(file) - {module} for module, file in MODULES.items()}


def test_every_module_stands_on_a_floor(graph: dict[str, set[str]]) -> None:
    assert [module for module in graph if module not in ("core",) and floor(module) is None] == []


def test_nobody_imports_from_above_or_from_next_door(graph: dict[str, set[str]]) -> None:
    assert list(trespasses({module: used - {"core"} for module, used in graph.items() if module != "core"})) == []


def test_there_is_no_circle(graph: dict[str, set[str]]) -> None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        pytest.fail(" -> ".join(circle.args[1]))


def test_the_rules_see_what_they_forbid() -> None:
    wrong = {"core.engine.lab": {"core.plots"}, "core.learngene.vit": {"core.reasoning.data"}, "core.reasoning.data": {"core.zoo.recipes"},
             "core.learngene.pool.probes": {"core.learngene.depth.figures"}, "core.learngene.figures": {"core.learngene.depth.figures"}}
    assert [len(list(trespasses({module: used}))) for module, used in wrong.items()] == [1] * len(wrong)
    fine = {"core.learngene.pool.probes": {"core.learngene.figures", "core.learngene.pool.pool", "core.plots"},
            "core.zoo.learngene": {"core.learngene.depth.learngene"}, "core.unlearning.replies": {"core.unlearning.algorithms.refusals"}}
    assert list(trespasses(fine)) == []
