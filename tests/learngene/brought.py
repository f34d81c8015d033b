"""Folders and ZIP files of pictures, and ancestors, as visitors might bring them."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from PIL import Image, ImageDraw
from transformers import DeiTConfig, DeiTForImageClassification

from core.learngene.data import SYMBOLS

SHAPES = ("bar", "box", "dot")


def shape(kind: str, place: int = 0, side: int = 24) -> bytes:
    """A PNG of a light shape on black; `place` moves it a little and makes it a little darker."""
    picture = Image.new("L", (side, side))
    pen, x, y, light = ImageDraw.Draw(picture), side // 4 + place % 5, side // 5 + place // 5 % 5, 255 - 2 * place
    if kind == "bar":
        pen.rectangle([x, y, x + 2, y + 12], fill=light)
    elif kind == "box":
        pen.rectangle([x, y, x + 10, y + 10], outline=light, width=2)
    else:
        pen.ellipse([x + 2, y + 2, x + 7, y + 7], fill=light)
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def shapes(each: int = 9, kinds: tuple[str, ...] = SHAPES, side: int = 24) -> dict[str, bytes]:
    """Name -> content of `each` pictures per class."""
    return {f"{kind}/{place}.png": shape(kind, place, side) for kind in kinds for place in range(each)}


def zipped(file: Path, members: Mapping[str, bytes], folders: tuple[str, ...] = ()) -> Path:
    """Writes a ZIP; `folders` are entries of their own."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in folders:
            archive.writestr(name, b"")
        for name, content in members.items():
            archive.writestr(name, content)
    return file


class _Old(zipfile.ZipInfo):
    """An entry whose name is written in the letters of an older system, and which does not say so."""

    page = "cp437"

    def _encodeFilenameFlags(self):
        return self.filename.encode(self.page), self.flag_bits & ~0x800


def zipped_in(page: str, file: Path, members: Mapping[str, bytes]) -> Path:
    """As `zipped`, with names in that code page: Windows' own packer, 7-Zip and many others still do so."""
    kind = type("Old", (_Old,), {"page": page})
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(kind(name), content)
    return file


def header_only(width: int, height: int) -> bytes:
    """A PNG whose header promises these sides and whose pixels are missing: decoding it would fail or take for ever."""
    chunks = [b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0), b"IDAT"]
    return b"\x89PNG\r\n\x1a\n" + b"".join(struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
                                          for chunk in chunks)


def deit(**shape: int) -> DeiTForImageClassification:
    """A random DeiT that knows the symbols."""
    return DeiTForImageClassification(DeiTConfig(**{
        "hidden_size": 24, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 48, "image_size": 16, "patch_size": 4,
        "num_channels": 1, "id2label": dict(enumerate(SYMBOLS)), "label2id": {name: i for i, name in enumerate(SYMBOLS)}} | shape))
