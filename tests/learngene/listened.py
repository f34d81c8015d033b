"""A run to its end, with everything that it said."""

from __future__ import annotations

from core.engine.runner import Engine


def listened(engine: Engine, name: str, config: dict, seed: int = 0, fresh: bool = False) -> tuple[dict, dict[str, list[dict]]]:
    """The result, and the events by kind."""
    handle = engine.start(name, config, seed=seed, fresh=fresh)
    engine.wait(handle.id, timeout=120)
    said: dict[str, list[dict]] = {}
    for event in engine.events(handle.id):
        said.setdefault(event["kind"], []).append(event)
    return engine.result(handle.id), said


def names(events: list[dict]) -> set[str]:
    """What figures, tables or kept models are called."""
    return {event["name"] for event in events}
