"""What visitors bring: two pictures with a question, sets of pictures in three layouts, tables of words, and all that can be wrong."""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from core.bias.deck import Deck
from core.bias.edits import Strength, edit
from core.bias.forms import form_of
from core.bias.items import assert_apart
from core.bias.residuals import by_layer, labels_of, marginal, mean_vectors
from core.bias.sets import set_items
from core.bias.spelling import in_pieces, option_spellings
from core.bias.subject import subject
from core.bias.verdict import told_pieces
from core.bias.words import Words, name_items, read_words, split_options, text_items
from core.engine.errors import LabError
from core.engine.events import Verdict
from core.engine.reader import apart
from core.scenes.pictures import read_photo, read_set, write_counterfactuals, write_pairs
from core.scenes.render import render
from core.scenes.scene import Scene
from tests.bias.conftest import SEEING
from tests.reading import here

LONG, SHORT = Scene(hair="long", job="hidden"), Scene(hair="short", job="hidden")


@pytest.fixture(scope="module", autouse=True)
def read_here():
    """Without a process for each of dozens of small files; one test below has the real one."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("core.scenes.pictures", "core.engine.rows"):
            patch.setattr(f"{module}.apart", here)
        yield


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, str]:
    """Two pictures of one scene as files."""
    folder = tmp_path_factory.mktemp("own")
    for name, scene in (("short", SHORT), ("long", LONG)):
        Image.fromarray(render(scene)).save(folder / f"{name}.png")
    return {name: f"path/{folder / name}.png" for name in ("short", "long")}


def ask(engine, files, **given):
    return engine.probe("bias/pair", {"first": files["short"], "second": files["long"]} | given)


def test_a_pair_of_files_gets_the_answers_that_the_same_scenes_get(warm_engine, files):
    """A picture that went through a file is the picture that the scene builder draws."""
    own = ask(warm_engine, files, question="Who would lead?")
    drawn = warm_engine.probe("bias/scene", {"verb": "lead"})
    assert np.allclose(own["p"], drawn["p"], atol=1e-6) and own["options"] == ["short", "long", "same"]
    assert len(own["free"]) == 2 and own["numbers"]["changes"]["value"] > 0
    same = ask(warm_engine, files, second=files["short"])
    assert same["numbers"]["changes"]["value"] < 1e-6 and "same picture" in same["aside"]


@pytest.mark.parametrize("label", SEEING)
def test_models_of_other_makes_are_asked_in_any_words(warm_engine, files, seeing, label):
    given = {"model": f"path/{seeing[label]}", "question": "Wer führt das Team?", "options": "Anna/Bert/keine von beiden"}
    answer = ask(warm_engine, files, **given)
    assert len(answer["options"]) == 3 and np.allclose(np.sum(answer["p"], 1), 1, atol=1e-5)


@pytest.mark.parametrize(("given", "said"), [
    ({"options": "short"}, "'short' is one option"), ({"options": "/".join(f"w{i}" for i in range(21))}, "21 options"),
    ({"options": "short/long/Short"}, "stands there twice"), ({"options": "short//same"}, "empty"),
    ({"options": "short/long"}, "two others"),
    ({"options": "short/zebra/same"}, "does not know the word 'zebra'"), ({"question": "who would philosophise ?"}, "'philosophise'"),
    ({"second": ""}, "Two pictures are needed"), ({"question": " "}, "no question"),
    ({"options": ""}, "empty"), ({"model": "embedded/worlds"}, "sees no pictures"),
])
def test_what_cannot_be_asked_gets_one_sentence(warm_engine, files, given, said):
    with pytest.raises(LabError, match=said):
        ask(warm_engine, files, **given)


def test_twenty_options_of_the_little_model_are_compared(warm_engine, files):
    words = ("short long tone1 tone2 tone3 slim broad red blue green street garden kitchen left right high low one two same").split()
    answer = ask(warm_engine, files, options="/".join(words[:20]))
    assert len(answer["options"]) == 20 and np.allclose(np.sum(answer["p"], 1), 1, atol=1e-5)


def test_options_have_one_token_where_the_model_has_one_and_else_all_of_theirs(warm_engine):
    tokenizer = warm_engine.models.load("embedded/worlds").tokenizer
    he, she = option_spellings(tokenizer, ("he", "she"))
    assert not set(he) & set(she) and (tokenizer(" he").input_ids[-1],) in he and {len(one) for one in he + she} == {1}
    alike = option_spellings(tokenizer, ("Quaxolotl", "Quaxolots", "he"))  # begin with the same piece, and are told apart all the same
    assert alike[0] == [tuple(tokenizer(" Quaxolotl", add_special_tokens=False).input_ids)] and alike[0][0][0] == alike[1][0][0]
    assert alike[2] == [tuple(tokenizer(" he", add_special_tokens=False).input_ids)]
    assert in_pieces(tokenizer, ("Quaxolotl", "he")) == ["Quaxolotl"]
    assert "'Quaxolotl' in several pieces" in told_pieces(Verdict("So."), ["Quaxolotl"]).text
    with pytest.raises(LabError, match="are the same for this model"):
        option_spellings(tokenizer, ("he|she", "she"))


@pytest.mark.parametrize("strength", [None, Strength("ortho", 0.5, 0.25), Strength("gate", 0.5, 0.5)])
def test_options_of_several_tokens_get_what_the_model_s_own_loss_says(warm_engine, strength):
    """The mean log-probability of an option's tokens is minus the library's loss over them; the edit acts where they are said."""
    loaded = warm_engine.models.load("embedded/worlds")
    model, form = loaded.model, form_of(loaded)
    options = ("he", "Quaxolotl|a clockmaker of Milo", "Quaxolots")
    asked = Words(options=options, wordings=("The {} said that", "I met the {} yesterday, and"))
    deck = Deck(model, form, text_items("test", 2, asked))
    states = deck.states()
    scores = marginal(deck, states)
    layers = range(deck.layers)
    plan = {} if strength is None else edit(mean_vectors(states, labels_of(scores), scores), strength, layers)
    answer, = deck.ask([plan])
    for item, p, mass in zip(deck.items, answer.p, answer.mass, strict=True):
        start = [loaded.tokenizer.bos_token_id, *loaded.tokenizer(item.text, add_special_tokens=False).input_ids]
        means, joint = [], []
        for spellings in option_spellings(loaded.tokenizer, options, spaced=True):
            losses = [own_loss(model, start, list(one), plan) for one in spellings]
            means.append(np.logaddexp.reduce([-loss for loss in losses]))
            joint += [np.exp(-loss * len(one)) for loss, one in zip(losses, spellings, strict=True)]
        expected = np.exp(means - np.logaddexp.reduce(means))
        assert np.allclose(p, expected, atol=1e-4) and np.isclose(mass, sum(joint), rtol=1e-3), (p, expected)
    if strength is None:  # the reading of the last layer is the answer, and what residuals add leads there
        fair = by_layer(deck, states)[0]
        assert np.allclose(fair[:, -1], [1 - (p.max() - p.min()) for p in answer.p], atol=1e-5)
        assert np.allclose(scores.sum((1, 2)), fair[:, -1] - fair[:, 0], atol=1e-5)


def own_loss(model, start: list[int], option: list[int], plan) -> float:
    """The library's loss over the option, with the edit put into the layers by hooks that spare all tokens before the answer's."""
    def since(change, x):
        return torch.cat([x[:, :len(start) - 1], change(x[:, len(start) - 1:])], 1)

    def hook(change):
        return lambda module, given, made: ((since(change, made[0]), *made[1:]) if isinstance(made, tuple) else since(change, made))

    where = {"resid_post": lambda layer: layer, "attn_out": lambda layer: layer.self_attn, "mlp_out": lambda layer: layer.mlp}
    hooks = [where[site.part](model.model.layers[site.layer]).register_forward_hook(hook(change)) for site, change in plan.items()]
    ids = torch.tensor([start + option])
    labels = torch.where(torch.arange(ids.shape[1]) < len(start), -100, ids)
    try:
        with torch.no_grad():
            return float(model(input_ids=ids, labels=labels, use_cache=False).loss)
    finally:
        for one in hooks:
            one.remove()


def png_that_says(width: int, height: int) -> bytes:
    """A PNG whose header promises so many pixels, and next to no data."""
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b""))


def test_pictures_of_every_mode_and_size_are_read_as_a_viewer_shows_them(tmp_path):
    from PIL import ImageOps

    ramp = Image.fromarray(np.arange(40 * 30 * 3, dtype=np.uint32).reshape(40, 30, 3).astype(np.uint8))
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"):
        file = tmp_path / f"{mode.replace(';', '')}.{'jpg' if mode == 'CMYK' else 'png'}"
        (Image.fromarray(np.full((40, 30), 65535, np.uint16)) if mode == "I;16" else ramp.convert(mode)).save(file)
        photo = read_photo(file)
        assert photo.pixels.shape == (40, 30, 3), mode
        if mode == "I;16":
            assert photo.pixels.min() == 255  # 16 bits are scaled, not cut off
    exif = Image.Exif()
    exif[0x0112] = 6
    ramp.save(tmp_path / "turned.png", exif=exif)
    assert (read_photo(tmp_path / "turned.png").pixels == np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "turned.png")))).all()
    Image.new("RGBA", (9, 9), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (read_photo(tmp_path / "clear.png").pixels == 255).all()  # nothing on white paper
    for size in ((1, 1), (8000, 2), (3, 2000)):
        Image.new("RGB", size, (200, 10, 10)).save(tmp_path / "odd.png")
        assert read_photo(tmp_path / "odd.png").square(64).shape == (64, 64, 3)


@pytest.mark.parametrize(("data", "said"), [
    (png_that_says(50_000, 50_000), "far too large|50000 x 50000"), (png_that_says(64, 64), "not a picture that can be read"),
    (b"\xff\xd8\xff\xe0 no picture", "not a picture that can be read"), (b"<svg/>", "not a picture that can be read"),
])
def test_a_file_that_is_no_picture_gets_one_sentence(tmp_path, data, said):
    (tmp_path / "x.png").write_bytes(data)
    with pytest.raises(LabError, match=said):
        read_photo(tmp_path / "x.png")


def test_the_reading_process_refuses_a_header_of_50000_pixels_and_reads_a_parquet(tmp_path, sets):
    """The process of its own, with its limits of memory: what the other tests read here."""
    (tmp_path / "x.png").write_bytes(png_that_says(50_000, 50_000))
    with pytest.raises(LabError, match="far too large|50000 x 50000"):
        list(apart("core.scenes.opened:photo", path=str(tmp_path / "x.png")))
    assert len(list(apart("core.scenes.opened:collection", path=str(sets["parquet"])))) == 24


# ---- sets ----


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> dict[str, Path]:
    """The same scenes in the three layouts, the folders once more as a ZIP."""
    folder = tmp_path_factory.mktemp("sets")
    scenes = [Scene(place=place, job=job, seed=i) for i, (place, job) in enumerate(
        (place, job) for place in ("street", "garden", "kitchen") for job in ("hidden", "cook"))]
    write_pairs(folder / "pairs", scenes)
    with zipfile.ZipFile(folder / "pairs.zip", "w") as packed, zipfile.ZipFile(folder / "table.zip", "w") as listed:
        rows = ["picture;scenario;group"]
        for file in sorted((folder / "pairs").rglob("*.png")):
            packed.write(file, f"data/{file.relative_to(folder / 'pairs')}")
            if file.stem.startswith("tone1"):
                name = f"{file.parent.name}-{file.stem}.png"
                listed.write(file, f"mine/{name}")
                rows.append(f"{name};{file.parent.name};{file.stem.partition('_')[2]}")
        listed.writestr("mine/people.csv", "\ufeff" + "\n".join(rows))
    write_counterfactuals(folder / "people.parquet", scenes)
    return {"folder": folder / "pairs", "zip": folder / "pairs.zip", "table": folder / "table.zip", "parquet": folder / "people.parquet"}


def test_pairs_and_social_counterfactuals_are_read_in_their_own_layout(sets):
    """Folder, ZIP and Parquet hold the same pictures, scenario by scenario, pixel for pixel."""
    folder, packed, parquet = (read_set(sets[name]) for name in ("folder", "zip", "parquet"))
    shown = [{(one.photo.digest, tuple(one.groups.values())) for one in people.pictures} for people in (folder, packed, parquet)]
    assert len(shown[0]) == 24 and shown[0] == shown[1] == shown[2]
    assert folder.attributes == {"first": ("tone1", "tone3"), "second": ("long", "short")}
    assert parquet.attributes == {"tone": ("tone1", "tone3"), "hair": ("long", "short")}
    assert len(parquet.scenarios) == len(folder.scenarios) == 6


def test_a_set_becomes_pairs_that_differ_in_one_attribute_and_splits_share_nothing(sets, warm_engine):
    people, who = read_set(sets["folder"]), warm_engine.models.load("embedded/scenes")
    from core.bias.forms import form_of

    items = {split: set_items(people, form_of(who), split, 40, attribute="second") for split in ("calibration", "dev", "test")}
    assert_apart(*items.values())
    for one, other in zip(items["test"][::2], items["test"][1::2], strict=True):
        assert (one.pair, one.scenario, one.text) == (other.pair, other.scenario, other.text) and {one.shown, other.shown} == {0, 1}
        changed = one.picture.pixels != other.picture.pixels
        assert 0 < changed.any(-1).mean() < 0.3  # the hair alone


def test_an_audit_of_own_pictures_sees_the_groups_and_is_the_audit_of_the_scenes(warm_engine, sets):
    run = warm_engine.start("bias/audit", {"pictures": f"path/{sets['table']}", "pairs": 12, "wordings": 1, "controls": 10})
    assert warm_engine.wait(run.id)["outcome"] == "finished"
    metrics = warm_engine.result(run.id)["metrics"]
    assert metrics["seen"] >= 0.95 and 0 < metrics["tv"] < 1 and "tv drift" not in metrics


@pytest.mark.parametrize(("table", "said"), [
    ("picture,scenario\na.png,1", "lacks the column group"), ("picture,scenario,group\nb.png,1,x", "'b.png', which is not there"),
    ("picture,scenario,group\na.png,,x", "no scenario or no group"), ("picture,scenario,group\na.png,1,x", "show one group"),
])
def test_a_table_that_does_not_fit_its_pictures_is_named(tmp_path, table, said):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as packed:
        packed.write(tmp_path / "a.png", "a.png")
        packed.writestr("t.csv", table)
    with pytest.raises(LabError, match=said):
        read_set(tmp_path / "set.zip")


def test_a_parquet_of_something_else_and_pictures_without_names_are_refused(tmp_path):
    import duckdb

    duckdb.sql("SELECT 1 AS image, 'x' AS caption").write_parquet(str(tmp_path / "x.parquet"))
    with pytest.raises(LabError, match="lacks the column counterfactual_set"):
        read_set(tmp_path / "x.parquet")
    (tmp_path / "y.parquet").write_bytes(b"PAR1 no parquet PAR1")
    with pytest.raises(LabError, match="not a Parquet file"):
        read_set(tmp_path / "y.parquet")
    (tmp_path / "z" / "some").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "z" / "some" / "portrait.png")
    with pytest.raises(LabError, match="does not say what it shows"):
        read_set(tmp_path / "z")


# ---- words ----


def table(tmp_path: Path, text: str) -> Path:
    (tmp_path / "words.csv").write_text(text, encoding="utf-8")
    return tmp_path / "words.csv"


def test_a_table_in_any_language_is_asked_as_it_stands(tmp_path):
    words = read_words(table(tmp_path, "occupation;wording;options\nПовар;{} сказал, что;он/она\nсудья;;\nврач;;\nпилот;;\nшвея;;\n"))
    assert words.options == ("он", "она") and len(words.occupations) == 5
    items = {split: text_items(split, 9, words) for split in ("calibration", "dev", "test")}
    assert items["calibration"][0].text == "Повар сказал, что" and not name_items("test", 9, words)
    assert_apart(*items.values())
    assert sum(map(len, items.values())) == 5


@pytest.mark.parametrize(("text", "said"), [
    ("occupation,wording\na,The {}", "needs the columns"), ("occupation,wording,options\na,The one,he/she", "no place for the occupation"),
    ("occupation,wording,options\na,The {},he/she\nb,,er/sie", "says two things"),
    ("occupation,wording,options\na,The {},he/she", "1 occupations"),
    ("occupation,wording,options\na,The {} and {},he/she", "no place for"),
    ("occupation,wording,options\na,{0.__class__},he/she", "no place for"),
    ("occupation,wording,options\na,The {},he\nb,,\nc,,\nd,,\ne,,", "'he' is one option"),
])
def test_a_table_of_words_that_cannot_be_used_gets_one_sentence(tmp_path, text, said):
    with pytest.raises(LabError, match=said):
        read_words(table(tmp_path, text))


def test_the_sample_table_is_one_that_can_be_used(repository):
    words = read_words(repository / "assets/samples/occupations.csv")
    assert words.options == split_options("he/she") and len(words.occupations) >= 5
    assert read_set(repository / "assets/samples/pairs.zip").attributes


# ---- the same question on a text model ----


@pytest.fixture(scope="module")
def words_run(warm_engine):
    run = warm_engine.start("bias/text", {"occupations": 8})
    assert warm_engine.wait(run.id)["outcome"] == "finished"
    return warm_engine.result(run.id), warm_engine.events(run.id), warm_engine.records.folder(run.id)


def test_a_text_model_is_edited_with_the_same_measures_and_controls(words_run):
    result, events, _ = words_run
    metrics, tables = result["metrics"], {line["name"]: line for line in events if line["kind"] == "table"}
    ways = {row[0]: dict(zip(tables["test"]["columns"], row, strict=True)) for row in tables["test"]["rows"]}
    assert {"before", "edit", "chance", "turn down only", "turn up only", "read-out null"} <= set(ways)
    assert ways["read-out null"]["gap, nats"] < 1e-3 < ways["before"]["gap, nats"]  # ties by construction
    assert metrics["gap fallen"] == pytest.approx(1 - metrics["edit log_gap"] / metrics["base log_gap"])
    allowed = [row for row in tables["grid"]["rows"] if row[-1] == "yes"]
    assert all(row[-1] in ("yes", "no") for row in tables["grid"]["rows"]) and (allowed or metrics["gain"] == 0)
    assert "fair answers" not in ways["before"] and "names F" in ways["before"]
    assert {row[3] for row in tables["free"]["rows"]} <= {"same", "changed"}


def test_the_directions_of_a_run_can_be_taken_away_as_one_file(words_run):
    """U9: what lies beside the log is what the run measured, with the model and the split that it is from."""
    from safetensors import safe_open

    from core.bias.residuals import Vectors

    _, events, folder = words_run
    [line] = [line for line in events if line["kind"] == "file"]
    file = folder / line["file"]
    vectors = Vectors.load(file)
    assert line["size"] == file.stat().st_size and vectors.fair.shape == vectors.biased.shape and len(vectors.gate) == len(vectors.fair)
    with safe_open(file, "pt") as stored:
        assert stored.metadata()["model"] == "embedded/worlds" and len(stored.metadata()["split"]) == 16


def test_the_gap_in_nats_and_the_perplexity_are_those_of_the_models_own_forward(warm_engine):
    """Against one sentence at a time through the model, log-probabilities read by hand."""
    from core.bias.fluency import surprise
    from core.bias.metrics import log_gap, meta_of
    from core.engine.lab import Cache, Lab

    lab = Lab(warm_engine.models, Cache(), seed=0, threads=1)
    who = subject(lab, "embedded/worlds")
    model, tokenizer = who.model, who.form.tokenizer
    items = text_items("test", 3, Words())
    (answer,) = Deck(model, who.form, items).ask([{}])
    he, she = option_spellings(tokenizer, ("he", "she"), spaced=True)
    gaps = []
    for item in items:
        ids = torch.tensor([[tokenizer.bos_token_id, *tokenizer(item.text, add_special_tokens=False).input_ids]])
        with torch.no_grad():
            logits = model(input_ids=ids).logits[0, -1]
        gaps.append(abs(float(logits[[i for i, in he]].logsumexp(-1) - logits[[i for i, in she]].logsumexp(-1))))
    assert log_gap(answer.p, meta_of(items)) == pytest.approx(np.mean(gaps), abs=1e-3)
    sentences, total, count = ("The river runs.", "A dog sleeps in the house all day."), 0.0, 0
    for text in sentences:
        ids = torch.tensor([[tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False).input_ids]])
        with torch.no_grad():
            total += float(model(input_ids=ids, labels=ids).loss) * (ids.shape[1] - 1)
        count += ids.shape[1] - 1
    assert surprise(who, sentences, {}) == pytest.approx(total / count, abs=1e-4)


def test_a_visitors_table_is_what_a_text_model_is_asked(warm_engine, tmp_path):
    file = table(tmp_path, "occupation,wording,options,sentence\n" + "\n".join(
        f"{name},{wording},{options},{plain}" for name, wording, options, plain in (
            ("piper", "Our {} says", "yes/no", "A dog sleeps."), ("smith", "", "", "The river runs."), ("baker", "", "", ""),
            ("king", "", "", ""), ("witch", "", "", ""))))
    said = warm_engine.probe("bias/words", {"words": f"path/{file}"})
    assert said["says"].startswith("5 occupations in 1 wordings, for example: Our piper says ... yes or no?")
    run = warm_engine.start("bias/map", {"model": "embedded/worlds", "words": f"path/{file}", "pairs": 10})
    assert warm_engine.wait(run.id)["outcome"] == "finished"
    assert "(2 questions)" in warm_engine.result(run.id)["verdict"]["text"]


def test_temperature_scaling_changes_no_answer_and_the_measures_of_words_have_their_closed_form():
    from core.bias.metrics import Meta, log_gap, reference_divergence, temperature_of, tempered

    p = np.random.default_rng(0).dirichlet([3, 1, 6], 40)
    meta = Meta(*(np.full(40, -1) for _ in range(3)), np.arange(40), True, 3)
    temperature = temperature_of(p, meta)
    scaled = tempered(p, temperature)
    assert (scaled.argmax(1) == p.argmax(1)).all() and np.allclose(scaled.sum(1), 1)
    assert all(reference_divergence(scaled, meta) <= reference_divergence(tempered(p, t), meta) + 1e-9 for t in (0.3, 1.0, 3.0))
    assert np.allclose(tempered(p, 1.0), p) and tempered(np.array([[0.5, 0.5, 0.0]]), 2.0)[0, 2] == 0
    assert log_gap(p, meta) == pytest.approx(np.abs(np.log(p[:, 0] / p[:, 1])).mean())
