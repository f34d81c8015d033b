"""What stands in the first HTML of a page: its question, its answer and a drawing that can do nothing."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET

import pytest

from apps.lab import first_paint, snapshots
from apps.lab.pages import PAGES
from core.engine.settings import FIRST_VIEWS

DRAWN = [page for page in PAGES if (FIRST_VIEWS / page.route / first_paint.FILE).is_file()]
PAGE = "<html><head><title>Gradio</title></head><body class='x'><div id='root'></div></body></html>"


@pytest.mark.parametrize("page", DRAWN, ids=lambda page: page.route)
def test_a_stored_drawing_is_of_todays_first_view_and_holds_only_shapes_and_text(page):
    found = first_paint.drawing(page.route)
    assert found is not None, "run python -P -m apps.lab.snapshots"
    for kind in first_paint.KINDS:
        for element in ET.fromstring(found["svg"][kind]).iter():
            assert element.tag.rpartition("}")[2] in snapshots.TAGS
            for name, value in element.attrib.items():
                assert not name.lower().startswith("on") and not re.search(r"url\((?!#)|javascript|https?:", value)
                assert name != "href" or value.startswith("data:image/png;base64,")
    assert "<text" in found["svg"]["wide-light"]


def test_drawings_lose_whatever_acts_and_keep_their_text():
    hostile = ('<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"><script>alert(1)</script>'
               '<g onclick="alert(2)"><a xlink:href="javascript:alert(3)"><text>link</text></a><foreignObject><p>x</p></foreignObject>'
               '<image xlink:href="https://evil.example/a.png"/><path d="M0,0.12345" style="fill:red;background:url(https://evil.example)"/>'
               '<text x="1">5 &lt; 6</text></g></svg>')
    drawn = snapshots.clean([hostile], 100, 50, "m-")
    assert "5 &lt; 6" in drawn and 'd="M0,0.12"' in drawn and "fill:red" in drawn
    assert not re.search("script|alert|evil|foreignObject|onclick|link", drawn.replace("xlink", ""))


def test_a_page_is_named_and_begins_with_its_drawing_unless_that_is_stale(monkeypatch):
    page = DRAWN[0]
    html = first_paint.painted(PAGE, page)
    verdict = json.loads(next(line for line in reversed((FIRST_VIEWS / page.route / "events.jsonl").read_text().splitlines())
                              if '"kind": "verdict"' in line))
    assert f"<title>{page.question} - Glassbox Lab</title>" in html and verdict["headline"] in html
    assert html.index('id="gb-first"') < html.index("id='root'")
    first_paint.first_html.cache_clear()
    monkeypatch.setattr(first_paint, "fingerprint", lambda folder: "of other events")
    assert 'id="gb-first"' not in first_paint.painted(PAGE, page)
    first_paint.first_html.cache_clear()
