"""Where things lie, how many threads compute, and the one place that switches telemetry off.

Import this before any library that could phone home: importing it *is* the switch.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from platformdirs import user_data_path

from core.engine.errors import LabError

REPOSITORY = Path(__file__).resolve().parents[2]
ASSETS = REPOSITORY / "assets"
FIRST_VIEWS = ASSETS / "first_views"

TELEMETRY_OFF = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "LANGSMITH_TRACING": "false",
    "LANGCHAIN_TRACING_V2": "false",
    "TRACKIO_DISABLE_TELEMETRY": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
os.environ.update(TELEMETRY_OFF)


def _default_home() -> Path:
    given = os.environ.get("GLASSBOX_HOME")
    return Path(given).expanduser() if given else user_data_path("glassbox-lab", appauthor=False)


def _default_threads() -> int:
    given = os.environ.get("GLASSBOX_THREADS")
    if not given:
        return max(1, min(4, (os.cpu_count() or 2)))
    if not given.isdecimal() or not 1 <= int(given) <= 256:
        raise LabError(f"GLASSBOX_THREADS cannot be {given!r}.", "It is a whole number of threads, from 1 to 256.")
    return int(given)


@dataclass(frozen=True)
class Settings:
    """What one process of the lab is allowed to touch.

    home: folder for everything written at run time.  models_dir: the only folder that pages, API and links may load
    `path/` models from (None: none).  any_path: True on the command line, where the person owns the disk.
    threads: compute threads of a run, part of what makes two runs comparable.
    """

    home: Path = field(default_factory=_default_home)
    models_dir: Path | None = None
    any_path: bool = False
    threads: int = field(default_factory=_default_threads)
    memory_budget: int = 4 * 1024**3

    @property
    def runs(self) -> Path:
        return self.home / "runs"
