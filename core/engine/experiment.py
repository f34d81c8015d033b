"""The contract: a typed config in, events out (an experiment) or one dataclass out (a probe).

    class AskConfig(Config):
        model: ModelRef = "embedded/authors"
        question: str = Field("Where was Ida Brandt born?", max_length=400, description="What to ask the model")

    @probe("unlearning/ask", title="Ask the model", paper="01")
    def ask(config: AskConfig, lab: Lab) -> Answer: ...

The decorators only attach an `Experiment` to the function; `registry.py` lists the names.
"""

from __future__ import annotations

import hashlib
import json
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.functional_validators import AfterValidator

from core.engine.errors import LabError

Kind = Literal["experiment", "probe"]

CONTROL_CHARACTERS = {chr(code) for code in range(32)} - {"\n", "\t"}


def _clean_ref(value: str) -> str:
    source, _, rest = value.partition("/")
    if source not in ("embedded", "hf", "path", "run") or not rest or any(c.isspace() or c in CONTROL_CHARACTERS for c in value):
        raise ValueError("a model is named embedded/NAME, hf/ORG/NAME, path/FOLDER or run/RUN_ID/NAME")
    return value


def clean_text(value: str) -> str:
    """Text of a visitor without control characters and surrogates; the meaning is left alone."""
    return "".join(c for c in value if c not in CONTROL_CHARACTERS and not 0xD800 <= ord(c) <= 0xDFFF).strip()


ModelRef = Annotated[str, Field(max_length=300), AfterValidator(_clean_ref)]
CleanText = Annotated[str, AfterValidator(clean_text)]


class Config(BaseModel):
    """What an experiment or probe is asked to do: the only place where a control is described.

    Every field has bounds, a default and a description. Unknown fields are refused.
    `json_schema_extra={"more": True}` puts a control under "More".
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, ser_json_inf_nan="null")

    def changed(self) -> dict[str, Any]:
        """The fields that differ from their defaults: what a link carries."""
        defaults = type(self)()
        return {name: value for name, value in self if value != getattr(defaults, name)}


@dataclass(frozen=True)
class Experiment:
    """One entry of the lab: `function(config, lab)` with everything a page needs to know about it."""

    name: str
    title: str
    paper: str
    kind: Kind
    revision: int
    config: type[Config]
    function: Callable[..., Any]
    families: tuple[str, ...]

    def validate(self, given: dict[str, Any] | Config) -> Config:
        """A config of this experiment, or a LabError that names each wrong field and what is allowed."""
        if isinstance(given, self.config):
            return given
        if not isinstance(given, dict):
            raise LabError(f"A configuration is a set of named fields, not {type(given).__name__}.",
                           f"Fields of {self.name}: {', '.join(self.config.model_fields)}.")
        try:
            return self.config.model_validate(given)
        except ValidationError as error:
            raise LabError(_say(error), f"Fields of {self.name}: {', '.join(self.config.model_fields)}.") from None

    def key(self, config: Config, seed: int, fingerprints: dict[str, str]) -> str:
        """Equal for two requests that would compute the same numbers."""
        asked = [self.name, self.revision, config.model_dump(mode="json"), seed, fingerprints]
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()

    def described(self) -> dict[str, Any]:
        """What lists say of it: {name, title, paper, kind, config_schema, families}."""
        return {"name": self.name, "title": self.title, "paper": self.paper, "kind": self.kind,
                "config_schema": self.config.model_json_schema(), "families": list(self.families)}

    def model_fields(self) -> list[str]:
        """The names of the fields that name a model, in order."""
        return [name for name, info in self.config.model_fields.items()
                if any(isinstance(m, AfterValidator) and m.func is _clean_ref for m in info.metadata)]

    def models(self, config: Config) -> list[str]:
        """The model references in a config, in the order of its fields."""
        return [getattr(config, name) for name in self.model_fields()]


def _say(error: ValidationError) -> str:
    parts = []
    for item in error.errors():
        where = ".".join(str(part) for part in item["loc"]) or "the configuration"
        if item["type"] == "extra_forbidden":
            parts.append(f"There is no field called '{where}'")
        else:
            shown = repr(item["input"])
            shown = shown if len(shown) <= 60 else shown[:57] + "..."
            what = item["msg"][0].lower() + item["msg"][1:]
            parts.append(f"'{where}' cannot be {shown}: {what.removeprefix('value error, ')}")
    return "; ".join(parts) + "."


def _decorate(kind: Kind, name: str, title: str, paper: str, revision: int, families: tuple[str, ...]):
    def attach(function: Callable[..., Any]) -> Callable[..., Any]:
        config = typing.get_type_hints(function)["config"]
        function.experiment = Experiment(name, title, paper, kind, revision, config, function, families)
        return function

    return attach


def experiment(name: str, *, title: str, paper: str, revision: int = 1, families: tuple[str, ...] = ("llama",)):
    """Marks a generator `(config, lab) -> Iterator[Event]`. Raise `revision` when its numbers change."""
    return _decorate("experiment", name, title, paper, revision, families)


def probe(name: str, *, title: str, paper: str, revision: int = 1, families: tuple[str, ...] = ("llama",)):
    """Marks a function `(config, lab) -> dataclass`: deterministic, quick, cached, not recorded."""
    return _decorate("probe", name, title, paper, revision, families)
