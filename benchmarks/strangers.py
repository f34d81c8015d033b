"""What bytes that strangers bring cost the lab: seconds until there is an answer, and memory of the lab itself above what it holds idle.

    python -m benchmarks.strangers

Each case once blew something up: blank pictures of 8000 x 8000 pixels, a GIF of 600,000 frames, a table of 40,000 columns, a chat template
that loops, a header of 30 MB, a config that is nothing but brackets. The lab may grow by 400 MB; the reading process has limits of its own.
"""

from __future__ import annotations

import json
import tempfile
import time
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import psutil

from benchmarks.timing import table, versions, write
from core.engine import templates
from core.engine.errors import LabError
from core.engine.models import ModelStore
from core.engine.runner import Engine
from core.engine.settings import ASSETS, Settings

SPACE_MB = 400
SIDE, FRAMES, COLUMNS = 8000, 600_000, 40_000
LOOP = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


def pictures(folder: Path) -> Path:
    """A ZIP of forty blank pictures, a few kB each."""
    from PIL import Image

    blank = BytesIO()
    Image.new("1", (SIDE, SIDE), 1).save(blank, "PNG")
    with zipfile.ZipFile(folder / "blank.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for number in range(40):
            packed.writestr(f"{'ab'[number % 2]}/{number}.png", blank.getvalue())
    return folder / "blank.zip"


def frames(folder: Path) -> Path:
    """A GIF of one grey pixel, over and over."""
    head = b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff"
    one = b"\x21\xf9\4\0\1\0\0\0" + b"\x2c\0\0\0\0\1\0\1\0\0\2\2\x44\1\0"
    (folder / "frames.gif").write_bytes(head + FRAMES * one + b";")
    return folder / "frames.gif"


def columns(folder: Path) -> Path:
    """A table of one row."""
    (folder / "wide.csv").write_text(",".join(f"c{i}" for i in range(COLUMNS)) + "\n" + ",".join("1" * COLUMNS) + "\n")
    return folder / "wide.csv"


def model(folder: Path, spoil: Callable[[Path], object]) -> Path:
    """A model of the lab as a stranger's folder, and what `spoil` does to it."""
    (folder / "models" / "mine").mkdir(parents=True, exist_ok=True)
    for file in (ASSETS / "models" / "worlds-128").iterdir():
        if file.is_file():
            (folder / "models" / "mine" / file.name).write_bytes(file.read_bytes())
    spoil(folder / "models" / "mine")
    return folder / "models" / "mine"


def long_header(place: Path) -> None:
    head = json.dumps({f"t{i}": {"dtype": "F32", "shape": [1], "data_offsets": [4 * i, 4 * i + 4]} for i in range(420_000)}).encode()
    (place / "model.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + bytes(4 * 420_000))


def brackets(place: Path) -> None:
    (place / "config.json").write_text('{"a": [' + ",".join(["[]"] * 1_300_000) + "]}")


def high_water() -> float:
    """The most MB that this process held since it was last asked."""
    status = Path("/proc/self/status").read_text().split()
    Path("/proc/self/clear_refs").write_text("5")
    return int(status[status.index("VmHWM:") + 1]) * 1024 / 1e6


def asked(what: str, question: Callable[[], object]) -> dict[str, object]:
    """The answer in words, and what it took."""
    idle = psutil.Process().memory_info().rss / 1e6
    high_water()
    began, cpu = time.perf_counter(), time.process_time()
    try:
        said = str(question())[:60]
    except LabError as problem:
        said = problem.message
    grown = max(0.0, high_water() - idle)
    row = {"what": what, "seconds": round(time.perf_counter() - began, 1), "CPU s of the lab": round(time.process_time() - cpu, 1),
           "MB above idle": round(grown), "answer": said}
    print(table([row]), flush=True)
    return row


def main() -> None:
    import torch  # noqa: F401 - as in a lab that has been open for a while
    import transformers  # noqa: F401

    from core.engine.rows import read_rows
    from core.learngene.pictures import read_picture

    rows = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        engine = Engine(Settings(home=folder / "home", any_path=True, models_dir=folder / "models", threads=1))
        engine.models.load("embedded/worlds-128")

        def load() -> object:
            return ModelStore(Settings(home=folder / "home", models_dir=folder / "models")).load("path/mine").parameters

        zipped, gif, wide = pictures(folder), frames(folder), columns(folder)
        found = {"pictures": f"path/{zipped}"}
        rows.append(asked("forty pictures of 8000 x 8000", lambda: engine.probe("learngene/pictures", found)["says"]))
        rows.append(asked("a GIF of 600,000 frames", lambda: read_picture(gif).size))
        rows.append(asked("a table of 40,000 columns", lambda: read_rows(wide)))
        rows.append(asked("a chat template that loops", lambda: templates.check_template(LOOP)))
        for what, spoil in (("a header of 30 MB", long_header), ("a config of brackets", brackets)):
            model(folder, spoil)
            rows.append(asked(what, load))
        model(folder, lambda place: None)
        rows.append(asked("an honest model after all that", load))
        engine.close()
    print(table(rows))
    notes = [f"The lab may grow by {SPACE_MB} MB: {'held' if all(row['MB above idle'] <= SPACE_MB for row in rows) else 'NOT HELD'}."]
    print(write("strangers", rows, notes, about=versions("torch", "transformers", "pillow")))


if __name__ == "__main__":
    main()
