"""Loading models of the hub in a process of its own, because the hub client reads its settings when it is imported.

    (answer,) = ask_hub(cache, "hf/ORG/NAME", HF_HUB_OFFLINE="1")
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tests.warm import warm

PROGRAM = """
import json, sys
from core.engine.errors import LabError
from core.engine.models import ModelStore
from core.engine.settings import Settings

answers = []
for ref in sys.argv[1:]:
    try:
        loaded = ModelStore(Settings()).load(ref)
        answers.append({"family": loaded.family, "revision": loaded.revision, "parameters": loaded.parameters,
                        "tokenizer": loaded.tokenizer is not None, "fingerprint": loaded.fingerprint})
    except LabError as error:
        answers.append(error.to_dict())
print(json.dumps(answers))
"""


def ask_hub(cache: Path, *refs: str, **environment: str) -> list[dict]:
    """For each reference what was loaded (family, revision, parameters, tokenizer, fingerprint) or the error and its hint."""
    settings = {"HF_HUB_CACHE": str(cache), "HF_HOME": str(cache.parent / "hf")}
    done = subprocess.run(warm(PROGRAM, *refs), env=os.environ | settings | environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)
