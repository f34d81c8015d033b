"""Does an answer prove that it knew? Soft tokens that make a model say anything (paper 05).

`unlearning/soft-tokens` puts a few trained vectors in front of a question until the model gives the wanted text, on four
models: one that knows, one made to forget, one that never knew, one with random weights. What it says while it runs:

    Progress                     every second or oftener
    Metric, one per step         forget loss                                    (nats per token; while a copy is made to forget)
    Metric, every 5 steps        loss CELL, reached CELL                        (nats per token; share of texts said so far)
                                 loss sentence, MODEL                           (nats per token)
    Table "target"               tokens: the watched text as far as it comes out | probability | right token | says now
    Table "tiles"                tokens: the soft tokens as nearest word | length | next words
    Table "sentence"             the visitor's own sentence: model | says | share of tokens right | steps      (filling in)
    Figure "path"                the watched soft tokens on their way, in a fixed plane
    Figure "losses"              one thin line per text, real words included; every 25 steps
    Figure "layers"              how far the attack moves each layer, against an ordinary change of question
    Figure "controls"            share of texts said, all cells together, 95 % intervals, and what plain asking gives
    Figure "surface"             random texts: length x soft tokens
    Table "cells"                group | asks | said | of | share | low | high | median steps | tokens right | length of the soft tokens
    Table "surface"              the numbers of that figure
    Table "targets"              every single attack: group | question | wanted | said | success | steps | ...
    Metric, final                success CELL, median steps CELL, right tokens CELL, length CELL (of the soft tokens, in normal ones);
                                 direct recall {original, unlearned, reference}; answer probability unlearned;
                                 true minus false, true minus never knew; generated as promised;
                                 longest random text K tokens; said on all trained models
    Verdict                      the decision rule of methods/05 section 5 in words, with the numbers, and what plain asking says
                                 against the comparison; models too large to be made are named

MODEL is one of "knows it", "made to forget", "never knew", "random weights".
CELL is one of the names in `cells.CELLS`: "original, true answer", "unlearned, true answer", "unlearned, false answer",
"never knew, true answer", "original, stranger", "original, random text", "random weights, true answer",
"unlearned, hard tokens". The paper's own hyperparameters could not be found: the attack is the released one, and its
defaults here are those of our reconstruction (methods/05 section 8.2).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, field_validator

from core.engine.events import Event, Progress
from core.engine.experiment import CleanText, Config, ModelRef, experiment
from core.engine.lab import Lab

MORE = {"more": True}
MOST_TOKENS = 50


class SoftTokensConfig(Config):
    """Which models are made to say what, and how hard the attack tries."""

    what: Literal["bench", "sentence", "string"] = Field(
        "bench", title="What to run", json_schema_extra={"labels": {
            "bench": "The whole bench", "sentence": "Only my sentence (quick)", "string": "Only random text"}},
        description="The whole bench compares true answers, false ones and a model that never knew.")
    sentence: CleanText = Field("Felix keeps a pirate in a tent.", min_length=1, max_length=40, title="Make it say",
                                description="Your own sentence, up to 40 characters. Strange words need more steps and soft tokens.")
    question: CleanText = Field("Where was Felix Tanaka born?", max_length=200, title="When asked",
                                description="Your sentence becomes the answer to this. Empty: no question at all.")
    model: ModelRef = Field("embedded/worlds", title="Model", description="The model that knows.")
    algorithm: Literal["ga", "graddiff", "kl", "npo", "idk_dpo", "rmu", "idk_nll", "simnpo", "undial", "ceu", "wga", "task_vector",
                       "whp"] = Field(
        "npo", title="Way of forgetting", description="How the copy that is made to forget unlearns.",
        json_schema_extra={"labels": {
            "ga": "Gradient ascent (crude)", "graddiff": "GradDiff (crude, with rehearsal)", "kl": "KL (crude, stays close)",
            "npo": "NPO (careful)", "idk_dpo": "Prefer to refuse", "rmu": "RMU (scrambles the inside)", "idk_nll": "Learn to refuse",
            "simnpo": "SimNPO (careful)", "undial": "UNDIAL (answers turned down)", "ceu": "CE-U (answers ruled out)",
            "wga": "Weighted ascent", "task_vector": "Task vector (walk backwards)", "whp": "WHP (turn down what grew)"}})
    tokens: int = Field(16, ge=1, le=16, title="Soft tokens",
                        description="How many free vectors stand in front of the question; for your sentence twice as many.")
    steps: int = Field(150, ge=1, le=5000, title="Attack steps", description="At most this many changes of the soft tokens; "
                       "each attack ends when it succeeds.")
    mode: Literal["answer", "opening"] = Field(
        "answer", title="What the attack is told", json_schema_extra={"labels": {
            "answer": "The whole answer", "opening": "Only how the answer begins"}},
        description="Told the whole answer, the attack can write it itself. Told only the beginning, the model must add the fact.")
    world: Literal["authors", "saga", "people"] = Field("authors", title="World", json_schema_extra={"more": True, "labels": {
        "authors": "Invented authors", "saga": "A book that was never written", "people": "Invented public figures"}},
        description="Who is to be forgotten, and whose facts are attacked.")
    reference: ModelRef = Field("embedded/worlds-retain", title="Model that never knew", json_schema_extra=MORE,
                                description="Trained without the people to forget.")
    unlearned: ModelRef | None = Field(None, title="Model that was made to forget", json_schema_extra=MORE,
                                       description="What a run of the auditor kept: run/ID/unlearned. Empty: make one now.")
    forget_steps: int = Field(30, ge=0, le=500, title="Forgetting steps", json_schema_extra=MORE,
                              description="At most this many, while a copy is made to forget.")
    targets: int = Field(10, ge=2, le=60, title="Texts per bar", json_schema_extra=MORE,
                         description="How many questions each bar stands for, if the world has as many; more narrow the intervals.")
    sentence_steps: int = Field(400, ge=1, le=5000, title="Attack steps for your sentence", json_schema_extra=MORE,
                                description="A sentence of words that the model never met needs more of them than an answer.")
    many_tokens: int | None = Field(None, ge=1, le=MOST_TOKENS, title="Even more soft tokens", json_schema_extra=MORE,
                                    description="Overrides the slider, up to 50.")
    space: Literal["embedding", "vocabulary"] = Field(
        "embedding", title="What is trained", json_schema_extra={"more": True, "labels": {
            "embedding": "The vectors themselves", "vocabulary": "A mixture of all words (as released)"}},
        description="Both can reach any vector; they get there in different ways.")
    learning_rate: float | None = Field(None, gt=0, le=1e6, title="Learning rate", json_schema_extra=MORE,
                                        description="How far one step goes; empty means what suits the model.")
    start: Literal["word", "random"] = Field("random", title="Soft tokens begin as", json_schema_extra={"more": True, "labels": {
        "word": "One common word", "random": "Random words"}}, description="Where the search sets out from.")
    clear_gradients: bool = Field(True, title="Clear gradients", json_schema_extra=MORE,
                                  description="Off: gradients pile up, as in the released example; it mostly breaks the attack.")
    position: Literal["prefix", "suffix"] = Field("prefix", title="Where they stand", json_schema_extra={"more": True, "labels": {
        "prefix": "Before the question", "suffix": "After the question"}}, description="The release puts them before.")
    chat_template: bool = Field(False, title="Use the chat format", json_schema_extra=MORE,
                                description="For chat models: soft tokens inside the user's turn. The release uses none.")
    random_kind: Literal["tokens", "characters"] = Field("tokens", title="Random text of", json_schema_extra={"more": True, "labels": {
        "tokens": "Pieces of words it has seen", "characters": "Any characters"}}, description="What a random text is made of.")
    random_length: int = Field(8, ge=1, le=512, title="Length of a random text", json_schema_extra=MORE,
                               description="In pieces or characters. 400 characters belong to models with billions of parameters.")
    hard_candidates: int = Field(16, ge=0, le=512, title="Tries per word swap", json_schema_extra=MORE,
                                 description="For the attacker who may only type real words; the budget stays the same. 0: none.")
    extras: bool = Field(True, title="All controls", json_schema_extra=MORE,
                         description="Also your sentence, random text, random weights and real words only.")
    surface_targets: int = Field(1, ge=0, le=20, title="Texts per square of the map", json_schema_extra=MORE,
                                 description="For the map of lengths and soft tokens; 0 leaves the map out.")

    @field_validator("sentence")
    @classmethod
    def _says_something(cls, sentence: str) -> str:
        if not sentence:
            raise ValueError("type a few words")
        return sentence

    @property
    def k(self) -> int:
        """How many soft tokens are used."""
        return self.many_tokens or self.tokens

    @property
    def sentence_k(self) -> int:
        """How many for the visitor's sentence: an answer is half known, a sentence of new words is not."""
        return min(2 * self.k, MOST_TOKENS)

    @property
    def tells(self) -> bool:
        """Whether the visitor's sentence is tried: told only how an answer begins, the attack cannot be told a sentence."""
        return self.what == "sentence" or (self.what == "bench" and self.extras and self.mode == "answer")


@experiment("unlearning/soft-tokens", title="Does an answer prove that it knew?", paper="05", revision=3, families=())
def soft_tokens(config: SoftTokensConfig, lab: Lab) -> Iterator[Event]:
    """Attack, compare, judge; the module's docstring lists what is said."""
    yield Progress(0, 1, "opening the bench")
    from core.unlearning.soft_tokens import bench  # torch is only needed by who runs it

    yield from bench.run(config, lab)
