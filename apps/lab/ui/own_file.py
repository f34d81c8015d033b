"""The control of a field that takes a visitor's own file: which one is used, bring one, remove it.

    chooser = OwnFile(engine, experiment, "questions", prefix="field")
    chooser.choice                    # the component whose value is the field's: "" or "upload/ID"

A brought file is read at once, by the probe that the field names as its reader, so that what is wrong with it is said
before anybody presses Run.
"""

from __future__ import annotations

import contextlib
from typing import Any

import gradio as gr
from markupsafe import escape

from apps.lab.ui.words import notice
from apps.lab.visitors import Here
from core.engine.errors import LabError
from core.engine.experiment import Experiment

QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "minimal", "queue": False}
REFUSED = "refused"  # the value of the control after a file that could not be used
BUILT_IN = "What comes with the lab"
PRIVACY = "It stays on this computer and is removed after a day. What your runs show of it goes when you delete them."


class OwnFile:
    """Dropdown, two buttons and a line that says what was found in the file."""

    def __init__(self, engine: Here, experiment: Experiment, field: str, *, prefix: str) -> None:
        info = experiment.config.model_fields[field]
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        self._engine, self._field, self._reader = engine, field, extra.get("reader")
        self._none = extra.get("labels", {}).get("", BUILT_IN)
        label = info.title or field.replace("_", " ").capitalize()
        self.choice = gr.Dropdown([(self._none, "")], value="", label=label, info=info.description, allow_custom_value=True,
                                  elem_id=f"{prefix}-{field}")
        with gr.Row():
            bring = gr.UploadButton("Bring a file", size="sm", file_types=extra.get("files"), type="filepath",
                                     elem_id=f"{prefix}-{field}-bring")
            self._remove = gr.Button("Remove my file", size="sm", visible=False)
        self._said = gr.HTML(self._invitation(extra), apply_default_css=False)
        outputs = [self.choice, self._said, self._remove]
        bring.upload(self._bring, inputs=bring, outputs=outputs, **QUIET)
        self._remove.click(self._forget, inputs=self.choice, outputs=outputs, **QUIET)

    @staticmethod
    def _invitation(extra: dict[str, Any]) -> str:
        kinds = " or ".join(extra.get("files", ()))
        sample = extra.get("sample")
        link = f' Not sure how it should look? <a href="lab/samples/{escape(sample)}" download>Download a sample</a>.' if sample else ""
        return f'<p class="gb-quiet">Your own: {escape(kinds)}, at most 20 MB.{link}</p>'

    def shown(self, ref: str) -> Any:
        """The dropdown with `ref` chosen, under the name that its visitor knows."""
        choices = [(self._none, "")]
        if ref:
            try:
                choices.append((self._engine.brought(ref)["name"], ref))
            except LabError:
                choices.append((ref, ref))  # the run will say that it is gone
        return gr.Dropdown(choices=choices, value=ref)

    def _bring(self, path: str | None) -> list[Any]:
        try:
            with self._engine.taken(path) as given:
                ref = self._engine.bring(given, given.name)
            found = self._engine.probe(self._reader, {self._field: ref}) if self._reader else {"says": f"{given.name} is here."}
        except LabError as error:
            hint = f"{error.hint} Until then nothing can be run: bring a better file, or remove this one.".strip()
            choice = gr.Dropdown([(self._none, ""), ("Your file, which could not be used", REFUSED)], value=REFUSED)
            return [choice, notice(error.message, hint), gr.Button(visible=True)]
        return [self.shown(ref), notice(found["says"], PRIVACY, kind="good") + _seen(found), gr.Button(visible=True)]

    def _forget(self, ref: str) -> list[Any]:
        with contextlib.suppress(LabError):
            if ref != REFUSED:
                self._engine.take_away(ref)
        return [self.shown(""), notice("Your file is gone from this computer.", kind="info"), gr.Button(visible=False)]


def _seen(found: dict[str, Any]) -> str:
    """The pictures that the reader of the file gives, which show what a model gets of it."""
    style = "max-width:100%;image-rendering:pixelated"
    return "".join(f'<p><img src="{escape(address)}" alt="What the network gets of them" style="{style}"></p>'
                   for address in found.get("images", {}).values())
