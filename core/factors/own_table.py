"""A table that a visitor brings, CSV or Parquet: one row for each day and share. Read in a process of its own (core/engine/reader.py).

    panel = own_table.read(path)

Columns: date, instrument, and close or fwd_ret. If there: open, high, low, volume, vwap, industry, in_target, and f_... for factors of
one's own. On the command line a folder of qlib may stand in place of the table (qlib_folder.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from core.engine.errors import LabError
from core.engine.reader import apart
from core.factors.panel import BARS, Panel

MOST_CELLS = 3_000_000
COLUMNS = "It needs the columns date, instrument and close; open, high, low, volume, industry and in_target if you have them."


def read(path: Path, stop: Callable[[], bool] = lambda: False) -> Panel:
    """The table as a panel. Raises LabError, in words, for what cannot be a table of prices."""
    pieces = apart("core.factors.own_table:opened", path=str(Path(path).resolve()), stop=stop)
    facts, _ = next(pieces)
    shape = (len(facts["dates"]), len(facts["names"]))
    found = {piece["column"]: np.frombuffer(data, np.float64).reshape(shape).copy() for piece, data in pieces}
    bars = {name: values for name, values in found.items() if name in BARS}
    remarks = list(facts["remarks"])
    label = found.get("fwd_ret")
    if "close" not in bars:  # a label of one's own and factors of one's own
        bars["close"] = np.where(np.isfinite(label), 1.0, np.nan)
        remarks.append("There are no prices, so no strategy can be tried.")
    target = np.array(facts["target"], bool)
    if target.all():
        remarks.append("No share is marked in_target, so all are learned from and predicted alike.")
    own = {name: values for name, values in found.items() if name.startswith("f_")}
    if own:
        remarks.append(f"The {len(own)} factors are those of your table; whether they know the future cannot be told from here.")
    return Panel(
        np.array(facts["dates"], "datetime64[D]"),
        tuple(facts["names"]),
        bars,
        np.array(facts["industry"]),
        target,
        own=own,
        label=label,
        source="your data",
        remarks=tuple(remarks),
    )


# ---- in the other process ----


def opened(path: str) -> Iterator[tuple[dict[str, Any], bytes]]:
    """First the days, shares and remarks, then one column after the other as float64 (days, shares)."""
    if Path(path).is_dir():
        from core.factors import qlib_folder

        yield from _laid_out(qlib_folder.columns(Path(path)))
        return
    import duckdb

    source = "read_parquet(?)" if path.endswith(".parquet") else "read_csv(?, all_varchar=true, sample_size=-1)"
    link = duckdb.connect(config={"threads": 1, "memory_limit": "250MB"})
    try:
        table = link.execute(f"SELECT * FROM {source}", [path]).fetchnumpy()
    except duckdb.Error as problem:
        raise LabError("This is no table that can be read: " + str(problem).split("\n")[0][:160], COLUMNS) from None
    columns = {name.strip().lower(): values for name, values in table.items()}
    for name in ("date", "instrument"):
        if name not in columns:
            raise LabError(f"The table has no column '{name}'.", COLUMNS)
    if "close" not in columns and "fwd_ret" not in columns:
        raise LabError("The table has no prices: neither a column close nor a column fwd_ret.", COLUMNS)
    if "close" not in columns and not any(name.startswith("f_") for name in columns):
        raise LabError(
            "The table has returns but neither prices nor factors.", "Add a column close, or factors in columns that begin with f_."
        )
    yield from _laid_out(columns)


def _laid_out(columns: dict[str, Any]) -> Iterator[tuple[dict[str, Any], bytes]]:
    days, remarks = _days(columns["date"])
    names, share = np.unique([str(name) for name in columns["instrument"]], return_inverse=True)
    dates, day = np.unique(days, return_inverse=True)
    if len(dates) * len(names) > MOST_CELLS:
        raise LabError(
            f"{len(names):,} shares on {len(dates):,} days are more than this lab reads.",
            f"Bring at most {MOST_CELLS:,} pairs of day and share.",
        )
    place = day * len(names) + share
    twice = np.flatnonzero(np.bincount(place, minlength=1) > 1)
    if len(twice):
        first = twice[0]
        raise LabError(
            f"{names[first % len(names)]} has two rows on {dates[first // len(names)]}.",
            "Keep one row for each day and share; nobody can know which of two is right.",
        )
    if len(place) < len(dates) * len(names):
        remarks.append(f"{1 - len(place) / (len(dates) * len(names)):.0%} of all pairs of day and share have no row; they stay empty.")
    made = {}
    for name, values in columns.items():
        if name in (*BARS, "fwd_ret") or name.startswith("f_"):
            numbers = _numbers(name, values)
            if name in ("open", "high", "low", "close", "vwap") and (bad := np.flatnonzero(numbers <= 0)).size:
                row = bad[0]
                raise LabError(
                    f"{names[share[row]]} has the {name} {numbers[row]:g} on {dates[day[row]]}; a price is above zero.",
                    "Mend or remove those rows.",
                )
            made[name] = np.full(len(dates) * len(names), np.nan)
            made[name][place] = numbers
    if "close" in made and not (np.nanstd(made["close"].reshape(len(dates), -1), 0) > 0).any():
        raise LabError("The prices of this table never change.", "Bring prices of days on which something happened.")
    industry = _one_each(columns.get("industry"), share, len(names))
    classes, industry = np.unique(industry, return_inverse=True)
    target = np.array([word.lower() in ("1", "1.0", "true", "yes") for word in _one_each(columns.get("in_target"), share, len(names))])
    yield (
        {
            "dates": [str(date) for date in dates],
            "names": names.tolist(),
            "industry": industry.tolist(),
            "remarks": remarks,
            "target": (target if target.any() else ~target).tolist(),
            "classes": len(classes),
        },
        b"",
    )
    for name, values in made.items():
        yield {"column": name}, values.astype(np.float64).tobytes()


def _days(values: Any) -> tuple[np.ndarray, list[str]]:
    text = [str(value)[:10] for value in values]
    try:
        days = np.array([word.replace("/", "-") for word in text], "datetime64[D]")
    except ValueError:
        bad = next((word for word in text if not word[:4].isdigit()), text[0])
        raise LabError(f"'{bad}' is no date.", "Write dates as 2024-01-31.") from None
    if np.isnat(days).any():
        raise LabError("Some rows have no date.", "Mend or remove them.")
    if (late := days[days > np.datetime64("today")]).size:
        raise LabError(
            f"The table has dates in the future: {late.max()}.", "A return that lies in the future cannot be known; remove those rows."
        )
    remarks = (
        ["The hours and time zones of its dates were left out: a row is a day."]
        if any(len(str(v)) > 10 and "00:00:00" not in str(v)[10:19] or "+" in str(v) for v in values[:50])
        else []
    )
    if (np.diff(days) < np.timedelta64(0)).any():
        remarks.append("Its rows were sorted by date.")
    return days, remarks


def _numbers(name: str, values: Any) -> np.ndarray:
    if getattr(values, "dtype", np.dtype(object)).kind in "fiu":
        return np.ma.filled(np.ma.asarray(values).astype(np.float64), np.nan)
    made = np.full(len(values), np.nan)
    mask = np.ma.getmaskarray(values)
    for i, value in enumerate(values):
        if mask[i] or value is None or str(value).strip() == "":
            continue
        try:
            made[i] = float(value)
        except (TypeError, ValueError):
            raise LabError(
                f"The column {name} holds '{str(value)[:40]}', which is no number.", "Leave a cell empty where nothing is known."
            ) from None
    return np.where(np.isfinite(made), made, np.nan)


def _one_each(values: Any, share: np.ndarray, count: int) -> np.ndarray:
    """The last word that is said of each share; '' where there is none."""
    made = np.full(count, "", object)
    if values is not None:
        made[share] = [str(value).strip() for value in values]
    return made.astype(str)
