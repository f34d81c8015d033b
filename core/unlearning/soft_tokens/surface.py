"""How long a text can a few soft tokens carry? Random texts of many lengths under many numbers of soft tokens, in one batch."""

from __future__ import annotations

from collections.abc import Generator

from core.engine.events import Event, Figure, Table
from core.unlearning.soft_tokens import figures
from core.unlearning.soft_tokens.attack import Attempt, attack
from core.unlearning.soft_tokens.results import RIGHT_AT_BEST, mean
from core.unlearning.soft_tokens.state import Bench
from core.unlearning.soft_tokens.targets import check_room, random_tokens

KS = (1, 4, 8, 16)
LENGTHS = (4, 8, 16, 32)
ENOUGH = 0.5
DRAW_EVERY = 25


def map_lengths(bench: Bench) -> Generator[Event, None, dict[int, int]]:
    """Attacks the original model; gives k -> the longest length of which at least half of the texts came out (0: none)."""
    given, each = bench.subjects["original"], bench.config.surface_targets
    squares = [(k, length) for k in KS for length in LENGTHS for _ in range(each)]
    # the same texts for every k, so that a column differs in nothing but its soft tokens
    texts = {(length, i): random_tokens(given.tokenizer, bench.seen(given.tokenizer), length, bench.lab.rng(f"map {length} {i}"),
                                        characters=bench.plan.characters) for length in LENGTHS for i in range(each)}
    targets = [texts[length, i % each] for i, (_, length) in enumerate(squares)]
    check_room(given.model, given.ref, targets, max(KS))
    starts = [bench.start("original", i, k) for i, (k, _) in enumerate(squares)]
    step = 0
    for step, attempts in enumerate(attack(given.model, targets, starts, bench.settings)):
        yield from bench.pacer.step("how long can a text be?")
        if step % DRAW_EVERY == 0:
            yield _figure(bench, squares, attempts, each)
    yield from bench.pacer.step("how long can a text be?", by=bench.config.steps - step)
    yield _figure(bench, squares, attempts, each)
    yield _table(squares, attempts)
    return {k: max((length for length in LENGTHS if _share(squares, attempts, k, length) >= ENOUGH), default=0) for k in KS}


def _mine(squares: list[tuple[int, int]], attempts: list[Attempt], k: int, length: int) -> list[Attempt]:
    return [attempt for square, attempt in zip(squares, attempts, strict=True) if square == (k, length)]


def _share(squares: list[tuple[int, int]], attempts: list[Attempt], k: int, length: int) -> float:
    mine = _mine(squares, attempts, k, length)
    return sum(a.hit_at is not None for a in mine) / len(mine)


def _figure(bench: Bench, squares: list[tuple[int, int]], attempts: list[Attempt], each: int) -> Figure:
    shares = [[_share(squares, attempts, k, length) for length in LENGTHS] for k in KS]
    right = [[mean([a.accuracy for a in _mine(squares, attempts, k, length)]) for length in LENGTHS] for k in KS]
    unit = "characters" if bench.plan.characters else "pieces of words"
    return Figure("surface", figures.surface(LENGTHS, KS, shares, right, each, unit))


def _table(squares: list[tuple[int, int]], attempts: list[Attempt]) -> Table:
    rows = [[k, length, sum(a.hit_at is not None for a in mine), len(mine), f"{mean([a.accuracy for a in mine]):.0%}"]
            for k in KS for length in LENGTHS for mine in [_mine(squares, attempts, k, length)]]
    return Table("surface", ["Soft tokens", "Length", "Said", "Of", RIGHT_AT_BEST], rows)
