"""Model folders on disk, read without torch: what their headers promise, whether that can be true, and what makes a model itself.

    inspect(folder).parameters      # everything that is refused in a folder of models is refused here, before a loader sees it
    inspect_apart(folder)           # the same, read in the process for the bytes of strangers
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.engine.errors import LabError
from core.engine.experiment import shown
from core.engine.reader import asked
from core.engine.stored import parse, read_file

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
LARGEST_HEADER = 32 * 1024**2  # names of three hundred thousand tensors
# What generation settings that come with a model may be; None is none.
GENERATION = {
    "max_length": (0, 10**7), "max_new_tokens": (1, 10**6), "min_length": (0, 10**6), "min_new_tokens": (0, 10**6), "num_beams": (1, 64),
    "num_beam_groups": (1, 64), "num_return_sequences": (1, 64), "temperature": (0, 1000), "top_k": (0, 10**7), "top_p": (0, 1),
    "min_p": (0, 1), "typical_p": (0, 1), "repetition_penalty": (1e-3, 1000), "length_penalty": (-1000, 1000),
    "no_repeat_ngram_size": (0, 10**4), "pad_token_id": (-1, 10**8), "bos_token_id": (-1, 10**8),
    "penalty_alpha": (0, 1), "max_time": (0, 10**6),
}  # fmt: skip
SIZES = ("vocab_size", "hidden_size", "intermediate_size", "n_embd", "n_inner", "num_attention_heads", "n_head")
MOST_TIMES = 4  # a size of the config against the longest side of what is stored: fused tensors are longer, not shorter
# What a loader reads besides: bytes that a config and the other small files may have, and what tokenizers may.
LARGEST_JSON, LARGEST_TOKENIZER = 4 * 1024**2, 40 * 1024**2
TOKENIZER_FILES = ("tokenizer.json", "vocab", "merges", "tekken", ".model", ".spm", ".tiktoken")
# Beside config and weights, all that a model's answers depend on. Looked for by pattern: each tokenizer class names its own files.
CHARACTER = (
    "generation_config.json", "tokenizer*", "vocab*", "merges.txt", "special_tokens_map.json", "added_tokens.json", "*.model", "*.spm",
    "*.tiktoken", "chat_template*", "additional_chat_templates/*", "*processor_config.json", "adapter_*",
)  # fmt: skip
_ONLY_SAFETENSORS = "Only weights in safetensors format are loaded, because other formats can run code."


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object from a file that anybody may have written; ValueError (or OSError) for anything else."""
    content = parse(read_file(file, LARGEST_JSON))
    if not isinstance(content, dict):
        raise ValueError(f"{file.name} holds no object")
    return content


def title(folder: Path) -> str:
    """What people call a model folder: its name, or ORG/NAME for a snapshot in the hub client's cache."""
    if folder.parent.name == "snapshots":
        return folder.parent.parent.name.removeprefix("models--").replace("--", "/")
    return folder.name


def weight_files(folder: Path) -> list[Path]:
    """The files that transformers reads the weights from: `model.safetensors`, else the shards of its index.

    Raises LabError when there are none, one is missing, or the index names a file in another folder.
    """
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not (folder / INDEX).is_file():
        raise LabError(f"There are no safetensors weights ({WEIGHTS}) in {title(folder)}.", _ONLY_SAFETENSORS)
    try:
        names = sorted(set(read_json(folder / INDEX)["weight_map"].values()))
        plain = bool(names) and all(Path(name).name == name and name.endswith(".safetensors") for name in names)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        names, plain = [], False
    if not plain:
        raise LabError(f"The {INDEX} of {title(folder)} does not list safetensors files of its own folder.", "Download the model again.")
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise LabError(f"The model in {title(folder)} is not complete: {missing[0]} is missing.", "Copy or download it again.")
    return [folder / name for name in names]


@dataclass(frozen=True)
class Inspected:
    """What a model folder says of itself.

    config: config.json as it stands.  weights: the weight files.  parameters, tensors, widest: how many numbers and tensors are
    stored in them, and the longest side of a tensor.  character: the files of `character_files`.
    """

    config: dict[str, Any]
    weights: list[Path]
    parameters: int
    tensors: int
    widest: int
    character: list[Path]


def inspect(folder: Path) -> Inspected:
    """Reads what a model folder says of itself; allocates nothing and imports no torch. Raises LabError for what may not be loaded."""
    config, files, character = checked_config(folder), weight_files(folder), character_files(folder)
    for file in character:
        large = any(part in file.name for part in TOKENIZER_FILES)
        if file.stat().st_size > (LARGEST_TOKENIZER if large else LARGEST_JSON):
            raise LabError(f"{file.name} of {title(folder)} is too large to be what its name says.", "Copy or download the model again.")
    shapes = [entry["shape"] for file in files for entry in header(file).values()]
    widest = max((side for shape in shapes for side in shape), default=0)
    return Inspected(config, files, sum(math.prod(shape) for shape in shapes), len(shapes), widest, character)


def inspect_apart(folder: Path) -> Inspected:
    """`inspect` in the process for the bytes of strangers. Raises LabError, also for what takes too much memory or time there."""
    [found] = asked("core.engine.weights:inspected", folder=str(folder.absolute()))
    for kind in ("weights", "character"):
        found[kind] = [folder / name for name in found[kind]]
    return Inspected(**found)


def checked_apart(folder: Path) -> dict[str, Any]:
    """`checked_config` in that process: for a folder that has no weights yet."""
    return asked("core.engine.weights:checked", folder=str(folder.absolute()))[0]


def checked(folder: str) -> Iterator[tuple[dict[str, Any], bytes]]:
    """In the reading process: `checked_config`."""
    yield checked_config(Path(folder)), b""


def inspected(folder: str) -> Iterator[tuple[dict[str, Any], bytes]]:
    """In the reading process: `inspect` as plain data, files by their names in the folder."""
    place = Path(folder)
    found = inspect(place)
    names = {kind: [file.relative_to(place).as_posix() for file in getattr(found, kind)] for kind in ("weights", "character")}
    yield vars(found) | names, b""


def checked_config(folder: Path) -> dict[str, Any]:
    """config.json, after a look at everything in the folder that could make a loader run code or read elsewhere."""
    try:
        config = read_json(folder / "config.json")
        tokenizer = folder / "tokenizer_config.json"
        asks = "auto_map" in config or (tokenizer.is_file() and "auto_map" in read_json(tokenizer))
    except (OSError, ValueError):
        message = f"There is no readable config.json in {title(folder)}."
        raise LabError(message, "A model folder holds config.json and safetensors.") from None
    if asks:
        raise LabError(f"The model in {title(folder)} asks to run code of its own.", "The lab never runs code that comes with a model.")
    if (folder / "adapter_config.json").exists():
        raise LabError(f"{title(folder)} holds an adapter, not a whole model.", "Merge it into its model and save that.")
    check_generation(folder)
    return config


def character_files(folder: Path) -> list[Path]:
    """The files beside config and weights that change what the model says: tokenizer, templates, generation settings (see CHARACTER)."""
    return sorted({file for pattern in CHARACTER for file in folder.glob(pattern) if file.is_file()})


def fingerprint(folder: Path, weights: list[Path]) -> str:
    """16 hex digits over config, weights and, by name, the files of `character_files`: equal for equal models in any place."""
    digest = hashlib.sha256()
    for file in (folder / "config.json", *weights):
        digest.update(bytes.fromhex(sha256(file)))
    for file in character_files(folder):
        digest.update(file.relative_to(folder).as_posix().encode() + bytes.fromhex(sha256(file)))
    return digest.hexdigest()[:16]


def header(file: Path) -> dict[str, dict[str, Any]]:
    """Tensor name -> {dtype, shape}. Raises LabError for a header that cannot be true of its file; nothing is allocated.

    The library itself refuses tensors that overlap, leave a gap, end early or late, or have another size than their shape says.
    """
    from safetensors import SafetensorError, safe_open

    with file.open("rb") as stream:
        if int.from_bytes(stream.read(8), "little") > LARGEST_HEADER:
            raise _broken(file)
    try:
        with safe_open(file, "numpy") as tensors:
            parts = {name: tensors.get_slice(name) for name in tensors.keys()}  # noqa: SIM118 - it is no mapping
            return {name: {"dtype": part.get_dtype(), "shape": part.get_shape()} for name, part in parts.items()}
    except (SafetensorError, OSError):
        raise _broken(file) from None


def _broken(file: Path) -> LabError:
    return LabError(f"{file.name} is not a complete safetensors file, whatever its name says.", _ONLY_SAFETENSORS)


def check_generation(folder: Path) -> None:
    """Raises LabError for numbers in generation_config.json that cannot be meant."""
    file = folder / "generation_config.json"
    if not file.is_file():
        return
    try:
        settings = read_json(file)
    except (OSError, ValueError):
        raise LabError(f"generation_config.json of {title(folder)} cannot be read.", "Delete that file, or download it again.") from None
    for name, (low, high) in GENERATION.items():
        value = settings.get(name)
        whole = isinstance(value, (int, float)) and not isinstance(value, bool)
        if value is not None and not (whole and low <= value <= high):
            raise LabError(f"generation_config.json of {title(folder)} cannot have {shown(value)} as its {name}: from {low} to {high}.",
                           "Take that line out of the file.")


def check_sizes(ref: str, parts: Iterable[Any], widest: int) -> None:
    """Raises LabError when a config, or a part of one, names a size out of proportion to the longest side of what is stored."""
    for name in SIZES:
        said = max((value for part in parts if isinstance(value := getattr(part, name, None), int)), default=0)
        if said > MOST_TIMES * max(widest, 64):
            raise LabError(f"The config of {ref} names {said:,} as its {name}, no stored tensor has more than {widest:,} on a side.",
                           "Copy or download it again.")


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
    for name, expected in read_json(manifest)["sha256"].items():
        if not (folder / name).is_file() or sha256(folder / name) != expected:
            raise LabError(f"The embedded model {folder.name} has been changed or damaged ({name}).",
                           "Restore the file, for example with: git checkout assets/models")
