"""Paper 06, told without torch: the configs of the race, the comparison and both probes, and what they say.

The paper trains the connector in every run and counts numbers inside the language model alone; here both counts always stand side by
side, and connector-only, the control that the paper lacks, is a row like any other (methods/06).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from core.engine.experiment import CleanText, Config, DataRef, ModelRef, experiment, probe
from core.engine.outputs import chart, figure, kept, metric, number, numbers, picture, series, table
from core.plots import BLUE, ORANGE
from core.scenes.scene import Build, Colour, Hair, Height, Job, Place, Shape, Side, Tone
from core.steering.rows import COMPARED, RIVALS, ROWS

LLAVA = ("llava",)
LOOKERS = ("llava", "qwen_vl")
MORE = {"more": True}
Positions = Literal["all", "first_last", "uniform", "random", "painted"]
POSITION_WORDS = {"all": "all of the picture", "first_last": "first 4 and last 5 (the paper)", "uniform": "evenly spread",
                  "random": "by chance", "painted": "the patches I paint"}
Layers = Literal["all", "every 2nd", "every 3rd", "every 4th", "deep half", "all but the last"]
METHOD_WORDS = {"mores": "the picture's tokens (MoReS)", "loreft": "the question's tokens (LoReFT)"}
INIT_WORDS = {"identity": "changing nothing", "random": "by chance (the paper)"}
Name = Literal[tuple(ROWS)]
Rival = Literal[RIVALS]


class TrainConfig(Config):
    """What is steered, who races against it, and for how long."""

    method: Literal["mores", "loreft"] = Field("mores", title="What is steered", json_schema_extra={"labels": METHOD_WORDS},
                                               description="The same edit, at the picture's tokens or at those of the question")
    connector: bool = Field(True, title="Train the connector too",
                            description="The connector carries the picture into the language model; off, the steering has to do it alone")
    rival: Rival = Field("lora-16", title="Rival", json_schema_extra={"labels": {name: ROWS[name].title for name in RIVALS}},
                         description="Who is trained beside it, on the same questions in the same order")
    rank: int = Field(1, ge=1, le=4096, title="Rank", json_schema_extra={"slider": [1, 16]},
                      description="In how many directions each layer is steered")
    positions: Positions = Field("all", title="Which patches", json_schema_extra={"labels": POSITION_WORDS},
                                 description="Which of the 64 patches of the picture are steered")
    share: float = Field(0.25, gt=0, le=1, title="Share of patches", json_schema_extra=MORE,
                         description="For patches evenly spread or by chance; at least one")
    painted: CleanText = Field("", max_length=300, title="Paint patches", json_schema_extra={"grid": 8, "under": "scene.png", **MORE},
                               description="Draw over the squares: these are steered, and no others. As text, line by line: 1-8, 12")
    layers: Layers = Field("all", title="Layers", json_schema_extra=MORE, description="Which layers are steered")
    init: Literal["identity", "random"] = Field("identity", title="It begins", json_schema_extra={"labels": INIT_WORDS, **MORE},
                                                description="What the steering does before it has learned anything")
    steps: int = Field(50, ge=1, le=2000, title="Training steps", json_schema_extra={"slider": [10, 300, 10]},
                       description="Each with four questions about each of twelve pictures")
    pictures: int = Field(800, ge=50, le=6000, title="Pictures to learn from", json_schema_extra=MORE,
                          description="In three of four the things have the colour of their kind, so guessing pays")
    batch: int = Field(12, ge=1, le=64, title="Pictures in a step", json_schema_extra=MORE, description="Four questions each")
    rate: float = Field(0, ge=0, le=0.1, title="Learning rate", json_schema_extra=MORE,
                        description="Of the steering; 0 takes the method's own")
    questions: int = Field(100, ge=20, le=400, title="Test pictures", json_schema_extra=MORE, description="In each column")
    model: ModelRef = Field("embedded/scenes-base", title="Model", json_schema_extra=MORE,
                            description="One that sees scenes and was never asked about a picture")


class CompareConfig(Config):
    """Which rows of the table are trained and asked."""

    model: ModelRef = Field("embedded/scenes-base", title="Model", description="One that sees scenes and was never asked about a picture")
    methods: list[Name] = Field(list(COMPARED), min_length=1, max_length=len(ROWS), title="Methods",
                                json_schema_extra={"labels": {name: row.title for name, row in ROWS.items()}},
                                description="Each is trained from the same model on the same questions in the same order")
    steps: int = Field(50, ge=1, le=2000, title="Training steps", json_schema_extra={"slider": [10, 300, 10]}, description="For each")
    pictures: int = Field(800, ge=50, le=6000, title="Pictures to learn from", json_schema_extra=MORE, description="The same for each")
    batch: int = Field(12, ge=1, le=64, title="Pictures in a step", json_schema_extra=MORE, description="Four questions each")
    choose: bool = Field(False, title="Choose the learning rate", json_schema_extra=MORE,
                         description="Try three for each method, half as long, on validation questions that are used for nothing else")
    rate: float = Field(0, ge=0, le=0.1, title="Learning rate", json_schema_extra=MORE,
                        description="The same for every method; 0 takes each method's own")
    questions: int = Field(100, ge=20, le=400, title="Test pictures", json_schema_extra=MORE, description="In each column")


class LookConfig(Config):
    """A scene, or a picture of one's own, and a question."""

    model: ModelRef = Field("embedded/scenes-base", title="Model", description="A model that sees and reads: scenes, LLaVA or Qwen-VL")
    question: CleanText = Field("what colour is the ball ?", max_length=400, title="Question",
                                description="In the words of the little model, for example: how many things are there ? is there a star ?")
    shape: Shape = Field("ball", title="Things", description="What lies beside the person")
    colour: Colour = Field("green", title="Colour", description="Of the things; in training balls were mostly red")
    count: int = Field(2, ge=1, le=4, title="How many", description="Things")
    height: Height = Field("high", title="Where", description="Things hang high or lie low")
    side: Side = Field("left", title="Person", description="Where the person stands")
    place: Place = Field("street", title="Place", description="What is behind", json_schema_extra=MORE)
    hair: Hair = Field("short", title="Hair", description="Of the person", json_schema_extra=MORE)
    tone: Tone = Field("tone1", title="Tone", description="Of the skin, one of three", json_schema_extra=MORE)
    build: Build = Field("slim", title="Build", description="Of the body", json_schema_extra=MORE)
    job: Job = Field("hidden", title="Trade", description="Shirt and tool", json_schema_extra=MORE)
    seed: int = Field(0, ge=0, le=9999, title="Grain", description="Another number, another grain in the picture", json_schema_extra=MORE)
    picture: DataRef = Field("", title="A picture of your own", json_schema_extra={"files": [".png", ".jpg", ".jpeg"], **MORE},
                             description="Shown to the model instead of the scene")
    layer: int = Field(4, ge=1, le=400, title="Layer", json_schema_extra={"slider": [1, 6]}, description="Whose attention is drawn")


class StrengthConfig(LookConfig):
    """The same with a steering, turned down or up."""

    steering: ModelRef | None = Field(None, title="Steering", json_schema_extra=MORE,
                                      description="One that a run kept, run/RUN_ID/steering; empty: the one that comes with the lab")
    shown: bool = Field(True, title="Show the picture", description="Off: the question alone, in words; steering must change nothing then")
    strength: float = Field(1.0, ge=0, le=3, title="Strength", json_schema_extra={"slider": [0, 3, 0.1]},
                            description="0: the same model without steering. 1: as it was trained")
    connector: Literal["trained", "before"] = Field(
        "trained", title="Connector", json_schema_extra={"labels": {"trained": "as trained with it", "before": "as before training"}},
        description="What carries the picture into the language model was trained beside the steering")


Point = tuple[Annotated[str, Field(max_length=80)], Annotated[str, Field(max_length=20)], Annotated[int, Field(ge=0, le=10**12)],
              Annotated[int, Field(ge=0, le=10**12)], Annotated[float, Field(ge=0, le=1)], Annotated[int, Field(ge=1, le=10**6)]]


class MeasuredConfig(Config):
    """Points that were measured before."""

    points: tuple[Point, ...] = Field((), max_length=200, json_schema_extra=MORE,
                                      description="Measured before: (name, recipe, inside, with connector, right answers, questions)")


UNBIASED = "right answers / questions about new pictures in which all colours are alike"
COUNTS = (
    number("inside steered", "Trained inside the language model: steering", formula="layers x (2 x width x rank + rank)",
           meaning="The count that the paper prints."),
    number("total steered", "With the connector: steering", formula="the same + the connector, where it is trained"),
    number("inside rival", "Inside: rival"),
    number("total rival", "With the connector: rival"),
    number("ratio inside", "Times more, inside", formula="rival / steering", meaning="The paper's kind of ratio.", optional=True),
    number("ratio total", "Times more, with the connector", formula="rival / steering", meaning="What is really trained.", optional=True),
)
TRAIN_OUTPUTS = (
    figure("columns", "Right answers, and what guessing alone would give", main=True, wide=True, height=400,
           note="Bars: asked about the right picture. Marks: the same questions beside the picture of another scene."),
    chart("Two losses race on the same questions", series("loss steered", "steering", colour=BLUE),
          series("loss rival", "rival", colour=ORANGE), x="training step", y="nats per answer"),
    numbers("How many numbers are trained", *COUNTS),
    numbers("In numbers",
            number("unbiased base", "Untouched", unit="share", formula=UNBIASED),
            number("unbiased steered", "Steered", unit="share", formula=UNBIASED),
            number("unbiased rival", "Rival", unit="share", formula=UNBIASED),
            number("shuffled steered", "Steered, another picture", unit="share", formula="the same questions, another picture",
                   meaning="What it gets without looking."),
            number("lmar base", "LMAR, untouched", formula="mean over layers of attention per picture token / per question token"),
            number("lmar steered", "LMAR, steered"),
            number("lmar rival", "LMAR, rival")),
    figure("lmar", "Attention to the picture, layer by layer (LMAR)",
           note="1: a token of the picture gets as much attention as a word of the question. Below: words win. Attention need not be "
                "the cause of an answer."),
    figure("share", "What share of all attention falls on the picture?", note="Of what is looked at while the answer is said."),
    figure("patches", "Where it looks", wide=True,
           note="The darker, the more attention, mean over layers. Outlined: patches that are steered."),
    picture("example", "The picture that is looked at"),
    table("columns", "All columns: right answers with 95 % intervals", wide=True),
    table("looks", "Attention, layer by layer", wide=True, rare=True),
    kept("steering", "The trained steering"),
    metric("balance {}", "Balance error B: mean over layers of |ln LMAR|"),
    metric("lmar_all {}", "LMAR against every other token"),
    metric("existence {}", "Right answers to 'is there a ...?'", unit="share"),
    metric("seen {}", "Right answers, colours as in training", unit="share"),
    metric("words {}", "Right answers about scenes told in words", unit="share"),
    metric("shuffled {}", "Right answers beside another picture", unit="share"),
)
COMPARE_OUTPUTS = (
    figure("against", "Right answers against numbers trained", main=True, wide=True,
           note="Full: counted inside the language model, as the paper does. Hollow: with the connector. Thin lines: 95 %."),
    figure("balance", "Does looking more mean knowing more?", note="Each point is a method. The paper shows the first axis only."),
    figure("seeing", "How much of it is seeing?", note="Right answers minus those beside another picture, in points."),
    figure("lmar", "LMAR, layer by layer", note="1: balanced."),
    table("methods", "Every method", wide=True),
    chart("While they learn", series("loss {}", ""), x="training step", y="nats per answer"),
    metric("{} unbiased", "Right answers, all colours alike", unit="share"),
    metric("{} existence", "Right answers to 'is there a ...?'", unit="share"),
    metric("{} seen", "Right answers, colours as in training", unit="share"),
    metric("{} words", "Right answers about scenes told in words", unit="share"),
    metric("{} mean", "Mean of unbiased and existence", unit="share"),
    metric("{} drop", "Lost beside another picture", unit="share"),
    metric("{} lmar", "Mean LMAR"),
    metric("{} balance", "Balance error B"),
    metric("{} inside", "Numbers trained inside the language model"),
    metric("{} total", "Numbers trained, with the connector"),
    metric("{} rate", "Learning rate"),
)
TRAIN = experiment("steering/train", title="Steer it", paper="06", families=LLAVA, config=TrainConfig, outputs=TRAIN_OUTPUTS,
                   run="core.steering.experiments:train")
COMPARE = experiment("steering/compare", title="Every method at once", paper="06", families=LLAVA, config=CompareConfig,
                     outputs=COMPARE_OUTPUTS, run="core.steering.comparing:compare")
LOOK = probe("steering/look", title="Where does it look?", paper="06", families=LOOKERS, config=LookConfig,
             run="core.steering.probes:look")
STRENGTH = probe("steering/strength", title="Turn the steering", paper="06", families=LLAVA, config=StrengthConfig,
                 run="core.steering.probes:strength")
MEASURED = probe("steering/measured", title="Right answers against numbers", paper="06", families=(), config=MeasuredConfig,
                 run="core.steering.probes:measured")
EXPERIMENTS = (TRAIN, COMPARE, LOOK, STRENGTH, MEASURED)
