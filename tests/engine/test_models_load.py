"""Models by reference: what is loaded is what was saved, shared once, forked safely, forgotten in time."""

from __future__ import annotations

import copy
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model

from core.engine.errors import LabError
from core.engine.models import ModelStore
from core.engine.settings import Settings
from core.engine.trace import Site, trace
from tests.engine.hand_hooks import gap, result, same_state, state
from tests.engine.tiny_models import BUILDERS, inputs_for, save, tiny, tiny_tokenizer

FAMILY = {
    "llama": "llama", "qwen2": "llama", "mistral": "llama", "gpt2": "gpt2", "clip_text": "clip", "clip_vision": "clip",
    "vit": "vit", "deit": "vit", "llava": "llava", "qwen2_vl": "qwen_vl",
}  # fmt: skip
BLIND = ("vit", "deit", "clip_vision")


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(Settings(home=tmp_path / "home", models_dir=tmp_path))


@pytest.mark.parametrize("kind", list(BUILDERS))
@torch.no_grad()
def test_a_saved_folder_loads_as_the_model_it_was(store, tmp_path, kind):
    model = tiny(kind)
    save(model, tmp_path / kind, tokenizer=kind not in BLIND)
    loaded = store.load(f"path/{kind}")
    inputs = inputs_for(model)
    assert torch.equal(result(loaded.model(**inputs)), result(model(**inputs)))
    assert loaded.family == FAMILY[kind] and loaded.ref == f"path/{kind}" and loaded.revision is None
    assert loaded.parameters == sum(p.numel() for p in model.parameters())
    assert not loaded.model.training and not any(p.requires_grad for p in loaded.model.parameters())
    assert loaded.model.dtype == torch.float32
    assert (loaded.tokenizer is None) == (kind in BLIND)


@pytest.mark.parametrize("kind", ["llama", "gpt2", "qwen2"])
def test_the_tokenizer_cuts_text_as_it_did_when_saved(store, tmp_path, kind):
    save(tiny(kind), tmp_path / kind)
    tokenizer, original = store.load(f"path/{kind}").tokenizer, tiny_tokenizer()
    for text in ("Where was the author born?", "naïve  spaces\nand 漢字 123", ""):
        ids = tokenizer(text)["input_ids"]
        assert ids == original(text)["input_ids"] and tokenizer.decode(ids) == text
    assert tokenizer.pad_token_id == original.pad_token_id and tokenizer.padding_side == "left"


def test_weights_stored_in_half_precision_are_computed_in_single(store, tmp_path):
    model = tiny("clip_text")  # has integer buffers, which must stay integers
    before = state(model)
    store.save(model, tmp_path / "half", dtype=torch.float16)
    store.save(model, tmp_path / "single")
    assert (tmp_path / "half/model.safetensors").stat().st_size < 0.6 * (tmp_path / "single/model.safetensors").stat().st_size
    loaded = store.load("path/half").model
    assert loaded.dtype == torch.float32 and same_state(model, before)
    rounded = copy.deepcopy(model).half().float()
    inputs = inputs_for(model)
    assert torch.equal(result(loaded(**inputs)), result(rounded(**inputs)))
    assert gap(result(loaded(**inputs)), result(model(**inputs))) > 0


@pytest.mark.parametrize("dtype", [None, torch.float16])
def test_tied_weights_stay_tied_through_save_load_and_fork(store, tmp_path, dtype):
    model = tiny("gpt2")
    model.config.tie_word_embeddings = True
    model.tie_weights()
    assert model.lm_head.weight is model.transformer.wte.weight
    store.save(model, tmp_path / "tied", dtype=dtype)
    for loaded in (store.load("path/tied"), store.fork("path/tied"), store.fork("path/tied", share_weights=True)):
        assert loaded.model.lm_head.weight is loaded.model.transformer.wte.weight
        assert loaded.parameters == sum(p.numel() for p in loaded.model.parameters())


def test_generation_settings_are_saved_and_loaded(store, tmp_path):
    model = tiny("llama")
    model.generation_config.max_new_tokens = 7
    model.generation_config.repetition_penalty = 1.5
    store.save(model, tmp_path / "talks", tiny_tokenizer())
    loaded = store.load("path/talks").model.generation_config
    assert (loaded.max_new_tokens, loaded.repetition_penalty, loaded.eos_token_id) == (7, 1.5, model.config.eos_token_id)


def test_attention_implementations_are_separate_instances(store, tmp_path):
    save(tiny("llama"), tmp_path / "llama")
    fast, eager = store.load("path/llama"), store.load("path/llama", attention="eager")
    assert fast.model is not eager.model
    with trace(eager.model, capture=[Site(0, "attn_weights")]) as acts:
        eager.model(**inputs_for(eager.model))
    assert acts[Site(0, "attn_weights")].shape == (3, 4, 9, 9)
    assert fast.model.config._attn_implementation == "sdpa"


# ---- shared and forked ----


def test_the_shared_instance_is_loaded_once_however_many_ask_at_once(store, tmp_path, monkeypatch):
    save(tiny("llama"), tmp_path / "llama")
    reads, read = [], ModelStore._read
    monkeypatch.setattr(ModelStore, "_read", lambda self, *args: (reads.append(args), read(self, *args))[1])
    start = threading.Barrier(8)
    with ThreadPoolExecutor(8) as pool:
        loaded = list(pool.map(lambda _: (start.wait(), store.load("path/llama"))[1], range(8)))
    assert len(reads) == 1 and len({id(one.model) for one in loaded}) == 1


def test_a_full_fork_is_trainable_and_leaves_the_shared_model_alone(store, tmp_path):
    save(tiny("llama"), tmp_path / "llama")
    shared, own = store.load("path/llama"), store.fork("path/llama")
    before = state(shared.model)
    assert own.fingerprint == shared.fingerprint and all(p.requires_grad for p in own.model.parameters())
    inputs = inputs_for(own.model)
    assert torch.equal(result(own.model(**inputs)), result(shared.model(**inputs)))
    optimizer = torch.optim.SGD(own.model.parameters(), lr=0.1)
    result(own.model(**inputs)).square().mean().backward()
    optimizer.step()
    assert gap(result(own.model(**inputs)), result(shared.model(**inputs))) > 1e-3
    assert same_state(shared.model, before) and store.load("path/llama") is shared


@pytest.mark.parametrize("kind", ["llama", "gpt2", "clip_text"])
def test_a_sharing_fork_is_a_new_tree_over_the_same_storage(store, tmp_path, kind):
    save(tiny(kind), tmp_path / kind)
    shared, own = store.load(f"path/{kind}"), store.fork(f"path/{kind}", share_weights=True)
    pairs = list(zip(shared.model.parameters(), own.model.parameters(), strict=True))
    assert all(one is not other and one.data_ptr() == other.data_ptr() for one, other in pairs)
    assert not any(p.requires_grad for p in own.model.parameters())
    assert not {id(module) for module in shared.model.modules()} & {id(module) for module in own.model.modules()}
    assert own.model.config is not shared.model.config and own.tokenizer is not shared.tokenizer
    inputs = inputs_for(own.model)
    assert torch.equal(result(own.model(**inputs)), result(shared.model(**inputs)))


def test_adapters_on_a_sharing_fork_train_without_touching_the_shared_model(store, tmp_path):
    save(tiny("llama"), tmp_path / "llama")
    shared = store.load("path/llama")
    before, modules = state(shared.model), [type(m) for m in shared.model.modules()]
    inputs = inputs_for(shared.model)
    clean = result(shared.model(**inputs))
    own = get_peft_model(store.fork("path/llama", share_weights=True).model, LoraConfig(target_modules=["q_proj", "down_proj"]))
    optimizer = torch.optim.SGD([p for p in own.parameters() if p.requires_grad], lr=1.0)
    for _ in range(2):
        optimizer.zero_grad()
        result(own(**inputs)).square().mean().backward()
        optimizer.step()
    assert gap(result(own(**inputs)), clean) > 1e-3
    assert torch.equal(result(shared.model(**inputs)), clean) and same_state(shared.model, before)
    assert [type(m) for m in shared.model.modules()] == modules


def test_loading_draws_no_random_numbers(store, tmp_path):
    """Else a run would give other numbers where its model happens to be loaded already."""
    save(tiny("llama"), tmp_path / "llama")
    before = torch.get_rng_state()
    for _ in range(2):
        store.load("path/llama"), store.fork("path/llama"), store.fork("path/llama", share_weights=True)
    assert torch.equal(torch.get_rng_state(), before)


# ---- what a run kept ----


def test_what_a_run_kept_loads_with_its_tokenizer(store):
    model = tiny("llama", seed=5)
    store.save(model, store._settings.runs / "20260101-abcd" / "models" / "unlearned", tiny_tokenizer())
    loaded = store.load("run/20260101-abcd/unlearned")
    inputs = inputs_for(model)
    assert torch.equal(result(loaded.model(**inputs)), result(model(**inputs)))
    assert loaded.tokenizer("the sea")["input_ids"] == tiny_tokenizer()("the sea")["input_ids"]


@torch.no_grad()
def test_a_kept_adapter_is_merged_and_the_shared_weights_stay(store, tmp_path):
    save(tiny("llama"), tmp_path / "llama")
    before = state(store.load("path/llama").model)
    fork = store.fork("path/llama", share_weights=True)
    adapted = get_peft_model(fork.model, LoraConfig(target_modules=["q_proj"], init_lora_weights=False)).eval()
    inputs = inputs_for(fork.model)
    expected = result(adapted(**inputs))
    store.save(adapted, store._settings.runs / "abcd" / "models" / "adapted", fork.tokenizer)
    loaded = store.load("run/abcd/adapted")
    assert gap(result(loaded.model(**inputs)), result(store.load("path/llama").model(**inputs))) > 1e-3
    assert gap(result(loaded.model(**inputs)), expected) <= 1e-4
    assert torch.equal(result(adapted(**inputs)), expected) and same_state(store.load("path/llama").model, before)


def test_saving_again_replaces_and_a_failed_save_leaves_the_old_model(store, tmp_path):
    folder = tmp_path / "kept"
    store.save(tiny("llama"), folder)
    first = store.fingerprint("path/kept")
    store.save(tiny("llama", seed=1), folder)
    second = store.fingerprint("path/kept")
    assert second != first

    class FullDisk:
        def save_pretrained(self, _folder):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError):
        store.save(tiny("llama", seed=2), folder, FullDisk())
    assert store.fingerprint("path/kept") == second
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".part")] == []


# ---- fingerprints ----


def test_the_fingerprint_depends_on_weights_and_config_and_not_on_the_place(store, tmp_path):
    for name, seed in (("here", 0), ("there", 0), ("other", 1)):
        save(tiny("llama", seed=seed), tmp_path / name)
    here = store.fingerprint("path/here")
    assert len(here) == 16 and here == store.fingerprint("path/there") != store.fingerprint("path/other")
    config = json.loads((tmp_path / "there/config.json").read_text())
    (tmp_path / "there/config.json").write_text(json.dumps(config | {"rms_norm_eps": 0.1}))
    assert store.fingerprint("path/there") != here


def test_a_model_changed_on_disk_is_loaded_anew(store, tmp_path):
    save(tiny("llama"), tmp_path / "llama")
    old = store.load("path/llama")
    save(tiny("llama", seed=1), tmp_path / "llama")
    new = store.load("path/llama")
    assert new.fingerprint != old.fingerprint and not torch.equal(new.model.lm_head.weight, old.model.lm_head.weight)


# ---- memory ----


def test_the_least_recently_used_model_is_forgotten_when_the_budget_is_full(tmp_path):
    size = 4 * sum(p.numel() for p in tiny("llama").parameters())
    store = ModelStore(Settings(home=tmp_path / "home", models_dir=tmp_path, memory_budget=int(2.5 * size)))
    for name in "abc":
        save(tiny("llama"), tmp_path / name)
    a, b = store.load("path/a"), store.load("path/b")
    assert store.load("path/a") is a
    c = store.load("path/c")  # b was used longest ago
    assert store.load("path/a") is a and store.load("path/c") is c
    assert store.load("path/b") is not b


def test_a_model_larger_than_memory_is_refused_before_anything_is_read_or_allocated(store, tmp_path):
    """40 billion parameters: a header and a hole in the disk. Reading it would take minutes."""
    folder = save(tiny("llama"), tmp_path / "huge")
    numbers = 40 * 10**9
    head = json.dumps({"lm_head.weight": {"dtype": "F16", "shape": [numbers], "data_offsets": [0, 2 * numbers]}}).encode()
    with (folder / "model.safetensors").open("wb") as stream:
        stream.write(len(head).to_bytes(8, "little") + head)
        stream.truncate(8 + len(head) + 2 * numbers)
    for ask in (store.fingerprint, store.load, store.fork):
        with pytest.raises(LabError) as caught:
            ask("path/huge")
        assert "path/huge needs 160.0 GB" in caught.value.message and "GB free" in caught.value.message
        assert "would fit" in caught.value.hint


def test_the_config_cannot_ask_for_more_memory_than_the_file_admits(store, tmp_path):
    """A small file beside a config of a giant: transformers would fill the difference with random numbers."""
    folder = save(tiny("llama"), tmp_path / "bomb")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"intermediate_size": 10**9}))
    with pytest.raises(LabError, match="no stored tensor has more than"):
        store.load("path/bomb")
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 10**9}))
    with pytest.raises(LabError, match="names 1000000000 layers"):
        store.load("path/bomb")


def test_making_room_comes_before_refusing(tmp_path):
    """A budget for one model at a time: the second takes the place of the first."""
    size = 4 * sum(p.numel() for p in tiny("llama").parameters())
    store = ModelStore(Settings(home=tmp_path / "home", models_dir=tmp_path, memory_budget=int(1.2 * size)))
    for name in "ab":
        save(tiny("llama"), tmp_path / name)
    a = store.load("path/a")
    assert store.load("path/b").ref == "path/b" and store.load("path/a") is not a


def test_different_models_loaded_at_once_come_out_whole(store, tmp_path):
    """transformers switches weight tying off for the whole process while it builds a model; two at once left it off."""
    from transformers import PreTrainedModel

    tie_weights = PreTrainedModel.tie_weights
    names = [f"tied-{seed}" for seed in range(8)]
    for seed, name in enumerate(names):
        model = tiny("gpt2", seed=seed)
        model.config.tie_word_embeddings = True
        model.tie_weights()
        store.save(model, tmp_path / name)
    start = threading.Barrier(len(names))
    try:
        with ThreadPoolExecutor(len(names)) as pool:
            loaded = list(pool.map(lambda name: (start.wait(), store.load(f"path/{name}"), store.fork(f"path/{name}")), names))
        assert PreTrainedModel.tie_weights is tie_weights
        for _, shared, own in loaded:
            assert shared.model.lm_head.weight is shared.model.transformer.wte.weight
            assert own.model.lm_head.weight is own.model.transformer.wte.weight
    finally:
        PreTrainedModel.tie_weights = tie_weights
