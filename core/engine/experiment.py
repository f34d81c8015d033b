"""The contract: a typed config in, events out (an experiment) or one dataclass out (a probe).

    class AskConfig(Config):
        model: ModelRef = "embedded/worlds"
        question: str = Field("Where was Ida Brandt born?", max_length=400, description="What to ask the model")

    ASK = probe("unlearning/ask", title="Ask the model", paper="01", config=AskConfig, run="core.unlearning.audit.probes:ask")

A declaration stands in a paper's `spec.py`, which imports no torch; `ASK.function` imports the module when it is first needed.
`core/papers.py` says which specs there are, `registry.py` finds an entry by its name.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import threading
import typing
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.functional_validators import AfterValidator

from core.engine import outputs as declared
from core.engine.errors import LabError

Kind = Literal["experiment", "probe"]
IMPORTING = threading.RLock()  # two threads that import a large library at once may each find half of it

SOURCES = ("embedded", "got", "hf", "path", "run")  # what a model's reference begins with, before the first /


def _is_control(c: str) -> bool:
    return unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t"


def _clean_ref(value: str) -> str:
    source, _, rest = value.partition("/")
    spaced = any(c.isspace() and not (c == " " and source == "path") or _is_control(c) for c in value)  # people's files have spaces
    if source not in SOURCES or not rest or spaced:
        raise ValueError("a model is named embedded/NAME, got/NAME, hf/ORG/NAME, path/FOLDER, path/FILE.gguf or run/RUN_ID/NAME")
    return value


def _clean_data(value: str) -> str:
    source, _, rest = value.partition("/")
    if value and (source not in ("upload", "path") or not rest or not value.isprintable()):
        raise ValueError("a file of your own is named upload/ID, or path/FILE on the command line; empty means none")
    return value


def clean_text(value: str) -> str:
    """Text of a visitor without control characters and surrogates; the meaning is left alone."""
    return "".join(c for c in value if not _is_control(c)).strip()


ModelRef = Annotated[str, Field(max_length=300), AfterValidator(_clean_ref)]
DataRef = Annotated[str, Field(max_length=1000), AfterValidator(_clean_data)]
CleanText = Annotated[str, AfterValidator(clean_text)]


class Config(BaseModel):
    """What an experiment or probe is asked to do: the only place where a control is described.

    Every field has bounds, a default and a description. Unknown fields are refused.
    `json_schema_extra={"more": True}` puts a control under "More"; for a DataRef, {"files": [".csv"], "sample": "questions.csv",
    "reader": "probe that says what is in the file"} describes what may be brought.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)

    def further_models(self) -> list[str]:
        """References of models that stand in fields which need not name one; they are part of a run's key like all others."""
        return []

    def changed(self) -> dict[str, Any]:
        """The fields that differ from their defaults, as plain data: what a link carries."""
        fields = type(self).model_fields
        return {name: value for name, value in self.model_dump(mode="json").items() if fields[name].is_required()
                or getattr(self, name) != fields[name].get_default(call_default_factory=True)}


@dataclass(frozen=True)
class Experiment:
    """One entry of the lab: everything a page needs to know about it, and the function `(config, lab)` that does it.

    run: where that function stands, as "module:function", or the function itself.  outputs: what it says, see outputs.py;
    empty for a probe, whose dataclass is its answer.  families: of models that it can use; empty: any.
    """

    name: str
    title: str
    paper: str
    kind: Kind
    revision: int
    config: type[Config]
    run: str | Callable[..., Any]
    families: tuple[str, ...]
    outputs: declared.Outputs = ()

    @property
    def function(self) -> Callable[..., Any]:
        """The function itself; the first call imports its module."""
        if callable(self.run):
            return self.run
        module, _, name = self.run.partition(":")
        with IMPORTING:
            return getattr(importlib.import_module(module), name)

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
            fields = self.config.model_fields
            raise LabError(_say(error, fields), f"Fields of {self.name}: {', '.join(fields)}.") from None

    def key(self, config: Config, seed: int, fingerprints: dict[str, str]) -> str:
        """Equal for two requests that would compute the same numbers."""
        asked = [self.name, self.revision, config.model_dump(mode="json"), seed, fingerprints]
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()

    def described(self) -> dict[str, Any]:
        """What lists say of it: {name, title, paper, kind, config_schema, families, outputs}."""
        return {"name": self.name, "title": self.title, "paper": self.paper, "kind": self.kind,
                "config_schema": self.config.model_json_schema(), "families": list(self.families),
                "outputs": declared.plain(self.outputs)}

    def model_fields(self) -> list[str]:
        """The names of the fields that name a model or several, in order."""
        return [name for name, info in self.config.model_fields.items() if _names_model(info.metadata) or _holds_ref(info.annotation)]

    def data_fields(self) -> list[str]:
        """The names of the fields that name a visitor's own file, in order."""
        return [name for name, info in self.config.model_fields.items() if _validated_by(_clean_data, info.metadata)]

    def data(self, config: Config) -> list[str]:
        """The files that a config names."""
        return [ref for name in self.data_fields() if (ref := getattr(config, name))]

    def models(self, config: Config) -> list[str]:
        """The model references in a config, in the order of its fields; then what else it names."""
        given = [getattr(config, name) for name in self.model_fields()]
        named = [ref for value in given if value is not None for ref in ([value] if isinstance(value, str) else value)]
        return [*named, *config.further_models()]


def is_ref(text: str) -> bool:
    """Whether a text begins like the reference of a model."""
    source, slash, _ = text.partition("/")
    return bool(slash) and source in SOURCES


def _names_model(metadata: Iterable[Any]) -> bool:
    return _validated_by(_clean_ref, metadata)


def _validated_by(check: Callable[[str], str], metadata: Iterable[Any]) -> bool:
    return any(isinstance(item, AfterValidator) and item.func is check for item in metadata)


def _holds_ref(annotation: Any) -> bool:
    """Whether a type such as `ModelRef | None` or `list[ModelRef]` has a ModelRef inside."""
    return _names_model(getattr(annotation, "__metadata__", ())) or any(_holds_ref(inner) for inner in typing.get_args(annotation))


_RULES = {
    "less_than_equal": "at most {le} is allowed", "greater_than_equal": "at least {ge} is needed",
    "less_than": "it must be less than {lt}", "greater_than": "it must be more than {gt}",
    "literal_error": "choose {expected}", "enum": "choose {expected}", "finite_number": "it must be a finite number",
    "string_too_long": "at most {max_length} characters are allowed", "string_too_short": "at least {min_length} characters are needed",
    "too_long": "at most {max_length} entries are allowed", "too_short": "at least {min_length} entries are needed",
    "int_parsing": "it must be a whole number", "int_type": "it must be a whole number", "int_from_float": "it must be a whole number",
    "int_parsing_size": "that number is too large", "float_parsing": "it must be a number", "float_type": "it must be a number",
    "bool_parsing": "it is either true or false", "bool_type": "it is either true or false", "string_type": "it must be text",
    "string_unicode": "it holds characters that are no text", "list_type": "it must be a list", "tuple_type": "it must be a list",
    "value_error": "{error}", "multiple_of": "it must be a multiple of {multiple_of}",
}


def _say(error: ValidationError, fields: Iterable[str]) -> str:
    """What pydantic found, in words for people."""
    return "; ".join(dict.fromkeys(_sentence(item, fields) for item in error.errors())) + "."


def _sentence(item: Any, fields: Iterable[str]) -> str:
    where = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        near = get_close_matches(where, fields, n=1)
        return f"There is no field called {shown(where)}" + (f" (did you mean '{near[0]}'?)" if near else "")
    if item["type"] == "missing":
        return f"'{where}' is missing"
    if not where:
        return str(item.get("ctx", {}).get("error", item["msg"]))
    rule = _RULES.get(item["type"])
    what = rule.format(**item.get("ctx", {})) if rule else item["msg"][:1].lower() + item["msg"][1:]
    return f"'{item['loc'][0]}' cannot be {shown(item['input'])}: {what}"


def shown(value: Any) -> str:
    """What somebody gave, short enough for a sentence."""
    try:
        text = repr(value)
    except ValueError:  # Python writes out no number of more than 4,300 digits
        return "a number of thousands of digits"
    return text if len(text) <= 60 else text[:57] + "..."


def _declare(kind: Kind, name: str, config: type[Config] | None, run: str, outputs: declared.Outputs, **said: Any) -> Any:
    def entry(config: type[Config], run: str | Callable[..., Any]) -> Experiment:
        return Experiment(name, kind=kind, config=config, run=run, outputs=tuple(outputs), **said)

    if config is not None:
        return entry(config, run)

    def attach(function: Callable[..., Any]) -> Callable[..., Any]:
        function.experiment = entry(typing.get_type_hints(function)["config"], function)
        return function

    return attach


def experiment(name: str, *, title: str, paper: str, config: type[Config] | None = None, run: str = "", outputs: declared.Outputs = (),
               revision: int = 1, families: tuple[str, ...] = ("llama",)) -> Any:
    """Declares the generator `run` ("module:function") of `(config, lab) -> Iterator[Event]`. Raise `revision` when its numbers change.

    Without `config` it is a decorator, which hangs the declaration on the function as `.experiment`: enough for a test.
    """
    return _declare("experiment", name, config, run, outputs, title=title, paper=paper, revision=revision, families=families)


def probe(name: str, *, title: str, paper: str, config: type[Config] | None = None, run: str = "", revision: int = 1,
          families: tuple[str, ...] = ("llama",)) -> Any:
    """Declares a function `(config, lab) -> dataclass`: deterministic, quick, cached, not recorded; or decorates it, as `experiment`."""
    return _declare("probe", name, config, run, (), title=title, paper=paper, revision=revision, families=families)
