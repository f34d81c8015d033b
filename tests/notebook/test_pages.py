"""What the pages of the notebook show and do, without a browser."""

from __future__ import annotations

import io
import json
import time
import zipfile

import pytest

from core.engine import board, parcel
from core.engine.errors import LabError
from core.engine.index import Index
from core.engine.library import Library
from tests.notebook.conftest import ANN, BOB


def said(page) -> str:
    kinds = ("markdown", "caption", "info", "warning", "error", "success")
    return "\n".join(element.value for kind in kinds for element in getattr(page, kind))


def own(page) -> set[str]:
    return {run for run in page.dataframe[0].value["run"] if not run.startswith("first-")}


def test_the_table_is_filtered_and_each_reader_sees_what_is_theirs(opened, kept):
    page = opened("runs")
    assert not page.exception and own(page) == {*kept.ann, kept.bob}
    assert own(page.text_input(key="search").set_value("steps=6").run()) == set(kept.ann[1:3])
    assert own(page.text_input(key="search").set_value("steps=6 tock").run()) == {kept.ann[2]}
    assert own(page.text_input(key="search").set_value("no such word").run()) == set()
    assert own(opened("runs", BOB)) == {kept.bob} and own(opened("runs", "")) == set()
    hidden = opened("runs", BOB, run=kept.ann[0])
    assert not hidden.exception and "belongs to somebody else" in said(hidden) and kept.ann[0] not in hidden.session_state.chosen


def test_chosen_runs_stand_side_by_side_and_one_slider_replays_them_all(opened, kept):
    first, second = kept.ann[0], kept.ann[1]
    page = opened("runs", run=f"{first},{second}")
    assert not page.exception and page.session_state.chosen == [first, second]
    settings, numbers = page.dataframe[1].value, page.dataframe[2].value
    assert list(settings.index) == ["steps", "seed"] and [list(row)[1:] for row in settings.values] == [["4", "6"], ["0", "1"]]
    assert list(numbers["number"]) == ["global noise", "own noise"]
    last = kept.engine.result(first)["metrics"]["own noise"]
    assert float(numbers.iloc[1, 2]) == pytest.approx(last, rel=5e-3)
    early = page.slider(key="replay").set_value(30).run().dataframe[2].value
    step_1 = next(line["value"] for line in kept.engine.events(first) if line["kind"] == "metric" and line["name"] == "own noise")
    assert float(early.iloc[1, 2]) == pytest.approx(step_1, rel=5e-3) and not page.exception


def test_words_of_a_run_are_shown_as_words(opened, kept):
    page = opened("runs", run=kept.ann[2])
    heads = [element.value for element in page.markdown if "Counted" in element.value]
    assert heads and all("<b>" not in text.replace("\\<b\\>", "") for text in heads)


def test_a_run_gets_a_name_tags_and_a_note_and_can_be_deleted(opened, kept):
    extra = kept.engine.start("test/count", {"steps": 1, "word": "gone"}, visitor=ANN)
    kept.engine.wait(extra.id)
    page = opened("runs", ANN, run=extra.id)
    page.text_input(key=f"label-{extra.id}").set_value("to go")
    page.text_input(key=f"tags-{extra.id}").set_value("a, b")
    page.button[[one.label for one in page.button].index("Save")].click().run()
    assert not page.exception and kept.engine.records.read(extra.id).tags == ["a", "b"]
    assert "to go" in list(page.dataframe[0].value["name"])
    page.button(key=f"delete-{extra.id}").click().run()
    assert not page.exception and own(page) == set(kept.ann)


def test_runs_are_packed_and_brought_in_elsewhere_and_nothing_that_only_looks_like_them(kept, tmp_path):
    from core.engine.records import Records

    library = Library(kept.engine.records, Index(kept.engine.records), ANN)
    data = parcel.pack(library, kept.ann[:2])
    names = {name.split("/")[1] for name in zipfile.ZipFile(io.BytesIO(data)).namelist()}
    assert names == {"run.json", "events.jsonl", "report.html", "metrics.csv"} and ANN not in data.decode("latin-1")
    there = Records(tmp_path / "runs")
    brought = parcel.unpack(there, data)
    assert [there.events(run_id) for run_id in brought] == [kept.engine.events(run_id) for run_id in kept.ann[:2]]
    run = there.read(brought[0])
    assert (run.config, run.key, run.published, run.tags) == ({**kept.engine.records.read(kept.ann[0]).config}, "", False, ["brought in"])
    with pytest.raises(LabError):
        parcel.pack(library, [kept.bob])
    record = {"run.json": json.dumps(run.public()), "events.jsonl": ""}
    ended = '{"seq": 0, "t": 0.0, "kind": "end", "outcome": "finished", "error": "", "hint": ""}\n'
    for files in ({"x/../../evil": "1"}, {"abcd/run.json": "{}"}, {"abcd/run.json": "{}", "abcd/events.jsonl": ended},
                  {f"abcd/{name}": text for name, text in record.items()}, {"abcd/run.json": "[" * 100_000}, {},
                  {"abcd/run.json": record["run.json"], "abcd/events.jsonl": ended, "abcd/x.png": "no picture"}):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as draft:
            for name, text in files.items():
                draft.writestr(name, text)
        with pytest.raises(LabError):
            parcel.unpack(there, packed.getvalue())
    with pytest.raises(LabError, match="not a ZIP"):
        parcel.unpack(there, b"PK nothing")
    assert sorted(there.ids()) == sorted(brought)


def test_the_board_filters_and_is_taken_away_as_a_table_and_as_one_page(opened, kept):
    page = opened("board")
    assert not page.exception
    rows = board.rows(kept.engine.settings.home)
    assert len(page.dataframe[0].value) == len(rows) > 50
    failed = page.selectbox(key="claims-result").set_value("did not hold").run().dataframe[0].value
    assert list(failed["claim"]) == [row["id"] for row in rows if row["held"] is False] and len(failed) > 0
    assert len(board.csv(rows).splitlines()) == len(rows) + 1
    pairs = {(row["id"], other["id"]) for row in rows for other in row["twins"]}
    assert pairs and pairs == {(one, two) for two, one in pairs}
    assert all(board.on_real(row) != board.on_real(other) for row in rows for other in row["twins"])
    text = board.html([*rows, rows[0] | {"id": "x", "statement": "<script>alert(1)</script>"}])
    assert "<script" not in text and "&lt;script&gt;" in text and all(row["id"] in text for row in rows)
    assert "http" not in text.split("</style>")[1]


def test_a_claim_that_is_measured_again_stands_beside_what_came_with_the_lab(opened, kept, monkeypatch):
    from core.engine import claims

    claim = claims.Claim("00.1", "00", "It counts.", "report", "test/count", configs=[{"steps": 2}], seeds=(0, 1),
                         measure=lambda results: results[0]["metrics"]["own noise"], threshold=">= 0", scale="share")
    monkeypatch.setattr(claims, "claims", lambda paper=None: [claim])
    found = board.measure_again(kept.engine, "00.1")
    [row] = board.rows(kept.engine.settings.home)
    assert row["held"] is None and row["new"] == found and found["measured"] is not None and found["when"]
    page = opened("board")
    assert not page.exception and {metric.label.split(",")[0] for metric in page.metric} >= {"With the lab", "Measured again here"}
    assert "Measuring it again takes 2 runs" in said(page)
    assert "Whoever owns this machine" in said(opened("board", BOB))
    (kept.engine.settings.home / "claims" / "00.1.json").write_text("{}")
    assert board.rows(kept.engine.settings.home)[0]["new"] is None


def test_questions_are_answered_from_what_the_reader_may_see(opened, kept):
    page = opened("ask", ANN)
    assert not page.exception and "Can it count?" in list(page.dataframe[0].value["question"])
    own = page.selectbox(key="ready").set_value("a question of my own, in SQL").run()
    box = own.text_area[0]
    answer = box.set_value("SELECT count(*) AS n FROM runs WHERE experiment = 'test/count'").run().dataframe[0].value
    assert answer["n"].tolist() == [len(kept.ann)]
    refused = own.text_area[0].set_value("SELECT * FROM read_csv('x.csv')").run()
    assert not refused.exception and "cannot be reached" in said(refused) and not refused.dataframe
    his = opened("ask", BOB).selectbox(key="ready").set_value("a question of my own, in SQL").run()
    answer = his.text_area[0].set_value("SELECT count(*) AS n FROM runs WHERE experiment = 'test/count'").run().dataframe[0].value
    assert answer["n"].tolist() == [1]


def test_a_sweep_is_started_from_the_form_and_seen_with_intervals(opened, kept):
    from apps.notebook import sweep_form
    from core.engine.sweeps import Sweeps

    page = opened("sweeps")
    assert not page.exception and "There is no sweep yet" in said(page)
    page.selectbox(key="sweep-experiment").select_index(
        [option.endswith("Can it count?") for option in page.selectbox(key="sweep-experiment").options].index(True)).run()
    page.multiselect(key="vary-test/count").set_value(["steps"]).run()
    page.text_input(key="value-test/count-steps").set_value("2, 0").run()
    page.button(key="start-sweep").click().run()
    assert "'steps' cannot be 0" in said(page) and not Sweeps(kept.engine.settings.home).list()
    page.text_input(key="value-test/count-steps").set_value("2, 3").run()
    assert "6 runs" in said(page) and page.code[0].value == "./launch.sh cli sweep test/count --grid steps=2,3 --seeds 0..2"
    page.button(key="start-sweep").click().run()
    deadline = time.monotonic() + 60
    while sweep_form.running.busy and time.monotonic() < deadline:
        time.sleep(0.05)
    page = opened("sweeps")
    assert not page.exception and not sweep_form.running.error and "6 of 6 runs are finished" in said(page)
    assert page.dataframe[0].value["seed"].tolist() == [0, 1, 2, 0, 1, 2]
    for look in ("heat map", "one setting against several numbers", "which setting matters"):
        page.session_state["look"] = look
        assert not page.run().exception, look
    assert "eta squared" in said(page)
    assert "There is no sweep yet" in said(opened("sweeps", BOB))
