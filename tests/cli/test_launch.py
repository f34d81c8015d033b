"""launch.sh itself, driven with a Python that only writes down what it is asked to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

TESTS = "-m pytest --numprocesses logical --maxprocesses 4 --dist worksteal"

# Stands for python3 and, copied by `-m venv`, for the Python of the virtual environment. $FAKE holds its settings and its diary.
FAKE_PYTHON = """#!/bin/sh
case "$*" in
    *version_info*) exit "$(cat "$FAKE/too_old" 2>/dev/null || echo 0)" ;;
    *ensurepip*) exit "$(cat "$FAKE/no_venv" 2>/dev/null || echo 0)" ;;
    --version) echo "Python 3.11.99" ;;
    "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && touch "$3/pyvenv.cfg"; echo "venv" >> "$FAKE/diary" ;;
    "-m pip install "*)
        echo "pip $*" >> "$FAKE/diary"
        if [ -f "$FAKE/pip_says" ]; then cat "$FAKE/pip_says"; exit 1; fi ;;
    *) echo "start $*" >> "$FAKE/diary"; exit "$(cat "$FAKE/status" 2>/dev/null || echo 0)" ;;
esac
"""
TOOLS = ("bash", "sh", "cat", "grep", "head", "tail", "cksum", "tr", "df", "awk", "mkdir", "rm", "ls", "dirname", "uname", "sleep", "tee",
         "cp", "touch", "env")


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    """A folder with the fake's settings and its diary."""
    (tmp_path / "fake").mkdir()
    return tmp_path / "fake"


@pytest.fixture
def checkout(tmp_path: Path, repository: Path) -> Path:
    folder = tmp_path / "a checkout"
    folder.mkdir()
    for name in ("launch.sh", "pyproject.toml", "constraints.txt"):
        shutil.copy2(repository / name, folder / name)
    return folder


@pytest.fixture
def launch(tmp_path: Path, fake: Path, checkout: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs ./launch.sh where `pythons` are the only Pythons on the PATH."""
    def run(*words: str, pythons: tuple[str, ...] = ("python3",), **changes: str) -> subprocess.CompletedProcess[str]:
        tools = tmp_path / "bin"
        shutil.rmtree(tools, ignore_errors=True)
        tools.mkdir()
        for tool in TOOLS:
            (tools / tool).symlink_to(shutil.which(tool))
        for name in pythons:
            (tools / name).write_text(FAKE_PYTHON)
            (tools / name).chmod(0o755)
        environment = {"PATH": str(tools), "FAKE": str(fake), "HOME": str(tmp_path)} | changes
        return subprocess.run([str(checkout / "launch.sh"), *words], env=environment, cwd=tmp_path, capture_output=True, text=True)

    return run


def diary(fake: Path) -> list[str]:
    file = fake / "diary"
    return file.read_text().splitlines() if file.exists() else []


def test_the_first_start_installs_and_the_second_does_not(launch, fake: Path, checkout: Path) -> None:
    done = launch("--port", "7999")
    assert done.returncode == 0, done.stderr
    made, installed, started = diary(fake)
    assert made == "venv" and started == "start -P -m apps.lab --port 7999"
    assert f"--constraint {checkout}/constraints.txt --editable {checkout}" in installed and "[" not in installed
    again = launch()
    assert diary(fake)[3:] == ["start -P -m apps.lab"] and again.stderr == ""


@pytest.mark.parametrize("file", ["pyproject.toml", "constraints.txt"])
def test_changed_requirements_are_installed_at_the_next_start(launch, fake: Path, checkout: Path, file: str) -> None:
    launch()
    with (checkout / file).open("a") as stream:
        stream.write("# changed\n")
    launch()
    assert [line.split()[0] for line in diary(fake)] == ["venv", "pip", "start", "pip", "start"]


def test_a_moved_checkout_is_installed_again(launch, fake: Path, checkout: Path, tmp_path: Path) -> None:
    launch()
    checkout.rename(tmp_path / "elsewhere")
    environment = {"PATH": str(tmp_path / "bin"), "FAKE": str(fake)}
    subprocess.run([str(tmp_path / "elsewhere" / "launch.sh")], env=environment, check=True, capture_output=True)
    assert f"--editable {tmp_path}/elsewhere" in diary(fake)[3]


def test_tests_install_what_they_need_once_and_pass_their_words_and_status_on(launch, fake: Path) -> None:
    (fake / "status").write_text("3")
    done = launch("test", "tests/cli", "-k", "two words")
    assert done.returncode == 3 and "[test]" in diary(fake)[1] and diary(fake)[2] == f"start {TESTS} tests/cli -k two words"
    launch("cli", "list", "--json")
    assert diary(fake)[3:] == ["start -P -m apps.cli list --json"], "what the tests need includes what the lab needs"
    launch("test")
    assert diary(fake)[4:] == [f"start {TESTS}"]


def test_mcp_is_installed_when_asked_for(launch, fake: Path) -> None:
    launch()
    launch("--mcp")
    assert [line.split()[0] for line in diary(fake)] == ["venv", "pip", "start", "pip", "start"]
    assert "[mcp]" in diary(fake)[3] and diary(fake)[4] == "start -P -m apps.lab --mcp"


def test_an_audit_asks_for_every_pinned_package_with_a_tool_of_its_own(launch, fake: Path, checkout: Path) -> None:
    (fake / "status").write_text("1")
    for _ in range(2):
        assert launch("audit").returncode == 1, "what it found is passed on"
    asks = f"start -m pip_audit --requirement {checkout}/constraints.txt --no-deps --disable-pip --strict"
    assert diary(fake)[0] == "venv" and "pip-audit==" in diary(fake)[1] and diary(fake)[2:] == [asks, asks]
    (fake / "pip_says").write_text("no network\n")
    (checkout / ".venv-audit" / ".installed").unlink()
    assert "could not be installed" in launch("audit").stderr


@pytest.mark.parametrize(("said", "sentence"), [
    ("ERROR: [Errno 28] No space left on device", "The disk is full."),
    ("WARNING: Retrying after NewConnectionError: Failed to establish a new connection", "The first start needs a network"),
    ("ERROR: No matching distribution found for torch==2.13.0", "One package does not exist for Python"),
    ("ERROR: something nobody has thought of", "something nobody has thought of"),
])
def test_a_failed_installation_is_a_sentence_and_is_tried_again(launch, fake: Path, said: str, sentence: str) -> None:
    (fake / "pip_says").write_text(said + "\n")
    done = launch()
    assert done.returncode == 1 and sentence in done.stderr
    (fake / "pip_says").unlink()
    again = launch()
    assert again.returncode == 0, again.stderr
    assert [line.split()[0] for line in diary(fake)] == ["venv", "pip", "pip", "start"]


def test_without_python_it_says_how_to_get_one(launch) -> None:
    done = launch(pythons=())
    assert done.returncode == 1 and "There is no Python on this machine." in done.stderr and "nstall" in done.stderr


def test_an_old_python_is_named(launch, fake: Path) -> None:
    (fake / "too_old").write_text("1")
    done = launch()
    assert done.returncode == 1 and "needs Python 3.11 or newer; here is Python 3.11.99" in done.stderr and not diary(fake)


def test_a_python_without_venv_says_which_package_is_missing(launch, fake: Path) -> None:
    (fake / "no_venv").write_text("1")
    done = launch()
    assert done.returncode == 1 and "python3-venv" in done.stderr and not diary(fake)


def test_a_folder_that_is_not_ours_is_left_alone(launch, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    done = launch(GLASSBOX_VENV="mine")
    assert done.returncode == 1 and "is not a virtual environment" in done.stderr
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_a_broken_environment_is_made_anew(launch, fake: Path, checkout: Path) -> None:
    launch()
    (checkout / ".venv" / "bin" / "python").unlink()
    assert launch().returncode == 0
    assert [line.split()[0] for line in diary(fake)] == ["venv", "pip", "start"] * 2


def test_a_second_window_waits_for_the_first(launch, fake: Path, checkout: Path) -> None:
    lock = checkout / ".venv.lock"
    lock.mkdir()
    with subprocess.Popen(["sleep", "1.5"]) as first:
        (lock / "pid").write_text(str(first.pid))
        threading.Thread(target=first.wait).start()  # a child that nobody waits for would seem to live on
        done = launch()
        assert first.poll() is not None, "it did not wait"
    assert "Another window is setting up the lab" in done.stderr and done.returncode == 0 and not lock.exists()


def test_unknown_verbs_and_help(launch, fake: Path) -> None:
    done = launch("tset")
    assert done.returncode == 2 and "There is no './launch.sh tset'." in done.stderr and "./launch.sh test" in done.stderr
    helped = launch("--help")
    assert helped.returncode == 0 and "./launch.sh test" in helped.stdout and not diary(fake)


@pytest.mark.parametrize("script", ["launch.sh", ".ci/run"])
def test_scripts_are_sound(repository: Path, script: str) -> None:
    assert os.access(repository / script, os.X_OK)
    assert subprocess.run(["bash", "-n", str(repository / script)], capture_output=True).returncode == 0
    if shutil.which("shellcheck"):
        found = subprocess.run(["shellcheck", str(repository / script)], capture_output=True, text=True)
        assert found.returncode == 0, found.stdout
