"""What may be set: the fields of a config as one plain list, for controls, command line, reference, notebook and programs alike.

    for field in fields(find("unlearning/audit")):
        field.title, field.kind, field.default, field.allowed      # "Training steps", "whole", 60, "whole number, 0 to 500"

Nobody else reads a config class: what a field means stands there once, and here is how it is put.
"""

from __future__ import annotations

import functools
import types
import typing
from dataclasses import dataclass, field
from typing import Any, Literal

from annotated_types import Ge, Gt, Le, Lt, MaxLen
from pydantic.fields import FieldInfo

from core.engine.experiment import Config, Experiment

Kind = Literal["switch", "whole", "number", "choice", "choices", "text", "list", "model", "file"]


@dataclass(frozen=True)
class Setting:
    """One field.  title, description: for people.  kind: what is given.  optional: may be left out (None).

    low, high: bounds of a number.  longest: of a text, in characters.  choices: (value, words) of each.  unavailable: words -> why it
    cannot be chosen here.  more: stands under "More".  files: of a visitor's file, {"files", "reader", "sample", "labels"}.
    slider: (low, high, step) where the bounds are no use for one.  allowed: the bounds in words.  extra: whatever else the field says.
    """

    name: str
    title: str
    description: str
    kind: Kind
    default: Any
    optional: bool
    allowed: str
    low: float | None = None
    high: float | None = None
    longest: int | None = None
    choices: tuple[tuple[Any, str], ...] = ()
    unavailable: dict[str, str] = field(default_factory=dict)
    more: bool = False
    files: dict[str, Any] = field(default_factory=dict)
    slider: tuple[float, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)

    def typed(self, value: Any) -> Any:
        """What a form gave, as the config takes it: forms hand whole numbers over as floats and an emptied field as ''."""
        if self.kind == "whole" and isinstance(value, float) and value.is_integer():
            return int(value)
        return None if self.optional and value in ("", None) else value


def fields(experiment: Experiment) -> list[Setting]:
    """Every field, in the order of the config class."""
    return list(_fields(experiment.config, tuple(experiment.model_fields()), tuple(experiment.data_fields())))


@functools.cache
def _fields(config: type[Config], models: tuple[str, ...], files: tuple[str, ...]) -> tuple[Setting, ...]:
    schema = config.model_json_schema()["properties"]
    return tuple(_setting(name, info, schema[name], "model" if name in models else "file" if name in files else "")
                 for name, info in config.model_fields.items())


def _setting(name: str, info: FieldInfo, schema: dict[str, Any], kind: str) -> Setting:
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    kinds, options, limits = _kinds(info.annotation), _options(info.annotation), _limits(info)
    many, values = options or (False, [])
    words = extra.get("labels", {})
    if not kind:
        kind = ("choices" if many else "choice") if options else next(
            (word for word, type_ in (("switch", bool), ("number", float), ("whole", int), ("text", str)) if type_ in kinds), "list")
    return Setting(
        name, info.title or name.replace("_", " ").capitalize(), info.description or "", kind,
        None if info.is_required() else info.get_default(call_default_factory=True), type(None) in kinds, _allowed(schema),
        choices=tuple((value, str(words.get(str(value) or "None", words.get(value, value)))) for value in values),
        unavailable=extra.get("unavailable", {}), more=bool(extra.get("more")), slider=tuple(extra.get("slider", ())),
        files=extra if kind == "file" else {}, extra=extra, **limits)


def _kinds(annotation: Any) -> set[type]:
    """The plain types that a field takes: `float | None` -> {float, NoneType}."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _kinds(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return set().union(*(_kinds(part) for part in typing.get_args(annotation)))
    if origin is Literal:
        return {type(value) for value in typing.get_args(annotation)}
    return {annotation} if isinstance(annotation, type) else {origin} if isinstance(origin, type) else set()


def _options(annotation: Any) -> tuple[bool, list[Any]] | None:
    """(several may be chosen, the values), for Literal, one that may be left out (""), and for lists or tuples of Literal."""
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType) and type(None) in parts:
        found = next(filter(None, map(_options, (part for part in parts if part is not type(None)))), None)
        return (False, ["", *found[1]]) if found and not found[0] else None
    if origin is Literal:
        return False, list(parts)
    if origin in (list, tuple, set, frozenset) and parts and typing.get_origin(parts[0]) is Literal:
        return True, list(typing.get_args(parts[0]))
    return None


def _limits(info: FieldInfo) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in info.metadata:
        if isinstance(item, (Ge, Gt)):
            found["low"] = item.ge if isinstance(item, Ge) else item.gt
        elif isinstance(item, (Le, Lt)):
            found["high"] = item.le if isinstance(item, Le) else item.lt
        elif isinstance(item, MaxLen):
            found["longest"] = item.max_length
    return found


def _allowed(schema: dict[str, Any]) -> str:
    """The bounds of one field of a JSON schema in words."""
    if "anyOf" in schema:
        return " or ".join("null" if part == {"type": "null"} else _allowed(part) for part in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(str(value) for value in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    low, high = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum", schema.get("exclusiveMaximum"))
    kind = {"string": "text", "integer": "whole number", "boolean": "true or false", "array": "list"}.get(schema.get("type", ""), "number")
    if kind == "list":
        return f"list of {_allowed(schema['items'])}" if "items" in schema else kind
    if low is not None and high is not None:
        return f"{kind}, {low} to {high}"
    bound = f", at least {low}" if low is not None else f", at most {high}" if high is not None else ""
    return f"{kind}, at most {schema['maxLength']} characters" if "maxLength" in schema else kind + bound
