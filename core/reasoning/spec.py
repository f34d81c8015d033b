"""Paper 03, told without torch: the readings of the energy, the names of all scores, configs, and what trace and ROC lab say.

The energy is a reconstruction: the paper's own equation could not be read, so there are several readings of it (methods/03 section 2).
"""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from core.engine.experiment import CleanText, Config, ModelRef, experiment, probe

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
VARIANT_SCORES = {f"{variant.split('_')[0]} think": variant for variant in VARIANT_NAMES}
SCORE_OF = {variant: name for name, variant in VARIANT_SCORES.items()}
ENERGY_SCORES = (*VARIANT_SCORES, "Straightness", "R0 prompt")  # these move with gamma or with which states are taken
BASELINES = (*(f"{name} {span}" for name in PROBABILITY for span in SCORED_SPANS), *COE, "Late entropy")
SCORE_NAMES = (*VARIANT_SCORES, "Straightness", *BASELINES, *CONTROLS)
RESAMPLES = 300
Drawn = Literal[(ENERGY, *SCORE_NAMES)]
LONGEST_TEXT = 20_000
FAMILIES = ("llama", "gpt2")
ROC_REVISION = 2  # of the ROC lab: another one makes the sets on disk, and the records, out of date


class ReadingConfig(Config):
    """What every view of one output shares."""

    model: ModelRef = Field("embedded/reasoner-70", description="The reasoning model")
    problem: CleanText = Field("2-7+4+2*5", max_length=4000, description="What to work out: digits with + - *, or T and F with & | ^. The "
                              "little models learned 2 to 6 operations with digits and 4 to 7 with T and F")
    variant: Variant = Field(DEFAULT, description="How energy is computed: a reconstruction, in several readings",
                             json_schema_extra={"labels": VARIANT_WORDS})
    gamma: float = Field(GAMMA, ge=0, le=1.5, description="How much a turn of the path costs")
    last_state: Literal["raw", "final_norm"] = Field("raw", description="The last state before or after the model's final norm",
                                                     json_schema_extra={"more": True})
    embedding: bool = Field(True, description="Count the step from the word itself to the first layer", json_schema_extra={"more": True})
    tags: bool = Field(False, description="Count the think tags as part of the reasoning", json_schema_extra={"more": True})


class EnergyConfig(ReadingConfig):
    output: str = Field("", max_length=LONGEST_TEXT, description="What the model said; empty: the likeliest token each time")
    token: int = Field(-1, ge=-1, le=100_000, description="The token to look at, counted from 0; -1: the reasoning as a whole")
    difference: bool = Field(True, description="Show layers minus what is usual for this model")
    heat: Literal["energy", "turn"] = Field("energy", description="What the map of layers and tokens shows")


class CorruptConfig(ReadingConfig):
    step: int = Field(1, ge=1, le=50, description="Which step to change, counted from 1")
    value: CleanText = Field("0", max_length=1, description="The value to write there")


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
    gamma: float = Field(GAMMA, ge=0, le=1.5, description="How much a turn of the path costs")
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


TRACE = experiment("reasoning/trace", title="Watch a chain of thought", paper="03", families=FAMILIES, revision=2, config=TraceConfig,
                   run="core.reasoning.experiments:trace_thought")
ROC = experiment("reasoning/roc", title="Can any score tell sound from lucky?", paper="03", families=FAMILIES, revision=ROC_REVISION,
                 config=RocConfig, run="core.reasoning.experiments:roc")
ENERGY_OF = probe("reasoning/energy", title="The energy of a thought", paper="03", families=FAMILIES, config=EnergyConfig,
                  run="core.reasoning.probes:energy_of")
CORRUPT = probe("reasoning/corrupt", title="Change one digit", paper="03", families=FAMILIES, config=CorruptConfig,
                run="core.reasoning.probes:corrupt_one")
EXPERIMENTS = (TRACE, ROC, ENERGY_OF, CORRUPT)
