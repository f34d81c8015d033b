"""Models that must not be loaded, asked for over the API: a sentence each, and afterwards a good one still works."""

from __future__ import annotations

import pytest
from gradio_client import Client

from apps.lab.server import create_app
from core.engine.runner import Engine
from core.engine.settings import Settings
from tests.lab.bad_models import REFUSED, make
from tests.servers import serving


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory):
    root = tmp_path_factory.mktemp("bad")
    engine = Engine(Settings(home=root / "home", models_dir=make(root), threads=1))
    with serving(create_app(engine=engine)) as address:
        client = Client(address, verbose=False)
        client.engine = engine
        yield client
    engine.close()


@pytest.mark.parametrize("model", REFUSED)
def test_a_bad_model_is_refused_with_a_sentence_and_leaves_no_record(client, model):
    before = len(client.engine.records.list())
    answer = client.predict({"model": model}, api_name="/unlearning_audit")
    assert set(answer) == {"error", "hint"}, answer
    assert REFUSED[model] in answer["error"] + answer["hint"]
    assert "Traceback" not in str(answer) and "/tmp" not in str(answer)
    assert len(client.engine.records.list()) == before
    assert set(client.predict({"model": model, "question": "Who?"}, api_name="/unlearning_ask")) == {"error", "hint"}


def test_a_good_model_of_ones_own_answers_after_all_that(client):
    answer = client.predict({"model": "path/good", "question": "Where was the author born?"}, api_name="/unlearning_ask")
    assert isinstance(answer["answer"], str) and len(answer["top"]) == 5
