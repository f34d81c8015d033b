"""What was measured, as tables, figures and final numbers for a page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from statistics import fmean
from typing import Any

from core.engine.events import Event, Figure, Metric, Table
from core.engine.lab import Lab
from core.stats import bootstrap, wilson
from core.unlearning import figures as shared
from core.unlearning.audit import figures, utility
from core.unlearning.audit.examine import Questions, Scores
from core.unlearning.audit.inside import Inside
from core.unlearning.audit.luck import LUCK_NAMES, Luck
from core.unlearning.data import Record
from core.unlearning.figures import Estimate
from core.unlearning.metrics import ENOUGH, forget_quality, forget_truth_ratio, privacy_leak, recovered
from core.unlearning.prompts import AUDITS, render
from core.unlearning.replies import Replies

MODELS = ("original", "unlearned", "reference")
Answers = Mapping[str, Mapping[str, Replies]]  # by model and way of asking, as far as known
LABEL = 44


def counted(found: list[bool]) -> Estimate:
    """A share with its 95 % Wilson interval."""
    return sum(found) / len(found) if found else 0.0, *wilson(sum(found), len(found))


def averaged(values: list[float], lab: Lab, name: str) -> Estimate:
    """A mean with its 95 % bootstrap interval over questions."""
    return (fmean(values), *bootstrap(values, lab.rng(f"interval {name}"))) if values else (0.0, 0.0, 1.0)


def label(record: Record) -> str:
    """A question in a few words: whom and what, or its beginning."""
    text = f"{record.subject}, {record.attribute}" if record.subject and record.attribute else record.question
    return text if len(text) <= LABEL else text[:LABEL - 1] + "…"


def matrix(questions: Questions, answers: Answers, names: Mapping[str, str]) -> Figure:
    """The heat map, as far as it is known."""
    found = {who: {way: outputs.found for way, outputs in asked.items()} for who, asked in answers.items()}
    return Figure("matrix", figures.matrix(found, [label(record) for record in questions.records],
                                           {way: AUDITS[way].title for way in questions.prompts}, names))


def answers_table(questions: Questions, answers: Answers, names: Mapping[str, str]) -> Table:
    """One row per forget question, asked plainly, and which other ways brought out the key; what is not known yet is an ellipsis."""
    shown = [who for who in MODELS if who in answers]
    ways = answers.get("unlearned", {})
    rows = []
    for i, record in enumerate(questions.records):
        said = [_said(answers[who].get("direct"), i) for who in shown]
        back = ", ".join(AUDITS[way].title for way in questions.audits if way in ways and ways[way].found[i])
        rows.append([record.question, questions.direct[i].proof, *said, back or ("none" if len(ways) == len(questions.prompts) else "…")])
    return Table("answers", ["Question", "Key", *(names[who] for who in shown), "Ways that brought it back"], rows)


def cells_table(questions: Questions, answers: Answers, names: Mapping[str, str], tokenizer: Any) -> Table:
    """Every cell of the matrix: what was asked, what each model said, and whether that is memory or may be luck."""
    shown = [who for who in MODELS if who in answers]
    rows = []
    for way, prompts in questions.prompts.items():
        for i, prompt in enumerate(prompts):
            if prompt is None:
                continue
            given = {who: way in answers[who] and answers[who][way].found[i] for who in shown}
            rows.append([i, way, label(questions.records[i]), AUDITS[way].title, render(prompt, tokenizer).text, prompt.proof,
                         *(_said(answers[who].get(way), i) for who in shown), _verdict(given), round(prompt.chance, 4)])
    return Table("cells", ["Number", "Way", "Question", "Way of asking", "Prompt", "Key", *(names[who] for who in shown),
                           "Key given", "Blind guess"], rows)


def _verdict(given: Mapping[str, bool | None]) -> str:
    if not given.get("unlearned"):
        return "no"
    return "yes, but the model that never knew gives it too" if given.get("reference") else "yes"


def _said(outputs: Replies | None, question: int) -> str:
    if outputs is None or outputs.texts[question] is None:
        return "…"
    return outputs.texts[question] or "(says nothing)"


def comparisons(questions: Questions, scores: Mapping[str, Scores], names: Mapping[str, str], lab: Lab,
                luck: Luck | None = None) -> Iterator[Event]:
    """The pictures that stand several models side by side, for those measured so far."""
    known = {who: scores[who] for who in MODELS if who in scores}
    chance = [fmean(c for c, prompt in zip(questions.chances[way], prompts, strict=True) if prompt)
              for way, prompts in questions.prompts.items()]
    shares = {who: [*(counted(s.asked[way].counted) for way in questions.prompts),
                    averaged([float(x) for x in s.worst.counted], lab, f"{who} worst")] for who, s in known.items()}
    for group, ways in (luck.replies if luck else {}).items():
        shares[group] = [*(counted(ways[way].counted if way in ways else []) for way in questions.prompts),
                         counted(luck.worst(group).counted)]
    yield Figure("recall", figures.ways_of_asking([*(AUDITS[way].title for way in questions.prompts), "Any way"], shares, [*chance, 0.0],
                                                  {**names, **LUCK_NAMES}))
    keys = all(s.key_probability for s in known.values())
    yield Figure("probability", shared.grouped_bars(
        ["Whole true answer", *(["Key fact alone"] if keys else [])],
        {who: [averaged(s.memory.probability, lab, f"{who} answer"),
               *([averaged(s.key_probability, lab, f"{who} key")] if keys else [])] for who, s in known.items()}, "probability per token",
        names=names))
    layers = {who: [counted(layer) for layer in s.readable] for who, s in known.items() if s.readable}
    if layers:
        rivals = fmean(len(questions.values[record.attribute]) for record in questions.records)
        yield Figure("by_layer", shared.by_layer(layers, 1 / rivals, names))
    ratios = {who: known_ratios(s) for who, s in known.items() if known_ratios(s)}
    if ratios:
        yield Figure("truth_ratio", figures.truth_ratios(ratios, quality(scores), names, _too_few(scores)))


def known_ratios(scores: Scores, *, geometric: bool = False) -> list[float]:
    """Truth ratios of the questions that have wrong answers beside the right one."""
    return [ratio for ratio in (scores.memory.geometric if geometric else scores.memory.truth_ratio) if ratio is not None]


def truth_ratio_of(scores: Scores, *, geometric: bool = False) -> float | None:
    """Forget truth ratio, None where no question has wrong answers."""
    ratios = known_ratios(scores, geometric=geometric)
    return forget_truth_ratio(ratios) if ratios else None


def quality(scores: Mapping[str, Scores]) -> float | None:
    """Forget quality, where there is a reference and there are enough questions."""
    if "unlearned" not in scores or "reference" not in scores:
        return None
    return forget_quality(known_ratios(scores["unlearned"]), known_ratios(scores["reference"]))


def _too_few(scores: Mapping[str, Scores]) -> int:
    """How many questions there are, where they are too few for the test; else 0."""
    known = [len(known_ratios(scores[who])) for who in ("unlearned", "reference") if who in scores]
    return min(known) if len(known) == 2 and min(known) < ENOUGH else 0


def privleak(scores: Mapping[str, Scores]) -> float | None:
    """PrivLeak, where there are a reference and people no model ever saw."""
    aucs = [scores[who].auc if who in scores else None for who in ("unlearned", "reference")]
    return None if None in aucs else privacy_leak(*aucs)


MEASURES = {  # as the table names them: (what it means, how it is taken from the scores of one model)
    "plain question": ("share of answers with the key fact", lambda s: s.direct.share),
    "refusals": ("share of the plain answers that are a refusal", lambda s: s.direct.refusals),
    "any way of asking": ("share of facts that some way brings out", lambda s: s.worst.share),
    "people to keep": ("share of other facts still known", lambda s: s.retain.share if s.retain else None),
    "neighbours": ("share of facts about their neighbours (same genre, order or club) still known",
                   lambda s: s.neighbours.share if s.neighbours else None),
    "probability of the true answer": ("per token; 1 is certain", lambda s: fmean(s.memory.probability)),
    "probability of the key fact": ("per token of the key alone", lambda s: fmean(s.key_probability) if s.key_probability else None),
    "overlap of words": ("ROUGE-L recall of the plain answer, word stems as in rouge-score; in scripts without spaces sign by sign",
                         lambda s: fmean(s.overlap)),
    "exact memorisation": ("share of tokens of the true answer put right", lambda s: fmean(s.memory.exact)),
    "extraction strength": ("share of the answer completed once begun", lambda s: fmean(s.memory.strength)),
    "VerbMem": ("how well it goes on with a lesson when shown most of it; overlap of words, F1", lambda s: s.verbatim),
    "KnowMem": ("answers after two answered examples; overlap of words, F1", lambda s: s.knowledge),
    "truth ratio": ("wrong against true answer, 1 is: cannot tell; arithmetic mean of the wrong ones, as in TOFU",
                    lambda s: truth_ratio_of(s)),
    "truth ratio, geometric": ("the same with the geometric mean of the wrong ones, as in open-unlearning",
                               lambda s: truth_ratio_of(s, geometric=True)),
    "membership": ("AUC of min-k (without the end token) against people nobody saw; 0.5 is: cannot tell", lambda s: s.auc),
}
NUMBERS = {  # of one set of facts to keep: (what it means, how it is taken)
    "probability": ("of the true answer, per token", lambda kept: kept.probability),
    "overlap of words": ("ROUGE-L recall of the plain answer", lambda kept: kept.overlap),
    "truth ratio": ("mean of 1 - R, not below 0; R: wrong against true answer", lambda kept: kept.truth_ratio),
}
AMONG = "of the true answer, among true and wrong ones"
NOT_COUNTED = "not counted: none of these models knows half of it"


def utilities(scores: Mapping[str, Scores]) -> dict[str, float | None]:
    """Model utility by model, for all of them on the same sets of facts."""
    kept = {who: own.kept for who, own in scores.items()}
    sets = utility.counted(kept)
    return {who: utility.utility(own, sets) for who, own in kept.items()}


def utility_table(scores: Mapping[str, Scores], names: Mapping[str, str]) -> Table:
    """The numbers, nine if there are three sets of facts to keep, whose harmonic mean is the utility."""
    shown = [who for who in MODELS if who in scores]
    sets = utility.counted({who: scores[who].kept for who in shown})
    rows = []
    for title in dict.fromkeys(title for who in shown for title in scores[who].kept):
        for name, (meaning, take) in NUMBERS.items():
            meaning = AMONG if name == "probability" and title != utility.PEOPLE_TO_KEEP else meaning
            kept = [scores[who].kept[title] for who in shown]
            rows.append([f"{title} ({kept[0].n})", name, *(_rounded(take(own)) for own in kept), meaning if title in sets else NOT_COUNTED])
    return Table("utility", ["Facts to keep", "Number", *(names[who] for who in shown), "What it is"], rows)


def scores_table(scores: Mapping[str, Scores], names: Mapping[str, str]) -> Table:
    """The measures of methods/01 section 4, the models side by side, and the two numbers that compare two models."""
    shown = [who for who in MODELS if who in scores]
    rows = [[name, *(_rounded(take(scores[who])) for who in shown), meaning] for name, (meaning, take) in MEASURES.items()]
    useful = utilities(scores)
    rows.append(["utility", *(_rounded(useful[who]) for who in shown), _said_of_utility(scores)])
    for name, value, meaning in (("forget quality", quality(scores), "p of a KS test against the model that never knew; 1 is alike"),
                                 ("PrivLeak", privleak(scores), "0 is ideal, below: still in there, above: conspicuously gone")):
        rows.append([name, *(_rounded(value) if who == "unlearned" else None for who in shown), meaning])
    return Table("scores", ["Measure", *(names[who] for who in shown), "What it is"], rows)


def _said_of_utility(scores: Mapping[str, Scores]) -> str:
    """How many numbers the harmonic mean is made of, and what they are about."""
    kept = {who: own.kept for who, own in scores.items()}
    sets = utility.counted(kept)
    if not sets:
        return "not measured: there are no facts to keep"
    count = max(sum(len(own[title].numbers) for title in sets) for own in kept.values())
    return f"harmonic mean of {count} numbers: probability, overlap of words and truth ratio on {', '.join(sets)}"


def shares_table(questions: Questions, scores: Mapping[str, Scores], names: Mapping[str, str], lab: Lab) -> Table:
    """Every share with its 95 % interval: Wilson for counts, bootstrap over questions for the worst case."""
    rows: list[list[Any]] = []
    for who in (who for who in MODELS if who in scores):
        own = scores[who]
        for way in questions.prompts:
            rows.append([names[who], AUDITS[way].title, own.asked[way].hits, len(own.asked[way].counted),
                         *map(_rounded, counted(own.asked[way].counted)), round(fmean(questions.chances[way]), 4)])
        worst = own.worst.counted
        rows.append([names[who], "Any way of asking", sum(worst), len(worst),
                     *map(_rounded, averaged([float(x) for x in worst], lab, f"{who} worst")), None])
        if own.retain:
            rows.append([names[who], "People to keep", own.retain.hits, len(own.retain.counted),
                         *map(_rounded, counted(own.retain.counted)), None])
        if own.neighbours:
            rows.append([names[who], f"Neighbours (same {questions.tie})", own.neighbours.hits, len(own.neighbours.counted),
                         *map(_rounded, counted(own.neighbours.counted)), None])
    return Table("shares", ["Model", "Measure", "Right", "Of", "Share", "Low", "High", "Blind guess"], rows)


def _rounded(value: float | None) -> float | None:
    """Four decimals; of a number below them two digits that count, or a tiny p would read as none."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.2g}") if 0 < abs(value) < 0.001 else round(value, 4)


def strongest(questions: Questions, scores: Scores) -> tuple[str, float]:
    """The audit that brings out most after chance is subtracted, and how much; ("", 0) without any audit."""
    beyond = {way: scores.asked[way].share - fmean(questions.chances[way]) for way in questions.audits}
    best = max(beyond, key=beyond.__getitem__, default="")
    return best, beyond.get(best, 0.0)


def final_metrics(questions: Questions, scores: Mapping[str, Scores], inside: Inside | None, luck: Luck | None = None) -> Iterator[Event]:
    """One number each, named as the module of the experiment lists them."""
    for group, ways in (luck.replies if luck else {}).items():
        for name, outputs in (*ways.items(), ("worst", luck.worst(group))):
            yield Metric(f"{name} recall {group}", outputs.share, unit="share")
    useful = utilities(scores)
    for who, own in scores.items():
        for way, outputs in own.asked.items():
            if outputs.counted:
                yield Metric(f"{way} recall {who}", outputs.share, unit="share")
        for name, value, unit in (
                ("refusals", own.direct.refusals, "share of the plain answers"),
                ("worst recall", own.worst.share, "share"), ("strongest audit", strongest(questions, own)[1], "share beyond guessing"),
                ("retain recall", own.retain.share if own.retain else None, "share"),
                ("unrehearsed recall", own.kept[utility.UNREHEARSED].share if utility.UNREHEARSED in own.kept else None, "share"),
                ("neighbour recall", own.neighbours.share if own.neighbours else None, "share"),
                ("answer probability", fmean(own.memory.probability), "probability per token"),
                ("key probability", fmean(own.key_probability) if own.key_probability else None, "probability per token"),
                ("answer overlap", fmean(own.overlap), "ROUGE-L recall"), ("exact memorisation", fmean(own.memory.exact), "of tokens"),
                ("extraction strength", fmean(own.memory.strength), "share of the answer"),
                ("verbatim memory", own.verbatim, "ROUGE-L F1"), ("knowledge memory", own.knowledge, "ROUGE-L F1"),
                ("truth ratio", truth_ratio_of(own), "mean of min(R, 1/R)"),
                ("geometric truth ratio", truth_ratio_of(own, geometric=True), "mean of min(R, 1/R)"), ("membership", own.auc, "AUC"),
                ("utility", useful[who], "harmonic mean")):
            if value is not None and math.isfinite(value):
                yield Metric(f"{name} {who}", value, unit=unit)
    yield from _readable(scores)
    for name, value in (("forget quality", quality(scores)), ("privleak", privleak(scores)), *_brought_back(questions, scores)):
        if value is not None and math.isfinite(value):
            yield Metric(name, value)
    if inside is not None:
        yield from _pushed(inside)


def _readable(scores: Mapping[str, Scores]) -> Iterator[Event]:
    # the layer at which the ceiling is clearest, the last one apart: chosen on one model, scored on the others
    ceiling = scores.get("original", scores["unlearned"]).readable[:-1]
    layer = max(range(len(ceiling)), key=lambda i: sum(ceiling[i]), default=0)
    for who, own in scores.items():
        if layer < len(own.readable):
            yield Metric(f"readable {who}", fmean(own.readable[layer]), unit=f"share, after {layer} of {len(own.readable) - 1} layers")


def _brought_back(questions: Questions, scores: Mapping[str, Scores]) -> Iterator[tuple[str, float]]:
    """rho of methods/01 section 4, for every audit and for all together; needs the original and a reference."""
    if not {"original", "unlearned", "reference"} <= set(scores):
        return
    ceiling, floor = scores["original"].direct.share, scores["reference"].direct.share
    for way in questions.prompts:
        yield f"recovered {way}", recovered(scores["unlearned"].asked[way].share, scores["reference"].asked[way].share, ceiling, floor)
    yield "recovered share", recovered(scores["unlearned"].worst.share, scores["reference"].worst.share, ceiling, floor)


def _pushed(inside: Inside) -> Iterator[Event]:
    for who, arm in inside.arms.items():
        yield Metric(f"actpert recall {who}", fmean(arm.scored), unit="share of the questions held back")
        if who in inside.plain:
            yield Metric(f"actpert gain {who}", fmean(arm.scored) - fmean(inside.plain[who]), unit="share of the questions held back")
