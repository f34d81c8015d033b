"""A visitor's places: a ZIP or folder with one folder for each place and, in it, folders 0 to 9. Read apart, therefore without torch.

    for facts, data in collection("mine.zip"):
        facts     # {"place", "digit", "name", "done", "total"}
        data      # 32 x 32 pixels, RGB
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from core.engine.errors import LabError
from core.engine.experiment import clean_text
from core.engine.opened import LARGEST_FILE, LONGEST_NAME, MB, MOST_PIXELS, File, clutter, decode, in_folder, in_zip, sides
from core.scenes.seen import on_white

SIDE = 32
FEWEST_PLACES, MOST_PLACES, MOST = 2, 12, 1500
LAYOUT = "Make one folder for each place and in it folders called 0 to 9 with pictures of that digit, and pack them into a ZIP."
DIGITS = tuple("0123456789")
BESIDE = (".txt", ".md", ".csv", ".json", ".pdf")


def collection(path: str) -> Iterator[tuple[dict[str, Any], bytes]]:
    """All pictures, place by place. Raises LabError for every other layout, before the first pixel is decoded."""
    source = Path(path)
    with ExitStack() as stack:
        files, folders = in_folder(source) if source.is_dir() else in_zip(source, stack, LAYOUT)[:2]
        found = _placed(files, folders)
        if sum(width * height for *_, file in found for width, height in [sides(file.open, file.title)]) > MOST_PIXELS:
            raise LabError(f"These pictures have more than {MOST_PIXELS // 10**6} million pixels in all.",
                           f"Make them smaller first: {SIDE} x {SIDE} is all that is used.")
        for done, (place, digit, file) in enumerate(found, start=1):
            yield {"place": place, "digit": digit, "name": file.title, "done": done, "total": len(found)}, squeezed(file)


def squeezed(file: File) -> bytes:
    """The largest square around the middle of a picture on white, as RGB bytes of 32 x 32."""
    from PIL import Image, ImageOps

    return ImageOps.fit(on_white(decode(file.open, file.title)), (SIDE, SIDE), Image.Resampling.BICUBIC).tobytes()


def _placed(files: list[File], folders: set[tuple[str, ...]]) -> list[tuple[str, int, File]]:
    """(place, digit, file) of every picture. A folder around everything counts for nothing."""
    files = [file for file in files if not clutter(file.place)
             and not (len(file.place) < 3 and file.place[-1].lower().endswith(BESIDE))]
    around = 1 if files and all(len(file.place) == 4 for file in files) and len({file.place[0] for file in files}) == 1 else 0
    found = []
    for file in files:
        place = file.place[around:]
        if len(place) != 3:
            raise LabError(f"{file.title[:LONGEST_NAME]} does not lie in PLACE/DIGIT/.", LAYOUT)
        if place[1] not in DIGITS:
            raise LabError(f"The folder '{place[1][:LONGEST_NAME]}' is no digit, and the painter paints nothing else.", LAYOUT)
        if file.size > LARGEST_FILE:
            raise LabError(f"{file.title} is larger than {LARGEST_FILE // MB} MB.", "Save the picture smaller and try again.")
        found.append((_name(place[0]), int(place[1]), file))
    _check(found, {_name(place[around]) for place in folders if len(place) > around and not clutter(place)})
    return sorted(found, key=lambda one: one[:2])


def _name(folder: str) -> str:
    name = clean_text(folder)
    if not 0 < len(name) <= LONGEST_NAME:
        raise LabError(f"A place cannot be called '{name[:LONGEST_NAME]}'.", f"A name has 1 to {LONGEST_NAME} characters.")
    return name


def _check(found: list[tuple[str, int, File]], folders: set[str]) -> None:
    places = {place for place, *_ in found}
    if empty := sorted(folders - places):
        raise LabError(f"The place '{empty[0]}' has no picture.", "Put pictures into it or leave it out.")
    if len(places) < FEWEST_PLACES:
        raise LabError(f"There is {'one place' if places else 'no place'}: nobody to share with.", f"Two at least. {LAYOUT}")
    if len(places) > MOST_PLACES:
        raise LabError(f"There are {len(places)} places.", f"At most {MOST_PLACES}; join some of them.")
    if len(found) > MOST:
        raise LabError(f"There are {len(found):,} pictures.", f"At most {MOST:,}; ten of each digit at a place are plenty.")
