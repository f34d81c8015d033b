"""Paper 04, told without torch: the configs of the edit, of its repetition and of both probes, and what they say.

The paper's body could not be read: the three agents and the three-layer tree are its own, every default is ours (methods/04).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from core.emotion.mikels import EMOTIONS
from core.engine.experiment import CleanText, Config, DataRef, ModelRef, experiment, is_ref, probe
from core.engine.outputs import chart, figure, fold, metric, number, numbers, picture, series, table, text
from core.plots import BLUE, GREY, ORANGE

FAMILIES = ("vit",)
MODEL = "embedded/emotion-judge"
Emotion = Literal[EMOTIONS]
Photograph = Literal["cat", "coffee", "rocket"]
PHOTOGRAPHS = {"cat": "a cat", "coffee": "a cup of coffee", "rocket": "a rocket at dusk"}
TOOL_NAMES = (
    "exposure", "contrast", "local_contrast", "relight", "spotlight", "golden_hour", "night", "glow", "sharpen", "saturation",
    "temperature", "tint_red", "tint_green", "tint_blue", "split_tone", "red_accent", "palette", "monochrome", "fog", "murk", "rain",
    "snow", "overcast", "sun_rays", "embers", "grain", "grime", "smooth", "posterise", "paper", "vignette", "tilt_shift", "motion_blur",
    "confetti", "lanterns", "moon", "birds", "remove",
)  # fmt: skip
MORE = {"more": True}
MOST_PAIRS = 12  # of one blind test
PICTURE_FILES = [".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff"]


class PictureConfig(Config):
    """Which picture: one of the lab's photographs, or the visitor's own."""

    picture: Photograph = Field(
        "cat", title="Picture", json_schema_extra={"labels": PHOTOGRAPHS}, description="Three photographs come with the lab"
    )
    own: DataRef = Field(
        "",
        title="Or your own picture",
        description="A photograph of your own instead. It stays on this computer",
        json_schema_extra={"files": PICTURE_FILES, "reader": "emotion/brought", "labels": {"": "none"}, **MORE},
    )


class PartConfig(PictureConfig):
    """Where edits are allowed."""

    part: Literal["whole", "sky", "subject", "background", "painted"] = Field(
        "whole",
        title="Where",
        json_schema_extra=MORE,
        description="Sky and subject are guessed without a model; painted is what you mark below",
    )
    region: CleanText = Field(
        "",
        max_length=300,
        title="Marked part",
        json_schema_extra=MORE,
        description="What was painted, or a box: left, top, right, bottom in percent, such as 20 10 70 60",
    )
    mask: DataRef = Field(
        "",
        title="Or a mask from a file",
        description="A black and white picture: white is where edits are allowed. It counts while nothing is painted",
        json_schema_extra={"files": [".png", ".jpg"], "labels": {"": "none"}, **MORE},
    )


class EditConfig(PartConfig):
    """What is wanted, how boldly, and who decides."""

    target: Emotion = Field("sadness", title="It should feel like", description="The emotion that the agents aim at")
    intensity: float = Field(1.0, ge=0, le=1, title="How strong", description="Scales every edit; 0 gives the picture back untouched")
    gate: Literal["subtle", "normal", "bold"] = Field(
        "normal",
        title="How far from the original",
        json_schema_extra={"labels": {"subtle": "stay close", "normal": "some change", "bold": "be bold"}, **MORE},
        description="The picture has to stay 80, 65 or 50 % alike (SSIM)",
    )
    count: int = Field(
        1,
        ge=1,
        le=6,
        title="Different results",
        json_schema_extra=MORE,
        description="So many edits that differ from each other and all aim at the same emotion",
    )
    rounds: int = Field(3, ge=1, le=5, title="Rounds", json_schema_extra=MORE, description="How often the planner may think again")
    strictness: float = Field(
        1.0, ge=0.5, le=2, title="How strict is the critic?", json_schema_extra=MORE, description="Times the usual threshold of the emotion"
    )
    what_if: Literal["no", "stricter", "milder"] = Field(
        "no",
        title="What if the critic had been ...?",
        json_schema_extra={"labels": {"no": "as it was"}, **MORE},
        description="Goes back to one verdict and lets another critic go on from there",
    )
    what_if_at: int = Field(
        1, ge=1, le=60, title="From verdict number", json_schema_extra=MORE, description="Where the other critic takes over"
    )
    undo_to: int = Field(
        0, ge=0, le=60, title="Undo: back to verdict", json_schema_extra=MORE, description="What came after it is taken back; 0: nothing is"
    )
    wish: CleanText = Field(
        "",
        max_length=200,
        title="In your words",
        json_schema_extra=MORE,
        description="Words that the planner looks for among what it knows, for example: cold rain",
    )
    harm: bool = Field(
        False,
        title="Slip in a bad edit",
        json_schema_extra=MORE,
        description="One step that nobody planned. Watch what the critic does with it",
    )
    critic: bool = Field(True, title="With a critic", json_schema_extra=MORE, description="Without one, every edit stays")
    tree: bool = Field(
        True,
        title="With the tree",
        json_schema_extra=MORE,
        description="Without it all tools are tried, also those that do not belong to the emotion",
    )
    retriever: bool = Field(
        True,
        title="With the retriever",
        json_schema_extra=MORE,
        description="Without it factors are taken by how common they are, whatever the picture lacks",
    )
    leaves: Literal["searched", "random"] = Field(
        "searched", title="Plans", json_schema_extra=MORE, description="random: tools by chance, the weakest planner there is"
    )
    chances: int = Field(
        8,
        ge=2,
        le=40,
        title="Edits by chance",
        json_schema_extra=MORE,
        description="So many random edits that change the picture as much, for comparison",
    )
    chat: CleanText = Field(
        "",
        max_length=300,
        title="Chat model",
        json_schema_extra=MORE,
        description="A language model of the lab, such as got/smollm2, or one that was connected in the tab below; empty: none",
    )
    judge: ModelRef = Field(MODEL, title="Second judge", json_schema_extra=MORE, description="A ViT that names the eight emotions")
    pipeline: ModelRef | None = Field(
        None,
        title="Diffusion model",
        json_schema_extra=MORE,
        description="A pipeline of yours under --models, such as path/instruct-pix2pix; it then paints the last step of each plan",
    )

    def further_models(self) -> list[str]:
        """The chat model, where it is one that the lab loads itself."""
        return [self.chat] if is_ref(self.chat) else []


class RepeatConfig(PictureConfig):
    recipe: DataRef = Field(
        "",
        title="Recipe",
        description="A recipe that a run gave, to be repeated at full size",
        json_schema_extra={"files": [".json"], "sample": "recipe.json", "labels": {"": "an example"}},
    )
    mask: DataRef = Field(
        "",
        title="Its mask",
        description="Only for a recipe that was made with a mask from a file",
        json_schema_extra={"files": [".png", ".jpg"], "labels": {"": "none"}, **MORE},
    )


class PairConfig(Config):
    own: DataRef = Field(
        "",
        title="Your own picture",
        description="Without one the pairs are of the lab's photographs",
        json_schema_extra={"files": PICTURE_FILES, "reader": "emotion/brought", "labels": {"": "the lab's photographs"}, **MORE},
    )
    number: int = Field(1, ge=1, le=MOST_PAIRS, title="Pair", description="Which pair of edits is looked at")


class StudyConfig(Config):
    own: DataRef = Field(
        "",
        title="Your own picture",
        description="Without one the pairs are of the lab's photographs",
        json_schema_extra={"files": PICTURE_FILES, "reader": "emotion/brought", "labels": {"": "the lab's photographs"}, **MORE},
    )
    votes: CleanText = Field(
        "",
        max_length=200,
        title="Votes",
        description="The number of each pair with L for left, R for right or = for no difference. The buttons write it for you",
    )
    judge: ModelRef = Field(MODEL, title="Second judge", json_schema_extra=MORE, description="A ViT that names the eight emotions")


class ReadConfig(PictureConfig):
    judge: ModelRef = Field(MODEL, title="Second judge", json_schema_extra=MORE, description="A ViT that names the eight emotions")
    target: Emotion = Field(
        "sadness", title="Compared with", description="The emotion whose light and colour are drawn beside the picture's"
    )


class ToolConfig(PartConfig):
    tool: Literal[TOOL_NAMES] = Field("exposure", title="Tool", description="One of the tools that the painter has")
    strength: float = Field(
        0.6,
        ge=-1,
        le=1,
        title="Strength",
        json_schema_extra={"slider": [-1, 1, 0.05]},
        description="0 gives the picture back untouched; tools without an opposite use only the right half",
    )
    angle: float = Field(100.0, ge=0, le=360, title="Angle", json_schema_extra=MORE, description="Degrees, for light and rain")
    x: float = Field(0.5, ge=0, le=1, title="Across", json_schema_extra=MORE, description="Where, from left to right")
    y: float = Field(0.5, ge=0, le=1, title="Down", json_schema_extra=MORE, description="Where, from top to bottom")
    seed: int = Field(0, ge=0, le=9999, title="Chance", json_schema_extra=MORE, description="Another number, other drops and clouds")


SELF = "The planner searches with the first judge, so its score alone proves nothing."
EDIT_OUTPUTS = (
    picture(
        "now",
        "The picture now",
        look="reveal",
        before="before",
        main=True,
        note="Pull the line to see the picture as it was. The words below say what has just been tried.",
    ),
    picture("before", "The picture as it was", look="plain"),
    picture(
        "step {}",
        "Each edit as it lands",
        look="film",
        wide=True,
        films="step ",
        presses=(
            ("undo", "Take back what came after"),
            ("stricter", "A stricter critic from here"),
            ("milder", "A milder critic from here"),
        ),
        note="A red frame: the critic undid it. Press a picture to see it large, and to go on from there in another way.",
    ),
    figure(
        "judges",
        "Two judges: how much of the wanted emotion?",
        height=300,
        note=f"{SELF} The second judge learned from other pictures. Brown: edits by chance that change the picture as much; thin line: "
        "95 % interval of their mean.",
    ),
    figure("wheel", "What the first judge feels", height=300, note="Blue: as it was. Orange: now. One slice an emotion."),
    figure(
        "tree",
        "The decision tree",
        wide=True,
        height=430,
        note="Emotion, what may evoke it, and how. The further right, the more the critic liked it when the planner tried it alone. "
        "Grey: tried and dropped. Orange: in the plan and kept. Red: undone by the critic.",
    ),
    table("talk", "What the agents say", wide=True),
    chart(
        "Step by step",
        series("first judge", "first judge", colour=ORANGE),
        series("second judge", "second judge", colour=BLUE),
        series("likeness", "likeness to the original", colour=GREY, dash="dot"),
        x="verdict",
        y="share",
        note="Share of the wanted emotion after each edit that was tried, also of those that were undone.",
    ),
    figure("cues", "Light and colour: have and want", height=320, note="In standard deviations from usual pictures, -3 to 3."),
    numbers(
        "In numbers",
        number("gain", "Gain, first judge", unit="share", formula="share of the emotion after - before (Emo-S)", meaning=SELF),
        number(
            "second gain",
            "Gain, second judge",
            unit="share",
            formula="share of the emotion after - before (Emo-S)",
            meaning="It does not know the planner.",
        ),
        number("chance gain", "By chance, first judge", unit="share", formula="the same, mean over random edits of equal likeness"),
        number("chance second gain", "By chance, second judge", unit="share", formula="the same, second judge"),
        number("ssim", "Likeness", unit="share", formula="SSIM with the original, full size; the critic looks at a small copy"),
        number("psnr", "PSNR", unit="dB", meaning="99: untouched. About 20: clearly changed."),
        number(
            "second accuracy",
            "Second judge, held out",
            unit="share",
            formula="right answers / drawn scenes that it never saw",
            meaning="Below 60 % its word counts for nothing. Chance: 12.5 %.",
        ),
        number("evaluations", "Pictures looked at", meaning="How often the critic was asked, by the planner too."),
        number("outside", "Steps of other emotions", meaning="Steps that the tree of this emotion does not hold."),
        number(
            "diversity", "Diversity", unit="share", formula="mean over pairs of results of 1 - SSIM", meaning="0: all alike.", optional=True
        ),
    ),
    picture("chance", "An edit by chance that changes as much", note="The rival: tools and strengths by lot, scaled to the same likeness."),
    picture("mask", "Where edits are allowed", optional=True),
    picture("gallery", "Different results, one emotion", wide=True, optional=True),
    picture("other", "With the other critic", optional=True),
    table("other talk", "From there on with the other critic", wide=True, optional=True),
    *fold(
        "Take it with you",
        picture("result", "The result", wide=True, note="Its settings stand in the file. Where it was taken does not."),
        text("recipe", "Recipe: repeats the edit at full size", note="Save it as a file and bring it to 'Repeat at full size'."),
    ),
    table("plan", "The steps that stand", rare=True),
    metric("reached", "Results that reach the target by the first judge", unit="share"),
    metric("second right", "Results that the second judge calls the target", unit="share"),
    metric("agree", "Results on which both agree", unit="share"),
    metric("score", "The critic's score J"),
    metric("gate kept", "Results that keep the gate", unit="share"),
    metric("proxy gap", "Difference between small and full size of the wanted share"),
    metric("beats chance first", "Random edits that score less, first judge", unit="share"),
    metric("beats chance second", "Random edits that score less, second judge", unit="share"),
    metric("distinct", "Smallest tool overlap of two results", optional=True),
    metric("results", "How many results"),
)

EDIT = experiment(
    "emotion/edit",
    title="Can a picture change its mood?",
    paper="04",
    revision=2,
    families=FAMILIES,
    config=EditConfig,
    outputs=EDIT_OUTPUTS,
    run="core.emotion.experiments:edit",
)
REPEAT = experiment(
    "emotion/repeat",
    title="Repeat an edit at full size",
    paper="04",
    families=FAMILIES,
    config=RepeatConfig,
    outputs=(
        picture("full", "At full size", wide=True, note="Its settings stand in the file."),
        numbers("In numbers", number("megapixels", "Megapixels")),
    ),
    run="core.emotion.experiments:repeat",
)
STUDY = experiment(
    "emotion/study",
    title="Would you have chosen the planned edit?",
    paper="04",
    families=FAMILIES,
    config=StudyConfig,
    outputs=(
        figure("chosen", "What you chose without knowing", main=True, height=260, optional=True),
        table("votes", "Pair by pair", wide=True, optional=True),
        numbers(
            "In numbers",
            number("votes", "Votes"),
            number("planned", "For the planned edit"),
            number("chance", "For the edit by chance"),
            number("no difference", "No difference"),
            number("with first", "You agree with the first judge", unit="share", optional=True),
            number("with second", "You agree with the second judge", unit="share", optional=True),
        ),
    ),
    run="core.emotion.study:study",
)
PAIR = probe(
    "emotion/pair", title="Two edits, one question", paper="04", families=FAMILIES, config=PairConfig, run="core.emotion.study:pair"
)
READ = probe(
    "emotion/read", title="What does it feel like?", paper="04", families=FAMILIES, config=ReadConfig, run="core.emotion.probes:read"
)
TOOL = probe("emotion/tool", title="Try a tool", paper="04", families=FAMILIES, config=ToolConfig, run="core.emotion.probes:tool")
BROUGHT = probe(
    "emotion/brought",
    title="What is in my picture file?",
    paper="04",
    families=FAMILIES,
    config=PictureConfig,
    run="core.emotion.probes:brought",
)
EXPERIMENTS = (EDIT, REPEAT, STUDY, PAIR, READ, TOOL, BROUGHT)
