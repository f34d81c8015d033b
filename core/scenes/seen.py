"""A picture as a viewer shows it, in shades of grey: torch-free, for the process that reads what strangers bring.

    as_seen(picture)            # PIL, mode "LA"
"""

from __future__ import annotations

import struct
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

ONE_COLOUR = 24  # of 255: a pen that was smoothed at its edges is still one colour
LARGEST_DEEP = 1024  # of a picture of 16 bits, so many pixels on a side are looked at


def as_seen(picture: Image) -> Image:
    """The picture as a viewer shows it, mode "LA": turned by its note, in 8 bits, its colours as its profile means them, on paper.

    Only a drawing of one colour on transparent ground keeps its transparency: there the shape is the picture.
    """
    return on_paper(in_plain_colours(turned(picture)))


def on_white(picture: Image) -> Image:
    """The picture as a viewer shows it on white, mode "RGB"."""
    from PIL import Image as pil

    seen = in_plain_colours(turned(picture)).convert("RGBA")
    return pil.alpha_composite(pil.new("RGBA", seen.size, (255, 255, 255, 255)), seen).convert("RGB")


def turned(picture: Image) -> Image:
    """As the camera was held: the note of the file is followed if it can be read."""
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(picture)
    except (ValueError, SyntaxError, KeyError, TypeError, OverflowError, OSError, struct.error):
        return picture


def in_plain_colours(picture: Image) -> Image:
    """Mode "RGBA", whatever the depth; colours by the profile that the file brings, if there is one that fits."""
    import numpy as np
    from PIL import Image as pil

    if picture.mode.startswith(("I", "F")):  # 16 bits and more: scaled, where the library would cut off
        every = max(1, max(picture.size) // LARGEST_DEEP)
        numbers = np.asarray(picture)[::every, ::every].astype("float64")
        top = 65535 if picture.mode.startswith("I;16") or numbers.max() > 255 else 1 if numbers.max() <= 1 and picture.mode == "F" else 255
        grey = pil.fromarray(np.clip(np.round(numbers * (255 / top)), 0, 255).astype("uint8"))
        through = picture.info.get("transparency")
        if isinstance(through, int):
            grey.putalpha(pil.fromarray(((numbers != through) * 255).astype("uint8")))
        return grey.convert("RGBA")
    alpha = picture.convert("RGBA").getchannel("A")
    seen = _by_profile(picture) or picture.convert("RGB")
    seen = seen.convert("RGBA")
    seen.putalpha(alpha)
    return seen


def _by_profile(picture: Image) -> Image | None:
    """The picture in the colours of a screen (sRGB), None where it brings no profile, or one for other colours than its own."""
    from PIL import ImageCms

    packed = picture.info.get("icc_profile")
    if not packed:
        return None
    try:
        profile = ImageCms.ImageCmsProfile(BytesIO(packed))
        mode = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}.get(profile.profile.xcolor_space.strip())
        usual = {"1": "L", "L": "L", "LA": "L", "CMYK": "CMYK"}.get(picture.mode, "RGB")
        if mode != usual:
            return None
        base = picture if picture.mode == mode else picture.convert("RGBA" if mode == "RGB" else "LA" if picture.mode == "LA" else mode)
        base = base if base.mode == mode else base.convert(mode)
        return ImageCms.profileToProfile(base, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, AttributeError):
        return None


def on_paper(picture: Image) -> Image:
    """A picture of mode "RGBA" on white, or as a silhouette, mode "LA"."""
    import numpy as np
    from PIL import Image as pil

    alpha = np.asarray(picture.getchannel("A"))
    if alpha.min() == 255:
        return picture.convert("LA")
    solid = np.asarray(picture.convert("RGB"))[alpha >= 128]
    if (alpha < 128).any() and (not len(solid) or int(np.ptp(solid, axis=0).max()) <= ONE_COLOUR):
        return picture.convert("LA")
    paper = pil.new("RGBA", picture.size, (255, 255, 255, 255))
    return pil.alpha_composite(paper, picture).convert("LA")
