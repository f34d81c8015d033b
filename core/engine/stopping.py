"""Stop reaches code that is handed no lab: long loops ask here, in whatever run's thread they are.

    for number, row in enumerate(rows):
        go_on()                      # raises Stopped once somebody has pressed Stop for this run; elsewhere it does nothing

The runner says which flag counts; threads that take part are started with `contextvars.copy_context().run`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

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


def ask_before(modules: Iterable[Any]) -> None:
    """Asks before every forward of these modules from now on, in whichever thread: for large batches through layers that nobody traces."""
    for module in modules:
        if not getattr(module, "_asks_before", False):
            module.register_forward_pre_hook(_asks)
            module._asks_before = True


def _asks(*_: Any) -> None:
    go_on()
