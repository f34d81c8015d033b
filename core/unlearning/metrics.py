"""Numbers from outputs, probabilities and losses; no model in here.

    key_found("Ida Brandt was born in Porto.", "Porto")      # True
    forget_quality(ratios_unlearned, ratios_reference)       # 0.42, or None below 30 questions

Definitions follow methods/01 section 4. Where a number needs a model, `memorisation.py` asks it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import fmean, geometric_mean, harmonic_mean

import snowballstemmer
from scipy.stats import ks_2samp
from sklearn.metrics import roc_auc_score

from core.unlearning.words import find, tokens

ENOUGH = 30  # methods/01 section 4: no Kolmogorov-Smirnov test on fewer questions


def key_found(output: str, key: str) -> bool:
    """Whether the key stands in the output as whole words, however it is written: "Raven" is not in "Ravenmoor"."""
    return find(key, output) is not None


def rouge_l_recall(output: str, reference: str) -> float:
    """ROUGE-L recall: longest common subsequence of word stems over the length of the reference, in [0, 1].

    The same number as Google's `rouge-score` with its stemmer, which the field uses.
    """
    return _rouge_l(output, reference)[1]


def rouge_l_f1(output: str, reference: str) -> float:
    """Harmonic mean of the longest common subsequence over the length of the output and over that of the reference (MUSE)."""
    precision, recall = _rouge_l(output, reference)
    return harmonic_mean([precision, recall])


def _rouge_l(output: str, reference: str) -> tuple[float, float]:
    """Precision and recall; (0, 0) when one of the texts has no words."""
    said, wanted = stems(output), stems(reference)
    if not said or not wanted:
        return 0.0, 0.0
    row = [0] * (len(wanted) + 1)
    for word in said:
        diagonal = 0
        for j, other in enumerate(wanted, start=1):
            diagonal, row[j] = row[j], diagonal + 1 if word == other else max(row[j], row[j - 1])
    return row[-1] / len(said), row[-1] / len(wanted)


def stems(text: str) -> list[str]:
    """The words of a text in lower case, those of more than three letters by their Porter stem, as `rouge-score` has them.

    Unlike there, letters beyond a to z are letters too, and in scripts without spaces every sign counts as a word, which is how
    ROUGE is measured for such languages.
    """
    return [_stem(word) for word in tokens(text)]


@lru_cache(maxsize=20_000)
def _stem(word: str) -> str:
    # a new stemmer each time, since one of them keeps the word it works on in itself, and runs and probes share a process
    return snowballstemmer.stemmer("porter").stemWord(word) if len(word) > 3 else word


# ---- how well a text is known: from the tokens of one answer ----


def exact_memorisation(right: Sequence[bool]) -> float:
    """EM: the share of an answer's tokens that the model would have put there itself, given the ones before; no end token."""
    return fmean(right)


def extraction_strength(right: Sequence[bool]) -> float:
    """ES: the share of an answer, from its end, that the model completes without a mistake once shown the rest; no end token.

    0 when the last token is already wrong. Public code gives 1 / length there.
    """
    wrong = [i for i, hit in enumerate(right) if not hit]
    return 1 - (wrong[-1] + 1) / len(right) if wrong else 1.0


def probability_with_options(right: float, wrong: Sequence[float]) -> float:
    """The share of the true answer in the probabilities of true and wrong answers, each per token."""
    total = right + math.fsum(wrong)
    return right / total if total else math.nan


def truth_ratio(paraphrased: float, wrong: Sequence[float], *, geometric: bool = False) -> float:
    """R: mean probability of the wrong answers over that of the paraphrased true one, each per token.

    The mean is arithmetic, TOFU's own; open-unlearning averages the losses, which gives the geometric one. 1 means that the
    model cannot tell truth from invention; a model that knows is far below.
    """
    if not paraphrased:
        return math.inf
    return (geometric_mean(wrong) if geometric and all(wrong) else 0.0 if geometric else fmean(wrong)) / paraphrased


def forget_truth_ratio(ratios: Sequence[float]) -> float:
    """Mean of min(R, 1/R) over the forget set; near 1 when truth and invention are equally likely."""
    return fmean(min(r, 1 / r) if r else 0.0 for r in ratios)


def kept_truth_ratio(ratios: Sequence[float]) -> float:
    """Mean of max(0, 1 - R) over what should be kept; near 1 when the model knows."""
    return fmean(max(0.0, 1 - r) for r in ratios)


def forget_quality(unlearned: Sequence[float], reference: Sequence[float]) -> float | None:
    """p-value of a two-sample Kolmogorov-Smirnov test between truth ratios of the forget set; high when they are alike.

    None when there are fewer than 30 questions: then look at the two histograms.
    """
    if min(len(unlearned), len(reference)) < ENOUGH:
        return None
    return float(ks_2samp(unlearned, reference).pvalue)


def model_utility(parts: Sequence[float]) -> float:
    """Harmonic mean of probabilities, ROUGE-L recalls and truth ratios on what should be kept: one part at zero makes it zero."""
    return harmonic_mean(parts)


# ---- who was in the training data ----


def membership_auc(members: Sequence[float], strangers: Sequence[float]) -> float:
    """How well a membership score tells trained from untrained texts, 0.5 for not at all, 1 when every member is the lower one.

    Scores are those of `memorisation.membership`: the lower, the more it looks like training data.
    """
    labels = [1] * len(members) + [0] * len(strangers)
    return float(roc_auc_score(labels, [-score for score in (*members, *strangers)]))


def privacy_leak(auc_unlearned: float, auc_reference: float) -> float:
    """PrivLeak (MUSE): 0 is ideal, far below still in there, far above conspicuously gone; NaN when the reference tells all."""
    strange = 1 - auc_reference
    return 100 * ((1 - auc_unlearned) - strange) / strange if strange else math.nan


def recovered(unlearned: float, reference: float, original_direct: float, reference_direct: float) -> float:
    """The share of the removed knowledge that an audit brings back: rho of methods/01 section 4, clipped at 0.

    NaN when the original model knows no more than the reference, so that there was nothing to remove.
    """
    known = original_direct - reference_direct
    return max(0.0, (unlearned - reference) / known) if known > 0 else math.nan
