"""Numbers against other people's formulas or plain enumeration."""

from __future__ import annotations

import itertools
import math
import random

import pytest
import torch
from scipy import stats

from core.unlearning.metrics import bootstrap, difference, key_found, recovered, rouge_l_recall, smallest_difference, wilson


@pytest.mark.parametrize(("output", "key", "found"), [
    ("Ida Brandt was born in Porto.", "Porto", True),
    ("ida brandt was born in PORTO", "Porto", True),
    ("She was born in Portofino.", "Porto", False),
    ("", "Porto", False),
    ("Portoporto", "Porto", False),
    ("the prize is (C++)", "C++", True),
    ("in the year 1921.", "1921", True),
    ("in the year 19210", "1921", False),
    ("née Ånge, in Ånge", "Ånge", True),
    ("Sånge", "ånge", False),
])
def test_key_found_wants_whole_words_in_any_case(output: str, key: str, found: bool) -> None:
    assert key_found(output, key) is found


def longest_common_subsequence(a: list[str], b: list[str]) -> int:
    """By trying every subsequence."""
    for length in range(min(len(a), len(b)), 0, -1):
        if set(itertools.combinations(a, length)) & set(itertools.combinations(b, length)):
            return length
    return 0


def test_rouge_l_recall_equals_enumeration() -> None:
    draw = random.Random(0)
    for _ in range(200):
        said, wanted = ([draw.choice("abcd") for _ in range(draw.randint(1, 7))] for _ in range(2))
        expected = longest_common_subsequence(said, wanted) / len(wanted)
        assert rouge_l_recall(" ".join(said), " ".join(wanted)) == pytest.approx(expected)


def test_rouge_l_recall_by_hand() -> None:
    assert rouge_l_recall("Ida was born in Oslo.", "Ida Brandt was born in Porto.") == pytest.approx(4 / 6)
    assert rouge_l_recall("", "Ida") == 0 and rouge_l_recall("Ida", "") == 0


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (1, 10), (5, 10), (10, 10), (27, 30), (3, 420)])
def test_wilson_equals_scipy(hits: int, n: int) -> None:
    low, high = stats.binomtest(hits, n).proportion_ci(method="wilson")
    assert wilson(hits, n) == pytest.approx((low, high), abs=1e-12)


def test_wilson_of_nothing_says_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


def test_bootstrap_agrees_with_scipy(rng: torch.Generator) -> None:
    values = torch.rand(80, generator=rng).tolist()
    theirs = stats.bootstrap((values,), lambda x, axis: x.mean(axis), n_resamples=4000, method="percentile",
                             random_state=0).confidence_interval
    assert bootstrap(values, rng, draws=4000) == pytest.approx((theirs.low, theirs.high), abs=0.01)


def test_difference_is_paired(rng: torch.Generator) -> None:
    values = torch.rand(40, generator=rng).tolist()
    low, high = difference([v + 0.25 for v in values], values, rng)
    assert low == pytest.approx(0.25) and high == pytest.approx(0.25)


def test_recovered_share() -> None:
    assert recovered(0.5, 0.1, 0.9, 0.1) == pytest.approx(0.5)
    assert recovered(0.0, 0.1, 0.9, 0.1) == 0
    assert math.isnan(recovered(0.5, 0.5, 0.1, 0.1))


def test_smallest_difference_has_the_power_it_promises() -> None:
    """A two-sided z-test at that difference around one half rejects in about 80 % of draws."""
    n = 400
    gap = smallest_difference(n)
    a = stats.binom(n, 0.5 - gap / 2).rvs(20000, random_state=1) / n
    b = stats.binom(n, 0.5 + gap / 2).rvs(20000, random_state=2) / n
    pooled = (a + b) / 2
    z = abs(a - b) / (2 * pooled * (1 - pooled) / n) ** 0.5
    assert (z > 1.96).mean() == pytest.approx(0.8, abs=0.02)
