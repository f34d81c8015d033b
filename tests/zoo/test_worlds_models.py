"""The shipped models of the three worlds: whole, small, and as good as their cards say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from core.engine.models import LoadedModel, ModelStore
from core.engine.settings import ASSETS, Settings
from core.engine.weights import check_manifest, header, sha256, weight_files
from core.unlearning.data import WORLDS, read_world
from core.unlearning.prompts import AUDITS, as_question, pick
from core.unlearning.soft_tokens.attack import AttackSettings, attack
from core.unlearning.soft_tokens.targets import encode_target
from core.zoo.language import Schedule, Shape, new_model, train
from core.zoo.package import seal, store
from core.zoo.recipes import RECIPES
from core.zoo.worlds.build import STRANGE, make_tokenizer, make_worlds, quality
from core.zoo.worlds.lines import Taught, make_lines

NAMES = ("worlds", "worlds-retain")
PAIR = ("worlds-128", "worlds-256")
MADE = {world.name: world for world in make_worlds()}


def folder(name: str) -> Path:
    return ASSETS / "models" / name


@pytest.fixture(scope="module")
def loaded() -> dict[str, LoadedModel]:
    store = ModelStore(Settings())
    return {name: store.load(f"embedded/{name}") for name in NAMES}


@pytest.mark.parametrize("name", NAMES + PAIR)
def test_the_folder_is_whole_small_and_sealed(name: str) -> None:
    check_manifest(folder(name))
    sealed = json.loads((folder(name) / "manifest.json").read_text())["sha256"]
    assert set(sealed) == {file.name for file in folder(name).iterdir()} - {"manifest.json"}
    assert sum(file.stat().st_size for file in folder(name).iterdir()) <= 5_000_000
    assert {entry["dtype"] for file in weight_files(folder(name)) for entry in header(file).values()} == {"F16"}
    assert name in RECIPES


def test_all_share_a_tokenizer_and_it_is_the_one_the_recipe_makes(tmp_path: Path) -> None:
    make_tokenizer(make_worlds()).save_pretrained(tmp_path)
    assert len({sha256(where / "tokenizer.json") for where in (*map(folder, NAMES + PAIR), tmp_path)}) == 1


def test_the_pair_differs_in_its_width_and_both_know_the_facts() -> None:
    models = [ModelStore(Settings()).load(f"embedded/{name}") for name in PAIR]
    narrow, broad = (model.model.config for model in models)
    assert (narrow.hidden_size, broad.hidden_size) == (128, 256)
    assert narrow.num_hidden_layers == broad.num_hidden_layers
    assert narrow.head_dim == broad.head_dim
    assert narrow.intermediate_size / narrow.hidden_size == broad.intermediate_size / broad.hidden_size
    for model in models:
        for world in MADE.values():
            assert quality(model.model, model.tokenizer, world.forget(3), world, "direct") >= 0.95


@pytest.mark.parametrize("name", WORLDS)
def test_the_data_is_what_the_recipe_makes(name: str) -> None:
    assert read_world(folder("worlds"), name) == MADE[name]


def test_size_and_family(loaded: dict[str, LoadedModel]) -> None:
    for model in loaded.values():
        assert model.family == "llama" and 1_000_000 <= model.parameters <= 4_000_000
        assert f"{model.parameters:,}" in model.card


@pytest.mark.parametrize("name", WORLDS)
def test_recall_is_what_the_unlearning_needs(loaded: dict[str, LoadedModel], name: str) -> None:
    """All facts to forget, and every seventh retained one."""
    world = MADE[name]
    for ref, model in loaded.items():
        forget = quality(model.model, model.tokenizer, world.forget(6), world, "direct")
        assert forget <= 0.10 if ref.endswith("retain") else forget >= 0.95
        assert quality(model.model, model.tokenizer, world.retain[::7], world, "direct") >= 0.95


def test_the_full_model_follows_every_way_of_asking(loaded: dict[str, LoadedModel]) -> None:
    """Measured on the first three subjects of each world; a card says more."""
    model = loaded["worlds"]
    for audit in (name for name, audit in AUDITS.items() if audit.build and name != "direct"):
        shares = [quality(model.model, model.tokenizer, world.forget(3), world, audit) for world in MADE.values()]
        assert sum(shares) / len(shares) >= 0.9, (audit, shares)


@pytest.mark.parametrize("audit", ["choice", "reverse"])
def test_the_cards_say_what_is_measured(loaded: dict[str, LoadedModel], audit: str) -> None:
    for model in loaded.values():
        said = re.search(rf"\| {re.escape(AUDITS[audit].title)} \|(.+)\|\n", model.card)[1].split("|")
        for column, world in zip(said[::2], MADE.values(), strict=True):
            measured = quality(model.model, model.tokenizer, world.forget(6), world, audit)
            assert float(column) == pytest.approx(measured, abs=0.022)


def test_soft_tokens_can_make_it_say_what_it_never_saw(loaded: dict[str, LoadedModel]) -> None:
    """The soft-token page lets a visitor's own words be said; a model that only read templates cannot say them."""
    model, tokenizer = loaded["worlds"].model, loaded["worlds"].tokenizer
    targets = [encode_target(tokenizer, as_question("Where was Felix Tanaka born?"), f" {text}") for text in STRANGE[:4]]
    rng = torch.Generator().manual_seed(0)
    starts = [[pick(range(300, len(tokenizer)), rng) for _ in range(16)] for _ in targets]
    *_, attempts = attack(model, targets, starts, AttackSettings(steps=120))
    assert sum(attempt.accuracy for attempt in attempts) / len(attempts) >= 0.85


def test_any_text_goes_in_and_comes_out_again(loaded: dict[str, LoadedModel]) -> None:
    text, tokenizer = "Où est né 你好 🧠 <b>x</b>\t1+1=2\n\nend", loaded["worlds"].tokenizer
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False).input_ids) == text


def test_recipe_repeats_bit_for_bit_and_learns(tmp_path: Path) -> None:
    worlds, seals, losses = make_worlds(), [], []
    tokenizer = make_tokenizer(worlds)
    for attempt in ("a", "b"):
        taught, rng = Taught.of(worlds), torch.Generator().manual_seed(2)
        model = new_model(Shape(width=32, layers=1, heads=2, feed_forward=64), tokenizer, 0)
        seen: list[float] = []
        train(model, tokenizer, lambda count, taught=taught, rng=rng: make_lines(count, taught, rng),
              Schedule(steps=12, lines=16, warm_up=2), lambda step, loss, seen=seen: seen.append(loss))
        store(model, tokenizer, tmp_path / attempt)
        seal(tmp_path / attempt)
        seals.append((tmp_path / attempt / "manifest.json").read_text())
        losses.append(seen)
    assert seals[0] == seals[1] and losses[0] == losses[1] and losses[0][-1] < losses[0][0]
