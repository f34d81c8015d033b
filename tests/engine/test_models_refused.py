"""Bad folders, bad names and no network: each is answered with a sentence, and a good model still loads afterwards."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import pytest

from core.engine.errors import LabError
from core.engine.models import ModelStore
from core.engine.settings import Settings
from core.engine.weights import header
from tests.engine.ask_hub import ask_hub
from tests.engine.tiny_models import save, tiny


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    (tmp_path / "models").mkdir()
    return ModelStore(Settings(home=tmp_path / "home", models_dir=tmp_path / "models"))


@pytest.fixture
def folder(tmp_path: Path, store: ModelStore) -> Path:
    """A good model; each test spoils it in its own way."""
    return save(tiny("llama"), tmp_path / "models" / "one", tokenizer=False)


def refused(store: ModelStore, ref: str, words: str) -> LabError:
    """Refused by `load` and by `fork`, with the same words and something to do about it."""
    for ask in (store.load, store.fork):
        with pytest.raises(LabError, match=words) as caught:
            ask(ref)
        assert caught.value.hint
    good = save(tiny("gpt2"), store._settings.models_dir / "good", tokenizer=False)
    assert store.load(f"path/{good.name}").family == "gpt2"
    return caught.value


def rewrite(file: Path, **changes) -> None:
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | changes))


# ---- files that lie ----


class Bomb:
    def __reduce__(self):
        return os.mkdir, (self.path,)

    def __init__(self, path: str) -> None:
        self.path = path


def test_a_pickle_under_a_safetensors_name_is_not_opened(store, folder, tmp_path):
    (folder / "model.safetensors").write_bytes(pickle.dumps(Bomb(str(tmp_path / "exploded"))))
    refused(store, "path/one", "not a complete safetensors file")
    assert not (tmp_path / "exploded").exists()
    pickle.loads((folder / "model.safetensors").read_bytes())
    assert (tmp_path / "exploded").exists()  # the bomb was a real one


def test_a_pickle_under_its_own_name_is_not_opened_either(store, folder, tmp_path):
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(str(tmp_path / "exploded"))))
    refused(store, "path/one", "no safetensors weights")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("size", [0, 5, 300, -1])
def test_a_truncated_file_is_refused(store, folder, size):
    file = folder / "model.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[:size] if size >= 0 else content[:-1])
    refused(store, "path/one", "not a complete safetensors file")


def entry(start: int, end: int, **other) -> dict:
    return {"dtype": "F32", "shape": [(end - start) // 4], "data_offsets": [start, end]} | other


@pytest.mark.parametrize(
    "tensors",
    [
        {"a": entry(0, 64), "b": entry(32, 96), "c": entry(96, 128)},
        {"a": entry(0, 64), "b": entry(80, 128)},
        {"a": entry(0, 64)},
        {"a": entry(0, 64), "b": entry(64, 256)},
        {"a": entry(0, 128, shape=[33])},
        {"a": entry(0, 128, shape=[-4, -8])},
        {"a": entry(0, 128, shape=[32.0])},
        {"a": entry(0, 128, dtype="PICKLE")},
        {"a": entry(0, 128, data_offsets=[0])},
        {"a": "text"},
        ["a"],
        "[" * 100_000,
    ],
    ids="overlap gap short-of-end past-end wrong-shape negative-shape float-shape unknown-type one-offset text list deep".split(),
)
def test_a_header_that_cannot_be_true_is_refused(store, folder, tensors):
    head = tensors.encode() if isinstance(tensors, str) else json.dumps(tensors).encode()
    (folder / "model.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + bytes(128))
    refused(store, "path/one", "not a complete safetensors file")


def test_the_header_check_lets_honest_files_pass(folder):
    assert set(header(folder / "model.safetensors")) == set(tiny("llama").state_dict())


@pytest.mark.parametrize(
    "named", ["../secret/model.safetensors", "/etc/passwd", "..", "sub/model.safetensors", "model.bin", 7, None, ["x"]]
)
def test_an_index_that_names_files_elsewhere_is_refused(store, folder, tmp_path, named):
    secret = save(tiny("llama", seed=3), tmp_path / "models" / "secret", tokenizer=False)
    assert (secret / "model.safetensors").is_file()
    (folder / "model.safetensors").unlink()
    names = dict.fromkeys(tiny("llama").state_dict(), named)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))
    refused(store, "path/one", "files of its own folder")


def test_a_sharded_model_loads_and_a_missing_shard_is_named(store, tmp_path):
    model = tiny("llama")
    folder = tmp_path / "models" / "shards"
    model.save_pretrained(folder, max_shard_size="60KB")
    shards = sorted(folder.glob("*.safetensors"))
    assert len(shards) > 2
    assert all((a == b).all() for a, b in zip(store.load("path/shards").model.parameters(), model.parameters(), strict=True))
    shards[1].unlink()
    refused(store, "path/shards", f"{shards[1].name} is missing")


def test_weights_that_are_absent_are_not_made_up(store, folder):
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.2.mlp.down_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    refused(store, "path/one", "lacks 1 of its weights, model.layers.2.mlp.down_proj.weight")


def test_weights_of_another_shape_than_the_config_are_refused(store, folder):
    rewrite(folder / "config.json", intermediate_size=48)
    refused(store, "path/one", "could not be loaded")


# ---- configs that lie ----


@pytest.mark.parametrize("content", ["", "no json", "[1, 2]", "7", "null", '"text"', "[" * 100_000, b"\xff\xfe\x00"])
def test_a_config_that_is_no_object_is_refused(store, folder, content):
    (folder / "config.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(store, "path/one", "no readable config.json")


@pytest.mark.parametrize(
    "named",
    [
        None, [], [None], [7], 7, {"a": 1}, ["os"], ["AutoModel"], ["PreTrainedModel"], ["LlamaPreTrainedModel"], ["Trainer"],
        ["NoSuchModel"], ["GPT2LMHeadModel"], "LlamaForCausalLM", ["__class__"],
    ],
)  # fmt: skip
def test_architectures_that_are_no_model_of_this_kind_are_refused(store, folder, named):
    rewrite(folder / "config.json", architectures=named)
    error = refused(store, "path/one", "is not one that this lab knows|could not be loaded|lacks")
    assert "path/one" in error.message


def test_an_architecture_that_would_drop_weights_of_this_kind_is_refused(store, folder):
    """A Qwen2 read as a Llama would lose its biases without a word."""
    save(tiny("qwen2"), folder, tokenizer=False)
    rewrite(folder / "config.json", architectures=["LlamaForCausalLM"])
    refused(store, "path/one", "is not one that this lab knows")


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_size": "wide"}, {"hidden_size": -1}, {"num_attention_heads": 0}, {"vocab_size": None}, {"hidden_act": "eval"},
        {"rope_parameters": 7}, {"num_hidden_layers": [1]}, {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}},
        {"dtype": "no-such"},
    ],
    ids=lambda changes: next(iter(changes)),
)  # fmt: skip
def test_nonsense_in_the_config_is_a_sentence_and_not_a_crash(store, folder, changes):
    rewrite(folder / "config.json", **changes)
    error = refused(store, "path/one", "path/one")
    assert str(folder.parent) not in str(error)  # a visitor is not told where things lie


def test_remote_code_is_refused_wherever_it_is_asked_for(store, folder, tmp_path):
    code = f"import os\nos.mkdir({str(tmp_path / 'exploded')!r})\n"
    (folder / "modeling_evil.py").write_text(code)
    rewrite(folder / "config.json", auto_map={"AutoModelForCausalLM": "modeling_evil.Evil"})
    refused(store, "path/one", "code of its own")
    config = json.loads((folder / "config.json").read_text())
    del config["auto_map"]
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer_config.json").write_text(json.dumps({"auto_map": {"AutoTokenizer": ["modeling_evil.Evil", None]}}))
    refused(store, "path/one", "code of its own")
    (folder / "tokenizer_config.json").write_text("[]")
    refused(store, "path/one", "no readable config.json")
    assert not (tmp_path / "exploded").exists()


def test_an_adapter_that_points_elsewhere_is_refused(store, folder, tmp_path):
    save(tiny("llama", seed=9), tmp_path / "private", tokenizer=False)
    adapter = {"base_model_name_or_path": str(tmp_path / "private"), "peft_type": "LORA", "target_modules": ["q_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(adapter))
    refused(store, "path/one", "an adapter")
    (folder / "config.json").unlink()
    refused(store, "path/one", "no readable config.json")


@pytest.mark.parametrize("content", ["", "{}", '{"model": {"type": "BPE"}}', "\x00\x01"])
def test_a_broken_tokenizer_is_a_sentence(store, folder, content):
    (folder / "tokenizer.json").write_text(content)
    refused(store, "path/one", "could not be loaded")


# ---- places that are off limits ----


@pytest.mark.parametrize(
    "rest",
    [
        "../private", "one/../../private", "../../../../../../etc", "link", "inside/../link", "{private}", "/etc", "shallow",
        "../empty", "../absent",  # nor does the answer tell what there is outside
    ],
)  # fmt: skip
def test_folders_outside_models_dir_are_out_of_reach(store, folder, tmp_path, rest):
    private = save(tiny("llama", seed=9), tmp_path / "private", tokenizer=False)
    models = folder.parent
    (tmp_path / "empty").mkdir()
    (models / "link").symlink_to(private)
    (models / "inside").mkdir()
    (models / "shallow").mkdir()
    for file in private.iterdir():  # an honest folder whose files are links
        (models / "shallow" / file.name).symlink_to(file)
    refused(store, "path/" + rest.format(private=private), "outside the folder of models")


def test_folders_inside_may_be_linked_to_each_other(store, folder):
    (folder.parent / "alias").symlink_to(folder)
    assert store.load("path/alias").parameters == store.load("path/one").parameters


def test_without_models_dir_folders_are_switched_off_but_the_command_line_may(folder, tmp_path):
    closed = ModelStore(Settings(home=tmp_path / "home"))
    with pytest.raises(LabError, match="switched off"):
        closed.load(f"path/{folder}")
    open_to_all = ModelStore(Settings(home=tmp_path / "home", any_path=True))
    assert open_to_all.load(f"path/{folder}").family == "llama"
    with pytest.raises(LabError, match="no readable config.json"):
        open_to_all.load(f"path/{folder}/../../")
    with pytest.raises(LabError, match="no model folder"):
        open_to_all.load("path/~nobody-of-that-name/model")


@pytest.mark.parametrize(
    "ref",
    [
        "", "authors", "embedded/", "path/", "ftp/x", "embedded/../authors", "embedded/no-such", "path/no-such", "path/one/config.json",
        "path/circle", "path/a\x00b", "path/a\nb", "path/" + "x" * 5000, "run/abcd", "run/../../models/one", "run/abcd/../../x",
        "run/abcd/no-such", "hf/", "hf/..", "hf/a/b/c/d", "hf/-/-", "hf/../../etc/passwd", "hf/ORG/NAME@../../x",
    ],
)  # fmt: skip
def test_a_reference_that_names_nothing_is_a_sentence(store, folder, ref, monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    (folder.parent / "circle").symlink_to(folder.parent / "circle")
    refused(store, ref, "does not name|no embedded|no model folder|No run kept|no public model|cannot be fetched")


# ---- the hub, offline ----

def cached_on_hub(cache: Path, name: str, kind: str, commit: str) -> Path:
    """A snapshot as the hub client lays it out: refs/main, blobs, and links to them under the commit."""
    repository = cache / f"models--{name.replace('/', '--')}"
    made = save(tiny(kind), cache.parent / f"made-{kind}")
    snapshot = repository / "snapshots" / commit
    for folder in (snapshot, repository / "blobs", repository / "refs"):
        folder.mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    for file in made.iterdir():
        file.rename(repository / "blobs" / file.name)
        (snapshot / file.name).symlink_to(repository / "blobs" / file.name)
    return snapshot


def test_cached_models_load_offline_with_their_revision_and_the_rest_is_a_sentence(tmp_path):
    cache = tmp_path / "cache"
    kinds = {"llama": "1" * 40, "qwen2": "2" * 40, "gpt2": "3" * 40}
    for kind, commit in kinds.items():
        cached_on_hub(cache, f"tiny/{kind}", kind, commit)
    refs = [f"hf/tiny/{kind}" for kind in kinds] + [f"hf/tiny/llama@{'1' * 40}", "hf/tiny/llama@main"]
    *known, wrong_revision, unknown = ask_hub(cache, *refs, "hf/tiny/llama@v2", "hf/tiny/absent", HF_HUB_OFFLINE="1")
    commits = [*kinds.values(), "1" * 40, "1" * 40]
    assert [answer["revision"] for answer in known] == commits and all(answer["tokenizer"] for answer in known)
    assert [answer["family"] for answer in known[:3]] == ["llama", "llama", "gpt2"]
    assert known[0] == known[3] == known[4]
    for answer in (wrong_revision, unknown):
        assert "is not on this machine and cannot be fetched now" in answer["error"] and "embedded" in answer["hint"]


def test_a_hub_that_cannot_be_reached_is_a_sentence(tmp_path):
    (answer,) = ask_hub(tmp_path / "cache", "hf/tiny/absent", HF_ENDPOINT="http://127.0.0.1:9", HF_HUB_OFFLINE="0")
    assert "cannot be fetched now" in answer["error"] and "embedded" in answer["hint"]


def test_a_cached_model_that_asks_for_remote_code_is_refused_offline_too(tmp_path):
    snapshot = cached_on_hub(tmp_path / "cache", "tiny/evil", "llama", "4" * 40)
    rewrite(snapshot / "config.json", auto_map={"AutoModel": "evil.Evil"})
    (answer,) = ask_hub(tmp_path / "cache", "hf/tiny/evil", HF_HUB_OFFLINE="1")
    assert "code of its own" in answer["error"]


@pytest.mark.parametrize(("name", "value"), [("num_beams", 10**6), ("num_return_sequences", 10**9), ("max_new_tokens", -1),
                                             ("temperature", "hot"), ("top_p", 1e300), ("max_length", [1]), ("top_k", True),
                                             ("repetition_penalty", 0)])
def test_generation_settings_that_cannot_be_meant_are_named(store, folder, name, value):
    (folder / "generation_config.json").write_text(json.dumps({name: value}))
    assert name in str(refused(store, "path/one", "cannot have"))


@pytest.mark.parametrize("name", ["vocab_size", "hidden_size", "intermediate_size"])
def test_a_size_out_of_proportion_to_what_is_stored_is_refused_before_anything_is_built(store, folder, name):
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {name: 4_000_000}))
    refused(store, "path/one", f"names 4,000,000 as its {name}")


@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "tokenizer.json", "odd"])
def test_a_pipe_in_a_model_folder_is_refused_and_keeps_nobody_waiting(store, folder, name):
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    refused(store, "path/one", "no plain file|no readable")


def test_a_config_that_names_another_model_is_refused(store, folder):
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"backbone": "somebody/else"}))
    refused(store, "path/one", "is not one that this lab knows")


def test_what_strangers_wrote_is_taken_apart_in_another_process(store, folder, monkeypatch):
    """Here nobody may read it: config, header and index are looked at in there, and again only when one of them changes."""
    from core.engine import weights

    def never(*given):
        raise AssertionError("read in the lab")

    for name in ("read_json", "header"):
        monkeypatch.setattr(weights, name, never)
    assert store.load("path/one").parameters == store.load("path/one").parameters > 0
    with monkeypatch.context() as patch:
        patch.setattr("core.engine.models.inspect_apart", never)
        store.fingerprint("path/one")
        (folder / "generation_config.json").write_text(json.dumps({"num_beams": -3}))
        with pytest.raises(AssertionError, match="read in the lab"):
            store.fingerprint("path/one")
    with pytest.raises(LabError, match="cannot have"):
        store.fingerprint("path/one")


@pytest.mark.parametrize(("name", "words"), [("config.json", "no readable config.json"), ("tokenizer_config.json", "no readable|too large"),
                                             ("special_tokens_map.json", "too large")])
def test_small_files_that_are_not_small_are_refused_before_a_loader_sees_them(store, folder, name, words):
    (folder / name).write_text("{" + " " * 5_000_000 + "}")
    refused(store, "path/one", words)
