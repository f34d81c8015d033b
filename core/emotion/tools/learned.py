"""Tools with a diffusion model of the visitor's: edit as told, fill in what is marked, paint anew (methods/04 section 6.2).

    with using(kind, pipe):                                            # what core/engine/pipelines.py:load gives
        edited = apply(picture, Step("instruct", strength=0.8, words="add falling leaves"))

They see the picture at most 512 pixels long, and what they paint is stretched over it. A strength that would leave not a single step
gives the very picture back: the libraries' schedulers disagree about that case, so it is our rule.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
from PIL import Image

from core.emotion.colour import to_bytes
from core.emotion.tools.base import Params, Tool, mix
from core.engine.errors import LabError
from core.engine.stopping import go_on

LONGEST, MULTIPLE = 512, 8
STEPS = {"instruct": 30, "fill_in": 50, "repaint": 50}
GUIDANCE, IMAGE_GUIDANCE = 7.5, 1.5
_given: ContextVar[tuple[str, Any] | None] = ContextVar("glassbox_pipeline", default=None)


@contextmanager
def using(kind: str, pipe: Any, steps: int | None = None) -> Iterator[None]:
    """Inside the block the tool `kind` has this pipeline. steps: of the sampler, None: as usual for its kind."""
    token = _given.set((kind, pipe, steps or STEPS[kind]))
    try:
        yield
    finally:
        _given.reset(token)


def _pipe(kind: str) -> tuple[Any, int]:
    given = _given.get()
    if given is None or given[0] != kind:
        raise LabError(f"The tool '{kind}' needs a diffusion model of yours.", "Start the lab with --models DIR and choose it under More.")
    return given[1:]


def _painted(kind: str, rgb: np.ndarray, p: Params, **more: Any) -> np.ndarray:
    """What the pipeline makes of (height, width, 3) in 0..1, stretched back to its size."""
    import torch

    pipe, steps = _pipe(kind)
    height, width = rgb.shape[:2]
    scale = min(1.0, LONGEST / max(height, width))
    size = tuple(max(MULTIPLE * 8, MULTIPLE * round(side * scale / MULTIPLE)) for side in (width, height))
    seen = Image.fromarray(to_bytes(rgb)).resize(size, Image.Resampling.LANCZOS)
    if "mask_image" in more:
        more |= {"mask_image": more["mask_image"].resize(size), "width": size[0], "height": size[1]}

    def each(pipe: Any, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        go_on()
        return tensors

    with torch.no_grad():
        made = pipe(
            prompt=p.words, image=seen, num_inference_steps=steps, guidance_scale=GUIDANCE,
            generator=torch.Generator().manual_seed(p.seed), callback_on_step_end=each, output_type="pil", **more,
        ).images[0]
    return np.asarray(made.convert("RGB").resize((width, height), Image.Resampling.BICUBIC), np.float32) / 255


def instruct(rgb: np.ndarray, p: Params) -> np.ndarray:
    """(height, width, 3) edited as the words tell (InstructPix2Pix); `strength` of it is laid over the picture."""
    return mix(rgb, _painted("instruct", rgb, p, image_guidance_scale=IMAGE_GUIDANCE), p.strength)


def repaint(rgb: np.ndarray, p: Params) -> np.ndarray:
    """(height, width, 3) noised for `strength` of the way and painted anew along the words (SDEdit, img2img)."""
    if int(_pipe("repaint")[1] * p.strength) == 0:
        return rgb
    return _painted("repaint", rgb, p, strength=p.strength)


def fill_in(rgb: np.ndarray, p: Params, mask: np.ndarray | None = None) -> np.ndarray:
    """What a mask (height, width) marks in (height, width, 3) painted anew along the words. Raises LabError where nothing is marked."""
    if mask is None or not (mask > 0.5).any():
        raise LabError("Nothing is marked that could be painted anew.", "Mark a part of the picture first.")
    if int(_pipe("fill_in")[1] * p.strength) == 0:
        return rgb
    return _painted("fill_in", rgb, p, strength=p.strength, mask_image=Image.fromarray(((mask > 0.5) * 255).astype(np.uint8)))


USES = ("seed", "words")
TOOLS = (
    Tool("instruct", "learned", instruct, "an edit in words", content=True, uses=USES, needs="instruct"),
    Tool("fill_in", "learned", fill_in, "the marked part painted anew", content=True, uses=USES, needs="fill_in"),
    Tool("repaint", "learned", repaint, "painted anew", content=True, uses=USES, needs="repaint"),
)
