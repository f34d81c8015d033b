"""The frame that every page shares, so that a visitor learns it once.

    with frame.page(site, PAGE, models={...}, intro="...") as view:
        with gr.Tab("Ask the model"):
            ...                          # what only this page has
        frame.usual_tabs(view)           # lesson, evidence

Question and two sentences on top; controls on the left; the live view with verdict, figures and replay on the right.
A page never runs an experiment: Run starts one on the engine, and the live view watches it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import gradio as gr
from markupsafe import escape

from apps.lab import links
from apps.lab.pages import Page, real
from apps.lab.ui.controls import Controls
from apps.lab.ui.evidence import evidence_html
from apps.lab.ui.lesson_tab import lesson
from apps.lab.ui.live_view import LiveView, refused, shown
from apps.lab.ui.own_file import REFUSED
from apps.lab.ui.view import QUIET, Site, View, start
from apps.lab.ui.words import notice
from core.engine.errors import LabError
from core.engine.registry import find

# On a narrow screen the controls are a drawer behind a Run that stays.
FORM_HANDLE = '<button type="button" class="gb-form-handle" aria-expanded="false">Settings</button>'
FORM_OPENS = """
const handle = element.querySelector("button"), form = element.closest(".gb-form");
const turn = (open) => {
  form.classList.toggle("gb-form--open", open);
  handle.setAttribute("aria-expanded", String(open));
};
handle.addEventListener("click", () => turn(!form.classList.contains("gb-form--open")));
document.addEventListener("gb-started", () => turn(false));
"""


def header(current: Page | None = None) -> None:
    """The bar on top of every page, and before it two short ways for who uses the keyboard."""
    gr.Navbar(visible=False)  # ours names the page and stays out of a presentation
    where = f'<span class="gb-where" aria-current="page">{escape(current.name)}</span>' if current else ""
    skips = '<a class="gb-skip" href="#run">Skip to Run</a><a class="gb-skip" href="#result">Skip to the result</a>' if current else ""
    gr.HTML(f'{skips}<nav class="gb-bar gb-side" aria-label="Site"><a class="gb-brand" href="./">Glassbox Lab</a>{where}'
            '<a class="gb-bar-link" href="./">All experiments</a></nav>', apply_default_css=False)


@contextlib.contextmanager
def page(site: Site, described: Page, *, intro: str, models: Mapping[str, Sequence[str]] | None = None,
         top: Callable[[Site], None] | None = None, pace: float = 0, own: Sequence[str] = (),
         widgets: Mapping[str, Callable[[], Any]] | None = None, beside: Sequence[dict[str, Any]] = ()) -> Iterator[View]:
    """Builds the shared parts around what the body adds as tabs. `intro`: two sentences on what one is looking at.

    `top` builds what stands above the run, beside Run: a page whose probe is its main thing. `pace`, `beside`: see LiveView. `own`,
    `widgets`: see Controls.
    """
    experiment = find(described.experiments[0])
    header(described)
    gr.HTML(f'<header class="gb-head"><h1 class="gb-question">{escape(described.question)}</h1><details class="gb-about gb-side">'
            f'<summary>What is this?</summary><p class="gb-intro">{escape(intro)}</p></details>{real.beside(described)}</header>',
            apply_default_css=False)
    with gr.Row(elem_classes="gb-columns"):
        with gr.Column(scale=1, min_width=270, elem_classes="gb-side gb-controls gb-form"):
            run = gr.Button("Run", variant="primary", elem_id="run")
            gr.HTML(FORM_HANDLE, js_on_load=FORM_OPENS, apply_default_css=False, elem_classes="gb-form-opener")
            controls = Controls(experiment, models=models, engine=site.engine, own=own, widgets=widgets)
            with gr.Row():
                reset = gr.Button("Back to defaults", size="sm")
                again = gr.Button("Compute again", size="sm", elem_id="run-again")
        with gr.Column(scale=3, min_width=320, elem_classes="gb-stage"):
            if top:
                top(site)
            live = LiveView(page=described.route, experiment=experiment.name, title=described.question, outputs=experiment.outputs,
                            value=first_view(site, described), pace=pace, first=experiment.name,
                            beside=[{"beside": True, **panel} for panel in beside])
    with gr.Tabs(elem_classes="gb-tabs gb-side") as tabs:
        view = View(site, described, experiment, controls, live, tabs)
        _connect(view, run, again, reset)
        yield view


def another(view: View, name: str, *, press: str, models: Mapping[str, Sequence[str]] | None = None) -> View:
    """Another experiment of the page, for a tab: its own controls, live view and first view. `press`: what its button says."""
    experiment, short = find(name), name.rpartition("/")[2]
    with gr.Row(elem_classes="gb-columns"):
        with gr.Column(scale=1, min_width=270, elem_classes="gb-controls"):
            controls = Controls(experiment, models=models, prefix=short, engine=view.site.engine)
            run = gr.Button(press, variant="primary", elem_id=f"{short}-run")
            with gr.Row():
                reset = gr.Button("Back to these defaults", size="sm")
                again = gr.Button("Compute this again", size="sm")
        with gr.Column(scale=3, min_width=320, elem_classes="gb-stage"):
            live = LiveView(page=view.page.route, experiment=name, title=experiment.title, outputs=experiment.outputs,
                            value=first_view(view.site, view.page, name), first=view.page.experiments[0])
    made = View(view.site, view.page, experiment, controls, live, view.tabs)
    _connect(made, run, again, reset)
    return made


def _connect(view: View, run: gr.Button, again: gr.Button, reset: gr.Button) -> None:
    controls, live = view.controls, view.live
    run.click(_starter(view), inputs=controls.inputs, outputs=live, **QUIET)
    again.click(_starter(view, fresh=True), inputs=controls.inputs, outputs=live, **QUIET)
    live.again(_repeater(view), outputs=live, **QUIET)
    reset.click(controls.defaults, outputs=controls.inputs, **QUIET)
    for file in controls.files:  # with a refused one there is nothing that Run could mean
        file.choice.change(lambda chosen: [gr.Button(interactive=chosen != REFUSED)] * 2, inputs=file.choice, outputs=[run, again], **QUIET)
    view.site.blocks.load(_opener(view), outputs=[*controls.inputs, live], **QUIET)


def first_view(site: Site, described: Page, experiment: str = "") -> dict[str, Any] | None:
    """The recorded run that fills a page, or its part with another experiment, when it opens; None where there is none yet."""
    run = f"first-{described.first_view(experiment or described.experiments[0])}"
    try:
        site.engine.read(run)
    except LabError:
        return None
    return shown(run, recorded=True)


def usual_tabs(view: View) -> None:
    """The tabs that every page has."""
    with gr.Tab("Lesson", id="lesson"):
        lesson(view)
    with gr.Tab("Evidence", id="evidence"):
        gr.HTML(evidence_html(view.page.paper), apply_default_css=False)


def _starter(view: View, *, fresh: bool = False) -> Callable[..., dict[str, Any]]:
    # Gradio finds the request by its annotation.
    def run(request: gr.Request, *values: Any) -> dict[str, Any]:
        config, seed = view.controls.split(values)
        return start(view, config, seed, request, fresh=fresh)

    return run


def _repeater(view: View) -> Callable[..., dict[str, Any]]:
    """Computes the run anew that is shown, whatever the controls say by now."""
    def repeat(request: gr.Request, event: gr.EventData) -> dict[str, Any]:
        try:
            record = view.site.engine.read(str(event._data.get("run", "")))
        except LabError as error:
            return refused(error)
        return start(view, record["config"], record["seed"], request, fresh=True)

    return repeat


def _opener(view: View):
    """When a page opens: the run and settings of its link, or the first view."""

    def open_link(request: gr.Request) -> list[Any]:
        opened = links.read(view.experiment, dict(request.query_params))
        config, seed, error, run = opened.config, opened.seed, opened.error, opened.run
        if run:
            try:
                record = view.site.engine.read(run)
                if config is None and error is None and record["name"] == view.experiment.name:
                    config, seed = view.experiment.validate(record["config"]), record["seed"]
            except LabError as problem:
                run, error = "", error or problem
        settings = view.controls.values(config, seed) if config else [gr.skip() for _ in view.controls.inputs]
        # the page came with its first view; but Gradio forgets what a view in a tab that is still closed was made of if told to skip it
        if view.experiment.name == view.page.experiments[0] and not links.ours(dict(request.query_params)):
            return [*settings, gr.skip()]
        first = first_view(view.site, view.page, view.experiment.name)
        if error:
            return [*settings, refused(error, run or (first["run"] if first else ""))]
        return [*settings, shown(run, recorded=True) if run else first]

    return open_link


def say(error: LabError) -> str:
    """An error as the box that pages show."""
    return notice(error.message, error.hint)
