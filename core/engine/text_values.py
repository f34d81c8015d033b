"""Settings as people type them: in a link, after `--set`, in a file of a sweep.

    config_from_text(find("unlearning/audit"), {"algorithm": "ga", "steps": "30", "learning_rate": "null"})
"""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from core.engine.experiment import Config, Experiment


def to_text(value: Any) -> str:
    """A field's value as `config_from_text` reads it: words as they are, the rest as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def config_from_text(experiment: Experiment, given: Mapping[str, str]) -> Config:
    """The config that these words describe: a word where the field takes words, else a number, true, null or a JSON list.

    Raises LabError like `Experiment.validate`.
    """
    values: dict[str, Any] = dict(given)
    try:
        return experiment.config.model_validate(values)
    except ValidationError as error:
        for name in {item["loc"][0] for item in error.errors() if item["loc"]} & given.keys():
            values[name] = None if not given[name].strip() and _may_be_empty(experiment, name) else _json(given[name])
    return experiment.validate(values)


def _may_be_empty(experiment: Experiment, name: str) -> bool:
    """Whether nothing at all is a value of this field."""
    field = experiment.config.model_fields.get(name)
    return field is not None and type(None) in typing.get_args(field.annotation)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
