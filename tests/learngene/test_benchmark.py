"""What the benchmark says of its aims."""

from __future__ import annotations

from benchmarks.learngene import ANSWERS, DEPTHS, _aim


def row(depth: int, how: str, wall_ratio: float, median_ms: float) -> dict:
    return {"what": f"the slider at depth {depth}", "how": how, "wall_ratio": wall_ratio, "median_ms": median_ms}


def test_aims_are_judged_by_the_time_that_passes_and_every_miss_is_named():
    fast = [row(depth, how, 1.2, 90) for depth in DEPTHS for how in ANSWERS]
    other = row(1, "bare forward of 256 pictures", 9.0, 9000)
    assert _aim([*fast, other]).endswith(f"kept by {len(fast)} of {len(fast)} rows.")
    slow = [row(1, ANSWERS[1], 1.43, 20), row(16, ANSWERS[0], 1.1, 700)]
    said = _aim([*fast, *slow])
    assert f"kept by {len(fast)} of {len(fast) + 2} rows; missed by" in said
    assert f"the slider at depth 1, {ANSWERS[1]} (1.43 forwards, 20 ms)" in said and "depth 16" in said and "depth 8" not in said
