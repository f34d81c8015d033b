"""Paper 09, told without torch: the configs of its experiments and probes, and what they say.

Accuracy is the share of right answers on the task's test pictures, 0..1. A visitor's pictures may take the place of a task.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from core.engine.experiment import Config, DataRef, ModelRef, experiment, probe
from core.engine.outputs import chart, figure, kept, metric, number, numbers, series, table
from core.learngene.spec import FAMILIES, PICTURES, SCRATCH_RATE, TUNE_RATE, LookConfig, TaskName, pictures_field, teach_field

DEEPEST = 16
Depth = Literal[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]
TICKED = (4, 6, 8, 10, 12)  # the depths of the storage card until somebody ticks others
RivalName = Literal["none", "distilled", "pretrained", "heuristic", "gradient", "every_other"]
RIVAL_WORDS = {"none": "nobody", "distilled": "from scratch, taught by the ancestor", "pretrained": "trained on the source first",
               "heuristic": "the ancestor's last three layers", "gradient": "the ancestor's three quietest layers",
               "every_other": "ancestor layers, evenly picked"}


class FinetuneConfig(Config):
    learngene: ModelRef = Field("embedded/learngene-letters", description="The learngene to grow from")
    source: TaskName = Field("letters", title="It was trained on", description="What the learngene knows already")
    source_pictures: DataRef = pictures_field("The pictures that this learngene was trained on: a ZIP file", "The learngene's pictures",
                                              more=True)
    task: TaskName = Field("digits", title="Now to learn", description="What the descendant has to learn")
    pictures: DataRef = pictures_field("Learn these instead: a ZIP file with one folder of pictures per class")
    ancestor: ModelRef = Field("embedded/learngene-letters-ancestor", description="The model it all came from; some rivals use it",
                               json_schema_extra={"more": True})
    depth: int = Field(6, ge=1, le=DEEPEST, description="Layers of every network in the race")
    epochs: int = Field(5, ge=1, le=100, title="Passes", description="How often the network that inherited sees all training pictures")
    scratch_epochs: int = Field(5, ge=1, le=300, title="Passes of its rivals", description="How often the network from scratch sees them")
    rival: RivalName = Field("none", title="One more rival", json_schema_extra={"labels": RIVAL_WORDS},
                             description="Somebody else beside the network from scratch; a reconstruction, smaller than the paper's")
    pretrain_epochs: int = Field(20, ge=1, le=200, description="Passes over the source that the pre-trained rival gets first",
                                 json_schema_extra={"more": True})
    rate: float = Field(TUNE_RATE, ge=1e-5, le=1e-2, description="Peak learning rate of the descendant", json_schema_extra={"more": True})
    retrain: bool = Field(False, description="Train the learngene afresh with this run's seed first (100 epochs, minutes)",
                          json_schema_extra={"more": True})


class DepthsConfig(Config):
    learngene: ModelRef = Field("embedded/learngene-letters", description="The learngene to grow from")
    flat: ModelRef = Field("embedded/learngene-letters-flat", description="A learngene whose layers are all equal, as a rival",
                           json_schema_extra={"more": True})
    ancestor: ModelRef = Field("embedded/learngene-letters-ancestor", description="The model it all came from")
    task: TaskName = Field("letters", description="What the pictures show")
    pictures: DataRef = pictures_field("The pictures that this learngene was trained on: a ZIP file")
    rivals: bool = Field(True, description="Also measure the stored rivals: equal layers, and networks from scratch (letters only)")


class TrainConfig(Config):
    task: TaskName = Field("letters", description="What the pictures show")
    pictures: DataRef = pictures_field("Learn these instead: a ZIP file with one folder of pictures per class")
    ancestor: ModelRef = Field("embedded/learngene-letters-ancestor", description="The trained model whose answers are passed on")
    depth: int = Field(8, ge=1, le=DEEPEST, description="Layers of the auxiliary model")
    epochs: int = Field(20, ge=0, le=300, description="Passes over the training pictures; the stored learngenes had 100")
    flat: bool = Field(False, description="Keep the slope at zero, so that every layer is the same")
    alpha: float = Field(1.0, ge=0, le=1, description="Share of the ancestor's answers in the loss; the rest is labels",
                         json_schema_extra={"more": True})
    tau: float = Field(1.0, ge=0.1, le=20, description="Softness of the ancestor's answers", json_schema_extra={"more": True})
    rate: float = Field(SCRATCH_RATE, ge=1e-5, le=1e-2, description="Peak learning rate", json_schema_extra={"more": True})
    teach: int = teach_field()
    legacy_loss: bool = Field(False, description="Divide the loss by the number of classes too, as the authors' code does",
                              json_schema_extra={"more": True})


class ExpandConfig(LookConfig):
    learngene: ModelRef = Field("embedded/learngene-letters", description="The learngene to grow from")
    ancestor: ModelRef = Field("embedded/learngene-letters-ancestor", description="The model it is compared with")
    task: TaskName = Field("letters", description="What the pictures show")
    pictures: DataRef = pictures_field("The pictures that this learngene was trained on: a ZIP file")
    depth: int = Field(8, ge=1, le=DEEPEST, description="Layers of the network: drag it. Its width stays: a learngene grows in depth only.")
    tried: tuple[Annotated[int, Field(ge=1, le=DEEPEST)], ...] = Field((), max_length=64, description="Other depths to draw beside it",
                                                                       json_schema_extra={"more": True})


class StorageConfig(Config):
    learngene: ModelRef = Field("embedded/learngene-letters", description="The learngene to grow from")
    depths: tuple[Depth, ...] = Field(TICKED, min_length=1, max_length=DEEPEST, title="Depths that you want", description="Tick them.")
    each: int = Field(20, ge=0, le=100, title="Passes for each inherited network", description="Epochs of fine-tuning.")
    scratch: int = Field(100, ge=1, le=300, title="Passes for each network from scratch", description="Epochs of training.")


class LinearityConfig(Config):
    model: ModelRef = Field("embedded/learngene-letters-ancestor", description="A ViT or DeiT classifier with four layers or more")


SHARE = "right answers / test pictures"
FINETUNE_OUTPUTS = (
    numbers(
        "In numbers",
        number("start inherited", "Inherited: right before learning", unit="share", formula=SHARE,
               meaning="The inherited layers with a new last step. Near luck when the task is new, because nobody told it these classes."),
        number("end inherited", "Inherited: right after learning", unit="share", formula=SHARE,
               meaning="The same network after its passes over the training pictures."),
        number("start scratch", "From scratch: right before learning", unit="share", formula=SHARE,
               meaning="A network of the same size that starts from random numbers. This is luck."),
        number("end scratch", "From scratch: right after learning", unit="share", formula=SHARE,
               meaning="What learning alone gives in that time. The distance to the inherited one is what inheriting is worth.")),
    figure("training", "Who learns faster?",
           note="Both learn side by side, one step each in turn, and are measured on test pictures after every pass. They have equally "
                "many layers and the same pictures in the same order; the passes are yours to choose.", wide=True),
    figure("epochs", "What does it cost in all?",
           note="The learngene's own training, needed once, is in its line. The lines count passes only, not how good the networks "
                "become: with equally few passes for each, learning from scratch is cheaper and much worse."),
    chart("While they learn", series("loss inherited"), series("loss scratch"),
          x="pass over the pictures", y="surprise at the right answer (nats)",
          note="Down means: the right answer becomes less of a surprise."),
    table("compared", "All with their intervals (95 %)", wide=True),
    metric("loss {}", "Surprise at the right answer, mean of a pass", unit="nats"),
    metric("accuracy {}", "Right answers after a pass", unit="share", formula=SHARE),
    metric("start {}", "Right answers before learning", unit="share", formula=SHARE),
    metric("end {}", "Right answers after learning", unit="share", formula=SHARE),
    kept("inherited", "The network that inherited"),
    kept("ancestor", "The ancestor, where it had to learn these classes first", optional=True),
)
DEPTHS_OUTPUTS = (
    figure("by_depth", "Untrained, at every depth, beside its rivals",
           note="Rivals: a learngene whose layers are all equal, and networks that learned from scratch. Bars are 95 % intervals.",
           wide=True),
    figure("by_macs", "Against the work that a picture costs"),
    figure("by_parameters", "Against the numbers inside"),
    table("by_depth", "Depth by depth", wide=True),
    figure("storage", "What has to be stored", look="plain"),
    figure("epochs", "What it costs in all", look="plain"),
    metric("ancestor accuracy", "The ancestor: right answers", unit="share", formula=SHARE),
    metric("zero-shot {}", "Straight from the learngene, by depth: right answers", unit="share", formula=SHARE),
    metric("flat {}", "All layers equal, by depth: right answers", unit="share", formula=SHARE),
    metric("scratch {} after {}", "From scratch, by depth and epochs: right answers", unit="share", formula=SHARE),
)
TRAIN_OUTPUTS = (
    figure("by_depth", "How well do all depths do?", note="Drawn again while it learns. Bars are 95 % intervals.", wide=True),
    figure("training", "While it learns", note="The auxiliary model: all its layers are made from the two sets of numbers."),
    figure("storage", "What has to be stored"),
    figure("linearity", "Do the ancestor's weights follow a line?",
           note="A bar above both marks would mean: more than shuffled layers give.", wide=True),
    table("by_depth", "Depth by depth", wide=True),
    figure("positions", "Weights against their position", look="plain"),
    metric("loss {}", "Surprise at the ancestor's answers, mean of a pass", unit="nats"),
    metric("accuracy {}", "Right answers after a pass", unit="share", formula=SHARE),
    metric("zero-shot {}", "Straight from the learngene, by depth: right answers", unit="share", formula=SHARE),
    metric("one-less {}", "The same with positions divided by one less (methods/09 T12)", unit="share", formula=SHARE),
    metric("ancestor accuracy", "The ancestor: right answers", unit="share", formula=SHARE),
    metric("auxiliary accuracy", "The auxiliary model: right answers", unit="share", formula=SHARE),
    metric("flat accuracy", "The same with the slope set to zero: right answers", unit="share", formula=SHARE),
    metric("parameters", "Numbers in the learngene"),
    metric("ancestor parameters", "Numbers in the ancestor"),
    kept("learngene", "The learngene: two sets of numbers"),
    kept("ancestor", "The ancestor, where it had to learn these classes first", optional=True),
)
FINETUNE = experiment("learngene/finetune", title="Inherited or from scratch?", paper="09", revision=2, families=FAMILIES,
                      config=FinetuneConfig, outputs=FINETUNE_OUTPUTS, run="core.learngene.depth.experiments:finetune")
DEPTHS = experiment("learngene/depths", title="One learngene, every depth", paper="09", revision=2, families=FAMILIES,
                    config=DepthsConfig, outputs=DEPTHS_OUTPUTS, run="core.learngene.depth.survey:depths")
TRAIN = experiment("learngene/train", title="Distil a learngene", paper="09", families=FAMILIES, config=TrainConfig, outputs=TRAIN_OUTPUTS,
                   run="core.learngene.depth.experiments:train")
EXPAND = probe("learngene/expand", title="Grow a network of any depth", paper="09", families=FAMILIES, config=ExpandConfig,
               run="core.learngene.depth.probes:expand")
STORAGE = probe("learngene/storage", title="What many depths cost", paper="09", families=FAMILIES, config=StorageConfig,
                run="core.learngene.depth.probes:storage")
LINEARITY = probe("learngene/linearity", title="Do weights follow their position?", paper="09", families=FAMILIES, config=LinearityConfig,
                  run="core.learngene.depth.probes:linearity")
EXPERIMENTS = (FINETUNE, DEPTHS, TRAIN, EXPAND, STORAGE, LINEARITY, PICTURES)
