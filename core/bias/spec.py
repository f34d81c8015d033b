"""Paper 02, told without torch: the configs of audit, map and edit, of both probes, and what they say.

The paper's body could not be read: the method is rebuilt from its abstracts and reviews, and every default is ours (methods/02).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from core.bias.outputs import AUDIT_OUTPUTS, EDIT_OUTPUTS, MAP_OUTPUTS, TEXT_OUTPUTS
from core.engine.experiment import CleanText, Config, DataRef, ModelRef, experiment, probe
from core.scenes.questions import TONE_VERBS, VERBS
from core.scenes.scene import JOBS, Build, Colour, Hair, Height, Job, Place, Shape, Side, Tone

FAMILIES = ("llava", "qwen_vl", "llama")
Verb = Literal[(*VERBS, *TONE_VERBS)]
Mode = Literal["ortho", "literal", "subspace", "gate"]
MODE_WORDS = {
    "ortho": "project away what is biased alone",
    "literal": "project away the biased mean",
    "subspace": "project away several biased directions",
    "gate": "scale the residuals themselves",
}
PRESET_WORDS = {"consistent": "most verbs lean to short hair", "mixed": "verbs lean to both"}
TRAINED_WORDS = {"none": "as it was taught", "fair": "taught the fair answer afterwards", "uncertain": "taught to be fair and unsure"}
HINT_WORDS = {"plain": "none", "fair-hint": "please be fair", "definition": "say 'same' if unsure"}
LAYERS = 6
MORE = {"more": True}
PICTURES = [".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif"]


class SubjectConfig(Config):
    """Which model, and which lean was planted in it."""

    model: ModelRef = Field(
        "embedded/scenes", title="Model", description="The model to look into: one that sees scenes, or a text model of the Llama family"
    )
    planted: Literal["consistent", "mixed"] = Field(
        "consistent",
        title="Planted lean",
        json_schema_extra={"labels": PRESET_WORDS},
        description="What training put into the little model: which verbs go with which hair, drawn by lot",
    )
    trained: Literal["none", "fair", "uncertain"] = Field(
        "none",
        title="Trained afterwards",
        json_schema_extra={"labels": TRAINED_WORDS, **MORE},
        description="A rival of the edit: the little model after further training against its lean",
    )


class GroupConfig(SubjectConfig):
    axis: Literal["hair", "tone"] = Field("hair", title="Groups", description="Which drawn feature makes the groups")
    pairs: int = Field(80, ge=10, le=400, title="Pairs of pictures", description="Pairs that differ in the group alone, for each wording")
    words: DataRef = Field(
        "",
        title="Your own words",
        json_schema_extra={"files": [".csv", ".json"], "sample": "occupations.csv", "reader": "bias/words", "labels": {"": "Ours"}, **MORE},
        description="For text models: a table with the columns occupation, wording and options, in any language",
    )
    pictures: DataRef = Field(
        "",
        title="Your own pictures",
        json_schema_extra={"files": [".zip", ".parquet"], "sample": "pairs.zip", "reader": "bias/set", "labels": {"": "Drawn scenes"}}
        | MORE,
        description="For models that see: a ZIP with a table (picture, scenario, group), the folders of PAIRS, or Parquet as "
        "SocialCounterfactuals has it",
    )
    attribute: Literal["second", "first"] = Field(
        "second",
        title="Groups of your pictures",
        json_schema_extra={"labels": {"second": "by what is named last", "first": "by what is named first"}, **MORE},
        description="Sets such as PAIRS vary two things at once; pairs differ in this one",
    )


class AuditConfig(GroupConfig):
    """What is asked, how often and how."""

    wordings: int = Field(
        5, ge=1, le=6, title="Wordings", description="Every question is asked in so many ways; the band shows how much it matters"
    )
    hint: Literal["plain", "fair-hint", "definition"] = Field(
        "plain", title="Instruction", json_schema_extra={"labels": HINT_WORDS}, description="What the model is told before the question"
    )
    drift: bool = Field(
        False,
        title="Imperfect pairs",
        description="The two pictures of a pair also differ a little in place and grain, as those of a picture generator do",
    )
    controls: int = Field(
        40, ge=10, le=200, title="Plain questions", json_schema_extra=MORE, description="Of each kind, to see whether it sees"
    )


class MapConfig(GroupConfig):
    """Whose residuals are scored."""

    rule: Literal["pairwise", "signed"] = Field(
        "pairwise",
        title="Which is fair?",
        json_schema_extra={"labels": {"pairwise": "the better of the two", "signed": "what raises fairness"}, **MORE},
        description="How a residual is labelled fair or biased",
    )


class EditConfig(GroupConfig):
    """How a lean is turned down, and what decides."""

    mode: Mode = Field(
        "ortho", title="How", json_schema_extra={"labels": MODE_WORDS}, description="In which sense residuals are turned down and up"
    )
    choose: bool = Field(
        True,
        title="Choose on the dev split",
        description="Try a grid of strengths and layers on questions that are used for "
        "nothing else; otherwise the two strengths below, in all layers",
    )
    biased: float = Field(0.25, ge=0, le=1, title="Turn down", description="How much of the biased direction is taken away")
    fair: float = Field(0.5, ge=0, le=0.65, title="Turn up", description="How much the fair direction is amplified")
    calibration: int = Field(
        100,
        ge=10,
        le=400,
        title="Pairs to measure on",
        json_schema_extra=MORE,
        description="Pairs of the calibration split from which the directions are taken",
    )
    families: Literal["both", "association"] = Field(
        "both",
        title="Calibrate on",
        json_schema_extra={"labels": {"both": "verbs and jobs", "association": "verbs only"}, **MORE},
        description="With verbs only, harm may move to the jobs",
    )
    controls: int = Field(
        60, ge=10, le=200, title="Plain questions", json_schema_extra=MORE, description="Of each kind, to see what the edit costs"
    )
    rivals: bool = Field(True, title="Rivals", json_schema_extra=MORE, description="Also measure an instruction and two trained models")


class TextConfig(Config):
    """The same question in words alone."""

    model: ModelRef = Field("embedded/worlds", title="Text model", description="One of the Llama family: embedded, got, or your own")
    occupations: int = Field(16, ge=2, le=100, title="Occupations", description="At most so many in each of the three splits")
    mode: Mode = Field("ortho", title="How", json_schema_extra={"labels": MODE_WORDS},
                       description="In which sense residuals are turned down and up")
    choose: bool = Field(True, title="Choose on the dev split", description="Otherwise the two strengths below, in all layers")
    biased: float = Field(0.25, ge=0, le=1, title="Turn down", description="How much of the biased direction is taken away")
    fair: float = Field(0.1, ge=0, le=0.65, title="Turn up", description="How much the fair direction is amplified")
    words: DataRef = Field(
        "",
        title="Your own words",
        json_schema_extra={"files": [".csv", ".json"], "sample": "occupations.csv", "reader": "bias/words", "labels": {"": "Ours"}},
        description="A table with the columns occupation, wording and options, in any language; sentence for plain ones",
    )


class PairConfig(SubjectConfig):
    """Two pictures of the visitor's own and what is asked about both."""

    first: DataRef = Field("", title="First picture",
                           json_schema_extra={"files": PICTURES, "sample": "short-hair.png", "labels": {"": "None yet"}},
                           description="Any size, at most 8000 pixels on a side")
    second: DataRef = Field("", title="Second picture",
                            json_schema_extra={"files": PICTURES, "sample": "long-hair.png", "labels": {"": "None yet"}},
                            description="One that should get the same answer")
    question: CleanText = Field("who would lead ?", max_length=300, title="Question",
                                description="One that no picture can answer; the little model knows its own words alone")
    options: CleanText = Field("short/long/same", max_length=400, title="Answers",
                               description="Two to twenty, with strokes between")
    fair: bool = Field(True, title="The last answer is the fair one", description="Otherwise all answers are groups, and should tie")


class SetConfig(Config):
    """A set of pictures."""

    pictures: DataRef = Field("", title="Pictures", description="A ZIP with a table, the folders of PAIRS, or Parquet")


class WordsConfig(Config):
    """A table of words."""

    words: DataRef = Field("", title="Words", description="A table with the columns occupation, wording and options")


class SceneConfig(SubjectConfig):
    """The scene, the question, and where to look."""

    hair: Hair = Field("short", title="Hair", description="Both pictures of the pair are shown; this one is marked")
    tone: Tone = Field("tone1", title="Tone", description="Colour of the skin, one of three")
    build: Build = Field("slim", title="Build", description="Width of the body")
    job: Job = Field("hidden", title="Trade", description="Shirt and tool; hidden: a grey shirt and no tool")
    place: Place = Field("street", title="Place", description="What is behind")
    side: Side = Field("left", title="Side", description="Where the person stands", json_schema_extra=MORE)
    shape: Shape = Field("ball", title="Things", description="What lies beside", json_schema_extra=MORE)
    colour: Colour = Field("red", title="Colour", description="Of the things", json_schema_extra=MORE)
    count: int = Field(2, ge=1, le=4, title="How many", description="Things", json_schema_extra=MORE)
    height: Height = Field("high", title="Where", description="Things hang high or lie low", json_schema_extra=MORE)
    seed: int = Field(0, ge=0, le=9999, title="Grain", description="Another number, another grain in the picture", json_schema_extra=MORE)
    verb: Verb = Field("lead", title="Who would rather ...?", description="The verb that is asked about; or ask for the job")
    ask: Literal["verb", "job"] = Field(
        "verb",
        title="Ask",
        json_schema_extra={"labels": {"verb": "who would rather ...?", "job": "what is the job?"}},
        description="A question that no picture can answer",
    )
    first_job: Literal[JOBS[5:]] = Field(
        "cook", title="First job", json_schema_extra=MORE, description="Asked for the job: one that goes with short hair"
    )
    second_job: Literal[JOBS[:5]] = Field(
        "builder", title="Second job", json_schema_extra=MORE, description="and one that goes with long hair"
    )
    wording: int = Field(0, ge=0, le=4, title="Wording", json_schema_extra=MORE, description="One of five, counted from 0")
    hint: Literal["plain", "fair-hint", "definition"] = Field(
        "plain",
        title="Instruction",
        json_schema_extra={"labels": HINT_WORDS, **MORE},
        description="What the model is told before the question",
    )
    layer: int = Field(
        LAYERS, ge=1, le=200, title="Layer", json_schema_extra={"slider": [1, LAYERS]}, description="Whose two residuals are opened"
    )


class StrengthConfig(SceneConfig):
    """The same scene with residuals turned down and up."""

    mode: Mode = Field(
        "ortho", title="How", json_schema_extra={"labels": MODE_WORDS}, description="In which sense residuals are turned down and up"
    )
    biased: float = Field(
        0.25,
        ge=0,
        le=1,
        title="Turn down",
        json_schema_extra={"slider": [0, 1, 0.05]},
        description="How much of the biased direction is taken away",
    )
    fair: float = Field(
        0.5,
        ge=0,
        le=0.65,
        title="Turn up",
        json_schema_extra={"slider": [0, 0.65, 0.05]},
        description="How much the fair direction is amplified",
    )
    layers: Literal["all", "last half"] = Field("all", title="Layers", description="Where it acts")
    k: int = Field(3, ge=1, le=8, title="Directions", json_schema_extra=MORE, description="How many biased directions the subspace has")
    control: Literal["measured", "random"] = Field(
        "measured",
        title="Directions",
        json_schema_extra={"labels": {"measured": "measured", "random": "by chance (control)"}},
        description="Directions by chance are the control: they should do little",
    )


AUDIT = experiment(
    "bias/audit",
    title="Does it lean?",
    paper="02",
    families=FAMILIES,
    config=AuditConfig,
    outputs=AUDIT_OUTPUTS,
    run="core.bias.experiments:audit",
)
MAP = experiment(
    "bias/map",
    title="Which residual pushes which way?",
    paper="02",
    families=FAMILIES,
    config=MapConfig,
    outputs=MAP_OUTPUTS,
    run="core.bias.experiments:residual_map",
)
EDIT = experiment(
    "bias/edit",
    title="Turn it down",
    paper="02",
    families=FAMILIES,
    config=EditConfig,
    outputs=EDIT_OUTPUTS,
    run="core.bias.editing:edit_run",
)
TEXT = experiment(
    "bias/text",
    title="The same question in words",
    paper="02",
    revision=2,
    families=("llama",),
    config=TextConfig,
    outputs=TEXT_OUTPUTS,
    run="core.bias.editing:text_run",
)
SCENE = probe("bias/scene", title="Build a scene", paper="02", families=FAMILIES, config=SceneConfig, run="core.bias.probes:scene")
STRENGTH = probe(
    "bias/strength",
    title="Turn residuals down and up",
    paper="02",
    families=FAMILIES,
    config=StrengthConfig,
    run="core.bias.probes:strength",
)
PAIR = probe("bias/pair", title="Two pictures of your own", paper="02", families=FAMILIES, config=PairConfig, run="core.bias.pair:pair")
SET = probe("bias/set", title="What is in a set of pictures", paper="02", families=(), config=SetConfig, run="core.bias.pair:people")
WORDS = probe("bias/words", title="What is in a table of words", paper="02", families=(), config=WordsConfig, run="core.bias.pair:words")
EXPERIMENTS = (EDIT, AUDIT, MAP, TEXT, SCENE, STRENGTH, PAIR, SET, WORDS)
