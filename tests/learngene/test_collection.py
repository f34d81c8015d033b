"""Pictures that visitors bring as a task: what is read, and what is refused with which words."""

from __future__ import annotations

import io
import zipfile

import pytest
import torch
from PIL import Image

from core.engine import opened as engine_opened
from core.engine.errors import LabError
from core.engine.settings import ASSETS
from core.learngene import opened
from core.learngene.collection import PER_EPOCH, read_collection, reading
from core.learngene.opened import MB
from core.learngene.pictures import ink_of, squeeze
from tests.learngene.brought import SHAPES, header_only, shape, shapes, zipped, zipped_in
from tests.reading import picture_in


def _unpack(archive, folder):
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(folder)
    return folder


def test_a_zip_of_class_folders_becomes_a_task_and_so_does_the_folder(tmp_path):
    file = zipped(tmp_path / "shapes.zip", shapes(9))
    task, unpacked = read_collection(file), read_collection(_unpack(file, tmp_path / "open"))
    assert task.classes == SHAPES and task.test_labels.bincount().tolist() == [3, 3, 3]
    pixels, labels = task.epoch(torch.Generator().manual_seed(0))
    assert len(pixels) == task.per_epoch >= PER_EPOCH and labels.unique().tolist() == [0, 1, 2]
    assert torch.equal(task.test_pixels, unpacked.test_pixels) and torch.equal(task.test_labels, unpacked.test_labels)
    again = unpacked.epoch(torch.Generator().manual_seed(0))
    assert torch.equal(pixels, again[0])


def test_what_is_tested_is_what_was_brought_and_never_trained_on(tmp_path):
    given = shapes(9, side=16)
    task = read_collection(zipped(tmp_path / "x.zip", given))
    brought = {tuple(squeeze(ink_of(picture_in(content, name))).flatten().tolist()): name.split("/")[0]
               for name, content in given.items()}
    tested = [tuple(picture.flatten().tolist()) for picture in task.test_pixels]
    assert [brought[picture] for picture in tested] == [task.classes[label] for label in task.test_labels]
    assert len(set(tested)) == 9 and len(set(task.shown[1].tolist()[:5])) > 1  # mixed: not one class after the other
    pixels, labels = task.epoch(torch.Generator().manual_seed(1))

    def known(pictures, of):  # every picture of a class has its own shade of grey, which moving it does not change
        return {(label, round(shade, 4)) for label, shade in zip(of.tolist(), pictures.amax((1, 2, 3)).tolist(), strict=True)}

    assert not known(pixels, labels) & known(task.test_pixels, task.test_labels) and len(known(pixels, labels)) == 18


def test_every_picture_is_a_step(tmp_path):
    assert list(reading(zipped(tmp_path / "x.zip", shapes(3)))) == [(i, 9) for i in range(1, 10)]


def test_clutter_and_a_folder_around_everything_do_no_harm(tmp_path):
    members = {f"my pictures/{name}": content for name, content in shapes(3).items()}
    extra = {"__MACOSX/my pictures/bar/._0.png": b"x", "my pictures/.DS_Store": b"x", "my pictures/bar/Thumbs.db": b"x"}
    assert read_collection(zipped(tmp_path / "x.zip", members | extra, ("my pictures/", "my pictures/bar/"))).classes == SHAPES
    backslashes = {name.replace("/", "\\"): content for name, content in shapes(3).items()}
    assert read_collection(zipped(tmp_path / "y.zip", backslashes)).classes == SHAPES


def test_dark_shapes_on_light_paper_are_turned_round_all_or_none(tmp_path):
    light = {}
    for name, content in shapes(3).items():
        stream = io.BytesIO()
        Image.eval(Image.open(io.BytesIO(content)), lambda value: 255 - value).save(stream, "PNG")
        light[name] = stream.getvalue()
    bright, dark = (read_collection(zipped(tmp_path / f"{i}.zip", given)) for i, given in enumerate((light, shapes(3))))
    assert torch.allclose(bright.test_pixels, dark.test_pixels, atol=1e-6)


@pytest.mark.parametrize(("members", "said"), [
    (shapes(5, ("bar",)), "one class only"), ({}, "no class"), (shapes(2), "only 2 pictures of 'bar'"),
    (shapes(3) | {"loose.png": shape("bar")}, "loose.png lies in no class folder"),
    (shapes(3) | {"bar/deep/1.png": shape("bar")}, "a folder inside a class folder"),
    (shapes(3) | {"bar/notes.txt": b"hello"}, "bar/notes.txt is not a picture"),
    (shapes(3) | {"bar/0.png": b"<script>"}, "bar/0.png is not a picture"),
    (shapes(3) | {f"{'x' * 41}/{i}.png": shape("bar") for i in range(3)}, "cannot be called"),
    ({f"{i}/{j}.png": b"" for i in range(61) for j in range(3)}, "61 classes")])
def test_collections_with_something_missing_or_wrong(tmp_path, members, said):
    with pytest.raises(LabError, match=said):
        read_collection(zipped(tmp_path / "x.zip", members))


def test_an_empty_class_is_named(tmp_path):
    with pytest.raises(LabError, match="'cats' is empty"):
        read_collection(zipped(tmp_path / "x.zip", shapes(3), ("cats/",)))
    folder = _unpack(tmp_path / "x.zip", tmp_path / "open")
    with pytest.raises(LabError, match="'cats' is empty"):
        read_collection(folder)


@pytest.mark.parametrize("name", ["../bar/9.png", "/etc/9.png", "C:\\bar\\9.png", "bar/../../9.png", "bar//9.png"])
def test_a_file_that_leads_out_of_the_zip_is_refused(tmp_path, name):
    with pytest.raises(LabError, match="outside"):
        read_collection(zipped(tmp_path / "x.zip", shapes(3) | {name: shape("bar")}))


def test_a_link_is_refused(tmp_path):
    file = zipped(tmp_path / "x.zip", shapes(3))
    with zipfile.ZipFile(file, "a") as archive:
        link = zipfile.ZipInfo("bar/9.png")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(LabError, match="link"):
        read_collection(file)


def test_a_locked_zip_is_refused(tmp_path):
    file = zipped(tmp_path / "x.zip", shapes(3))
    content = bytearray(file.read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flag "encrypted" in both headers of every file
        at = content.find(mark)
        while at >= 0:
            content[at + place] |= 1
            at = content.find(mark, at + 4)
    file.write_bytes(content)
    with pytest.raises(LabError, match="password"):
        read_collection(file)


def test_a_zip_bomb_is_refused_before_anything_is_unpacked(tmp_path, monkeypatch):
    file = zipped(tmp_path / "bomb.zip", shapes(3) | {f"bar/bomb{i}.png": b"\0" * 12 * MB for i in range(2)})
    assert file.stat().st_size < MB // 10
    monkeypatch.setattr(engine_opened, "MOST_UNPACKED", 20 * MB)
    monkeypatch.setattr(engine_opened, "_unpacked", lambda *_: pytest.fail("something was unpacked"))
    with pytest.raises(LabError, match="more than 20 MB"):
        read_collection(file)
    monkeypatch.setattr(engine_opened, "MOST_UNPACKED", 200 * MB)
    with pytest.raises(LabError, match="larger than 20 MB"):
        read_collection(zipped(tmp_path / "one.zip", shapes(3) | {"bar/bomb.png": b"\0" * 21 * MB}))


@pytest.mark.parametrize(("sides", "said"), [((30_000, 30_000), "far too large"), ((30_000, 10), "30000 x 10")])
def test_a_huge_picture_inside_is_refused_by_its_header(tmp_path, sides, said):
    with pytest.raises(LabError, match=f"bar/huge.png is {said}"):
        read_collection(zipped(tmp_path / "x.zip", shapes(3) | {"bar/huge.png": header_only(*sides)}))


def test_an_animation_inside_is_refused(tmp_path):
    stream = io.BytesIO()
    frames = [Image.new("L", (20, 20), shade) for shade in (0, 120, 255)]
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    with pytest.raises(LabError, match="animated"):
        read_collection(zipped(tmp_path / "x.zip", shapes(3) | {"bar/moving.gif": stream.getvalue()}))


def test_too_many_pixels_in_all_stop_the_reading(tmp_path, monkeypatch):
    monkeypatch.setattr(opened, "MOST_PIXELS", 1_000_000)
    steps = reading(zipped(tmp_path / "x.zip", {f"{kind}/{i}.png": shape(kind, i, side=500) for kind in SHAPES for i in range(3)}))
    with pytest.raises(LabError, match="million pixels"):
        for step in steps:
            pytest.fail(f"a picture was decoded before all headers were added up: {step}")


@pytest.mark.parametrize("content", [b"", b"name,answer\n", b"PK\x03\x04 cut off"])
def test_what_is_no_zip_is_refused(tmp_path, content):
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(LabError, match="neither a folder nor a ZIP"):
        read_collection(tmp_path / "x.zip")


def test_a_broken_zip_is_refused_in_a_sentence(tmp_path):
    file = zipped(tmp_path / "x.zip", shapes(3))
    content = bytearray(file.read_bytes())
    content[60:80] = b"\xff" * 20  # inside the first picture
    file.write_bytes(content)
    with pytest.raises(LabError, match="cannot be unpacked"):
        read_collection(file)


def test_too_many_pictures_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(opened, "MOST_PICTURES", 8)
    with pytest.raises(LabError, match="There are 9 pictures"):
        read_collection(zipped(tmp_path / "x.zip", shapes(3)))
    monkeypatch.setattr(engine_opened, "MOST_ENTRIES", 5)
    with pytest.raises(LabError, match="9 files in this ZIP"):
        read_collection(tmp_path / "x.zip")


def test_the_sample_for_download_is_a_good_one():
    task = read_collection(ASSETS / "samples" / "shapes.zip")
    assert task.classes == ("circle", "cross", "square", "triangle") and task.distinct + len(task.test_labels) == 160


IN_OLD_LETTERS = [
    ("cp866", "Russian", ["кот", "собака"]), ("cp1251", "Russian (Windows)", ["яблоки", "груши"]), ("cp437", "Western", ["Bär", "Löwe"]),
    ("cp850", "Western European", ["blåbær", "rødgrød"]), ("cp1252", "Western European (Windows)", ["Äpfel", "forêt"]),
    ("cp852", "Central European", ["kočka", "žába"]), ("gbk", "Chinese", ["苹果", "香蕉"]), ("cp932", "Japanese", ["ねこ", "リンゴ"]),
    ("cp949", "Korean", ["고양이", "사과"]), ("big5", "Chinese, traditional", ["蘋果", "香蕉"]), ("cp737", "Greek", ["γάτα", "σκύλος"]),
    ("cp862", "Hebrew", ["חתול", "כלב"]), ("cp1256", "Arabic (Windows)", ["قطة", "كلب"]), ("koi8-r", "Russian (Unix)", ["кот", "собака"]),
]


@pytest.mark.parametrize(("page", "title", "names"), IN_OLD_LETTERS, ids=lambda value: value if isinstance(value, str) else "")
def test_names_in_the_letters_of_an_older_system_are_read_as_they_were_meant(tmp_path, page, title, names):
    members = {f"{name}/{i}.png": shape(SHAPES[number], i) for number, name in enumerate(names) for i in range(3)}
    task = read_collection(zipped_in(page, tmp_path / "old.zip", members))
    assert list(task.classes) == sorted(names)
    assert any(f"They were read as {title}." in note for note in task.notes)


def test_parts_inside_the_classes_and_notes_beside_the_pictures_are_read_as_meant(tmp_path):
    members = {f"{kind}/{part}/{i}.png": shape(kind, i) for kind in SHAPES for part in ("train", "test") for i in range(3)}
    task = read_collection(zipped(tmp_path / "x.zip", members, tuple(f"{kind}/{part}/" for kind in SHAPES for part in ("train", "test"))))
    assert task.classes == SHAPES and task.test_labels.bincount().tolist() == [3, 3, 3] and "tested on" in task.notes[0]
    beside = {f"bar/{i}.{end}": b"notes" for i in range(2) for end in ("AAE", "xmp", "txt")}
    assert read_collection(zipped(tmp_path / "y.zip", shapes(3) | beside)).classes == SHAPES
