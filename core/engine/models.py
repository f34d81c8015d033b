"""Models by reference: shared and read-only, or forked and yours.

    store = ModelStore(Settings())
    store.load("embedded/authors").model      # everybody's
    store.fork("embedded/authors").model      # a new module tree with copied, trainable parameters

Safetensors only, no remote code, memory checked before allocation, one load at a time per model.
"""

from __future__ import annotations

import hashlib
import json
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
from core.engine.settings import ASSETS, Settings
from core.engine.weights import check_manifest, count_parameters, weight_files

if TYPE_CHECKING:
    from transformers import PreTrainedModel

FAMILIES = {"llama": "llama", "mistral": "llama", "qwen2": "llama", "qwen3": "llama", "gpt2": "gpt2", "llava": "llava",
            "qwen2_vl": "qwen_vl", "qwen3_vl": "qwen_vl", "clip": "clip", "clip_vision_model": "clip",
            "clip_text_model": "clip", "vit": "vit", "deit": "vit"}
GIB = 1024**3


@dataclass(frozen=True)
class LoadedModel:
    """A model in eval mode with what a record has to say about it. `fingerprint`: 16 hex digits over config and weights."""

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
        return sorted(file.parent.name for file in (ASSETS / "models").glob("*/config.json"))

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
                while len(self._loaded) > 1 and self._held() > self._settings.memory_budget:
                    self._loaded.popitem(last=False)
            return loaded

    def _held(self) -> int:
        return sum(loaded.parameters * 4 for loaded in self._loaded.values())

    def fork(self, ref: str, *, share_weights: bool = False, attention: str = "sdpa") -> LoadedModel:
        """A new module tree: parameters copied and trainable, or shared with the loaded model and frozen (for adapters)."""
        import torch

        if not share_weights:
            return self._read(ref, attention)
        shared = self.load(ref, attention=attention)
        own = self._read(ref, attention)
        with torch.no_grad():
            donors = dict(shared.model.named_parameters())
            for name, parameter in own.model.named_parameters():
                parameter.data = donors[name].data
        own.model.requires_grad_(False)
        return own

    def _read(self, ref: str, attention: str) -> LoadedModel:
        import torch
        import transformers

        folder, revision = self._resolve(ref)
        config, files = self._config(folder), weight_files(folder)
        count = count_parameters(files)
        self._check_memory(ref, count)
        check_manifest(folder)
        kind = getattr(transformers, (config.get("architectures") or [""])[0], None)
        if not (isinstance(kind, type) and issubclass(kind, transformers.PreTrainedModel)):
            raise LabError(f"The architecture of {ref} ({config.get('architectures')}) is not one that this lab knows.",
                           "Llama, Qwen, Mistral, GPT-2, LLaVA, CLIP and ViT models can be loaded.")
        device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            model = kind.from_pretrained(folder, dtype=torch.float32, attn_implementation=attention, use_safetensors=True,
                                         local_files_only=True, trust_remote_code=False).to(device).eval()
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise LabError(f"{ref} could not be loaded: {str(error).splitlines()[0][:200]}.", "Check that the folder is complete.") from error
        card = folder / "card.md"
        return LoadedModel(ref, model, self._tokenizer(folder), self.fingerprint(ref),
                           FAMILIES.get(config.get("model_type", ""), "other"),
                           sum(p.numel() for p in model.parameters()), revision, card.read_text() if card.is_file() else None)

    def _tokenizer(self, folder: Path) -> Any:
        from transformers import AutoTokenizer

        if not (folder / "tokenizer.json").is_file():
            return None
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)

    def _config(self, folder: Path) -> dict[str, Any]:
        try:
            config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
            extra = folder / "tokenizer_config.json"
            asks = "auto_map" in config or extra.is_file() and "auto_map" in json.loads(extra.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise LabError(f"There is no readable config.json in {folder.name}.", "A model folder holds config.json and safetensors.") from None
        if asks:
            raise LabError(f"The model in {folder.name} asks to run code of its own.", "The lab never runs code that comes with a model.")
        return config

    def _check_memory(self, ref: str, count: int) -> None:
        needed = count * 4
        free = min(psutil.virtual_memory().available, self._settings.memory_budget)
        if needed > free:
            fitting = [f"embedded/{name}" for name in self.embedded()
                       if count_parameters(weight_files(ASSETS / "models" / name)) * 4 <= free]
            raise LabError(f"{ref} needs {needed / GIB:.1f} GB, {free / GIB:.1f} GB are free.",
                           f"These would fit: {', '.join(fitting) or 'none of the embedded models'}.")

    def fingerprint(self, ref: str) -> str:
        """16 hex digits over config.json and the weights; the same model in another place has the same one."""
        folder, _ = self._resolve(ref)
        self._config(folder)
        files = [folder / "config.json", *weight_files(folder)]
        key = tuple((str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files)
        if key not in self._fingerprints:
            count_parameters(files[1:])
            digest = hashlib.sha256()
            for file in files:
                with file.open("rb") as stream:
                    digest.update(hashlib.file_digest(stream, "sha256").digest())
            self._fingerprints[key] = digest.hexdigest()[:16]
        return self._fingerprints[key]

    def _resolve(self, ref: str) -> tuple[Path, str | None]:
        source, _, rest = ref.partition("/")
        find = {"embedded": self._embedded, "path": self._path, "run": self._kept, "hf": self._hub}.get(source)
        if find is None or not rest:
            raise LabError(f"'{ref}' does not name a model.", "A model is embedded/NAME, hf/ORG/NAME, path/FOLDER or run/RUN_ID/NAME.")
        return find(rest)

    def _embedded(self, name: str) -> tuple[Path, None]:
        if name not in self.embedded():
            raise LabError(f"There is no embedded model called '{name}'.",
                           f"There are: {', '.join('embedded/' + known for known in self.embedded())}.")
        return ASSETS / "models" / name, None

    def _path(self, rest: str) -> tuple[Path, None]:
        root = self._settings.models_dir
        if root is None and not self._settings.any_path:
            raise LabError("Models from folders are switched off.", "Start the lab with --models DIR to allow the folders in DIR.")
        folder = (root / rest if root else Path(rest)).expanduser().resolve()
        if not self._settings.any_path and not folder.is_relative_to(root.resolve()):
            raise LabError("That folder lies outside the folder of models.", "Only folders inside --models DIR can be loaded.")
        if not folder.is_dir():
            raise LabError(f"There is no model folder '{rest}'.", "Name a folder that holds config.json and safetensors.")
        return folder, None

    def _kept(self, rest: str) -> tuple[Path, None]:
        match = re.fullmatch(r"([a-z0-9][a-z0-9-]{3,79})/([a-z0-9_-]{1,40})", rest)
        folder = self._settings.runs / match[1] / "models" / match[2] if match else None
        if folder is None or not folder.is_dir():
            raise LabError(f"No run kept a model called 'run/{rest}'.", "Run the experiment again; its page names what it keeps.")
        return folder, None

    def _hub(self, rest: str) -> tuple[Path, str | None]:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

        name, _, revision = rest.partition("@")
        wanted = {"repo_id": name, "revision": revision or None,
                  "allow_patterns": ["*.json", "*.safetensors", "tokenizer.model", "*.txt"]}
        try:
            try:
                folder = Path(snapshot_download(**wanted, local_files_only=True))
            except LocalEntryNotFoundError:
                folder = Path(snapshot_download(**wanted))
        except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError, ValueError):
            raise LabError(f"hf/{rest} is not on this machine and cannot be fetched now.",
                           f"Use an embedded model instead: {', '.join('embedded/' + known for known in self.embedded())}.") from None
        return folder, folder.name

    def save(self, model: PreTrainedModel, folder: Path, tokenizer: Any = None, dtype: Any = None) -> None:
        """Writes safetensors, all or nothing. `dtype`: storage type, the model's own if None."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=".part-", dir=folder.parent))
        try:
            state = {name: tensor.to(dtype) for name, tensor in model.state_dict().items()} if dtype else None
            model.save_pretrained(part, state_dict=state)
            if tokenizer is not None:
                tokenizer.save_pretrained(part)
            if folder.exists():
                shutil.rmtree(folder)
            part.rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
