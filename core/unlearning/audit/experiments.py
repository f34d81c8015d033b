"""Did it really forget? The unlearning audit (paper 01), and the model one may ask.

`unlearning/audit` takes a model that knows, lets it forget 1, 3 or 6 people, and asks again: plainly, and in a way the
forgetting never trained on. A model that never knew stands beside it. What it says while it runs:

    Progress                      every second or oftener
    Metric, one per step          forget loss, retain loss                                    (nats per token)
    Metric, every few steps       forget recall, retain recall                                (share, asked plainly)
    Figure "recall"               share of forgotten facts still given: plain and audited, three models, intervals
    Figure "probability"          how likely each model finds the true answer and the key fact, intervals
    Figure "by_layer"             after which layer the right value can be read, three models, chance
    Table "answers"               question | key | original | unlearned | reference | unlearned, audited   (filling in)
    Table "scores"                model | measure | right | of | share | low | high
    Keep "unlearned"              the model afterwards (not for 0 steps)
    Metric, final                 {direct recall, audited recall, retain recall, answer probability, key probability,
                                  answer overlap, readable} + {original, unlearned, reference}, for example
                                  "direct recall unlearned"; recovered share; kept share at best stop; steps taken
    Verdict                       words and evidence {n, direct, audited, reference, beyond chance, ...}

`unlearning/ask` is the probe behind "ask it yourself": answer, likeliest next tokens, and the logit lens.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import Field
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.engine.errors import LabError
from core.engine.events import Event, Figure, Keep, Metric, Table, Verdict
from core.engine.experiment import Config, ModelRef, experiment, probe
from core.engine.lab import Lab
from core.engine.models import LoadedModel
from core.unlearning import figures
from core.unlearning.audit import ask as asking
from core.unlearning.audit.algorithms import ALGORITHMS
from core.unlearning.audit.ask import Answer, AskConfig
from core.unlearning.audit.examine import PARTS, Outputs, Pace, Questions, Scores, examine, reply
from core.unlearning.audit.unlearn import Step, unlearn
from core.unlearning.audit.verdict import Findings, evidence, say
from core.unlearning.audits import AUDITS, build_prompts, shuffled
from core.unlearning.data import World, read_world
from core.unlearning.metrics import bootstrap, recovered, wilson

FORGOTTEN = 0.10  # methods/01 section 3: early stopping "until direct recall <= 0.1"
LOOKS_FORGOTTEN = 0.25  # methods/01 section 8.2, claim 2
LARGEST = 300_000_000
FAMILIES = ("llama", "gpt2")
MODELS = ("original", "unlearned", "reference")


class AuditConfig(Config):
    """Who forgets what, how, and how it is asked afterwards."""

    model: ModelRef = Field("embedded/authors", title="Model", description="The model that is to forget. It must know the people.")
    algorithm: Literal["ga", "npo"] = Field(
        "npo", title="Way of forgetting",
        json_schema_extra={"labels": {"ga": "Brute force (gradient ascent)", "npo": "With care (NPO)"}},
        description="Brute force pushes the answers away without limit; with care, an answer that is gone is left alone "
                    "and the rest is rehearsed.")
    subjects: Literal[1, 3, 6] = Field(3, title="People to forget",
                                       description="How many of the 48 invented authors to forget, ten facts each.")
    steps: int = Field(30, ge=0, le=500, title="Training steps",
                       description="At most this many changes of the model; 0 audits it as it is.")
    audit: Literal["prefix", "affirm", "icl", "choice", "reverse", "paraphrase"] = Field(
        "reverse", title="Trick question", json_schema_extra={"labels": {name: audit.title for name, audit in AUDITS.items()}},
        description="The second way of asking, which the forgetting never trained on.")
    stop_early: bool = Field(True, title="Stop when forgotten",
                             description="Stop as soon as at most one plain question in ten is still answered.")
    learning_rate: float | None = Field(
        None, gt=0, le=1, title="Learning rate", json_schema_extra={"more": True},
        description="How far one step goes; empty means what suits the way of forgetting (ga 0.0001, npo 0.0003).")
    reference: ModelRef = Field("embedded/authors-retain", title="Model that never knew", json_schema_extra={"more": True},
                                description="Trained without these people: what real forgetting would look like.")
    check_every: int = Field(3, ge=1, le=100, title="Ask every", json_schema_extra={"more": True},
                             description="Steps between two rounds of plain questions while it forgets.")
    retain_questions: int = Field(60, ge=10, le=420, title="Questions about others", json_schema_extra={"more": True},
                                  description="How many facts about people who should be kept are asked.")


@dataclass
class History:
    """What was seen while the model forgot: losses (step, forget, retain), recalls (step, forget, retain)."""

    losses: list[tuple[int, float, float]] = field(default_factory=list)
    recalls: list[tuple[int, float, float]] = field(default_factory=list)
    broken_at: int | None = None
    latest: Outputs = field(default_factory=Outputs)

    def forgotten_at(self, step: int) -> bool:
        """Whether the questions were asked at this step and few enough were answered to stop."""
        asked, forget, _ = self.recalls[-1]
        return asked == step and forget <= FORGOTTEN

    def kept_at_best_stop(self, original_retain: float) -> float:
        """The largest share of kept facts at any check at which the answers looked forgotten; 0 if there was none."""
        kept = [retain for _, forget, retain in self.recalls if forget <= LOOKS_FORGOTTEN]
        return max(kept, default=0.0) / original_retain if original_retain else 0.0


@experiment("unlearning/audit", title="Did it really forget?", paper="01", revision=1, families=FAMILIES)
def audit(config: AuditConfig, lab: Lab) -> Iterator[Event]:
    """Forget, then ask twice; the module's docstring lists what is said."""
    pace = Pace(3 * PARTS + config.steps)
    yield pace.step("loading the models", by=0)
    world = read_world(lab.folder("authors"))
    original, reference = _readable(lab.load(config.model)), _readable(lab.load(config.reference))
    if config.steps and original.parameters > LARGEST:
        raise LabError(f"{config.model} has {original.parameters / 1e6:.0f} million parameters, too many to train all of them here.",
                       f"Choose a model below {LARGEST / 1e6:.0f} million, or 0 steps to audit it as it is.")
    kept = shuffled(world.retain, lab.rng("retain questions"))[:config.retain_questions]
    questions = Questions.draw(world, config.subjects, config.audit, kept, lab.rng("audit"))
    scores: dict[str, Scores] = {}
    for who, loaded in (("original", original), ("reference", reference)):
        scores[who] = yield from examine(loaded.model, loaded.tokenizer, questions, pace, who)
        yield answers_table(questions, scores, Outputs())
        yield from _figures(questions, scores, lab)

    subject = lab.fork(config.model)
    history = yield from _forget(config, lab, world, subject.model, original, questions, scores, pace)
    scores["unlearned"] = yield from examine(subject.model, subject.tokenizer, questions, pace, "unlearned")
    if history.losses[-1][0]:
        yield Keep("unlearned", subject.model, subject.tokenizer)
    yield answers_table(questions, scores, scores["unlearned"].direct)
    yield scores_table(scores, lab)
    yield from _figures(questions, scores, lab)
    yield from _final_metrics(scores, history)
    findings = Findings(AUDITS[config.audit].title, config.subjects, scores, history.losses[-1][0], history.broken_at,
                        lab.rng("verdict intervals"))
    yield Verdict(say(findings), evidence(findings))


def _readable(loaded: LoadedModel) -> LoadedModel:
    if loaded.tokenizer is None:
        raise LabError(f"{loaded.ref} has no tokenizer.json, so no question can be put to it.",
                       "Choose a model that comes with its tokenizer.")
    return loaded


def _forget(config: AuditConfig, lab: Lab, world: World, model: PreTrainedModel, original: LoadedModel, questions: Questions,
            scores: dict[str, Scores], pace: Pace) -> Generator[Event, None, History]:
    """Unlearns `model` in place while asking every few steps; gives the history."""
    tokenizer = original.tokenizer
    retain = build_prompts("direct", world.retain, world, lab.rng("retain prompts"))
    history = History()
    for step in unlearn(model, original.model, tokenizer, questions.direct, retain, ALGORITHMS[config.algorithm], steps=config.steps,
                        rng=lab.rng("retain batch"), learning_rate=config.learning_rate):
        if step.broken:
            history.broken_at = step.number
            break
        yield pace.step(f"forgetting, step {step.number} of {config.steps}", by=int(step.number > 0))
        history.losses.append((step.number, step.forget, step.retain))
        yield Metric("forget loss", step.forget, step.number, "nats per token")
        yield Metric("retain loss", step.retain, step.number, "nats per token")
        if step.number % config.check_every == 0 or step.number == config.steps:
            yield from _check(step, model, tokenizer, questions, scores, history)
        if config.stop_early and history.forgotten_at(step.number):
            break
    if not history.losses:
        raise LabError(f"{config.model} gives no numbers at all for these questions.", "Its weights may be damaged; choose another model.")
    return history


def _check(step: Step, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, questions: Questions,
           scores: dict[str, Scores], history: History) -> Iterator[Event]:
    """Asks what is forgotten and what is kept, and shows the answers as they melt."""
    history.latest = reply(model, tokenizer, questions.direct)
    yield answers_table(questions, scores, history.latest)
    retain = reply(model, tokenizer, questions.retain)
    history.recalls.append((step.number, history.latest.share, retain.share))
    yield Metric("forget recall", history.latest.share, step.number, "share")
    yield Metric("retain recall", retain.share, step.number, "share")


def answers_table(questions: Questions, scores: dict[str, Scores], unlearned: Outputs) -> Table:
    """One row per forget question; what is not known yet is an ellipsis."""

    def column(texts: list[str]) -> list[str]:
        return [text or "(says nothing)" for text in texts] or ["…"] * len(questions.records)

    columns = [column(scores[who].direct.texts if who in scores else []) for who in ("original", "reference")]
    columns.insert(1, column(unlearned.texts))
    columns.append(column(scores["unlearned"].audited.texts if "unlearned" in scores else []))
    rows = [[record.question, record.key, *said] for record, *said in zip(questions.records, *columns, strict=True)]
    return Table("answers", ["Question", "Key", "Original", "After forgetting", "Never knew", "After forgetting, trick question"], rows)


def scores_table(scores: dict[str, Scores], lab: Lab) -> Table:
    """Every share with its 95 % interval: Wilson for counts, bootstrap over questions for probabilities."""
    rows: list[list[Any]] = []
    for who in MODELS:
        for name, outputs in (("plain question", scores[who].direct), ("trick question", scores[who].audited),
                              ("people to keep", scores[who].retain)):
            rows.append([figures.NAMES[who], name, outputs.hits, len(outputs.found), *_rounded(_counted(outputs.found))])
        for name, values in (("probability of the true answer", scores[who].answer_probability),
                             ("probability of the key fact", scores[who].key_probability)):
            rows.append([figures.NAMES[who], name, None, len(values), *_rounded(_averaged(values, lab, f"{who} {name}"))])
    return Table("scores", ["Model", "Measure", "Right", "Of", "Share", "Low", "High"], rows)


def _counted(found: list[bool]) -> figures.Estimate:
    return sum(found) / len(found), *wilson(sum(found), len(found))


def _averaged(values: list[float], lab: Lab, name: str) -> figures.Estimate:
    return sum(values) / len(values), *bootstrap(values, lab.rng(f"interval {name}"))


def _rounded(estimate: figures.Estimate) -> list[float]:
    return [round(value, 4) for value in estimate]


def _figures(questions: Questions, scores: dict[str, Scores], lab: Lab) -> Iterator[Event]:
    """The three comparisons, for the models measured so far."""
    known = {who: scores[who] for who in MODELS if who in scores}
    chance = [0.0, sum(prompt.chance for prompt in questions.audited) / len(questions.audited), 0.0]
    yield Figure("recall", figures.grouped_bars(
        ["Plain question", "Trick question", "People to keep"],
        {who: [_counted(s.direct.found), _counted(s.audited.found), _counted(s.retain.found)] for who, s in known.items()},
        "answers with the key fact", chance))
    yield Figure("probability", figures.grouped_bars(
        ["Whole true answer", "Key fact alone"],
        {who: [_averaged(s.answer_probability, lab, f"{who} answer"), _averaged(s.key_probability, lab, f"{who} key")]
         for who, s in known.items()}, "probability per token"))
    rivals = sum(len(questions.values[record.attribute]) for record in questions.records) / len(questions.records)
    layers = {who: [_counted(layer) for layer in s.readable] for who, s in known.items() if s.readable}
    if layers:
        yield Figure("by_layer", figures.by_layer(layers, 1 / rivals))


def _final_metrics(scores: dict[str, Scores], history: History) -> Iterator[Event]:
    # the layer at which the original is clearest, the last one apart: chosen on the original, scored on the others
    inner = scores["original"].readable[:-1]
    layer = max(range(len(inner)), key=lambda i: sum(inner[i]), default=0)
    for who in MODELS:
        s = scores[who]
        yield Metric(f"direct recall {who}", s.direct.share, unit="share")
        yield Metric(f"audited recall {who}", s.audited.share, unit="share")
        yield Metric(f"retain recall {who}", s.retain.share, unit="share")
        yield Metric(f"answer probability {who}", _mean(s.answer_probability), unit="probability per token")
        yield Metric(f"key probability {who}", _mean(s.key_probability), unit="probability per token")
        yield Metric(f"answer overlap {who}", _mean(s.overlap), unit="ROUGE-L recall")
        if layer < len(s.readable):
            yield Metric(f"readable {who}", _mean(s.readable[layer]), unit=f"share, after {layer} of {len(s.readable) - 1} layers")
    share = recovered(scores["unlearned"].audited.share, scores["reference"].audited.share,
                      scores["original"].direct.share, scores["reference"].direct.share)
    if math.isfinite(share):
        yield Metric("recovered share", share, unit="share of what was removed")
    yield Metric("kept share at best stop", history.kept_at_best_stop(scores["original"].retain.share), unit="share of the original")
    yield Metric("steps taken", history.losses[-1][0], unit="steps")


def _mean(values: list[float] | list[bool]) -> float:
    return sum(values) / len(values)


@probe("unlearning/ask", title="Ask the model yourself", paper="01", revision=1, families=FAMILIES)
def ask(config: AskConfig, lab: Lab) -> Answer:
    """What one model says to one question, what it nearly said, and what its layers were thinking."""
    return asking.ask(_readable(lab.load(config.model)), config)
