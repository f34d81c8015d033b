"""Daily closes of 20 large US shares, once somebody got them (`glassbox get sp500`). Read by hand: tools that fill gaps hide them.

panel = prices.read(lab.got("sp500"))
"""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np

from core.factors.panel import Panel

FIRST = "2018-01-01"  # what is read of the table: five years, enough to learn from, few enough to wait for
SURVIVORS = (
    "These 20 companies are those that are large today. Whoever failed on the way is missing, so holding them all looks better than it "
    "could have been known to be."
)
FEW = "Closes only: 8 of the usual 20 factors can be made. 20 shares are too few to say much, whatever comes out."


def read(folder: Path, first: str = FIRST) -> Panel:
    """All shares as source and target alike, one industry. A missing price stays missing."""
    with gzip.open(folder / "sp500.csv.gz", "rt", encoding="utf-8", newline="") as stream:
        head, *lines = list(csv.reader(stream))
    lines = [line for line in lines if line[0] >= first]
    dates = np.array([line[0] for line in lines], "datetime64[D]")
    close = np.array([[float(cell) if cell else np.nan for cell in line[1:]] for line in lines])
    close = np.where(close > 0, close, np.nan)
    shares = len(head) - 1
    return Panel(
        dates,
        tuple(head[1:]),
        {"close": close},
        np.zeros(shares, int),
        np.ones(shares, bool),
        source="20 real US shares",
        remarks=(SURVIVORS, FEW),
    )
