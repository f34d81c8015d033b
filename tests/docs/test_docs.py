"""The documentation says what the program does: generated pages are fresh, nothing is left out, and its commands exist."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest

from apps.cli import parser
from core.engine import registry
from core.engine.settings import REPOSITORY
from core.engine.text_values import config_from_text
from docs import build, sources

CARDS = sorted((REPOSITORY / "assets" / "models").glob("[!.]*/card.md"))
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md")), *CARDS]
WRITTEN_BY_HAND = [page for page in PAGES if page != build.REFERENCE]


def _name(page: Path) -> str:
    return str(page.relative_to(REPOSITORY))


@pytest.fixture(scope="module")
def generated() -> dict[str, str]:
    return {_name(file): text for file, text in build.generated().items()}


@pytest.mark.parametrize("name", ["docs/reference.md"])
def test_generated_files_are_fresh(generated: dict[str, str], name: str) -> None:
    assert (REPOSITORY / name).read_text(encoding="utf-8") == generated[name], f"{name} is out of date; run: python -m docs.build"


def test_every_experiment_and_field_is_documented() -> None:
    text = build.REFERENCE.read_text(encoding="utf-8")
    for entry in registry.everything():
        section = text.split(f"\n### {entry.name}\n", 1)[1].split("\n### ", 1)[0]
        for field, info in entry.config.model_fields.items():
            assert info.description, f"{entry.name}: {field} has no description"
            assert f"| `{field}` |" in section and info.description.replace("|", "\\|") in section


def test_every_event_verb_and_option_is_documented() -> None:
    text = build.REFERENCE.read_text(encoding="utf-8")
    for kind, fields, meaning in sources.events():
        assert kind and meaning and f"| `{kind}` | {', '.join(f'`{field}`' for field in fields)} |" in text
    for words, verb in sources.verbs(parser()):
        section = text.split(f"\n### glassbox {words}\n", 1)[1].split("\n### ", 1)[0]
        for option, meaning in sources.options(verb):
            assert meaning, f"glassbox {words} {option} has no help"
            assert f"| `{option}` |" in section


def test_every_error_is_documented() -> None:
    text, found = build.REFERENCE.read_text(encoding="utf-8"), 0
    for file in sources.code():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "LabError" and isinstance(node.args[0], ast.Constant):
                found += 1
                assert node.args[0].value.replace("|", "\\|") in text, f"{file.name}: {node.args[0].value}"
    assert found > 10


def test_every_environment_variable_is_documented() -> None:
    files = [*sources.code(), REPOSITORY / "launch.sh", REPOSITORY / ".ci" / "run", REPOSITORY / "tests" / "conftest.py"]
    used = {name for file in files for name in re.findall(r"GLASSBOX_[A-Z_]+", file.read_text(encoding="utf-8"))}
    assert used == set(sources.VARIABLES)


def _commands(page: Path) -> list[list[str]]:
    """The commands in a page's shell blocks and inline, as words without their remarks."""
    text = page.read_text(encoding="utf-8")
    blocks = "\n".join(re.findall(r"```(?:bash|sh|text)\n(.*?)```", text, re.DOTALL)).splitlines()
    inline = re.findall(r"`((?:\./launch\.sh|glassbox) [^`]*)`", text)
    return [shlex.split(line, comments=True) for line in (*blocks, *inline) if line.strip() and "..." not in line]


def _check_cli(words: list[str]) -> None:
    if not words:
        return
    options = parser().parse_args(words)
    if options.verb == "run":
        experiment = registry.find(options.name)
        config_from_text(experiment, dict(pair.split("=", 1) for pair in options.set))
    if options.verb == "sweep":
        assert {pair.split("=", 1)[0] for pair in options.set} <= set(registry.find(options.name).config.model_fields)


def _check(words: list[str]) -> bool:
    """Whether these words are a command of ours; raises if they are and cannot be."""
    from apps.lab.__main__ import _options

    if words[0] == "glassbox":
        _check_cli(words[1:])
    elif words[0] == "./launch.sh" and words[1:2] == ["cli"]:
        _check_cli(words[2:])
    elif words[0] == "./launch.sh" and (len(words) == 1 or words[1].startswith("--")):
        _options(words[1:])
    elif words[0] == "./launch.sh":
        assert re.search(rf"^\./launch\.sh {words[1]}\b", build.launcher(), re.MULTILINE), words
    elif "-m" in words:
        module = words[words.index("-m") + 1]
        assert (REPOSITORY / (module.replace(".", "/") + ".py")).is_file(), words
    else:
        return False
    return True


@pytest.mark.parametrize("page", WRITTEN_BY_HAND, ids=_name)
def test_commands_in_the_documentation_exist(page: Path) -> None:
    checked = [words for words in _commands(page) if _check(words)]
    assert checked or page.name not in ("README.md", "card.md"), "no command was found in it"


def test_a_wrong_command_would_be_noticed() -> None:
    for line in ("./launch.sh cli rnu unlearning/audit", "./launch.sh cli run unlearning/audit --set algorithm=best", "./launch.sh tset",
                 "./launch.sh --prot 8000", "python -m docs.biuld"):
        with pytest.raises((Exception, SystemExit)):
            _check(shlex.split(line))


def test_python_in_the_readme_names_a_real_endpoint() -> None:
    block = re.search(r"```python\n(.*?)```", (REPOSITORY / "README.md").read_text(encoding="utf-8"), re.DOTALL)[1]
    calls = [node for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "predict"]
    names = {f"/{sources.endpoint(entry.name)}": entry for entry in registry.everything()}
    assert calls
    for call in calls:
        endpoint = next(ast.literal_eval(keyword.value) for keyword in call.keywords if keyword.arg == "api_name")
        names[endpoint].validate(ast.literal_eval(call.args[0]))


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_launch_help_lists_the_options_of_the_lab() -> None:
    from apps.lab import __main__ as lab

    taken = set(re.findall(r'add_argument\("(--[a-z-]+)"', Path(lab.__file__).read_text(encoding="utf-8")))
    assert taken == set(re.findall(r"^    (--[a-z-]+)", build.launcher(), re.MULTILINE))
