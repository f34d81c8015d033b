"""The models that come with the lab are what their cards say, and do what the pages promise."""

from __future__ import annotations

import re

import pytest
import torch

from core.engine.models import ModelStore
from core.engine.settings import ASSETS, Settings
from core.learngene.data import read_task
from core.learngene.depth.learngene import Learngene
from core.learngene.metrics import accuracy
from core.learngene.vit import classes_of, logits

MODELS = sorted(folder.name for folder in (ASSETS / "models").glob("learngene-*") if (folder / "config.json").is_file())
GENES = [name for name in MODELS if name in ("learngene-letters", "learngene-digits", "learngene-letters-flat")]
PLAIN = [name for name in MODELS if any(word in name for word in ("ancestor", "scratch", "alone"))]
ONE_PICTURE = 1 / 256 + 1e-3  # another machine may round one picture to the other side


@pytest.fixture(scope="module")
def store() -> ModelStore:
    return ModelStore(Settings())


def _task(model):
    return next(task for task in map(read_task, ("letters", "digits")) if task.classes == classes_of(model))


@pytest.mark.parametrize("name", GENES)
def test_learngene_is_as_good_as_its_card_says(store, name):
    loaded = store.load(f"embedded/{name}")
    gene, rows = Learngene(loaded.model), re.findall(r"^\| (\d+) \| ([\d.]+)% \|", loaded.card, re.M)
    promised = {int(depth): float(share) / 100 for depth, share in rows}
    assert set(promised) >= {2, 4, 8, 12}
    for depth in (4, 8, 12):
        model = gene.expand(depth)
        assert accuracy(lambda pixels, model=model: logits(model, pixels), *_task(model).shown) == pytest.approx(
            promised[depth], abs=ONE_PICTURE)


@pytest.mark.parametrize("name", PLAIN)
def test_classifier_is_as_good_as_its_card_says(store, name):
    loaded = store.load(f"embedded/{name}")
    promised = float(re.search(r"Right answers: ([\d.]+)%", loaded.card)[1]) / 100
    found = accuracy(lambda pixels: logits(loaded.model, pixels), *_task(loaded.model).shown)
    assert found == pytest.approx(promised, abs=ONE_PICTURE)


@pytest.mark.parametrize("name", MODELS)
def test_card_says_what_how_and_under_which_licence(store, name):
    card = (ASSETS / "models" / name / "card.md").read_text(encoding="utf-8")
    for word in ("Trained on:", "How:", f"Rebuild: `glassbox models build {name}`", "Licence:", "16 bits"):
        assert word in card
    assert (ASSETS / "models" / name / "manifest.json").is_file()


def test_all_models_of_this_domain_fit_their_budget():
    """8 MB for learngene models (DESIGN section 4)."""
    size = sum(file.stat().st_size for name in MODELS for file in (ASSETS / "models" / name).iterdir())
    assert 0 < size <= 8 * 1024**2


def test_descendants_of_the_letters_work_untrained_around_the_depth_that_was_trained(store):
    gene, task = Learngene(store.load("embedded/learngene-letters").model), read_task("letters")
    shares = {depth: accuracy(lambda pixels, depth=depth: gene(pixels, depth), *task.shown) for depth in (1, 6, 8, 10)}
    assert min(shares[6], shares[8], shares[10]) > 0.85 and shares[1] < 0.2


def test_slope_of_the_letters_carries_something(store):
    """T8 of methods/09 on the shipped seed: zeroing the slope costs at least 5 points."""
    gene, task = Learngene(store.load("embedded/learngene-letters").model), read_task("letters")
    whole = accuracy(gene, *task.shown)
    flat = Learngene(store.fork("embedded/learngene-letters").model)
    with torch.no_grad():
        for parameter in flat.slope.values():
            parameter.zero_()
        assert accuracy(flat, *task.shown) <= whole - 0.05


def test_fonts_come_with_their_licences():
    fonts = [file for file in (ASSETS / "fonts").iterdir() if file.suffix in (".otf", ".ttf")]
    licences = list((ASSETS / "fonts").glob("LICENSE-*.txt"))
    assert len(fonts) == len(licences) == 12
    assert all("Open Font License" in (text := file.read_text(encoding="utf-8")) or "OPEN FONT LICENSE" in text.upper() or
               "public-domain" in text for file in licences)
