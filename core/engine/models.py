"""Models by reference: shared and read-only, or forked and yours.

    store = ModelStore(Settings())
    store.load("embedded/worlds").model      # everybody's
    store.fork("embedded/worlds").model      # a new module tree with copied, trainable parameters

Safetensors only, no remote code, memory checked before allocation, one load at a time per model.
"""

from __future__ import annotations

import copy
import dataclasses
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from core.engine import gguf, pipelines
from core.engine.architectures import architecture, attention_of, promised_parameters
from core.engine.errors import LabError
from core.engine.families import family_name
from core.engine.places import Places
from core.engine.settings import ASSETS, Settings
from core.engine.shop import Shop
from core.engine.tokenizers import read_tokenizer
from core.engine.weights import (
    Inspected,
    check_manifest,
    checked_apart,
    count_parameters,
    fingerprint,
    inspect,
    inspect_apart,
    title,
    weight_files,
)

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

GB = 10**9
MOST_INSPECTED = 256
REFUSED_S = 30.0  # so long the reason why a file cannot be used is not asked for again
BYTES_PER_PARAMETER = 4  # stored in any type, computed in fp32
# While transformers builds a model it patches itself and torch for all threads, and two at once undo that in the wrong order.
_BUILDING = threading.Lock()


@dataclass(frozen=True)
class LoadedModel:
    """A model in eval mode with what a record has to say about it.

    fingerprint: see `ModelStore.fingerprint`.  family: see `families.family_name`.  tokenizer: None if the
    model has none.  parameters: tied ones count once.  revision: the commit of a model from the hub.
    """

    ref: str
    model: PreTrainedModel
    tokenizer: Any
    fingerprint: str
    family: str
    parameters: int
    revision: str | None
    card: str | None


@dataclass(frozen=True)
class Offered:
    """A model that may be chosen: its reference, words for people, why it cannot be used (None: it can), and its family."""

    ref: str
    words: str
    why_not: str | None
    family: str = "other"


class ModelStore:
    """All models of one process, least recently used forgotten first when they outgrow the memory budget."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._places = Places(settings, self._check_download)
        self._lock = threading.Lock()
        self._loading: dict[tuple[str, str], threading.Lock] = {}
        self._loaded: OrderedDict[tuple[str, str], LoadedModel] = OrderedDict()
        self._fingerprints: dict[tuple, str] = {}
        self._inspected: OrderedDict[Path, tuple[tuple, Inspected]] = OrderedDict()
        self._headers: dict[tuple, gguf.Header] = {}
        self._refused: dict[tuple, tuple[float, LabError]] = {}

    def embedded(self) -> list[str]:
        """Names of the models that come with the lab."""
        return self._places.embedded()

    def got(self, name: str) -> Path:
        """The folder of something that was got; LabError while it is not here."""
        return Shop(self._settings).folder(name)

    def load(self, ref: str, *, attention: str = "sdpa") -> LoadedModel:
        """The shared instance; never change it. Raises LabError when it cannot or may not be loaded."""
        key = (f"{ref}@{self.fingerprint(ref)}", attention)
        with self._lock:
            gate = self._loading.setdefault(key, threading.Lock())
        with gate:
            with self._lock:
                if key in self._loaded:
                    self._loaded.move_to_end(key)
                    return self._loaded[key]
            loaded = self._read(ref, attention)
            loaded.model.requires_grad_(False)
            with self._lock:
                self._loaded[key] = loaded
            return loaded

    def fork(self, ref: str, *, share_weights: bool = False, attention: str = "sdpa") -> LoadedModel:
        """A new module tree: parameters copied and trainable, or shared with the loaded model and frozen (for adapters)."""
        if not share_weights:
            return self._read(ref, attention)
        shared = self.load(ref, attention=attention)
        return dataclasses.replace(shared, model=_shared_copy(shared.model), tokenizer=copy.deepcopy(shared.tokenizer))

    def fingerprint(self, ref: str) -> str:
        """16 hex digits over all that changes a model's answers: config, weights, tokenizer, templates, generation settings.

        The same model in another place has the same one.
        """
        folder, _ = self._places.find(ref)
        if folder.is_file():
            return self._gguf_fingerprint(ref, folder)
        if pipelines.is_pipeline(folder):
            return self._pipeline_fingerprint(ref, folder)
        looked = self._inspect(folder)
        key = _stamps([folder / "config.json", *looked.weights, *looked.character])
        if key not in self._fingerprints:
            self._check_fits(ref, looked.parameters * BYTES_PER_PARAMETER)  # before hashing what can never be loaded
            self._fingerprints[key] = fingerprint(folder, looked.weights)
        return self._fingerprints[key]

    def _inspect(self, folder: Path) -> Inspected:
        """What the folder says of itself; what did not come from this lab is read apart, and again once a file of it has changed."""
        if folder.is_relative_to(ASSETS) or folder.is_relative_to(self._settings.home):
            return inspect(folder)
        key = _stamps(sorted(folder.rglob("*")))
        with self._lock:
            known = self._inspected.get(folder)
        if known is None or known[0] != key:
            known = key, inspect_apart(folder)
            with self._lock:
                self._inspected[folder] = known
                while len(self._inspected) > MOST_INSPECTED:
                    self._inspected.popitem(last=False)
        return known[1]

    def folder(self, ref: str) -> Path:
        """Where the files of a model, or of what a run kept, lie: to be read with suspicion."""
        return self._places.find(ref)[0]

    def _pipeline_fingerprint(self, ref: str, folder: Path) -> str:
        """Of a folder of several models, which `core/engine/pipelines.py` loads."""
        key = _stamps(sorted(file for file in folder.rglob("*") if file.is_file()))
        if key not in self._fingerprints:
            seen = pipelines.inspect(folder)
            self._check_fits(ref, seen["parameters"] * BYTES_PER_PARAMETER)
            self._fingerprints[key] = pipelines.fingerprint(folder, seen["files"])
        return self._fingerprints[key]

    def _gguf_fingerprint(self, ref: str, file: Path) -> str:
        key = _stamps([file])
        if key not in self._fingerprints:
            head = self._gguf_header(file)
            self._check_fits(ref, head.parameters * BYTES_PER_PARAMETER)  # before hashing what can never be loaded
            self._fingerprints[key] = gguf.fingerprint(file)
        return self._fingerprints[key]

    def _gguf_header(self, file: Path) -> gguf.Header:
        """Of a file that this lab can use. Read once for each version of the file, since every page asks for all of them; one that it
        cannot use is looked at again after a while."""
        key = _stamps([file])
        since, refused = self._refused.get(key, (0.0, None))
        if refused and time.monotonic() - since < REFUSED_S:
            raise LabError(refused.message, refused.hint)
        if key not in self._headers:
            try:
                self._headers[key] = gguf.looked_at(file)
            except LabError as problem:
                self._refused[key] = time.monotonic(), problem
                raise
        return self._headers[key]

    def offered(self) -> list[Offered]:
        """What of the visitor's own can be chosen: models that were got, and folders and GGUF files under --models, each looked at.

        Nothing is loaded. What cannot be used is listed with the reason, so that nobody wonders where it is.
        """
        return [self._look(ref) for ref in self._places.own()]

    def _look(self, ref: str) -> Offered:
        try:
            place, _ = self._places.find(ref)
            if place.is_file():
                head = self._gguf_header(place)
                words, parameters, kind = f"{ref.partition('/')[2]}: {head.title} (GGUF)", head.parameters, gguf.model_type(head)
            else:
                looked = self._inspect(place)
                words, parameters, kind = ref.partition("/")[2], looked.parameters, looked.config.get("model_type")
            self._check_fits(ref, parameters * BYTES_PER_PARAMETER)
            return Offered(ref, f"{words}, {parameters / 1e6:,.0f} million parameters", None, family_name(kind))
        except LabError as problem:
            return Offered(ref, ref.partition("/")[2], str(problem))
        except OSError as problem:
            return Offered(ref, ref.partition("/")[2], f"It cannot be read: {problem.strerror}.")

    def save(self, model: PreTrainedModel, folder: Path, tokenizer: Any = None, dtype: torch.dtype | None = None) -> None:
        """Writes safetensors, all or nothing; adapters are merged into a copy first. `dtype`: storage type, None for the model's own."""
        settle_generation(model)
        if hasattr(model, "merge_and_unload"):
            model = copy.deepcopy(model).merge_and_unload()
        if dtype is not None and dtype != model.dtype:
            model = copy.deepcopy(model).to(dtype)  # keeps tied weights tied and integers integers
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=".part-", dir=folder.parent))
        try:
            model.save_pretrained(part)
            if tokenizer is not None:
                tokenizer.save_pretrained(part)
            inspect(part)  # some models write everything but weights and say nothing
            _put_in_place(part, folder)
        except (ValueError, TypeError, NotImplementedError) as error:
            raise LabError(f"This model could not be kept: {_first_line(error)}",
                           "The numbers of this run stand; the model is not stored.") from error
        finally:
            shutil.rmtree(part, ignore_errors=True)

    # ---- from a folder into memory ----

    def _read(self, ref: str, attention: str) -> LoadedModel:
        import torch

        folder, revision = self._places.find(ref)
        if folder.is_file():
            folder = self._converted(ref, folder)
        looked = self._inspect(folder)
        if ref.startswith("embedded/"):
            check_manifest(folder)
        kind = architecture(ref, looked.config)
        try:
            with _BUILDING:
                self._make_room(ref, looked.parameters)
                config = kind.config_class.from_pretrained(folder, local_files_only=True)
                self._make_room(ref, promised_parameters(ref, kind, config, looked))
                model, info = kind.from_pretrained(
                    folder, config=config, dtype=torch.float32, attn_implementation=attention_of(kind, attention), use_safetensors=True,
                    local_files_only=True, trust_remote_code=False, output_loading_info=True,
                )  # fmt: skip
            tokenizer = read_tokenizer(folder)
        except LabError:
            raise
        except Exception as error:  # the folder is what somebody gave, and there is no end to what can be wrong with it
            raise _not_loaded(ref, kind, folder, error) from error
        absent = sorted(info["missing_keys"])
        if absent:  # transformers would fill them with random numbers
            raise LabError(f"{ref} lacks {len(absent)} of its weights, {absent[0]} for one.", "Copy or download it again.")
        settle_generation(model)
        card = folder / "card.md"
        return LoadedModel(
            ref, model.to(_device()).eval(), tokenizer, self.fingerprint(ref), family_name(model.config.model_type),
            sum(p.numel() for p in model.parameters()), revision, card.read_text(encoding="utf-8") if card.is_file() else None,
        )  # fmt: skip

    def _converted(self, ref: str, file: Path) -> Path:
        """The folder made from a GGUF file: the first time this takes about a minute, then it is there."""
        folder = self._settings.home / "converted" / self._gguf_fingerprint(ref, file)
        with self._lock:
            gate = self._loading.setdefault((str(folder), "convert"), threading.Lock())
        with gate:
            if not (folder / "config.json").is_file():
                self._make_room(ref, gguf.looked_at(file).parameters * gguf.BYTES_WHILE_CONVERTING // BYTES_PER_PARAMETER)
                gguf.convert(file, folder)
        return folder

    def _check_download(self, ref: str, folder: Path, size: int) -> None:
        """Before the weights of a model from the hub are fetched: `folder` holds everything else, `size` is theirs in bytes."""
        config = checked_apart(folder)
        halved = config.get("dtype", config.get("torch_dtype")) in ("float16", "bfloat16")
        self._check_fits(ref, size * (2 if halved else 1))

    def _make_room(self, ref: str, parameters: int) -> None:
        needed = parameters * BYTES_PER_PARAMETER
        with self._lock:
            while self._loaded and self._held() + needed > self._settings.memory_budget:
                self._loaded.popitem(last=False)
        self._check_fits(ref, needed)

    def _held(self) -> int:
        return sum(loaded.parameters * BYTES_PER_PARAMETER for loaded in list(self._loaded.values()))

    def _check_fits(self, ref: str, needed: int) -> None:
        free = min(_free_memory() + self._held(), self._settings.memory_budget)  # what is held makes way, see _make_room
        if needed > free:
            fitting = [
                f"embedded/{name}" for name in self.embedded()
                if count_parameters(weight_files(ASSETS / "models" / name)) * BYTES_PER_PARAMETER <= free
            ]  # fmt: skip
            raise LabError(
                f"{ref} needs {needed / GB:.1f} GB, {free / GB:.1f} GB free.",
                f"These would fit: {', '.join(fitting) or 'none of the embedded models'}.",
            )


def _stamps(files: Iterable[Path]) -> tuple:
    """Changes when one of the files does; a link counts as what it leads to, where it leads to something."""
    looks = [(str(file), file.stat() if file.exists() else file.lstat()) for file in files]
    return tuple((name, about.st_mtime_ns, about.st_size) for name, about in looks)


def _put_in_place(part: Path, folder: Path) -> None:
    """Renames `part` to `folder`; what was there before is gone afterwards, or back if that failed."""
    old = part.with_name(f"{part.name}.old")
    if folder.exists():
        folder.rename(old)
    try:
        part.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def settle_generation(model: PreTrainedModel) -> None:
    """Takes out of a model's generation settings what does not act there: the library would refuse to save the model with it.

    Sampling fields without sampling, beam fields without beams, outputs that nobody asked for; what acts stays as it is.
    """
    settings = getattr(model, "generation_config", None)
    if settings is None:
        return
    idle = []
    if not settings.do_sample:
        idle += ["temperature", "top_k", "top_p", "min_p", "top_h", "typical_p", "epsilon_cutoff", "eta_cutoff"]
    if (settings.num_beams or 1) == 1:
        idle += ["early_stopping", "length_penalty"]
    if not settings.return_dict_in_generate:
        idle += settings.extra_output_flags
    for name in idle:
        setattr(settings, name, None)
    if settings.pad_token_id is not None and settings.pad_token_id < 0:
        settings.pad_token_id = None


def _not_loaded(ref: str, kind: type[PreTrainedModel], folder: Path, error: Exception) -> LabError:
    """What transformers said, and whose fault it is: the files', or a limit of the library."""
    reason = _first_line(error).replace(str(folder), title(folder))
    if isinstance(error, ImportError | NotImplementedError) or "does not support" in reason:
        return LabError(f"{ref} could not be loaded, because the library cannot do it: {reason}",
                        f"Its files may be in order; this version knows {kind.__name__} only in part. Choose another model.")
    return LabError(f"{ref} could not be loaded: {reason}", "Check that its files are complete and belong together.")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:200]


def _shared_copy(model: PreTrainedModel) -> PreTrainedModel:
    """A new module tree over the same storage, frozen; tied parameters stay tied, buffers are copied."""
    from torch import nn

    return copy.deepcopy(model, {id(own): nn.Parameter(own.data, requires_grad=False) for own in model.parameters()})


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _free_memory() -> int:
    import torch

    return torch.cuda.mem_get_info()[0] if _device() == "cuda" else psutil.virtual_memory().available
