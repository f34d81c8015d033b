"""Safetensors files on disk: what their headers promise, and whether that can be true."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

from core.engine.errors import LabError

BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
LARGEST_HEADER = 100 * 1024**2
_ONLY_SAFETENSORS = "Only weights in safetensors format are loaded, because other formats can run code."


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model folder. Raises LabError when there are none."""
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        files = [folder / Path(name).name for name in names]
    else:
        files = sorted(folder.glob("*.safetensors"))
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise LabError(f"The model in {folder.name} is not complete: {missing[0]} is missing.", "Copy or download it again.")
    if not files:
        raise LabError(f"There are no safetensors weights in {folder.name}.", _ONLY_SAFETENSORS)
    return files


def header(file: Path) -> dict[str, dict]:
    """Tensor name -> {dtype, shape, data_offsets}, checked against the file before anything is allocated."""
    size = file.stat().st_size
    broken = LabError(f"{file.name} is not a safetensors file, whatever its name says.", _ONLY_SAFETENSORS)
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or not 2 <= length <= min(LARGEST_HEADER, size - 8):
            raise broken
        try:
            entries = json.loads(stream.read(length))
            tensors = {name: entry for name, entry in entries.items() if name != "__metadata__"}
            for entry in tensors.values():
                start, end = entry["data_offsets"]
                if end - start != math.prod(entry["shape"]) * BYTES[entry["dtype"]] or not 0 <= start <= end <= size - 8 - length:
                    raise broken
        except (ValueError, KeyError, TypeError, AttributeError):
            raise broken from None
    return tensors


def count_parameters(files: list[Path]) -> int:
    """Numbers stored in all files, from their headers alone."""
    return sum(math.prod(entry["shape"]) for file in files for entry in header(file).values())


def sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_manifest(folder: Path) -> None:
    """Raises LabError if a file of an embedded model is not the one that was measured."""
    manifest = folder / "manifest.json"
    if not manifest.is_file():
        return
    for name, expected in json.loads(manifest.read_text())["sha256"].items():
        if not (folder / name).is_file() or sha256(folder / name) != expected:
            raise LabError(f"The embedded model {folder.name} has been changed or damaged ({name}).",
                           "Restore the file, for example with: git checkout assets/models")
