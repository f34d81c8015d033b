"""Stop reaches code that is handed no lab: long loops ask here, in whatever run's thread they are.

    for number, row in enumerate(rows):
        go_on()                      # raises Stopped once somebody has pressed Stop for this run; elsewhere it does nothing

The runner says which flag counts; threads that take part are started with `contextvars.copy_context().run`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from core.engine.errors import Stopped


def _never() -> bool:
    return False


_flag: ContextVar[Callable[[], bool]] = ContextVar("glassbox_stop", default=_never)


@contextmanager
def stoppable(flag: Callable[[], bool]) -> Iterator[None]:
    """Inside the block `flag` says whether to stop."""
    token = _flag.set(flag)
    try:
        yield
    finally:
        _flag.reset(token)


def stopped() -> bool:
    """Whether somebody pressed Stop for the run in whose thread this is asked."""
    return _flag.get()()


def go_on() -> None:
    """Raises Stopped if so."""
    if _flag.get()():
        raise Stopped
