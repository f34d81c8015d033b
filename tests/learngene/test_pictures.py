"""Data that is the same every time, and pictures of visitors that are checked before they are decoded."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from core.engine.errors import LabError
from core.learngene.collection import read_collection
from core.learngene.data import LETTERS, SYMBOLS, distort, glyphs, read_task, shift
from core.learngene.depth.learngene import Learngene
from core.learngene.metrics import accuracy
from core.learngene.pictures import from_drawing, ink_of, read_picture, squeeze, to_pixels
from core.learngene.pool.paths import LARGE, SMALL, Way
from core.learngene.pool.pool import Pool
from tests.learngene.brought import SHAPES, header_only, shape, shapes, zipped
from tests.reading import picture_in


@pytest.mark.parametrize(("name", "classes", "per_epoch", "tested"),
                         [("letters", 37, 2368, 1024), ("digits", 10, 1203, 594), ("symbols", 12, 96, 600)])
def test_tasks_have_the_pictures_they_promise(name, classes, per_epoch, tested):
    task = read_task(name)
    pixels, labels = task.epoch(torch.Generator().manual_seed(0))
    assert len(task.classes) == classes and pixels.shape == (per_epoch, 1, 16, 16) and labels.shape == (per_epoch,)
    assert task.test_pixels.shape == (tested, 1, 16, 16) and len(task.shown[1]) == 256
    assert pixels.min() >= -1 and pixels.max() <= 1 and set(labels.tolist()) == set(range(classes))
    again, _ = task.epoch(torch.Generator().manual_seed(0))
    other, _ = task.epoch(torch.Generator().manual_seed(1))
    assert torch.equal(pixels, again) and not torch.equal(pixels, other)


def test_every_font_draws_every_character():
    ink, characters = glyphs()
    assert ink.shape[0] == 12 and set(LETTERS + SYMBOLS) == set(characters)
    assert (ink.amax((2, 3)) > 0.5).all()


def test_digits_are_those_of_scikit_learn_enlarged_twice():
    from sklearn.datasets import load_digits

    known = {tuple((image / 8 - 1).flatten()) for image in load_digits().images}
    task = read_task("digits")
    assert all(tuple(picture[0, ::2, ::2].flatten().tolist()) in known for picture in task.test_pixels[:20])


def test_training_digits_are_never_test_digits():
    task = read_task("digits")
    pixels, _ = task.epoch(torch.Generator().manual_seed(0))
    centres = {tuple(picture[0, 2:-2, 2:-2].flatten().tolist()) for picture in task.test_pixels}
    overlap = sum(tuple(picture[0, 2:-2, 2:-2].flatten().tolist()) in centres for picture in pixels)
    assert overlap <= 2  # two scans that happen to look the same


def test_shift_moves_by_a_pixel_at_most_and_fills_with_paper():
    dot = torch.full((200, 1, 16, 16), -1.0)
    dot[:, :, 8, 8] = 1
    places = {tuple(place) for place in (shift(dot, torch.Generator().manual_seed(0)) > 0).nonzero()[:, 2:].tolist()}
    assert places == {(y, x) for y in (7, 8, 9) for x in (7, 8, 9)}


def test_distortion_keeps_the_letter_in_the_picture():
    ink = glyphs()[0][:, 0]
    pictures = distort(ink.repeat(20, 1, 1), torch.Generator().manual_seed(0))
    assert ((pictures + 1).sum((1, 2, 3)) > 20).all()


def _file(path, content: bytes):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(("sides", "said"), [((30_000, 30_000), "far too large"), ((30_000, 10), "30000 x 10")])
def test_a_huge_picture_is_refused_by_its_header(tmp_path, sides, said):
    with pytest.raises(LabError, match=said):
        read_picture(_file(tmp_path / "huge.png", header_only(*sides)))


def test_text_called_picture_is_refused(tmp_path):
    (tmp_path / "note.png").write_text("I am not a picture")
    with pytest.raises(LabError, match="not a picture"):
        read_picture(tmp_path / "note.png")


def test_half_a_picture_is_refused(tmp_path):
    with pytest.raises(LabError, match="not a picture"):
        read_picture(_file(tmp_path / "half.png", header_only(40, 40)))


def test_an_animation_is_refused(tmp_path):
    frames = [Image.new("L", (20, 20), shade) for shade in (0, 120, 255)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(LabError, match="animated"):
        read_picture(tmp_path / "moving.gif")


def test_a_file_that_is_too_large_is_refused_unread(tmp_path):
    with (tmp_path / "large.png").open("wb") as stream:
        stream.truncate(21 * 1024**2)
    with pytest.raises(LabError, match="larger than"):
        read_picture(tmp_path / "large.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "GIF"])
def test_still_pictures_of_every_kind_are_read(tmp_path, kind):
    Image.new("RGB", (30, 20), (200, 10, 10)).save(tmp_path / "x", format=kind)
    assert read_picture(tmp_path / "x").size == (30, 20)


def _bar(size: int = 120) -> np.ndarray:
    drawing = np.zeros((size, size), dtype=np.uint8)
    drawing[10:50, 70:80] = 255
    return drawing


@pytest.mark.parametrize("form", ["light on dark", "dark on light", "transparent", "float", "colours"])
def test_a_drawing_is_found_centred_and_white_on_black_however_it_comes(form):
    bar = _bar()
    rgba = np.dstack([bar * 0, bar * 0, bar * 0, bar])
    given = {"light on dark": bar, "dark on light": 255 - bar, "transparent": rgba, "float": bar / 255.0,
             "colours": np.dstack([bar] * 3)}[form]
    pixels = from_drawing(given, "letter")
    rows, columns = (pixels[0, 0] > 0).nonzero().T
    assert pixels.shape == (1, 1, 16, 16) and rows.max() - rows.min() == 10 and columns.max() - columns.min() <= 2
    assert abs(rows.float().mean() - 7.5) <= 1 and abs(columns.float().mean() - 7.5) <= 1


@pytest.mark.parametrize("given", [np.zeros((50, 50)), np.zeros((0, 0)), np.zeros((3, 3, 3, 3)), np.zeros((9000, 2))])
def test_no_drawing_is_a_sentence(given):
    with pytest.raises(LabError):
        from_drawing(given, "digit")


def test_squeezing_keeps_the_whole_picture():
    pixels = squeeze(ink_of(Image.fromarray(_bar())))
    assert pixels[0, 0, :8, 8:12].max() > 0 and pixels[0, 0, 8:].max() == -1


def drawn(pixels: torch.Tensor) -> np.ndarray:
    """A picture (1, 16, 16) as the pad would send it, had somebody drawn it in one corner."""
    ink = ((pixels[0] + 1) * 127.5).round().numpy().astype(np.uint8)
    return np.pad(ink.repeat(3, 0).repeat(3, 1), ((2, 14), (10, 6)))


@pytest.mark.parametrize(("name", "least"), [("digits", 0.93), ("letters", 0.85)])
def test_test_pictures_are_read_when_they_are_drawn(engine, name, least):
    """What the stored networks know they read from the pad too, wherever it was drawn."""
    task = read_task(name)
    pixels, labels = task.shown
    given = torch.cat([from_drawing(drawn(picture), task.placed) for picture in pixels])
    gene = Learngene(engine.models.load(f"embedded/learngene-{name}").model)
    assert accuracy(gene, given, labels) >= least
    if name == "digits":
        pool = Pool.unpack(*(engine.models.load(f"embedded/learngene-pool-{half}").model for half in ("small", "large")))
        assert all(accuracy(lambda part, way=way: pool(part, way), given, labels) >= 0.9 for way in (SMALL, LARGE, Way(2, 3)))


@pytest.mark.parametrize("turned", [False, True])
def test_own_pictures_come_in_as_they_were_learned(tmp_path, turned):
    members = shapes(6)
    if turned:
        members = {name: _turned(content) for name, content in members.items()}
    task = read_collection(zipped(tmp_path / "own.zip", members))
    assert task.placed == ("turned" if turned else "whole")
    learned = {tuple(picture.flatten().tolist()) for picture in task.test_pixels}
    seen = {tuple(to_pixels(picture_in(content), task.placed).flatten().tolist()) for content in members.values()}
    assert len(learned) > len(SHAPES) and learned <= seen
    brought = ink_of(picture_in(shape("bar", 3))).numpy()
    assert torch.equal(from_drawing(brought, task.placed), squeeze(torch.from_numpy((brought * 255).astype(np.uint8) / 255).float()))


def _turned(content: bytes) -> bytes:
    stream = io.BytesIO()
    ImageOps.invert(Image.open(io.BytesIO(content))).save(stream, "PNG")
    return stream.getvalue()
