"""What lies in a picture file, a ZIP or a folder that somebody brought: looked at first, then decoded, one picture after the other.

    files, folders, page = in_zip(path, stack, hint)    # or in_folder(path): nothing is unpacked yet
    width, height = sides(files[0].open, files[0].title)      # from the header
    picture = decode(files[0].open, files[0].title)    # PIL, no more than LARGEST_KEPT on a side, as the file has its colours

Runs in the reading process (reader.py), therefore without torch.
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
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from core.engine.code_pages import code_page
from core.engine.errors import LabError

if TYPE_CHECKING:
    from PIL.Image import Image

MB = 1024**2
LARGEST_SIDE, LARGEST_FILE, LARGEST_KEPT = 8000, 20 * MB, 1024
KINDS = ("PNG", "JPEG", "BMP", "WEBP", "GIF")
MOST_PICTURES, MOST_UNPACKED, MOST_PIXELS, MOST_ENTRIES, LONGEST_NAME = 5000, 200 * MB, 300_000_000, 20_000, 40
# what operating systems, network drives and editors add
CLUTTER = ("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "#recycle", "$recycle.bin", "system volume information",
           "icon\r")
UNICODE_PATH = 0x7075  # where a ZIP may write the name of a file once more, in letters that everybody reads alike
DEEPEST = 6


@dataclass(frozen=True)
class File:
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


def decode(open_it: Callable[[], BinaryIO], name: str) -> Image:
    """One picture, its header looked at first; one of many pixels is made smaller while it is decoded. Raises LabError for what is none."""
    sides(open_it, name)
    with opened(open_it, name) as found:
        if found.format == "JPEG":
            found.draft("RGB", (LARGEST_KEPT, LARGEST_KEPT))
        shrink = min(-(-max(found.size) // LARGEST_KEPT), max(1, min(found.size) // 16))
        small = found.reduce(shrink) if shrink > 1 and found.mode not in ("P", "PA") and found.mode[0] not in "IF" else found
        small.load()  # what is loaded outlives the file
        return small


def sides(open_it: Callable[[], BinaryIO], name: str) -> tuple[int, int]:
    """Width and height from the header. Raises LabError for one that is too large or moves."""
    with opened(open_it, name) as found:
        if max(found.size) > LARGEST_SIDE:
            raise LabError(f"{name} is {found.width} x {found.height} pixels large.",
                           f"At most {LARGEST_SIDE} on a side; make it smaller first.")
        try:
            found.seek(1)  # not how many there are, for that means reading them all
        except EOFError:
            return found.size
        raise LabError(f"{name} is animated.", "Save one of its pictures on its own.")


class opened(ExitStack):  # noqa: N801 - used like a function
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


def in_folder(folder: Path) -> tuple[list[File], set[tuple[str, ...]]]:
    """Its files, and the folders that it holds; neither what hides nor what lies very deep."""
    files, folders = [], set()
    for place, inside, names in os.walk(folder):
        here = Path(place).relative_to(folder).parts
        inside[:] = sorted(name for name in inside if len(here) < DEEPEST and not clutter((name,)))
        folders |= {_named(here + (name,)) for name in inside}
        files += [Path(place) / name for name in sorted(names) if (Path(place) / name).is_file()]
        if len(files) > MOST_ENTRIES:
            raise LabError(f"There are more than {MOST_ENTRIES:,} files in this folder.", f"At most {MOST_PICTURES:,} pictures.")
    return ([File(_named(file.relative_to(folder).parts), file.stat().st_size, lambda file=file: file.open("rb")) for file in files],
            folders)


def _named(place: tuple[str, ...]) -> tuple[str, ...]:
    """Names in one form: one system writes an accent as a letter of its own, another does not."""
    return tuple(unicodedata.normalize("NFC", name) for name in place)


def in_zip(source: Path, stack: ExitStack, layout: str) -> tuple[list[File], set[tuple[str, ...]], str]:
    """Its files and folders, and the code page in which names were read that do not say theirs; "" where all do."""
    try:
        archive = stack.enter_context(zipfile.ZipFile(source))
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        raise LabError(f"{source.name} is neither a folder nor a ZIP file that can be read.", layout) from None
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
            files.append(File(place, entry.file_size, lambda entry=entry: BytesIO(_unpacked(archive, entry))))
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


def clutter(place: tuple[str, ...]) -> bool:
    """Whether a path is of something that a system left behind."""
    return any(part.startswith((".", "~$")) or part.lower() in CLUTTER for part in place)
