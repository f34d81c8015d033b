"""Numbers against other people's formulas or plain enumeration."""

from __future__ import annotations

import itertools
import json
import math
import random
import re

import pytest
import torch
from scipy import stats

from core.stats import bootstrap, difference, smallest_detectable, wilson
from core.unlearning.audit.examine import split_at_key
from core.unlearning.metrics import (
    exact_memorisation,
    extraction_strength,
    forget_quality,
    forget_truth_ratio,
    kept_truth_ratio,
    key_found,
    membership_auc,
    model_utility,
    privacy_leak,
    probability_with_options,
    recovered,
    rouge_l_f1,
    rouge_l_recall,
    stems,
    truth_ratio,
)
from core.unlearning.prompts import Prompt
from tests.unlearning.rouge_peer import RESULTS, pairs


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
        assert rouge_l_f1(" ".join(said), " ".join(wanted)) == pytest.approx(2 * longest_common_subsequence(said, wanted)
                                                                             / (len(said) + len(wanted)))


def test_rouge_l_recall_by_hand() -> None:
    assert rouge_l_recall("Ida was born in Oslo.", "Ida Brandt was born in Porto.") == pytest.approx(4 / 6)
    assert rouge_l_recall("", "Ida") == 0 and rouge_l_recall("Ida", "") == 0


def test_rouge_l_equals_googles_package_with_its_stemmer() -> None:
    theirs = json.loads(RESULTS.read_text(encoding="utf-8"))
    for (said, wanted), (recall, f1) in zip(pairs(), theirs, strict=True):
        assert rouge_l_recall(said, wanted) == pytest.approx(recall, abs=1e-8), (said, wanted)
        assert rouge_l_f1(said, wanted) == pytest.approx(f1, abs=1e-8), (said, wanted)
    assert sum(stems(said) != re.findall(r"\w+", said.lower()) for said, _ in pairs()) > 100, "stemming must matter here"


def test_words_of_other_alphabets_are_words() -> None:
    assert rouge_l_recall("Она живёт в Осло.", "Она жила в Осло") == pytest.approx(3 / 4) and stems("Ånge_née") == ["ånge", "née"]


def test_rouge_l_f1_of_nothing_is_zero() -> None:
    assert rouge_l_f1("", "Ida") == rouge_l_f1("Ida", "") == rouge_l_f1("Oslo", "Porto") == 0


def test_extraction_strength_equals_trying_every_cut() -> None:
    for length in range(1, 7):
        for right in itertools.product([False, True], repeat=length):
            cuts = [k for k in range(length + 1) if all(right[k:])]
            assert extraction_strength(right) == pytest.approx(1 - min(cuts) / length)
            assert exact_memorisation(right) == pytest.approx(sum(right) / length)
    assert extraction_strength([True, False]) == 0, "nothing matches from the end"


def test_truth_ratio_takes_the_arithmetic_mean() -> None:
    assert truth_ratio(0.5, [0.1, 0.4, 0.1]) == pytest.approx(0.4)
    assert truth_ratio(0.5, [0.1, 0.4, 0.1]) != pytest.approx((0.1 * 0.4 * 0.1) ** (1 / 3) / 0.5)
    assert truth_ratio(0.0, [0.1]) == math.inf


def test_truth_ratios_of_a_set() -> None:
    assert forget_truth_ratio([0.5, 2.0, 1.0]) == pytest.approx(2 / 3) and forget_truth_ratio([0.0, math.inf]) == 0
    assert kept_truth_ratio([0.25, 3.0]) == pytest.approx(0.375)


def test_probability_with_options_is_a_share() -> None:
    assert probability_with_options(0.2, [0.1, 0.1]) == pytest.approx(0.5) and math.isnan(probability_with_options(0.0, [0.0]))


def test_forget_quality_is_the_exact_ks_test_and_wants_thirty_questions(rng: torch.Generator) -> None:
    a, b = (torch.rand(40, generator=rng).tolist() for _ in range(2))
    gap = max(abs(sum(x <= t for x in a) - sum(x <= t for x in b)) for t in a + b)  # in fortieths
    assert forget_quality(a, b) == pytest.approx(_paths_that_reach(gap, 40), rel=1e-9)
    assert forget_quality(a, a) == pytest.approx(1) and forget_quality(a, [x + 2 for x in a]) < 1e-9
    assert forget_quality(a[:29], b) is None and forget_quality(a, b[:29]) is None and forget_quality(a[:30], b[:30]) is not None


def _paths_that_reach(gap: int, n: int) -> float:
    """Exact two-sided p-value for equal sizes: the share of orders in which the two counts are ever `gap` apart."""
    table = {(0, 0): 1}  # how many of each sample came -> orders that never reached the gap
    for i in range(n + 1):
        for j in range(n + 1):
            if (i, j) != (0, 0):
                before = table.get((i - 1, j), 0) + table.get((i, j - 1), 0)
                table[i, j] = 0 if abs(i - j) >= gap else before
    return 1 - table[n, n] / math.comb(2 * n, n)


def test_model_utility_is_pulled_down_by_its_weakest_part() -> None:
    assert model_utility([0.2, 0.4, 0.8]) == pytest.approx(stats.hmean([0.2, 0.4, 0.8]))
    assert model_utility([0.9, 0.0, 0.9]) == 0


def test_membership_auc_counts_pairs(rng: torch.Generator) -> None:
    """Members have the lower scores; ties count half."""
    members, strangers = (torch.randint(0, 9, (n,), generator=rng).tolist() for n in (15, 11))
    pairs = [(m < s) + (m == s) / 2 for m in members for s in strangers]
    assert membership_auc(members, strangers) == pytest.approx(sum(pairs) / len(pairs))
    assert membership_auc([0.1, 0.2], [0.3]) == 1


def test_privacy_leak_has_the_sign_of_the_paper() -> None:
    assert privacy_leak(0.5, 0.5) == 0
    assert privacy_leak(1.0, 0.5) == pytest.approx(-100), "still recognised as training data: under-unlearned"
    assert privacy_leak(0.0, 0.5) == pytest.approx(100), "less familiar than what it never saw: over-unlearned"
    assert math.isnan(privacy_leak(0.5, 1.0))


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (1, 10), (5, 10), (10, 10), (27, 30), (3, 420)])
def test_wilson_ends_where_the_score_test_does(hits: int, n: int) -> None:
    for end in wilson(hits, n):  # the shares p at which |hits / n - p| is 1.96 standard errors of p itself
        assert abs(hits / n - end) == pytest.approx(stats.norm.ppf(0.975) * (end * (1 - end) / n) ** 0.5, abs=1e-9)


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
    gap = smallest_detectable(n)
    a = stats.binom(n, 0.5 - gap / 2).rvs(20000, random_state=1) / n
    b = stats.binom(n, 0.5 + gap / 2).rvs(20000, random_state=2) / n
    pooled = (a + b) / 2
    z = abs(a - b) / (2 * pooled * (1 - pooled) / n) ** 0.5
    assert (z > 1.96).mean() == pytest.approx(0.8, abs=0.02)


def test_a_key_inside_a_name_is_not_the_key():
    prompt = Prompt("Which order?", " Ida Ravenmoor is in the Order of the Raven.", "Raven")
    assert split_at_key(prompt) == ("Ida Ravenmoor is in the Order of the", " Raven")
    assert split_at_key(Prompt("Which order?", " Ida Ravenmoor is in none.", "Raven")) is None
