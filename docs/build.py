"""Writes what is generated from the program: docs/reference.md.

    python -m docs.build            # writes it
    python -m docs.build --check    # says whether it is out of date; exit status 1 if it is
"""

from __future__ import annotations

import argparse
import inspect
import subprocess
import sys
from pathlib import Path

from core.engine.settings import REPOSITORY, TELEMETRY_OFF, Settings  # first: switches telemetry off
from docs import sources

REFERENCE = REPOSITORY / "docs" / "reference.md"
CAUTION = "This page is written by `python -m docs.build` from the program itself. Do not edit it."


def reference() -> str:
    """The whole reference as Markdown."""
    parts = [f"# Reference\n\n{CAUTION}", launcher(), command_line(), experiments(), architectures(), events(), pages(), endpoints(),
             settings(), errors()]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def launcher() -> str:
    shown = subprocess.run([str(REPOSITORY / "launch.sh"), "help"], capture_output=True, text=True, check=True).stdout
    return f"## launch.sh\n\n```text\n{shown.rstrip()}\n```"


def command_line() -> str:
    from apps.cli import __doc__ as about
    from apps.cli import parser

    sections = [f"## Command line\n\n{inspect.cleandoc(about)}".replace("\n    glassbox", "\n    ./launch.sh cli")]
    for words, verb in sources.verbs(parser()):
        rows = [[f"`{option}`", meaning] for option, meaning in sources.options(verb)]
        sections.append(f"### glassbox {words}\n\n{verb.description}\n\n" + (table(["option", "meaning"], rows) if rows else ""))
    return "\n\n".join(sections)


def experiments() -> str:
    from apps.cli_run import settings_of
    from core.engine.outputs import plain
    from core.engine.registry import everything

    sections = ["## Experiments and probes\n\nAn experiment is run, watched and recorded. A probe answers at once. "
                "Values are set with `--set FIELD=VALUE`, in a link, or in the `config` of the API."]
    for entry in everything():
        rows = [[f"`{name}`", f"`{default}`", allowed, meaning] for name, default, allowed, meaning
                in settings_of(entry)]
        works = f" Works with models of the families {', '.join(entry.families)}." if entry.families else ""
        said = [[f"`{one['name']}`", one["kind"], one["title"], one.get("unit", "")] for one in plain(entry.outputs)]
        sections.append(f"### {entry.name}\n\n{entry.title} ({entry.kind}, paper {entry.paper}, revision {entry.revision}).{works}\n\n"
                        + table(["field", "default", "allowed", "meaning"], rows)
                        + ("\n\nWhat it says; `{}` stands for a word that differs:\n\n" + table(["name", "kind", "meaning", "unit"], said)
                           if said else ""))
    return "\n\n".join(sections)


def architectures() -> str:
    from core.engine.families import LANGUAGE, TABLE, Either

    rows = []
    for row, types in TABLE:
        shapes = {family.shape: family for family in ([row.yes, row.no] if isinstance(row, Either) else [row])}
        for shape, family in shapes.items():
            reads = ", ".join(f"`{part}`" for part in family.places)
            edits = ", ".join(f"`{part}`" for part in family.places if part != "attn_weights")
            speaks = "yes" if family.name in LANGUAGE else "no"
            rows.append([", ".join(f"`{name}`" for name in types), shape, reads, edits, speaks, speaks])
    return ("## Architectures\n\nWhat can be done with a model, by the `model_type` in its config (diffusion models: by their class). "
            "Where a row has two shapes, the config says which. Audited: the pages on unlearning; attacked: the soft-token bench. "
            "What is not listed may load, and is refused by name where its inside is needed.\n\n"
            + table(["architecture", "shape of a block", "captured", "edited", "audited", "attacked"], rows))


def events() -> str:
    rows = [[f"`{kind}`", ", ".join(f"`{name}`" for name in fields), meaning] for kind, fields, meaning in sources.events()]
    return ("## Events\n\nWhat a run says, one line each in its `events.jsonl`, with a number `seq` and the seconds `t` since it began. "
            "The last line has the kind `end`, the outcome, and what went wrong if anything did.\n\n"
            + table(["kind", "fields", "meaning"], rows))


def pages() -> str:
    from apps.lab.pages import PAGES

    rows = [[f"`/{page.route}`" if page.built else page.name, page.question, page.paper, ", ".join(f"`{name}`" for name in page.experiments)
             or "planned"] for page in PAGES]
    return "## Pages\n\n" + table(["address", "question", "paper", "runs"], rows)


def endpoints() -> str:
    from core.engine.registry import everything

    rows = [[f"`/{sources.endpoint(entry.name)}`", "`config`, `seed`, `fresh`" if entry.kind == "experiment" else "`config`", entry.title]
            for entry in everything()]
    rows += [["`/list`", "", "Everything that can be run, as `glassbox list --json`"],
             ["`/claims`", "`paper`", "What was measured, as `glassbox claims --recorded --json`"]]
    return ("## API\n\nEach endpoint takes plain data and answers with plain data, for `gradio_client` and, with `--mcp`, as a tool under "
            "`/gradio_api/mcp/`.\n\n" + table(["endpoint", "takes", "gives"], rows))


def settings() -> str:
    variables = [[f"`{name}`", meaning] for name, meaning in sources.VARIABLES.items()]
    off = [[f"`{name}`", f"`{value}`"] for name, value in TELEMETRY_OFF.items()]
    return ("## Settings\n\n" + table(["environment variable", "meaning"], variables)
            + f"\n\nInside one process `core.engine.settings.Settings` holds them:\n\n```text\n{inspect.cleandoc(Settings.__doc__)}\n```"
            + "\n\nSwitched off in every process, so that nothing is reported to anybody:\n\n" + table(["variable", "set to"], off))


def errors() -> str:
    rows = [[message, hint] for message, hint in sources.errors()]
    return ("## Errors\n\nEvery error is two sentences: what was wrong, and what to do. A word in braces stands for what was given.\n\n"
            + table(["what was wrong", "what to do"], rows))


def table(columns: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; bars and line breaks in a cell are escaped."""
    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    return "\n".join([line(columns), line(["---"] * len(columns)), *map(line, rows)])


def generated() -> dict[Path, str]:
    """Every generated file with the text that it has to have."""
    return {REFERENCE: reference()}


def main(arguments: list[str] | None = None) -> int:
    """Writes or checks the generated files."""
    parser = argparse.ArgumentParser(prog="python -m docs.build", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, say what is out of date")
    check = parser.parse_args(arguments).check
    stale = {file: text for file, text in generated().items() if not file.is_file() or file.read_text(encoding="utf-8") != text}
    for file, text in stale.items():
        print(f"{'Out of date' if check else 'Written'}: {file.relative_to(REPOSITORY)}")
        if not check:
            file.write_text(text, encoding="utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
