"""The Gradio site: the home page, one route per built page, and one for programs."""

from __future__ import annotations

import importlib

import gradio as gr

from apps.lab.pages import PAGES, home, programs
from apps.lab.ui.frame import Site
from apps.lab.ui.lesson import Tally
from apps.lab.visitors import Here


def build_site(engine: Here) -> gr.Blocks:
    """All pages around one engine."""
    with gr.Blocks(title="Glassbox Lab", analytics_enabled=False, fill_width=True) as blocks:
        site = Site(engine, blocks, Tally())
        home.build(site)
    for page in PAGES:
        if page.built:
            with blocks.route(page.name, f"/{page.route}", show_in_navbar=False):
                importlib.import_module(page.module).build(site, page)
    with blocks.route("For programs", f"/{programs.ROUTE}", show_in_navbar=False):
        programs.build(site)
    return blocks
