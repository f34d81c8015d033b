"""Controls say what the config class says, and give back what it accepts."""

from __future__ import annotations

import gradio as gr
import pytest
from gradio.context import LocalContext
from gradio.utils import get_upload_folder

from apps.lab.handed import Handed
from apps.lab.ui.controls import Controls
from apps.lab.ui.own_file import REFUSED, OwnFile
from apps.lab.visitors import HEADER, Here
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
    given, seed = controls.split(controls.values(config, seed=3))
    assert experiment.validate(given) == config
    assert seed == 3


def test_floats_of_the_browser_become_whole_numbers_and_empty_becomes_none(controls):
    values = controls.defaults()
    names = list(controls.components)
    values[names.index("steps")], values[names.index("rate")] = 8.0, ""
    given, _ = controls.split(values)
    assert given["steps"] == 8 and isinstance(given["steps"], int)
    assert given["rate"] is None


def test_a_number_beyond_the_slider_reaches_the_config_which_says_what_is_allowed(controls):
    values = controls.defaults()
    values[list(controls.components).index("steps")] = controls.components["steps"].preprocess(5000)
    with pytest.raises(LabError, match="1000"):
        find("test/count").validate(controls.split(values)[0])


def test_the_controls_of_the_audit_cover_its_config(engine):
    experiment = find("unlearning/audit")
    with gr.Blocks():
        controls = Controls(experiment, models={"model": ["embedded/worlds"]}, engine=engine)
    assert set(controls.components) == set(experiment.config.model_fields)
    given, seed = controls.split(controls.defaults())
    assert experiment.validate(given) == experiment.config() and seed == 0
    assert controls.components["model"].allow_custom_value


def test_an_empty_number_stays_empty_on_its_way_to_the_browser_and_back(engine):
    with gr.Blocks():
        controls = Controls(find("unlearning/audit"), engine=engine)
    field = controls.components["learning_rate"]
    assert field.get_config()["value"] == field.postprocess(None) == ""  # Gradio's own number field shows a 0 for None
    assert field.preprocess("") is field.preprocess(None) is None
    assert field.preprocess(0) == 0 and field.postprocess(0.5) == 0.5
    values = controls.defaults()
    values[list(controls.components).index("learning_rate")] = field.preprocess(0)
    assert controls.split(values)[0]["learning_rate"] == 0  # and a typed zero is refused in words


class Asking:
    """What a handler sees of the browser: the token that the guard wrote into its request."""

    def __init__(self, visitor: str) -> None:
        self.headers = {HEADER: visitor * 32}


@pytest.fixture
def handed(engine):
    return Handed(engine.settings.home)


@pytest.fixture
def own_file(engine, handed):
    """The field as visitor "a" uses it."""
    before = LocalContext.request.set(Asking("a"))
    with gr.Blocks():
        yield OwnFile(Here(engine, handed), find("test/file"), "mine", prefix="field")
    LocalContext.request.reset(before)


def sent(handed, content: bytes):
    """A file that visitor "a" has just handed over."""
    path = handed.root / "upload" / "words.txt"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    handed.add("a" * 32, [str(path)])
    return path


def test_a_brought_file_is_read_at_once_and_its_reference_chosen(own_file, engine, handed):
    path = sent(handed, b"twelve chars")
    choice, said, remove = own_file._bring(str(path))
    ref = choice.value
    assert engine.uploads.path(ref).read_text() == "twelve chars" and ("words.txt", ref) in choice.choices
    assert "12 characters." in said and remove.visible and not path.exists()
    run = engine.start("test/file", {"mine": ref})
    engine.wait(run.id)
    assert engine.result(run.id)["metrics"] == {"length": 12}
    assert own_file._forget(ref)[0].value == ""
    with pytest.raises(LabError, match="no longer here"):
        engine.start("test/file", {"mine": ref})


def test_a_file_that_cannot_be_read_says_why_and_nothing_can_be_run_with_it(own_file, handed):
    choice, said, _ = own_file._bring(str(sent(handed, b"\0\0")))
    assert "That is no text." in said and choice.value == REFUSED


def test_gradio_puts_a_file_where_the_lab_that_is_asked_looks_for_it(handed, tmp_path):
    Handed(tmp_path / "of another lab in this process").ready()
    handed.ready()
    assert get_upload_folder() == str(handed.root)


def test_without_an_engine_there_is_no_field_for_files(engine):
    with gr.Blocks():
        assert list(Controls(find("test/file")).components) == []
        with_files = Controls(find("test/file"), engine=engine)
    assert list(with_files.components) == ["mine"]
    assert with_files.split(with_files.defaults()[:0] + ["", 0]) == ({"mine": ""}, 0)
