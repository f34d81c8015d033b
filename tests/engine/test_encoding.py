"""The border between prompt and answer on every kind of tokenizer, against what the library alone says of each character."""

from __future__ import annotations

from typing import Any

import pytest

from core.engine.encoding import border, chat_prompt, encode_pair, encode_prompt, end_ids, offsets, plain_prompt
from tests.engine.tokenizer_kinds import all_kinds, byte_level, chat_kinds, sentence_piece

QUESTION, ANSWER = "Where was Rosa Quill born?", "Rosa Quill was born in Porto."
PLAIN = f"Question: {QUESTION}\nAnswer:"


def characters(tokenizer: Any, text: str, start: int) -> int:
    """How many tokens of `text`, special ones aside, begin before character `start`: from the library's own offsets."""
    spans = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True).offset_mapping
    return sum(span[0] < start for span in spans)


@pytest.mark.parametrize("name", all_kinds())
def test_plain_text_is_framed_and_cut_as_the_tokenizer_itself_says(name: str) -> None:
    tokenizer = all_kinds()[name]
    whole, alone = (tokenizer(text).input_ids for text in (f"{PLAIN} {ANSWER}", PLAIN))
    ends = name.endswith("ends")
    end = whole[-1:] if ends else [tokenizer.eos_token_id] if tokenizer.eos_token_id is not None else []
    pair = encode_pair(tokenizer, PLAIN, ANSWER)
    assert pair.ids == (whole if ends else whole + end)
    assert encode_prompt(tokenizer, PLAIN) == (alone[:-1] if ends else alone)  # never an end token in front of an answer
    first = len(whole) - ends - len(tokenizer(f"{PLAIN} {ANSWER}", add_special_tokens=False).input_ids)
    assert pair.border == first + characters(tokenizer, f"{PLAIN} {ANSWER}", len(PLAIN)) == len(encode_prompt(tokenizer, PLAIN))
    assert encode_pair(tokenizer, PLAIN, f" {ANSWER}", end=False).ids == whole[:len(whole) - ends]


@pytest.mark.parametrize("name", chat_kinds())
def test_a_chat_prompt_is_what_its_template_writes_and_ends_as_it_ends(name: str) -> None:
    tokenizer, turns = chat_kinds()[name], [{"role": "user", "content": QUESTION}]
    head = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    peer = tokenizer.apply_chat_template([*turns, {"role": "assistant", "content": ANSWER}], tokenize=True, return_dict=False)
    pair = encode_pair(tokenizer, chat_prompt(tokenizer, QUESTION), ANSWER)
    assert pair.ids == peer[:len(pair.ids)]
    ending = "</s>" if name.endswith("INST") else "<|im_end|>"
    assert tokenizer.convert_ids_to_tokens(pair.ids[-1]) == ending and tokenizer.eos_token_id not in pair.ids[:-1]
    answer = tokenizer.decode(pair.ids[pair.border:-1]).strip()
    assert answer == ANSWER and pair.border == border(tokenizer(head, add_special_tokens=False).input_ids, peer)
    assert (tokenizer.bos_token_id in pair.ids) == name.endswith("INST")  # only a template that writes one has a begin token


def test_a_start_put_into_the_mouth_is_part_of_the_prompt_and_a_space_follows_it() -> None:
    tokenizer = chat_kinds()["byte level, ChatML"]
    begun = chat_prompt(tokenizer, QUESTION).begun("Sure:")
    assert begun.text.endswith("<|im_start|>assistant\nSure:") and begun.turn == "<|im_start|>assistant\nSure:"
    assert begun.with_answer(ANSWER).endswith(f"Sure: {ANSWER}") and begun.begun("") == begun
    assert chat_kinds()["SentencePiece, INST"] and chat_prompt(chat_kinds()["SentencePiece, INST"], QUESTION).lead == " "
    assert plain_prompt("").lead == plain_prompt("a\n").lead == "" and plain_prompt("a").lead == " "


def test_a_turn_begins_with_its_whole_header_where_the_end_token_begins_alike() -> None:
    """Phi-3 closes a chat with </s>, which shares its first sign with the header of the next turn."""
    tokenizer = byte_level(template="{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
                           "{% if add_generation_prompt %}<|im_start|>assistant\n{% else %}{{ eos_token }}{% endif %}")
    assert chat_prompt(tokenizer, QUESTION).turn == "<|im_start|>assistant\n"


def test_plain_text_of_a_chat_model_gets_its_begin_token_and_one_that_has_it_no_second() -> None:
    tokenizer = byte_level(template="{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}")
    begin = tokenizer.bos_token_id
    assert encode_prompt(tokenizer, "Where?")[0] == begin and encode_prompt(tokenizer, "<s>Where?").count(begin) == 1
    assert encode_prompt(tokenizer, chat_prompt(tokenizer, "Where?")).count(begin) == 1
    assert end_ids(tokenizer, chat_prompt(tokenizer, "Where?")) == [tokenizer.eos_token_id]  # this template writes no end at all


def test_letters_that_join_across_the_border_belong_to_the_answer() -> None:
    tokenizer = byte_level()
    joined = min(token for token in tokenizer.get_vocab() if len(token) > 3 and token.isascii() and token.isalpha() and token.islower())
    prompt, answer = plain_prompt(f"{PLAIN} {joined[:2]}"), joined[2:]
    prompt = type(prompt)(prompt.text, "")
    pair = encode_pair(tokenizer, prompt, answer, end=False)
    assert tokenizer.decode(pair.ids[pair.border:]).strip() == joined


def test_characters_of_every_token_of_a_prompt() -> None:
    for tokenizer in (byte_level(), sentence_piece(end=True)):
        spans = offsets(tokenizer, PLAIN)
        assert len(spans) == len(encode_prompt(tokenizer, PLAIN)) and spans[0] == (0, 0)
        assert "".join(PLAIN[a:b] for a, b in spans).replace(" ", "") == PLAIN.replace(" ", "")
