"""A folder of daily prices as qlib keeps them, read without qlib; in a process of its own, as own_table.py calls it.

    calendars/day.txt                  one day a line
    instruments/NAME.txt               SHARE, first day and last day of its membership, parted by tabs; all.txt where there is one
    features/SHARE/FIELD.day.bin       float32, little endian: the place of the first value in the calendar, then a value a day
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from core.engine.errors import LabError
from core.factors.panel import BARS

MOST_CELLS = 3_000_000
NEEDED = "A folder of qlib holds calendars/day.txt, instruments/all.txt and features/SHARE/close.day.bin."


def columns(folder: Path) -> dict[str, Any]:
    """Columns of a table, one row for each day and share of the list: date, instrument, and the bars that there are.

    Raises LabError for a folder that is none of qlib, or larger than this lab reads.
    """
    try:
        days = (folder / "calendars" / "day.txt").read_text(encoding="utf-8").split()
        lists = sorted((folder / "instruments").glob("*.txt"), key=lambda file: (file.stem != "all", file.name))
        shares = list(dict.fromkeys(line.split()[0] for line in lists[0].read_text(encoding="utf-8").splitlines() if line.strip()))
    except (OSError, IndexError, UnicodeDecodeError):
        raise LabError("That is no folder of qlib.", NEEDED) from None
    if len(days) * len(shares) > MOST_CELLS:
        raise LabError(f"{len(shares):,} shares on {len(days):,} days are more than this lab reads.",
                       f"At most {MOST_CELLS:,} pairs of day and share: leave a shorter instruments/all.txt in a copy of the folder.")
    bars = {name: np.stack([_series(folder / "features" / share.lower() / f"{name}.day.bin", len(days)) for share in shares], 1)
            for name in BARS}
    close = bars["close"]
    if not np.isfinite(close).any():
        raise LabError("That folder of qlib has no closing prices.", NEEDED)
    there = np.isfinite(close)
    day, share = np.nonzero(there)
    return {"date": np.array(days)[day], "instrument": np.array(shares)[share]} | {
        name: values[there] for name, values in bars.items() if np.isfinite(values).any()}


def _series(file: Path, days: int) -> np.ndarray:
    """One field of one share over the calendar, NaN where nothing is stored: float64 (days,)."""
    made = np.full(days, np.nan)
    if file.is_file():
        held = np.fromfile(file, "<f4")
        if len(held) and np.isfinite(held[0]) and 0 <= held[0] < days:
            start = int(held[0])
            made[start : start + len(held) - 1] = held[1 : 1 + days - start]
    return made
