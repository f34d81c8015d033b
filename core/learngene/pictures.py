"""Pictures that visitors bring: checked by their header before a single pixel is decoded.

    picture = read_picture(path)                 # PIL, mode "LA"
    pixels = to_pixels(picture)                  # (1, 1, 16, 16), ink 1, paper -1, as the models know it
    pixels = from_drawing(array)                 # the same from what somebody drew
    task = read_folder(folder)                   # a task from a folder with one subfolder per class
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import torch
from pydantic import AfterValidator
from torch import Tensor
from torch.nn import functional as F

from core.engine.errors import LabError
from core.learngene.data import SIZE, Task, shift

if TYPE_CHECKING:
    from PIL.Image import Image

LARGEST_SIDE, LARGEST_FILE = 8000, 20 * 1024**2
KINDS = ("PNG", "JPEG", "BMP", "WEBP", "GIF")
INK = 11.0  # longer side of the ink in a picture of 16 pixels, as in the letters the models were taught
MOST_PICTURES = 5000


def _square(rows: tuple[tuple[float, ...], ...]) -> tuple[tuple[float, ...], ...]:
    if rows and (len(rows) != SIZE or any(len(row) != SIZE for row in rows)):
        raise ValueError(f"a drawing has {SIZE} rows of {SIZE} numbers")
    if any(not -1 <= value <= 1 for row in rows for value in row):
        raise ValueError("the numbers of a drawing lie between -1 and 1")
    return rows


# A field of a config: nothing, or 16 rows of 16 numbers; `from_drawing(array)[0, 0].tolist()` makes one.
Drawing = Annotated[tuple[tuple[float, ...], ...], AfterValidator(_square)]


def read_picture(file: Path) -> Image:
    """A still picture in shades of grey with its transparency (mode "LA"). Raises LabError for anything else, before decoding it."""
    from PIL import Image, UnidentifiedImageError

    file = Path(file)
    if file.stat().st_size > LARGEST_FILE:
        raise LabError(f"{file.name} is larger than {LARGEST_FILE // 1024**2} MB.", "Save the picture smaller and try again.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the size is checked two lines below
        try:
            with Image.open(file, formats=KINDS) as picture:
                _check_header(file.name, picture)
                return picture.convert("RGBA").convert("LA")
        except Image.DecompressionBombError:  # the library's own limit, met before ours can name the sides
            raise LabError(f"{file.name} is far too large.", f"At most {LARGEST_SIDE} pixels on a side; make it smaller first.") from None
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
            raise LabError(f"{file.name} is not a picture that can be read.", "Use a PNG, JPEG, BMP, WebP or GIF file.") from None


def _check_header(name: str, picture: Image) -> None:
    if max(picture.size) > LARGEST_SIDE:
        raise LabError(f"{name} is {picture.width} x {picture.height} pixels large.",
                       f"At most {LARGEST_SIDE} on a side; make it smaller first.")
    if getattr(picture, "n_frames", 1) > 1:
        raise LabError(f"{name} is animated.", "Save one of its pictures on its own.")


def to_pixels(picture: Image, *, centre: bool = True) -> Tensor:
    """(1, 1, 16, 16) in -1..1. Transparent counts as paper; dark ink on light paper is turned round.

    `centre` cuts the ink out and places it as in the letters the models know; otherwise the whole picture is squeezed.
    """
    import numpy as np

    grey = torch.from_numpy(np.array(picture.convert("LA"), dtype="float32"))
    grey, alpha = grey[..., 0] / 255, grey[..., 1] / 255
    ink = alpha if bool((alpha < 0.5).any()) else grey
    border = torch.cat([ink[0], ink[-1], ink[:, 0], ink[:, -1]])
    if border.mean() > 0.5:
        ink = 1 - ink
    return _place(ink) if centre else F.interpolate(ink[None, None], size=(SIZE, SIZE), mode="area") * 2 - 1


def from_drawing(array: Any) -> Tensor:
    """(1, 1, 16, 16) from an array (h, w), (h, w, 3) or (h, w, 4) of bytes or of numbers 0..1. Raises LabError when empty."""
    import numpy as np
    from PIL import Image

    array = np.asarray(array)
    if array.ndim not in (2, 3) or array.size == 0 or array.ndim == 3 and array.shape[2] not in (1, 3, 4):
        raise LabError("That is not a drawing.", "Draw on the square, with the mouse or a finger.")
    if max(array.shape[:2]) > LARGEST_SIDE:
        raise LabError("That drawing is too large.", f"At most {LARGEST_SIDE} pixels on a side.")
    if array.dtype != np.uint8:
        array = (np.clip(np.nan_to_num(array.astype("float64")), 0, 1) * 255).astype(np.uint8)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    pixels = to_pixels(Image.fromarray(array))
    if pixels.max() < -0.9:
        raise LabError("Nothing is drawn yet.", "Draw a letter, large, in the middle.")
    return pixels


def _place(ink: Tensor) -> Tensor:
    """Cuts the ink out, scales its longer side to 11 of 16 pixels and centres it."""
    marked = (ink > 0.25).nonzero()
    if len(marked) == 0:
        return torch.full((1, 1, SIZE, SIZE), -1.0)
    (top, left), (bottom, right) = marked.min(0).values.tolist(), (marked.max(0).values + 1).tolist()
    cut = ink[top:bottom, left:right][None, None]
    scale = INK / max(cut.shape[-2:])
    size = [max(1, round(side * scale)) for side in cut.shape[-2:]]
    small = F.interpolate(cut, size=size, mode="area")
    small = (small / small.max().clamp(min=1e-6)).clamp(0, 1)
    down, across = (SIZE - size[0]) // 2, (SIZE - size[1]) // 2
    return F.pad(small, (across, SIZE - size[1] - across, down, SIZE - size[0] - down)) * 2 - 1


def read_folder(folder: Path, *, held_out: float = 0.33, seed: int = 0) -> Task:
    """A task from `folder/CLASS/*.png`: every class split by the same share. Raises LabError for fewer than two classes.

    Pictures are squeezed to 16 x 16 shades of grey; a class needs at least three.
    """
    kinds = sorted(sub for sub in Path(folder).iterdir() if sub.is_dir() and not sub.name.startswith("."))
    found = {sub.name: [file for file in sorted(sub.iterdir()) if file.is_file() and not file.name.startswith(".")] for sub in kinds}
    found = {name: files for name, files in found.items() if files}
    if len(found) < 2:
        raise LabError(f"The folder {Path(folder).name} has pictures of {'one class' if found else 'no class'} only.",
                       "Make one folder per class and put at least three pictures into each; two classes at least.")
    few = next((name for name, files in found.items() if len(files) < 3), None)
    if few:
        raise LabError(f"There are only {len(found[few])} pictures of '{few}'.", "Put at least three pictures into every class folder.")
    if sum(map(len, found.values())) > MOST_PICTURES:
        raise LabError(f"There are more than {MOST_PICTURES} pictures in that folder.", "Use fewer; a few hundred per class are plenty.")
    train, test = _split(list(found.values()), held_out, torch.Generator().manual_seed(seed))
    return Task(Path(folder).name, tuple(found), *test, len(train[1]), lambda g: (shift(train[0], g), train[1]))


def _split(classes: Sequence[list[Path]], held_out: float, generator: torch.Generator) -> list[tuple[Tensor, Tensor]]:
    parts: list[tuple[list[Tensor], list[int]]] = [([], []), ([], [])]
    for label, files in enumerate(classes):
        order = torch.randperm(len(files), generator=generator).tolist()
        away = max(1, round(held_out * len(files)))
        for place, index in enumerate(order):
            pixels, labels = parts[place < away]
            pixels.append(to_pixels(read_picture(files[index]), centre=False))
            labels.append(label)
    return [(torch.cat(pixels), torch.tensor(labels)) for pixels, labels in parts]
