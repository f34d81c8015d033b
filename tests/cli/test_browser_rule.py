"""Browser tests are skipped with a clear line where there is no Chromium, and fail where one is asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TEST = """
def test_opens_a_page(chromium):
    pass


def test_needs_no_browser():
    pass
"""


@pytest.fixture
def outcome(tmp_path: Path, repository: Path):
    """Runs TEST under this repository's conftest and gives (exit status, output)."""
    (tmp_path / "conftest.py").write_text((repository / "tests" / "conftest.py").read_text())
    (tmp_path / "test_page.py").write_text(TEST)

    def run(**changes: str) -> tuple[int, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GLASSBOX_")}
        command = [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)]
        done = subprocess.run(command, env=kept | changes | {"PYTHONPATH": str(repository)}, cwd=tmp_path, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    return run


def test_without_a_browser_the_test_is_skipped_and_says_how_to_get_one(outcome) -> None:
    status, output = outcome(GLASSBOX_CHROMIUM="/no/such/browser")
    assert status == 0, output
    assert "1 passed, 1 skipped" in output
    assert "There is no Chromium on this machine" in output


def test_where_a_browser_is_required_its_absence_fails(outcome) -> None:
    status, output = outcome(GLASSBOX_CHROMIUM="/no/such/browser", GLASSBOX_REQUIRE_BROWSER="1")
    assert status == 1, output
    assert "GLASSBOX_REQUIRE_BROWSER=1 asks for every browser test" in output


def test_a_browser_named_by_the_environment_is_used(outcome) -> None:
    status, output = outcome(GLASSBOX_CHROMIUM=sys.executable, GLASSBOX_REQUIRE_BROWSER="1")
    assert status == 0 and "2 passed" in output, output
