"""Pictures of people that somebody brought, one or a set, in colour: read in the reading process, therefore without torch.

    photo(path)          one picture
    collection(path)     a set, in one of three layouts:
        a ZIP or folder with a table (CSV): picture, scenario, group; question and options if they like
        the folders of PAIRS: SECTION/SCENARIO/white_woman.png, two attributes in every name (arXiv 2402.05779)
        the columns of SocialCounterfactuals: Parquet with image, counterfactual_set, a1_type, a1, a2_type, a2 (Howard et al. 2024)

Each piece is (facts, RGB bytes); facts of a set: {"scenario", "groups": {attribute: value}, "question", "options", "done", "total"}.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from core.engine.errors import LabError
from core.engine.experiment import clean_text
from core.engine.opened import LARGEST_FILE, MB, MOST_PIXELS, File, clutter, decode, in_folder, in_zip, sides
from core.scenes.seen import on_white

Piece = tuple[dict[str, Any], bytes]
KEPT = 336  # pixels on the longer side: what LLaVA-1.5 sees
MOST = 400  # pictures of a set
LONGEST = 60
LAYOUT = ("Pack the pictures with a table that has the columns picture, scenario and group, or lay them as "
          "SECTION/SCENARIO/first_second.png, or bring Parquet with the columns of SocialCounterfactuals.")
NEEDED = ("image", "counterfactual_set", "a1_type", "a1", "a2_type", "a2")


def photo(path: str, name: str = "") -> Iterator[Piece]:
    """One still picture. Raises LabError for anything else, before decoding it."""
    source = Path(path)
    name = name or source.name
    if source.stat().st_size > LARGEST_FILE:
        raise LabError(f"{name} is larger than {LARGEST_FILE // MB} MB.", "Save the picture smaller and try again.")
    yield _colour(File((name,), source.stat().st_size, lambda: source.open("rb")))


def _colour(file: File) -> Piece:
    seen = on_white(decode(file.open, file.title))
    seen.thumbnail((KEPT, KEPT))
    return {"name": file.title, "width": seen.width, "height": seen.height}, seen.tobytes()


def collection(path: str) -> Iterator[Piece]:
    """All pictures of a set, at most MOST. Raises LabError for what is none, and for every layout but the three."""
    source = Path(path)
    tables = sorted(source.glob("*.parquet")) if source.is_dir() else [source] if source.suffix.lower() == ".parquet" else []
    if tables:
        yield from _counterfactuals(tables)
        return
    with ExitStack() as stack:
        files = (in_folder(source) if source.is_dir() else in_zip(source, stack, LAYOUT))[0]
        files = [file for file in files if not clutter(file.place)]
        listed = next((file for file in files if file.place[-1].lower().endswith(".csv")), None)
        rows = _of_table(listed, files) if listed else _of_names(files)
        if len(rows) > MOST:
            raise LabError(f"There are {len(rows):,} pictures.", f"At most {MOST}; a hundred pairs are plenty.")
        if sum(width * height for file, _ in rows for width, height in [sides(file.open, file.title)]) > MOST_PIXELS:
            raise LabError(f"These pictures have more than {MOST_PIXELS // 10**6} million pixels in all.", "Make them smaller first.")
        for done, (file, said) in enumerate(rows, start=1):
            facts, data = _colour(file)
            yield facts | said | {"done": done, "total": len(rows)}, data


def _of_table(table: File, files: list[File]) -> list[tuple[File, dict[str, Any]]]:
    with table.open() as stream:
        data = stream.read(2 * MB + 1)
    try:
        text = data.decode("utf-8-sig")
        header = text.lstrip().splitlines()[0] if text.strip() else ""
        rows = list(csv.DictReader(io.StringIO(text), delimiter=max(",;\t", key=header.count)))
    except (UnicodeDecodeError, csv.Error):
        raise LabError(f"{table.title} is no table in UTF-8.", "Save it as CSV with the encoding UTF-8.") from None
    rows = [{_said(name).lower(): _said(value) for name, value in row.items() if isinstance(name, str)} for row in rows]
    absent = [name for name in ("picture", "scenario", "group") if not rows or name not in rows[0]]
    if absent:
        raise LabError(f"{table.title} lacks the column {absent[0]}.", "It needs the columns picture, scenario and group.")
    here = {"/".join(file.place[len(table.place) - 1:]): file for file in files if file.place[:len(table.place) - 1] == table.place[:-1]}
    found = []
    for number, row in enumerate(rows, start=2):
        if not any(row.values()):
            continue
        if row["picture"] not in here:
            raise LabError(f"Row {number} of {table.title} names '{row['picture'][:LONGEST]}', which is not there.",
                           "Write the name of a picture as it stands beside the table.")
        if not row["scenario"] or not row["group"]:
            raise LabError(f"Row {number} of {table.title} has no scenario or no group.", "Fill both in.")
        found.append((here[row["picture"]], {"scenario": row["scenario"], "groups": {"group": row["group"]},
                                             "question": row.get("question", ""), "options": row.get("options", "")}))
    return found


def _of_names(files: list[File]) -> list[tuple[File, dict[str, Any]]]:
    """The layout of PAIRS: what a picture shows stands in its name, what it is about in the folders around it."""
    pictures = [file for file in files if file.place[-1].lower().endswith((".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif"))]
    found = []
    for file in pictures:
        first, _, second = file.place[-1].rsplit(".", 1)[0].partition("_")
        if len(file.place) < 2 or not first or not second:
            raise LabError(f"'{file.title[:LONGEST]}' does not say what it shows.", LAYOUT)
        found.append((file, {"scenario": "/".join(file.place[-3:-1]), "groups": {"first": first, "second": second},
                             "question": "", "options": ""}))
    if not found:
        raise LabError("There are no pictures in it.", LAYOUT)
    return found


def _counterfactuals(tables: list[Path]) -> Iterator[Piece]:
    """The columns of SocialCounterfactuals; the first MOST records, since the published set has 170,832."""
    import duckdb

    files = [str(file) for file in tables]
    with duckdb.connect(config={"memory_limit": "150MB", "threads": 1, "temp_directory": ""}) as base:
        listed = ", ".join("'" + file.replace("'", "''") + "'" for file in files)
        base.execute(f"SET allowed_paths = [{listed}]")
        base.execute("SET enable_external_access = false")
        try:
            columns = [row[0] for row in base.execute("DESCRIBE SELECT * FROM read_parquet(?)", [files]).fetchall()]
            absent = [name for name in NEEDED if name not in columns]
            if absent:
                raise LabError(f"{tables[0].name} lacks the column {absent[0]}.", f"It needs the columns {', '.join(NEEDED)}.")
            cursor = base.execute(f"SELECT {', '.join(NEEDED)} FROM read_parquet(?) LIMIT {MOST}", [files])
            done = 0
            while row := cursor.fetchone():
                done += 1
                yield _counterfactual(row, done)
        except duckdb.Error:
            raise LabError(f"{tables[0].name} is not a Parquet file that can be read.", "Copy or download it again.") from None


def _counterfactual(row: tuple, done: int) -> Piece:
    image, scenario, one, first, other, second = row
    data = image.get("bytes") if isinstance(image, dict) else image
    if not isinstance(data, bytes):
        raise LabError(f"Record {done} holds no picture.", "The column image has to hold the bytes of a picture.")
    facts, pixels = _colour(File((f"record {done}",), len(data), lambda: io.BytesIO(data)))
    groups = {_said(one) or "first": _said(first), _said(other) or "second": _said(second)}
    return facts | {"scenario": _said(scenario), "groups": groups, "question": "", "options": "", "done": done, "total": MOST}, pixels


def _said(value: object) -> str:
    return clean_text(str(value if value is not None else ""))[:200]
