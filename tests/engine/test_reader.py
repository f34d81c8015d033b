"""The process in which bytes of strangers are read: it answers, is limited, is ended at Stop, and knows no torch."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from core.engine import reader
from core.engine.errors import LabError


def good(times: int) -> Iterator[tuple[dict, bytes]]:
    for i in range(times):
        yield {"i": i, "torch": "torch" in sys.modules, "pid": os.getpid()}, b"\0" * i


def wrong() -> Iterator[tuple[dict, bytes]]:
    yield {}, b""
    raise LabError("It is wrong.", "Make it right.")


def bug() -> Iterator[tuple[dict, bytes]]:
    raise KeyError("quince-marmalade")
    yield


def greedy() -> Iterator[tuple[dict, bytes]]:
    yield {}, bytes(3 * 2**30)


def endless() -> Iterator[tuple[dict, bytes]]:
    yield {"pid": os.getpid()}, b""
    while True:
        time.sleep(0.01)


def writes(path: str) -> Iterator[tuple[dict, bytes]]:
    Path(path).write_bytes(b"x")
    yield {}, b""


def dies() -> Iterator[tuple[dict, bytes]]:
    os._exit(3)
    yield


def deep() -> Iterator[tuple[dict, bytes]]:
    yield {"deep": deep_list()}, b""


def deep_list() -> list:
    return [deep_list()]


def ask(name: str, **given):
    return list(reader.apart(f"tests.engine.test_reader:{name}", **given))


def test_it_says_what_it_read_in_a_process_without_torch():
    said = ask("good", times=3)
    assert [(facts["i"], facts["torch"], len(data)) for facts, data in said] == [(0, False, 0), (1, False, 1), (2, False, 2)]
    assert said[0][0]["pid"] != os.getpid() and not psutil.pid_exists(said[0][0]["pid"])


@pytest.mark.parametrize(("name", "given", "words"), [
    ("wrong", {}, "It is wrong. Make it right."), ("bug", {}, r"could not be read \(KeyError\)"), ("greedy", {}, "more memory or time"),
    ("dies", {}, "more memory or time"), ("deep", {}, "more memory or time"), ("writes", {"path": "x"}, "could not be read|more memory")])
def test_whatever_goes_wrong_in_there_is_a_sentence_here(name, given, words, tmp_path):
    given = {key: str(tmp_path / value) for key, value in given.items()}
    with pytest.raises(LabError, match=words) as caught:
        ask(name, **given)
    assert "quince" not in str(caught.value)
    assert all(path.stat().st_size == 0 for path in tmp_path.iterdir())


def test_stop_ends_it_also_in_the_middle_of_a_file():
    begun: list[int] = []
    with pytest.raises(LabError, match="stopped"):
        for facts, _ in reader.apart("tests.engine.test_reader:endless", stop=lambda: bool(begun)):
            begun.append(facts["pid"])
    assert not psutil.pid_exists(begun[0])


def test_what_never_ends_is_ended(monkeypatch):
    monkeypatch.setattr(reader, "LONGEST_S", 3.0)
    with pytest.raises(LabError, match="too long"):
        ask("endless")


def test_a_reader_that_nobody_listens_to_is_ended():
    said = reader.apart("tests.engine.test_reader:endless")
    pid = next(said)[0]["pid"]
    said.close()
    assert not psutil.pid_exists(pid)


def test_a_table_and_a_picture_come_through_it(tmp_path):
    from PIL import Image

    from core.engine.rows import read_rows
    from core.learngene.pictures import read_picture

    (tmp_path / "mine.csv").write_text("question,answer\nWho?,Ida\n")
    assert [(row.number, row.cells) for row in read_rows(tmp_path / "mine.csv")] == [(2, {"question": "Who?", "answer": "Ida"})]
    Image.new("RGB", (7, 5), (200, 200, 200)).save(tmp_path / "x.png")
    picture = read_picture(tmp_path / "x.png")
    assert (picture.mode, picture.size, picture.getpixel((3, 3))) == ("LA", (7, 5), (200, 255))
    (tmp_path / "bad.csv").write_text("a,a\n1,2\n")
    with pytest.raises(LabError, match="twice"):
        read_rows(tmp_path / "bad.csv")


ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


@pytest.mark.parametrize(("template", "ends"), [
    ("{{ bos_token }}{% for m in messages %}{{ m.content | tojson }}{% endfor %}", True), (None, True),
    ({"default": "{{ messages }}"}, True),
    ("{{ raise_exception('no system') }}", True), ("{{ 1 / 0 }}", True), ("{% if %}", True), (ENDLESS, False), ({"tools": ENDLESS}, False),
    ("x" * 300_000, False)], ids=range(9))
def test_a_chat_template_that_does_not_end_is_refused_and_a_wrong_one_is_left_to_who_renders_it(template, ends, monkeypatch):
    from core.engine import templates

    monkeypatch.setattr(templates, "LONGEST_S", 60.0 if ends else 4.0)
    if ends:
        return templates.check_template(template)
    with pytest.raises(LabError, match="does not come to an end"):
        templates.check_template(template)
