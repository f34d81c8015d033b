"""What people take away: a page that is whole and inert, numbers for a spreadsheet, and a command that computes it again."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from core.engine import outputs, registry, report
from core.engine.text_values import config_from_text
from tests.engine import experiments_for_tests as small
from tests.engine.experiments_for_tests import HOSTILE

# Everything the report itself is made of. Whatever else a parser finds came from the data.
TAGS = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "div", "script", "img", "table", "thead", "tbody", "tr", "th",
        "td", "pre"}
ATTRIBUTES = {"lang", "charset", "name", "content", "http-equiv", "class", "data-figure", "style", "type", "id", "alt", "src"}


class Inspector(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict]] = []
        self.scripts: list[tuple[dict, str]] = []
        self.text = ""
        self._inside: list[str] = []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "img"):
            self._inside.append(tag)
        if tag == "script":
            self.scripts.append((dict(attributes), ""))

    def handle_endtag(self, tag):
        assert self._inside.pop() == tag, "tags close in order"

    def handle_data(self, data):
        if self._inside and self._inside[-1] == "script":
            attributes, before = self.scripts[-1]
            self.scripts[-1] = attributes, before + data
        else:
            self.text += data


@pytest.fixture
def hostile(engine):
    return engine.wait(engine.start("test/hostile", {}).id, timeout=120)["id"]


def test_a_picture_lies_under_a_plain_file_name(engine, hostile):
    file = next(line["file"] for line in engine.events(hostile) if line["kind"] == "picture")
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]*\.png", file) and (engine.records.folder(hostile) / file).is_file()
    strange = engine.wait(engine.start("test/hostile", {"text": "…" * 1000}).id, timeout=120)["id"]
    assert next(line["file"] for line in engine.events(strange) if line["kind"] == "picture") == "picture-6.png"


@pytest.fixture
def page(engine, hostile):
    run = engine.records.read(hostile)
    engine.records.update(hostile, title=HOSTILE, paper=HOSTILE, error=HOSTILE, hint=HOSTILE, fingerprints={HOSTILE: HOSTILE},
                          versions=run["versions"] | {HOSTILE: HOSTILE}, config=run["config"] | {HOSTILE: HOSTILE})
    inspector = Inspector()
    inspector.feed(report.html(engine.records, hostile))
    inspector.close()
    return inspector


def test_hostile_text_in_every_field_adds_no_tag_no_attribute_and_no_script(page):
    assert {tag for tag, _ in page.tags} <= TAGS
    assert {name for _, attributes in page.tags for name in attributes} <= ATTRIBUTES
    assert [attributes["src"][:22] for tag, attributes in page.tags if tag == "img"] == ["data:image/png;base64,"]
    code = [(attributes, text) for attributes, text in page.scripts if attributes.get("type") != "application/json"]
    assert len(code) == 2 and all("alert(1)" not in text and not attributes for attributes, text in code)
    assert page.text.count("<script>alert(1)</script>") >= 15, "the text is shown, as text"


def test_the_policy_names_exactly_the_two_scripts_that_are_there(page):
    policy = next(attributes["content"] for _, attributes in page.tags if attributes.get("http-equiv") == "Content-Security-Policy")
    allowed = set(re.findall(r"'sha256-([^']+)'", policy))
    code = [text for attributes, text in page.scripts if attributes.get("type") != "application/json"]
    assert allowed == {base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in code}
    assert "default-src 'none'" in policy and "unsafe-eval" not in policy and "http" not in policy


def test_figures_are_data_whose_labels_cannot_act(page):
    figures = [json.loads(text) for attributes, text in page.scripts if attributes.get("type") == "application/json"]
    assert len(figures) == 2
    for figure in figures:
        assert not re.search(r"<(?!/?(br|b|i|sub|sup|extra)\s*/?>)", json.dumps(figure))
    places = {attributes["data-figure"] for _, attributes in page.tags if "data-figure" in attributes}
    assert places == {attributes["id"] for attributes, _ in page.scripts if "id" in attributes}


def test_data_cannot_end_the_block_they_lie_in():
    embedded = report._embed({"</script><script>": ["<!--<script>", "]]>", "\u2028"]})
    assert "<" not in embedded and json.loads(embedded) == {"</script><script>": ["<!--<script>", "]]>", "\u2028"]}


def test_control_characters_are_shown_and_not_sent(engine, hostile):
    text = report.html(engine.records, hostile)
    body = text[text.index("<body>"):text.rindex("<script>", 0, text.rindex("<script>"))]
    assert "\ufffd[31m" in body
    assert not [c for c in body if ord(c) < 32 and c not in "\n\t" or 127 <= ord(c) < 160]


def test_the_page_asks_no_other_host_for_anything(engine, hostile):
    text = re.sub(r"<script>.*?</script>", "", report.html(engine.records, hostile), flags=re.S)
    assert not re.search(r"(?:src|href|url|action)\s*[=(]\s*[\"']?(?:https?:)?//", text)


def test_an_ordinary_run_reads_well(engine):
    run = engine.wait(engine.start("test/count", {"steps": 2, "word": "a & b"}, seed=3).id, timeout=120)
    inspector = Inspector()
    inspector.feed(report.html(engine.records, run["id"]))
    for part in ("Can it count?", "Counted to 2, saying a & b.", "global noise", "test/count", run["id"], "--seed 3", "torch"):
        assert part in inspector.text
    value = engine.result(run["id"])["metrics"]["own noise"]
    assert str(value) in inspector.text


def test_headings_are_the_declared_titles(engine, monkeypatch):
    run = engine.wait(engine.start("test/hostile", {"text": "by_layer"}).id, timeout=120)["id"]

    def headings():
        return re.findall("<h2>(.*?)</h2>", re.sub(r"<script>.*?</script>", "", report.html(engine.records, run), flags=re.S))

    assert headings().count("by layer") == 4, "figure, picture, table and text, none of them declared"
    said = (outputs.figure("by_layer", "After which layer?"), outputs.fold("More", outputs.table("by_{}", "Every <layer>"))[0],
            outputs.picture("another", "Not this one"))
    monkeypatch.setitem(registry.EXPERIMENTS, "test/hostile", replace(small.hostile.experiment, outputs=said))
    assert [headings().count(title) for title in ("After which layer?", "Every &lt;layer&gt;", "Not this one", "by layer")] == [1, 1, 0, 2]
    monkeypatch.delitem(registry.EXPERIMENTS, "test/hostile")
    assert headings().count("by layer") == 4, "the run of an experiment that is no more"


def test_the_first_page_says_what_was_found_and_no_more(engine, monkeypatch):
    run = engine.wait(engine.start("test/hostile", {"text": "by_layer"}).id, timeout=120)["id"]
    said = (outputs.figure("never said", "Not this one"), outputs.figure("by_layer", "After which layer?"),
            outputs.numbers("In numbers", outputs.number("by_layer", "Leaks", unit="share"), outputs.number("fine", "Without a value")))
    monkeypatch.setitem(registry.EXPERIMENTS, "test/hostile", replace(small.hostile.experiment, outputs=said))
    page = re.sub(r"<script>.*?</script>", "", report.html(engine.records, run), flags=re.S)
    summary, rest = page[page.index('class="summary"'):].split("What the answer rests on")
    for words in ("Is it inert?", "by_layer", "After which layer?", "150 %", "Leaks", "–", "seed 0"):
        assert words in summary
    assert "while it ran" in rest and not any(words in summary for words in ("while it ran", "Settings", "Not this one", "<table"))


def test_a_failed_run_is_reported_with_its_sentence(engine):
    run = engine.wait(engine.start("test/ending", {"how": "sentence"}).id, timeout=120)
    assert "failed: It went wrong on purpose. Choose another ending." in report.html(engine.records, run["id"])


def test_the_csv_holds_every_number_and_no_formula(engine, hostile):
    rows = list(csv.DictReader(io.StringIO(report.metrics_csv(engine.records, hostile))))
    assert [row["value"] for row in rows] == ["1.5", "-2.0", ""] and [row["step"] for row in rows] == ["1", "", ""]
    assert rows[1]["name"] == "'=1+1" and rows[1]["unit"] == "'@SUM(A1)" and rows[0]["name"] == HOSTILE


@pytest.mark.parametrize("cell", ["=1", "+1", "-1", "@x", "\t=1", "\r=1", " =1", "\n=1", "＝1"])
def test_a_cell_that_a_spreadsheet_would_compute_is_quoted(cell):
    assert report.no_formula(cell) == "'" + cell
    assert report.no_formula("a" + cell) == "a" + cell


def test_the_data_say_everything_but_who_asked(engine):
    run = engine.wait(engine.start("test/count", {}, visitor="a secret token").id, timeout=120)
    data = report.data(engine.records, run["id"])
    assert "a secret token" not in json.dumps(data) and not {"pid", "born", "owner", "visitors"} & data["run"].keys()
    assert data["events"] == engine.events(run["id"]) and data["run"]["config"] == run["config"]


@pytest.mark.parametrize(("name", "config"), [
    ("test/count", {"steps": 7, "word": "it's \"quoted\" $HOME `ls` ; rm\n-rf --seed 9"}), ("test/count", {"word": "true"}),
    ("test/count", {"word": "[1, 2]"}), ("test/count", {"word": "null"}), ("test/count", {"word": "--json"}),
    ("test/ending", {"model": None, "how": "polite"}), ("test/ending", {"model": "hf/a/b"}),
])
def test_the_command_computes_the_same_run_again(experiments, name, config):
    from core.engine.registry import find

    checked = find(name).validate(config)
    words = shlex.split(report.command({"name": name, "config": checked.model_dump(mode="json"), "seed": 4}))
    assert words[:4] == ["./launch.sh", "cli", "run", name] and words[-3:] == ["--seed", "4", "--fresh"]
    assert words[4:-3:2] == ["--set"] * len(type(checked).model_fields)
    given = dict(word.split("=", 1) for word in words[5:-3:2])
    assert config_from_text(find(name), given) == checked
