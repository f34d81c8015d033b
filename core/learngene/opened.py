"""What lies in a picture file, a ZIP or a folder that somebody brought: looked at first, then decoded, one picture after the other.

    for facts, data in collection("mine.zip"):
        facts       # {"class", "part", "notes", "name", "width", "height", "done", "total"}
        data        # shade and opacity, a byte each

Runs in the reading process (core/engine/reader.py), therefore without torch. A picture of many pixels is made smaller while it is
decoded: no more than LARGEST_KEPT on a side are left.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import struct
import unicodedata
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from core.engine.code_pages import CODE_PAGES, code_page
from core.engine.errors import LabError
from core.engine.experiment import clean_text
from core.scenes.seen import as_seen

if TYPE_CHECKING:
    from PIL.Image import Image

MB = 1024**2
LARGEST_SIDE, LARGEST_FILE, LARGEST_KEPT = 8000, 20 * MB, 1024
KINDS = ("PNG", "JPEG", "BMP", "WEBP", "GIF")
FEWEST, MOST_PICTURES, MOST_CLASSES, LONGEST_NAME = 3, 5000, 60, 40
MOST_UNPACKED, MOST_PIXELS, MOST_ENTRIES = 200 * MB, 300_000_000, 20_000
LAYOUT = "Make one folder per class, put its pictures straight into it, and pack the folders into a ZIP file."
# what operating systems, network drives and editors add
_CLUTTER = ("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "#recycle", "$recycle.bin", "system volume information",
            "icon\r")
_BESIDE = re.compile(r"(readme|licen[cs]e|labels|classes|metadata)?[^/]*\.(txt|md|csv|tsv|json|jsonl|ya?ml|xml|html?|pdf|toml|url|lnk)"
                     r"|readme|licen[cs]e|copying|notice", re.IGNORECASE)  # files about the pictures, outside of the class folders
_ABOUT = re.compile(r".+\.(aae|xmp|thm|txt|json|xml|yaml)", re.IGNORECASE)  # beside a picture of the same name: notes about it
SPLITS = {**dict.fromkeys(("train", "training", "trainset"), "train"), **dict.fromkeys(("test", "testing", "testset", "eval"), "test"),
          **dict.fromkeys(("val", "valid", "validation", "dev"), "val")}
UNICODE_PATH = 0x7075  # where a ZIP may write the name of a file once more, in letters that everybody reads alike
DEEPEST = 6
Piece = tuple[dict[str, Any], bytes]


@dataclass(frozen=True)
class _File:
    """One file of a collection: the folders that lead to it and its name, its size in bytes, and how to open it.

    part: train or test where a folder says so; "" where none does.
    """

    place: tuple[str, ...]
    size: int
    open: Callable[[], BinaryIO]
    part: str = ""

    @property
    def title(self) -> str:
        """What sentences call it."""
        return "/".join(self.place[-2:])


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
        files, folders, page = (*_in_folder(source), "") if source.is_dir() else _in_zip(source, stack)
        classes, notes = _by_class(files, folders)
        if page in CODE_PAGES:
            notes.append(f"This ZIP does not say in which letters its names are written. They were read as {CODE_PAGES[page]}.")
        members = [(label, file) for label, files in classes.items() for file in files]
        pixels = 0
        for _, file in members:  # all headers before the first pixel
            width, height = _sides(file.open, file.title)
            pixels += width * height
            if pixels > MOST_PIXELS:
                raise LabError(f"These pictures have more than {MOST_PIXELS // 10**6} million pixels in all.",
                               "Make them smaller first: 16 x 16 is all that is used.")
        for done, (label, file) in enumerate(members, start=1):
            facts, data = decoded(file.open, file.title)
            yield facts | {"class": label, "part": file.part, "notes": notes, "done": done, "total": len(members)}, data


def decoded(open_it: Callable[[], BinaryIO], name: str) -> Piece:
    """One picture, its header looked at first."""
    _sides(open_it, name)
    with _opened(open_it, name) as found:
        if found.format == "JPEG":
            found.draft("RGB", (LARGEST_KEPT, LARGEST_KEPT))
        shrink = min(-(-max(found.size) // LARGEST_KEPT), max(1, min(found.size) // 16))
        small = found.reduce(shrink) if shrink > 1 and found.mode not in ("P", "PA") and found.mode[0] not in "IF" else found
        kept = as_seen(small)
        return {"name": name, "width": kept.width, "height": kept.height}, kept.tobytes()


def _sides(open_it: Callable[[], BinaryIO], name: str) -> tuple[int, int]:
    """Width and height from the header. Raises LabError for one that is too large or moves."""
    with _opened(open_it, name) as found:
        if max(found.size) > LARGEST_SIDE:
            raise LabError(f"{name} is {found.width} x {found.height} pixels large.",
                           f"At most {LARGEST_SIDE} on a side; make it smaller first.")
        try:
            found.seek(1)  # not how many there are, for that means reading them all
        except EOFError:
            return found.size
        raise LabError(f"{name} is animated.", "Save one of its pictures on its own.")


class _opened(ExitStack):  # noqa: N801 - used like a function
    """An open picture of a kind that is read; what goes wrong with it meanwhile is said in words."""

    def __init__(self, open_it: Callable[[], BinaryIO], name: str) -> None:
        super().__init__()
        self._open, self._name = open_it, name

    def __enter__(self) -> Image:
        from PIL import Image

        super().__enter__()
        self.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the sides are checked
        try:
            return self.enter_context(Image.open(self.enter_context(self._open()), formats=KINDS))
        except BaseException as problem:
            self.close()
            self._explain(problem)
            raise

    def __exit__(self, kind, problem, trace) -> bool:
        super().__exit__(kind, problem, trace)
        self._explain(problem)
        return False

    def _explain(self, problem: BaseException | None) -> None:
        from PIL import Image, UnidentifiedImageError

        if isinstance(problem, Image.DecompressionBombError):  # the library's own limit, met before ours can name the sides
            raise LabError(f"{self._name} is far too large.", f"At most {LARGEST_SIDE} pixels on a side; make it smaller first.") from None
        if isinstance(problem, (UnidentifiedImageError, OSError, SyntaxError, ValueError)):
            raise LabError(f"{self._name} is not a picture that can be read.", "Use a PNG, JPEG, BMP, WebP or GIF file.") from None


def _in_folder(folder: Path) -> tuple[list[_File], set[tuple[str, ...]]]:
    files, folders = [], set()
    for place, inside, names in os.walk(folder):
        here = Path(place).relative_to(folder).parts
        inside[:] = sorted(name for name in inside if len(here) < DEEPEST and not _clutter((name,)))
        folders |= {_named(here + (name,)) for name in inside}
        files += [Path(place) / name for name in sorted(names) if (Path(place) / name).is_file()]
        if len(files) > MOST_ENTRIES:
            raise LabError(f"There are more than {MOST_ENTRIES:,} files in this folder.", f"At most {MOST_PICTURES:,} pictures.")
    return ([_File(_named(file.relative_to(folder).parts), file.stat().st_size, lambda file=file: file.open("rb")) for file in files],
            folders)


def _named(place: tuple[str, ...]) -> tuple[str, ...]:
    """Names in one form: one system writes an accent as a letter of its own, another does not."""
    return tuple(unicodedata.normalize("NFC", name) for name in place)


def _in_zip(source: Path, stack: ExitStack) -> tuple[list[_File], set[tuple[str, ...]], str]:
    """Its files and folders, and the code page in which names were read that do not say theirs; "" where all do."""
    try:
        archive = stack.enter_context(zipfile.ZipFile(source))
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        raise LabError(f"{source.name} is neither a folder nor a ZIP file that can be read.", LAYOUT) from None
    entries = archive.infolist()
    if len(entries) > MOST_ENTRIES:
        raise LabError(f"There are {len(entries):,} files in this ZIP.", f"At most {MOST_PICTURES:,} pictures; a few hundred are plenty.")
    unsaid = [raw for entry in entries if (raw := _raw(entry)) is not None]
    page = code_page(unsaid) if unsaid else ""
    files, folders = [], set()
    for entry in sorted(entries, key=lambda entry: entry.filename):
        place = _place(entry, page)
        if entry.is_dir():
            folders.add(place)
        else:
            files.append(_File(place, entry.file_size, lambda entry=entry: BytesIO(_unpacked(archive, entry))))
    if sum(file.size for file in files) > MOST_UNPACKED:
        raise LabError(f"Unpacked, this ZIP would have more than {MOST_UNPACKED // MB} MB.", "Use smaller or fewer pictures.")
    return files, folders, page


def _place(entry: zipfile.ZipInfo, page: str) -> tuple[str, ...]:
    """Folders and name of an entry. Raises LabError for one that is locked, a link, or leads out of the ZIP."""
    name = _written(entry, page).replace("\\", "/")
    place = _named(tuple(part for part in name.rstrip("/").split("/") if part != "."))
    if ".." in place or "" in place or re.match(r"[A-Za-z]:", name):
        raise LabError("A file in this ZIP wants to lie outside of it.", "Pack the folders again with another program.")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise LabError(f"'{place[-1][:LONGEST_NAME]}' is a link to somewhere else, not a picture.", "Pack the pictures themselves.")
    if entry.flag_bits & 1:
        raise LabError("This ZIP file is locked with a password.", "Pack it again without one.")
    return place


def _written(entry: zipfile.ZipInfo, page: str) -> str:
    """The name as it was meant: some programs write UTF-8 and forget to say so, or write it apart; others the letters of `page`."""
    if (apart := _apart(entry)) is not None:
        return apart
    raw = _raw(entry)
    return entry.filename if raw is None else raw.decode(page, "replace")


def _apart(entry: zipfile.ZipInfo) -> str | None:
    """The name that an entry writes once more in UTF-8."""
    extra = entry.extra
    while len(extra) >= 4:
        kind, size = struct.unpack("<HH", extra[:4])
        if kind == UNICODE_PATH and size > 5:
            with contextlib.suppress(UnicodeDecodeError):
                return extra[9:4 + size].decode("utf-8")
        extra = extra[4 + size:]
    return None


def _raw(entry: zipfile.ZipInfo) -> bytes | None:
    """The bytes of a name of which nobody says in which letters it is written; None where that is known, or plain to see."""
    if entry.flag_bits & 0x800 or entry.filename.isascii() or _apart(entry) is not None:
        return None
    return entry.filename.encode("cp437")


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """At most as many bytes as the entry says it has, whatever comes out."""
    try:
        with archive.open(entry) as stream:
            return stream.read(LARGEST_FILE + 1)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError, ValueError):
        raise LabError(f"{entry.filename[-LONGEST_NAME:]} cannot be unpacked.", "Pack the folders again.") from None


def _by_class(files: list[_File], folders: set[tuple[str, ...]]) -> tuple[dict[str, list[_File]], list[str]]:
    """The files of every class, by its name, in order, and what is to be said. Folders around all classes count for nothing."""
    files = [file for file in files if not _clutter(file.place)]
    pictures = {(*file.place[:-1], Path(file.place[-1]).stem) for file in files if not _ABOUT.fullmatch(file.place[-1])}
    files = [file for file in files if not (_ABOUT.fullmatch(file.place[-1])
                                            and (*file.place[:-1], Path(file.place[-1]).stem) in pictures)]
    folders = {place for place in folders if place and not _clutter(place)}
    files, folders = _bare(files, folders)
    files, folders = _split_first(files, folders)
    files, folders, notes = _parted(files, folders)
    found: dict[str, list[_File]] = {}
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


def _bare(files: list[_File], folders: set[tuple[str, ...]]) -> tuple[list[_File], set[tuple[str, ...]]]:
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


def _split_first(files: list[_File], folders: set[tuple[str, ...]]) -> tuple[list[_File], set[tuple[str, ...]]]:
    """cat/train/1.png as train/cat/1.png: some keep the parts inside the classes."""
    turns = all(len(file.place) == 3 and file.place[1].lower() in SPLITS for file in files)
    if not files or not turns or all(file.place[0].lower() in SPLITS for file in files):
        return files, folders
    turned = [replace(file, place=(file.place[1], file.place[0], file.place[2])) for file in files]
    return turned, {(place[1], place[0]) for place in folders if len(place) == 2}


def _parted(files: list[_File], folders: set[tuple[str, ...]]) -> tuple[list[_File], set[tuple[str, ...]], list[str]]:
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


def _clutter(place: tuple[str, ...]) -> bool:
    return any(part.startswith((".", "~$")) or part.lower() in _CLUTTER for part in place)


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
