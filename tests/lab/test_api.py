"""The API answers like the command line: same JSON, same sentences, nothing of the interface exposed."""

from __future__ import annotations

import pytest
from gradio_client import Client

from apps.lab.server import create_app
from core.engine.registry import EXPERIMENTS
from tests.servers import serving


@pytest.fixture(scope="module")
def client(engine):
    with serving(create_app(engine=engine)) as address:
        yield Client(address, verbose=False)


def test_only_named_endpoints_are_offered(client):
    offered = client.view_api(return_format="dict")
    wanted = {"/" + name.replace("/", "_").replace("-", "_") for name in EXPERIMENTS} | {"/list", "/claims"}
    assert set(offered["named_endpoints"]) == wanted
    assert offered["unnamed_endpoints"] == {}


def test_a_run_over_the_api_equals_the_same_run_on_the_engine(client, engine):
    config = {"steps": 4, "picks": [20, 22]}
    answer = client.predict(config, 7, True, api_name="/test_count")
    run = engine.start("test/count", config, seed=7, fresh=True)
    engine.wait(run.id, timeout=30)
    here = engine.result(run.id)
    assert answer["outcome"] == "finished" and answer["run_id"] != run.id
    for field in ("name", "config", "seed", "metrics", "verdict"):
        assert answer[field] == here[field]


def test_asking_twice_computes_once(client):
    first = client.predict({"steps": 2, "word": "once"}, api_name="/test_count")
    assert client.predict({"steps": 2, "word": "once"}, api_name="/test_count") == first


def test_a_probe_answers_with_its_dataclass(client):
    assert client.predict({"steps": 2, "word": "<b>"}, api_name="/test_echo") == {"words": ["<b>", "<b>"]}


@pytest.mark.parametrize(("config", "word"), [
    ({"stepz": 1}, "stepz"), ({"steps": 0}, "steps"), ({"steps": 10**9}, "steps"), ({"mode": "sideways"}, "mode"),
    ([1, 2], "fields"), ("steps=3", "fields"), (None, "fields"), ({"word": ["x"]}, "word"),
])
def test_wrong_configs_come_back_as_sentences(client, config, word):
    answer = client.predict(config, api_name="/test_count")
    assert set(answer) == {"error", "hint"}
    assert word in answer["error"] + answer["hint"]


@pytest.mark.parametrize("seed", [-1, 2**31, 1.5, "x"])
def test_wrong_seeds_come_back_as_sentences(client, seed):
    assert "seed" in client.predict({}, seed, api_name="/test_count")["error"]


def test_a_failed_run_says_so_like_the_command_line(client):
    answer = client.predict({"fail": True}, api_name="/test_count")
    assert answer["outcome"] == "failed" and answer["error"] == "The counting failed on purpose."
    bug = client.predict({}, api_name="/test_broken")
    assert bug["outcome"] == "failed" and "Traceback" not in str(bug) and "a bug" not in str(bug)


@pytest.mark.parametrize("model", [
    "embedded/nothing", "path//etc", "path/../../etc", "run/none/none", "hf/../../etc", "file:///etc/passwd", "embedded/../authors",
    "x" * 400, "",
])
def test_models_that_cannot_be_had_come_back_as_sentences(client, model):
    for endpoint in ("/unlearning_audit", "/unlearning_ask"):
        answer = client.predict({"model": model}, api_name=endpoint)
        assert set(answer) == {"error", "hint"} and answer["error"] and answer["hint"]


def test_list_and_claims_are_those_of_the_command_line(client):
    listed = client.predict(api_name="/list")["experiments"]
    assert {row["name"] for row in listed} == set(EXPERIMENTS)
    assert all(set(row) == {"name", "title", "paper", "kind", "config_schema", "families", "outputs"} for row in listed)
    claims = client.predict("01", api_name="/claims")["claims"]
    assert claims and all(row["paper"] == "01" for row in claims)
    assert "99" in client.predict("99", api_name="/claims")["error"]
