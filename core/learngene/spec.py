"""What both learngene papers share, told without torch: names of tasks, fields that take pictures, and the probe that reads them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from core.engine.experiment import Config, DataRef, probe

FAMILIES = ("vit",)
TaskName = Literal["letters", "digits", "symbols"]
SIZE = 16  # pixels along a side of every picture
DRAWN = 64  # side of the square that visitors draw on, as the browser sends it
SHOWN = 256  # test pictures that every slider position is measured on
SCRATCH_RATE = 2e-3
TUNE_RATE = 0.25 * SCRATCH_RATE  # methods/09 section 10
FILES = {"files": [".zip"], "reader": "learngene/pictures", "sample": "shapes.zip", "labels": {"": "None: those that the lab has"}}
TEACH = 20


def _square(rows: tuple[tuple[float, ...], ...]) -> tuple[tuple[float, ...], ...]:
    side = len(rows)
    if rows and (side not in (SIZE, DRAWN) or any(len(row) != side for row in rows)):
        raise ValueError(f"a drawing has {SIZE} rows of {SIZE} numbers, or {DRAWN} rows of {DRAWN}")
    least, most = (-1, 1) if side == SIZE else (0, 255)
    if any(not least <= value <= most for row in rows for value in row):
        raise ValueError(f"the numbers of a drawing lie between {least} and {most}")
    return rows


# A field of a config: nothing, 16 rows of 16 numbers as the network gets them (-1 paper to 1 ink), or 64 rows of 64 as drawn on the
# square (0 paper to 255 ink), which is then placed like the pictures of the task.
Drawing = Annotated[tuple[tuple[float, ...], ...], AfterValidator(_square)]


class LookConfig(Config):
    """Which picture a probe looks at closely: a drawing, else a file, else a test picture by its number."""

    picture: int = Field(0, ge=0, lt=SHOWN, title="Or look at a test picture", description="Its number.",
                         json_schema_extra={"slider": [0, SHOWN - 1]})
    drawing: Drawing = Field((), description="16 x 16 numbers, -1 paper to 1 ink, or 64 x 64 as drawn, 0 to 255, instead",
                             json_schema_extra={"more": True})
    own: DataRef = Field("", title="Or a picture file", description="A picture of your own instead.",
                         json_schema_extra={"more": True, "files": [".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif"],
                                            "labels": {"": "no file"}})
    latency: bool = Field(False, description="Also measure the time of one picture and of 64", json_schema_extra={"more": True})
    every: bool = Field(False, description="Also measure all the others", json_schema_extra={"more": True})



def pictures_field(what: str, title: str = "Your own pictures", **extra: Any) -> Any:
    """The field of a config that takes a visitor's pictures."""
    return Field("", title=title, description=what, json_schema_extra=FILES | extra)


def teach_field() -> Any:
    """The field that says how long an ancestor learns classes that are new to it."""
    return Field(TEACH, ge=1, le=200, description="Passes in which the ancestor learns these classes first, if it does not know them yet",
                 json_schema_extra={"more": True})


class PicturesConfig(Config):
    pictures: DataRef = pictures_field("A ZIP file with one folder of pictures per class")


PICTURES = probe("learngene/pictures", title="What is in my pictures?", paper="09", families=FAMILIES, config=PicturesConfig,
                 run="core.learngene.uploads:brought")
