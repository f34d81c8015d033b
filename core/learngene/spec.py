"""What both learngene papers share, told without torch: names of tasks, fields that take pictures, and the probe that reads them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from core.engine.experiment import Config, DataRef, probe

FAMILIES = ("vit",)
TaskName = Literal["letters", "digits", "symbols"]
SIZE = 16  # pixels along a side of every picture
SHOWN = 256  # test pictures that every slider position is measured on
SCRATCH_RATE = 2e-3
TUNE_RATE = 0.25 * SCRATCH_RATE  # methods/09 section 10
FILES = {"files": [".zip"], "reader": "learngene/pictures", "sample": "shapes.zip", "labels": {"": "None: those that the lab has"}}
TEACH = 20


def _square(rows: tuple[tuple[float, ...], ...]) -> tuple[tuple[float, ...], ...]:
    if rows and (len(rows) != SIZE or any(len(row) != SIZE for row in rows)):
        raise ValueError(f"a drawing has {SIZE} rows of {SIZE} numbers")
    if any(not -1 <= value <= 1 for row in rows for value in row):
        raise ValueError("the numbers of a drawing lie between -1 and 1")
    return rows


# A field of a config: nothing, or 16 rows of 16 numbers; `from_drawing(array, placed)[0, 0].tolist()` makes one.
Drawing = Annotated[tuple[tuple[float, ...], ...], AfterValidator(_square)]


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
