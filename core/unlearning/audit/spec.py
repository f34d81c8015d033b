"""Paper 01, told without torch: configs, ways of forgetting and of asking by their titles, and what an audit says."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from core.engine.experiment import CleanText, Config, DataRef, ModelRef, experiment, probe

FAMILIES = ("llama", "gpt2")
EXAMPLE = "Where was Felix Tanaka born?"
USUAL = ("prefix", "affirm", "icl", "choice", "reverse")
Audit = Literal["prefix", "affirm", "icl", "choice", "reverse", "paraphrase", "cloze", "hint", "roleplay", "synonym"]
ALGORITHM_TITLES = {
    "ga": "Gradient ascent: push the answers away",
    "graddiff": "GradDiff: push the answers away, rehearse the rest",
    "kl": "KL: push the answers away, stay close to the old self elsewhere",
    "npo": "NPO: push the answers away, but gently, and rehearse the rest",
    "idk_dpo": 'Prefer to refuse: make "I do not know" likelier than the answer',
    "rmu": "RMU: scramble the inside where the facts pass",
    "idk_nll": "More: Refuse: train it to say that it does not know",
    "simnpo": "More: SimNPO: push gently, without looking at the old self",
    "undial": "More: UNDIAL: copy the old self with the answers turned down",
    "ceu": "More: CE-U: whatever it would say, only not the answer",
    "wga": "More: Weighted ascent: push hardest where it is still sure",
    "task_vector": "More: Task vector: learn the facts harder, then walk the other way",
    "whp": "More: WHP: learn the facts harder, then turn down whatever grew",
}
AUDIT_TITLES = {
    "direct": "Direct question",
    "prefix": "Demand an answer first",
    "affirm": "Start the answer for it",
    "icl": "Show two answered examples",
    "choice": "Multiple choice",
    "reverse": "Describe, ask who it is",
    "paraphrase": "Ask in other words",
    "cloze": "Fill the gap",
    "hint": "Remind it of another fact",
    "roleplay": "Let it play an expert",
    "synonym": "Write the name differently",
    "crosslingual": "Ask in another language",
    "persuade": "Talk it into answering",
}
NOT_HERE = {
    "crosslingual": "The built-in models only read English. A translation cannot be made here without a second model.",
    "persuade": "Persuasion needs a model that follows an argument. The built-in ones are thousands of times too small for that.",
}


class AuditConfig(Config):
    """Who forgets what, how, and how it is asked afterwards."""

    model: ModelRef = Field("embedded/worlds", title="Model", description="The model that is to forget, or to be audited as it is.")
    world: Literal["authors", "saga", "people"] = Field(
        "authors", title="World", json_schema_extra={"labels": {"authors": "Invented authors", "saga": "A book that was never written",
                                                                "people": "Invented public figures"}},
        description="Which part of its knowledge: three small worlds in the shape of the paper's three data sets.")
    algorithm: Literal["ga", "graddiff", "kl", "npo", "idk_dpo", "rmu", "idk_nll", "simnpo", "undial", "ceu", "wga", "task_vector",
                       "whp"] = Field(
        "idk_nll", title="Way of forgetting", json_schema_extra={"labels": ALGORITHM_TITLES},
        description="How the answers are removed. Some ways push them away, some teach it to refuse, some scramble the inside.")
    subjects: Literal[1, 3, 6] = Field(3, title="How many to forget",
                                       description="How many people (or characters) of that world to forget.")
    steps: int = Field(60, ge=0, le=500, title="Training steps",
                       description="At most this many changes of the model; 0 audits it as it is.")
    audits: list[Audit] = Field(
        list(USUAL), max_length=10, title="Ways of asking again",
        json_schema_extra={"labels": AUDIT_TITLES, "unavailable": {AUDIT_TITLES[name]: why for name, why in NOT_HERE.items()}},
        description="Besides the plain question. The forgetting trains on plain questions only.")
    actpert: bool = Field(True, title="Look inside (ActPert)",
                          description="Shake the name inside the model and push along the direction in which its thoughts move. "
                                      "Our reconstruction of the paper's activation audit.")
    questions: DataRef = Field("", title="Your own questions",
                               json_schema_extra={"files": [".csv", ".json", ".jsonl"], "reader": "unlearning/questions",
                                                  "sample": "questions.csv"},
                               description="A table with the columns question and answer. Then nothing is trained: your model is audited "
                                           "as it is. The built-in models never saw your questions: choose your own model.")
    stop_early: bool = Field(True, title="Stop when forgotten", json_schema_extra={"more": True},
                             description="Stop as soon as at most one plain question in ten is still answered.")
    learning_rate: float | None = Field(None, gt=0, le=1, title="Learning rate", json_schema_extra={"more": True},
                                        description="How far one step goes; empty means what suits the way of forgetting.")
    retain_weight: float = Field(1.0, ge=0, le=20, title="Weight of what should stay", json_schema_extra={"more": True},
                                 description="How much the facts to keep count, in those ways of forgetting that rehearse them.")
    reference: ModelRef | None = Field("embedded/worlds-retain", title="Model that never knew", json_schema_extra={"more": True},
                                       description="Trained without these people: what real forgetting would look like. May be empty.")
    original: ModelRef | None = Field(None, title="Model from before", json_schema_extra={"more": True},
                                      description="Only for 0 steps or your own questions: what the audited model was before it forgot.")
    check_every: int = Field(3, ge=1, le=100, title="Ask every", json_schema_extra={"more": True},
                             description="Steps between two rounds of plain questions while it forgets.")
    retain_questions: int = Field(60, ge=10, le=420, title="Questions about others", json_schema_extra={"more": True},
                                  description="How many facts about others, who should be kept, are asked.")
    most_questions: int = Field(60, ge=2, le=500, title="Own questions asked", json_schema_extra={"more": True},
                                description="At most this many questions of your file are asked, drawn by the seed.")
    noise: float = Field(1.0, gt=0, le=20, title="Strength of the shaking", json_schema_extra={"more": True},
                         description="ActPert: standard deviation of the noise on the name. The paper's 0.01 is the absolute one.")
    noise_unit: Literal["relative", "absolute"] = Field(
        "relative", title="Unit of the shaking", json_schema_extra={
            "more": True, "labels": {"relative": "times the spread of the embeddings", "absolute": "as it stands"}},
        description="ActPert: whether the noise is measured against the spread of this model's word vectors.")
    actpert_questions: int = Field(30, ge=4, le=200, title="Questions looked into", json_schema_extra={"more": True},
                                   description="ActPert: at most this many; half of them to find the best push, half to score it.")


class AskConfig(Config):
    """What to ask whom, and how."""

    model: ModelRef = Field("embedded/worlds", title="Model", description="The model to ask.")
    question: CleanText = Field(EXAMPLE, max_length=400, title="Your question", description="At most 400 characters.")
    style: Literal["plain", "prefix", "affirm", "raw"] = Field(
        "plain", title="How to ask", json_schema_extra={"labels": {
            "plain": "Plainly", "prefix": "Demand an answer", "affirm": "Begin the answer for it", "raw": "Just continue my text"}},
        description="plain: as a question; prefix: with a demand to answer; affirm: with the answer already begun; "
                    "raw: the model continues your text as it stands.")


class ActPertConfig(Config):
    """Which question, whose name in it, and where and how hard to push."""

    model: ModelRef = Field("embedded/worlds", title="Model", description="The model to look into.")
    question: CleanText = Field(EXAMPLE, max_length=400, title="Your question", description="At most 400 characters.")
    subject: CleanText = Field("", max_length=100, title="The name in it",
                               description="Which words to shake; empty means the last name in the question.")
    layer: int = Field(2, ge=1, le=200, title="Push after layer", json_schema_extra={"slider": [1, 12]},
                       description="Counted from 1; larger models have more layers than the slider.")
    mode: Literal["last", "prompt", "first"] = Field(
        "last", title="Where to push", json_schema_extra={
            "labels": {"last": "from the last word on", "prompt": "on the question", "first": "at the last word only"}},
        description="At which words the push is added.")
    alpha: float = Field(-1.0, ge=-10, le=10, title="Strength", json_schema_extra={"slider": [-6, 6, 0.5]},
                         description="Above 0 strengthens what depends on the name, below 0 takes it away.")
    noise: float = Field(1.0, gt=0, le=20, title="Strength of the shaking", json_schema_extra={"more": True},
                         description="Standard deviation of the noise on the name.")
    noise_unit: Literal["relative", "absolute"] = Field("relative", title="Unit of the shaking", json_schema_extra={"more": True},
                                                        description="Relative to the spread of the word vectors, or as it stands.")


class QuestionsConfig(Config):
    """Which file."""

    questions: DataRef = Field("", title="Your own questions", description="A table with the columns question and answer.",
                               json_schema_extra={"files": [".csv", ".json", ".jsonl"], "sample": "questions.csv"})


AUDIT = experiment("unlearning/audit", title="Did it really forget?", paper="01", revision=4, families=FAMILIES, config=AuditConfig,
                   run="core.unlearning.audit.experiments:audit")
ASK = probe("unlearning/ask", title="Ask the model yourself", paper="01", families=FAMILIES, config=AskConfig,
            run="core.unlearning.audit.experiments:ask")
ACTPERT = probe("unlearning/actpert", title="Look inside one question", paper="01", families=FAMILIES, config=ActPertConfig,
                run="core.unlearning.audit.experiments:actpert")
QUESTIONS = probe("unlearning/questions", title="What is in a file of questions", paper="01", config=QuestionsConfig,
                  run="core.unlearning.audit.uploads:brought")
EXPERIMENTS = (AUDIT, ASK, ACTPERT, QUESTIONS)
