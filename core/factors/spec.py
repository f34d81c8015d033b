"""Paper 08, told without torch: the configs of augment, train and backtest, of the probes edit and leak, and what they say.

The paper's body could not be read: strengths, sizes and every default are ours (methods/08).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from core.engine.experiment import Config, DataRef, ModelRef, experiment, probe
from core.engine.outputs import chart, figure, kept, metric, number, numbers, series, table
from core.plots import BLUE, BROWN, GREEN, GREY, ORANGE, PINK, RED

MORE = {"more": True}
Control = Literal["duplicate", "jitter", "shuffled", "target_only", "pooled"]
ARM_WORDS = {
    "none": "nothing added",
    "augmented": "edited windows",
    "duplicate": "plain copies",
    "jitter": "noise of equal size",
    "shuffled": "edits with wrong labels",
    "target_only": "edits by a model of the few",
    "pooled": "real windows of all shares",
}
PREDICTOR_WORDS = {"mlp": "MLP", "gru": "GRU", "lstm": "LSTM", "alstm": "ALSTM", "transformer": "Transformer", "sfm": "SFM", "gats": "GATs",
                   "hist": "HIST"}  # fmt: skip
DATA_WORDS = {"simulated": "made here", "prices": "20 real US shares"}
SAMPLER_WORDS = {"ddim": "DDIM, no new noise", "ddpm": "DDPM, new noise at each step"}
GUIDE_WORDS = {"free": "its label, told", "predictor": "the gradient of a predictor"}
EMBEDDED = "embedded/factors"


class MarketConfig(Config):
    """Whose prices."""

    data: Literal["simulated", "prices"] = Field(
        "simulated", title="Market", json_schema_extra={"labels": DATA_WORDS},
        description="Made here, with a signal that we planted; or real closes, once they were got with: glassbox get sp500")  # fmt: skip
    table: DataRef = Field(
        "",
        title="Your own table",
        json_schema_extra={"files": [".csv", ".parquet"], "sample": "prices.csv", **MORE},
        description="One row for each day and share: date, instrument, close; more columns if you have them",
    )
    kappa: float = Field(
        0.08,
        ge=0,
        le=0.3,
        title="Signal in the market",
        json_schema_extra=MORE,
        description="How much of a made market's next day the planted score explains; 0.04 is hard, 0 is a market without any",
    )
    targets: int = Field(
        60,
        ge=20,
        le=200,
        title="Shares to predict",
        json_schema_extra=MORE,
        description="Of a made market: so many of the 400, the largest",
    )
    train_days: int = Field(100, ge=40, le=300, title="Days to learn from", json_schema_extra=MORE, description="Of a made market")
    denoiser: ModelRef = Field(
        EMBEDDED,
        title="Diffusion model",
        json_schema_extra=MORE,
        description="The lab's own knows the made market with seed 0; for others one is trained",
    )
    denoiser_steps: int = Field(
        1500,
        ge=20,
        le=5000,
        title="Steps to train a diffusion model",
        json_schema_extra=MORE,
        description="Of 256 windows each, where one has to be trained",
    )


class EditingConfig(MarketConfig):
    """How far a window is changed."""

    strength: int = Field(
        700,
        ge=0,
        le=1000,
        title="Strength T'",
        json_schema_extra={"slider": [0, 1000, 25]},
        description="A window is noised to this step of 1000, then denoised again; 0 changes nothing",
    )
    guidance: float = Field(
        2.0,
        ge=0,
        le=6,
        title="Guidance w",
        json_schema_extra={"slider": [0, 6, 0.5], **MORE},
        description="How strongly the label steers the editing; 0: just told",
    )
    sampler: Literal["ddim", "ddpm"] = Field(
        "ddim", title="Sampler", json_schema_extra={"labels": SAMPLER_WORDS, **MORE}, description="How noise is taken away again"
    )


class AugmentConfig(EditingConfig):
    """Who learns, from what, and how often."""

    guide: Literal["free", "predictor"] = Field(
        "free",
        title="Steered by",
        json_schema_extra={"labels": GUIDE_WORDS, **MORE},
        description="Predictor-free: the label is told to the diffusion model. Predictor-guided, our reading: a gradient",
    )
    loss_guided: float = Field(
        0.0,
        ge=-1,
        le=1,
        title="Loss guidance",
        json_schema_extra=MORE,
        description="Our reading, off at 0: above it, windows that are learned easily are edited more, others less",
    )

    predictor: Literal["mlp", "gru", "lstm", "alstm", "transformer", "sfm", "gats", "hist"] = Field(
        "mlp", title="Predictor", json_schema_extra={"labels": PREDICTOR_WORDS}, description="Who learns to say which share will do better"
    )
    controls: list[Control] = Field(
        ["jitter", "shuffled"],
        max_length=5,
        title="Controls",
        json_schema_extra={"labels": ARM_WORDS, **MORE},
        description="What else is added to the training windows, to see whether it is the editing that helps",
    )
    seeds: int = Field(
        5, ge=2, le=10, title="Seeds", json_schema_extra=MORE, description="Predictors of each kind, each with other first weights"
    )
    copies: int = Field(
        1,
        ge=1,
        le=8,
        title="Edits of a window",
        json_schema_extra=MORE,
        description="In half of the cases a training window is swapped for one of them",
    )
    steps: int = Field(
        200, ge=20, le=4000, title="Training steps", json_schema_extra=MORE, description="Of 256 windows, the same for everybody"
    )
    topk: int = Field(
        0, ge=0, le=100, title="Shares held", json_schema_extra=MORE, description="By the strategy; 0: a quarter of all, at most 30"
    )
    n_drop: int = Field(
        0, ge=0, le=100, title="Shares swapped a day", json_schema_extra=MORE, description="At most; 0: a tenth of those held"
    )


class BacktestConfig(AugmentConfig):
    """The same predictors, and what a strategy would have made of their scores."""

    account: float = Field(
        0.0,
        ge=0,
        le=1e12,
        title="Size of the account",
        json_schema_extra=MORE,
        description="In the currency of the prices: then shares are bought in hundreds and an order costs 5 at least. 0: neither",
    )


class TrainConfig(MarketConfig):
    """A diffusion model for a market, and what each strength does with it."""

    windows: int = Field(
        1000,
        ge=100,
        le=3000,
        title="Windows to measure on",
        json_schema_extra=MORE,
        description="Edited at every strength, with and without guidance",
    )


class EditConfig(EditingConfig):
    """One strength, seen closely."""

    factor: int = Field(
        0, ge=0, le=400, title="Factor", json_schema_extra={"slider": [0, 19, 1]}, description="Whose values are drawn, counted from 0"
    )
    windows: int = Field(300, ge=50, le=1000, title="Windows", json_schema_extra=MORE, description="How many are edited at once")
    seed: int = Field(0, ge=0, le=9999, title="Seed", json_schema_extra=MORE, description="Another number, another noise; the market stays")


class LeakConfig(MarketConfig):
    """What is made twice."""

    cut: float = Field(
        0.7,
        ge=0.3,
        le=0.95,
        title="Cut after",
        json_schema_extra={"slider": [0.3, 0.95, 0.05]},
        description="Share of the days that is kept when the series is cut",
    )


IC = "mean over days of the correlation, over shares, of score and return"
REC = "mean over days of the correlation, over shares, of score and planted score"
SIGNAL_OUTPUTS = (
    figure(
        "bars",
        "How much signal does each find? One dot for each seed",
        note="Left: IC, which luck moves a lot. Right: the planted signal that was found, which luck moves little. Bars are means, "
        "thin lines 95 % over seeds.",
        wide=True,
    ),
    chart(
        "The race: IC on validation days",
        series("race none", "nothing added", colour=ORANGE),
        series("race augmented", "edited windows", colour=BLUE),
        series("race jitter", "noise of equal size", colour=BROWN, dash="dash", optional=True),
        series("race shuffled", "edits with wrong labels", colour=RED, dash="dot", optional=True),
        series("race duplicate", "plain copies", colour=GREY, optional=True),
        series("race target_only", "edits by a model of the few", colour=PINK, optional=True),
        series("race pooled", "real windows of all shares", colour=GREEN, optional=True),
        x="training step",
        y="IC, mean over seeds",
    ),
    numbers(
        "In numbers",
        number("ic none", "IC, nothing added", formula=IC, meaning="0.03 is good in a real market."),
        number("ic augmented", "IC, edited windows", formula=IC, meaning="Of real test days: edits are only ever learned from."),
        number("ic change", "IC changed by", formula="paired over seeds", meaning="Its interval is in the sentence above."),
        number(
            "rec none",
            "Signal found, nothing added",
            formula=REC,
            meaning="Only in a made market, where we know the signal.",
            optional=True,
        ),
        number("rec augmented", "Signal found, edited windows", formula=REC, meaning="1 would be all of it.", optional=True),
    ),
    figure(
        "pca",
        "Where the edited windows lie",
        note="Each dot is a window of eight days, seen from the two directions in which real windows differ most.",
    ),
    table("signal", "Every kind, every measure, with 95 % intervals of the difference", wide=True),
)
METRICS = (
    metric("rms", "RMS of the edits"), metric("r2", "R2 between edited and original"), metric("turnover", "Traded a day", optional=True),
    metric("ic {}", "IC", optional=True), metric("rec {}", "Signal found", optional=True), metric("rank ic {}", "RankIC", optional=True),
    metric("weighted ic {}", "Weighted IC", optional=True), metric("ar {}", "Annualised excess return, before costs", optional=True),
    metric("net {}", "The same after costs of 5 and 15 basis points", optional=True),
)  # fmt: skip
AUGMENT_OUTPUTS = (
    *SIGNAL_OUTPUTS,
    figure(
        "equity",
        "What a strategy would have made of it",
        wide=True,
        note="TopkDropout: running sum of daily returns, mean over seeds. Full: before costs. Dashed: after 5 and 15 basis points. Grey "
        "band: 20 rankings by chance. Not advice.",
    ),
    *METRICS,
)
BACKTEST_OUTPUTS = (
    figure(
        "equity",
        "Before and after costs, beside holding everything and rankings by chance",
        wide=True,
        note="Running sum of daily returns, mean over seeds. Full: before costs. Dashed: after the dearer of two costs. Not advice.",
    ),
    table(
        "strategy",
        "The strategy in numbers: excess over holding all shares alike",
        wide=True,
        note="AR = 238 times the daily mean; IR = sqrt(238) mean / std; MDD of the running sum: qlib's formulas, 238 days a year.",
    ),
    figure("excess", "Excess return before and after costs", note="One dot for each seed."),
    numbers(
        "In numbers",
        number("ar none", "AR, nothing added"),
        number("ar augmented", "AR, edited windows"),
        number("net none", "After costs, nothing added"),
        number("net augmented", "After costs, edited windows"),
    ),
    *METRICS,
)
TRAIN_OUTPUTS = (
    chart("While it learns", series("training loss", "error", optional=True), x="training step", y="mean squared error of the noise"),
    figure("curve", "How much of a window is left", note="Dashed: theory, for independent numbers and a perfect denoiser.", wide=True),
    figure("realism", "Do they look real?", note="Frechet distance to real windows; lower is more alike. Rival: noise of the same size."),
    figure("label", "Can the label still be read?", note="By a straight-line probe that was fitted on real windows."),
    table("grid", "Every strength, every measure", wide=True),
    numbers("In numbers", number("denoiser loss", "Error at the end", meaning="1: knows nothing."),
            number("fid 300", "Frechet distance at 300"), number("noise fid 300", "The same of noise")),
    kept("denoiser", "The diffusion model"),
    metric("rms {}", "RMS distance"), metric("r2 {}", "R2"), metric("fid {}", "Frechet distance"),
    metric("noise fid {}", "Frechet distance of noise"), metric("label {}", "Label that can be read"),
)  # fmt: skip

AUGMENT = experiment(
    "factors/augment",
    title="Can made-up markets teach?",
    paper="08",
    families=(),
    config=AugmentConfig,
    outputs=AUGMENT_OUTPUTS,
    run="core.factors.experiments:augment",
)
TRAIN = experiment(
    "factors/train",
    title="Train a diffusion model of a market",
    paper="08",
    families=(),
    config=TrainConfig,
    outputs=TRAIN_OUTPUTS,
    run="core.factors.training:train",
)
BACKTEST = experiment(
    "factors/backtest",
    title="Would it have paid?",
    paper="08",
    families=(),
    config=BacktestConfig,
    outputs=BACKTEST_OUTPUTS,
    run="core.factors.experiments:backtest",
)
EDIT = probe(
    "factors/edit", title="Edit windows at one strength", paper="08", families=(), config=EditConfig, run="core.factors.probes:edit_windows"
)
LEAK = probe(
    "factors/leak", title="Does anything know the future?", paper="08", families=(), config=LeakConfig, run="core.factors.probes:leak"
)
EXPERIMENTS = (AUGMENT, TRAIN, BACKTEST, EDIT, LEAK)
