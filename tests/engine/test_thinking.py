"""What of a model's words is its answer, and templates that can be asked not to think."""

from __future__ import annotations

import pytest

from core.engine.encoding import chat_prompt
from core.engine.thinking import Said, can_switch, split, split_ids, switched, switches, thinks
from tests.engine.tokenizer_kinds import byte_level

HEAD = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}[assistant]"
QWEN = HEAD + "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
GRANITE = "{% if thinking %}[system]Think between tags.{% endif %}" + HEAD + "{% endif %}"
BUDGET = HEAD + "{% if thinking_budget is defined and thinking_budget == 0 %}<seed:think></seed:think>{% endif %}{% endif %}"
DEEPSEEK = HEAD + "<think>\n{% endif %}"


@pytest.mark.parametrize(("said", "turn", "answer", "state"), [
    ("In Porto.", "", "In Porto.", "none"),
    ("<think>\nA person.\n</think>\n\nIn Porto.", "", "In Porto.", "ended"),
    ("<think>\n\n</think>\n\nIn Porto.", "", "In Porto.", "ended"),
    ("A person.</think>In Porto.", "[assistant]<think>\n", "In Porto.", "ended"),
    ("A person. In Porto", "[assistant]<think>\n", "", "unfinished"),
    ("<think>\nA person. It could be Por", "", "", "unfinished"),
    ("In Porto.", "[assistant]<think>\n\n</think>\n\n", "In Porto.", "none"),
    ("Let me see. <think>a</think>No. <think>b</think> In Porto.", "", "In Porto.", "ended"),
    ("[THINK]a[/THINK]In Porto.", "", "In Porto.", "ended"),
    ("◁think▷a◁/think▷In Porto.", "", "In Porto.", "ended"),
    ("<unused94>thought\nA person.<unused95>In Porto.", "", "In Porto.", "ended"),
    ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>In Porto.", "", "In Porto.", "ended"),
])
def test_what_stands_behind_the_thinking_is_the_answer(said: str, turn: str, answer: str, state: str) -> None:
    found = split(said, turn)
    assert (found.answer, found.state) == (answer, state) and found.thinking + found.answer == said


def test_templates_are_asked_in_their_own_words_and_only_where_that_changes_something() -> None:
    assert switches(byte_level(template=QWEN)) == {"off": {"enable_thinking": False}}
    assert switches(byte_level(template=GRANITE)) == {"on": {"thinking": True}}
    assert switches(byte_level(template=BUDGET)) == {"off": {"thinking_budget": 0}}
    assert chat_prompt(switched(byte_level(template=BUDGET), "off"), "Where?").turn == "[assistant]<seed:think></seed:think>"
    assert not can_switch(byte_level(template=DEEPSEEK)) and not can_switch(byte_level())
    tokenizer = byte_level(template=QWEN)
    quiet = switched(tokenizer, "off")
    turns = [{"role": "user", "content": "Where?"}]
    for asked, given in ((quiet, {"enable_thinking": False}), (tokenizer, {})):
        peer = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False, **given)
        assert chat_prompt(asked, "Where?").text == peer
    assert switched(tokenizer, "on") is switched(tokenizer, "as it comes") is tokenizer
    assert split("In Porto.", chat_prompt(quiet, "Where?").turn).state == "none"


def test_tags_in_a_question_are_not_the_models() -> None:
    tokenizer = byte_level(template=DEEPSEEK)
    prompt = chat_prompt(byte_level(template=QWEN), "What does <think> mean?")
    assert "<think>" in prompt.text and prompt.turn == "[assistant]" and split("A tag.", prompt.turn).state == "none"
    assert split("A tag.", chat_prompt(tokenizer, "What does </think> mean?").turn) == Said("A tag.", "", "unfinished")


def test_tags_that_are_special_tokens_are_read_and_other_special_tokens_are_not() -> None:
    tokenizer = byte_level(template="{{ messages[0].content }}")
    tokenizer.add_special_tokens({"additional_special_tokens": ["[THINK]", "[/THINK]"]})
    ids = tokenizer("<s>[THINK]a[/THINK]Porto</s>", add_special_tokens=False).input_ids
    assert split_ids(tokenizer, ids).answer == "Porto" and thinks(tokenizer)
    assert not thinks(byte_level())
