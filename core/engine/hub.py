"""Models of the Hugging Face hub: from this machine's cache, else fetched small files first.

    fetch("Qwen/Qwen2-0.5B@main", before_weights=check)      # folder of the snapshot; its name is the commit
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.engine.errors import LabError

SMALL = ["*.json", "*.jinja", "*.model", "*.tiktoken", "vocab.txt", "merges.txt"]
WEIGHTS = ["model.safetensors", "model-*.safetensors"]
_WORD = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"
NAME = re.compile(rf"{_WORD}(/{_WORD})?(@({_WORD}|refs/pr/\d{{1,6}}))?")


def fetch(name: str, *, before_weights: Callable[[Path, int], None], instead: str) -> Path:
    """The folder of a snapshot of `ORG/NAME[@revision]`.

    `before_weights(folder, size)` sees a folder with everything but the weights, and their size in bytes, and raises
    to prevent the download.  `instead`: what to do without the model, for the hint of the LabError.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        HTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    repository, _, revision = name.partition("@")
    if not NAME.fullmatch(name):  # a revision is a name: the client would take a path for one, too
        raise LabError(f"'hf/{name[:100]}' does not name a model of the hub.", f"Write hf/ORG/NAME or hf/ORG/NAME@REVISION. {instead}")
    wanted: dict[str, Any] = {"repo_id": repository, "revision": revision or None}
    try:
        try:
            return _inside(snapshot_download(**wanted, allow_patterns=SMALL + WEIGHTS, local_files_only=True))
        except LocalEntryNotFoundError:
            pass
        folder = _inside(snapshot_download(**wanted, allow_patterns=SMALL))
        before_weights(folder, sum(file.file_size for file in snapshot_download(**wanted, allow_patterns=WEIGHTS, dry_run=True)))
        return _inside(snapshot_download(**wanted, allow_patterns=SMALL + WEIGHTS))
    except GatedRepoError:
        raise LabError(f"hf/{name} is only given to people who have accepted its terms.", instead) from None
    except (RepositoryNotFoundError, RevisionNotFoundError, HFValidationError):
        raise LabError(f"There is no public model called hf/{name}.", f"Check the spelling. {instead}") from None
    except (HTTPError, OSError, ValueError):
        raise LabError(f"hf/{name} is not on this machine and cannot be fetched now.", instead) from None


def _inside(folder: str) -> Path:
    """The folder, if it and all its files lie in the client's own cache. Raises LabError for any other."""
    from huggingface_hub.constants import HF_HUB_CACHE

    cache, found = Path(HF_HUB_CACHE).resolve(), Path(folder)
    if not all(place.resolve().is_relative_to(cache) for place in (found, *found.rglob("*"))):
        raise LabError("That model does not lie where the hub's models lie.", "Delete it from the hub's cache and fetch it again.")
    return found
