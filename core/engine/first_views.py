"""The recorded run that fills a page when it opens: `assets/first_views/PAGE/` with run.json, events.jsonl and pictures.

    build(engine, "unlearning-auditor", "unlearning/audit", {"algorithm": "npo"}, seed=0)
    engine.records.read("first-unlearning-auditor")["commit"]
    check("unlearning-auditor", engine.models)    # [] while it still shows what the lab would compute today

Kept models stay behind: a first view is looked at, not built upon.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.engine.errors import LabError
from core.engine.records import Records, read_events, write_json
from core.engine.registry import find
from core.engine.settings import FIRST_VIEWS, REPOSITORY

if TYPE_CHECKING:
    from core.engine.models import ModelStore
    from core.engine.runner import Engine


def pages(folder: Path = FIRST_VIEWS) -> list[str]:
    """Names of the pages that have a first view."""
    return sorted(file.parent.name for file in folder.glob("*/run.json"))


def build(engine: Engine, page: str, experiment: str, config: dict[str, Any], seed: int = 0, folder: Path = FIRST_VIEWS) -> Path:
    """Runs the experiment anew and stores it as the first view of `page`. Raises LabError if it does not finish."""
    run = engine.start(experiment, config, seed=seed, visitor="first-views", fresh=True, pinned=True)
    state = engine.wait(run.id)
    if state["outcome"] != "finished":
        raise LabError(f"The first view of {page} could not be built: {state['error'] or state['outcome']}", state["hint"])
    return export(engine.records, run.id, page, folder)


def export(records: Records, run_id: str, page: str, folder: Path = FIRST_VIEWS) -> Path:
    """A finished run in the form in which it ships: without who asked for it, with the commit that computed it."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,60}", page):
        raise LabError(f"'{page}' is not the name of a page.", "A page is named like its address, for example unlearning-auditor.")
    state, source = records.read(run_id), records.folder(run_id)
    if state.outcome != "finished":
        raise LabError(f"Run {run_id} has the outcome '{state.outcome}'.", "Only a finished run can become a first view.")
    folder.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=".part-", dir=folder))
    part.chmod(0o755)
    try:
        shipped = {name: value for name, value in state.public().items() if name != "pinned"}
        write_json(part / "run.json", shipped | {"id": f"first-{page}", "owner": "", "visitors": [], "published": True, "commit": commit()})
        lines = [line for line in read_events(source / "events.jsonl") if line["kind"] != "file"]  # what is taken away stays behind, too
        for seq, line in enumerate(lines):
            line["seq"] = seq
            if line["kind"] == "picture":
                shutil.copyfile(source / line["file"], part / line["file"])
            if line["kind"] == "keep":
                line["ref"] = f"run/first-{page}/{line['name']}"
        text = "".join(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in lines)
        (part / "events.jsonl").write_bytes(text.encode())
        shutil.rmtree(folder / page, ignore_errors=True)
        part.rename(folder / page)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder / page


def _is_here(ref: str, models: ModelStore) -> bool:
    """False for a model that can be got and was not: its recorded runs are looked at all the same."""
    try:
        return not ref.startswith("got/") or bool(models.got(ref.removeprefix("got/")))
    except LabError:
        return False


def commit() -> str | None:
    """The commit of the code that is running, with "+" if core/ has changed since; None outside a git checkout."""
    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--", "core", "assets/models") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def check(page: str, models: ModelStore, experiment: str | None = None, config: dict[str, Any] | None = None,
          seed: int | None = None, folder: Path = FIRST_VIEWS) -> list[str]:
    """Why the first view of `page` is no longer what the lab would compute; empty while it is.

    `experiment`, `config` and `seed` are what the page says its first view shows; None leaves that unchecked.
    """
    file = folder / page / "run.json"
    if not file.is_file():
        return [f"{page} has no first view."]
    run = json.loads(file.read_text(encoding="utf-8"))
    today = find(run["name"])
    wrong = []
    if experiment not in (None, run["name"]):
        wrong.append(f"It shows {run['name']}, the page wants {experiment}.")
    if run["revision"] != today.revision:
        wrong.append(f"It was computed by revision {run['revision']} of {today.name}, which is now at {today.revision}.")
    try:
        stored = today.validate(run["config"])
        fingerprints = {ref: models.fingerprint(ref) for ref in today.models(stored) if _is_here(ref, models)}
    except LabError as error:
        return [*wrong, str(error)]
    if stored.model_dump(mode="json") != run["config"]:
        wrong.append("Its config lacks fields that the experiment has today.")
    if config is not None and stored != today.validate(config):
        wrong.append("Its config is not the one that the page wants.")
    if seed not in (None, run["seed"]):
        wrong.append(f"It was computed with seed {run['seed']}, the page wants {seed}.")
    wrong += [f"{ref} has changed since." for ref, fingerprint in fingerprints.items() if run["fingerprints"].get(ref) != fingerprint]
    lines = read_events(file.parent / "events.jsonl")
    if not lines or lines[-1]["kind"] != "end":
        wrong.append("Its log is not complete.")
    return wrong
