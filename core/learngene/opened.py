"""What lies in a picture file, a ZIP or a folder that somebody brought: looked at first, then decoded, one picture after the other.

    for facts, data in collection("mine.zip"):
        facts       # {"class", "part", "notes", "name", "width", "height", "done", "total"}
        data        # shade and opacity, a byte each

Runs in the reading process (core/engine/reader.py), therefore without torch. A picture of many pixels is made smaller while it is
decoded: no more than LARGEST_KEPT on a side are left.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from core.engine.code_pages import CODE_PAGES
from core.engine.errors import LabError
from core.engine.experiment import clean_text
from core.engine.opened import (
    LARGEST_FILE,
    LONGEST_NAME,
    MB,
    MOST_PICTURES,
    MOST_PIXELS,
    File,
    clutter,
    decode,
    in_folder,
    in_zip,
    sides,
)
from core.scenes.seen import as_seen

FEWEST, MOST_CLASSES = 3, 60
LAYOUT = "Make one folder per class, put its pictures straight into it, and pack the folders into a ZIP file."
_BESIDE = re.compile(r"(readme|licen[cs]e|labels|classes|metadata)?[^/]*\.(txt|md|csv|tsv|json|jsonl|ya?ml|xml|html?|pdf|toml|url|lnk)"
                     r"|readme|licen[cs]e|copying|notice", re.IGNORECASE)  # files about the pictures, outside of the class folders
_ABOUT = re.compile(r".+\.(aae|xmp|thm|txt|json|xml|yaml)", re.IGNORECASE)  # beside a picture of the same name: notes about it
SPLITS = {**dict.fromkeys(("train", "training", "trainset"), "train"), **dict.fromkeys(("test", "testing", "testset", "eval"), "test"),
          **dict.fromkeys(("val", "valid", "validation", "dev"), "val")}
Piece = tuple[dict[str, Any], bytes]


def picture(path: str, name: str = "") -> Iterator[Piece]:
    """One still picture. Raises LabError for anything else, before decoding it."""
    source = Path(path)
    name = name or source.name
    if source.stat().st_size > LARGEST_FILE:
        raise LabError(f"{name} is larger than {LARGEST_FILE // MB} MB.", "Save the picture smaller and try again.")
    yield decoded(lambda: source.open("rb"), name)


def collection(path: str) -> Iterator[Piece]:
    """All pictures, class by class. Raises LabError as `core.learngene.collection.reading` says."""
    source = Path(path)
    with ExitStack() as stack:
        files, folders, page = (*in_folder(source), "") if source.is_dir() else in_zip(source, stack, LAYOUT)
        classes, notes = _by_class(files, folders)
        if page in CODE_PAGES:
            notes.append(f"This ZIP does not say in which letters its names are written. They were read as {CODE_PAGES[page]}.")
        members = [(label, file) for label, files in classes.items() for file in files]
        pixels = 0
        for _, file in members:  # all headers before the first pixel
            width, height = sides(file.open, file.title)
            pixels += width * height
            if pixels > MOST_PIXELS:
                raise LabError(f"These pictures have more than {MOST_PIXELS // 10**6} million pixels in all.",
                               "Make them smaller first: 16 x 16 is all that is used.")
        for done, (label, file) in enumerate(members, start=1):
            facts, data = decoded(file.open, file.title)
            yield facts | {"class": label, "part": file.part, "notes": notes, "done": done, "total": len(members)}, data


def decoded(open_it: Callable[[], BinaryIO], name: str) -> Piece:
    """One picture in shades of grey, its header looked at first."""
    kept = as_seen(decode(open_it, name))
    return {"name": name, "width": kept.width, "height": kept.height}, kept.tobytes()


def _by_class(files: list[File], folders: set[tuple[str, ...]]) -> tuple[dict[str, list[File]], list[str]]:
    """The files of every class, by its name, in order, and what is to be said. Folders around all classes count for nothing."""
    files = [file for file in files if not clutter(file.place)]
    pictures = {(*file.place[:-1], Path(file.place[-1]).stem) for file in files if not _ABOUT.fullmatch(file.place[-1])}
    files = [file for file in files if not (_ABOUT.fullmatch(file.place[-1])
                                            and (*file.place[:-1], Path(file.place[-1]).stem) in pictures)]
    folders = {place for place in folders if place and not clutter(place)}
    files, folders = _bare(files, folders)
    files, folders = _split_first(files, folders)
    files, folders, notes = _parted(files, folders)
    found: dict[str, list[File]] = {}
    for file in files:
        if len(file.place) != 2:
            where = "lies in no class folder" if len(file.place) == 1 else "lies in a folder inside a class folder"
            raise LabError(f"{file.place[-1][:LONGEST_NAME]} {where}.", LAYOUT)
        found.setdefault(_class_name(file.place[0]), []).append(file)
    one_sided = next(((name, part) for name, members in found.items() for part in ("train", "test")
                      if any(file.part for file in members) and not any(file.part == part for file in members)), None)
    if one_sided:
        raise LabError(f"The class '{one_sided[0]}' has no picture to {'learn from' if one_sided[1] == 'train' else 'test on'}.",
                       "Every class needs a folder with pictures in 'train' and in 'test'.")
    empty = next((place[0] for place in sorted(folders) if len(place) == 1 and _class_name(place[0]) not in found), None)
    if empty:
        raise LabError(f"The folder '{empty[:LONGEST_NAME]}' is empty.", "Put pictures into it or leave it out.")
    _check_counts(found)
    large = next((file for members in found.values() for file in members if file.size > LARGEST_FILE), None)
    if large:
        raise LabError(f"{large.place[-1]} is larger than {LARGEST_FILE // MB} MB.", "Save the picture smaller and try again.")
    return dict(sorted(found.items())), notes


def _bare(files: list[File], folders: set[tuple[str, ...]]) -> tuple[list[File], set[tuple[str, ...]]]:
    """Without the folders around everything, and without what lies beside the classes and is about them."""
    while True:
        files = [file for file in files if len(file.place) > 1 or not _BESIDE.fullmatch(file.place[0])]
        around = files[0].place[0] if files else ""
        shallow = [file for file in files if len(file.place) == 2 and _BESIDE.fullmatch(file.place[1])]
        deep = [file for file in files if file not in shallow]
        if not deep or not all(len(file.place) > 2 and file.place[0] == around for file in deep):
            return files, folders
        files = [replace(file, place=file.place[1:]) for file in deep]
        folders = {place[1:] for place in folders if place[0] == around and len(place) > 1}


def _split_first(files: list[File], folders: set[tuple[str, ...]]) -> tuple[list[File], set[tuple[str, ...]]]:
    """cat/train/1.png as train/cat/1.png: some keep the parts inside the classes."""
    turns = all(len(file.place) == 3 and file.place[1].lower() in SPLITS for file in files)
    if not files or not turns or all(file.place[0].lower() in SPLITS for file in files):
        return files, folders
    turned = [replace(file, place=(file.place[1], file.place[0], file.place[2])) for file in files]
    return turned, {(place[1], place[0]) for place in folders if len(place) == 2}


def _parted(files: list[File], folders: set[tuple[str, ...]]) -> tuple[list[File], set[tuple[str, ...]], list[str]]:
    """What lies in folders called train, val and test, as those say; everything as it is where the folders at the top are classes."""
    parts = {file.place[0]: SPLITS.get(file.place[0].lower()) for file in files if len(file.place) > 1}
    if not parts or None in parts.values() or not all(len(file.place) == 3 for file in files) or len(set(parts.values())) < 2:
        return files, folders, []
    has = set(parts.values())
    learned, tested = ("train", "test" if "test" in has else "val") if "train" in has else ("val", "test")
    kept = [replace(file, place=file.place[1:], part={learned: "train", tested: "test"}[parts[file.place[0]]])
            for file in files if parts[file.place[0]] in (learned, tested)]
    names = {part: next(name for name, of in parts.items() if of == part) for part in has}
    notes = [f"The folder '{names[learned]}' is learned from and '{names[tested]}' is tested on, as they are."]
    notes += [f"'{names[part]}' is left aside." for part in has - {learned, tested}]
    return kept, {place[1:] for place in folders if len(place) > 1}, notes


def _class_name(folder: str) -> str:
    name = clean_text(folder)
    if not 0 < len(name) <= LONGEST_NAME:
        raise LabError(f"A class cannot be called '{name[:LONGEST_NAME]}'.", f"A name has 1 to {LONGEST_NAME} characters.")
    return name


def _check_counts(found: dict[str, list[File]]) -> None:
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
