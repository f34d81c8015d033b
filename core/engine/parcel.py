"""Runs in a ZIP, to take away and to bring in elsewhere: `ID/run.json`, `ID/events.jsonl`, its pictures, a report and a table each.

    data = pack(library, [run_id])
    unpack(records, data)                 # the new ids; LabError for what is no such parcel, and then nothing was brought in

What comes in is read through the schema of records, is marked as brought in, and never answers for a run that this lab computes.
"""

from __future__ import annotations

import io
import json
import re
import secrets
import shutil
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.engine import report
from core.engine.errors import LabError
from core.engine.library import Library
from core.engine.records import DONE, Records
from core.engine.stored import LARGEST_JSON, PICTURE_FILE, RunRecord, parse, read_line

MB = 2**20
LARGEST, LARGEST_OPEN, MOST_RUNS, MOST_FILES = 60 * MB, 400 * MB, 100, 5000
PNG = b"\x89PNG\r\n\x1a\n"
_ENTRY = re.compile(rf"([a-z0-9][a-z0-9-]{{3,79}})/(run\.json|events\.jsonl|report\.html|metrics\.csv|{PICTURE_FILE[1:-1]})")


def pack(library: Library, run_ids: Sequence[str]) -> bytes:
    """The runs as one ZIP, without the models that they kept. Raises LabError for one that goes on, and for more than fit."""
    if len(run_ids) > MOST_RUNS:
        raise LabError(f"Those are {len(run_ids)} runs.", f"At most {MOST_RUNS} fit into one ZIP.")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as parcel:
        for run_id in run_ids:
            run = library.read(run_id)
            if run.outcome not in DONE:
                raise LabError("One of these runs is still going on.", "Wait for its end, then pack it.")
            lines = library.lines(run_id)
            noted = {"label": run.label, "tags": run.tags, "note": run.note} if library.may_change(run) else {}
            parcel.writestr(f"{run_id}/run.json", json.dumps(run.public() | noted, ensure_ascii=False, indent=1))
            parcel.writestr(f"{run_id}/events.jsonl", "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
            parcel.writestr(f"{run_id}/report.html", report.html(library.records, run_id))
            parcel.writestr(f"{run_id}/metrics.csv", report.metrics_csv(library.records, run_id))
            for name in {line["file"] for line in lines if line["kind"] == "picture"}:
                parcel.write(library.picture(run_id, name), f"{run_id}/{name}")
    return packed.getvalue()


def unpack(records: Records, data: bytes, owner: str = "brought in") -> list[str]:
    """Records every run of a parcel under a new id; all of them, or none."""
    found = _opened(data)
    checked = [_checked(run_id, files) for run_id, files in found.items()]
    brought: list[str] = []
    try:
        for run, lines, pictures in checked:
            brought.append(_record(records, run, lines, pictures, owner))
    except BaseException:
        for run_id in brought:
            shutil.rmtree(records.root / run_id, ignore_errors=True)
        raise
    return brought


def _opened(data: bytes) -> dict[str, dict[str, bytes]]:
    """run -> name -> content. Reports and tables are left where they are: they are made anew from the record."""
    wrong = LabError("That is not a ZIP of runs.", "Pack runs with 'Pack these runs as a ZIP' and bring that file.")
    if len(data) > LARGEST:
        raise LabError(f"That file has {len(data) / MB:.0f} MB.", f"At most {LARGEST // MB} MB can be brought in at once.")
    found: dict[str, dict[str, bytes]] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as parcel:
            entries = [entry for entry in parcel.infolist() if not entry.is_dir()]
            if not entries or len(entries) > MOST_FILES or sum(entry.file_size for entry in entries) > LARGEST_OPEN:
                raise wrong
            for entry in entries:
                match = _ENTRY.fullmatch(entry.filename)
                if match is None or entry.flag_bits & 1:
                    raise wrong
                if match[2] not in ("report.html", "metrics.csv"):
                    found.setdefault(match[1], {})[match[2]] = _content(parcel, entry)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError, EOFError, RuntimeError):
        raise wrong from None
    if len(found) > MOST_RUNS or not all("run.json" in files and "events.jsonl" in files for files in found.values()):
        raise wrong
    return found


def _content(parcel: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """What an entry holds, and no more than it says it does."""
    with parcel.open(entry) as file:
        content = file.read(entry.file_size + 1)
    if len(content) != entry.file_size:
        raise ValueError("larger than it says")
    return content


def _checked(run_id: str, files: dict[str, bytes]) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, bytes]]:
    wrong = LabError(f"The record of run {run_id} in that ZIP cannot be read.", "It may be damaged, or of a later version.")
    try:
        held = parse(files["run.json"][:LARGEST_JSON + 1])
        run = RunRecord.model_validate({field: value for field, value in held.items() if field in RunRecord.model_fields})
    except (ValueError, AttributeError):
        raise wrong from None
    lines = [read_line(line, place) for place, line in enumerate(files["events.jsonl"].split(b"\n")[:-1])]
    if run.outcome not in DONE or not lines or any(line["kind"] == "damaged" for line in lines):
        raise wrong
    pictures = {name: content for name, content in files.items() if name.endswith(".png")}
    if any(not content.startswith(PNG) for content in pictures.values()):
        raise wrong
    return run.plain(), _safe(lines), pictures


def _safe(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Figures as `run.py` records them, whoever wrote them; what the other lab kept is not here."""
    from core.engine.events import safe_labels

    return [line | {"figure": safe_labels(line["figure"])} if line["kind"] == "figure" else line for line in lines]


def _record(records: Records, run: dict[str, Any], lines: list[dict[str, Any]], pictures: dict[str, bytes], owner: str) -> str:
    run_id = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(6)}"
    tags = list(dict.fromkeys([*run["tags"], "brought in"]))[-12:]
    # without a key, nor the process that made it: this lab computed nothing of it
    folder = records.create(run | {"id": run_id, "key": "", "pid": 0, "born": 0.0, "owner": owner, "visitors": [owner], "published": False,
                                   "pinned": False, "commit": None, "tags": tags})
    text = "".join(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in lines)
    _fill(folder, text, pictures)
    return run_id


def _fill(folder: Path, text: str, pictures: dict[str, bytes]) -> None:
    try:
        (folder / "events.jsonl").write_text(text, encoding="utf-8")
        for name, content in pictures.items():
            (folder / name).write_bytes(content)
        (folder / ".reserve").unlink(missing_ok=True)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise LabError(f"The run could not be recorded: {error.strerror or error}.", "Free some space on the disk.") from error
