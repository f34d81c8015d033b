"""Rounds with a painter of random weights: places of a visitor, mishaps, leaving out. What is painted means nothing, what is said does."""

from __future__ import annotations

import dataclasses
import io
import zipfile
from pathlib import Path

import pytest
from PIL import Image
from safetensors.torch import save_file

from core.engine.errors import LabError
from core.engine.events import Metric, Table, Verdict, layers
from core.engine.lab import Cache, Lab
from core.federated import experiments, own
from core.federated.classifier import Classifier
from core.federated.painter import store
from core.federated.spec import FederatedConfig, PicturesConfig

QUICK = dict(shots=2, steps=5, tuning=2, learning=10, tests=20)


class Here(Lab):
    """A lab whose painter lies elsewhere and whose files are paths."""

    at: Path

    def folder(self, name: str) -> Path:
        return self.at

    def data(self, ref: str) -> Path:
        return Path(ref.removeprefix("path/"))


@pytest.fixture(scope="module")
def lab(painter, tmp_path_factory) -> Lab:
    made = Here(None, Cache(), seed=0, threads=1)
    made.at = tmp_path_factory.mktemp("painter")
    painter = dataclasses.replace(painter)
    store(painter, made.at)
    for name in ("classifier", "reader"):
        save_file(Classifier().state_dict(), made.at / f"{name}.safetensors")
    return made


def said(lab: Lab, **config) -> tuple[dict[str, float], list, Verdict]:
    """The metrics, the tables and the verdict of a run."""
    events = list(experiments.run(FederatedConfig(**QUICK | config), lab))
    metrics = {one.name: one.value for one in events if isinstance(one, Metric)}
    return metrics, [one for one in events if isinstance(one, Table)], events[-1]


def packed(file: Path, members: dict[str, int]) -> str:
    """A ZIP with so many pictures of 20 x 30 pixels in every folder."""
    with zipfile.ZipFile(file, "w") as archive:
        for folder, count in members.items():
            for i in range(count):
                stream = io.BytesIO()
                Image.new("RGB", (20, 30), (40 * i % 255, 90, 200)).save(stream, "PNG")
                archive.writestr(f"{folder}/{i}.png", stream.getvalue())
            if not count:
                archive.writestr(f"{folder}/", b"")
    return f"path/{file}"


def test_places_of_a_visitor_share_and_a_digit_with_one_picture_is_never_sent(lab, tmp_path):
    ref = packed(tmp_path / "mine.zip", {"mine/desk <b>/3": 3, "mine/desk <b>/4": 1, "mine/wall/3": 6, "mine/wall/8": 3})
    found = own.brought(PicturesConfig(pictures=ref), lab)
    assert found.places == {"desk <b>": (3, 1), "wall": (6, 3)} and "1 times a digit has one picture" in found.says
    metrics, tables, verdict = said(lab, pictures=ref)
    sent = {row[0]: row[2] for row in next(table for table in tables if table.name == "uploads").rows}
    assert sent == {"desk <b>": 2, "wall": 6} and 0 <= metrics["accuracy fedbip"] <= 1 and verdict.evidence["n"] == 4


@pytest.mark.parametrize(("members", "says"), [
    ({"a/3": 3}, "one place: nobody to share with"), ({f"p{i}/3": 3 for i in range(30)}, "30 places"),
    ({"a/3": 3, "b": 0}, "'b' has no picture"), ({"a/3": 3, "b/three": 3}, "no digit"), ({"a/3": 3, "b/3": 2}, "three pictures"),
    ({"a/3": 3, "b": 3}, "does not lie in"), ({"a/b/c/3": 1}, "does not lie in")])
def test_a_file_that_is_no_set_of_places_gets_a_sentence(lab, tmp_path, members, says):
    with pytest.raises(LabError, match=says):
        own.taking(lab, packed(tmp_path / "x.zip", members))


def test_every_rival_learns_every_place_is_left_out_once_and_a_bad_upload_does_not_stop_the_others(lab, tmp_path):
    places = packed(tmp_path / "four.zip", {f"{place}/{digit}": 3 for place in "abcd" for digit in (3, 8)})
    metrics, tables, verdict = said(lab, pictures=places, rivals="all", out=True, mishap="nan")
    assert {f"accuracy {name}" for name in experiments.ALL} <= set(metrics)
    assert {name for name in metrics if name.startswith("with ")} == {f"with place {number}" for number in (1, 2, 3)}
    [refused] = [table.rows for table in tables if table.name == "refused"]
    assert refused[0][0] == "d" and "not finite" in refused[0][1] and "d: left out" in verdict.text
    assert len(next(table for table in tables if table.name == "uploads").rows) == 3
    scores = next(table for table in tables if table.name == "scores")
    assert len(scores.rows) == 1 + len(experiments.ALL) and all("[" in cell for row in scores.rows[1:] for cell in row[1:])
    assert len(layers(dataclasses.asdict(verdict))["headline"].split()) <= 25
