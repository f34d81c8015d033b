"""What the parts of one page know of each other while it is built, and how any of them starts a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from apps.lab.pages import Page
from apps.lab.ui.controls import Controls
from apps.lab.ui.lesson import Tally
from apps.lab.ui.live_view import LiveView, refused, shown
from apps.lab.ui.own_file import REFUSED
from apps.lab.visitors import Here
from core.engine.errors import LabError
from core.engine.experiment import Experiment

# An event of the interface is nobody's API, and quick ones need no queue.
QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "queue": False}


@dataclass(frozen=True)
class Site:
    """What every page is built from: one engine, the guesses of the room, and the Blocks they belong to."""

    engine: Here
    blocks: gr.Blocks
    tally: Tally


@dataclass(frozen=True)
class View:
    """One page being built."""

    site: Site
    page: Page
    experiment: Experiment
    controls: Controls
    live: LiveView
    tabs: gr.Tabs


def start(view: View, config: dict[str, Any], seed: Any, request: gr.Request, *, fresh: bool = False,
          lesson: bool = False) -> dict[str, Any]:
    """Starts, joins or recalls a run for this visitor; what the live view should show."""
    try:
        if REFUSED in config.values():
            raise LabError("Your file could not be used, so nothing was started.", "Bring a better one, or press 'Remove my file'.")
        if isinstance(seed, float) and seed.is_integer():
            seed = int(seed)
        run = view.site.engine.start(view.experiment.name, config, seed=seed, fresh=fresh, replace=True)
    except LabError as error:
        return refused(error)
    return shown(run.id, recorded=run.recorded, pressed=True, lesson=lesson)
