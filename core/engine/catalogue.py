"""What the lab can do, told without importing what does it: `assets/catalogue.json` is written from the code.

    [row["name"] for row in catalogue()]      # a tenth of a second; importing the experiments takes seconds

`python -m docs.build` writes the file, and a test compares it with the code.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from core.engine import registry
from core.engine.settings import ASSETS

CATALOGUE = ASSETS / "catalogue.json"


def catalogue(file: Path = CATALOGUE) -> list[dict[str, Any]]:
    """`Experiment.described()` of every entry, in the order of the registry. What is not in the file is asked itself."""
    try:
        stored = {row["name"]: row for row in json.loads(file.read_text(encoding="utf-8"))["experiments"]}
    except FileNotFoundError:
        stored = {}
    return [stored[name] if name in stored else registry.find(name).described() for name in registry.EXPERIMENTS]


def rendered() -> str:
    """The file as it has to be, from the code itself."""
    return json.dumps({"experiments": [entry.described() for entry in registry.everything()]}, indent=1, ensure_ascii=False) + "\n"
