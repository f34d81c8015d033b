"""Pictures that visitors bring for a task of their own: a ZIP file or a folder that holds one folder per class.

    task = read_collection(path)                # everything is checked before, or while, the first pixel is decoded
    task = yield from reading(path)             # the same, giving (pictures read, pictures in all) as it goes on

Nothing is unpacked to disk. Pictures are squeezed to 16 x 16 shades of grey. A third of every class is kept for testing.
"""

from __future__ import annotations

import math
import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from core.engine.errors import LabError
from core.engine.experiment import clean_text
from core.learngene.data import Task, shift
from core.learngene.pictures import LARGEST_FILE, MB, ink_of, is_light, read_picture, squeeze

OWN = "own pictures"  # the name of every such task, so that equal pictures give equal numbers wherever they lie
FEWEST, MOST_PICTURES, MOST_CLASSES, LONGEST_NAME = 3, 5000, 60, 40
MOST_UNPACKED, MOST_PIXELS, MOST_ENTRIES = 200 * MB, 300_000_000, 20_000
PER_EPOCH = 600  # fewer pictures are shown several times in one pass, moved anew each time
HELD_OUT = 1 / 3
LAYOUT = "Make one folder per class, put its pictures straight into it, and pack the folders into a ZIP file."
_CLUTTER = ("__MACOSX", "Thumbs.db", "desktop.ini")  # what operating systems add


@dataclass(frozen=True)
class _File:
    """One file of a collection: the folders that lead to it and its name, its size in bytes, and how to open it."""

    place: tuple[str, ...]
    size: int
    open: Callable[[], BinaryIO]


def read_collection(source: Path, seed: int = 0) -> Task:
    """The whole task at once. Raises LabError for everything that `reading` refuses."""
    steps = reading(source, seed)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def reading(source: Path, seed: int = 0) -> Iterator[tuple[int, int]]:
    """Reads `source`, one picture per step; the generator's value is the task. `seed` decides which pictures are for testing.

    Raises LabError for what is no ZIP or folder of pictures, leads out of it, is locked, linked or far too large, has less
    than two classes, an empty class, a class of fewer than three, a file that is not a still picture.
    """
    source = Path(source)
    with ExitStack() as stack:
        files, folders = _in_folder(source) if source.is_dir() else _in_zip(source, stack)
        classes = _by_class(files, folders)
        total, done, pixels = sum(map(len, classes.values())), 0, 0
        inks: list[list[Tensor]] = []
        light = 0
        for members in classes.values():
            inks.append([])
            for file in members:
                picture = read_picture(file.open(), "/".join(file.place[-2:]))
                pixels += picture.width * picture.height
                if pixels > MOST_PIXELS:
                    raise LabError(f"These pictures have more than {MOST_PIXELS // 10**6} million pixels in all.",
                                   "Make them smaller first: 16 x 16 is all that is used.")
                ink, done = ink_of(picture), done + 1
                light += is_light(ink)
                inks[-1].append(squeeze(ink))
                yield done, total
    turned = light > total / 2  # dark on light: ink counts as 1, decided once for all pictures so that photos stay comparable
    made = _task(tuple(classes), [torch.cat(given) * (-1 if turned else 1) for given in inks], seed)
    return replace(made, placed="turned" if turned else "whole")


def _in_folder(folder: Path) -> tuple[list[_File], set[tuple[str, ...]]]:
    subfolders = [sub for sub in sorted(folder.iterdir()) if sub.is_dir()]
    files = [file for place in (folder, *subfolders) for file in sorted(place.iterdir()) if file.is_file()]
    return ([_File(file.relative_to(folder).parts, file.stat().st_size, lambda file=file: file.open("rb")) for file in files],
            {(sub.name,) for sub in subfolders})


def _in_zip(source: Path, stack: ExitStack) -> tuple[list[_File], set[tuple[str, ...]]]:
    try:
        archive = stack.enter_context(zipfile.ZipFile(source))
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        raise LabError(f"{source.name} is neither a folder nor a ZIP file that can be read.", LAYOUT) from None
    entries = archive.infolist()
    if len(entries) > MOST_ENTRIES:
        raise LabError(f"There are {len(entries):,} files in this ZIP.", f"At most {MOST_PICTURES:,} pictures; a few hundred are plenty.")
    files, folders = [], set()
    for entry in sorted(entries, key=lambda entry: entry.filename):
        place = _place(entry)
        if entry.is_dir():
            folders.add(place)
        else:
            files.append(_File(place, entry.file_size, lambda entry=entry: BytesIO(_unpacked(archive, entry))))
    if sum(file.size for file in files) > MOST_UNPACKED:
        raise LabError(f"Unpacked, this ZIP would have more than {MOST_UNPACKED // MB} MB.", "Use smaller or fewer pictures.")
    return files, folders


def _place(entry: zipfile.ZipInfo) -> tuple[str, ...]:
    """Folders and name of an entry. Raises LabError for one that is locked, a link, or leads out of the ZIP."""
    name = entry.filename.replace("\\", "/")
    place = tuple(name.rstrip("/").split("/"))
    if ".." in place or "" in place or re.match(r"[A-Za-z]:", name):
        raise LabError("A file in this ZIP wants to lie outside of it.", "Pack the folders again with another program.")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise LabError(f"'{place[-1][:LONGEST_NAME]}' is a link to somewhere else, not a picture.", "Pack the pictures themselves.")
    if entry.flag_bits & 1:
        raise LabError("This ZIP file is locked with a password.", "Pack it again without one.")
    return place


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """At most as many bytes as the entry says it has, whatever comes out."""
    try:
        with archive.open(entry) as stream:
            return stream.read(LARGEST_FILE + 1)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError, ValueError):
        raise LabError(f"{entry.filename[-LONGEST_NAME:]} cannot be unpacked.", "Pack the folders again.") from None


def _by_class(files: list[_File], folders: set[tuple[str, ...]]) -> dict[str, list[_File]]:
    """The files of every class, by its name, in order. Folders around all classes count for nothing."""
    files = [file for file in files if not _clutter(file.place)]
    folders = {place for place in folders if not _clutter(place)}
    while files and all(len(file.place) > 2 and file.place[0] == files[0].place[0] for file in files):
        around = files[0].place[0]
        files = [_File(file.place[1:], file.size, file.open) for file in files]
        folders = {place[1:] for place in folders if place[0] == around and len(place) > 1}
    found: dict[str, list[_File]] = {}
    for file in files:
        if len(file.place) != 2:
            where = "lies in no class folder" if len(file.place) == 1 else "lies in a folder inside a class folder"
            raise LabError(f"{file.place[-1][:LONGEST_NAME]} {where}.", LAYOUT)
        found.setdefault(_class_name(file.place[0]), []).append(file)
    empty = next((place[0] for place in sorted(folders) if len(place) == 1 and _class_name(place[0]) not in found), None)
    if empty:
        raise LabError(f"The folder '{empty[:LONGEST_NAME]}' is empty.", "Put pictures into it or leave it out.")
    _check_counts(found)
    large = next((file for members in found.values() for file in members if file.size > LARGEST_FILE), None)
    if large:
        raise LabError(f"{large.place[-1]} is larger than {LARGEST_FILE // MB} MB.", "Save the picture smaller and try again.")
    return dict(sorted(found.items()))


def _clutter(place: tuple[str, ...]) -> bool:
    return any(part.startswith(".") or part in _CLUTTER for part in place)


def _class_name(folder: str) -> str:
    name = clean_text(folder)
    if not 0 < len(name) <= LONGEST_NAME:
        raise LabError(f"A class cannot be called '{name[:LONGEST_NAME]}'.", f"A name has 1 to {LONGEST_NAME} characters.")
    return name


def _check_counts(found: dict[str, list[_File]]) -> None:
    if len(found) < 2:
        raise LabError(f"There are pictures of {'one class' if found else 'no class'} only.",
                       f"Two classes at least, {FEWEST} pictures in each. {LAYOUT}")
    if len(found) > MOST_CLASSES:
        raise LabError(f"There are {len(found)} classes.", f"At most {MOST_CLASSES}.")
    few = next((name for name, files in found.items() if len(files) < FEWEST), None)
    if few:
        raise LabError(f"There are only {len(found[few])} pictures of '{few}'.", f"Put at least {FEWEST} into every class folder.")
    total = sum(map(len, found.values()))
    if total > MOST_PICTURES:
        raise LabError(f"There are {total:,} pictures.", f"At most {MOST_PICTURES:,}; a few hundred per class are plenty.")


def _task(classes: tuple[str, ...], pixels: list[Tensor], seed: int) -> Task:
    """`pixels`: (n, 1, 16, 16) of every class. Both halves are mixed, so that the first test pictures show all classes."""
    generator = torch.Generator().manual_seed(seed)
    halves: list[list[tuple[Tensor, int]]] = [[], []]
    for label, given in enumerate(pixels):
        order = torch.randperm(len(given), generator=generator)
        away = max(1, round(HELD_OUT * len(given)))
        halves[1].append((given[order[:away]], label))
        halves[0].append((given[order[away:]], label))
    (train, labels), (test, test_labels) = (_mixed(half, generator) for half in halves)
    distinct, times = len(labels), max(1, math.ceil(PER_EPOCH / len(labels)))
    train, labels = train.repeat(times, 1, 1, 1), labels.repeat(times)
    return Task(OWN, classes, test, test_labels, len(labels), lambda g: (shift(train, g), labels), distinct)


def _mixed(half: list[tuple[Tensor, int]], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    pixels = torch.cat([given for given, _ in half])
    labels = torch.cat([torch.full((len(given),), label) for given, label in half])
    order = torch.randperm(len(labels), generator=generator)
    return pixels[order], labels[order]
