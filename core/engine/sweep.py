"""A grid of configs, one recorded run each.

    for result in sweep(engine, "unlearning/audit", {"algorithm": ["ga", "npo"]}, seeds=[0, 1]):
        print(result["config"]["algorithm"], result["metrics"])
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from core.engine.errors import LabError
from core.engine.registry import find

if TYPE_CHECKING:
    from core.engine.runner import Engine

LARGEST = 500


def grid(fields: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every combination of the given values, the last field varying fastest."""
    return [dict(zip(fields, values, strict=True)) for values in itertools.product(*fields.values())]


def sweep(engine: Engine, name: str, fields: Mapping[str, Sequence[Any]], seeds: Sequence[int] = (0,), *,
          fresh: bool = False) -> Iterator[dict[str, Any]]:
    """`engine.result` of each config and seed, in order. All configs are checked before the first one runs."""
    configs = [find(name).validate(config) for config in grid(fields)]
    if len(configs) * len(seeds) > LARGEST:
        raise LabError(f"That sweep has {len(configs) * len(seeds)} runs.", f"At most {LARGEST} are allowed; leave some values out.")
    for config, seed in itertools.product(configs, seeds):
        run = engine.start(name, config, seed=seed, visitor="sweep", fresh=fresh)
        engine.wait(run.id)
        yield engine.result(run.id)
