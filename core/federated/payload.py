"""What leaves a place, once: noised latents, the labels, and a few word vectors. One format for every transport.

    sent = pack(payload)                    # bytes: a safetensors file, no code in it
    payload = unpack(sent)                  # LabError for anything else
    check(payload, painter.mark, times)     # what the server asks before it believes a word of it

Bytes are counted as serialised, so that a loop in one process and a network agree (methods/07 sections 7 and 9).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.engine.errors import LabError
from core.federated.painter import LATENT, WIDTH
from core.federated.places import CLASSES

SOUND = (0.8, 1.2)  # root mean square of an honest noised latent
LARGEST = 64_000_000  # bytes
SAID = {"latents": "the pictures, mixed and noised", "labels": "which digit each is", "style": "S, the look of the place",
        "classes": "V, a vector for each digit", "owned": "which digits these are"}
PARTS = ("latents", "labels", "style", "classes", "owned")


@dataclass(frozen=True)
class Payload:
    """One upload. latents: fp16 (n, 4, 8, 8), mixed and noised to `t_start`; labels: uint8 (n,); style: fp16 (64,) or empty (0,);
    classes: fp16 (owned, 64); owned: uint8, the classes they are of.  place: who sends; painter: for which painter."""

    place: str
    painter: str
    t_start: int
    latents: Tensor
    labels: Tensor
    style: Tensor
    classes: Tensor
    owned: Tensor


def digest(sent: bytes) -> str:
    """The hash of what is sent: equal for equal uploads, whatever carries them."""
    return hashlib.sha256(sent).hexdigest()


def pack(payload: Payload) -> bytes:
    """The upload as bytes."""
    from safetensors.torch import save

    note = json.dumps({"place": payload.place, "painter": payload.painter, "t_start": payload.t_start}, sort_keys=True)
    return save({name: getattr(payload, name).contiguous() for name in PARTS}, {"fedbip": note})


def unpack(sent: bytes) -> Payload:
    """Reads an upload. Raises LabError for what is none: too large, not safetensors, parts missing or of another kind."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    if len(sent) > LARGEST:
        raise LabError(f"An upload of {len(sent) / 1e6:.0f} MB is too large.", f"At most {LARGEST / 1e6:.0f} MB are read.")
    try:
        size = int.from_bytes(sent[:8], "little")
        note = json.loads(json.loads(sent[8:8 + size])["__metadata__"]["fedbip"])
        parts = load(sent)
        return Payload(str(note["place"]), str(note["painter"]), int(note["t_start"]), *(parts[name] for name in PARTS))
    except (SafetensorError, ValueError, KeyError, TypeError, UnicodeDecodeError):
        raise LabError("What came is no upload of this method.", "Send the safetensors bytes that `pack` makes.") from None


def inside(sent: bytes) -> list[list[str | int | float]]:
    """What lies in an upload, part by part: name, what it is, kind of number, shape, bytes, least, largest; the note on top comes last."""
    payload, size = unpack(sent), int.from_bytes(sent[:8], "little")
    parts = [(name, getattr(payload, name)) for name in PARTS]
    rows = [[name, SAID[name], str(part.dtype).removeprefix("torch."), " x ".join(map(str, part.shape)), part.numel() * part.element_size(),
             *([round(float(part.min()), 3), round(float(part.max()), 3)] if part.numel() else ["", ""])] for name, part in parts]
    return [*rows, ["header", "where each part lies, the place, its step and its painter", "text", "", 8 + size, "", ""]]


def check(payload: Payload, painter: str, times: Sequence[int]) -> None:
    """Whether the server may use it. Raises LabError that names the place and what is wrong with its upload.

    painter: the mark of the server's painter.  times: the steps of its sampler."""
    for wrong, says in _faults(payload, painter, times):
        if wrong:
            name = payload.place[:40] or "a place without a name"
            raise LabError(f"The upload of {name} is left out: {says}.", "The others go on without it.")


def _faults(payload: Payload, painter: str, times: Sequence[int]):
    latents, labels, style, classes, owned = (getattr(payload, name) for name in PARTS)
    yield payload.painter != painter, "it was made for another painter, or for noise of another schedule"
    yield payload.t_start not in times, f"step {payload.t_start} is none of the sampler's"
    yield latents.shape[1:] != LATENT or len(labels) != len(latents) or labels.ndim != 1, "its latents have another shape"
    yield style.shape not in ((0,), (WIDTH,)) or classes.shape != (len(owned), WIDTH), "its word vectors have another shape"
    yield any(part.dtype != torch.float16 for part in (latents, style, classes)), "its numbers are not float16"
    yield any(part.dtype != torch.uint8 or bool((part >= len(CLASSES)).any()) for part in (labels, owned)), "it names a class that is none"
    yield not all(bool(part.isfinite().all()) for part in (latents, style, classes)), "some of its numbers are not finite"
    size = latents.float().square().flatten(1).mean(1).sqrt()
    yield bool(((size < SOUND[0]) | (size > SOUND[1])).any()), "some of its latents are too loud or too quiet to be noised pictures"
    yield len(latents) == 0 and len(owned) == 0, "there is nothing in it"
