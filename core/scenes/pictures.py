"""Pictures of a visitor as models take them, and sets of them in the layouts of PAIRS and SocialCounterfactuals.

    photo = read_photo(path)                           # a Photo: hashable by what it shows
    people = read_set(path)                            # PeopleSet: what is shown in which scenario
    write_pairs(folder, scenes)                        # our own scenes in the folders of PAIRS
    write_counterfactuals(file, scenes)                # and in the columns of SocialCounterfactuals
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from core.engine.errors import LabError
from core.engine.reader import apart
from core.scenes.render import render
from core.scenes.scene import HAIR, TONES, Scene

SECTION = "occupations"


@dataclass(frozen=True)
class Photo:
    """A picture that was brought. name: for sentences.  digest: of its pixels, by which it is compared.  pixels: bytes (h, w, 3)."""

    name: str = field(compare=False)
    digest: str
    pixels: np.ndarray = field(compare=False, repr=False)

    def image(self) -> Image.Image:
        """As PIL, mode "RGB"."""
        return Image.fromarray(self.pixels)

    def square(self, side: int) -> np.ndarray:
        """The largest square around its middle, bytes (side, side, 3)."""
        return np.asarray(ImageOps.fit(self.image(), (side, side), Image.Resampling.BICUBIC))


def photo_of(pixels: np.ndarray, name: str = "") -> Photo:
    """A Photo of bytes (h, w, 3)."""
    pixels = np.ascontiguousarray(pixels, dtype=np.uint8)
    return Photo(name, hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()[:24], pixels)


BLANK = photo_of(np.full((64, 64, 3), 128), "no picture")


def read_photo(source: Path, name: str = "") -> Photo:
    """A still picture of any size and mode, turned as its note says. Raises LabError for anything else, before it is decoded."""
    [(facts, data)] = apart("core.scenes.opened:photo", path=str(Path(source).resolve()), name=name or Path(source).name)
    return _photo(facts, data)


def _photo(facts: dict, data: bytes) -> Photo:
    return photo_of(np.frombuffer(data, np.uint8).reshape(facts["height"], facts["width"], 3), facts["name"])


@dataclass(frozen=True)
class Shown:
    """One picture of a set: where it belongs and what it shows, by attribute."""

    photo: Photo
    scenario: str
    groups: dict[str, str] = field(compare=False)


@dataclass(frozen=True)
class PeopleSet:
    """attributes: by which pictures can be grouped, each with its values.  questions, options: of the visitor's, where there are any."""

    pictures: tuple[Shown, ...]
    attributes: dict[str, tuple[str, ...]]
    questions: tuple[str, ...] = ()
    options: str = ""

    @property
    def scenarios(self) -> tuple[str, ...]:
        return tuple(sorted({shown.scenario for shown in self.pictures}))


def read_set(source: Path, stop: Callable[[], bool] = lambda: False) -> PeopleSet:
    """The whole set at once. Raises LabError for what is no set, or shows one group only."""
    steps = reading_set(source, stop)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def reading_set(source: Path, stop: Callable[[], bool] = lambda: False) -> Iterator[tuple[int, int]]:
    """The same, telling (pictures read, pictures) after each; the generator's value is the set."""
    pictures, questions, options = [], {}, {}
    for facts, data in apart("core.scenes.opened:collection", path=str(Path(source).resolve()), stop=stop):
        pictures.append(Shown(_photo(facts, data), facts["scenario"], facts["groups"]))
        questions[facts["question"]], options[facts["options"]] = True, True
        yield facts["done"], facts["total"]
    attributes: dict[str, dict[str, None]] = {}
    for shown in pictures:
        for name, value in shown.groups.items():
            attributes.setdefault(name, {})[value] = None
    values = {name: tuple(sorted(found)) for name, found in attributes.items() if len(found) > 1 and "" not in found}
    if not values:
        raise LabError("All these pictures show one group.", "Two groups at least are needed, in the same scenarios.")
    said = [option for option in options if option]
    if len(said) > 1:
        raise LabError("The table names two lists of options.", "Write one list, the same in every row.")
    return PeopleSet(tuple(pictures), values, tuple(filter(None, questions)), said[0] if said else "")


# ---- our own scenes in the layouts of others ----


def quadruple(scene: Scene) -> dict[tuple[str, str], Scene]:
    """Hair crossed with the first and the last tone, everything else equal: what PAIRS does with gender and race."""
    return {(tone, hair): replace(scene, hair=hair, tone=tone) for tone in (TONES[0], TONES[-1]) for hair in HAIR}


def write_pairs(folder: Path, scenes: Sequence[Scene], size: int = 64) -> list[Path]:
    """FOLDER/occupations/SCENARIO/tone1_short.png and so on: the folders of PAIRS."""
    files = []
    for number, scene in enumerate(scenes):
        place = folder / SECTION / f"{scene.job}-{number:02d}"
        place.mkdir(parents=True, exist_ok=True)
        for (tone, hair), shown in quadruple(scene).items():
            files.append(place / f"{tone}_{hair}.png")
            Image.fromarray(render(shown, size)).save(files[-1])
    return files


def write_counterfactuals(file: Path, scenes: Sequence[Scene], size: int = 64) -> None:
    """One Parquet file with the columns of SocialCounterfactuals."""
    import duckdb

    with duckdb.connect() as base:
        base.execute("CREATE TABLE people (image STRUCT(bytes BLOB, path VARCHAR), caption VARCHAR, counterfactual_set VARCHAR, "
                     "a1_type VARCHAR, a1 VARCHAR, a2_type VARCHAR, a2 VARCHAR)")
        for number, scene in enumerate(scenes):
            for (tone, hair), shown in quadruple(scene).items():
                packed = io.BytesIO()
                Image.fromarray(render(shown, size)).save(packed, "PNG")
                said = [f"{number}-{tone}-{hair}.png", f"a {tone} {scene.job} with {hair} hair", str(number), tone, hair]
                base.execute("INSERT INTO people VALUES (struct_pack(bytes := ?::BLOB, path := ?), ?, ?, 'tone', ?, 'hair', ?)",
                             [packed.getvalue(), *said])
        base.execute(f"COPY people TO '{str(file).replace(chr(39), chr(39) * 2)}' (FORMAT parquet)")
