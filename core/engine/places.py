"""From a reference to a folder or a GGUF file, and nowhere else than allowed.

    places = Places(settings, before_weights)
    places.find("embedded/worlds")        # (assets/models/worlds, None)
    places.find("path/mine.gguf")         # a file that `gguf.convert` makes a folder of
    places.own()                          # references to what the visitor got, and to what lies under --models
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from core.engine import gguf
from core.engine.errors import LabError
from core.engine.hub import fetch
from core.engine.settings import ASSETS, Settings
from core.engine.shop import Shop

WAYS = "A model is embedded/NAME, got/NAME, hf/ORG/NAME, path/FOLDER, path/FILE.gguf or run/RUN_ID/NAME."
DEEPEST, MOST_OFFERED = 4, 200


class Places:
    """`before_weights(ref, folder, size)` may raise before the weights of a model from the hub are fetched."""

    def __init__(self, settings: Settings, before_weights: Callable[[str, Path, int], None]) -> None:
        self._settings, self._before_weights = settings, before_weights

    def embedded(self) -> list[str]:
        """Names of the models that come with the lab."""
        return sorted(file.parent.name for file in (ASSETS / "models").glob("[!.]*/config.json"))

    def own(self) -> list[str]:
        """References to models that were got, and to folders and GGUF files under --models, in order of their names."""
        got = [f"got/{file.parent.name}" for file in sorted((self._settings.home / "got").glob("[!.]*/config.json"))]
        return [*got, *self._own_refs()]

    def _own_refs(self) -> list[str]:
        root = self._settings.models_dir.expanduser().resolve() if self._settings.models_dir else None
        if root is None or not root.is_dir():
            return []
        found: list[str] = []
        for place, folders, files in os.walk(root):
            here = Path(place)
            deep = len(here.relative_to(root).parts) >= DEEPEST
            folders[:] = [] if deep else sorted(name for name in folders if not name.startswith("."))
            if "config.json" in files and here != root:
                found.append(here.relative_to(root).as_posix())
            ggufs = [name for name in sorted(files) if name.endswith(".gguf") or name.startswith("sha256-") and gguf.is_gguf(here / name)]
            found += [(here / name).relative_to(root).as_posix() for name in ggufs]
            if len(found) >= MOST_OFFERED:
                break
        return [f"path/{rest}" for rest in found[:MOST_OFFERED]]

    def find(self, ref: str) -> tuple[Path, str | None]:
        """The folder, or the GGUF file, and for a model from the hub its commit. Raises LabError for what is not there or not allowed."""
        source, _, rest = ref.partition("/")
        find = {"embedded": self._embedded, "path": self._path, "run": self._kept, "hf": self._hub, "got": self._got}.get(source)
        if find is None or not rest or not rest.isprintable():
            raise LabError(f"'{ref}' does not name a model.", WAYS)
        return find(rest)

    def _embedded(self, name: str) -> tuple[Path, None]:
        if name not in self.embedded():
            raise LabError(f"There is no embedded model called '{name}'.", f"There are: {self._embedded_refs()}.")
        return ASSETS / "models" / name, None

    def _embedded_refs(self) -> str:
        return ", ".join(f"embedded/{name}" for name in self.embedded()) or "none"

    def _got(self, name: str) -> tuple[Path, None]:
        return Shop(self._settings).folder(name), None

    def _path(self, rest: str) -> tuple[Path, None]:
        """A folder, or a GGUF file."""
        settings = self._settings
        root = settings.models_dir.expanduser().resolve() if settings.models_dir else None
        if root is None and not settings.any_path:
            raise LabError("Models from folders are switched off.", "Start the lab with --models DIR to allow the folders in DIR.")
        outside = LabError("That folder lies outside the folder of models.", "Only folders inside --models DIR can be loaded.")
        try:
            folder = (root / rest if root else Path(rest).expanduser()).resolve()
            if not settings.any_path and not folder.is_relative_to(root):
                raise outside
            if not folder.is_dir() and not (folder.is_file() and (folder.suffix == ".gguf" or gguf.is_gguf(folder))):
                raise FileNotFoundError(rest)
            inside = [*folder.iterdir(), *folder.glob("additional_chat_templates/*")] if folder.is_dir() else []
            files = [file.resolve() for file in inside]
        except (OSError, RuntimeError):  # RuntimeError: links in a circle, or the home of somebody unknown
            raise LabError(f"There is no model folder '{rest}'.",
                           "Name a folder that holds config.json and safetensors, or a .gguf file.") from None
        if not settings.any_path and not all(file.is_relative_to(root) for file in files):
            raise outside
        odd = next((file.name for file in files if file.exists() and not file.is_file() and not file.is_dir()), None)
        if odd:
            raise LabError(f"{odd} in that model folder is no plain file.", "Copy or download the model again.")
        return _one_model(folder, rest), None

    def _kept(self, rest: str) -> tuple[Path, None]:
        match = re.fullmatch(r"([a-z0-9][a-z0-9-]{3,79})/([a-z0-9_-]{1,40})", rest)
        folder = self._settings.runs / match[1] / "models" / match[2] if match else None
        if folder is None or not folder.is_dir():
            raise LabError(f"No run kept a model called 'run/{rest}'.", "Run the experiment again; its page names what it keeps.")
        return folder, None

    def _hub(self, rest: str) -> tuple[Path, str | None]:
        folder = fetch(rest, before_weights=lambda folder, size: self._before_weights(f"hf/{rest}", folder, size),
                       instead=f"Use an embedded model instead: {self._embedded_refs()}.")
        return folder, folder.name


def _one_model(folder: Path, rest: str) -> Path:
    """The folder or file itself; for a folder with nothing but one GGUF file, that. Raises LabError when there are two models."""
    files = sorted(file for file in folder.glob("*.gguf") if gguf.is_gguf(file)) if folder.is_dir() else []
    whole = (folder / "config.json").is_file()
    if not files:
        return folder
    if whole or len(files) > 1:
        names = ", ".join(file.name for file in files[:4])
        raise LabError(f"'{rest}' holds {'a model in safetensors and ' if whole else 'several models: '}{names}.",
                       f"Name the one you mean, for example path/{rest}/{files[0].name}" + (
                           ", or move the .gguf files away to use the other." if whole else "."))
    return files[0]
