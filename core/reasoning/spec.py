"""Paper 03, told without torch: the readings of the energy, the names of all scores, configs, and what trace and ROC lab say.

The energy is a reconstruction: the paper's own equation could not be read, so there are several readings of it (methods/03 section 2).
"""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from core.engine.experiment import CleanText, Config, ModelRef, experiment, probe
from core.engine.families import LANGUAGE
from core.engine.outputs import figure, metric, number, numbers, table, text

Kind = Literal["numbers", "logic"]
Variant = Literal["R0_kinetic", "R1_additive_norm", "R2_kinetic_minus_curvature", "R3_bending", "R4_discounted", "R5_entropy_potential"]
VARIANT_NAMES: tuple[str, ...] = get_args(Variant)
VARIANT_WORDS = dict(zip(VARIANT_NAMES, (
    "R0: momentum alone", "R1: lengths and turns, normalised", "R2: momentum minus curvature", "R3: bending, a counter-example",
    "R4: early layers count less", "R5: momentum minus uncertainty"), strict=True))
DEFAULT: Variant = "R2_kinetic_minus_curvature"
GAMMA = 0.8
SCORED_SPANS = ("think", "answer", "all")
PROBABILITY = ("MaxProb", "PPL", "Entropy", "Temperature", "Free energy", "MinProb")  # made of the statistics of a span's tokens
ENERGY = "energy"  # the chosen variant at the chosen gamma
COE = ("CoE-Mag", "CoE-Ang", "CoE-R", "CoE-C")
CONTROLS = ("Shortness", "R0 prompt")
RANDOM = "Random"  # the row of a score that knows nothing, beside all others in the ROC lab
LN_ENTROPY = "LN-Entropy"  # length-normalised entropy, of outputs drawn at random
CoE = Literal["thinking", "published"]
COE_TITLE, COE_WORDS = "Chain-of-Embedding", {"thinking": "from the thinking", "published": "as its authors run it"}
COE_SAYS = ("From the mean of the thinking tokens, or as its authors run it: from the mean of every generated token but the last, with the "
            "first token of the prompt in the first place")
Wish = Literal["on", "as it comes", "off"]
WISH_TITLE, WISH_WORDS = "Thinking", {"on": "On", "as it comes": "As its template has it", "off": "Off"}
WISH_SAYS = "For models whose chat template can switch thinking on and off. Without any, there is no reasoning to measure"
VARIANT_SCORES = {f"{variant.split('_')[0]} think": variant for variant in VARIANT_NAMES}
SCORE_OF = {variant: name for name, variant in VARIANT_SCORES.items()}
ENERGY_SCORES = (*VARIANT_SCORES, "Straightness", "R0 prompt")  # these move with gamma or with which states are taken
BASELINES = (*(f"{name} {span}" for name in PROBABILITY for span in SCORED_SPANS), *COE, "Late entropy")
SCORE_NAMES = (*VARIANT_SCORES, "Straightness", *BASELINES, *CONTROLS)
RESAMPLES = 300
Drawn = Literal[(ENERGY, *SCORE_NAMES)]
LONGEST_TEXT = 20_000
FAMILIES = LANGUAGE
ROC_REVISION = 3  # of the ROC lab; of its sets on disk see `experiments.SETS`


class ReadingConfig(Config):
    """What every view of one output shares."""

    model: ModelRef = Field("embedded/reasoner-70", description="The reasoning model")
    problem: CleanText = Field("2-7+4+2*5", max_length=4000, description="What to work out: digits with + - *, or T and F with & | ^. The "
                              "little models learned 2 to 6 operations with digits and 4 to 7 with T and F")
    variant: Variant = Field(DEFAULT, description="How energy is computed: a reconstruction, in several readings",
                             json_schema_extra={"labels": VARIANT_WORDS})
    gamma: float = Field(GAMMA, ge=0, le=1.5, description="How much a turn of the path costs", json_schema_extra={"slider": [0, 1.5, 0.05]})
    last_state: Literal["raw", "final_norm"] = Field("raw", description="The last state before or after the model's final norm",
                                                     json_schema_extra={"more": True})
    embedding: bool = Field(True, description="Count the step from the word itself to the first layer", json_schema_extra={"more": True})
    tags: bool = Field(False, description="Count the think tags as part of the reasoning", json_schema_extra={"more": True})
    coe: CoE = Field("thinking", title=COE_TITLE, description=COE_SAYS, json_schema_extra={"more": True, "labels": COE_WORDS})
    thinking: Wish = Field("on", title=WISH_TITLE, description=WISH_SAYS, json_schema_extra={"more": True, "labels": WISH_WORDS})


class EnergyConfig(ReadingConfig):
    output: str = Field("", max_length=LONGEST_TEXT, description="What the model said; empty: the likeliest token each time")
    token: int = Field(-1, ge=-1, le=100_000, description="The token to look at, counted from 0; -1: the reasoning as a whole")
    difference: bool = Field(True, title="Layers minus what is usual", description="Raw profiles of right and wrong outputs look alike")
    heat: Literal["energy", "turn"] = Field("energy", title="The map shows", description="What the map of layers and tokens shows")


class CorruptConfig(ReadingConfig):
    step: int = Field(1, ge=1, le=50, description="Which step to change, counted from 1", json_schema_extra={"slider": [1, 7]})
    value: Literal["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "T", "F"] = Field(
        "0", description="The value to write there: a digit, or T or F where the problem has them", title="Its new result")


class TraceConfig(ReadingConfig):
    decoding: Literal["greedy", "model card"] = Field(
        "greedy", description="The likeliest token each time, or as the model's makers advise", json_schema_extra={"more": True})
    new_tokens: int = Field(256, ge=8, le=4096, description="How long the model may think and answer", json_schema_extra={"more": True})


class RocConfig(Config):
    model: ModelRef = Field("embedded/reasoner-70", description="The reasoning model")
    kind: Literal["numbers", "logic"] = Field("numbers", description="What the problems are about")
    problems: int = Field(1000, ge=50, le=2000, description="How many problems it thinks about")
    label: Literal["correct", "sound"] = Field("correct", description="What a score should pick out: right answers, or sound reasoning")
    variant: Variant = Field(DEFAULT, description="How energy is computed: a reconstruction, in several readings",
                             json_schema_extra={"labels": VARIANT_WORDS})
    gamma: float = Field(GAMMA, ge=0, le=1.5, description="How much a turn of the path costs", json_schema_extra={"slider": [0, 1.5, 0.05]})
    shuffle: bool = Field(False, description="Hand the labels out at random: every score must fall to a coin's 0.5")
    equal_lengths: bool = Field(False, title="Equal lengths only",
                                description="Draw panel F from comparisons among equally long problems: long ones are harder")
    drawn: list[Drawn] = Field(
        [ENERGY, "R0 think", "MaxProb think", "MaxProb answer", "CoE-R", "R0 prompt"], min_length=1, max_length=10,
        title="Lines in panel F", description="Which scores are drawn, ten at most", json_schema_extra={"more": True})
    truncated: Literal["counted", "left out"] = Field(
        "counted", description="Reasoning that never came to an end", json_schema_extra={"more": True})
    corrupted: int = Field(200, ge=0, le=500, description="Sound chains in which one digit is changed", json_schema_extra={"more": True})
    resamples: int = Field(RESAMPLES, ge=300, le=2000, description="Bootstrap resamples behind each interval",
                           json_schema_extra={"more": True})
    coe: CoE = Field("thinking", title=COE_TITLE, description=COE_SAYS, json_schema_extra={"more": True, "labels": COE_WORDS})
    thinking: Wish = Field("on", title=WISH_TITLE, description=WISH_SAYS, json_schema_extra={"more": True, "labels": WISH_WORDS})
    samples: int = Field(0, ge=0, le=10, title="Outputs drawn for LN-Entropy", json_schema_extra={"more": True},
                         description="Length-normalised entropy asks for several outputs per problem, drawn at random: 5 is usual, 0 "
                                     "leaves it out. The run takes that many times longer")


TRACE_OUTPUTS = (
    numbers(
        "In numbers",
        number("energy", "Energy of the reasoning so far",
               formula="mean over layers of K x (1 - gamma x (1 - cos turn)), K = half the squared step of the mean state",
               meaning="How far the thought moves through the layers, less for sharp turns. By convention more should mean sounder. The "
                       "equation is a reconstruction (R2 unless you choose another). Its unit is that of the model's states, squared. "
                       "While the model writes, R5 shows its momentum part alone, and what you set under More counts at the end."),
        number("percentile energy", "More energy than", unit="% of its outputs",
               formula="share of this model's 250 calibration outputs with less energy of the chosen reading, at gamma 0.8; at other "
                       "settings unknown",
               meaning="50 is usual for this model. Energies of two models cannot be compared; percentiles can."),
        number("certainty", "Certainty of the newest token", formula="largest probability among all next tokens",
               meaning="How sure the model was of the token it wrote last. This is the plain rival of the energy."),
        number("percentile MaxProb think", "Surer than", unit="% of its outputs",
               formula="share of 250 calibration outputs with a lower mean certainty over the reasoning",
               meaning="The rival on the same scale as the energy."),
        number("right steps", "Steps that are right", formula="steps that take up the value before and compute well",
               meaning="A checker follows every step. A right answer after a wrong step is luck."),
        number("written steps", "Steps written", formula="count of written steps",
               meaning="How many steps the model wrote between the think tags.")),
    figure("path", "A. The thought as a particle",
           note="Each arrow is one layer, the number at its tip how far the path turns there (90° is a right angle). Dots: the usual "
                "ways of right and wrong answers. Circles: where the path ended after each token; some lie beyond the edge. The axes say "
                "how much of the space they show.", wide=True, height=430),
    figure("chain", "D. Energy along the chain",
           note="Blue: energy of the reasoning so far. Green: the model's certainty. Does either notice a wrong step (shaded)?", wide=True),
    figure("profile", "B. Layer by layer",
           note="How much momentum each layer adds and what turning costs, minus what is usual: raw profiles all look alike."),
    figure("heat", "C. Tokens and layers", note="Blue frame: the reasoning. Red frame: the first wrong step."),
    table("steps", "Step by step", note="The checker knows the truth of each step.", wide=True),
    figure("scoreboard", "E. Every score of this output",
           note="Where it stands among this model's outputs; 50 is usual. Nobody has measured what is usual for a model of your own: for "
                "it this stays empty. One output is too few to judge any score by: the ROC lab below tests them on a thousand, with 95 % "
                "intervals.", wide=True, height=720, few=("R2 think", "MaxProb think", "CoE-R", "Late entropy")),
    text("output", "What the model wrote", note="Between the think tags: its reasoning. After them: the answer."),
    text("prompt", "What the model was given",
         note="In logic each operation gets a letter: T and F repeat so often that the model could not tell by them where it is."),
    table("scores", "Every score of this output, in numbers", look="plain"),
    metric("entropy", "How undecided the model was about each token", unit="nats"),
    metric("score {}", "A score of the whole output", meaning="Higher means more confident, for every score."),
    metric("percentile {}", "Where a score stands among this model's calibration outputs", unit="%"),
    metric("final energy", "Energy of the whole reasoning, as it is set under More"),
)
ROC_OUTPUTS = (
    numbers(
        "In numbers",
        number("accuracy", "Right answers", unit="share", formula="right answers / outputs", meaning="How often the model is right."),
        number("soundness", "Sound outputs", unit="share", formula="outputs whose every step is right / outputs",
               meaning="How often the reasoning itself is right. Unknown for a model of your own, whose steps nobody checks."),
        number("lucky share", "Lucky among the right", unit="share", formula="right answers with a wrong step / right answers",
               meaning="Answers that happen to be right although the reasoning does not lead there."),
        number("AUROC energy", "Energy sorts", unit="AUROC",
               formula="chance that a good output has more energy than a bad one; ties count half",
               meaning="1 sorts perfectly, 0.5 is a coin, below 0.5 sorts the wrong way round. Signs are never turned."),
        number("stratified energy", "Energy among equally long problems", unit="AUROC", formula="mean of the AUROCs inside each length",
               meaning="Long problems are harder. This takes that easy hint away."),
        number("AUROC MaxProb think", "Plain certainty sorts", unit="AUROC",
               formula="as for the energy, with the mean certainty over the reasoning", meaning="The rival that costs nothing."),
        number("AUROC R0 prompt", "Control: energy of the question", unit="AUROC",
               formula="momentum energy over the problem's own tokens, before any reasoning",
               meaning="If this sorts as well, the energy reads how hard the problem is, not the reasoning."),
        number("truncated", "Cut off while thinking", unit="share", formula="outputs without a closing think tag / outputs",
               meaning="Such an output has no answer and counts as wrong. Under More you can leave these out.")),
    figure("roc", "F. Which score lets the right ones through?",
           note="Up and to the left is better; the dotted line is a coin. Which scores are drawn you choose under More; press a name in "
                "the legend to hide its line. Another choice is quick: the model does not think again.", wide=True,
           height=430),
    figure("aurocs", "F. Every score with its 95 % interval",
           note="Hollow: among equally long problems only. Shortness and R0 prompt are controls. R1 to R5 stand at the gamma you chose.",
           wide=True, height=760),
    figure("distributions", "G. Energy of sound, lucky and wrong outputs",
           note="If the shapes lie on each other, energy cannot tell them apart."),
    figure("gamma", "G. What gamma does",
           note="One line per reading of the energy. Does curvature help or hurt? Follow R3 as its weight grows."),
    figure("layers", "B. Layers, over all outputs", note="Mean momentum energy of each kind minus the mean of all.", wide=True),
    figure("corrupted", "H. Which score notices one changed digit?",
           note="One result in a sound chain is changed and the whole is read again. Above 50 %: the score mostly drops, as it should. "
                "Grey: the thin line, the 95 % interval, holds 50 %, so nobody can tell. R1 to R5 stand at the gamma you chose.",
           wide=True),
    table("against the baselines", "Energy against each rival", note="Differences of AUROC with paired 95 % intervals.", wide=True),
    table("by length", "By length of the problem", wide=True),
    table("scores", "All scores",
          note="FPR@95: how many bad outputs slip through when 95 % of the good ones shall pass; less is better. AUPR: how pure the top "
               "of the list is; compare it with that of a coin, which is the share of good outputs.", wide=True),
    metric("AUROC {}", "How well a score sorts", unit="AUROC", formula="chance that a good output scores above a bad one; ties count half"),
    metric("stratified {}", "The same among equally long problems", unit="AUROC", formula="mean of the AUROCs inside each length"),
    metric("FPR95 {}", "Bad outputs that slip through when 95 % of the good ones pass", unit="share"),
    metric("AUPR {}", "How pure the top of the list is", unit="share", meaning="Compare it with the share of good outputs."),
    metric("energy sound minus lucky", "Mean energy of sound outputs minus that of lucky ones", optional=True),
    metric("corrupted scored lower {}", "Changed chains that a score puts below the sound ones", unit="share"),
    metric("largest disagreement", "Own notes of the states against those of the library, largest difference"),
)
TRACE = experiment("reasoning/trace", title="Watch a chain of thought", paper="03", families=FAMILIES, revision=2, config=TraceConfig,
                   outputs=TRACE_OUTPUTS, run="core.reasoning.experiments:trace_thought")
ROC = experiment("reasoning/roc", title="Can any score tell sound from lucky?", paper="03", families=FAMILIES, revision=ROC_REVISION,
                 config=RocConfig, outputs=ROC_OUTPUTS, run="core.reasoning.experiments:roc")
ENERGY_OF = probe("reasoning/energy", title="The energy of a thought", paper="03", families=FAMILIES, config=EnergyConfig,
                  run="core.reasoning.probes:energy_of")
CORRUPT = probe("reasoning/corrupt", title="Change one digit", paper="03", families=FAMILIES, config=CorruptConfig,
                run="core.reasoning.probes:corrupt_one")
EXPERIMENTS = (TRACE, ROC, ENERGY_OF, CORRUPT)
