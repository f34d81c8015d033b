"""Paper 10, told without torch: the configs of its experiments and probes, and what they say.

WAY, in names of metrics, is a path: small, large, or J-K from small block J into large block K, counted from 0.
Accuracy is the share of right answers on the task's test pictures, 0..1.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from core.engine.experiment import Config, DataRef, ModelRef, experiment, probe
from core.engine.outputs import chart, figure, kept, metric, number, numbers, series, table
from core.learngene.spec import FAMILIES, SCRATCH_RATE, TUNE_RATE, LookConfig, TaskName, pictures_field, teach_field

SMALL_WIDTH = 36
InitName = Literal["transpose", "scaled", "chain", "least_squares", "random"]
INIT_WORDS = {"transpose": "transposed (the paper's start)", "scaled": "transposed and scaled", "chain": "chain through the ancestor",
              "least_squares": "least squares (SN-Net's start)", "random": "random"}
RETRAIN_WORDS = {"no": "the pool named above", "distilled": "distilled again from the ancestor",
                 "labels": "each trained alone on labels (as SN-Net does)"}

Block = Annotated[int, Field(ge=-1, le=15)]
Timed = tuple[Annotated[str, Field(max_length=900)], Block, Block, float, float]


class StitchConfig(Config):
    task: TaskName = Field("digits", description="What the pictures show")
    pictures: DataRef = pictures_field("The pictures that this pool was made of: a ZIP file")
    small: ModelRef = Field("embedded/learngene-instances-small", description="The small model of the pool")
    large: ModelRef = Field("embedded/learngene-instances-large", description="The large model of the pool")
    init: InitName = Field("least_squares", title="How the stitches begin", description="What each stitch is before it learns",
                           json_schema_extra={"labels": INIT_WORDS})
    epochs: int = Field(3, ge=0, le=100,
                        description="Passes over the training pictures, a random path at every step; the stored pool had 40")
    train: Literal["everything", "stitches"] = Field("everything", title="What learns", description="Blocks and stitches, or stitches only")
    rate: float = Field(TUNE_RATE, ge=1e-6, le=1e-2, description="Peak learning rate", json_schema_extra={"more": True})
    ancestor: ModelRef = Field("embedded/learngene-pool-ancestor", description="Whose size the pool is compared with",
                               json_schema_extra={"more": True})
    retrain: Literal["no", "distilled", "labels"] = Field(
        "no", title="Where the two models come from", description="Made afresh with this run's seed, they take 50 passes: minutes",
        json_schema_extra={"more": True, "labels": RETRAIN_WORDS})


class InitsConfig(Config):
    task: TaskName = Field("digits", description="What the pictures show")
    pictures: DataRef = pictures_field("The pictures that this pool was made of: a ZIP file")
    small: ModelRef = Field("embedded/learngene-instances-small", description="The small model of the pool")
    large: ModelRef = Field("embedded/learngene-instances-large", description="The large model of the pool")
    epochs: int = Field(2, ge=0, le=50, description="Passes over the training pictures that each way to begin gets")
    rate: float = Field(TUNE_RATE, ge=1e-6, le=1e-2, description="Peak learning rate", json_schema_extra={"more": True})


class PoolConfig(Config):
    task: TaskName = Field("digits", description="What the pictures show")
    pictures: DataRef = pictures_field("Learn these instead: a ZIP file with one folder of pictures per class")
    ancestor: ModelRef = Field("embedded/learngene-pool-ancestor", description="The one large model that everything comes from")
    blocks: Literal[3, 6, 9] = Field(6, description="Blocks of each model in the pool")
    small_width: int = Field(SMALL_WIDTH, ge=12, le=192, multiple_of=3, description="Width of the small model",
                             json_schema_extra={"more": True})
    source: Literal["distilled", "labels"] = Field("distilled", description="Who teaches the two models", json_schema_extra={
        "labels": {"distilled": "the ancestor", "labels": "labels alone"}})
    epochs: int = Field(10, ge=0, le=200, description="Passes over the training pictures, for each of the two; the stored pool had 50")
    dense: bool = Field(True, title="Match the large model at three depths", json_schema_extra={"more": True},
                        description="Else at its end only, as the authors' later recipe does (loss_pos [end]); their earlier one leaves "
                                    "the dense default in place (loss_pos_B [front,end])")
    rate: float = Field(SCRATCH_RATE, ge=1e-5, le=1e-2, description="Peak learning rate", json_schema_extra={"more": True})
    teach: int = teach_field()


class PathConfig(LookConfig):
    task: TaskName = Field("digits", description="What the pictures show")
    pictures: DataRef = pictures_field("The pictures that this pool was made of: a ZIP file")
    small: ModelRef = Field("embedded/learngene-pool-small", description="The small model of the pool")
    large: ModelRef = Field("embedded/learngene-pool-large", description="The large model of the pool")
    last_small: int = Field(2, ge=-1, le=15, description="Last block of the small model, counted from 0; -1 for none")
    first_large: int = Field(3, ge=-1, le=15, description="First block of the large model, counted from 0; -1 for none")
    init: InitName | None = Field(None, title="Stitches", description="How they begin: as stored, or anew and untrained",
                                  json_schema_extra={"more": True, "labels": {"None": "as they were trained"} | INIT_WORDS})
    cost: Literal["macs", "parameters", "ms"] = Field(
        "macs", title="Against what?",
        json_schema_extra={"labels": {"macs": "multiply-adds", "parameters": "numbers inside", "ms": "time"}},
        description="Times are those of this computer, for one picture: of the paths that you press, not of the rivals.")
    budget: float | None = Field(None, ge=0.2, le=6, title="Budget", json_schema_extra={"slider": [0.2, 6, 0.1]},
                                 description="Million multiply-adds for one picture. Let go, and the best path within it is chosen.")
    tried: tuple[tuple[Block, Block], ...] = Field((), max_length=300, json_schema_extra={"more": True},
                                                   description="Other paths to draw beside it: (last small block, first large block)")
    timed: tuple[Timed, ...] = Field((), max_length=300, json_schema_extra={"more": True},
                                     description="Times measured before: (pool, last small, first large, ms for one picture, ms for 64)")


class AloneConfig(Config):
    task: TaskName = Field("digits", description="What the pictures show")
    pictures: DataRef = pictures_field("The pictures that the pool was made of: a ZIP file")


SHARE = "right answers / test pictures"
STITCH_OUTPUTS = (
    numbers(
        "In numbers",
        number("stitched before", "Stitched: right before training", unit="share",
               formula="right answers / test pictures, mean over the 16 stitched paths",
               meaning="Both models are trained, the stitches have only been set. This shows what a good start is worth."),
        number("stitched after", "Stitched: right after training", unit="share",
               formula="right answers / test pictures, mean over the 16 stitched paths",
               meaning="After training a random path at every step."),
        number("after small", "Small model alone", unit="share", formula=SHARE,
               meaning="The cheapest network of the pool. Training the pool changes it too."),
        number("after large", "Large model alone", unit="share", formula=SHARE,
               meaning="The rival that every stitched network should come near, at a lower cost.")),
    figure("pareto", "Right answers against cost",
           note="Each round point is a network made from the same blocks: 3 → 4 runs the small blocks 1 to 3, then the large ones from "
                "4. Stars are the two models without a stitch. On the dotted line stand the networks of the pool that no other one beats "
                "in both. Diamonds: five networks of sizes in between, each trained alone for 50 passes and stored for itself.",
           wide=True),
    figure("board", "Every path at once", note="Across: last small block. Up: first large block. The darker, the better."),
    figure("training", "While random paths are trained", note="Mean over the stitched paths, on 256 pictures."),
    figure("storage", "What has to be stored",
           note="SN-Net, the method this one is compared with, stores two models as deep as the ancestor.", wide=True),
    chart("Surprise", series("loss pool"),
          x="pass over the pictures", y="surprise at the right answer (nats)"),
    table("alone", "Networks trained alone, beside the best path that costs no more", wide=True),
    table("paths", "Path by path, with 95 % intervals; 3 → 4: from small block 3 to large block 4", wide=True),
    metric("accuracy {}", "Right answers after a pass, on 256 pictures", unit="share", formula=SHARE),
    metric("before {}", "Right answers of a path before training", unit="share", formula=SHARE),
    metric("after {}", "Right answers of a path after training", unit="share", formula=SHARE),
    metric("alone {}", "Right answers of a network trained alone, by width", unit="share", formula=SHARE),
    metric("rank correlation", "Do paths that cost more know more?", formula="Spearman's rho of multiply-adds and right answers",
           meaning="1: always; 0: no link."),
    kept("small", "The small model, with stitches"),
    kept("large", "The large model, with stitches"),
    kept("ancestor", "The ancestor, where it had to learn these classes first", optional=True),
)
INITS_OUTPUTS = (
    figure("inits", "Which start is best?",
           note="The paper's start is the transposed matrix. Least squares is SN-Net's. Random learned nothing. What is shown is what "
                "was measured here, whoever it favours.", wide=True),
    figure("training", "While they learn"),
    table("inits", "All starts"),
    metric("loss {}", "Surprise at the right answer, mean of a pass", unit="nats"),
    metric("accuracy {}", "Right answers after a pass, on 256 pictures", unit="share", formula=SHARE),
    metric("before {}", "Mean right answers of the stitched paths before training, by start", unit="share", formula=SHARE),
    metric("after {}", "Mean right answers of the stitched paths after training, by start", unit="share", formula=SHARE),
)
POOL_OUTPUTS = (
    figure("training", "While the two models learn", wide=True),
    figure("storage", "What has to be stored", wide=True),
    table("storage", "In numbers"),
    metric("loss {}", "Surprise at the ancestor's answers, mean of a pass"),
    metric("accuracy {}", "Right answers after a pass, on 256 pictures", unit="share", formula=SHARE),
    metric("end {}", "Right answers at the end", unit="share", formula=SHARE),
    metric("ancestor accuracy", "The ancestor: right answers", unit="share", formula=SHARE),
    kept("small", "The small model of the pool"),
    kept("large", "The large model of the pool"),
    kept("ancestor", "The ancestor, where it had to learn these classes first", optional=True),
)
STITCH = experiment("learngene/stitch", title="Stitch the pool", paper="10", revision=2, families=FAMILIES, config=StitchConfig,
                    outputs=STITCH_OUTPUTS, run="core.learngene.pool.experiments:stitch")
INITS = experiment("learngene/inits", title="Five ways to begin a stitch", paper="10", families=FAMILIES, config=InitsConfig,
                   outputs=INITS_OUTPUTS, run="core.learngene.pool.experiments:inits")
POOL = experiment("learngene/pool", title="Distil a pool of blocks", paper="10", families=FAMILIES, config=PoolConfig, outputs=POOL_OUTPUTS,
                  run="core.learngene.pool.experiments:pool")
PATH = probe("learngene/path", title="Walk a path through the pool", paper="10", families=FAMILIES, config=PathConfig,
             run="core.learngene.pool.probes:path")
ALONE = probe("learngene/alone", title="Networks trained alone", paper="10", families=FAMILIES, config=AloneConfig,
              run="core.learngene.pool.probes:trained_alone")
EXPERIMENTS = (STITCH, INITS, POOL, PATH, ALONE)
