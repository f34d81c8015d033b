"""A grid of configs, one recorded run each.

    for result in sweep(engine, "unlearning/audit", {"algorithm": ["ga", "npo"]}, seeds=[0, 1]):
        print(result["config"]["algorithm"], result["metrics"])
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from core.engine.errors import LabError
from core.engine.registry import find

if TYPE_CHECKING:
    from core.engine.runner import Engine

LARGEST = 500


def grid(fields: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Every combination of the given values, the last field varying fastest; text stands for itself alone."""
    choices = [[given] if isinstance(given, str) else list(given) for given in fields.values()]
    if math.prod(map(len, choices)) > LARGEST:
        raise _too_many(math.prod(map(len, choices)))
    return [dict(zip(fields, values, strict=True)) for values in itertools.product(*choices)]


def sweep(engine: Engine, name: str, fields: Mapping[str, Sequence[Any]], seeds: Sequence[int] = (0,), *,
          fresh: bool = False) -> Iterator[dict[str, Any]]:
    """`engine.result` of each config and seed, in order. All configs are checked before the first one runs.

    Whoever closes the sweep stops the run that is going on. A run that fails is a result like any other.
    """
    configs = [find(name).validate(config) for config in grid(fields)]
    if len(configs) * len(seeds) > LARGEST:
        raise _too_many(len(configs) * len(seeds))
    for config, seed in itertools.product(configs, seeds):
        run = engine.start(name, config, seed=seed, visitor="sweep", fresh=fresh)
        try:
            engine.wait(run.id)
        except BaseException:
            engine.cancel(run.id, "sweep")
            raise
        yield engine.result(run.id)


def _too_many(count: int) -> LabError:
    return LabError(f"That sweep has {count} runs.", f"At most {LARGEST} are allowed; leave some values out.")
