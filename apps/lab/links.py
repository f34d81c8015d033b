"""A link is a page, the settings that differ from their defaults, and perhaps a run.

    /unlearning-auditor?algorithm=ga&steps=30&seed=1&run=20261124-101500-a1b2c3d4e5f6

A page with several experiments names the one that is meant, unless it is the first: `of=reasoning/roc`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from apps.lab.pages import page_of
from core.engine.errors import LabError
from core.engine.experiment import Config, Experiment
from core.engine.registry import find
from core.engine.stored import RunRecord
from core.engine.text_values import config_from_text, to_text

OTHER = "of"
FOREIGN_PREFIXES = ("__", "utm_")  # Gradio's own __theme, and what mail programs append


@dataclass(frozen=True)
class Opened:
    """What a link asks for. `config` None: nothing, or nothing that can be; then `error` says why."""

    config: Config | None = None
    seed: int = 0
    run: str = ""
    error: LabError | None = field(default=None)


def link(route: str, config: Config, seed: int = 0, run: str = "") -> str:
    """The address that opens this view again."""
    query = {name: to_text(value) for name, value in config.changed().items()}
    if seed:
        query["seed"] = str(seed)
    if run:
        query["run"] = run
    return f"/{route}" + (f"?{urlencode(query)}" if query else "")


def to_run(run: RunRecord) -> str:
    """The address of a recorded run; a run of an earlier version whose settings no longer exist keeps its number only."""
    page = page_of(run["name"])
    if page is None:
        return "/"
    try:
        config = find(run["name"]).validate(run["config"])
    except LabError:
        address = f"/{page.route}?run={run['id']}"
    else:
        address = link(page.route, config, run["seed"], run["id"])
    return address if run["name"] == page.experiments[0] else f"{address}&{urlencode({OTHER: run['name']})}"


def ours(query: Mapping[str, str]) -> dict[str, str]:
    """What of a query is meant for us."""
    return {key: value for key, value in query.items() if not key.startswith(FOREIGN_PREFIXES)}


def read(experiment: Experiment, query: Mapping[str, str]) -> Opened:
    """What the query of an address asks for. Wrong names and values give a sentence, never an exception."""
    given = ours(query)
    if not means(experiment, given.pop(OTHER, "")):
        return Opened()
    run, seed_text = given.pop("run", ""), given.pop("seed", "")
    try:
        if seed_text and (not seed_text.isascii() or not seed_text.isdigit() or int(seed_text) >= 2**31):
            raise LabError(f"The seed in this link cannot be '{seed_text[:40]}'.", "A seed is a whole number from 0 to 2147483647.")
        config = config_from_text(experiment, given) if given or seed_text else None
        return Opened(config, int(seed_text or 0), run)
    except LabError as error:
        return Opened(run=run, error=error)


def means(experiment: Experiment, named: str) -> bool:
    """Whether a link is about this experiment: it names it, or names none and this is the first of its page."""
    page = page_of(experiment.name)
    return named == experiment.name or not (page and named in page.experiments) and (page is None or page.experiments[0] == experiment.name)
