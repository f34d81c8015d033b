"""Folders of diffusion pipelines, as diffusers saves them: looked at before a loader sees them, then read from safetensors alone.

    fingerprint(folder)                    # 16 hex digits over every file that is read
    pipe = load(folder)                    # one of PIPELINES, in eval mode, without a safety checker: it is not ours to bring

Only the classes below are known. Nothing of the folder is run, and nothing is fetched.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.engine.errors import LabError
from core.engine.reader import asked
from core.engine.weights import LARGEST_JSON, LARGEST_TOKENIZER, header, read_json, sha256, title

INDEX = "model_index.json"
PIPELINES = {
    "StableDiffusionInstructPix2PixPipeline": "instruct",
    "StableDiffusionInpaintPipeline": "fill_in",
    "StableDiffusionImg2ImgPipeline": "repaint",
    "StableDiffusionPipeline": "repaint",
}
CLASSES = {"instruct": "StableDiffusionInstructPix2PixPipeline", "fill_in": "StableDiffusionInpaintPipeline",
           "repaint": "StableDiffusionImg2ImgPipeline"}
PARTS = {"unet": ("diffusers", "UNet2DConditionModel"), "vae": ("diffusers", "AutoencoderKL"),
         "text_encoder": ("transformers", "CLIPTextModel")}
WEIGHTS = ("diffusion_pytorch_model.safetensors", "model.safetensors")
SCHEDULERS = ("DDIMScheduler", "PNDMScheduler", "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler", "DPMSolverMultistepScheduler",
              "LMSDiscreteScheduler", "DDPMScheduler")
_HINT = "Use a folder as diffusers saves it, with weights in safetensors: InstructPix2Pix, inpainting or Stable Diffusion."


def is_pipeline(folder: Path) -> bool:
    """Whether a folder says that it is a pipeline."""
    return (folder / INDEX).is_file()


def looked(folder: str) -> Iterator[tuple[dict[str, Any], bytes]]:
    """{"kind", "parameters", "files"} of a pipeline, read in the process for the bytes of strangers. Raises LabError for any other."""
    place = Path(folder)
    try:
        said = read_json(place / INDEX)
        kind = PIPELINES.get(said.get("_class_name"))
        if kind is None or any(list(said.get(part) or ()) != list(names) for part, names in PARTS.items()):
            raise LabError(f"{title(place)} is a pipeline that cannot be used here.", _HINT)
        if (said.get("scheduler") or ["", ""])[1] not in SCHEDULERS or (said.get("tokenizer") or ["", ""])[1] != "CLIPTokenizer":
            raise LabError(f"{title(place)} has a scheduler or a tokenizer that cannot be used here.", _HINT)
        files = [place / INDEX, place / "scheduler" / "scheduler_config.json", *sorted((place / "tokenizer").glob("*.*"))]
        parameters = 0
        for part in PARTS:
            weights = next((place / part / name for name in WEIGHTS if (place / part / name).is_file()), None)
            if weights is None:
                raise LabError(f"There are no safetensors weights in {part} of {title(place)}.", _HINT)
            read_json(place / part / "config.json")
            parameters += sum(math.prod(one["shape"]) for one in header(weights).values())
            files += [place / part / "config.json", weights]
        for file in files:
            most = LARGEST_TOKENIZER if file.parent.name == "tokenizer" else LARGEST_JSON
            if file.suffix != ".safetensors" and file.stat().st_size > most:
                raise LabError(f"{file.name} of {title(place)} is too large to be what its name says.", "Copy it again.")
            if not file.resolve().is_relative_to(place.resolve()):
                raise LabError(f"{file.name} of {title(place)} lies outside its folder.", "Copy the files themselves.")
    except (OSError, ValueError, TypeError, AttributeError):
        raise LabError(f"{title(place)} is no complete pipeline.", _HINT) from None
    yield {"kind": kind, "parameters": parameters, "files": [file.relative_to(place).as_posix() for file in files]}, b""


def inspect(folder: Path) -> dict[str, Any]:
    """`looked`, apart from this process."""
    return asked("core.engine.pipelines:looked", folder=str(folder.absolute()))[0]


def fingerprint(folder: Path, files: list[str]) -> str:
    """16 hex digits over the files of a pipeline, in order."""
    digest = hashlib.sha256()
    for name in files:
        digest.update(name.encode() + bytes.fromhex(sha256(folder / name)))
    return digest.hexdigest()[:16]


def load(folder: Path) -> tuple[str, Any]:
    """(kind, pipeline) of a folder: "instruct", "fill_in" or "repaint". Raises LabError for what cannot be used."""
    import diffusers
    import transformers

    kind = inspect(folder)["kind"]
    said = read_json(folder / INDEX)
    try:
        parts = {
            part: getattr(diffusers if library == "diffusers" else transformers, name).from_pretrained(
                folder / part, use_safetensors=True, local_files_only=True
            )
            for part, (library, name) in PARTS.items()
        }
        tokenizer = transformers.CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
        scheduler = getattr(diffusers, said["scheduler"][1]).from_config(read_json(folder / "scheduler" / "scheduler_config.json"))
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as problem:
        raise LabError(f"{title(folder)} cannot be opened: {type(problem).__name__}.", _HINT) from None
    for part in parts.values():
        part.eval().requires_grad_(False)
    pipe = getattr(diffusers, CLASSES[kind])(
        **parts, tokenizer=tokenizer, scheduler=scheduler, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    )
    pipe.set_progress_bar_config(disable=True)
    return kind, pipe
