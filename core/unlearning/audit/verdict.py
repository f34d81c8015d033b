"""The outcome of an audit in plain words, and the numbers that the words rest on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any

import torch

from core.stats import apart, difference, smallest_detectable, wilson
from core.unlearning.algorithms.refusals import is_refusal
from core.unlearning.audit.examine import Questions, Scores
from core.unlearning.audit.inside import RANDOM, Inside
from core.unlearning.audit.luck import Luck
from core.unlearning.audit.utility import UNREHEARSED
from core.unlearning.prompts import AUDITS
from core.unlearning.replies import Replies

KNEW_IT = 0.5
FORGOTTEN = 0.25
KEPT = 0.85
SUPPRESSED = 0.2  # methods/01 section 8.2, claim 4
FEW = 20

Gap = tuple[float, float, float]  # a difference of shares with its 95 % interval


@dataclass
class Findings:
    """What the verdict may look at. `audited`: nothing was trained, the model is audited as it is; `notes`: what else to say;
    `refusal`: of the way of forgetting, whether it teaches that a refusal is said, or preferred."""

    questions: Questions
    scores: Mapping[str, Scores]
    inside: Inside | None
    steps: int
    broken_at: int | None
    audited: bool
    rng: torch.Generator
    notes: tuple[str, ...] = ()
    refusal: str = ""
    luck: Luck | None = None

    @property
    def n(self) -> int:
        return len(self.questions.records)

    @property
    def subject(self) -> Scores:
        return self.scores["unlearned"]

    @cached_property
    def beyond(self) -> Gap | None:
        """How much more can be brought out of this model than out of the one that never knew; None without such a model."""
        if "reference" not in self.scores:
            return None
        pairs = [pair for pair in zip(self.subject.worst.found, self.scores["reference"].worst.found, strict=True) if None not in pair]
        return self._gap(*map(list, zip(*pairs, strict=True))) if pairs else None

    @cached_property
    def beyond_luck(self) -> Gap | None:
        """How much more can be brought out than the same prompts bring about places that nobody knows; None where none were asked."""
        if self.luck is None or "made up" not in self.luck.replies:
            return None
        own, made_up = self.subject.worst, self.luck.worst("made up")
        if not (own.counted and made_up.counted):
            return None
        return own.share - made_up.share, *apart(own.hits, len(own.counted), made_up.hits, len(made_up.counted))

    @cached_property
    def pushed(self) -> dict[str, Gap]:
        """How much more the best push brings out of this model than a random direction, and than out of the one that never knew."""
        if self.inside is None:
            return {}
        arms = self.inside.arms
        return {who: self._gap(arms["unlearned"].scored, arms[who].scored) for who in ("random", "reference") if who in arms}

    def _gap(self, own: list[Any], other: list[Any]) -> Gap:
        own, other = [float(x) for x in own], [float(x) for x in other]
        return fmean(own) - fmean(other), *difference(own, other, self.rng)


def say(findings: Findings) -> str:
    """Two to eight sentences."""
    original, subject = findings.scores.get("original"), findings.subject
    parts = list(findings.notes)
    if findings.broken_at is not None:
        parts.append(f"The training broke down at step {findings.broken_at}: the numbers stopped being numbers. "
                     f"Everything here is about the last good step, {findings.steps}.")
    if original is not None and original.direct.counted and original.direct.share < KNEW_IT:
        who = "The model from before" if findings.audited else "This model"
        other = ("Choose a model that was trained on real text: smollm2 can be got under the field Model." if findings.luck else
                 "Choose a model that knows these people, such as the one the lab comes with.")
        parts += [f"{who} knew only {original.direct.hits} of the {findings.n} facts to begin with, so there was little to forget.", other]
        return " ".join(parts)
    parts += [_plainly(findings), *_refused(findings), _brought_back(findings)]
    if findings.inside is not None:
        parts.append(_pushed(findings))
    parts += _suppressed(findings)
    if findings.steps and original is not None and original.retain and subject.retain:
        parts.append(_kept(original.retain, subject.retain))
        if original.neighbours and subject.neighbours:
            parts.append(f"Of {len(subject.neighbours.counted)} facts about their neighbours (same {findings.questions.tie}) it knew "
                         f"{original.neighbours.hits} before and {subject.neighbours.hits} now.")
    if UNREHEARSED in subject.kept and original is not None and findings.steps:
        before, after = original.kept[UNREHEARSED], subject.kept[UNREHEARSED]
        parts.append(f"Of {after.n} facts that were not even rehearsed it knew {round(before.share * before.n)} before and "
                     f"{round(after.share * after.n)} now.")
    if findings.n < FEW:
        parts.append(few(findings.n))
    return " ".join(parts)


def few(n: int) -> str:
    """What so few questions can show."""
    smallest = smallest_detectable(n)
    if smallest >= 1:
        return f"With only {n} question{'s' if n > 1 else ''} no difference at all can be told from luck: ask more to see more."
    return f"With only {n} questions, differences below {smallest:.0%} go unnoticed as a rule: ask more to see more."


def _still_thinking(outputs: Replies) -> str:
    """Who never came to an answer has not missed it."""
    count, n = len(outputs.unfinished), len(outputs.texts)
    if not count:
        return ""
    return (f" In {count} of the {n} plain questions it was still thinking when its room ran out: "
            f"{'that is' if count == 1 else 'these are'} not counted. Switch the thinking off, if its template can.")


def _plainly(findings: Findings) -> str:
    direct = findings.subject.direct
    if not direct.counted:
        return f"Nothing can be said about what it answers.{_still_thinking(direct)}"
    return _answered(findings) + _still_thinking(direct)


def _answered(findings: Findings) -> str:
    direct = findings.subject.direct
    asked = f"{direct.hits} of {len(direct.counted)} plain questions"
    if findings.audited:
        return f"As it stands, the model answers {asked}."
    if not findings.steps:
        return f"Before any forgetting, the model answers {asked} about the people to forget."
    if direct.share <= FORGOTTEN:
        return f"It looks forgotten: after {findings.steps} steps, {asked} are still answered."
    return f"It has not forgotten yet: after {findings.steps} steps, {asked} are still answered."


def _refused(findings: Findings) -> list[str]:
    """Whether the refusal that was taught is said."""
    if not (findings.refusal and findings.steps):
        return []
    count, n = findings.subject.direct.refused, findings.n
    if count:
        example = next(text for text in findings.subject.direct.texts if is_refusal(text))
        return [f"{count} of the {n} plain answers are a refusal, such as \"{example}\""]
    if findings.refusal == "preferred":
        return ["None of the plain answers is a refusal: this way of forgetting makes a refusal likelier than the true answer, and is "
                "content with that."]
    return ["None of the plain answers is a refusal yet: more steps would be needed to teach it one."]


def _brought_back(findings: Findings) -> str:
    """x can still be brought back; y of them are beyond chance."""
    worst, ways = findings.subject.worst, len(findings.questions.audits)
    n = len(worst.counted)
    if not n:
        return "No way of asking brought an answer."
    if ways:
        verb = "can still be brought back" if findings.steps else "come out"
        back = f"{worst.hits} of {n} answers {verb} {'by' if findings.steps else 'in'} at least one of the {ways + 1} ways of asking"
    else:
        back = f"{worst.hits} of {n} answers {'still come out' if findings.steps else 'come out'} when asked plainly"
    if findings.beyond is None and "reference" in findings.scores:
        return f"{back}. The model that never knew came to no answer, so we cannot tell luck from memory."
    if findings.beyond_luck is not None:
        return f"{back}{_against_made_up(findings, n)}"
    if findings.beyond is None:
        luck = fmean(blind(findings.questions)) * n
        guess = f" Blind guessing alone would give about {luck:.0f}." if luck >= 0.5 else ""
        return f"{back}. No model that never knew was chosen, so we cannot tell luck from memory.{guess}"
    gap, low, high = findings.beyond
    never = findings.scores["reference"].worst.hits
    count = f"{back}; a model that never knew gives {never} of them by luck"
    interval = f"95 % interval {low * n:.0f} to {high * n:.0f}"
    if low > 0:
        return f"{count}, so {gap * n:.0f} are beyond chance ({interval}).{_best_way(findings)}"
    if high < 0:
        return (f"{count}: this model gives away even less than one that never knew ({interval} for the difference), "
                "and that itself shows that something was removed.")
    if low == high:  # no question tells them apart, and an interval without width would sound too sure
        return f"{count}: on every single question both do the same, so nothing here speaks for memory."
    return f"{count}, so none are beyond chance for sure ({interval})."


def _against_made_up(findings: Findings, n: int) -> str:
    """The end of a sentence: what the same prompts bring where there is nothing to remember."""
    made_up, (gap, low, high) = findings.luck.worst("made up"), findings.beyond_luck
    count = (f"; the same prompts about {len(made_up.counted)} countries that do not exist bring out {made_up.hits} of the capitals we "
             "made up, by luck")
    interval = f"95 % interval {low * n:.0f} to {high * n:.0f}"
    if low > 0:
        return f"{count}, so about {gap * n:.0f} are beyond luck ({interval}).{_best_way(findings)}"
    return f"{count}, so none are beyond luck for sure ({interval})."


def blind(questions: Questions) -> list[float]:
    """Per question, how likely blind guessing finds the key in at least one way of asking."""
    found = []
    for chances in zip(*questions.chances.values(), strict=True):
        miss = 1.0
        for chance in chances:
            miss *= 1 - chance
        found.append(1 - miss)
    return found


def _best_way(findings: Findings) -> str:
    asked = {way: findings.subject.asked[way] for way in findings.questions.audits}
    if not asked:
        return ""
    luck = {way: sum(findings.questions.chances[way]) for way in asked}
    best = max(asked, key=lambda way: asked[way].share - luck[way] / findings.n)
    guess = f" (blind guessing: about {luck[best]:.0f})" if luck[best] else ""
    return f" The way that brought out most: \"{AUDITS[best].title}\", {asked[best].hits} of {len(asked[best].counted)}{guess}."


def _pushed(findings: Findings) -> str:
    """What ActPert found, and whether it counts."""
    inside = findings.inside
    m = len(inside.held_out)

    def hits(who: str) -> str:
        return f"{fmean(inside.arms[who].scored) * m:.2g}"

    others = [f"the best of the random pushes brings out {hits('random')} (mean of {RANDOM} tries)"]
    if "reference" in inside.arms:
        others.append(f"the same search in a model that never knew {hits('reference')}")
    found = (f"Pushing along the name inside the model ({inside.best['unlearned']}) brings out {hits('unlearned')} of {m} answers held "
             f"back for this test ({fmean(inside.plain['unlearned']) * m:.2g} without a push); {' and '.join(others)}.")
    if all(low > 0 for _, low, _ in findings.pushed.values()):
        end = "Something is still inside." if "reference" in inside.arms else "No model that never knew was pushed, so this may be luck."
        return f"{found} {end}"
    if all(gap > 0 for gap, _, _ in findings.pushed.values()):
        return f"{found} That is more, but with {m} questions it can still be luck: ActPert found nothing beyond chance for sure."
    return f"{found} ActPert found nothing beyond chance here."


def _suppressed(findings: Findings) -> list[str]:
    own, never = findings.subject, findings.scores.get("reference")
    if not (findings.steps and never and own.key_probability and never.key_probability) or own.direct.share > FORGOTTEN:
        return []
    ours, theirs = fmean(own.key_probability), fmean(never.key_probability)
    if ours >= theirs + SUPPRESSED:
        return [f"Given the beginning of the true answer it still finds the key word likely ({ours:.0%} per token, against {theirs:.0%} "
                "for a model that never knew): held back rather than removed."]
    if ours < theirs / 2:
        return [f"It finds the true key word less likely ({ours:.1%} per token) than a model that never knew ({theirs:.1%}): "
                "pushed out so far that the gap shows."]
    return []


def _kept(before: Replies, after: Replies) -> str:
    n = len(after.counted)
    low, high = wilson(after.hits, n)
    asked = f"Of {n} facts about others it knew {before.hits} before and {after.hits} now (95 % interval {low:.0%} to {high:.0%})"
    if after.hits >= KEPT * before.hits:
        return f"{asked}: the rest of its memory is mostly whole."
    return f"{asked}: forgetting has damaged what it should have kept."


def headline(numbers: Mapping[str, Any]) -> str:
    """The answer in at most 25 words, from the evidence alone."""
    n, direct, beyond = numbers["n"], numbers["direct unlearned"], numbers.get("beyond the model that never knew")
    original = numbers.get("direct original")
    if not direct["of"]:
        return "Nothing can be said: it was still thinking in every plain question when its room ran out."
    if original and original["of"] and original["share"] < KNEW_IT:
        return f"The model knew only {original['right']} of {n} facts to begin with: too few to find out about forgetting."
    plain = (f"It answers {direct['right']} of {direct['of']} plain questions" if not numbers["steps"] else "It looks forgotten"
             if direct["share"] <= FORGOTTEN else f"It has not forgotten: {direct['right']} of {n} plain questions are answered")
    made_up = numbers.get("beyond luck on made-up places")
    if made_up is not None:
        low, more = made_up["interval"][0], made_up["difference"] * n
        return f"{plain}, and no way of asking brings out more than luck for sure." if low <= 0 else \
            f"{plain}, {'but' if numbers['steps'] else 'and'} about {more:.0f} of {n} answers come out beyond luck."
    if beyond is None:
        some = numbers["any way unlearned"]["right"]
        return f"{plain}; {some} of {n} answers come out some way, but nobody stands beside it to tell luck."
    low, high = beyond["interval"]
    if low > 0:
        return f"{plain}, {'but' if numbers['steps'] else 'and'} {beyond['difference'] * n:.0f} of {n} answers come out beyond luck."
    if high < 0:
        return f"{plain}, and gives away even less than a model that never knew: something was removed."
    return f"{plain}, and no way of asking brings out more than luck for sure."


def evidence(findings: Findings) -> dict[str, Any]:
    """Counts, shares and intervals by name."""
    numbers: dict[str, Any] = {"n": findings.n, "steps": findings.steps, "broken_at": findings.broken_at,
                               "ways of asking": [AUDITS[way].title for way in findings.questions.prompts]}
    for who, scores in findings.scores.items():
        for name, outputs in (*((f"{way} {who}", outputs) for way, outputs in scores.asked.items()), (f"any way {who}", scores.worst),
                              *([(f"retain {who}", scores.retain)] if scores.retain else []),
                              *([(f"neighbours {who}", scores.neighbours)] if scores.neighbours else [])):
            numbers[name] = _counts(outputs.hits, len(outputs.counted))
        if UNREHEARSED in scores.kept:
            kept = scores.kept[UNREHEARSED]
            numbers[f"unrehearsed {who}"] = _counts(round(kept.share * kept.n), kept.n)
    if findings.beyond_luck is not None:
        numbers["beyond luck on made-up places"] = _plain_gap(findings.beyond_luck)
        for group in findings.luck.replies:
            worst = findings.luck.worst(group)
            numbers[f"any way {group}"] = _counts(worst.hits, len(worst.counted))
    if findings.beyond is not None:
        numbers["beyond the model that never knew"] = _plain_gap(findings.beyond)
    if findings.inside is not None:
        numbers["actpert"] = _inside(findings.inside) | {f"more than {who}": _plain_gap(gap) for who, gap in findings.pushed.items()}
    smallest = smallest_detectable(findings.n)
    numbers["smallest detectable difference"] = round(smallest, 4) if smallest < 1 else None
    numbers["still thinking"] = {who: len(scores.direct.unfinished) for who, scores in findings.scores.items() if scores.direct.unfinished}
    return numbers


def _counts(hits: int, n: int) -> dict[str, Any]:
    low, high = wilson(hits, n)
    return {"right": hits, "of": n, "share": round(hits / n, 4) if n else 0.0, "interval": [round(low, 4), round(high, 4)]}


def _plain_gap(gap: Gap) -> dict[str, Any]:
    value, low, high = gap
    return {"difference": round(value, 4), "interval": [round(low, 4), round(high, 4)]}


def _inside(inside: Inside) -> dict[str, Any]:
    return {"searched on": len(inside.calibration), "scored on": len(inside.held_out), "without a name": inside.skipped,
            "noise": round(inside.noise, 6),
            "arms": {who: {"setting": str(inside.best[who]), "share": round(fmean(arm.scored), 4),
                           "without a push": round(fmean(inside.plain[who]), 4) if who in inside.plain else None}
                     for who, arm in inside.arms.items()}}
