"""Controls say what the config class says, and give back what it accepts."""

from __future__ import annotations

import gradio as gr
import pytest

from apps.lab.ui.controls import Controls
from core.engine.errors import LabError
from core.engine.registry import find


@pytest.fixture
def controls():
    with gr.Blocks():
        yield Controls(find("test/count"))


def test_every_field_has_a_control_with_its_description_and_bounds(controls):
    config = find("test/count").config
    assert list(controls.components) == list(config.model_fields)
    for name, component in controls.components.items():
        assert component.info == config.model_fields[name].description
    steps = controls.components["steps"]
    assert (steps.minimum, steps.maximum, steps.value) == (1, 1000, 3)
    assert isinstance(controls.components["mode"], gr.Radio)
    assert isinstance(controls.components["fail"], gr.Checkbox)
    assert controls.components["word"].max_length == 20


def test_what_the_controls_show_is_what_the_config_reads(controls):
    experiment = find("test/count")
    config = experiment.config(steps=12, word="tock", rate=0.5, mode="loud", fail=True)
    given, seed = controls.given(controls.values(config, seed=3))
    assert experiment.validate(given) == config
    assert seed == 3


def test_floats_of_the_browser_become_whole_numbers_and_empty_becomes_none(controls):
    values = controls.defaults()
    names = list(controls.components)
    values[names.index("steps")], values[names.index("rate")] = 8.0, ""
    given, _ = controls.given(values)
    assert given["steps"] == 8 and isinstance(given["steps"], int)
    assert given["rate"] is None


def test_a_number_beyond_the_slider_reaches_the_config_which_says_what_is_allowed(controls):
    values = controls.defaults()
    values[list(controls.components).index("steps")] = controls.components["steps"].preprocess(5000)
    with pytest.raises(LabError, match="1000"):
        find("test/count").validate(controls.given(values)[0])


def test_the_controls_of_the_audit_cover_its_config():
    experiment = find("unlearning/audit")
    with gr.Blocks():
        controls = Controls(experiment, models={"model": ["embedded/authors"]})
    assert set(controls.components) == set(experiment.config.model_fields)
    given, seed = controls.given(controls.defaults())
    assert experiment.validate(given) == experiment.config() and seed == 0
    assert controls.components["model"].allow_custom_value
