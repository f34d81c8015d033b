"""Which process computes a run, and whether it still does. A clock that is set while it computes changes nothing in that.

    run |= this_process()                   # {"pid": 4711, "born": 815.3}
    alive(run["pid"], run["born"])
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
from typing import Any

import psutil


def began(process: psutil.Process) -> float:
    """When a process began, in seconds since this machine did where the system counts so: a clock that is set moves nothing then."""
    return process.create_time() - (psutil.boot_time() if psutil.LINUX else 0.0)


@functools.cache
def _born_here(pid: int) -> float:
    return began(psutil.Process(pid))


def this_process() -> dict[str, Any]:
    """What a run remembers of the process that computes it."""
    return {"pid": os.getpid(), "born": _born_here(os.getpid())}


def alive(pid: int, born: float) -> bool:
    """Whether the process that started a run still exists (pid numbers are used again, birth times are not)."""
    if pid == os.getpid():
        return born == _born_here(pid)
    try:
        process = psutil.Process(pid)
        return abs(began(process) - born) < 2.0 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def give_back_memory() -> None:
    """What is free inside this process goes back to the system, where the C library can do that.

    It keeps the large free places between small things that stay, such as remembered answers: 1.8 MB a run, measured over two hundred.
    """
    with contextlib.suppress(OSError, TypeError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
