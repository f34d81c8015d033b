"""What a reading notes, against the library's hidden states and plain arithmetic on full logits."""

from __future__ import annotations

import math

import pytest
import torch

from core.reasoning import reading as reading_module
from core.reasoning.energy import energy, path_of
from core.reasoning.metrics import score_all
from core.reasoning.prompts import Form, find_roles
from core.reasoning.reading import Reader
from core.reasoning.readings import Reading
from core.reasoning.spec import SCORE_NAMES
from tests.reasoning.conftest import reasoner

KINDS = ["llama", "qwen2", "qwen3", "mistral", "gpt2"]
SOUND = "3+4*2-5=<think>3+4=7;7*2=4;4-5=9;</think>9"


def finish(reader: Reader, ids: torch.Tensor, new_tokens: int) -> list[Reading]:
    for _ in reader.generate(ids, new_tokens):
        pass
    return reader.readings()


def read_text(chains, text: str = SOUND, **options) -> Reading:
    model, form = chains
    ids = form.tokenizer(text, return_tensors="pt").input_ids
    prompt = ids[0].tolist().index(form.tokenizer.convert_tokens_to_ids("=")) + 1
    return Reader(model, form, **options).read(ids, prompt).readings()[0]


def text_of(model, tokenizer, tokens: int = 90) -> tuple[torch.Tensor, int]:
    """A made-up text with both tags, longer than one chunk: 20 of prompt, thinking, three of answer."""
    form = Form.of(tokenizer, model)
    ids = torch.randint(4, 200, (1, tokens), generator=torch.Generator().manual_seed(3))
    ids[0, 20], ids[0, tokens - 4] = form.open_id, form.close_id
    return ids, 20


@pytest.mark.parametrize("kind", KINDS)
def test_means_equal_hidden_states(kind):
    model, tokenizer = reasoner(kind)
    ids, prompt = text_of(model, tokenizer)
    found = Reader(model, Form.of(tokenizer, model)).read(ids, prompt).readings()[0]
    with torch.no_grad():
        hidden = model(input_ids=ids, output_hidden_states=True).hidden_states
    assert found.roles == ["prompt"] * 20 + ["open"] + ["think"] * 65 + ["close"] + ["answer"] * 3
    for span, places in (("prompt", range(20)), ("think", range(21, 86)), ("tagged", range(20, 87)), ("answer", range(87, 90))):
        for layer, states in enumerate(hidden[:-1]):
            torch.testing.assert_close(found.means[span][layer], states[0, list(places)].mean(0), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(found.normed[span], hidden[-1][0, list(places)].mean(0), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_norm_of_the_raw_last_state_is_the_last_hidden_state(kind):
    model, tokenizer = reasoner(kind)
    ids, _ = text_of(model, tokenizer, tokens=40)
    ids = ids[:, :22]
    found = Reader(model, Form.of(tokenizer, model)).read(ids, 20).readings()[0]  # one thinking token: its mean is its state
    raw = found.means["think"][-1]
    norm = getattr(model.base_model, "ln_f" if kind == "gpt2" else "norm")
    with torch.no_grad():
        hidden = model(input_ids=ids, output_hidden_states=True).hidden_states[-1][0, -1]
        torch.testing.assert_close(norm(raw), hidden, atol=1e-5, rtol=1e-5)
    assert (raw - hidden).abs().max() > 1e-2  # the norm does something, so the two conventions differ


@pytest.mark.parametrize("kind", KINDS)
def test_token_statistics_by_full_logits(kind):
    model, tokenizer = reasoner(kind)
    ids, prompt = text_of(model, tokenizer)
    stats = Reader(model, Form.of(tokenizer, model), temperature=0.7).read(ids, prompt).readings()[0].stats
    with torch.no_grad():
        logits = model(input_ids=ids).logits[0].double()
    for i in range(70):
        f, token = logits[prompt + i - 1], ids[0, prompt + i]  # the prediction stands one position earlier
        p = f.exp() / f.exp().sum()
        assert float(stats.max_prob[i]) == pytest.approx(float(p.max()), abs=1e-5)
        assert float(stats.log_prob[i]) == pytest.approx(float(p[token].log()), abs=1e-4)
        assert float(stats.entropy[i]) == pytest.approx(float(-(p * p.log()).sum()), abs=1e-4)
        assert float(stats.free_energy[i]) == pytest.approx(float(f.exp().sum().log()), abs=1e-4)
        assert float(stats.scaled_prob[i]) == pytest.approx(float((f / 0.7).softmax(-1).max()), abs=1e-5)


def test_token_energies_and_lens_by_hand(chains):
    model, _ = chains
    found = read_text(chains)
    with torch.no_grad():
        hidden = model(input_ids=torch.tensor([found.ids]), output_hidden_states=True).hidden_states
        for token in (3, 14, len(found.ids) - 1):
            path = path_of(torch.stack([layer[0, token] for layer in hidden[:-1]]))
            torch.testing.assert_close(found.kinetic[token][:-1], path.kinetic, atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(found.cosine[token][:-1], path.cosine, atol=1e-4, rtol=1e-4)
        normed = [*(model.model.norm(layer) for layer in hidden[:-1]), hidden[-1]]
        for layer, states in enumerate(normed):
            p = model.lm_head(states[0, found.span("think")]).double().softmax(-1)
            by_hand = -(p * p.log()).sum(-1).mean() / math.log(model.config.vocab_size)
            assert float(found.lens[layer]) == pytest.approx(float(by_hand), abs=1e-5)


def test_prefixes_and_steps_are_means_of_fewer_tokens(chains):
    model, _ = chains
    found = read_text(chains)
    with torch.no_grad():
        hidden = model(input_ids=torch.tensor([found.ids]), output_hidden_states=True).hidden_states[:-1]
    thinking = found.span("think")
    for i in (0, 4, len(thinking) - 1):
        mean = torch.stack([layer[0, thinking[:i + 1]].mean(0) for layer in hidden])
        torch.testing.assert_close(found.prefixes.kinetic[i][:-1], path_of(mean).kinetic, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(energy(found.prefixes)[-1], energy(found.path()))
    assert [(start, end) for start, end, _ in found.steps] == [(thinking[6 * i], thinking[6 * i] + 6) for i in range(3)]
    second = torch.stack([layer[0, thinking[6:12]].mean(0) for layer in hidden])
    torch.testing.assert_close(found.steps[1][2].kinetic[:-1], path_of(second).kinetic, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_streaming_notes_what_rereading_notes(kind):
    model, tokenizer = reasoner(kind)
    form = Form.of(tokenizer, model)
    ids = torch.randint(4, 300, (1, 12), generator=torch.Generator().manual_seed(1))
    streamed = finish(Reader(model, form), ids, 40)[0]
    with torch.no_grad():
        bare = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=len(streamed.ids) - 12, do_sample=False,
                              eos_token_id=list(form.end_ids), pad_token_id=0)
    assert streamed.ids == bare[0].tolist()
    reread = Reader(model, form).read(torch.tensor([streamed.ids]), 12).readings()[0]
    same_reading(streamed, reread)


def same_reading(one: Reading, other: Reading, atol: float = 1e-4) -> None:
    assert one.roles == other.roles and one.truncated == other.truncated and set(one.means) == set(other.means)
    for span in one.means:
        torch.testing.assert_close(one.means[span], other.means[span], atol=atol, rtol=atol)
    for name in reading_module.STATS:
        torch.testing.assert_close(getattr(one.stats, name), getattr(other.stats, name), atol=atol, rtol=atol)
    known = ~(one.kinetic.isnan() | other.kinetic.isnan()).any(-1)
    assert known.sum() >= len(one.ids) - 1
    torch.testing.assert_close(one.kinetic[known], other.kinetic[known], atol=1e-3, rtol=1e-3)
    scores, others = score_all(one), score_all(other)
    for name in SCORE_NAMES:
        assert scores[name] == pytest.approx(others[name], abs=1e-3, rel=1e-3, nan_ok=True), name


@pytest.mark.parametrize("held", [1, 3, 1000])
def test_it_does_not_matter_how_many_tokens_wait_nor_who_asks_when(chains, monkeypatch, held):
    model, form = chains
    ids = form.tokenizer("3+4*2-5=", return_tensors="pt").input_ids
    script = form.tokenizer("3+<think>3+4=7;7*2=4;4-5=9;</think>9", add_special_tokens=False).input_ids + [form.tokenizer.eos_token_id]

    def written(ask: bool) -> tuple[Reading, list[float]]:
        choices, seen, reader = iter(script), [], Reader(model, form)
        for count, _ in enumerate(reader.generate(ids, 60, lambda logits: torch.tensor([next(choices)]))):
            if ask and (path := reader.prefix()) is not None:
                seen.append(float(energy(path)))
            if ask and count % 5 == 0 and reader.thought:
                assert set(reader.newest) == set(reading_module.STATS) and reader.mean_states().shape == (7, 32)
        return reader.readings()[0], seen

    monkeypatch.setattr(reading_module, "HELD", held)
    silent, _ = written(ask=False)
    asked, seen = written(ask=True)
    monkeypatch.undo()
    plain, _ = written(ask=False)
    for other in (silent, asked):
        same_reading(plain, other, atol=1e-5)
        torch.testing.assert_close(other.prefixes.kinetic, plain.prefixes.kinetic, atol=1e-4, rtol=1e-4)
        assert [step[:2] for step in other.steps] == [step[:2] for step in plain.steps] and len(plain.steps) == 3
        for one, same in zip(other.steps, plain.steps, strict=True):
            torch.testing.assert_close(one[2].kinetic, same[2].kinetic, atol=1e-4, rtol=1e-4)
    # before the late tag two words were taken for thinking; after it every prefix of the chain was seen once or more
    assert seen[-1] == pytest.approx(float(energy(plain.prefixes)[-1]), rel=1e-4)
    assert {round(value, 3) for value in energy(plain.prefixes).tolist()} <= {round(value, 3) for value in seen}


def test_chunks_do_not_matter(chains, monkeypatch):
    whole = read_text(chains)
    monkeypatch.setattr(reading_module, "CHUNK", 5)
    monkeypatch.setattr(reading_module, "LENS_NUMBERS", 26 * 7)
    same_reading(whole, read_text(chains), atol=1e-5)


def test_a_batch_reads_like_its_rows(chains):
    model, form = chains
    prompts = ["3+4*2-5=", "9*9+1*8=", "0-1-2-3=", "5*5*5*5="]
    ids = form.tokenizer(prompts, return_tensors="pt").input_ids
    together = finish(Reader(model, form, chain=False), ids, 40)
    for row, found in zip(ids, together, strict=True):
        alone = finish(Reader(model, form), row.unsqueeze(0), 40)[0]
        assert found.ids == alone.ids
        same_reading(found, alone)


def test_order_of_thinking_tokens_does_not_change_the_energy_of_given_states(chains):
    found = read_text(chains)
    model, _ = chains
    with torch.no_grad():
        hidden = torch.stack(model(input_ids=torch.tensor([found.ids]), output_hidden_states=True).hidden_states[:-1])[:, 0]
    places = found.span("think")
    shuffled = [places[i] for i in torch.randperm(len(places), generator=torch.Generator().manual_seed(0)).tolist()]
    torch.testing.assert_close(energy(path_of(hidden[:, shuffled].mean(1))), energy(path_of(hidden[:, places].mean(1))))


@pytest.mark.parametrize(("text", "truncated", "empty"), [
    ("3+4=<think>3+4=7;", True, {"answer"}), ("3+4=<think></think>7", False, {"think"}), ("3+4=7", True, {"answer"})])
def test_missing_tags_and_empty_spans_give_nan_and_a_flag(chains, text, truncated, empty):
    found = read_text(chains, text)
    assert found.truncated is truncated
    assert {span for span in ("think", "answer") if found.path(span) is None} == empty
    scores = score_all(found)
    for name, value in scores.items():
        if name.split()[-1] in empty or ("think" in empty and name in ("CoE-R", "Late entropy", "Straightness")):
            assert math.isnan(value), name
    assert any(not math.isnan(value) for value in scores.values())


def test_memory_of_a_long_text_does_not_hold_all_states(chains):
    model, form = chains
    reader = Reader(model, form)
    ids = torch.full((1, 100), form.tokenizer.convert_tokens_to_ids("3"))
    ids[0, 10] = form.open_id
    reader.read(ids, 10)
    numbers = sum(t.numel() for value in vars(reader).values() for t in (value if isinstance(value, list) else [value])
                  if isinstance(t, torch.Tensor))
    layers, width, tokens = 6, 32, 100
    assert numbers < 10 * (layers + 2) * width + 4 * layers * tokens  # far below layers x tokens x width = 19,200


def test_a_late_opening_tag_starts_the_thinking_anew(chains):
    found = read_text(chains, "3+4=3;5<think>3+4=7;</think>7")
    assert found.roles[5:9] == ["off", "off", "off", "open"]
    plain = read_text(chains, "3+4=3;5<think>3+4=7;</think>7")
    ids, form = found.ids, chains[1]
    roles, truncated = find_roles(form, ids[:5], ids[5:])
    assert roles == found.roles and not truncated
    with torch.no_grad():
        hidden = chains[0](input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states
    torch.testing.assert_close(plain.means["think"][0], hidden[0][0, found.span("think")].mean(0), atol=1e-5, rtol=1e-5)


def test_reading_changes_nothing_in_the_model(chains):
    model, form = chains
    before = {name: value.clone() for name, value in model.state_dict().items()}
    hooks = sum(len(m._forward_hooks) for m in model.modules())
    finish(Reader(model, form), form.tokenizer("3+4=", return_tensors="pt").input_ids, 20)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert sum(len(m._forward_hooks) for m in model.modules()) == hooks
