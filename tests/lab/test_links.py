"""A link reopens the view it was made from, and a wrong one says what is wrong."""

from __future__ import annotations

import importlib
import json
from html import escape
from urllib.parse import parse_qsl, urlsplit

import pytest

from apps.lab import links
from apps.lab.pages import PAGES, real
from apps.lab.ui import setups
from core.engine.errors import LabError
from core.engine.registry import find
from core.engine.settings import FIRST_VIEWS


def query(address: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(address).query))


def test_a_link_with_nothing_but_a_seed_sets_the_seed():
    experiment = find("test/count")
    opened = links.read(experiment, {"seed": "3"})
    assert (opened.seed, opened.config, opened.error) == (3, experiment.config(), None)


@pytest.mark.parametrize("given", [
    {},
    {"steps": 7},
    {"steps": 1000, "word": "é & ü = 100%?#", "rate": 0.25, "mode": "loud", "picks": [3, 4], "fail": True},
    {"word": "null"},
    {"word": "12"},
    {"picks": []},
])
def test_a_link_reads_back_as_the_config_and_seed_it_was_made_from(given):
    experiment = find("test/count")
    config = experiment.config(**given)
    address = links.link("counting", config, seed=5, run="20260101-000000-abcdef")
    assert urlsplit(address).path == "/counting"
    opened = links.read(experiment, query(address))
    assert opened.error is None
    assert (opened.config or experiment.config()) == config
    assert (opened.seed, opened.run) == (5, "20260101-000000-abcdef")


def test_a_link_carries_only_what_differs_from_the_defaults():
    assert links.link("counting", find("test/count").config()) == "/counting"
    assert query(links.link("counting", find("test/count").config(steps=9))) == {"steps": "9"}


@pytest.mark.parametrize(("given", "word"), [
    ({"stepz": "3"}, "stepz"), ({"steps": "5000"}, "1000"), ({"steps": "many"}, "steps"), ({"mode": "quiet"}, "mode"),
    ({"seed": "-1"}, "seed"), ({"seed": "²"}, "seed"), ({"seed": "1e9"}, "seed"), ({"seed": str(2**31)}, "seed"),
    ({"steps": "<img src=x onerror=alert(1)>"}, "steps"), ({"word": "x" * 21}, "word"),
])
def test_wrong_names_and_values_in_a_link_give_a_sentence(given, word):
    opened = links.read(find("test/count"), given)
    assert opened.config is None
    assert word in str(opened.error)
    assert "Traceback" not in str(opened.error)


@pytest.mark.parametrize(("given", "word"), [
    ({"steps": "100000"}, "steps"), ({"algorithm": "magic"}, "algorithm"), ({"seed": "minus"}, "seed"), ({"subjects": "2"}, "subjects"),
])
def test_a_wrong_link_to_a_real_page_names_the_field(given, word):
    opened = links.read(find("unlearning/audit"), given)
    assert opened.config is None and word in str(opened.error) and "Traceback" not in str(opened.error)


def test_what_others_append_to_a_link_is_left_alone():
    opened = links.read(find("test/count"), {"__theme": "dark", "utm_source": "mail", "steps": "4"})
    assert opened.error is None
    assert opened.config.steps == 4


def test_a_link_names_the_experiment_unless_it_is_the_first_of_its_page():
    run = {"name": "reasoning/roc", "config": {"gamma": 0.4}, "seed": 2, "id": "20260101-000000-abcdef"}
    asked = query(links.to_run(run))
    assert asked == {"gamma": "0.4", "seed": "2", "run": run["id"], "of": "reasoning/roc"}
    opened = links.read(find("reasoning/roc"), asked)
    assert (opened.config.gamma, opened.seed, opened.run, opened.error) == (0.4, 2, run["id"], None)
    assert links.read(find("reasoning/trace"), asked) == links.Opened()
    first = query(links.to_run(run | {"name": "reasoning/trace"}))
    assert "of" not in first and links.read(find("reasoning/trace"), first).config.gamma == 0.4
    assert links.read(find("reasoning/roc"), first) == links.Opened()


@pytest.mark.parametrize("module", ["soft_token_bench", "cot_energy", "unlearning_auditor"])
def test_links_to_further_settings_are_read_back_as_these_settings(module):
    page = next(page for page in PAGES if page.folder == module)
    experiment = find(page.experiments[0])
    built = importlib.import_module(page.module)
    offered = getattr(built, "FURTHER", None) or getattr(built, "OWN_MODELS", None) or [("", "", {"steps": 0})]
    for title, words, settings in offered:
        address = setups.address(page, settings)
        assert links.read(experiment, query(address)).config == experiment.config(**settings)
        assert f'href="{escape(address)}"' in setups.cards(page, [(title, words, settings)])


def test_a_link_to_settings_that_do_not_exist_fails_when_the_site_is_built():
    with pytest.raises(LabError, match="stepz"):
        setups.address(next(page for page in PAGES if page.built), {"stepz": 1})


@pytest.mark.parametrize("name", real.VIEWS)
def test_the_recorded_run_on_a_real_model_opens_with_its_settings_where_the_model_is_not(name):
    view = real.VIEWS[name]
    query = dict(parse_qsl(urlsplit(real.address(name)).query))
    opened = links.read(find(view.experiment), query)
    assert opened.error is None and opened.run == f"first-{name}" and opened.config.model == real.MODEL
    assert opened.config == find(view.experiment).validate(real.settings(name))
    file = FIRST_VIEWS / name / "run.json"
    if file.is_file():
        run = json.loads(file.read_text(encoding="utf-8"))
        assert run["config"] == opened.config.model_dump(mode="json") and run["model"]["ref"] == real.MODEL
