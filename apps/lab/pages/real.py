"""The recorded run on a real model that stands beside the one on the little model, on pages that have one. No torch, no weights.

    beside(page)          # HTML: "Recorded runs: little model | real model", links that open each; "" where there is none
    VIEWS                 # by the name of the recorded run: its page, experiment and settings, for `glassbox first-views build`
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from markupsafe import escape

from apps.lab import links
from apps.lab.pages import PAGES, Page
from core.engine.registry import find
from core.engine.settings import FIRST_VIEWS

MODEL = "got/smollm2"
SAID, MORE = "real model", ": SmolLM2, 135 million numbers"  # the rest where there is room for it
ASKED_AGAIN = ["prefix", "affirm", "icl", "choice", "paraphrase", "cloze"]


@dataclass(frozen=True)
class RealView:
    """One recorded run on the real model.  settings: what differs from the defaults of the experiment."""

    route: str
    experiment: str
    settings: dict[str, Any] = field(default_factory=dict)


VIEWS = {
    "unlearning-auditor-real": RealView("unlearning-auditor", "unlearning/audit", {
        "world": "capitals", "reference": None, "actpert": False, "steps": 12, "check_every": 2, "retain_questions": 12,
        "audits": ASKED_AGAIN, "algorithm": "idk_nll"}),
    "soft-token-bench-real": RealView("soft-token-bench", "unlearning/soft-tokens", {
        "what": "alone", "world": "capitals", "targets": 6, "steps": 60}),
    "bias-residuals-text-real": RealView("bias-residuals", "bias/text"),
    "cot-energy-real": RealView("cot-energy", "reasoning/trace", {"new_tokens": 128}),
}


def settings(name: str) -> dict[str, Any]:
    """All that the run of this name was told."""
    return VIEWS[name].settings | {"model": MODEL}


def beside(page: Page) -> str:
    """Two links, to the recorded run on the little model and to the one on the real one; "" for a page without the second."""
    name = next((name for name, view in VIEWS.items() if view.route == page.route and (FIRST_VIEWS / name / "run.json").is_file()), None)
    if name is None:
        return ""
    little = page.route if VIEWS[name].experiment == page.experiments[0] else f"{page.route}?of={VIEWS[name].experiment}"
    return (f'<p class="gb-beside gb-side"><span class="gb-roomy">Recorded runs: </span><a href="{escape(little)}">little model</a> '
            f'<a href="{escape(address(name))}">{escape(SAID)}<span class="gb-roomy">{escape(MORE)}</span></a></p>')


def address(name: str) -> str:
    """Where the page stands with this recorded run and its settings."""
    view = VIEWS[name]
    page = next(page for page in PAGES if page.route == view.route)
    found = links.link(view.route, find(view.experiment).validate(settings(name)), run=f"first-{name}").lstrip("/")
    return found if view.experiment == page.experiments[0] else f"{found}&of={view.experiment}"
