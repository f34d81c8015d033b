"""What templates put before a question unasked, in the layouts in use, and the same without it."""

from __future__ import annotations

import pytest

from core.engine import system_prompt
from core.engine.encoding import chat_prompt
from tests.engine.tokenizer_kinds import CHATML, INST, byte_level

WORDS = 'You are a "helpful" assistant, named Zoë {{ 1 }}.\nBe brief \\ kind 🙂.'
UNASKED = ("{% if messages[0].role != 'system' %}<|im_start|>system\n"
           + WORDS.replace("{{ 1 }}", "{{ '{{ 1 }}' }}") + "<|im_end|>\n{% endif %}")
LLAMA3 = ("{{ bos_token }}<|im_start|>system<|im_end|>\n\nCutting date: 2023\n\n{% if messages[0].role == 'system' %}"
          "{{ messages[0].content }}{% endif %}</s>{% for m in messages if m.role != 'system' %}<|im_start|>{{ m.role }}<|im_end|>\n\n"
          "{{ m.content }}</s>{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant<|im_end|>\n\n{% endif %}")
FALLBACK = ("{{ bos_token }}{% if messages[0].role == 'system' %}<|im_start|>system\n{{ messages[0].content }}<|im_end|>\n{% else %}"
            "<|im_start|>system\nBe kind.<|im_end|>\n{% endif %}{% for m in messages if m.role != 'system' %}<|im_start|>{{ m.role }}\n"
            "{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")


def written(tokenizer, *turns: tuple[str, str]) -> str:
    return tokenizer.apply_chat_template([{"role": role, "content": words} for role, words in turns], add_generation_prompt=True,
                                         tokenize=False)


def test_words_that_a_template_adds_are_found_and_left_out_to_the_letter() -> None:
    tokenizer = byte_level(template=UNASKED + CHATML)
    assert system_prompt.own_words(tokenizer) == WORDS
    bare = system_prompt.without(tokenizer)
    assert written(bare, ("user", "Where?")) == written(byte_level(template=CHATML), ("user", "Where?"))
    assert chat_prompt(bare, "Where?").turn == "<|im_start|>assistant\n" and system_prompt.own_words(bare) == ""
    assert system_prompt.own_words(tokenizer) == WORDS, "the tokenizer itself stays as it was"
    given = ("system", "Be curt."), ("user", "Where?")
    assert written(bare, *given) == written(tokenizer, *given), "what somebody asks for stays"
    count = len(tokenizer(f"<|im_start|>system\n{WORDS}<|im_end|>\n", add_special_tokens=False).input_ids)
    assert f"({count} tokens)" in system_prompt.said(tokenizer)


def test_behind_the_begin_token_it_is_left_out_as_well() -> None:
    tokenizer = byte_level(template=FALLBACK)
    assert system_prompt.own_words(tokenizer) == "Be kind."
    assert written(system_prompt.without(tokenizer), ("user", "Where?")) == "<s><|im_start|>user\nWhere?<|im_end|>\n<|im_start|>assistant\n"


REFUSES = "{{ raise_exception('no system prompt') if messages[0].role == 'system' }}Hi"


@pytest.mark.parametrize("template", ["", CHATML, INST, LLAMA3, REFUSES])
def test_where_there_is_none_or_none_by_itself_nothing_changes(template: str) -> None:
    tokenizer = byte_level(template=template)
    assert system_prompt.own_words(tokenizer) == system_prompt.said(tokenizer) == "" and system_prompt.without(tokenizer) is tokenizer


def test_what_stands_inside_the_users_turn_is_said_and_stays() -> None:
    """Llama 2 and Vicuna."""
    wrapped = ("{% if messages[0].role == 'system' %}{% set words = messages[0].content %}{% else %}{% set words = 'Be kind.' %}{% endif %}"
               "{% for m in messages if m.role != 'system' %}{{ bos_token }}[INST] <<SYS>>{{ words }}<</SYS>> {{ m.content }} [/INST]"
               "{% endfor %}")
    tokenizer = byte_level(template=wrapped)
    assert system_prompt.own_words(tokenizer) == "Be kind." and not system_prompt.can_go(tokenizer)
    assert "it cannot be left out" in system_prompt.said(tokenizer) and system_prompt.without(tokenizer) is tokenizer
