"""What never happens in this house, checked over its own source, and what its assets may weigh."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.engine.settings import ASSETS, REPOSITORY, TELEMETRY_OFF

FOLDERS = ("core", "apps", "docs", "benchmarks")
SOURCES = [file for folder in FOLDERS for file in sorted((REPOSITORY / folder).rglob("*.py"))]

# DESIGN: megabytes that each group of embedded models may weigh, by the first word of their names.
BUDGET = {"worlds": 16, "reasoner": 14, "scenes": 18, "learngene": 8, "emotion": 3, "federated": 12, "factors": 3}
FIRST_VIEWS, LARGEST = 8, 16
MEGABYTE = 1e6


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in ("import_module", "__import__"):
            yield from (argument.value for argument in node.args if isinstance(argument, ast.Constant))


def forbidden(source: str, in_core: bool) -> list[str]:
    """What a source file does that no file here may do."""
    tree, found = ast.parse(source), []
    for name in _imports(tree):
        root = name.split(".")[0]
        if root in ("torchvision", "pickle", "dill", "joblib") or name == "html" or in_core and root in ("apps", "gradio", "streamlit"):
            found.append(f"imports {name}")
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "trust_remote_code" and not (
                isinstance(node.value, ast.Constant) and node.value.value is False):
            found.append("trusts remote code")
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and (node.value.id, node.attr) in (
                ("torch", "load"), ("gr", "load"), ("gradio", "load")):
            found.append(f"calls {node.value.id}.{node.attr}")
    return found


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(REPOSITORY)))
def test_no_file_does_what_no_file_may(file: Path) -> None:
    assert forbidden(file.read_text(encoding="utf-8"), in_core=file.is_relative_to(REPOSITORY / "core")) == []


def test_the_rules_see_what_they_forbid() -> None:
    wrong = ("import gradio as gr", "from apps.lab import site", "import importlib; importlib.import_module('streamlit')",
             "import torchvision.ops", "from pickle import loads", "from html import escape", "torch.load(path)", "gr.load('x')",
             "AutoModel.from_pretrained(p, trust_remote_code=True)", "f(trust_remote_code=flag)")
    assert all(forbidden(source, in_core=True) for source in wrong)
    assert forbidden("import gradio as gr\nf(trust_remote_code=False)", in_core=False) == []


def test_no_file_names_a_place_of_one_machine() -> None:
    hosts = ["https://" + host for host in ("pypi", "files.python", "download.pytorch")]
    places = ["/" + folder + "/" for folder in ("work", "root", "opt")] + hosts
    kept = [REPOSITORY / name for name in ("launch.sh", "README.md", "NOTICE", "pyproject.toml", "constraints.txt", ".ci/run")]
    texts = [file for folder in (*FOLDERS, "tests") for ending in ("py", "md", "js", "css", "json", "txt")
             for file in (REPOSITORY / folder).rglob(f"*.{ending}")]
    for file in [*kept, *texts, *(REPOSITORY / "assets").rglob("*.md"), *(REPOSITORY / "assets").rglob("*.json")]:
        text = file.read_text(encoding="utf-8")
        assert not [place for place in places if place in text], file


def _in_a_new_process(code: str, **environment: str) -> dict:
    clean = {name: value for name, value in os.environ.items() if name not in TELEMETRY_OFF}
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, env=clean | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("entry", ["core.engine.settings", "apps.cli", "apps.lab.__main__", "apps.notebook.__main__"])
def test_every_entry_switches_telemetry_off(entry: str) -> None:
    seen = _in_a_new_process(f"import json, os, {entry}; print(json.dumps(dict(os.environ)))", GRADIO_ANALYTICS_ENABLED="True")
    assert {name: seen.get(name) for name in TELEMETRY_OFF} == TELEMETRY_OFF


def test_the_libraries_themselves_say_that_telemetry_is_off() -> None:
    code = ("import json, core.engine.settings, gradio as gr, huggingface_hub.constants as hub\n"
            "print(json.dumps({'gradio': gr.Blocks().analytics_enabled, 'hub': not hub.HF_HUB_DISABLE_TELEMETRY}))")
    assert _in_a_new_process(code) == {"gradio": False, "hub": False}


def test_streamlit_says_so_too() -> None:
    pytest.importorskip("streamlit", reason="The notebook is not installed: ./launch.sh notebook installs it.")
    code = "import core.engine.settings\nfrom streamlit.web import cli\ncli.main(['config', 'show'])"  # as the notebook starts it
    clean = {name: value for name, value in os.environ.items() if name not in TELEMETRY_OFF}
    shown = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, env=clean, capture_output=True, text=True)
    assert "gatherUsageStats = false" in shown.stdout, shown.stderr


def test_telemetry_is_switched_in_one_place_only() -> None:
    switches = set(TELEMETRY_OFF) - {"TOKENIZERS_PARALLELISM"}
    elsewhere = {str(file): name for file in SOURCES for name in switches
                 if file.name != "settings.py" and name in file.read_text(encoding="utf-8")}
    assert elsewhere == {}


def _weight(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / MEGABYTE


def _models() -> list[Path]:
    return sorted(file.parent for file in (ASSETS / "models").glob("[!.]*/config.json"))


def test_embedded_models_stay_within_their_budget() -> None:
    groups: dict[str, float] = {}
    for folder in _models():
        word = folder.name.split("-")[0]
        assert word in BUDGET, f"{folder.name} belongs to no group of the budget"
        groups[word] = groups.get(word, 0) + _weight(folder)
    assert {word: round(weight, 1) for word, weight in groups.items() if weight > BUDGET[word]} == {}


def test_first_views_stay_within_their_budget() -> None:
    assert _weight(ASSETS / "first_views") <= FIRST_VIEWS


def test_no_asset_is_too_large_for_the_history() -> None:
    large = [str(file) for file in ASSETS.rglob("*") if file.is_file() and file.stat().st_size > LARGEST * MEGABYTE]
    assert large == []


def test_every_embedded_model_names_its_licence_its_recipe_and_its_hashes() -> None:
    for folder in _models():
        card = (folder / "card.md").read_text(encoding="utf-8")
        assert "licence" in card.lower() or "license" in card.lower(), folder.name
        assert f" models build {folder.name}`" in card
        assert (folder / "manifest.json").is_file()


@pytest.mark.parametrize("name", ["LICENSE", "NOTICE"])
def test_the_licence_lies_at_the_top(name: str) -> None:
    assert "Apache License" in (REPOSITORY / name).read_text(encoding="utf-8")


def test_constraints_pin_every_package_that_is_asked_for() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *extras["test"], *extras["mcp"], *extras["notebook"]]
    lines = [line for line in (REPOSITORY / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    pinned = {line.split("==")[0].lower().replace("_", "-"): line.split("==")[1] for line in lines}
    assert {re.match(r"[\w.-]+", word)[0].lower().replace("_", "-") for word in asked} <= set(pinned)
    assert pinned["torch"] == "2.13.0" and not [version for version in pinned.values() if "+" in version]
