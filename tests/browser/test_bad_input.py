"""Bad models and a full disk, met through the page: a sentence, no half record, and afterwards a good run works."""

from __future__ import annotations

import errno

import pytest

from core.engine.records import Log
from core.engine.runner import Engine
from tests.lab.bad_models import REFUSED

AUDITOR = "unlearning-auditor"


@pytest.fixture(scope="module")
def lab_engine(engine_with_models: Engine) -> Engine:
    return engine_with_models


@pytest.fixture(scope="module")
def lab_address(address_with_models: str) -> str:
    return address_with_models


def open_and_run(visitor, query: str):
    page = visitor().open(f"{AUDITOR}?{query}")
    page.wait_for_function("/^(done|recorded)$/.test(document.querySelector('.gb-status')?.dataset.tone || '')")
    page.get_by_role("button", name="Run", exact=True).click()
    return page


@pytest.mark.parametrize("model", ["path/pickled", "path/wants-code", "path/enormous", "path/escape", "path/../outside"])
def test_a_bad_model_gets_a_sentence_and_no_record(visitor, lab_engine, model):
    before = len(lab_engine.records.list())
    page = open_and_run(visitor, f"model={model}")
    page.wait_for_selector(".gb-notice:not([hidden])")
    said = page.locator(".gb-notice:visible").inner_text()
    assert REFUSED[model] in said and "Traceback" not in said
    assert len(lab_engine.records.list()) == before


def test_a_full_disk_ends_the_run_with_a_sentence_and_the_next_run_works(visitor, lab_engine, monkeypatch):
    written, append = [], Log.append

    def full(self: Log, line: dict) -> None:
        written.append(line)
        if len(written) > 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        append(self, line)

    with monkeypatch.context() as patch:
        patch.setattr(Log, "append", full)
        page = open_and_run(visitor, "steps=2&subjects=1&seed=5&actpert=false&audits=[]")
        page.wait_for_function("document.querySelector('.gb-status').dataset.tone === 'bad'")
        assert "space" in page.locator(".gb-status").inner_text().lower()
        run = page.evaluate("document.querySelector('[data-run]').dataset.run")
    events = lab_engine.events(run)
    assert lab_engine.state(run)["outcome"] == "failed" and events[-1]["kind"] == "end"
    assert [event["seq"] for event in events] == list(range(len(events)))
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_function("document.querySelector('.gb-badge').textContent === 'Finished'")


def test_a_seed_typed_out_of_bounds_gets_a_sentence(visitor):
    page = visitor().open(AUDITOR)
    page.wait_for_function("document.querySelector('.gb-status')?.dataset.tone === 'recorded'")
    page.get_by_role("button", name="More settings").click()
    seed = page.locator("#field-seed input[type=number]")
    seed.fill("-1")
    seed.press("Tab")
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_selector(".gb-notice:not([hidden])")
    assert "seed" in page.locator(".gb-notice:visible").inner_text()


TYPE_AT_ONCE = """(value) => {
  document.querySelector('.gb-drawer-handle').click();
  const seed = document.querySelector('#field-seed input[type=number]');
  seed.value = value;
  seed.dispatchEvent(new Event('input', { bubbles: true }));
}"""


def test_what_is_typed_the_moment_the_drawer_opens_stays_and_an_empty_number_arrives_empty(visitor, lab_engine):
    page = visitor().open(f"{AUDITOR}?steps=0&subjects=1&actpert=false&audits=[]")
    page.wait_for_function("document.querySelector('.gb-status')?.dataset.tone === 'recorded'")
    assert not page.locator("#field-seed").is_visible()
    page.evaluate(TYPE_AT_ONCE, "7")
    assert page.locator("#field-learning_rate input[type=number]").is_visible()
    page.get_by_role("button", name="Run", exact=True).click()
    page.wait_for_function("document.querySelector('.gb-badge').textContent === 'Finished'")
    record = lab_engine.records.read(page.evaluate("document.querySelector('[data-run]').dataset.run"))
    assert (record["seed"], record["config"]["learning_rate"]) == (7, None)
