"""Batched greedy decoding and teacher forcing against one prompt at a time."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from core.engine import decoding
from core.engine.decoding import cache_argument
from core.engine.models import LoadedModel
from core.unlearning.answers import answer, answer_losses, answer_room, cut, decode_greedily, encode_answers, encode_prompt, rival_losses
from core.unlearning.data import World
from core.unlearning.prompts import build_prompts
from tests.engine.tiny_models import EOS, PAD, tiny, tiny_tokenizer

PROMPTS = ["Where was the author born?", "In", "the old town by the sea. In the old town by the sea.", "Ünïcödé 你好", "a b c"]
MARGIN = 1e-4  # DESIGN section 2: batched and single logits agree to this; below it the likeliest token may change


def generated(model: torch.nn.Module, ids: list[int], new_tokens: int) -> list[int]:
    """The library's own greedy decoding of a single prompt."""
    row = torch.tensor([ids])
    out = model.generate(input_ids=row, attention_mask=torch.ones_like(row), do_sample=False, max_new_tokens=new_tokens,
                         eos_token_id=EOS, pad_token_id=PAD)[0, len(ids):].tolist()
    return out[:out.index(EOS)] if EOS in out else out


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gpt2"])
def test_batched_greedy_equals_generate_one_by_one(kind: str) -> None:
    model, tokenizer = tiny(kind), tiny_tokenizer()
    rows = [encode_prompt(tokenizer, prompt) for prompt in PROMPTS]
    longest = max(map(len, rows))
    ids = torch.tensor([[PAD] * (longest - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows])
    with torch.no_grad():
        said = decode_greedily(model, ids, mask, {EOS}, 12)
    assert said == [generated(model, row, 12) for row in rows]
    assert len({tuple(row) for row in said}) > 1


@pytest.mark.parametrize("shared", [0, 9])
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_prompts_read_in_parts_are_answered_as_each_alone(kind: str, shared: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny(kind)
    draw = torch.Generator().manual_seed(5)
    head = torch.randint(4, 40, (shared,), generator=draw).tolist()
    rests = sorted((torch.randint(4, 40, (n,), generator=draw).tolist() for n in (1, 7, 3, 12, 2, 5, 12)), key=len)
    monkeypatch.setattr(decoding, "READ_AT_ONCE", 20)
    ids, mask, cache = decoding.read_in_parts(model, head, rests, PAD)
    assert cache.get_seq_length() == ids.shape[1] - 1
    together = decode_greedily(model, ids, mask, set(), 6, cache=cache)
    alone = [decode_greedily(model, torch.tensor([head + rest]), torch.ones(1, shared + len(rest), dtype=torch.long), set(), 6)[0]
             for rest in rests]
    assert together == alone


def test_the_cache_goes_in_under_the_name_that_the_model_has() -> None:
    """transformers 5.23 calls it past_key_values, 5.24 cache; a name that forward does not know is swallowed."""
    old = SimpleNamespace(base_model=SimpleNamespace(forward=lambda input_ids, past_key_values=None: None))
    new = SimpleNamespace(base_model=SimpleNamespace(forward=lambda input_ids, cache=None: None))
    assert (cache_argument(old), cache_argument(new)) == ("past_key_values", "cache")


def test_batched_answers_of_the_shipped_model_equal_generate(authors: LoadedModel, world: World, rng: torch.Generator) -> None:
    """Formats of very different length in one batch."""
    records = world.forget(1)[:4] + world.retain[:4]
    prompts = [p.text for audit in ("direct", "icl", "choice") for p in build_prompts(audit, records, world, rng)]
    model, tokenizer = authors.model, authors.tokenizer
    together = answer(model, tokenizer, prompts)
    for prompt, text in zip(prompts, together, strict=True):
        row = torch.tensor([encode_prompt(tokenizer, prompt)])
        out = model.generate(input_ids=row, attention_mask=torch.ones_like(row), do_sample=False, max_new_tokens=30)
        assert text == cut(tokenizer.decode(out[0, row.shape[1]:], skip_special_tokens=True))


def test_batch_size_is_only_layout(authors: LoadedModel, world: World, rng: torch.Generator) -> None:
    prompts = build_prompts("direct", world.retain[:9], world, rng)
    texts, answers = [p.text for p in prompts], [p.answer for p in prompts]
    assert answer(authors.model, authors.tokenizer, texts, batch=2) == answer(authors.model, authors.tokenizer, texts)
    one, all_ = (answer_losses(authors.model, authors.tokenizer, texts, answers, batch=size).total for size in (1, 9))
    torch.testing.assert_close(one, all_, atol=MARGIN, rtol=0)


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gpt2"])
def test_rivals_that_share_a_prompt_lose_what_they_lose_alone(kind: str) -> None:
    model, tokenizer = tiny(kind), tiny_tokenizer()
    rivals = [[" sea", " in the old town", " Ünï"], [], [" by"], [" the", " the old town by the sea."], [" a b c"]]
    found = rival_losses(model, tokenizer, PROMPTS, rivals, batch=6)
    assert [len(own) for own in found] == [len(own) for own in rivals] and rival_losses(model, tokenizer, PROMPTS[:1], [[]]) == [[]]
    for prompt, own, losses in zip(PROMPTS, rivals, found, strict=True):
        for text, loss in zip(own, losses, strict=True):
            start, rest = encode_prompt(tokenizer, prompt), [*tokenizer(text, add_special_tokens=False).input_ids, EOS]
            row = torch.tensor([start + rest])
            with torch.no_grad():
                alone = model(input_ids=row, labels=row.where(torch.arange(row.shape[1]) >= len(start), -100)).loss
            assert loss == pytest.approx(alone.item(), abs=MARGIN), (prompt, text)


def test_a_tokenizer_without_padding_and_end_token_still_answers() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.pad_token = tokenizer.eos_token = None
    model = tiny("llama")
    model.generation_config.eos_token_id = None
    texts = answer(model, tokenizer, PROMPTS, new_tokens=5)
    assert len(texts) == len(PROMPTS)
    encoded = encode_answers(tokenizer, PROMPTS, [" sea"] * len(PROMPTS))
    assert (encoded.labels != -100).sum(-1).unique().numel() == 1  # no end token was invented


def test_every_end_token_of_the_generation_config_ends_an_answer() -> None:
    model, tokenizer = tiny("llama"), tiny_tokenizer()
    first = decode_greedily(model, torch.tensor([[5, 6, 7]]), torch.ones(1, 3, dtype=torch.long), set(), 4)[0]
    model.generation_config.eos_token_id = [EOS, first[1]]
    row = tokenizer.decode([5, 6, 7])
    assert encode_prompt(tokenizer, row) == [5, 6, 7]
    assert answer(model, tokenizer, [row], new_tokens=4) == [cut(tokenizer.decode(first[:1], skip_special_tokens=True))]


def test_a_chat_template_writes_the_special_tokens_itself() -> None:
    tokenizer = tiny_tokenizer()
    plain = encode_prompt(tokenizer, "Where?")
    tokenizer.chat_template = "{% for m in messages %}<s>{{ m.content }}</s>{% endfor %}"
    assert encode_prompt(tokenizer, "<s>Where?")[1:] == [token for token in plain if token not in (1, 2)]


def test_cut_keeps_the_first_line() -> None:
    assert cut("\n  Porto. \nQuestion: next") == "Porto." and cut("") == ""


def test_long_true_answers_get_the_room_to_be_said() -> None:
    model, tokenizer = tiny("gpt2"), tiny_tokenizer()
    room = model.config.max_position_embeddings
    short, long = [" In Porto."], [" the old town by the sea" * 6]
    tokens = len(tokenizer(long[0], add_special_tokens=False).input_ids)
    assert answer_room(model, tokenizer, ["In"], short) == 30 < tokens + 10
    assert answer_room(model, tokenizer, ["In"], long) == min(tokens + 10, 200, room - len(encode_prompt(tokenizer, "In")))
    near_the_end = "a" * (room - 5)
    assert answer_room(model, tokenizer, [near_the_end], short) == max(1, room - len(encode_prompt(tokenizer, near_the_end))) < 30
