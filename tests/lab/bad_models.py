"""A folder of models that must be refused with a sentence, and one good one."""

from __future__ import annotations

import json
import pickle
import struct
from pathlib import Path

from tests.engine.tiny_models import save, tiny

# what a visitor asks for -> a word of the sentence that refuses it
REFUSED = {
    "path/pickled": "safetensors",
    "path/wants-code": "code",
    "path/enormous": "GB",
    "path/escape": "outside",
    "path/../outside": "outside",
    "path/nothing-there": "no model folder",
    "path/cut-short": "safetensors",
    "embedded/nobody": "nobody",
    "run/20200101-000000-ffffff/unlearned": "no such run",
}


def make(root: Path) -> Path:
    """Fills `root`/models; gives the folder for `--models`."""
    models = root / "models"
    good = save(tiny("llama"), models / "good")
    config = (good / "config.json").read_text()

    def folder(name: str, text: str = config) -> Path:
        made = models / name
        made.mkdir(parents=True)
        (made / "config.json").write_text(text)
        (made / "tokenizer.json").write_bytes((good / "tokenizer.json").read_bytes())
        return made

    (folder("pickled") / "model.safetensors").write_bytes(pickle.dumps({"a": 1}) + b"\0" * 64)
    wants = folder("wants-code", json.dumps(json.loads(config) | {"auto_map": {"AutoModelForCausalLM": "evil.Model"}}))
    (wants / "evil.py").write_text("raise SystemExit('the code of a model was run')")
    (wants / "model.safetensors").write_bytes((good / "model.safetensors").read_bytes())
    _enormous(folder("enormous") / "model.safetensors")
    (folder("cut-short") / "model.safetensors").write_bytes((good / "model.safetensors").read_bytes()[:-100])
    outside = save(tiny("llama"), root / "outside")
    (models / "escape").symlink_to(outside, target_is_directory=True)
    return models


def _enormous(file: Path) -> None:
    """A header that promises 400 GB, in a file that is as long as it says and takes no room on the disk."""
    count = 10**11
    header = json.dumps({"model.embed_tokens.weight": {"dtype": "F32", "shape": [count], "data_offsets": [0, 4 * count]}}).encode()
    with file.open("wb") as out:
        out.write(struct.pack("<Q", len(header)) + header)
        out.truncate(8 + len(header) + 4 * count)
