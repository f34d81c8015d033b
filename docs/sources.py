"""What the reference is made of, read from the program."""

from __future__ import annotations

import argparse
import ast
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

from core.engine import events as said
from core.engine.settings import REPOSITORY

# Everything that the code reads from the environment; a test looks for others.
VARIABLES = {
    "GLASSBOX_HOME": "Folder for everything that is written at run time: runs and what they keep. Default: the user's data folder.",
    "GLASSBOX_THREADS": "Threads that compute. Part of what makes two runs comparable. Default: the number of cores, at most 4.",
    "GLASSBOX_VENV": "Folder of the virtual environment that launch.sh makes. Default: .venv beside launch.sh.",
    "GLASSBOX_DEBUG": "1 lets the command line show where a bug of the lab itself happened.",
    "GLASSBOX_CHROMIUM": "Path of a Chromium or Chrome for the browser tests. Default: the first one found.",
    "GLASSBOX_REQUIRE_BROWSER": "1 makes a skipped browser test fail, for machines that must run them.",
}
ERRORS = ("LabError", "Failure")


def verbs(parser: argparse.ArgumentParser, words: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every verb of the command line, for example ("runs show", its parser)."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups and words:
        yield words, parser
    for group in groups:
        for name, verb in group.choices.items():
            yield from verbs(verb, f"{words} {name}".strip())


def options(verb: argparse.ArgumentParser) -> list[tuple[str, str]]:
    """(how it is written, what it means) of each argument of a verb."""
    found = []
    for action in verb._actions:
        if isinstance(action, argparse._HelpAction):
            continue
        name = action.option_strings[0] if action.option_strings else ""
        found.append((f"{name} {action.metavar or ''}".strip(), action.help or ""))
    return found


def endpoint(name: str) -> str:
    """The name of an experiment in the API."""
    return re.sub(r"[/-]", "_", name)


def events() -> list[tuple[str, list[str], str]]:
    """(kind, fields, meaning) of each kind of event."""
    return [(kind.kind, [field.name for field in dataclasses.fields(kind)], " ".join((kind.__doc__ or "").split()))
            for kind in said.Event.__subclasses__()]


def code() -> list[Path]:
    """The Python files of the program itself."""
    return sorted(file for folder in ("core", "apps") for file in (REPOSITORY / folder).rglob("*.py"))


def errors() -> list[tuple[str, str]]:
    """(message, hint) of every LabError in the program, with {} where something is filled in, each once, sorted."""
    found = set()
    for file in code():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS and node.args:
                message, hint = (_template(argument) for argument in (*node.args, *(ast.Constant(""),) * (2 - len(node.args))))
                if message.strip("{}. "):
                    found.add((message, hint))
    return sorted(found)


def _template(node: ast.expr) -> str:
    """The text of an argument: literal parts as they are, the rest as a word in braces."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_template(part) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return "{" + _name(node.value) + "}"
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _template(node.left) + _template(node.right)
    if isinstance(node, ast.IfExp):
        return " / ".join(part for part in (_template(node.body), _template(node.orelse)) if part)
    return "{" + _name(node) + "}"


def _name(node: ast.expr) -> str:
    """One plain word for what is filled in: of an attribute its name, of a call what it is about."""
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
        return node.slice.value
    attributes = [part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute) and part.attr != "join"]
    names = [part.id for part in ast.walk(node) if isinstance(part, ast.Name)]
    return next(iter((*attributes, *reversed(names))), "...").strip("_").lower()
