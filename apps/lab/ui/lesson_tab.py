"""The lesson on its page. Each step goes: guess, locked, run, revealed; what happens is not told before it has happened.

    with gr.Tab("Lesson", id="lesson"):
        lesson(view)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
from markupsafe import escape

from apps.lab.ui.lesson import Step, paragraphs, read_lesson, tally_html
from apps.lab.ui.view import QUIET, View, start
from apps.lab.visitors import visitor_of

NOT_YET = {"step": None, "run": ""}  # which step waits for which run


@dataclass(frozen=True)
class Parts:
    """What of a step changes while it goes on; None where a step has none."""

    step: Step
    guess: gr.Radio | None
    counted: gr.HTML
    explanation: gr.HTML
    chosen: gr.State


def lesson(view: View) -> None:
    """All steps, each shown when it is its turn."""
    found = read_lesson(view.page.route)
    gr.HTML(f'<div class="gb-lesson-head"><h2>{escape(found.title)}</h2><p>{escape(found.aim)} About {found.minutes} minutes. '
            f'<a href="lab/worksheets/{view.page.route}" target="_blank">Printable worksheet</a></p></div>', apply_default_css=False)
    waiting = gr.State(NOT_YET)
    with gr.Walkthrough(selected=0, elem_classes="gb-lesson") as walk:
        parts = []
        for index, step in enumerate(found.steps):
            with gr.Step(step.heading, id=index):
                parts.append(_step(view, walk, index, len(found.steps), step, waiting))
    _reveal_after_runs(view, parts, waiting)


def _step(view: View, walk: gr.Walkthrough, index: int, count: int, step: Step, waiting: gr.State) -> Parts:
    gr.HTML(f'<div class="gb-lesson-step">{paragraphs(step.say)}</div>', apply_default_css=False)
    guess = step.predict and gr.Radio([(choice, i) for i, choice in enumerate(step.predict.choices)], label=step.predict.ask, value=None)
    counted, chosen = gr.HTML(apply_default_css=False), gr.State(None)
    explanation = gr.HTML(f'<div class="gb-lesson-explain">{paragraphs(step.explain)}</div>', apply_default_css=False,
                          visible=bool(step.explain) and step.predict is None and step.settings is None)
    parts = Parts(step, guess, counted, explanation, chosen)
    with gr.Row():
        if index:
            gr.Button("Back", size="sm").click(lambda: gr.Walkthrough(selected=index - 1), outputs=walk, **QUIET)
        run = None
        if step.settings is not None:
            run = _set_up(view, index, step, waiting)
        elif step.predict is not None:
            run = gr.Button("Show the answer", variant="primary", size="sm", interactive=False)
            run.click(_revealer(view, index, step), inputs=chosen, outputs=[counted, explanation], **QUIET)
        if index < count - 1:
            gr.Button("Next step", size="sm").click(lambda: gr.Walkthrough(selected=index + 1), outputs=walk, **QUIET)
    if guess is not None:
        guess.input(_locker(view, index, step), inputs=guess, outputs=[guess, counted, chosen, run], **QUIET)
    return parts


def _locker(view: View, index: int, step: Step) -> Any:
    def lock(request: gr.Request, choice: int | None) -> list[Any]:
        if choice is None:
            return [gr.skip()] * 4
        counts = view.site.tally.vote(view.page.route, index, visitor_of(request), choice)
        return [gr.Radio(interactive=False), tally_html(step.predict, counts, choice), choice, gr.Button(interactive=True)]

    return lock


def _revealer(view: View, index: int, step: Step) -> Any:
    def reveal(choice: int | None) -> list[Any]:
        counts = view.site.tally.counts(view.page.route, index)
        said = tally_html(step.predict, counts, choice, revealed=True) if step.predict else ""
        return [said, gr.HTML(visible=bool(step.explain))]

    return reveal


def _set_up(view: View, index: int, step: Step, waiting: gr.State) -> gr.Button:
    config = view.experiment.validate(step.settings)  # a lesson that no longer fits fails when the site is built

    def apply(request: gr.Request) -> list[Any]:
        shown = start(view, config.model_dump(), 0, request, lesson=True)
        return [*view.controls.values(config), shown, {"step": index, "run": shown["run"]}]

    label = "Set it up and run" if step.predict is None else "Run it and see"
    button = gr.Button(label, variant="primary", size="sm", interactive=step.predict is None)
    button.click(apply, outputs=[*view.controls.inputs, view.live, waiting], **QUIET)
    return button


def _reveal_after_runs(view: View, parts: list[Parts], waiting: gr.State) -> None:
    """The explanation of a step comes when the run that it started has ended, live or replayed."""
    outputs = [part for one in parts for part in (one.counted, one.explanation)]

    def ended(event: gr.EventData, awaited: dict[str, Any], *choices: int | None) -> list[Any]:
        answer: list[Any] = [gr.skip()] * len(outputs)
        step = awaited["step"]
        if step is None or event._data.get("run") != awaited["run"] or event._data.get("outcome") != "finished":
            return answer
        answer[2 * step:2 * step + 2] = _revealer(view, step, parts[step].step)(choices[step])
        return answer

    view.live.finish(ended, inputs=[waiting, *(one.chosen for one in parts)], outputs=outputs, **QUIET)
