"""What a model is: everything that changes its answers is in its fingerprint, and what is kept can be kept and loaded again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from peft import LoraConfig, get_peft_model

from core.engine.errors import LabError
from core.engine.models import ModelStore
from core.engine.settings import REPOSITORY, Settings
from tests.engine.tiny_models import save, tiny, tiny_tokenizer

DATED = "{% for m in messages %}{{ strftime_now('%d %b %Y') }}|{{ m.content }}{% endfor %}"


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(Settings(home=tmp_path / "home", models_dir=tmp_path))


@pytest.mark.parametrize(("file", "content"), [
    ("tokenizer_config.json", '{"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<s>"}'),
    ("tokenizer.json", None), ("chat_template.jinja", "{{ messages[0].content }}"), ("special_tokens_map.json", '{"eos_token": "<s>"}'),
    ("additional_chat_templates/tool.jinja", "{{ messages }}"), ("generation_config.json", '{"eos_token_id": 7}'),
    ("added_tokens.json", '{"<think>": 319}'), ("merges.txt", "a b"), ("tokenizer.model", "x"), ("preprocessor_config.json", "{}"),
])  # fmt: skip
def test_whatever_changes_the_answers_changes_the_fingerprint(store, tmp_path, file, content):
    folder = save(tiny("llama"), tmp_path / "one")
    before = store.fingerprint("path/one")
    place = folder / file
    place.parent.mkdir(exist_ok=True)
    place.write_text(content or place.read_text().replace('"sea"', '"see"') + "\n")
    changed = store.fingerprint("path/one")
    assert changed != before
    for other in ("card.md", "README.md", "notes.jsonl"):  # what only people read
        (folder / other).write_text("words")
    assert store.fingerprint("path/one") == changed


def test_the_same_content_under_another_name_is_another_model(store, tmp_path):
    for name, file in (("a", "vocab.txt"), ("b", "vocab.json")):
        (save(tiny("llama"), tmp_path / name, tokenizer=False) / file).write_text("{}")
    assert store.fingerprint("path/a") != store.fingerprint("path/b")


def test_a_template_that_writes_the_day_writes_the_same_day_tomorrow(store, tmp_path):
    """Many templates put today's date into the prompt; equal settings and seed must give equal numbers on another day."""
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = DATED
    save(tiny("llama"), tmp_path / "dated", tokenizer=False)
    tokenizer.save_pretrained(tmp_path / "dated")
    loaded = store.load("path/dated")
    said = loaded.tokenizer.apply_chat_template([{"role": "user", "content": "Hello"}], tokenize=False)
    assert said == "28 Nov 2025|Hello"
    store.save(store.fork("path/dated").model, tmp_path / "again", loaded.tokenizer)
    assert store.load("path/again").tokenizer.chat_template == loaded.tokenizer.chat_template  # not one more each time


@pytest.mark.parametrize("idle", [
    {"temperature": 0.6, "top_p": 0.9, "top_k": 20}, {"do_sample": False, "min_p": 0.1}, {"early_stopping": True, "length_penalty": 2.0},
    {"output_scores": True}, {"pad_token_id": -1},
])  # fmt: skip
def test_settings_that_do_not_act_do_not_keep_a_model_from_being_kept(store, tmp_path, idle):
    """The library saves such a model until anything in its settings is touched, then raises and leaves a folder without weights."""
    folder = save(tiny("llama"), tmp_path / "one")
    file = folder / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | idle))
    own = store.fork("path/one")
    own.model.generation_config.max_new_tokens = 9
    store.save(own.model, tmp_path / "kept", own.tokenizer)
    assert store.load("path/kept").model.generation_config.max_new_tokens == 9


def test_sampling_settings_that_act_stay(store, tmp_path):
    file = save(tiny("llama"), tmp_path / "one") / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"do_sample": True, "temperature": 0.6, "top_k": 20}))
    store.save(store.fork("path/one").model, tmp_path / "kept")
    kept = store.load("path/kept").model.generation_config
    assert (kept.do_sample, kept.temperature, kept.top_k) == (True, 0.6, 20)


def test_what_cannot_be_kept_is_a_sentence_and_the_old_model_stays(store, tmp_path):
    store.save(tiny("llama"), tmp_path / "kept")
    before = store.fingerprint("path/kept")
    model = tiny("llama", seed=1)
    model.generation_config.max_new_tokens = -3
    with pytest.raises(LabError, match="could not be kept"):
        store.save(model, tmp_path / "kept")
    assert store.fingerprint("path/kept") == before and not list(tmp_path.glob(".part*"))


def test_a_merged_adapter_is_another_model_than_its_base(store, tmp_path):
    save(tiny("llama"), tmp_path / "base")
    adapter = LoraConfig(target_modules=["q_proj"], init_lora_weights=False)
    adapted = get_peft_model(store.fork("path/base", share_weights=True).model, adapter)
    store.save(adapted, tmp_path / "adapted")
    assert store.fingerprint("path/adapted") != store.fingerprint("path/base")


def test_a_model_for_which_the_library_has_only_slow_attention_loads_with_that(store, tmp_path):
    from transformers import Gemma2Config, Gemma2ForCausalLM

    config = Gemma2Config(vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
                          num_key_value_heads=1, head_dim=8)
    save(Gemma2ForCausalLM(config), tmp_path / "gemma2", tokenizer=False)
    assert store.load("path/gemma2").model.config._attn_implementation == "eager"


def test_a_limit_of_the_library_is_not_blamed_on_the_files(store, tmp_path, monkeypatch):
    from transformers import LlamaForCausalLM

    def unfinished(*args, **kwargs):
        raise NotImplementedError("LlamaForCausalLM does not support this yet")

    save(tiny("llama"), tmp_path / "one")
    monkeypatch.setattr(LlamaForCausalLM, "from_pretrained", unfinished)
    with pytest.raises(LabError, match="the library cannot do it: LlamaForCausalLM does not support") as caught:
        store.load("path/one")
    assert "complete" not in caught.value.hint


THREADS = """
import sys, time
from pathlib import Path
import torch
from core.engine.runner import Engine
from core.engine.settings import Settings
from core.engine import registry
from core.engine.experiment import Config, experiment, probe
from core.engine.events import Metric

class Nothing(Config):
    pass

def share():
    x = torch.ones(1500, 1500)
    whole, own = time.process_time(), time.thread_time()
    x @ x
    return (time.process_time() - whole) / (time.thread_time() - own)

@experiment("test/product", title="t", paper="01")
def product(config: Nothing, lab):
    yield Metric("share", share())

x = torch.ones(1500, 1500)
x @ x                                   # the process computes with two threads
engine = Engine(Settings(home=Path(sys.argv[1]), threads=1))
engine._check = lambda name, config, kind, seed: (product.experiment, Nothing(), {})
run = engine.start("test/product", {})
engine.wait(run.id)
print(engine.result(run.id)["metrics"]["share"])
"""


def test_the_first_matrix_product_of_a_run_keeps_to_its_threads(tmp_path):
    """Torch's getter says 1 while the first product of a new thread still takes all cores; the processor's clock cannot be fooled."""
    done = subprocess.run([sys.executable, "-c", THREADS, str(tmp_path)], cwd=REPOSITORY, capture_output=True, text=True,
                          env=os.environ | {"OMP_NUM_THREADS": "2", "PYTHONPATH": str(REPOSITORY)})
    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout) < 1.3  # two threads would use 2


