"""Models by reference: shared and read-only, or forked and yours.

    store = ModelStore(Settings())
    store.load("embedded/worlds").model      # everybody's
    store.fork("embedded/worlds").model      # a new module tree with copied, trainable parameters

Safetensors only, no remote code, memory checked before allocation, one load at a time per model.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import re
import shutil
import tempfile
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from core.engine.errors import LabError
from core.engine.families import family_name
from core.engine.hub import fetch
from core.engine.settings import ASSETS, Settings
from core.engine.weights import check_manifest, count_parameters, header, read_json, title, weight_files

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig, PreTrainedModel

GB = 10**9
BYTES_PER_PARAMETER = 4  # stored in any type, computed in fp32
# While transformers builds a model it patches itself and torch for all threads, and two at once undo that in the wrong order.
_BUILDING = threading.Lock()
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")


@dataclass(frozen=True)
class LoadedModel:
    """A model in eval mode with what a record has to say about it.

    fingerprint: 16 hex digits over config and weights.  family: see `families.family_name`.  tokenizer: None if the
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


class ModelStore:
    """All models of one process, least recently used forgotten first when they outgrow the memory budget."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._loading: dict[tuple[str, str], threading.Lock] = {}
        self._loaded: OrderedDict[tuple[str, str], LoadedModel] = OrderedDict()
        self._fingerprints: dict[tuple, str] = {}

    def embedded(self) -> list[str]:
        """Names of the models that come with the lab."""
        return sorted(file.parent.name for file in (ASSETS / "models").glob("[!.]*/config.json"))

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
        """16 hex digits over config.json and the weights; the same model in another place has the same one."""
        folder, _ = self._resolve(ref)
        _checked_config(folder)
        files = [folder / "config.json", *weight_files(folder)]
        key = tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files)
        if key not in self._fingerprints:
            self._check_fits(ref, count_parameters(files[1:]) * BYTES_PER_PARAMETER)  # before hashing what can never be loaded
            digest = hashlib.sha256()
            for file in files:
                with file.open("rb") as stream:
                    digest.update(hashlib.file_digest(stream, "sha256").digest())
            self._fingerprints[key] = digest.hexdigest()[:16]
        return self._fingerprints[key]

    def save(self, model: PreTrainedModel, folder: Path, tokenizer: Any = None, dtype: torch.dtype | None = None) -> None:
        """Writes safetensors, all or nothing; adapters are merged into a copy first. `dtype`: storage type, None for the model's own."""
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
            if folder.exists():
                shutil.rmtree(folder)
            part.rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    # ---- from a folder into memory ----

    def _read(self, ref: str, attention: str) -> LoadedModel:
        import torch

        folder, revision = self._resolve(ref)
        raw, files = _checked_config(folder), weight_files(folder)
        if ref.startswith("embedded/"):
            check_manifest(folder)
        kind = _architecture(ref, raw)
        try:
            with _BUILDING:
                self._make_room(ref, count_parameters(files))
                config = kind.config_class.from_pretrained(folder, local_files_only=True)
                self._make_room(ref, _promised_parameters(ref, kind, config, files))
                model, info = kind.from_pretrained(
                    folder, config=config, dtype=torch.float32, attn_implementation=attention, use_safetensors=True,
                    local_files_only=True, trust_remote_code=False, output_loading_info=True,
                )  # fmt: skip
            tokenizer = _tokenizer(folder)
        except LabError:
            raise
        except Exception as error:  # the folder is what somebody gave, and there is no end to what can be wrong with it
            reason = next(iter(str(error).replace(str(folder), title(folder)).splitlines()), type(error).__name__)[:200]
            raise LabError(f"{ref} could not be loaded: {reason}", "Check that its files are complete and belong together.") from error
        absent = sorted(info["missing_keys"])
        if absent:  # transformers would fill them with random numbers
            raise LabError(f"{ref} lacks {len(absent)} of its weights, {absent[0]} for one.", "Copy or download it again.")
        card = folder / "card.md"
        return LoadedModel(
            ref, model.to(_device()).eval(), tokenizer, self.fingerprint(ref), family_name(model.config.model_type),
            sum(p.numel() for p in model.parameters()), revision, card.read_text(encoding="utf-8") if card.is_file() else None,
        )  # fmt: skip

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

    # ---- from a reference to a folder ----

    def _resolve(self, ref: str) -> tuple[Path, str | None]:
        source, _, rest = ref.partition("/")
        find = {"embedded": self._embedded, "path": self._path, "run": self._kept, "hf": self._hub}.get(source)
        if find is None or not rest or not rest.isprintable():
            raise LabError(f"'{ref}' does not name a model.", "A model is embedded/NAME, hf/ORG/NAME, path/FOLDER or run/RUN_ID/NAME.")
        return find(rest)

    def _embedded(self, name: str) -> tuple[Path, None]:
        if name not in self.embedded():
            raise LabError(f"There is no embedded model called '{name}'.", f"There are: {self._embedded_refs()}.")
        return ASSETS / "models" / name, None

    def _embedded_refs(self) -> str:
        return ", ".join(f"embedded/{name}" for name in self.embedded()) or "none"

    def _path(self, rest: str) -> tuple[Path, None]:
        settings = self._settings
        root = settings.models_dir.expanduser().resolve() if settings.models_dir else None
        if root is None and not settings.any_path:
            raise LabError("Models from folders are switched off.", "Start the lab with --models DIR to allow the folders in DIR.")
        outside = LabError("That folder lies outside the folder of models.", "Only folders inside --models DIR can be loaded.")
        try:
            folder = (root / rest if root else Path(rest).expanduser()).resolve()
            if not settings.any_path and not folder.is_relative_to(root):
                raise outside
            if not folder.is_dir():
                raise FileNotFoundError(rest)
            files = [file.resolve() for file in folder.iterdir()]
        except (OSError, RuntimeError):  # RuntimeError: links in a circle, or the home of somebody unknown
            raise LabError(f"There is no model folder '{rest}'.", "Name a folder that holds config.json and safetensors.") from None
        if not settings.any_path and not all(file.is_relative_to(root) for file in files):
            raise outside
        return folder, None

    def _kept(self, rest: str) -> tuple[Path, None]:
        match = re.fullmatch(r"([a-z0-9][a-z0-9-]{3,79})/([a-z0-9_-]{1,40})", rest)
        folder = self._settings.runs / match[1] / "models" / match[2] if match else None
        if folder is None or not folder.is_dir():
            raise LabError(f"No run kept a model called 'run/{rest}'.", "Run the experiment again; its page names what it keeps.")
        return folder, None

    def _hub(self, rest: str) -> tuple[Path, str | None]:
        def check(folder: Path, size: int) -> None:
            config = _checked_config(folder)
            halved = config.get("dtype", config.get("torch_dtype")) in ("float16", "bfloat16")
            self._check_fits(f"hf/{rest}", size * (2 if halved else 1))

        folder = fetch(rest, before_weights=check, instead=f"Use an embedded model instead: {self._embedded_refs()}.")
        return folder, folder.name


def _checked_config(folder: Path) -> dict[str, Any]:
    """config.json, after a look at everything in the folder that could make a loader run code or read elsewhere."""
    try:
        config = read_json(folder / "config.json")
        tokenizer = folder / "tokenizer_config.json"
        asks = "auto_map" in config or (tokenizer.is_file() and "auto_map" in read_json(tokenizer))
    except (OSError, ValueError):
        message = f"There is no readable config.json in {title(folder)}."
        raise LabError(message, "A model folder holds config.json and safetensors.") from None
    if asks:
        raise LabError(f"The model in {title(folder)} asks to run code of its own.", "The lab never runs code that comes with a model.")
    if (folder / "adapter_config.json").exists():
        raise LabError(f"{title(folder)} holds an adapter, not a whole model.", "Merge it into its model and save that.")
    return config


def _architecture(ref: str, config: dict[str, Any]) -> type[PreTrainedModel]:
    import transformers

    transformers.utils.logging.disable_progress_bar()
    named = config.get("architectures")
    name = named[0] if isinstance(named, list) and named else None
    try:
        kind = getattr(transformers, name) if isinstance(name, str) else None
    except Exception:  # unknown, or known and in need of a library that is not here
        kind = None
    known = isinstance(kind, type) and issubclass(kind, transformers.PreTrainedModel)
    if not known or kind.config_class is None or kind.config_class.model_type != config.get("model_type"):
        raise LabError(
            f"The architecture of {ref} ({name or 'not named'}) is not one that this lab knows.",
            "Llama, Qwen, Mistral, GPT-2, LLaVA, CLIP and ViT models can be loaded.",
        )
    return kind


def _promised_parameters(ref: str, kind: type[PreTrainedModel], config: PretrainedConfig, files: list[Path]) -> int:
    """How many parameters the config asks for, counted on torch's meta device, which allocates nothing."""
    import torch

    parts = [config, *(getattr(config, name, None) for name in config.sub_configs)]
    layers = max(getattr(part, "num_hidden_layers", None) or 0 for part in parts)
    tensors = sum(len(header(file)) for file in files)
    if layers > tensors:
        raise LabError(f"The config of {ref} names {layers} layers, its files hold {tensors} tensors.", "Copy or download it again.")
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in kind(config).parameters())


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    if not any((folder / name).is_file() for name in TOKENIZERS):
        return None
    return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


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
