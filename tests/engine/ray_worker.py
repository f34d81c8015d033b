"""A worker of Ray that knows the experiments of `experiments_for_tests` too; Ray imports it by this name in its own processes."""

from __future__ import annotations

from core.engine import rays, registry
from tests.engine.experiments_for_tests import TABLE


class Worker(rays.Worker):
    def __init__(self, threads: int, carried: dict[str, bytes]) -> None:
        registry.EXPERIMENTS |= TABLE
        super().__init__(threads, carried)
