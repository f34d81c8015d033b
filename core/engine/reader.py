"""Bytes of strangers are read in a process of their own, which has little memory, little time, and nothing to lose.

    for facts, data in apart("core.learngene.opened:picture", path="x.png", name="x.png", stop=lambda: lab.cancelled):
        facts["width"], len(data)

The function that is named yields (facts, bytes): plain data and raw bytes. It runs without torch, in a process that was started
beforehand and serves once; files are read one at a time. A LabError in there is a LabError here.

    [facts] = asked("core.engine.weights:looked_at", folder="models/mine")

does the same for many small things - what a model folder says of itself, chats in its template - in a process that stays until
something goes wrong in it.
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
from core.engine.stopping import stopped

MEMORY = 400 * 2**20  # bytes that reading may allocate
CPU_S, LONGEST_S = 60, 120.0
LARGEST_PIECE = 32 * 2**20
_HEAD = struct.Struct(">II")  # lengths of facts and data
LOOK_S = 0.1
MOST_ORDERS = 1000  # that one process answers, so that nothing piles up in it
_STAYS = "--stays"

_lock, _spare_lock, _asking = threading.Lock(), threading.Lock(), threading.Lock()
_spare: subprocess.Popen[bytes] | None = None
_standing: subprocess.Popen[bytes] | None = None
_orders = 0
_ahead: tuple[str, ...] = ()


def prepare(*modules: str) -> None:
    """Starts the process that the next file will be read in, unless it waits already; `modules` are imported in it at once."""
    global _spare, _ahead
    _ahead = modules or _ahead
    with _spare_lock:
        if _spare is None or _spare.poll() is not None:
            _spare = _begin()


def _begin(*words: str) -> subprocess.Popen[bytes]:
    quiet = {"PYTHONPATH": str(REPOSITORY), "PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-m", "core.engine.reader", *(words or _ahead)], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=quiet, cwd="/", close_fds=True)


def _take() -> subprocess.Popen[bytes]:
    global _spare
    with _spare_lock:
        taken, _spare = _spare, None
    return taken if taken is not None and taken.poll() is None else _begin()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            stream.close()


@contextlib.contextmanager
def _turn(lock: threading.Lock, stop: Callable[[], bool]) -> Iterator[None]:
    """Waits for one's turn, and not any longer once `stop` says so."""
    while not lock.acquire(timeout=LOOK_S):
        _look(stop)
    try:
        yield
    finally:
        lock.release()


def _look(stop: Callable[[], bool]) -> None:
    if stop():
        raise LabError("Reading was stopped.", "Run it again.")


def apart(function: str, *, stop: Callable[[], bool] = stopped, longest: float | None = None,
          **given: Any) -> Iterator[tuple[dict[str, Any], bytes]]:
    """What `function` ("module:name") yields in a process of its own. Ends it when `stop` says so or nobody reads on.

    stop: the flag of the run in whose thread this is, unless given.  longest: seconds, LONGEST_S unless given.

    Raises LabError in words for what takes too much memory or time, and for what breaks the reader.
    """
    with _turn(_lock, stop):
        process = _take()
        try:
            yield from _spoken(process, json.dumps({"function": function, "given": given}).encode(), stop, longest or LONGEST_S)
        finally:
            _end(process)
            threading.Thread(target=prepare, daemon=True).start()


def asked(function: str, *, stop: Callable[[], bool] = stopped, longest: float | None = None, **given: Any) -> list[dict[str, Any]]:
    """The facts that `function` yields, all at once, in a process that stays for the next order. Raises as `apart` does.

    Only for what is small and decoded by Python itself. Whatever does not end there in order - too long, too large, stopped - ends
    the process too, and the next order finds a new one.
    """
    global _standing, _orders
    with _turn(_asking, stop):
        if _standing is not None and (_orders >= MOST_ORDERS or _standing.poll() is not None):
            _end(_standing)
            _standing = None
        if _standing is None:
            _standing, _orders = _begin(_STAYS), 0
        _orders += 1
        process, _standing = _standing, None  # put back only by who saw it end in order
        try:
            order = json.dumps({"function": function, "given": given}).encode()
            said = [facts for facts, _ in _spoken(process, order, stop, longest or LONGEST_S)]
        except _Said as problem:
            _standing = process
            raise LabError(problem.message, problem.hint) from None
        except BaseException:
            _end(process)
            raise
        _standing = process
        return said


class _Said(LabError):
    """What the function itself said in there: the process is in order."""


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
            raise (_Said if facts.get("whole") else LabError)(facts["error"], facts["hint"])
        yield facts, data


def _read(process: subprocess.Popen[bytes], size: int, until: float, stop: Callable[[], bool]) -> bytes:
    """Exactly `size` bytes of what it says; looks ten times a second whether anybody still wants them."""
    found, file = bytearray(), process.stdout.fileno()
    while len(found) < size:
        _look(stop)
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

def _limit(stays: bool) -> None:
    """Sets the limits; those on processor time hold for one order each."""
    try:
        import resource
    except ImportError:  # no such limits on this system
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + CPU_S if stays else CPU_S
    limits = ((resource.RLIMIT_CORE, 0, 0), (resource.RLIMIT_FSIZE, 0, 0), (resource.RLIMIT_DATA, MEMORY, MEMORY),
              (resource.RLIMIT_CPU, seconds, resource.RLIM_INFINITY if stays else seconds))
    for what, soft, hard in limits:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(what, (soft, hard))


def _say(facts: dict[str, Any], data: bytes = b"") -> None:
    said = json.dumps(facts).encode()
    sys.stdout.buffer.write(_HEAD.pack(len(said), len(data)) + said + data)
    sys.stdout.buffer.flush()


def serve() -> None:
    """Waits for orders on standard input and answers on standard output: one, and as many as come when it is told to stay."""
    stays = sys.argv[1:] == [_STAYS]
    for module in sys.argv[1:] if not stays else []:
        importlib.import_module(module)
    while True:
        _limit(stays)
        order = json.loads(sys.stdin.buffer.readline() or b"{}")
        if not order:
            return
        _answer(order)
        if not stays:
            return


def _answer(order: dict[str, Any]) -> None:
    module, _, name = order["function"].partition(":")
    try:
        for facts, data in getattr(importlib.import_module(module), name)(**order["given"]):
            _say(facts, data)
    except LabError as error:
        _say({"error": error.message, "hint": error.hint, "whole": True})
    except (MemoryError, RecursionError):
        error = _broken()
        _say({"error": error.message, "hint": error.hint})
    except Exception as problem:
        _say({"error": f"That file could not be read ({type(problem).__name__}).", "hint": "Save it again with another program."})
    else:
        _say({"end": True})


if __name__ == "__main__":
    serve()
