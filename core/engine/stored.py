"""What is read back from disk, through one schema: a program of another version, a crash or a curious person may have written it.

    run = RunRecord.of(read_file(folder / "run.json"))     # ValueError for anything that is no record
    run.outcome, run["outcome"], run.public()
"""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, NotRequired

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from typing_extensions import TypedDict

LARGEST_JSON = 8 * 2**20
LARGEST_LOG = 2**30
LONGEST_LABEL, MOST_TAGS, LONGEST_NOTE = 80, 12, 4000
PICTURE_FILE = r"^[a-z0-9][a-z0-9.-]*\.png$"
TAKEN_FILE = r"^([a-z0-9][a-z0-9-]*\.(safetensors|csv|zip)|recipe\.json)$"
Outcome = Literal["running", "finished", "cancelled", "failed", "interrupted"]


# What is wrong with this moment, and not with a file that could not be read.
PASSING = (errno.EMFILE, errno.ENFILE, errno.EACCES, errno.EPERM, errno.ENOMEM, errno.EIO, errno.EAGAIN, errno.EINTR)


def read_file(path: Path | str, largest: int = LARGEST_JSON) -> bytes:
    """The content of a plain file. Raises ValueError for a pipe, a device or one that is too large, OSError for none at all."""
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # a pipe would wait for somebody to write
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode) or about.st_size > largest:
            raise ValueError("no plain file, or too large")
        return file.read(largest + 1)


def parse(data: bytes | str) -> Any:
    """JSON as the standard has it, without NaN and infinities. Raises ValueError for everything else, however deep."""
    try:
        return json.loads(data, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


class ModelOfRun(BaseModel):
    ref: str
    fingerprint: str
    parameters: int | None = None


class RunRecord(BaseModel):
    """run.json. Fields of a later version are kept when it is written again; nobody is shown them.

    key: equal for two requests that would compute the same numbers.  visitors: tokens of those who started or joined it.
    pid, born: the process that computes it.  commit: of the code, for a first view.
    label, tags, note: what whoever started it wrote about it.  keeps: False when models that it made were not kept, as in a sweep.
    """

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{3,79}$")
    name: str
    title: str
    paper: str
    revision: int
    config: dict[str, Any]
    seed: int
    key: str = ""
    fingerprints: dict[str, str]
    revisions: dict[str, str] = {}
    model: ModelOfRun | None = None
    versions: dict[str, str]
    threads: int
    outcome: Outcome
    error: str = ""
    hint: str = ""
    created: str
    started: str | None = None
    duration_s: float | None = None
    owner: str = ""
    visitors: list[str] = []
    published: bool = False
    pinned: bool = False
    keeps: bool = True
    pid: int = 0
    born: float = 0.0
    commit: str | None = None
    label: str = Field("", max_length=LONGEST_LABEL)
    tags: list[str] = Field([], max_length=MOST_TAGS)
    note: str = Field("", max_length=LONGEST_NOTE)

    @classmethod
    def of(cls, data: bytes) -> RunRecord:
        """The record in the text of a run.json. Raises ValueError for one that is damaged."""
        return cls.model_validate(parse(data))

    def __getitem__(self, field: str) -> Any:
        return getattr(self, field)

    def plain(self) -> dict[str, Any]:
        """All that the file holds, as plain data."""
        return self.model_dump(mode="json")

    def public(self) -> dict[str, Any]:
        """What everybody may be shown who may see the run: neither who asked for it nor how this process finds it."""
        held = self.model_dump(mode="json", exclude_unset=True)
        return {field: held[field] for field in type(self).model_fields if field in held and field not in PRIVATE}


PRIVATE = ("owner", "visitors", "pid", "born", "key", "label", "tags", "note")


class _Line(TypedDict):
    seq: int
    t: float


class _Progress(_Line):
    kind: Literal["progress"]
    step: int
    total: int
    note: str


class _Metric(_Line):
    kind: Literal["metric"]
    name: str
    value: float | None
    step: int | None
    unit: str


class _Figure(_Line):
    kind: Literal["figure"]
    name: str
    figure: dict[str, Any]


class _Table(_Line):
    kind: Literal["table"]
    name: str
    columns: list[str]
    rows: list[list[Any]]


class _Picture(_Line):
    kind: Literal["picture"]
    name: str
    file: Annotated[str, Field(pattern=PICTURE_FILE)]
    alt: str


class _File(_Line):
    kind: Literal["file"]
    file: Annotated[str, Field(pattern=TAKEN_FILE)]
    size: int


class _Text(_Line):
    kind: Literal["text"]
    name: str
    text: str


class _Keep(_Line):
    kind: Literal["keep"]
    name: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,40}$")]
    ref: str


class _Verdict(_Line):
    kind: Literal["verdict"]
    text: str
    evidence: dict[str, Any]
    headline: NotRequired[str]


class _End(_Line):
    kind: Literal["end"]
    outcome: Outcome
    error: str
    hint: str


_Any = _Progress | _Metric | _Figure | _Table | _Picture | _File | _Text | _Keep | _Verdict | _End
_LINE = TypeAdapter(Annotated[_Any, Field(discriminator="kind")])


def read_line(data: bytes, place: int) -> dict[str, Any]:
    """The event in one line of a log, which stands at `place`. One that is damaged becomes an event of kind "damaged"."""
    try:
        line = parse(data)
        _LINE.validate_python(line, strict=True)
        if line["seq"] == place:
            return line
    except ValueError:
        pass
    return {"seq": place, "t": 0.0, "kind": "damaged"}
