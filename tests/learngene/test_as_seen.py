"""Pictures as a viewer shows them, against what the library itself says of upright, flat, 8-bit copies."""

from __future__ import annotations

import base64
import io
import struct
import unicodedata
import zipfile

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageDraw

from core.learngene.collection import read_collection
from core.learngene.opened import decoded
from core.learngene.pictures import as_picture, ink_of, squeeze
from tests.learngene.brought import SHAPES, shape, shapes, zipped


def packed(picture: Image.Image, kind: str = "PNG", **more) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **more)
    return stream.getvalue()


def read(content: bytes) -> Image.Image:
    """Read in this process, which spares one for every picture."""
    facts, data = decoded(lambda: io.BytesIO(content), "x")
    return as_picture(facts, data)


def grey(content: bytes) -> np.ndarray:
    return np.asarray(read(content).getchannel("L"), dtype=int)


@pytest.mark.parametrize("note", range(1, 9))
def test_a_picture_is_turned_by_its_note(note: int) -> None:
    """Phones store every picture lying and note how it was held (datasets 6252)."""
    ramp = Image.fromarray(np.arange(48 * 32, dtype="uint16").astype("uint8").reshape(32, 48))
    exif = Image.Exif()
    exif[0x0112] = note
    turns = {2: [0], 3: [3], 4: [1], 5: [5], 6: [4], 7: [6], 8: [2]}  # FLIP_LEFT_RIGHT 0, FLIP_TOP_BOTTOM 1, ROTATE_90 2, 180 3, 270 4, ...
    upright = ramp
    for turn in turns.get(note, ()):
        upright = upright.transpose(Image.Transpose(turn))
    assert (grey(packed(ramp, exif=exif)) == np.asarray(upright)).all()


def test_standing_bars_stand_after_reading_and_lying_ones_lie(tmp_path) -> None:
    members, exif = {}, Image.Exif()
    for i in range(6):
        bar = Image.new("L", (32, 32))
        ImageDraw.Draw(bar).rectangle((2, 12 + i, 29, 17 + i), fill=255)
        for name, note in (("standing", 6), ("lying", 1)):
            exif[0x0112] = note
            members[f"{name}/{i}.jpg"] = packed(bar, "JPEG", exif=exif, quality=95)
    task = read_collection(zipped(tmp_path / "x.zip", members))
    for picture, label in zip(task.test_pixels[:, 0], task.test_labels, strict=True):
        tall = (picture > 0).any(1).sum() > (picture > 0).any(0).sum()
        assert tall == (task.classes[label] == "standing")
    assert task.notes == ()


def test_every_depth_is_scaled_and_not_cut_off() -> None:
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64)
    wanted = np.round(ramp / 257)
    assert np.abs(grey(packed(Image.fromarray(ramp.astype("uint16")))) - wanted).max() <= 1
    for mode in ("1", "L", "P", "RGB", "RGBA", "LA"):
        light = Image.fromarray((wanted > 127).astype("uint8") * 255).convert(mode)
        assert np.abs(grey(packed(light)) - (wanted > 127) * 255).max() <= 1, mode
    cmyk = Image.fromarray(np.repeat(wanted[..., None], 3, -1).astype("uint8")).convert("CMYK")
    assert np.abs(grey(packed(cmyk, "JPEG", quality=100)) - wanted).max() <= 6


def face(happy: bool, colours: bool = True) -> Image.Image:
    """A drawing on transparent ground."""
    picture = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    pen, dark = ImageDraw.Draw(picture), (40, 20, 0, 255)
    pen.ellipse((2, 2, 61, 61), fill=(255, 205, 40, 255) if colours else dark)
    pen.arc((16, 28, 48, 52) if happy else (16, 38, 48, 62), 20 if happy else 200, 160 if happy else 340, fill=dark, width=5)
    return picture


def test_drawings_on_transparent_ground_lie_on_paper_and_shapes_of_one_colour_stay_shapes() -> None:
    """torchvision 5510: two faces of one outline are two pictures."""
    happy, sad = (read(packed(face(kind))) for kind in (True, False))
    paper = Image.new("RGBA", (64, 64), "white")
    laid = np.asarray(Image.alpha_composite(paper, face(True)).convert("L"), dtype=int)
    assert np.abs(np.asarray(happy.convert("L"), dtype=int) - laid).max() <= 1
    assert (squeeze(ink_of(happy)) - squeeze(ink_of(sad))).abs().max() > 0.3
    shape = ink_of(read(packed(face(True, colours=False)))).numpy()
    assert (shape == np.asarray(face(True).getchannel("A"), dtype="float32") / 255).all()
    assert read(packed(Image.new("RGBA", (8, 8), (10, 20, 30, 200)))).getchannel("A").getextrema() == (255, 255)  # dim, but no ground


def test_colours_are_those_that_the_profile_means() -> None:
    """A profile that says that numbers are light itself, not how bright it looks: half the light is far above half of the scale."""

    def linear() -> bytes:
        """A grey profile of gamma 1, written out: the header of 128 bytes, a table of tags, a white point and a curve."""
        white, curve = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061), b"curv\0\0\0\0" + struct.pack(">I", 0)
        text = b"desc\0\0\0\0" + struct.pack(">I", 2) + b"x\0" + bytes(78)
        parts, offset, table = [text, white, curve], 128 + 4 + 3 * 12, b""
        for name, part in zip((b"desc", b"wtpt", b"kTRC"), parts, strict=True):
            table += name + struct.pack(">II", offset, len(part))
            offset += len(part) + -len(part) % 4
        body = struct.pack(">I", 3) + table + b"".join(part + bytes(-len(part) % 4) for part in parts)
        head = struct.pack(">I4sI4s4s4s12s4s", 128 + len(body), bytes(4), 0x02100000, b"mntr", b"GRAY", b"XYZ ", bytes(12), b"acsp")
        return head + bytes(68 - len(head)) + struct.pack(">3i", 63190, 65536, 54061) + bytes(128 - 80) + body

    half = Image.new("L", (8, 8), 128)
    ImageCms.ImageCmsProfile(io.BytesIO(linear()))  # the library takes it for a profile
    assert grey(packed(half)).max() == 128 and abs(grey(packed(half, icc_profile=linear())).max() - 188) <= 3
    assert grey(packed(half, icc_profile=b"no profile")).max() == 128


def test_one_picture_in_two_classes_is_warned_of_and_the_preview_shows_what_the_network_gets(tmp_path, engine) -> None:
    members = shapes(4)
    members["box/same.png"] = members["bar/0.png"]
    file = zipped(tmp_path / "x.zip", members)
    assert read_collection(zipped(tmp_path / "y.zip", shapes(4))).notes == ()
    found = engine.probe("learngene/pictures", {"pictures": f"path/{file}"})
    assert "Warning: a picture of one class looks exactly like one of another" in found["says"] and "box/same.png" in found["says"]
    head, _, body = found["images"]["seen"].partition(",")
    with Image.open(io.BytesIO(base64.b64decode(body))) as sheet:
        assert head == "data:image/png;base64" and sheet.height == 3 * 52
        first = np.asarray(sheet)[2:50, 2:50]
    task = read_collection(file)
    wanted = ((task.test_pixels[task.test_labels == 0][0, 0] + 1) * 127.5).round().numpy()
    assert (first[::3, ::3] == wanted).all()


def test_folders_called_train_val_and_test_are_used_as_such(tmp_path) -> None:
    def part(name: str, places: range) -> dict[str, bytes]:
        return {f"set/{name}/{kind}/{i}.png": shape(kind, i) for kind in SHAPES for i in places}

    everything = part("train", range(6)) | part("val", range(6, 8)) | part("test", range(8, 11))
    task = read_collection(zipped(tmp_path / "x.zip", everything | {"set/README.md": b"x", "data.yaml": b"x"}))
    assert len(task.test_labels) == 9 and task.distinct == 18
    assert task.notes == ("The folder 'train' is learned from and 'test' is tested on, as they are.", "'val' is left aside.")
    two = read_collection(zipped(tmp_path / "y.zip", part("Train", range(4)) | part("Validation", range(6, 8))))
    assert len(two.test_labels) == 6 and two.distinct == 12 and "'Validation' is tested on" in two.notes[0]
    alone = read_collection(zipped(tmp_path / "z.zip", part("train", range(6))))
    assert len(alone.test_labels) == 6 and alone.notes == ()
    named = read_collection(zipped(tmp_path / "w.zip", {name.replace("bar", "train").replace("box", "test"): content
                                                        for name, content in shapes(3).items()}))
    assert named.classes == ("dot", "test", "train")  # classes that are only called so


def test_names_and_clutter_of_other_systems(tmp_path) -> None:
    members = {f"./{name}": content for name, content in shapes(3).items()}
    clutter = {f"bar/{name}": b"x" for name in ("THUMBS.DB", "._0.png", "@eaDir/0.png/x.jpg", "~$a.png")}
    beside = {"LICENSE": b"x", "readme.txt": b"x"}
    assert read_collection(zipped(tmp_path / "a.zip", members | clutter | beside)).classes == ("bar", "box", "dot")
    assert "é" in read_collection(_same_length(tmp_path / "c.zip", shapes(3))).classes


def _same_length(file, members):
    """A ZIP whose names are UTF-8 bytes in the second form, without the flag that would say so."""

    stored = unicodedata.normalize("NFD", "é").encode()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("bar", "q" * len(stored)), content)
    file.write_bytes(file.read_bytes().replace(b"q" * len(stored), stored))
    return file
