"""GGUF files of visitors: what is in them is what the lab computes with, and what cannot be used is said before anything is allocated."""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from core.engine import gguf
from core.engine.errors import LabError
from core.engine.models import ModelStore
from core.engine.settings import REPOSITORY, Settings
from tests.engine.gguf_files import rounded, write
from tests.engine.hand_hooks import gap
from tests.engine.tiny_models import inputs_for, save, tiny, tiny_tokenizer


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Conversions of these tests are made once."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write(folder / "tiny.Q8_0.gguf", tiny("llama"))
    return folder


@pytest.fixture
def store(home: Path, models: Path) -> ModelStore:
    return ModelStore(Settings(home=home, models_dir=models))


@torch.no_grad()
def test_a_gguf_file_computes_what_its_numbers_say_and_can_be_trained_and_kept(store, home, models):
    before = store.fingerprint("path/tiny.Q8_0.gguf")
    loaded = store.load("path/tiny.Q8_0.gguf")
    assert loaded.fingerprint == before and loaded.family == "llama" and loaded.model.dtype == torch.float32
    inputs = inputs_for(loaded.model)
    expected = rounded(tiny("llama"), "Q8_0")(**inputs).logits
    assert gap(loaded.model(**inputs).logits, expected) <= 1e-5
    text = "Where was the author born? 1234 naïve\n\n  x's"
    assert loaded.tokenizer(text).input_ids == tiny_tokenizer()(text).input_ids and "[{{ m.role }}]" in loaded.tokenizer.chat_template
    own = store.fork("path/tiny.Q8_0.gguf")
    assert all(p.requires_grad for p in own.model.parameters())
    store.save(own.model, home / "kept", own.tokenizer)  # a model that counts as quantised cannot be saved
    assert not getattr(own.model, "is_quantized", False) and "quantization_config" not in (home / "kept/config.json").read_text()
    assert [file.name for file in (home / "converted").iterdir()] == [before]


def test_it_is_offered_like_a_folder_with_the_reason_where_it_cannot_be_used(store, models):
    save(tiny("gpt2"), models / "deep/folder")
    write(models / "deep/clip.gguf", tiny("llama"), architecture="clip", kind="F16")
    (models / "deep/blobs").mkdir()
    shutil.copy(models / "tiny.Q8_0.gguf", models / "deep/blobs/sha256-0a1b")  # as Ollama keeps them
    shutil.copy(models / "tiny.Q8_0.gguf", models / "deep/My model (Q8 0).gguf")
    assert store.fingerprint("path/deep/My model (Q8 0).gguf") == store.fingerprint("path/tiny.Q8_0.gguf")
    offered = {one.ref: one for one in store.offered()}
    shutil.rmtree(models / "deep")
    assert set(offered) == {"path/tiny.Q8_0.gguf", "path/deep/folder", "path/deep/clip.gguf", "path/deep/blobs/sha256-0a1b",
                            "path/deep/My model (Q8 0).gguf"}
    assert offered["path/tiny.Q8_0.gguf"].family == "llama" and offered["path/deep/folder"].family == "gpt2"
    assert "Tiny (GGUF)" in offered["path/tiny.Q8_0.gguf"].words and offered["path/tiny.Q8_0.gguf"].why_not is None
    assert offered["path/deep/blobs/sha256-0a1b"].why_not is None and offered["path/deep/folder"].why_not is None
    assert "architecture 'clip'" in offered["path/deep/clip.gguf"].why_not


def refused(store: ModelStore, ref: str, words: str) -> LabError:
    for ask in (store.fingerprint, store.load, store.fork):
        with pytest.raises(LabError, match=words) as caught:
            ask(ref)
        assert caught.value.hint
    converted = store._settings.home / "converted"
    assert not converted.exists() or not [file for file in converted.iterdir() if file.name.startswith(".")]
    return caught.value


@pytest.mark.parametrize(("more", "words"), [
    ({"swapped": True, "kind": "F16"}, "the other byte order"), ({"architecture": "mamba", "kind": "F16"}, "architecture 'mamba'"),
    ({"facts": {"tokenizer.ggml.pre": "tekken"}}, "cuts text in a way"), ({"facts": {"split.count": 3}}, "one of 3 parts"),
    ({"facts": {"general.type": "adapter"}}, "not a whole model but of the type adapter"),
])
def test_what_this_lab_cannot_use_is_refused_with_the_reason(store, models, more, words):
    file = write(models / "odd.gguf", tiny("llama"), **more)
    refused(store, "path/odd.gguf", words)
    file.unlink()


@pytest.mark.parametrize("keep", [3, 20, 500, 4000, -1, -70_000])
def test_a_file_cut_off_anywhere_is_refused_before_anything_is_allocated(store, models, keep):
    whole = (models / "tiny.Q8_0.gguf").read_bytes()
    file = models / "cut.gguf"
    file.write_bytes(whole[:keep])
    refused(store, "path/cut.gguf", "not a complete GGUF file|not a GGUF file")
    file.unlink()


@pytest.mark.parametrize("content", [
    b"", b"GGML" + bytes(100), b"PK\x03\x04" + bytes(100), b"GGUF" + struct.pack("<IQQ", 3, 2**60, 1),
    b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + struct.pack("<Q", 2**62), b"GGUF" + struct.pack("<IQQ", 1, 1, 1) + bytes(64),
    b"GGUF" + struct.pack("<IQQQ", 3, 1, 1, 1) + b"k" + struct.pack("<IIQ", 9, 9, 5) + bytes(64),
    b"GGUF" + struct.pack("<IQQ", 3, 0, 0) + bytes(64),
])
def test_headers_that_lie_are_refused(store, models, content):
    file = models / "lies.gguf"
    file.write_bytes(content)
    refused(store, "path/lies.gguf", "GGUF")
    file.unlink()


def test_seventy_billion_parameters_are_refused_by_their_header_alone(store, models):
    head = bytearray(b"GGUF" + struct.pack("<IQQ", 3, 1, 2))
    for key, value in (("general.architecture", "llama"), ("tokenizer.ggml.model", "gpt2")):
        head += struct.pack("<Q", len(key)) + key.encode() + struct.pack("<IQ", 8, len(value)) + value.encode()
    head += struct.pack("<Q", 1) + b"w" + struct.pack("<IQQIQ", 2, 70 * 10**9 // 32, 32, 2, 0)
    file = models / "huge.gguf"
    with file.open("wb") as stream:
        stream.write(head)
        stream.truncate(len(head) + 64 + 70 * 10**9 * 18 // 32)
    error = refused(store, "path/huge.gguf", r"needs 280.0 GB, .* GB free")
    assert "embedded/" in error.hint
    file.unlink()


def test_a_folder_with_two_models_asks_which(store, models):
    folder = save(tiny("gpt2"), models / "both")
    shutil.copy(models / "tiny.Q8_0.gguf", folder / "a.gguf")
    refused(store, "path/both", "holds a model in safetensors and a.gguf")
    assert store.fingerprint("path/both/a.gguf") == store.fingerprint("path/tiny.Q8_0.gguf")
    for name in ("config.json", "model.safetensors"):
        (folder / name).unlink()
    assert store.fingerprint("path/both") == store.fingerprint("path/both/a.gguf")
    shutil.copy(folder / "a.gguf", folder / "b.gguf")
    refused(store, "path/both", "several models: a.gguf, b.gguf")
    shutil.rmtree(folder)


def test_outside_the_folder_of_models_a_file_is_out_of_reach(store, models, tmp_path):
    secret = tmp_path / "secret.gguf"
    shutil.copy(models / "tiny.Q8_0.gguf", secret)
    (models / "link.gguf").symlink_to(secret)
    for ref in (f"path/{secret}", "path/link.gguf", "path/../secret.gguf"):
        refused(store, ref, "outside the folder of models|no model folder")
    (models / "link.gguf").unlink()


def test_stopping_a_conversion_ends_its_process_and_leaves_nothing(models, tmp_path):
    with pytest.raises(LabError, match="Stopped"):
        gguf.convert(models / "tiny.Q8_0.gguf", tmp_path / "made", stopped=lambda: True)
    assert list(tmp_path.iterdir()) == []


def test_looking_at_a_file_needs_no_torch(models):
    code = ("import sys; from pathlib import Path; from core.engine.gguf import read_header, check\n"
            "head = read_header(Path(sys.argv[1])); check(head)\n"
            "assert head.architecture == 'llama' and head.parameters > 10_000 and head.types == ('F32', 'Q8_0'), head\n"
            "assert 'torch' not in sys.modules and 'transformers' not in sys.modules")
    subprocess.run([sys.executable, "-c", code, str(models / "tiny.Q8_0.gguf")], cwd=REPOSITORY, check=True)


def test_each_architecture_named_here_is_one_that_the_library_reads():
    from transformers.modeling_gguf_pytorch_utils import GGUF_SUPPORTED_ARCHITECTURES

    renamed = {"qwen3moe": "qwen3_moe", "gpt-oss": "gpt_oss"}
    assert {renamed.get(name, name) for name in gguf.ARCHITECTURES} <= set(GGUF_SUPPORTED_ARCHITECTURES)


def test_a_strangers_header_is_read_in_another_process(store, models, monkeypatch):
    def never(*given):
        raise AssertionError("read in the lab")

    monkeypatch.setattr(gguf, "read_header", never)
    assert "GGUF" in next(offered.words for offered in store.offered() if offered.ref == "path/tiny.Q8_0.gguf")
