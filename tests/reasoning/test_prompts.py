"""Reasoning models as their makers ship them: chat templates, tags in prompt or output, missing tags, sampling settings."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from core.engine.errors import LabError
from core.reasoning.prompts import Form, Spans, chooser, find_roles
from core.reasoning.reading import Reader
from tests.engine.tiny_models import save, tiny
from tests.reasoning.conftest import reasoner, tagged_tokenizer

A, B, END = 101, 102, 2


@pytest.fixture(scope="module")
def form() -> Form:
    model, tokenizer = reasoner("qwen2")
    return Form.of(tokenizer, model)


def test_tags_and_ends_are_found(form):
    assert form.tokenizer.decode([form.open_id]) == "<think>" and form.tokenizer.decode([form.close_id]) == "</think>"
    assert form.end_ids == {END} and not form.chains


def test_several_end_tokens_all_end():
    model, tokenizer = reasoner("llama")
    model.generation_config.eos_token_id = [END, 7]
    assert Form.of(tokenizer, model).end_ids == {END, 7}


def test_models_without_tags_or_tokenizer_get_a_sentence():
    from tests.engine.tiny_models import tiny_tokenizer
    for tokenizer in (tiny_tokenizer(), None):
        with pytest.raises(LabError) as error:
            Form.of(tokenizer, tiny("llama"))
        assert error.value.hint


def test_what_a_model_without_tags_says_is_its_thought_and_is_judged_by_its_last_value():
    from tests.engine.tiny_models import tiny_tokenizer
    form = Form.of(tiny_tokenizer(), tiny("llama"), untagged=True)
    ids, problem = form.ask("2+3*2")
    roles, truncated = find_roles(form, ids[0].tolist(), [5, 6, min(form.end_ids)])
    assert roles[len(ids[0]):] == ["think", "think", "end"] and truncated
    right = problem.answer
    assert form.judge(problem, f"That makes {right}.", "").correct and not form.judge(problem, f"Not {right}, but 3.", "").correct


@pytest.mark.parametrize(("template", "new", "roles", "truncated"), [
    # the template opens the tag (DeepSeek-R1 distills)
    ("opened", "A A /t B e", "think think close answer end", False),
    ("opened", "A A A", "think think think", True),
    # the model opens it (Qwen3)
    ("left", "t A A /t B e", "open think think close answer end", False),
    ("left", "A /t B e", "think close answer end", False),
    ("left", "t A e", "open think end", True),
    ("left", "A A e", "think think end", True),
    ("left", "A t B /t A", "off open think close answer", False),
    # thinking switched off (Qwen3 with an empty block)
    ("closed", "A B e", "answer answer end", False),
    # a second opening tag is a word like any other
    ("left", "t A t B /t", "open think think think close", False),
])
def test_roles(template, new, roles, truncated):
    model, tokenizer = reasoner("qwen2", template)
    form = Form.of(tokenizer, model)
    prompt = form.ask("Why is the sky blue?")[0][0].tolist()
    numbers = {"A": A, "B": B, "e": END, "t": form.open_id, "/t": form.close_id}
    found, cut = find_roles(form, prompt, [numbers[word] for word in new.split()])
    assert found == ["prompt"] * len(prompt) + roles.split() and cut is truncated


def test_what_comes_after_the_end_has_no_role(form):
    spans = Spans(form, [A])
    assert [spans.feed(token)[0] for token in (END, A)] == ["end", "off"] and spans.length == 2


@pytest.mark.parametrize("template", ["opened", "left"])
def test_chat_template_carries_the_question(template):
    model, tokenizer = reasoner("qwen2", template)
    form = Form.of(tokenizer, model)
    ids, problem = form.ask("3+4*2-5")
    text = tokenizer.decode(ids[0])
    assert problem.answer == "9" and "3+4*2-5" in text and "last digit" in text and "<|user|>" in text
    assert text.endswith("<think>\n") is (template == "opened")
    ids, problem = form.ask("Why is the sky blue?")
    assert problem is None and "Why is the sky blue?" in tokenizer.decode(ids[0])


def test_without_a_template_the_tag_is_put_into_the_prompt():
    model, tokenizer = reasoner("llama", None)
    form = Form.of(tokenizer, model)
    ids, _ = form.ask("Why is the sky blue?")
    assert ids[0, -1] == form.open_id


def test_empty_question_is_refused(form):
    with pytest.raises(LabError):
        form.ask("  ")


def test_the_embedded_kind_reads_chains_only(chains):
    form = chains[1]
    ids, problem = form.ask("3+4*2-5")
    assert form.chains and form.tokenizer.decode(ids[0], skip_special_tokens=True) == "3+4*2-5=" and problem.answer == "9"
    with pytest.raises(LabError) as error:
        form.ask("Why is the sky blue?")
    assert "Why is the sky blue?" in error.value.message
    with pytest.raises(LabError, match="1 operation"):
        form.ask("3+4")


def test_models_of_ones_own_get_chains_of_any_length(form):
    for text, answer in (("3+4", "7"), ("1+1+1+1+1+1+1+1+1", "9"), ("T&F", "F")):
        ids, problem = form.ask(text)
        assert problem.answer == answer and text in form.tokenizer.decode(ids[0])


def test_free_answers_are_judged_by_the_answer_alone(form):
    problem = form.ask("3+4*2-5")[1]
    right = form.judge(problem, "whatever", r"It is \boxed{9}.")
    assert right.correct and not right.steps
    assert not form.judge(problem, "whatever", r"It is \boxed{8}.").correct
    assert form.judge(None, "", "") is None


def test_steps_end_at_blank_lines_elsewhere_and_at_semicolons_in_chains(form, chains):
    blank = form.tokenizer("\n\n", add_special_tokens=False).input_ids
    assert form.ends_step(blank[-1]) == (len(blank) == 1)
    own = chains[1]
    assert own.ends_step(own.tokenizer.convert_tokens_to_ids(";")) and not own.ends_step(own.tokenizer.convert_tokens_to_ids("="))


def test_greedy_models_need_no_chooser():
    assert chooser(tiny("llama"), torch.Generator()) is None


def test_chooser_follows_the_model_card():
    model = tiny("llama")
    model.generation_config.do_sample = True
    model.generation_config.temperature, model.generation_config.top_k, model.generation_config.top_p = 0.5, 3, 0.95
    logits = torch.tensor([[0.0, 1.0, 2.0, 3.0, 4.0]])
    choose = chooser(model, torch.Generator().manual_seed(0))
    counts = torch.bincount(torch.cat([choose(logits) for _ in range(3000)]), minlength=5) / 3000
    # temperature 0.5 doubles the logits; of the best three (4, 6, 8) the first two hold more than 95 %
    expected = torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0]) * (2 * logits[0]).exp()
    torch.testing.assert_close(counts, expected / expected.sum(), atol=0.03, rtol=0)
    again = chooser(model, torch.Generator().manual_seed(0))
    assert [int(again(logits)) for _ in range(20)] == [int(choose(logits)) for choose in [chooser(model, torch.Generator().manual_seed(0))]
                                                       for _ in range(20)]


def test_chooser_leaves_out_what_is_too_unlikely():
    model = tiny("llama")
    model.generation_config.do_sample, model.generation_config.min_p, model.generation_config.top_k = True, 0.5, None
    logits = torch.tensor([[0.0, 1.0, 2.0, 2.9, 3.0]])  # half of the largest probability: only the last two reach it
    choose = chooser(model, torch.Generator().manual_seed(0))
    counts = torch.bincount(torch.cat([choose(logits) for _ in range(1000)]), minlength=5) / 1000
    expected = torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0]) * logits[0].exp()
    torch.testing.assert_close(counts, expected / expected.sum(), atol=0.06, rtol=0)


def test_sampling_settings_of_the_folder_are_followed_from_end_to_end(tmp_path, engine):
    model, tokenizer = reasoner("qwen2")
    folder = save(model, tmp_path / "cards", tokenizer=False)
    tokenizer.save_pretrained(folder)
    said = {}
    for name, settings in (("none", {}), ("hot", {"do_sample": True, "temperature": 5.0, "top_k": 50}),
                           ("narrow", {"do_sample": True, "temperature": 0.6, "top_k": 1, "top_p": 0.95})):
        made = tmp_path / name
        shutil.copytree(folder, made)
        (made / "generation_config.json").write_text(json.dumps({"eos_token_id": END, **settings}))
        for seed in (0, 1):
            run = engine.start("reasoning/trace", {"model": f"path/{made}", "problem": "Why?", "new_tokens": 16,
                                                   "decoding": "model card"}, seed=seed, fresh=True)
            assert engine.wait(run.id, timeout=60)["outcome"] == "finished"
            said[name, seed] = next(e["text"] for e in engine.events(run.id) if e["kind"] == "text" and e["name"] == "output")
    greedy = said["none", 0]
    assert said["none", 1] == greedy == said["narrow", 0] == said["narrow", 1]  # the best of one is the likeliest
    assert said["hot", 0] not in (greedy, said["hot", 1])


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3", "gpt2"])
@pytest.mark.parametrize(("template", "new", "roles", "truncated"), [
    ("opened", "A A /t B e", "think think close answer end", False),
    ("left", "t A A /t B e", "open think think close answer end", False),
    ("left", "A A B t A /t B e", "off off off open think close answer end", False),
    ("opened", "A A A e", "think think think end", True),
])
def test_tags_that_come_while_it_writes_are_understood_as_when_it_is_read_again(kind, template, new, roles, truncated):
    model, tokenizer = reasoner(kind, template)
    form = Form.of(tokenizer, model)
    prompt = form.ask("Why is the sky blue?")[0]
    numbers = {"A": A, "B": B, "e": END, "t": form.open_id, "/t": form.close_id}
    script = iter([numbers[word] for word in new.split()])
    reader = Reader(model, form)
    for _ in reader.generate(prompt, 20, lambda logits: torch.tensor([next(script)])):
        reader.prefix()  # asked at every moment, as the page does
    written = reader.readings()[0]
    assert written.roles == ["prompt"] * prompt.shape[1] + roles.split() and written.truncated is truncated
    reread = Reader(model, form).read(torch.tensor([written.ids]), prompt.shape[1]).readings()[0]
    assert reread.roles == written.roles and set(reread.means) == set(written.means)
    for span, states in written.means.items():
        torch.testing.assert_close(reread.means[span], states, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(reread.prefixes.kinetic, written.prefixes.kinetic, atol=1e-4, rtol=1e-3)
    assert len(written.prefixes.kinetic) == written.roles.count("think")


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3", "gpt2"])
@pytest.mark.parametrize("template", ["opened", "left", "closed"])
def test_random_reasoners_are_watched_from_their_folders(kind, template, tmp_path, engine):
    model, tokenizer = reasoner(kind, template)
    folder = save(model, tmp_path / kind, tokenizer=False)
    tokenizer.save_pretrained(folder)
    config = {"model": f"path/{folder}", "problem": "Why is the sky blue?", "new_tokens": 12}
    run = engine.start("reasoning/trace", config)
    state = engine.wait(run.id, timeout=60)
    result = engine.result(run.id)
    if template == "closed":
        assert state["outcome"] == "failed" and "without any reasoning" in state["error"]
    else:
        assert state["outcome"] == "finished", state["error"]
        assert result["verdict"]["evidence"]["label"] == "unknown" and result["verdict"]["evidence"]["truncated"]
        assert sum(1 for event in engine.events(run.id) if event["kind"] == "metric" and event["name"] == "certainty") == 12
    answer = engine.probe("reasoning/energy", {"model": f"path/{folder}", "problem": "Why?", "output": "<think>Because it is.</think>Yes."})
    assert answer["label"] == "unknown" and "answer" in answer["roles"] and answer["percentiles"] == {}
    assert tagged_tokenizer(template).chat_template in (None, tokenizer.chat_template)


def test_reader_stops_at_the_models_own_end_token():
    model, tokenizer = reasoner("llama")
    ids = torch.tensor([[5, 6, 7]])
    first = next(iter(Reader(model, Form.of(tokenizer, model)).generate(ids, 1)))
    model.generation_config.eos_token_id = int(first)
    reader = Reader(model, Form.of(tokenizer, model))
    assert len(list(reader.generate(ids, 20))) == 1 and reader.readings()[0].roles[-1] == "end"


def test_tags_in_a_system_prompt_or_a_question_are_not_the_models():
    """A model that was told about the tags still has all of its thinking before it (vllm PR 32490)."""
    told = ("[system]Think between <think> and </think>, then answer.{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
            "{% if add_generation_prompt %}[assistant]{% endif %}")
    model, tokenizer = reasoner("qwen2")
    tokenizer.chat_template = told
    form = Form.of(tokenizer, model)
    for question in ("Where was Rosa born?", "What does </think> mean?"):
        ids, _ = form.ask(question)
        assert form.close_id in ids[0] and tokenizer.decode(ids[0][-form.turn:]) == "[assistant]"
        said = [form.open_id, 5, 6, form.close_id, 7]
        roles, truncated = find_roles(form, ids[0].tolist(), said)
        assert roles[ids.shape[1]:] == ["open", "think", "think", "close", "answer"] and not truncated


def test_the_energy_of_a_model_that_was_told_about_the_tags_is_that_of_its_own_thinking(engine, tmp_path):
    """The same through the probe: every token of the prompt is the prompt's, its tags too."""
    model, tokenizer = reasoner("qwen2")
    tokenizer.chat_template = ("[system]Think between <think> and </think>, then answer.{% for m in messages %}[{{ m.role }}]"
                               "{{ m.content }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}")
    save(model, tmp_path)
    tokenizer.save_pretrained(tmp_path)
    asked = {"model": f"path/{tmp_path}", "problem": "Where was Rosa born?", "output": "<think>In a town.</think>Porto"}
    found = engine.probe("reasoning/energy", asked)
    own = found["roles"].index("open")
    assert "<think>" in found["tokens"][:own] and set(found["roles"][:own]) == {"prompt"}
    assert "".join(t for t, role in zip(found["tokens"], found["roles"], strict=True) if role == "think") == "In a town."
    assert found["roles"][-1] == "answer" and not found["truncated"] and found["energy"] == found["energy"]


def test_a_template_that_thinks_only_on_demand_is_asked_to():
    model, tokenizer = reasoner("qwen2")
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}[assistant]{% if thinking %}<think>{% endif %}"
    form = Form.of(tokenizer, model)
    assert form.ask("Where?")[0][0, -1] == form.open_id and tokenizer.apply_chat_template(
        [{"role": "user", "content": "Where?"}], tokenize=False) == "Where?[assistant]"


@pytest.mark.parametrize(("choice", "last"), [("on", "[assistant]<think>"), ("as it comes", "[assistant]"), ("off", "[assistant]")])
def test_a_template_with_a_switch_is_asked_as_was_chosen(choice, last):
    model, tokenizer = reasoner("qwen2")
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}[assistant]{% if thinking %}<think>{% endif %}"
    form = Form.of(tokenizer, model, choice)
    assert tokenizer.decode(form.ask("Where?")[0][0]).endswith(f"Where?{last}")


def test_the_choice_is_part_of_what_is_remembered_and_refused_where_there_is_no_switch(engine, tmp_path):
    model, tokenizer = reasoner("qwen2")
    tokenizer.chat_template = ("{% for m in messages %}{{ m.content }}{% endfor %}[assistant]"
                               "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}")
    save(model, tmp_path)
    tokenizer.save_pretrained(tmp_path)
    asked = {"model": f"path/{tmp_path}", "problem": "Where was Rosa born?", "output": "<think>In a town.</think>Porto"}
    thought = engine.probe("reasoning/energy", asked)
    assert "think" in thought["roles"]
    assert engine.probe("reasoning/energy", asked | {"thinking": "as it comes"})["roles"] == thought["roles"]
    with pytest.raises(LabError, match="without any reasoning"):
        engine.probe("reasoning/energy", asked | {"output": "Porto", "thinking": "off"})
    with pytest.raises(LabError, match="no switch for thinking"):
        engine.probe("reasoning/energy", {"problem": "2-7+4+2*5", "thinking": "off"})
