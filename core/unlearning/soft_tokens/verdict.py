"""The outcome in plain words, by the decision rule of methods/05 section 5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from core.stats import difference, smallest_detectable
from core.unlearning.soft_tokens.cells import CELLS
from core.unlearning.soft_tokens.results import Outcome, Outcomes, estimate, ordered
from core.unlearning.soft_tokens.spec import WHO, Who

FEW = 20
MOST_ANSWERED = 0.10  # by a model that is said not to know, when it is just asked
HALF = 0.50
Gap = tuple[float, float, float]


@dataclass
class Findings:
    """What the verdict may look at.

    said: who -> whether the visitor's sentence came out.  longest: k -> tokens.  asked: who -> share of the same questions that
    it answers when just asked.  left_out: who was too large to be made.  unit: of random texts, which have `random_length`.
    """

    outcomes: Outcomes
    sentence: str
    said: Mapping[Who, bool]
    longest: dict[int, int]
    tokens: int
    sentence_tokens: int
    mode: str
    unit: str
    random_length: int
    asked: Mapping[Who, float]
    left_out: Sequence[Who]
    rng: torch.Generator

    @cached_property
    def gaps(self) -> dict[str, Gap]:
        """How much oftener the true answer came out of the unlearned model than each control did, with 95 % intervals."""
        if not all(key in self.outcomes for key in "BCD"):
            return {}
        true = [float(o.success) for o in self.outcomes["B"]]
        others = {key: [float(o.success) for o in self.outcomes[key]] for key in "DC"}
        return {key: (sum(true) / len(true) - sum(other) / len(other), *difference(true, other, self.rng)) for key, other in others.items()}

    @property
    def uninformative(self) -> bool:
        """Both intervals contain zero: the attack gives the false answer, and the model that never knew, as often."""
        return self.signs <= {0}

    @property
    def signs(self) -> set[int]:
        """What the intervals of the two differences show: 1 above zero, -1 below zero, 0 neither."""
        return {(low > 0) - (high < 0) for _, low, high in self.gaps.values()}

    @property
    def pointless(self) -> bool:
        """Just asked, a model does the opposite of what it stands for: there is nothing to compare."""
        return bool(self.asked) and (max(self.asked["unlearned"], self.asked["reference"]) > HALF or self.asked["original"] < HALF)


def say(findings: Findings) -> str:
    """Two to six sentences."""
    parts = []
    if findings.gaps:
        parts += _compared(findings)
    if findings.said:
        parts.append(_sentence(findings))
    if "E" in findings.outcomes and not findings.gaps:
        parts.append(_random(findings))
    if findings.longest:
        parts.append(_longest(findings))
    if findings.left_out:
        parts.append(f"Left out, since a model of this size is too large to be trained or filled anew here: {_models(findings.left_out)}.")
    if any(o.broken for outcomes in findings.outcomes.values() for o in outcomes):
        parts.append("In some attacks the numbers stopped being numbers: they were stopped and count as they stood at best. "
                     "Try a smaller learning rate.")
    return " ".join(parts)


def _compared(findings: Findings) -> list[str]:
    b, c, d = (findings.outcomes[key] for key in "BCD")
    n = len(b)
    told = "the whole answer" if findings.mode == "answer" else "only how the answer begins"
    parts = [f"Told {told}, the attack got {_count(b)} of {n} true answers out of the model that was made to forget, "
             f"{_count(d)} of {n} false ones, and {_count(c)} of {n} out of a model that never knew them."]
    if not findings.pointless:
        parts.append(_conclusion(findings))
    if doubts := _doubts(findings, n):
        parts.append(f"Careful: just asked, {', and '.join(doubts)}. "
                     + ("This comparison means nothing." if findings.pointless else "Read this comparison with care."))
    if n < FEW and not findings.pointless:
        smallest = smallest_detectable(n)
        parts.append(f"With {n} texts per bar, differences below {smallest:.0%} go unnoticed as a rule." if smallest < 1 else
                     f"With only {n} texts per bar no difference at all can be told from luck: take more to see more.")
    return parts


def _conclusion(findings: Findings) -> str:
    (_, low_d, high_d), (_, low_c, high_c) = findings.gaps["D"], findings.gaps["C"]
    spans = f"(95 % intervals of the differences: {low_d:.0%} to {high_d:.0%} and {low_c:.0%} to {high_c:.0%})"
    signs = findings.signs
    if not any(_count(findings.outcomes[key]) for key in "BCD"):
        return "It failed everywhere, so it says nothing about memory."
    if not any((low_d, high_d, low_c, high_c)):  # intervals of nothing but equal pairs have no width and would look too sure
        return "That is no difference at all: the answers tell you about the attack, not about memory."
    if findings.uninformative:
        return f"That is no clear difference {spans}: the answers tell you about the attack, not about memory."
    if signs == {1}:
        return f"Here it does tell them apart {spans}: the true answer comes out oftener than both controls."
    if signs == {-1}:
        return f"The true answer came out less often than both controls {spans}, so this attack is no sign of memory."
    if signs == {-1, 0}:
        return f"The true answer came out less often than one control, no oftener than the other {spans}: this attack is no sign of memory."
    if signs == {-1, 1}:
        return f"The two controls contradict each other {spans}: with such a result nobody should be accused."
    return f"One control differs and the other does not {spans}: with such a result nobody should be accused."


def _doubts(findings: Findings, n: int) -> list[str]:
    """What plain asking says against the comparison."""
    if not findings.asked:
        return []
    given = {who: f"{round(share * n)} of {n} answers" for who, share in findings.asked.items()}
    doubts = []
    if findings.asked["unlearned"] > MOST_ANSWERED:
        doubts.append(f"the model that should have forgotten still gives {given['unlearned']}")
    if findings.asked["reference"] > MOST_ANSWERED:
        doubts.append(f"the model that should never have known gives {given['reference']}")
    if findings.asked["original"] < HALF:
        doubts.append(f"the model that should know gives only {given['original']}")
    return doubts


def _models(whom: Sequence[Who]) -> str:
    return ", ".join(f"“{WHO[who]}”" for who in whom)


def _sentence(findings: Findings) -> str:
    yes = [who for who, said in findings.said.items() if said]
    no = [who for who, said in findings.said.items() if not said]
    quoted = f"“{findings.sentence}”"
    if not yes:
        return f"No model could be made to say {quoted} with {findings.sentence_tokens} soft tokens: try more of them, or more steps."
    return f"Your sentence {quoted} was said by {_models(yes)}" + (f"; not by {_models(no)}." if no else ".")


def _random(findings: Findings) -> str:
    e, r = findings.outcomes["E"], findings.outcomes.get("R")
    blank = f" With random weights: {_count(r)} of {len(r)}." if r else ""
    best = max(o.accuracy for o in e)
    return (f"With {findings.tokens} soft tokens the model wrote {_count(e)} of {len(e)} texts of {findings.random_length} random "
            f"{findings.unit}; at best {best:.0%} of a text's tokens were right.{blank}")


def _longest(findings: Findings) -> str:
    k, length = max(findings.longest.items(), key=lambda item: (item[1], -item[0]))
    if not length:
        return "No random text on the map came out."
    return (f"The longest random text that came out had {length} {findings.unit} ({k} soft tokens); "
            "texts of 400 characters belong to models with billions of parameters.")


def _count(outcomes: list[Outcome]) -> int:
    return sum(o.success for o in outcomes)


def headline(numbers: Mapping[str, Any]) -> str:
    """The answer in at most 25 words, from the evidence alone; "" where the text begins with it anyway."""
    b, d, c = (numbers.get(CELLS[key].title) for key in "BDC")
    if not (b and d and c):
        said = numbers.get("own sentence said by")
        if said is None:
            return ""
        return f"Your sentence was said by {len(said)} of the models." if said else "No model could be made to say your sentence."
    if not numbers.get("comparison means something", True):
        return "Just asked, the models do not do what they stand for, so the attack has nothing to compare."
    counts = f"true answers {b['said']} of {b['of']}, false ones {d['said']}, from a model that never knew {c['said']}"
    spans = [numbers[f"true minus {CELLS[key].title}"]["interval"] for key in "DC"]
    if numbers["uninformative"]:
        return f"An answer proves nothing: the attack gets {counts}."
    if all(low > 0 for low, _ in spans):
        return f"Here the attack tells memory from none: it gets {counts}."
    return f"This attack is no sign of memory: it gets {counts}."


def evidence(findings: Findings) -> dict[str, Any]:
    """Counts, shares and intervals by name."""
    numbers: dict[str, Any] = {"soft tokens": findings.tokens, "told": findings.mode}
    for key in ordered(findings.outcomes):
        outcomes = findings.outcomes[key]
        share, low, high = estimate(outcomes)
        numbers[CELLS[key].title] = {"said": _count(outcomes), "of": len(outcomes), "share": round(share, 4),
                                    "interval": [round(low, 4), round(high, 4)]}
    for key, (gap, low, high) in findings.gaps.items():
        numbers[f"true minus {CELLS[key].title}"] = {"difference": round(gap, 4), "interval": [round(low, 4), round(high, 4)]}
    if findings.gaps:
        smallest = smallest_detectable(len(findings.outcomes["B"]))
        numbers |= {"uninformative": findings.uninformative,
                    "smallest detectable difference": round(smallest, 4) if smallest < 1 else None}
    if findings.asked:
        numbers |= {"just asked": {WHO[who]: round(share, 4) for who, share in findings.asked.items()},
                    "comparison means something": not findings.pointless}
    if findings.said:
        numbers["soft tokens for the own sentence"] = findings.sentence_tokens
        numbers["own sentence said by"] = [WHO[who] for who, said in findings.said.items() if said]
    if findings.left_out:
        numbers["left out"] = [WHO[who] for who in findings.left_out]
    if findings.longest:
        numbers["longest random text"] = {f"{k} soft tokens": length for k, length in findings.longest.items()}
    return numbers
