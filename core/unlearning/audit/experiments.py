"""Did it really forget? The unlearning audit (paper 01).

`unlearning/audit` takes a model that knows, lets it forget 1, 3 or 6 subjects, and asks again in every way that was chosen and
that the forgetting never trained on. A model that never knew stands beside it; then the names are shaken inside the models
(ActPert). With 0 steps, or with a visitor's own questions and nothing to keep beside them, nothing is trained: the model is audited
as it is.
What it says stands in spec.py; customdata of a cell of the matrix is [number of the question, way or "" for any].

Utility is the harmonic mean of nine numbers: probability, ROUGE-L recall and truth ratio on people of the same world to keep, and on
one fact about everybody to keep in each of the two other worlds, which stand in for the real authors and world facts of TOFU; there
the probability is the share of the true answer among true and wrong ones. A world that no model of the run knows half of does not
count. Of a visitor's own questions those to keep stand for all of it; without any there is no utility.

Of a multiple choice the option counts that a model finds likeliest; what it says when it is left alone stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from core.engine import system_prompt
from core.engine.errors import LabError
from core.engine.events import Event, Keep, Metric, Table, Text, Verdict
from core.engine.lab import Lab
from core.engine.models import LoadedModel
from core.engine.steps import Pacer
from core.engine.thinking import Thinking, switched, switches, thinks
from core.unlearning import real
from core.unlearning.algorithms import ALGORITHMS
from core.unlearning.audit import membership, plain_text, results
from core.unlearning.audit.actpert import subject_span
from core.unlearning.audit.examine import TO_KEEP, Questions, Scores, examine, parts
from core.unlearning.audit.fitting import all_fit, fit
from core.unlearning.audit.forgetting import History, forget
from core.unlearning.audit.inside import FEWEST_NAMED, ActPertSettings, look_inside
from core.unlearning.audit.luck import Luck
from core.unlearning.audit.spec import AuditConfig
from core.unlearning.audit.utility import UNREHEARSED, one_of_each
from core.unlearning.audit.verdict import Findings, evidence, headline, say
from core.unlearning.data import WORLDS, World, read_world
from core.unlearning.figures import NAMES
from core.unlearning.prompts import AUDITS, put, shuffled
from core.unlearning.questions import read_questions
from core.unlearning.replies import Replies, with_tokenizer
from core.unlearning.unlearn import WHOLE, open_for_training, plan

AS_IT_IS = NAMES | {"original": "Before", "unlearned": "Audited model"}
ACTPERT_PARTS = 12
NEIGHBOURS = 30  # facts about those who share a genre, an order or a club with the forgotten
NAME_THEM = "Add a column 'subject' with the name."
def audit(config: AuditConfig, lab: Lab) -> Iterator[Event]:
    """Forget, then ask in every way and look inside; the module's docstring lists what is said."""
    pacer = Pacer(1)
    yield pacer.say("loading the models", by=0)
    world, questions = drawn(config, lab)
    trains = config.steps > 0 and (not config.questions or bool(world.retain))
    models = witnesses(config, lab, trains)
    questions, too_long = fit(questions, models.values())
    luck = _luck(config, world, lab)
    if trains and config.questions:
        world = _trained_on(world, models)
    pacer.total = parts(questions) * (len(models) + trains) + trains * config.steps + config.actpert * ACTPERT_PARTS
    pacer.total += luck.parts("made up", *(["others"] if trains else [])) if luck else 0
    names = NAMES if trains else AS_IT_IS
    notes = _notes(config, world, questions, models, too_long, luck)
    if notes:
        yield Text("notes", "\n".join(notes))
    run = _Run(questions, names, lab, luck)
    untouched = models["original" if trains else "unlearned"]
    if luck:
        yield from _made_up(luck, untouched, pacer, lab)
    for who in ("original", "reference", "unlearned"):
        if who in models:
            yield from run.examine(who, models[who], pacer)
    history = History()
    if trains:
        subject = open_for_training(lab, config.model)
        if config.questions or subject.parameters > WHOLE:
            yield Text("plan", plan(subject, models["original"], questions.direct, config.steps))
        plain = subject.model.get_base_model() if hasattr(subject.model, "get_base_model") else subject.model
        history = yield from forget(config, lab, world, subject.model, models["original"], questions, pacer, run.plainly("original"),
                                    run.melt)
        models["unlearned"] = replace(subject, model=plain, tokenizer=models["original"].tokenizer)
        if luck:
            yield from luck.ask("others", models["unlearned"].model, models["unlearned"].tokenizer, pacer)
        yield from run.examine("unlearned", models["unlearned"], pacer, changed=True, given=history.said_last)
        if history.steps:
            yield Keep("unlearned", subject.model, subject.tokenizer)
    if luck:
        yield from _plain_text({who: models[who] for who in ("original", "unlearned") if who in models}, names)
    yield results.scores_table(run.scores, names)
    if questions.retain:
        yield results.utility_table(run.scores, names)
    known = {who: run.scores[who].membership for who in results.MODELS if who in run.scores and run.scores[who].membership}
    if known:
        yield membership.table(known, names)
    yield results.shares_table(questions, run.scores, names, lab)
    inside = None
    if config.actpert:
        settings = ActPertSettings(config.noise, config.noise_unit, most=config.actpert_questions)
        arms = {who: models[who] for who in ("unlearned", "reference", "original") if who in models}
        inside = yield from look_inside(arms, {who: run.scores[who].direct.found for who in arms}, questions, settings, pacer, names, lab)
    yield from results.final_metrics(questions, run.scores, inside, luck)
    if trains:
        kept = history.kept_at_best_stop(run.scores["original"].retain.share)
        yield Metric("kept share at best stop", kept, unit="share of the original")
    yield Metric("steps taken", history.steps, unit="steps")
    findings = Findings(questions, run.scores, inside, history.steps, history.broken_at, not trains, lab.rng("verdict intervals"),
                        refusal=ALGORITHMS[config.algorithm].refusal if trains else "", luck=luck)
    yield Verdict(say(findings), numbers := evidence(findings), headline(numbers))


class _Run:
    """What is known so far of the models of one run, and the events that show it."""

    def __init__(self, questions: Questions, names: Mapping[str, str], lab: Lab, luck: Luck | None = None) -> None:
        self.questions, self.names, self.lab, self.luck = questions, names, lab, luck
        self.answers: dict[str, dict[str, Replies]] = {}
        self.scores: dict[str, Scores] = {}

    def show(self) -> Iterator[Event]:
        """The matrix as far as it is filled."""
        yield results.matrix(self.questions, self.answers, self.names)

    def melt(self, direct: Replies) -> Iterator[Event]:
        """The plain answers of the model in training."""
        self.answers["unlearned"] = {"direct": direct}
        yield results.answers_table(self.questions, self.answers, self.names)
        yield from self.show()

    def plainly(self, who: str) -> dict[str, Replies]:
        """What a model answered to the plain questions and to those about what should be kept."""
        scores = self.scores[who]
        return {"direct": scores.direct, TO_KEEP: scores.retain or Replies()}

    def examine(self, who: str, loaded: LoadedModel, pacer: Pacer, changed: bool = False,
                given: Mapping[str, Replies] | None = None) -> Iterator[Event]:
        """Asks one model everything and shows it beside the others. A shared model is asked the same questions only once.

        given: what it has just answered, as it stands.
        """
        def asked(outputs: dict[str, Replies]) -> Iterator[Event]:
            self.answers[who] = outputs
            yield from self.show()

        key = (loaded.fingerprint, "unlearning audit", self.questions.key)
        known = None if changed else self.lab.cache.get(key)
        if known is None:
            known = yield from examine(loaded.model, loaded.tokenizer, self.questions, pacer, who, asked, given)
            if not changed:
                self.lab.cache[key] = known
        else:
            yield pacer.say(f"the {who} model was asked all this before", by=parts(self.questions))
            yield from asked(known.asked)
        self.scores[who] = known
        yield results.answers_table(self.questions, self.answers, self.names)
        yield results.cells_table(self.questions, self.answers, self.names, loaded.tokenizer)
        yield from results.comparisons(self.questions, self.scores, self.names, self.lab, self.luck)


def drawn(config: AuditConfig, lab: Lab) -> tuple[World, Questions]:
    if config.questions:
        world = read_questions(lab.data(config.questions), lab.data(config.keep) if config.keep else None)
        records = shuffled(world.forget(1), lab.rng("own questions"))[:config.most_questions]
        records = sorted(records, key=world.records.index)
    else:
        world = real.read_real() if config.world == real.NAME else read_world(lab.folder("worlds"), config.world)
        records = world.forget(config.subjects)
    kept = shuffled(world.retain, lab.rng("retain questions"))[:config.retain_questions]
    invented = not config.questions and world.name in WORLDS
    others = [read_world(lab.folder("worlds"), name) for name in WORLDS if name != config.world] if invented else []
    far = {other.title: one_of_each(other) for other in others}
    if world.name == real.NAME:
        far = {UNREHEARSED: real.part(world, "test")}
    near = dict.fromkeys(fact for subject in dict.fromkeys(r.subject for r in records) for fact in world.neighbours(subject))
    questions = Questions.draw(world, records, config.audits, kept, lab.rng, far)
    return world, replace(questions, neighbours=shuffled(list(near), lab.rng("neighbour questions"))[:NEIGHBOURS], tie=world.tie)


def _luck(config: AuditConfig, world: World, lab: Lab) -> Luck | None:
    """Of the real world no model never knew: what luck gives is asked of made-up countries."""
    return Luck.draw(world, config.audits, real.elsewhere(world), lab.rng) if world.name == real.NAME else None


def _made_up(luck: Luck, loaded: LoadedModel, pacer: Pacer, lab: Lab) -> Iterator[Event]:
    """Asks a shared model about what does not exist, the same questions only once."""
    key = (loaded.fingerprint, "luck", luck.asked["made up"].key)
    if (known := lab.cache.get(key)) is not None:
        luck.replies["made up"] = known
        yield pacer.say("the model was asked about made-up countries before", by=luck.parts("made up"))
        return
    yield from luck.ask("made up", loaded.model, loaded.tokenizer, pacer)
    lab.cache[key] = luck.replies["made up"]


def _plain_text(models: Mapping[str, LoadedModel], names: Mapping[str, str]) -> Iterator[Event]:
    """How the models go on with beginnings that are about nothing, and their surprise at plain sentences."""
    surprise = {who: plain_text.perplexity(loaded.model, loaded.tokenizer) for who, loaded in models.items()}
    for who, value in surprise.items():
        yield Metric(f"perplexity {who}", value, unit="perplexity")
    written = [plain_text.goes_on(loaded.model, loaded.tokenizer) for loaded in models.values()]
    rows = [[begin, *said] for begin, *said in zip(plain_text.BEGINNINGS, *written, strict=True)]
    yield Table("plain text", ["Beginning", *(names[who] for who in models)],
                [*rows, ["Perplexity of twelve plain sentences", *(f"{value:.1f}" for value in surprise.values())]])


def witnesses(config: AuditConfig, lab: Lab, trains: bool) -> dict[str, LoadedModel]:
    """The models that stand ready before anything is trained."""
    if trains and config.original is not None:
        raise LabError("With training steps, the model itself is the one from before.",
                       "Leave 'Model from before' empty, or set the steps to 0 to audit a model as it is.")
    refs = {"original": config.model if trains else config.original, "reference": config.reference,
            "unlearned": None if trains else config.model}
    models = {who: with_tokenizer(lab.load(ref)) for who, ref in refs.items() if ref is not None}
    audited = models["original" if trains else "unlearned"]
    if config.thinking != "as it comes" and not switches(audited.tokenizer):
        raise LabError(f"The chat template of {audited.ref} has no switch for thinking.", "Leave 'Thinking before the answer' as it comes.")
    if config.system == "none" and not system_prompt.can_go(audited.tokenizer):
        raise LabError(f"The chat template of {audited.ref} puts no words of its own in front that can be left out.",
                       "Leave 'System prompt' as it comes.")
    return {who: _bare(_asked_to_think(loaded, config.thinking), config.system) for who, loaded in models.items()}


def _trained_on(world: World, models: Mapping[str, LoadedModel]) -> World:
    """A visitor's world without the facts to keep that are longer than a model can read. Raises LabError where none is left."""
    read = all_fit([put(record) for record in world.retain], list(models.values()), world.retain)
    kept = [record for record, fits in zip(world.retain, read, strict=True) if fits]
    if not kept:
        raise LabError("Every question to keep, with its answer, is longer than the model can read.", "Bring shorter ones.")
    return replace(world, records=(*world.forget(1), *kept))


def _asked_to_think(loaded: LoadedModel, choice: Thinking) -> LoadedModel:
    """The model with a template that asks it to think, or not to; another model as far as its answers go."""
    tokenizer = switched(loaded.tokenizer, choice)
    if tokenizer is loaded.tokenizer:
        return loaded
    return replace(loaded, tokenizer=tokenizer, fingerprint=f"{loaded.fingerprint} thinks {choice}")


def _bare(loaded: LoadedModel, choice: system_prompt.System) -> LoadedModel:
    """The model without the system prompt of its template's own, where that was chosen; likewise another model."""
    tokenizer = system_prompt.without(loaded.tokenizer) if choice == "none" else loaded.tokenizer
    return loaded if tokenizer is loaded.tokenizer else replace(loaded, tokenizer=tokenizer, fingerprint=f"{loaded.fingerprint} bare")


def _notes(config: AuditConfig, world: World, questions: Questions, models: Mapping[str, LoadedModel], too_long: int,
           luck: Luck | None) -> list[str]:
    """What was left out and why, in sentences."""
    notes = list(world.notes)
    if luck and config.reference:
        raise LabError("No model is known that read the real world without these capitals.",
                       "Leave 'Model that never knew' empty: luck is measured on made-up countries instead.")
    if config.keep and not config.questions:
        raise LabError("There is a table of what to keep, and none of what to forget.", "Bring that one under 'Your own questions'.")
    if config.questions and config.steps and not world.retain:
        notes.append("Nothing is trained: the model is audited as it is. To make it forget these questions, bring a second table, or add a "
                     "column 'set' with forget and keep.")
    if config.questions and len(questions.records) < len(world.forget(1)):
        notes.append(f"{len(questions.records)} of the {len(world.forget(1))} questions of the file were asked.")
    notes += _thinkers(config, models)
    notes += [f"Before every question {ref} reads: {words}" for ref, words in
              {loaded.ref: system_prompt.said(loaded.tokenizer) for loaded in models.values()}.items() if words]
    if not questions.retain:
        notes.append("The utility is not measured: the file of questions names nothing that should be kept.")
    if too_long:
        notes.append(f"{too_long} questions, with their answers, are longer than the model can read: left out.")
    for way, (count, reason) in questions.left_out.items():
        which = "any question" if way not in questions.prompts else f"{count} of the {len(questions.records)} questions"
        notes.append(f"\"{AUDITS[way].title}\" could not be tried on {which}. {reason}")
    notes += _nameless(questions) if config.actpert else []
    if luck:
        notes.append(f"There is no twin that never knew the real world. Luck is measured instead: the same prompts about "
                     f"{len(world.holdout)} countries that we made up, put to the model before it forgot.")
    elif "reference" not in models:
        notes.append("No model that never knew was chosen, so we cannot tell luck from memory.")
    return notes


def _thinkers(config: AuditConfig, models: Mapping[str, LoadedModel]) -> list[str]:
    """Of models that may think before they answer: what counts, and whether they were asked to."""
    found = []
    for ref, tokenizer in {loaded.ref: loaded.tokenizer for loaded in models.values()}.items():
        if thinks(tokenizer):
            how = "left as its chat template has it" if config.thinking == "as it comes" else f"switched {config.thinking}"
            can = "" if config.thinking != "as it comes" or switches(tokenizer) else "; its template has no switch for it"
            found.append(f"{ref} may think before it answers: what stands behind the thinking counts. Thinking was {how}{can}.")
    return found


def _nameless(questions: Questions) -> list[str]:
    """What ActPert has to leave out: without a name in the question there is nothing to shake."""
    n, named = len(questions.records), sum(subject_span(r.question, r.subject_span) is not None for r in questions.records)
    if named < FEWEST_NAMED:
        return [f"Look inside was left out: only {named} of {n} questions {'name' if named - 1 else 'names'} somebody. {NAME_THEM}"]
    return [f"Look inside left out {n - named} of {n} questions: they name nobody. {NAME_THEM}"] if named < n else []
