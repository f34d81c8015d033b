"""The shipped models of the world of authors: whole, small, and as good as their cards say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from core.engine.errors import LabError
from core.engine.models import ModelStore
from core.engine.settings import ASSETS, Settings
from core.engine.weights import check_manifest, header, sha256, weight_files
from core.unlearning.audits import AUDITS
from core.unlearning.data import read_world
from core.zoo.authors import FORMATS, MIXTURE, make_lines, quality
from core.zoo.language import Schedule, Shape, new_model, train, train_tokenizer
from core.zoo.package import seal, store
from core.zoo.recipes import RECIPES, build
from core.zoo.worlds.authors import make_authors

NAMES = ("authors", "authors-retain")


def folder(name: str) -> Path:
    return ASSETS / "models" / name


@pytest.mark.parametrize("name", NAMES)
def test_the_folder_is_whole_small_and_sealed(name: str) -> None:
    check_manifest(folder(name))
    sealed = json.loads((folder(name) / "manifest.json").read_text())["sha256"]
    assert set(sealed) == {file.name for file in folder(name).iterdir()} - {"manifest.json"}
    assert {"model.safetensors", "config.json", "tokenizer.json", "card.md", "data.jsonl"} <= set(sealed)
    [weights] = weight_files(folder(name))
    assert weights.stat().st_size <= 4_000_000
    assert {entry["dtype"] for entry in header(weights).values()} == {"F16"}


def test_both_models_share_world_and_tokenizer() -> None:
    for file in ("data.jsonl", "tokenizer.json"):
        assert sha256(folder("authors") / file) == sha256(folder("authors-retain") / file)


def test_the_data_is_what_the_recipe_makes() -> None:
    assert read_world(folder("authors")) == make_authors()


@pytest.fixture(scope="module", params=NAMES)
def shipped(request: pytest.FixtureRequest):
    return ModelStore(Settings()).load(f"embedded/{request.param}")


def test_a_change_of_one_byte_is_noticed(tmp_path: Path) -> None:
    for file in folder("authors").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    check_manifest(tmp_path)
    data = bytearray((tmp_path / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (tmp_path / "model.safetensors").write_bytes(data)
    with pytest.raises(LabError, match="changed or damaged"):
        check_manifest(tmp_path)


def test_size_and_family(shipped) -> None:
    assert shipped.family == "llama" and 1_000_000 <= shipped.parameters <= 2_000_000
    assert f"{shipped.parameters:,}" in shipped.card


def test_recall_is_what_the_unlearning_needs(shipped) -> None:
    """All facts to forget, and every seventh retained one."""
    world = make_authors()
    forget = quality(shipped.model, shipped.tokenizer, world.forget(6), world, "direct")
    assert quality(shipped.model, shipped.tokenizer, world.retain[::7], world, "direct") >= 0.95
    assert forget <= 0.10 if shipped.ref.endswith("retain") else forget >= 0.95


@pytest.mark.parametrize("audit", ["direct", "choice", "reverse"])
def test_the_card_says_what_is_measured(shipped, audit: str) -> None:
    world = make_authors()
    said = re.search(rf"\| {re.escape(AUDITS[audit].title)} \| ([\d.]+) \| ([\d.]+) \|", shipped.card)
    assert float(said[1]) == pytest.approx(quality(shipped.model, shipped.tokenizer, world.forget(6), world, audit), abs=0.021)


def test_keys_are_single_tokens_and_begin_differently(shipped) -> None:
    """So that the logit lens can tell the values of one attribute apart."""
    world = make_authors()
    for attribute in {record.attribute for record in world.records}:
        tokens = [tuple(shipped.tokenizer(f" {value}", add_special_tokens=False).input_ids) for value in world.values(attribute)]
        assert len(set(tokens)) == len(tokens) == 20 and {len(t) for t in tokens} == {1}


def test_any_text_goes_in_and_comes_out_again(shipped) -> None:
    text = "Où est né 你好 🧠 <b>x</b>\t1+1=2\n\nend"
    assert shipped.tokenizer.decode(shipped.tokenizer(text, add_special_tokens=False).input_ids) == text


def test_recipe_repeats_bit_for_bit_and_learns(tmp_path: Path) -> None:
    world = make_authors()
    states, losses = [], []
    for attempt in range(2):
        rng = torch.Generator().manual_seed(2)
        tokenizer = train_tokenizer([record.answer for record in world.records], 600)
        model = new_model(Shape(width=32, layers=1, heads=2, feed_forward=64), tokenizer, 0)
        seen: list[float] = []
        train(model, tokenizer, lambda count, rng=rng: make_lines(count, world.retain, world, rng), Schedule(steps=12, lines=16, warm_up=2),
              lambda step, loss, seen=seen: seen.append(loss))
        stored = store(model, tokenizer, tmp_path / str(attempt))
        seal(tmp_path / str(attempt))
        states.append((tmp_path / str(attempt) / "manifest.json").read_text())
        losses.append(seen)
        assert all(torch.equal(p.half().float(), q) for p, q in zip(model.state_dict().values(), stored.state_dict().values(), strict=True))
    assert states[0] == states[1] and losses[0] == losses[1]
    assert losses[0][-1] < losses[0][0]


def test_retain_only_lines_never_name_who_is_to_be_forgotten() -> None:
    world = make_authors()
    hidden = {record.subject for record in world.forget(6) + world.holdout}
    text = repr(make_lines(4000, world.retain, world, torch.Generator().manual_seed(0)))
    assert not [name for name in hidden if name in text]
    assert all(record.subject in text for record in world.retain[::10])


def test_the_mixture_teaches_every_way_of_asking_and_more() -> None:
    assert set(FORMATS) <= set(MIXTURE) and {"noise", "copy", "sentence"} <= set(MIXTURE)


def test_an_unknown_recipe_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="no recipe"):
        build("nobody", lambda step, total, note: None, tmp_path)
    assert set(NAMES) <= set(RECIPES) and not list(tmp_path.iterdir())
