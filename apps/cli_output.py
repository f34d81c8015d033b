"""What the command line prints: tables for people, one JSON document for programs, a progress bar while they wait."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from core.engine.errors import LabError

DONE, FAILED, WRONG, STOPPED, HUNG_UP = 0, 1, 2, 130, 141
WIDEST_CELL = 60


@dataclass(frozen=True)
class Answer:
    """What a verb found: as one document for programs, and as text for people."""

    document: dict[str, Any]
    text: str
    status: int = DONE


class Failure(LabError):
    """The arguments were right and the work failed all the same: exit status 1."""


@contextlib.contextmanager
def working() -> Iterator[None]:
    """What goes wrong in here is a failure and not a wrong argument."""
    try:
        yield
    except LabError as error:
        raise Failure(error.message, error.hint) from error
    except OSError as error:
        raise Failure(f"{error.filename or 'A file'} could not be read or written: {error.strerror or error}.",
                      "Check the folder, its permissions and the free space.") from error


@contextlib.contextmanager
def alone_on_stdout() -> Iterator[None]:
    """Sends everything that libraries print, from Python or from C, to standard error: standard output stays free for the answer."""
    sys.stdout.flush()
    try:
        own, target = os.dup(1), sys.stderr.fileno()
    except (OSError, ValueError):  # no real streams, as inside a notebook
        with contextlib.redirect_stdout(sys.stderr):
            yield
        return
    try:
        os.dup2(target, 1)
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(own, 1)
        os.close(own)


def show(answer: Answer, as_json: bool, refused: bool = False) -> int:
    """Prints the answer and gives its exit status. A refusal is for standard error, unless a program asked."""
    try:
        if as_json:
            print(json.dumps(answer.document, ensure_ascii=False, allow_nan=False), flush=True)
        elif answer.text:
            print(answer.text, file=sys.stderr if refused else sys.stdout, flush=True)
    except BrokenPipeError:
        return hang_up()
    return answer.status


def hang_up() -> int:
    """Nobody reads any more: keeps the interpreter from complaining about it while it exits."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return HUNG_UP


def say(sentence: str) -> None:
    """A remark to the person, never part of the answer."""
    print(sentence, file=sys.stderr, flush=True)


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Columns as wide as their content, the last one as long as it likes."""
    cells = [[_short(cell) for cell in row[:-1]] + [_plain(row[-1])] for row in (columns, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells)


def _plain(cell: Any) -> str:
    text = "-" if cell is None else f"{cell:.4g}" if isinstance(cell, float) else str(cell)
    return "".join(c if c.isprintable() else " " for c in text)  # words of a model must not steer the terminal


def _short(cell: Any) -> str:
    text = _plain(cell)
    return text if len(text) <= WIDEST_CELL else text[:WIDEST_CELL - 3] + "..."


class Bar:
    """A progress bar on standard error, shown on a terminal only.

    >>> with Bar() as bar:
    ...     bar.step(3, 60, "unlearning")
    """

    def __enter__(self) -> Bar:
        from tqdm import tqdm

        self._bar = tqdm(file=sys.stderr, disable=None, leave=False, dynamic_ncols=True,
                         bar_format="{desc}{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}]{postfix}", total=1)
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def step(self, step: int, total: int, note: str = "") -> None:
        """`step` of `total` done, and what is going on."""
        self._bar.total, self._bar.n = max(total, 1), step
        self._bar.set_description_str(f"{_short(note)} " if note else "", refresh=True)

    def number(self, name: str, value: float | None) -> None:
        """The newest number of the run, beside the bar."""
        if value is not None:
            self._bar.set_postfix_str(f"{_short(name)} {value:.4g}", refresh=False)
