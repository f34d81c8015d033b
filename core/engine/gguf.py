"""GGUF files, as LM Studio, Ollama and llama.cpp keep them: looked at without torch, converted once to a folder that the lab can load.

    head = looked_at(file)                       # title, architecture, parameters; LabError with the reason where it cannot be used
    convert(file, folder, stopped=lambda: False) # fp16 safetensors with tokenizer, computed by a process of its own

Stored as fp16: the numbers of a quantised file have fewer digits than that (a round trip moves a logit by 0.04, bf16 by 0.28).
A model opened by transformers straight from the file would be float32 and take ten times as long to load.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from core.engine.errors import LabError
from core.engine.reader import asked
from core.engine.settings import REPOSITORY
from core.engine.weights import sha256

MAGIC = b"GGUF"
REVISION = 1  # of the conversion: raise it when equal files come out otherwise
MOST_ENTRIES, LONGEST_TEXT = 2_000_000, 64 * 1024**2
BYTES_WHILE_CONVERTING = 7  # per parameter: fp16 and the largest tensor as fp32; measured 1.2 GB for 135 million with the libraries

# what a file calls its architecture -> what it is called here; each has a row in families.py
ARCHITECTURES = {
    "llama": "Llama or Mistral", "qwen2": "Qwen2", "qwen3": "Qwen3", "qwen3moe": "Qwen3 with experts", "gemma2": "Gemma 2",
    "gemma3": "Gemma 3", "phi3": "Phi-3", "falcon": "Falcon", "stablelm": "StableLM", "gpt2": "GPT-2", "gpt-oss": "GPT-OSS",
}  # fmt: skip
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_WORDS = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
# how text is cut before the merges (`tokenizer.ggml.pre`): regular expressions of the peers' own tokenizer.json files
CUTS: dict[str, tuple[str, ...]] = {
    "default": (_GPT2,), "gpt-2": (_GPT2,), "phi-2": (_GPT2,), "olmo": (_GPT2,),
    "smollm": (r"\p{N}", _GPT2), "starcoder": (r"\p{N}", _GPT2), "refact": (r"\p{N}", _GPT2), "command-r": (r"\p{N}", _GPT2),
    "llama-bpe": (_WORDS % "{1,3}",), "llama3": (_WORDS % "{1,3}",), "llama-v3": (_WORDS % "{1,3}",), "smaug-bpe": (_WORDS % "{1,3}",),
    "qwen2": (_WORDS % "",), "stablelm2": (_WORDS % "",), "deepseek-r1-qwen": (_WORDS % "",),
}  # fmt: skip
BEGINS_WITH_BOS = ("llama-bpe", "llama3", "llama-v3", "smaug-bpe")
_OTHER_FILE = "Choose another file, for example one named Q8_0, Q6_K, Q5_K_M, Q4_K_M or F16."


@dataclass(frozen=True)
class Header:
    """What a GGUF file says of itself. `facts`: its metadata without the long lists; `types`: names of its number formats."""

    name: str
    facts: dict[str, Any]
    parameters: int
    types: tuple[str, ...]

    @property
    def architecture(self) -> str:
        return str(self.facts.get("general.architecture", ""))

    @property
    def title(self) -> str:
        """For people: the model's name, or the file's."""
        given = self.facts.get("general.name")
        return given if isinstance(given, str) and given.strip() else self.name


def is_gguf(file: Path) -> bool:
    """By its first bytes: Ollama's files have no ending."""
    try:
        with file.open("rb") as stream:
            return stream.read(4) == MAGIC
    except OSError:
        return False


def read_header(file: Path) -> Header:
    """Raises LabError for a file that is not GGUF, of another byte order or version, or cut off."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        if stream.read(4) != MAGIC:
            raise LabError(f"{file.name} is not a GGUF file, whatever its name says.", _OTHER_FILE)
        version = _number(stream, "<I", file)
        if version & 0xFFFF == 0:
            raise LabError(f"{file.name} was written for machines of the other byte order.", "Convert it again on a machine like this one.")
        if version not in (2, 3):
            raise LabError(f"{file.name} is GGUF version {version}; versions 2 and 3 can be read.", "Convert it again with today's tools.")
        tensors, facts = _number(stream, "<Q", file), _number(stream, "<Q", file)
        if max(tensors, facts) > MOST_ENTRIES:
            raise _cut_off(file)
        found = {}
        for _ in range(facts):
            key = _text(stream, file)
            value = _value(stream, _number(stream, "<I", file), file)
            if value is not None:
                found[key] = value
        infos = [_tensor(stream, file) for _ in range(tensors)]
        alignment = found.get("general.alignment", 32)
        if not isinstance(alignment, int) or not 1 <= alignment <= 2**20:
            raise _cut_off(file)
        start = -(-stream.tell() // alignment) * alignment
    if not infos or any(start + offset + length > size for _, _, offset, length in infos):
        raise _cut_off(file)
    return Header(file.name, found, sum(count for _, count, _, _ in infos), tuple(sorted({kind for kind, *_ in infos})))


def check(head: Header) -> None:
    """Raises LabError where this lab cannot use the file, and says why."""
    facts, name = head.facts, head.name
    if facts.get("split.count", 0) and facts["split.count"] > 1:
        raise LabError(f"{name} is one of {facts['split.count']} parts of a model.", "Join them with llama.cpp's gguf-split --merge first.")
    if facts.get("general.type", "model") != "model":
        raise LabError(f"{name} is not a whole model but of the type {facts['general.type']}.", "Choose the file of the model itself.")
    if head.architecture not in ARCHITECTURES:
        raise LabError(f"{name} is a model of the architecture '{head.architecture[:40]}', which this lab cannot read from GGUF.",
                       f"It reads: {', '.join(ARCHITECTURES.values())}.")
    unknown = [kind for kind in head.types if kind not in _dequantisable()]
    if unknown:
        raise LabError(f"{name} stores its numbers as {', '.join(unknown)}, which this lab cannot read.", _OTHER_FILE)
    kind, cut = facts.get("tokenizer.ggml.model"), facts.get("tokenizer.ggml.pre", "default")
    if kind == "gpt2" and cut not in CUTS:
        raise LabError(f"{name} cuts text in a way ('{str(cut)[:40]}') that this lab does not know; its answers would be of other words.",
                       "Choose another model, or its folder with safetensors and tokenizer.json.")
    if kind not in ("gpt2", "llama"):
        raise LabError(f"{name} brings no tokenizer that this lab can read.", "Choose another model.")


def looked_at(file: Path) -> Header:
    """The checked header, without most of its facts, read in the process for the bytes of strangers. Raises LabError as `check` does."""
    [found] = asked("core.engine.gguf:header", file=str(file.absolute()))
    return Header(**found | {"types": tuple(found["types"])})


def header(file: str) -> Iterator[tuple[dict[str, Any], bytes]]:
    """In the reading process: what `looked_at` gives."""
    head = read_header(Path(file))
    check(head)
    facts = {name: str(head.facts[name])[:200] for name in ("general.name", "general.architecture") if name in head.facts}
    yield {"name": head.name, "facts": facts, "parameters": head.parameters, "types": list(head.types)}, b""


def model_type(head: Header) -> str:
    """What the library calls the architecture of the file."""
    return {"qwen3moe": "qwen3_moe", "gpt-oss": "gpt_oss", "gemma3": "gemma3_text"}.get(head.architecture, head.architecture)


def fingerprint(file: Path) -> str:
    """16 hex digits over the whole file and the way it is converted."""
    return hashlib.sha256(f"gguf {REVISION} {sha256(file)}".encode()).hexdigest()[:16]


def convert(file: Path, folder: Path, *, stopped: Callable[[], bool] = lambda: False) -> Path:
    """Writes the model in `file` as fp16 safetensors with config and tokenizer to `folder`, all or nothing; takes about a minute.

    The work is done by a process of its own: what it takes of memory is given back, and it ends when `stopped` says so.
    Raises LabError with the reason, also for a full disk.
    """
    head = looked_at(file)
    folder.parent.mkdir(parents=True, exist_ok=True)
    need_disk(folder.parent, 2 * head.parameters + 64 * 1024**2, head.title)
    part = Path(tempfile.mkdtemp(prefix=".part-", dir=folder.parent))
    try:
        _in_a_child(file, part, stopped)
        if not folder.exists():
            part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def need_disk(folder: Path, needed: int, what: str) -> None:
    """Raises LabError unless `needed` bytes are free where `folder` lies."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise LabError(f"{what} needs {needed / 1e6:,.0f} MB on disk, {free / 1e6:,.0f} MB are free.", "Make room, then try again.")


def _in_a_child(file: Path, part: Path, stopped: Callable[[], bool]) -> None:
    paths = os.pathsep.join([str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])])
    with tempfile.TemporaryFile() as said:
        child = subprocess.Popen([sys.executable, "-m", "core.engine.gguf", str(file), str(part)], stdin=subprocess.DEVNULL, stdout=said,
                                 stderr=subprocess.DEVNULL, cwd=REPOSITORY, env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"})
        try:
            while child.poll() is None:
                if stopped():
                    raise LabError("Stopped.", "Press again to start anew.")
                time.sleep(0.1)
        finally:
            if child.poll() is None:
                child.kill()
            child.wait()
        said.seek(0)
        answer = said.read().decode("utf-8", "replace").strip().splitlines()
    if child.returncode == 0:
        return
    try:
        error = json.loads(answer[-1])
        raise LabError(error["error"], error["hint"])
    except (IndexError, ValueError, KeyError, TypeError):
        raise LabError(f"{file.name} could not be converted: the process that did it was ended (status {child.returncode}).",
                       "There may be too little memory: close other programs, or choose a smaller file.") from None


# ---- the header, byte by byte ----

_PLAIN = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9


def _cut_off(file: Path) -> LabError:
    return LabError(f"{file.name} is not a complete GGUF file.", "Download or copy it again.")


def _bytes(stream: BinaryIO, count: int, file: Path) -> bytes:
    got = stream.read(count)
    if len(got) != count:
        raise _cut_off(file)
    return got


def _number(stream: BinaryIO, form: str, file: Path) -> Any:
    return struct.unpack(form, _bytes(stream, struct.calcsize(form), file))[0]


def _text(stream: BinaryIO, file: Path) -> str:
    length = _number(stream, "<Q", file)
    if length > LONGEST_TEXT:
        raise _cut_off(file)
    return _bytes(stream, length, file).decode("utf-8", "replace")


def _value(stream: BinaryIO, kind: int, file: Path) -> Any:
    """A number or a text; None for a list, which is only passed over."""
    if kind in _PLAIN:
        return _number(stream, _PLAIN[kind], file)
    if kind == _STRING:
        return _text(stream, file)
    if kind != _ARRAY:
        raise _cut_off(file)
    kind, count = _number(stream, "<I", file), _number(stream, "<Q", file)
    if count > MOST_ENTRIES * 8:
        raise _cut_off(file)
    if kind in _PLAIN:
        stream.seek(struct.calcsize(_PLAIN[kind]) * count, os.SEEK_CUR)
    elif kind == _STRING:
        for _ in range(count):
            length = _number(stream, "<Q", file)
            if length > LONGEST_TEXT:
                raise _cut_off(file)
            stream.seek(length, os.SEEK_CUR)
    else:
        raise _cut_off(file)
    return None


def _tensor(stream: BinaryIO, file: Path) -> tuple[str, int, int, int]:
    """(number format, how many numbers, offset, length in bytes)."""
    _text(stream, file)
    dimensions = _number(stream, "<I", file)
    if dimensions > 8:
        raise _cut_off(file)
    count = math.prod(_number(stream, "<Q", file) for _ in range(dimensions))
    number, offset = _number(stream, "<I", file), _number(stream, "<Q", file)
    sizes = _sizes()
    if number not in sizes:
        return f"format {number}", count, offset, 0
    name, block, length = sizes[number]
    return name, count, offset, -(-count // block) * length


def _sizes() -> dict[int, tuple[str, int, int]]:
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

    return {int(kind): (kind.name, *GGML_QUANT_SIZES[kind]) for kind in GGMLQuantizationType if kind in GGML_QUANT_SIZES}


def _dequantisable() -> set[str]:
    from gguf import quants

    return {"F32", "F16", "BF16", *(kind.name for kind in quants._type_traits)}


# ---- the conversion, in its own process ----


def main(file: Path, folder: Path) -> None:
    """Converts; the last line on standard output is `{"error", "hint"}` if that failed, and the status 1."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.utils.quantization_config import GgufConfig

    torch.set_num_threads(1)
    head = read_header(file)
    given: dict[str, Any] = {"gguf_file": file.name, "local_files_only": True, "trust_remote_code": False}
    config = AutoConfig.from_pretrained(file.parent, **given)
    model, info = AutoModelForCausalLM.from_pretrained(
        file.parent, config=config, dtype=torch.float16, quantization_config=GgufConfig(dequantize=True), output_loading_info=True, **given)
    missing = sorted(info["missing_keys"])
    if missing:
        raise LabError(f"{file.name} lacks {len(missing)} of its model's weights, {missing[0]} for one.", "Download or copy it again.")
    bad = [name for name, parameter in model.named_parameters() if not torch.isfinite(parameter).all()]
    if bad:
        raise LabError(f"{file.name} holds numbers too large for 16 bits ({bad[0]}).", "Choose another file of this model.")
    vars(model.config).pop("_model_name_or_path", None)
    model.config._name_or_path = ""
    model.config.architectures = [type(model).__name__]
    tokenizer = _tokenizer(file, head, given)
    _say_ends(model, tokenizer)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _tokenizer(file: Path, head: Header, given: dict[str, Any]) -> Any:
    """The tokenizer of the file, cutting text and beginning it as llama.cpp does with this file."""
    from tokenizers import Regex, pre_tokenizers, processors
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(file.parent, **given)
    cut = head.facts.get("tokenizer.ggml.pre", "default")
    spm = head.facts.get("tokenizer.ggml.model") == "llama"
    backend = tokenizer.backend_tokenizer
    if not spm:
        steps = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in CUTS[cut]]
        backend.pre_tokenizer = pre_tokenizers.Sequence([*steps, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    begins = head.facts.get("tokenizer.ggml.add_bos_token", spm or cut in BEGINS_WITH_BOS)
    ids = tokenizer("a").input_ids
    if bool(begins) != (tokenizer.bos_token_id is not None and ids[:1] == [tokenizer.bos_token_id]):
        before = f"{tokenizer.bos_token}:0 " if begins else ""
        special = [(tokenizer.bos_token, tokenizer.bos_token_id)] if begins else []
        backend.post_processor = processors.TemplateProcessing(single=f"{before}$A:0", pair=f"{before}$A:0 $B:1", special_tokens=special)
    return tokenizer


def _say_ends(model: Any, tokenizer: Any) -> None:
    """The tokens that begin, end and pad, where the model's own settings do not name them."""
    for settings in (model.config, model.generation_config):
        for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
            if getattr(settings, name, None) is None:
                setattr(settings, name, getattr(tokenizer, name))


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except LabError as problem:
        print(json.dumps(problem.to_dict()))
        sys.exit(1)
    except Exception as problem:  # the file is what somebody gave, and there is no end to what can be wrong with it
        reason = next(iter(str(problem).splitlines()), type(problem).__name__)[:200].replace(str(Path(sys.argv[1]).parent), "")
        print(json.dumps(LabError(f"{Path(sys.argv[1]).name} could not be converted: {reason}",
                                  "The file may be damaged, or of a kind that the library cannot read yet.").to_dict()))
        sys.exit(1)
