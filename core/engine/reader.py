"""Bytes of strangers are read in a process of their own, which has little memory, little time, and nothing to lose.

    for facts, data in apart("core.learngene.opened:picture", path="x.png", name="x.png", stop=lambda: lab.cancelled):
        facts["width"], len(data)

The function that is named yields (facts, bytes): plain data and raw bytes. It runs without torch, in a process that was started
beforehand and serves once; files are read one at a time. A LabError in there is a LabError here.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from core.engine.errors import LabError
from core.engine.settings import REPOSITORY

MEMORY = 400 * 2**20  # bytes that reading may allocate
CPU_S, LONGEST_S = 60, 120.0
LARGEST_PIECE = 32 * 2**20
_HEAD = struct.Struct(">II")  # lengths of facts and data
LOOK_S = 0.1

_lock, _spare_lock = threading.Lock(), threading.Lock()
_spare: subprocess.Popen[bytes] | None = None
_ahead: tuple[str, ...] = ()


def prepare(*modules: str) -> None:
    """Starts the process that the next file will be read in, unless it waits already; `modules` are imported in it at once."""
    global _spare, _ahead
    _ahead = modules or _ahead
    with _spare_lock:
        if _spare is None or _spare.poll() is not None:
            _spare = _begin()


def _begin() -> subprocess.Popen[bytes]:
    quiet = {"PYTHONPATH": str(REPOSITORY), "PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-m", "core.engine.reader", *_ahead], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, env=quiet, cwd="/", close_fds=True)


def _take() -> subprocess.Popen[bytes]:
    global _spare
    with _spare_lock:
        taken, _spare = _spare, None
    return taken if taken is not None and taken.poll() is None else _begin()


def apart(function: str, *, stop: Callable[[], bool] = lambda: False, longest: float | None = None,
          **given: Any) -> Iterator[tuple[dict[str, Any], bytes]]:
    """What `function` ("module:name") yields in a process of its own. Ends it when `stop` says so or nobody reads on.

    longest: seconds, LONGEST_S unless given.

    Raises LabError in words for what takes too much memory or time, and for what breaks the reader.
    """
    with _lock:
        process = _take()
        try:
            yield from _spoken(process, json.dumps({"function": function, "given": given}).encode(), stop, longest or LONGEST_S)
        finally:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    stream.close()
            threading.Thread(target=prepare, daemon=True).start()


def _spoken(process: subprocess.Popen[bytes], order: bytes, stop: Callable[[], bool],
            longest: float) -> Iterator[tuple[dict[str, Any], bytes]]:
    until = time.monotonic() + longest
    with contextlib.suppress(OSError):  # it died: the answer says so
        process.stdin.write(order + b"\n")
        process.stdin.flush()
    while True:
        head = _read(process, _HEAD.size, until, stop)
        size, more = _HEAD.unpack(head)
        if max(size, more) > LARGEST_PIECE:
            raise _broken()
        facts = json.loads(_read(process, size, until, stop))
        data = _read(process, more, until, stop)
        if "end" in facts:
            return
        if "error" in facts:
            raise LabError(facts["error"], facts["hint"])
        yield facts, data


def _read(process: subprocess.Popen[bytes], size: int, until: float, stop: Callable[[], bool]) -> bytes:
    """Exactly `size` bytes of what it says; looks ten times a second whether anybody still wants them."""
    found, file = bytearray(), process.stdout.fileno()
    while len(found) < size:
        if stop():
            raise LabError("Reading was stopped.", "Run it again.")
        if time.monotonic() > until:
            raise LabError("That file takes too long to read.", "Use a smaller or simpler file.")
        if not select.select([file], [], [], LOOK_S)[0]:
            continue
        part = os.read(file, size - len(found))
        if not part:
            raise _broken()
        found += part
    return bytes(found)


def _broken() -> LabError:
    return LabError("That file takes more memory or time than reading it may take.", "Use a smaller or simpler file.")


# ---- in the other process ----

def _limit() -> None:
    try:
        import resource
    except ImportError:  # no such limits on this system
        return
    for what, most in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CPU, CPU_S), (resource.RLIMIT_DATA, MEMORY)):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(what, (most, most))


def _say(facts: dict[str, Any], data: bytes = b"") -> None:
    said = json.dumps(facts).encode()
    sys.stdout.buffer.write(_HEAD.pack(len(said), len(data)) + said + data)
    sys.stdout.buffer.flush()


def serve() -> None:
    """Waits for one order on standard input, answers on standard output, and ends."""
    for module in sys.argv[1:]:
        importlib.import_module(module)
    _limit()
    order = json.loads(sys.stdin.buffer.readline() or b"{}")
    if not order:
        return
    module, _, name = order["function"].partition(":")
    try:
        for facts, data in getattr(importlib.import_module(module), name)(**order["given"]):
            _say(facts, data)
    except LabError as error:
        _say({"error": error.message, "hint": error.hint})
    except (MemoryError, RecursionError):
        error = _broken()
        _say({"error": error.message, "hint": error.hint})
    except Exception as problem:
        _say({"error": f"That file could not be read ({type(problem).__name__}).", "hint": "Save it again with another program."})
    else:
        _say({"end": True})


if __name__ == "__main__":
    serve()
