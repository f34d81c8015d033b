"""Can made-up markets teach? Real windows of factors are edited by a diffusion model, and predictors learn with and without them."""

from __future__ import annotations

import gradio as gr

from apps.lab.pages import Page
from apps.lab.ui import frame
from apps.lab.ui.desk import Desk
from core.engine.outputs import figure, number, numbers, table

INTRO = (
    "Markets give few examples, and noisy ones. A diffusion model makes more: it drowns a real example in noise up to a step that you "
    "choose, and cleans it again. In a market made here we know the signal, so we can see whether a predictor that learns from edited "
    "examples finds more of it than one that learns from noise or from wrong labels. Nothing here is advice."
)
MODELS = {"denoiser": ["embedded/factors"]}
EDIT_SHOWS = (
    figure("histogram", "How the values of one factor are spread", note="Dotted: noise of the same size, which no model made."),
    figure("pca", "Where the windows lie", note="Seen from the two directions in which real windows differ most."),
    figure(
        "curve",
        "How much of a window is left",
        wide=True,
        note="Lines: 1,000 windows at stored strengths. Star: the windows above. Dashed: theory for independent numbers.",
    ),
    numbers(
        "In numbers",
        number("rms", "How far they moved", formula="root mean squared change of scaled values"),
        number(
            "r2",
            "R2 with the original",
            formula="1 - mean squared change / variance",
            meaning="1: unchanged; below 0: farther than a mean.",
        ),
        number("fid", "Frechet distance", meaning="To the real windows; 0: cannot be told from them by mean and covariance."),
        number("noise fid", "The same of noise"),
        number(
            "label",
            "Label that can be read",
            formula="correlation of a straight-line probe with the label",
            meaning="What the edit still says about the return that it belongs to.",
        ),
        number("spread", "Spread", meaning="DDIM makes values a little too tame."),
        number("residual", "Links that broke", formula="mean absolute change of the correlations between factors"),
        number("collision", "Collisions", formula="edits nearer to another real window than its parent's own neighbour / edits"),
        number("coverage", "Coverage", formula="real windows that some edit is nearer to than their own neighbour / real windows"),
    ),
)
LEAK_SHOWS = (
    figure(
        "leaks",
        "What changes when the future is taken away?",
        wide=True,
        note="Green: nothing. The red bar was put there on purpose, with a mean over days to come: the check has to find it.",
    ),
    numbers("In numbers", number("checks", "Made twice"), number("wrong", "Know the future")),
    table("checks", "Everything that was made twice", wide=True),
)
DRAG = (
    "Drag the strength. These are windows of the market made here that the embedded diffusion model has learned; the star moves along "
    "the curve as they drift away from what they were."
)
LEAKS = (
    "The easiest way to look clever is to know tomorrow. Here every factor, the scaler, a diffusion model and its edits are made twice: "
    "from all days, and from a series that ends at a day you choose or goes on differently. Up to that day nothing may differ, not in "
    "the last digit. Your own table can be checked too."
)
PAID = (
    "A list of good scores is not money. This holds the best shares and swaps a few a day, and pays two kinds of costs. All shares held "
    "alike and rankings by chance stand beside it."
)
MAKE = (
    "Trains a diffusion model where the lab has none: for another market (another seed), for real prices or your own table. What it "
    "keeps can be chosen under More as the diffusion model."
)


def build(site: frame.Site, page: Page) -> None:
    """The comparison on top; in tabs the strength, the strategy, the leak auditor, training, lesson and evidence."""
    with frame.page(site, page, intro=INTRO, models=MODELS) as view:
        with gr.Tab("Drag the strength", id="strength"):
            gr.HTML(f'<p class="gb-quiet">{DRAG}</p>', apply_default_css=False)
            Desk(
                view,
                "factors/edit",
                fields=("strength", "guidance", "factor"),
                more=("sampler", "windows", "seed"),
                shows=EDIT_SHOWS,
                prefix="edit",
                models=MODELS,
            )
        with gr.Tab("Would it have paid?", id="paid"):
            gr.HTML(f'<p class="gb-quiet">{PAID}</p>', apply_default_css=False)
            frame.another(view, "factors/backtest", press="Try the strategy", models=MODELS)
        with gr.Tab("Does anything know the future?", id="leak"):
            gr.HTML(f'<p class="gb-quiet">{LEAKS}</p>', apply_default_css=False)
            Desk(
                view,
                "factors/leak",
                fields=("cut", "data"),
                more=("table",),
                press="Check it",
                shows=LEAK_SHOWS,
                prefix="leak",
                models=MODELS,
                unasked=False,
                invite="Press the button: everything is made twice and compared.",
            )
        with gr.Tab("Train a diffusion model", id="train"):
            gr.HTML(f'<p class="gb-quiet">{MAKE}</p>', apply_default_css=False)
            frame.another(view, "factors/train", press="Train it", models=MODELS)
        frame.usual_tabs(view)
