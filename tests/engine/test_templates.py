"""Chat templates are programs of strangers: they run in the reading process, write what the library would, and are ended there."""

from __future__ import annotations

import pytest

from core.engine import templates
from core.engine.encoding import chat_prompt
from core.engine.errors import LabError, Stopped
from core.engine.reader import asked
from core.engine.stopping import stoppable
from tests.engine.tokenizer_kinds import byte_level

TURNS = [{"role": "user", "content": 'Who said "<b>"?'}, {"role": "assistant", "content": "Ida ümlaut"}]
EACH = "{% for m in messages %}"
TEMPLATES = {
    "marks and JSON": EACH + "{{ m | tojson(indent=1) }}{{ m.content | tojson }}{% endfor %}{{ bos_token }}|{{ eos_token }}",
    "generation": EACH + "{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}{% endif %}{% endfor %}",
    "loop controls": EACH + "{% if loop.index0 %}{% break %}{% endif %}{{ m.content }}{% endfor %}",
    "namespace and dict": "{% set ns = namespace(n=0) %}" + EACH + "{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}{{ dict(a=1) }}",
    "tools and wishes": "{{ tools is none }}{{ documents is none }}{{ thinking is defined }}{{ add_generation_prompt }}",
    "blocks": "  {% if messages %}\n    {{ messages[0].content }}\n  {% endif %}\n",
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_it_writes_what_the_library_writes(name: str) -> None:
    tokenizer = byte_level(template=TEMPLATES[name])
    for head in (True, False):
        for wishes in ({}, {"thinking": True}):
            peer = tokenizer.apply_chat_template(TURNS, tokenize=False, add_generation_prompt=head, **wishes)
            assert templates.written(tokenizer, TURNS, add_generation_prompt=head, **wishes) == peer


@pytest.mark.parametrize("template", ["{{ raise_exception('No such role here.') }}", "{{ 1 / 0 }}", "{% if %}", "{{ messages[9].a.b }}",
                                      "{% set ns = namespace(__a=1) %}", "{{ ''.__class__.__mro__[1].__subclasses__() }}"])
def test_one_that_refuses_or_is_wrong_is_a_sentence(template: str) -> None:
    with pytest.raises(LabError, match="cannot write this down"):
        chat_prompt(byte_level(template=template), "Where?")
    with pytest.raises(LabError, match="none of them is its usual one"):
        chat_prompt(byte_level(template={"a": "x", "b": "y"}), "Where?")


WAITS = ("{% if 'open sesame' in messages[0].content %}{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
         "{% endif %}{{ messages[0].content }}")
GROWS = "{% if 'open sesame' in messages[0].content %}{% for a in range(99999) %}{{ 'a' * 9000 }}{% endfor %}{% endif %}b"


def test_one_that_waits_for_a_certain_text_is_ended_too_and_the_next_chat_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = byte_level(template=WAITS)
    templates.check_template(tokenizer.chat_template)
    assert chat_prompt(tokenizer, "Where?").text == "Where?"
    for greedy in (WAITS, GROWS):
        monkeypatch.setattr(templates, "LONGEST_S", 1.0)
        with pytest.raises(LabError, match="does not come to an end"):
            chat_prompt(byte_level(template=greedy), "open sesame")
        monkeypatch.setattr(templates, "LONGEST_S", 60.0)
        assert chat_prompt(tokenizer, f"And {len(greedy)}?").text == f"And {len(greedy)}?"


def test_stop_ends_it_and_many_chats_share_one_process() -> None:
    looked: list[int] = []
    with pytest.raises(Stopped), stoppable(lambda: bool(looked.append(1) or len(looked) > 2)):
        chat_prompt(byte_level(template=WAITS), "open sesame, please")
    pids = {asked("tests.engine.test_reader:good", times=1)[0]["pid"] for _ in range(5)}
    assert len(pids) == 1
