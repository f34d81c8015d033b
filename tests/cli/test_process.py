"""The command line as a process: signals, pipes, help."""

from __future__ import annotations

import json
import os
import pty
import signal
import termios
import time
from pathlib import Path

SLOW = ("run", "test/count", "--set", "steps=1000", "--set", "pause=0.05")


def _wait_for_events(home: Path, count: int) -> Path:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for log in home.glob("runs/*/events.jsonl"):
            if log.read_bytes().count(b"\n") >= count:
                return log.parent
        time.sleep(0.05)
    raise AssertionError("the run never started")


def test_ctrl_c_cancels_and_is_recorded(glassbox, home: Path) -> None:
    process = glassbox(*SLOW, "--json")
    folder = _wait_for_events(home, 4)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    result = json.loads(out)
    assert result["outcome"] == "cancelled" and "Traceback" not in err
    recorded = json.loads((folder / "run.json").read_text())
    assert recorded["id"] == result["run_id"] and recorded["outcome"] == "cancelled"
    assert json.loads((folder / "events.jsonl").read_text().splitlines()[-1])["outcome"] == "cancelled"


def test_ctrl_c_in_a_sweep_cancels_the_run_it_is_at(glassbox, home: Path) -> None:
    process = glassbox("sweep", "test/count", "--set", "steps=999,1000", "--set", "pause=0.05")
    folder = _wait_for_events(home, 4)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and out == "" and "Stopped." in err and "Traceback" not in err, err
    assert json.loads((folder / "run.json").read_text())["outcome"] == "cancelled"


def test_a_reader_that_leaves_is_no_error(glassbox) -> None:
    process = glassbox("list", "--json")
    process.stdout.close()
    err = process.stderr.read()
    assert process.wait(timeout=60) == 141 and err == ""


def test_progress_needs_a_terminal(glassbox) -> None:
    process = glassbox("run", "test/count", "--json")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0 and "%|" not in err


def test_a_terminal_sees_the_progress_bar(glassbox) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    process = glassbox("run", "test/count", "--set", "steps=40", "--set", "pause=0.02", stderr=theirs)
    os.close(theirs)
    seen = b""
    while True:
        try:
            seen += os.read(ours, 4096)
        except OSError:
            break
    os.close(ours)
    out = process.communicate()[0]
    assert process.returncode == 0 and "Counted to 40" in out
    assert b"counting" in seen and b"%|" in seen and "%|" not in out


def test_every_verb_has_help(glassbox) -> None:
    process = glassbox("--help")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    for verb in ("list", "run", "claims", "models", "runs", "first-views", "sweep"):
        assert verb in out
