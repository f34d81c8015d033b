"""Paper 05, told without torch: the config of the soft-token bench, what it says, and how the four models are called and drawn.

A cell is one model made to say one kind of text; its name stands in the metrics: "loss unlearned, true answer". The paper's own
hyperparameters could not be found: the attack is the released one, and its defaults here are those of our reconstruction
(methods/05 section 8.2).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from core.engine.experiment import CleanText, Config, ModelRef, experiment, probe
from core.engine.outputs import Output, chart, figure, metric, number, numbers, series, table
from core.plots import BLUE, BROWN, GREEN, ORANGE

MORE = {"more": True}
MOST_TOKENS = 50
Who = Literal["original", "unlearned", "reference", "blank"]
WHO: dict[Who, str] = {"original": "Knows it", "unlearned": "Made to forget", "reference": "Never knew", "blank": "Random weights"}
COLOURS: dict[Who, str] = {"original": BLUE, "unlearned": ORANGE, "reference": GREEN, "blank": BROWN}
# by what a model is made to say; "dash" is left to pinned runs
TRUE, FALSE, STRANGER, RANDOM = "true answer", "false answer", "a stranger's fact", "random text"
WORDS, YOURS = "real words only", "your sentence"
DASHES = {TRUE: "solid", FALSE: "dot", STRANGER: "dashdot", RANDOM: "longdash", WORDS: "longdashdot", YOURS: "8px,2px"}


class SoftTokensConfig(Config):
    """Which models are made to say what, and how hard the attack tries."""

    what: Literal["bench", "sentence", "string", "alone"] = Field(
        "bench", title="What to run", json_schema_extra={"labels": {
            "bench": "The whole bench", "sentence": "Only my sentence (quick)", "string": "Only random text",
            "alone": "One real model, no twin"}},
        description="The whole bench compares true answers, false ones and a model that never knew. Without a twin: true, false and "
                    "made-up answers of one model.")
    sentence: CleanText = Field("Felix keeps a pirate in a tent.", min_length=1, max_length=40, title="Make it say",
                                description="Your own sentence, up to 40 characters. Strange words need more steps and soft tokens.")
    question: CleanText = Field("Where was Felix Tanaka born?", max_length=200, title="When asked",
                                description="Your sentence becomes the answer to this. Empty: no question at all.")
    model: ModelRef = Field("embedded/worlds", title="Model", description="The model that knows.")
    algorithm: Literal["ga", "graddiff", "kl", "npo", "idk_dpo", "rmu", "idk_nll", "simnpo", "undial", "ceu", "wga", "satimp",
                       "pdu", "task_vector", "whp"] = Field(
        "npo", title="Way of forgetting", description="How the copy that is made to forget unlearns.",
        json_schema_extra={"labels": {
            "ga": "Gradient ascent (crude)", "graddiff": "GradDiff (crude, with rehearsal)", "kl": "KL (crude, stays close)",
            "npo": "NPO (careful)", "idk_dpo": "Prefer to refuse", "rmu": "RMU (scrambles the inside)", "idk_nll": "Learn to refuse",
            "simnpo": "SimNPO (careful)", "undial": "UNDIAL (answers turned down)", "ceu": "CE-U (answers ruled out)",
            "wga": "Weighted ascent", "satimp": "SatImp (where it knows well)",
            "pdu": "PDU (flattened words)", "task_vector": "Task vector (walk backwards)", "whp": "WHP (turn down what grew)"}})
    tokens: int = Field(16, ge=1, le=16, title="Soft tokens",
                        description="How many free vectors stand in front of the question; for your sentence twice as many.")
    steps: int = Field(150, ge=1, le=5000, title="Attack steps", description="At most this many changes of the soft tokens; "
                       "each attack ends when it succeeds.")
    mode: Literal["answer", "opening"] = Field(
        "answer", title="What the attack is told", json_schema_extra={"labels": {
            "answer": "The whole answer", "opening": "Only how the answer begins"}},
        description="Told the whole answer, the attack can write it itself. Told only the beginning, the model must add the fact.")
    world: Literal["authors", "saga", "people", "capitals"] = Field("authors", title="World", json_schema_extra={"more": True, "labels": {
        "authors": "Invented authors", "saga": "A book that was never written", "people": "Invented public figures",
        "capitals": "Capitals of Europe, for a real model"}},
        description="Who is to be forgotten, and whose facts are attacked.")
    reference: ModelRef = Field("embedded/worlds-retain", title="Model that never knew", json_schema_extra=MORE,
                                description="Trained without the people to forget.")
    unlearned: ModelRef | None = Field(None, title="Model that was made to forget", json_schema_extra=MORE,
                                       description="What a run of the auditor kept: run/ID/unlearned. Empty: make one now.")
    forget_steps: int = Field(30, ge=0, le=500, title="Forgetting steps", json_schema_extra=MORE,
                              description="At most this many, while a copy is made to forget.")
    targets: int = Field(10, ge=1, le=60, title="Texts per bar", json_schema_extra=MORE,
                         description="How many questions each bar stands for, if the world has as many; more narrow the intervals.")
    minutes: int = Field(0, ge=0, le=120, title="Most minutes of an attack", json_schema_extra=MORE,
                         description="By the clock. What has not come out by then counts as undecided; 0: as long as the steps take.")
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
                                  description="Off: gradients pile up, as released when the paper appeared (v2025.02). By its README that "
                                              "works on a model of 7 billion parameters; on the small model here it mostly fails.")
    position: Literal["prefix", "suffix"] = Field("prefix", title="Where they stand", json_schema_extra={"more": True, "labels": {
        "prefix": "Before the question", "suffix": "After the question"}}, description="The release puts them before.")
    chat_template: bool = Field(False, title="Use the chat format", json_schema_extra=MORE,
                                description="For chat models: soft tokens inside the user's turn. The release uses none.")
    thinking: Literal["as it comes", "on", "off"] = Field(
        "as it comes", title="Thinking before the answer", json_schema_extra={"more": True, "labels": {
            "as it comes": "As its template has it", "on": "On", "off": "Off"}},
        description="For chat models whose template can switch it: what is asked of all models, attacked or just asked.")
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


class WitnessConfig(SoftTokensConfig):
    """The settings of a run, and which of its questions to put how to its three witnesses."""

    how: Literal["asked", "true", "false"] = Field("asked", title="How to ask", json_schema_extra={"labels": {
        "asked": "Just ask", "true": "Attack: the true answer", "false": "Attack: a false answer"}},
        description="Plainly, or with soft tokens that are tuned until the true answer, or a false one, comes out.")
    number: int = Field(0, ge=0, le=59, title="Number of the question", description="Counted from 0.")


SAID = "texts that came out word for word / texts tried; told only the beginning: answers that go on with the fact / questions tried"
MEDIAN = "median over the texts that came out"
DRAWN: list[tuple[Who, str, str]] = [
    ("original", TRUE, "original, true answer"), ("unlearned", TRUE, "unlearned, true answer"),
    ("unlearned", FALSE, "unlearned, false answer"), ("reference", TRUE, "never knew, true answer"),
    ("original", STRANGER, "original, stranger"), ("blank", TRUE, "random weights, true answer")]


def _lines(what: str) -> list[Output]:
    """A model has the same colour in all charts and figures, what it is made to say the same dash."""
    return [series(f"{what} {name}", f"{WHO[who]}: {text}", colour=COLOURS[who], dash=DASHES[text]) for who, text, name in DRAWN]


OUTPUTS = (
    numbers(
        "In numbers",
        number("success unlearned, true answer", "Made to forget: true answers got", formula=SAID,
               meaning="Alone, this looks like proof that nothing was forgotten. It is not: see the next two."),
        number("success unlearned, false answer", "Made to forget: false answers got", formula=SAID,
               meaning="The same model and questions, but the answers are wrong. It cannot have remembered these."),
        number("success never knew, true answer", "Never knew: true answers got", formula=SAID,
               meaning="A model that never read about these people. There is nothing in it to find."),
        number("direct recall unlearned", "Made to forget: just asked", formula="answers that contain the key fact / questions asked",
               meaning="Without any attack. This is what asking honestly shows."),
        number("median steps unlearned, true answer", "Steps for a true answer", unit="steps", formula=MEDIAN,
               meaning="How much work one answer took. A weak hint, and no proof."),
        number("median steps unlearned, false answer", "Steps for a false answer", unit="steps", formula=MEDIAN,
               meaning="The same work for an answer that is wrong.")),
    table("target", "What comes out, piece by piece", look="tokens", wide=True,
          note="The watched text, your own sentence if there is one. A gap means: the model would still say something else there."),
    table("sentence", "Your own sentence", wide=True, note="What each model writes on its own once the soft tokens stand in front."),
    figure("alone", "One real model: true, false and made-up answers", main=True, wide=True, height=420, optional=True,
           note="The same attack on the same model. False answers and capitals of countries that do not exist cannot be remembered: if "
                "they come out as well, the attack proves nothing. Thin lines: 95 % intervals."),
    figure("controls", "Who can be made to say what?", main=True, wide=True, height=460,
           note="Never look at one bar alone. If false answers and a model that never knew do as well, the attack proves nothing about "
                "memory. Thin lines: 95 % intervals."),
    chart("While it attacks", *_lines("loss"), x="attack step", y="surprise at the wanted text (nats per token)",
          note="Down means: the wanted text becomes the natural thing to say."),
    chart("Your sentence under attack",
          *(series(f"loss sentence, {name.lower()}", name, colour=COLOURS[who]) for who, name in WHO.items()),
          x="attack step", y="surprise at the sentence (nats per token)",
          note="A line ends where the model says the sentence. With random weights there is no way down."),
    chart("How many have come out", *_lines("reached"), x="attack step", y="share of texts",
          note="Each attack ends when its text has come out."),
    table("tiles", "The soft tokens", look="tokens", note="Each is a list of numbers, no word. Shown is the nearest real word, which is "
                                                          "only a rough likeness, and how long the list is compared with that of a real "
                                                          "word."),
    figure("path", "Where the soft tokens go",
           note="A flat map of the space of words: grey dots are real words. The map is fixed; how much it shows is written on it."),
    figure("layers", "What the attack does inside",
           note="How much the inside of the model still looks as if the plain question had been asked: 1 is the same. "
                "Dotted: the plain question against another question."),
    figure("surface", "How long can a text be?",
           note="Random texts without meaning. Strong colour: at least half of the texts came out. The number is the share of pieces "
                "that were right at best."),
    figure("losses", "Every single attack", note="One line per text; it ends where the text came out."),
    table("cells", "All groups with their intervals", wide=True),
    table("targets", "Attack by attack", wide=True),
    table("surface", "How long a text can be, in numbers", look="plain"),
    metric("forget loss", "Surprise at the facts to forget, while a copy is made to forget", unit="nats per token"),
    metric("loss {}", "Surprise at the wanted text: mean over a group", unit="nats per token"),
    metric("reached {}", "Share of a group's texts that have come out so far", unit="share"),
    metric("success {}", "Share of a group's texts that came out", unit="share", formula=SAID),
    metric("median steps {}", "Steps until a text came out", unit="steps", formula=MEDIAN),
    metric("right tokens {}", "Share of a text's pieces that were right at best", unit="share", formula="mean over the texts of the group"),
    metric("undecided {}", "Share of a group's texts whose time ran out before they came out", unit="share", optional=True),
    metric("length {}", "Length of the soft tokens, an ordinary one = 1", unit="normal tokens"),
    metric("direct recall {}", "Answers when just asked", unit="share", formula="answers that contain the key fact / questions asked"),
    metric("answer probability unlearned", "How likely the model that was made to forget finds the true answers",
           unit="probability per token"),
    metric("true minus false", "True answers got minus false ones, same model", unit="difference of shares"),
    metric("true minus never knew", "True answers got minus those of a model that never knew", unit="difference of shares"),
    metric("generated as promised", "Successes in which greedy writing gave the same text", unit="share",
           formula="texts written word for word / texts that came out"),
    metric("longest random text {} tokens", "Longest random text of which half came out", unit="tokens"),
    metric("said on all trained models", "Whether your sentence came out of every trained model", unit="0 or 1"),
)
BENCH = experiment("unlearning/soft-tokens", title="Does an answer prove that it knew?", paper="05", revision=3, families=(),
                   config=SoftTokensConfig, outputs=OUTPUTS, run="core.unlearning.soft_tokens.experiments:soft_tokens")
WITNESSES = probe("unlearning/witnesses", title="Ask the three witnesses of the bench", paper="05", families=(), config=WitnessConfig,
                  run="core.unlearning.soft_tokens.interview:witnesses")
EXPERIMENTS = (BENCH, WITNESSES)
