"""Processes for tests, forked from one that has imported much already: a fresh interpreter computes for seconds until torch is there.

    command = warm(code, "word")            # in place of [sys.executable, "-c", code, "word"], for subprocess.run and subprocess.Popen

One warm process for each session of tests (each worker of xdist) waits at a socket. It computes nothing, so it has started no
threads of OpenMP and may be forked. A child begins with the environment, the folder and the streams of the command; what a library
reads when it is imported was read before, except by transformers and the hub client, which the warm process leaves alone.
Where forking is not safe (macOS), and for a test of what an interpreter imports, take a fresh one.

As a program this file is the client: it hands over its streams, passes signals on and ends as the child ends.
"""

import json
import os
import signal
import socket
import sys

ABOVE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MODULES = ("numpy", "scipy.stats", "duckdb", "psutil", "PIL.Image", "tqdm", "safetensors.torch", "core.engine.runner", "core.engine.models",
           "core.engine.report", "core.engine.sweep", "apps.cli", "tests.cli.experiments", "tests.engine.experiments_for_tests")
_started: dict = {}


def warm(code: str, *words: str) -> list[str]:
    """The command that runs `code` with `words` in sys.argv[1:], as `python -c` does, in a fork of the warm process."""
    if not sys.platform.startswith("linux"):
        return [sys.executable, "-c", code, *words]
    if os.getpid() not in _started:
        _started[os.getpid()] = _start()
    return [sys.executable, "-ISE", os.path.abspath(__file__), "client", _started[os.getpid()][0], code, *words]


def _start() -> tuple:
    """Path of the socket, and the warm process, which ends when its standard input does: at the latest with this process."""
    import atexit
    import subprocess
    import tempfile

    path = os.path.join(tempfile.mkdtemp(prefix="warm-"), "socket")
    process = subprocess.Popen([sys.executable, os.path.abspath(__file__), "serve", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": ABOVE})
    assert process.stdout.readline() == b"ready\n", "the warm process could not start"
    atexit.register(lambda: (process.stdin.close(), process.wait()))
    return path, process


def serve(path: str) -> tuple[dict, list[int]]:
    """In the warm process: forks for every connection, and ends with its standard input. In a child: what was asked, and its streams."""
    import contextlib
    import importlib
    import selectors

    for name in MODULES:
        importlib.import_module(name)
    for name in ("transformers", "huggingface_hub"):
        assert name not in sys.modules, f"{name} reads the environment when it is imported, and was imported here"
    assert len(os.listdir("/proc/self/task")) == 1, "a process with threads must not be forked"
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening, selectors.DefaultSelector() as selector:
        listening.bind(path)
        listening.listen(64)
        os.write(1, b"ready\n")
        selector.register(listening, selectors.EVENT_READ)
        selector.register(0, selectors.EVENT_READ)
        while all(key.fileobj is listening for key, _ in selector.select()):
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                return keep(connection)
            connection.close()
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
    os.unlink(path)
    os.rmdir(os.path.dirname(path))
    os._exit(0)


def keep(connection: socket.socket) -> tuple[dict, list[int]]:
    """Forks the child, in which this returns; tells its number and how it ended; kills it when the client is gone."""
    import select

    asked, streams = b"", []
    while not asked.endswith(b"\n"):
        part, received, _, _ = socket.recv_fds(connection, 1 << 16, 3)
        if not part:
            os._exit(0)
        asked, streams = asked + part, streams + received
    child = os.fork()
    if child == 0:
        connection.close()
        return json.loads(asked), streams
    for stream in streams:
        os.close(stream)
    connection.sendall(b"%d\n" % child)
    ended = os.pidfd_open(child)
    if connection in select.select([ended, connection], [], [])[0]:
        signal.pidfd_send_signal(ended, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        connection.sendall(b"%d\n" % status)
    except BrokenPipeError:
        pass
    os._exit(0)


def become(asked: dict, streams: list[int]) -> int:
    """Does in this child what `python -c` would; gives its exit status. The long way of taking an interpreter apart is left out."""
    import atexit
    import threading
    import traceback
    import types

    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin = open(0, encoding="utf-8", closefd=False)
    sys.stdout = open(1, "w", 1 if os.isatty(1) else -1, encoding="utf-8", closefd=False)
    sys.stderr = open(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    sys.argv, sys.path[0] = ["-c", *asked["words"]], ""
    sys.modules["__main__"] = types.ModuleType("__main__")
    status = 0
    try:
        exec(compile(asked["code"], "<string>", "exec"), sys.modules["__main__"].__dict__)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        print(end.code, file=sys.stderr) if isinstance(end.code, str) else None
    except BaseException as error:
        traceback.print_exc()
        status = -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


def client(path: str, code: str, *words: str) -> None:
    """Asks for a child with these streams, this environment and this folder, and ends as it ends."""
    asked = {"code": code, "words": words, "environment": dict(os.environ), "folder": os.getcwd()}
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        text = json.dumps(asked).encode() + b"\n"
        sent = socket.send_fds(connection, [text], [0, 1, 2])
        connection.sendall(text[sent:])
        answers = connection.makefile()
        child = int(answers.readline())
        for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(one, lambda number, _: os.kill(child, number))
        status = int(answers.readline())
    if status < 0:
        signal.signal(-status, signal.SIG_DFL) if -status != signal.SIGKILL else None
        os.kill(os.getpid(), -status)
    os._exit(status)


if __name__ == "__main__":
    if sys.argv[1] == "client":
        client(*sys.argv[2:])
    os._exit(become(*serve(sys.argv[2])))
