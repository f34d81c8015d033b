"""The verbs that look after what is there: claims, models, runs, first-views."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from apps.cli_output import Answer, Bar, say, table, working
from apps.cli_run import export, own_engine, summary
from core.engine.errors import LabError
from core.engine.events import to_plain
from core.engine.settings import ASSETS, Settings

CLAIM_FIELDS = ("id", "paper", "statement", "kind", "held", "measured", "interval", "threshold", "unit", "seeds", "note")
HELD = {True: "yes", False: "no", "undecided": "undecided", None: "not measured"}


def claims(options: argparse.Namespace) -> Answer:
    """`{"claims": [...]}` as recorded, or measured now, one after another."""
    from core.engine import claims as ledger

    if missing := sorted(set(options.only) - {claim.id for claim in ledger.claims(options.paper)}):
        raise LabError(f"There is no claim '{missing[0]}'.", "Their numbers are in: glassbox claims --recorded")
    if options.recorded:
        rows = [row for row in ledger.recorded(options.paper) if not options.only or row["id"] in options.only]
    else:
        rows = _measured(options.paper, options.only)
        if options.write:
            with working():
                for file in ledger.write(rows):
                    say(f"Written: {file}")
    shown = [{field: to_plain(row[field]) for field in CLAIM_FIELDS} for row in rows]
    return Answer({"claims": shown}, "\n\n".join(map(_claim_in_words, shown)))


def _measured(paper: str | None, only: list[str]) -> list[dict[str, Any]]:
    from core.engine import claims as ledger

    wanted, rows = [claim for claim in ledger.claims(paper) if not only or claim.id in only], []
    with own_engine() as engine, working(), Bar() as bar:
        for claim in wanted:
            say(f"Measuring {claim.id} with {len(claim.seeds)} seeds: {claim.statement}")
            bar.step(len(rows), len(wanted), "claims")
            rows.append(ledger.measure(claim, engine))
            say(f"  held: {HELD[rows[-1]['held']]}")
    return rows


def _claim_in_words(row: dict[str, Any]) -> str:
    low, high = row["interval"] or (None, None)
    measured = "" if row["measured"] is None else f", measured {row['measured']:.4g}"
    between = "" if low is None or high is None else f" (95 % interval {low:.4g} to {high:.4g}, {row['unit']})"
    note = f"\n    {row['note']}" if row["note"] else ""
    return f"{row['id']}  {row['statement']}\n    held: {HELD[row['held']]}{measured}{between}, wanted {row['threshold']}{note}"


def get(options: argparse.Namespace) -> Answer:
    """`{"items": [...]}` of what there is to get; for a name `{name, ref, folder}` or `{name, removed}`.

    Ctrl-C stops it; the next time goes on where that was.
    """
    from core.engine.shop import Shop

    shop = Shop(Settings())
    if options.name is None:
        rows = shop.list()
        text = table(["name", "what", "MB", "licence", "state"],
                     [[row["name"], row["title"], f"{row['size'] / 1e6:.1f}", row["licence"], row["state"]] for row in rows])
        return Answer({"items": rows}, text)
    item = shop.state(options.name)
    if options.remove:
        with working():
            shop.remove(options.name)
        return Answer({"name": options.name, "removed": True}, f"Removed: {item['title']}")
    with working(), Bar() as bar:
        say(f"{item['title']}: {item['size'] / 1e6:.0f} MB, {item['licence']}.")
        folder = shop.get(options.name, report=lambda step: bar.step(step.done // 1_000_000, step.total // 1_000_000, step.words))
    use = f" Use it as {item['ref']}." if item["ref"] else ""
    return Answer({"name": options.name, "ref": item["ref"], "folder": str(folder)}, f"Stored in {folder}.{use}")


def list_models(options: argparse.Namespace) -> Answer:
    """`{"models": [{name, ref, architecture, parameters, megabytes, fingerprint}]}` of the embedded models."""
    from core.engine.models import ModelStore
    from core.engine.weights import count_parameters, weight_files

    store, rows = ModelStore(Settings(any_path=True)), []
    for name in store.embedded():
        folder = ASSETS / "models" / name
        files = weight_files(folder)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        architectures = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("architectures") or [None]
        rows.append({"name": name, "ref": f"embedded/{name}", "architecture": architectures[0], "parameters": count_parameters(files),
                     "megabytes": round(size / 1e6, 2), "fingerprint": store.fingerprint(f"embedded/{name}")})
    text = table(["model", "architecture", "parameters", "MB"],
                 [[row["ref"], row["architecture"], f"{row['parameters']:,}", f"{row['megabytes']:.1f}"] for row in rows])
    return Answer({"models": rows}, text)


def show_card(options: argparse.Namespace) -> Answer:
    """`{name, ref, card}`: the card is Markdown."""
    name = options.name.removeprefix("embedded/")
    _embedded(name)
    file = ASSETS / "models" / name / "card.md"
    if not file.is_file():
        raise LabError(f"The model '{name}' has no card.", f"Build it again: glassbox models build {name}")
    card = file.read_text(encoding="utf-8")
    return Answer({"name": name, "ref": f"embedded/{name}", "card": card}, card.rstrip())


def _embedded(name: str) -> None:
    from core.engine.models import ModelStore

    known = ModelStore(Settings(any_path=True)).embedded()
    if name not in known:
        raise LabError(f"There is no embedded model called '{name}'.", f"There are: {', '.join(known) or 'none yet'}.")


def build_model(options: argparse.Namespace) -> Answer:
    """Trains a model again in place. `{name, ref, folder, fingerprint}`."""
    from core.engine.models import ModelStore
    from core.zoo.recipes import RECIPES, build

    name = options.name.removeprefix("embedded/")
    if name not in RECIPES:
        raise LabError(f"There is no recipe for a model called '{name}'.", f"There are: {', '.join(RECIPES)}.")
    say(f"Training {name}. This takes minutes; the model that is there stays until the new one is whole.")
    with working(), Bar() as bar:
        folder = build(name, bar.step)
    ref = f"embedded/{name}"
    fingerprint = ModelStore(Settings(any_path=True)).fingerprint(ref)
    return Answer({"name": name, "ref": ref, "folder": str(folder), "fingerprint": fingerprint}, f"Built {ref} in {folder}.")


def list_runs(options: argparse.Namespace) -> Answer:
    """`{"runs": [run.json without who asked, ...], "damaged": [ids of records that cannot be read]}`, newest first."""
    if options.limit < 1:
        raise LabError(f"--limit cannot be {options.limit}.", "Give a number of at least 1.")
    records = _records()
    found = [run.public() for run in records.list(name=options.name)[:options.limit]]
    rows = [[run["id"], run["name"], run["outcome"], run["seed"], run["duration_s"], run["created"][:19]] for run in found]
    text = table(["run", "experiment", "outcome", "seed", "seconds", "created"], rows) if rows else "No runs yet."
    damaged = records.damaged()
    if damaged:
        text += f"\n\nDamaged records, which only 'runs delete' can do something with: {', '.join(damaged)}"
    return Answer({"runs": found, "damaged": damaged}, text)


def _records():
    from core.engine.records import Records

    return Records(Settings().runs, ASSETS / "first_views")


def show_run(options: argparse.Namespace) -> Answer:
    """The result of one run, as `run --json` gave it, with where and how it was computed."""
    from core.engine.report import command

    with own_engine() as engine:
        run = engine.records.read(options.id).public()
        result = engine.result(options.id)
    more = {field: run[field] for field in ("title", "paper", "revision", "created", "threads", "versions", "fingerprints")}
    text = f"{run['title']}\n\n{summary(result)}\nAgain: {command(run)}"
    return Answer(result | more | {"command": command(run)}, text)


def export_run(options: argparse.Namespace) -> Answer:
    """`{run_id, files}` after writing data.json, metrics.csv and report.html."""
    folder = options.out or Path(options.id)
    with own_engine() as engine:
        engine.records.read(options.id)
        with working():
            files = export(engine, options.id, folder)
    return Answer({"run_id": options.id, "files": [str(file) for file in files]}, "\n".join(f"Written: {file}" for file in files))


def delete_runs(options: argparse.Namespace) -> Answer:
    """`{"deleted": [run_id, ...]}`; nothing is deleted when one of them does not exist."""
    records = _records()
    for run_id in options.id:
        records.folder(run_id)
    with working():
        for run_id in options.id:
            records.delete(run_id)
    return Answer({"deleted": options.id}, "\n".join(f"Deleted: {run_id}" for run_id in options.id))


def build_first_views(options: argparse.Namespace) -> Answer:
    """`{"first_views": [{page, folder}]}` after running what the pages open with: their experiment as it is by default.

    Those on a real model, which has to be got first, are run when they are named alone.
    """
    from apps.lab.pages import PAGES, real
    from core.engine.first_views import build

    pages = {page.first_view(name): name for page in PAGES if page.built for name in page.experiments}
    asked = {options.page: real.VIEWS[options.page].experiment} if options.page in real.VIEWS else pages
    if options.page is not None and options.page not in asked:
        raise LabError(f"There is no page called '{options.page}' to build a first view for.",
                       f"There are: {', '.join([*pages, *real.VIEWS])}.")
    built = []
    with own_engine() as engine, working():
        for route in [options.page] if options.page else pages:
            say(f"Running the first view of {route} ...")
            given = real.settings(route) if route in real.VIEWS else {}
            built.append({"page": route, "folder": str(build(engine, route, asked[route], given, seed=0))})
    return Answer({"first_views": built}, "\n".join(f"Written: {row['folder']}" for row in built))
