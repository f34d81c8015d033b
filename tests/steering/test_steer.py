"""The linear edit and everything that must hold exactly (methods/06 section 9), against closed forms and peers in float64."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch
from transformers import LlavaForConditionalGeneration

from core.engine.errors import LabError
from core.engine.trace import trace
from core.scenes.packing import hidden_states, pack
from core.scenes.scene import Scene, draw_scene
from core.steering.data import Scenes, at, prompt_ends, visual
from core.steering.keeping import kept, read_kept
from core.steering.methods import expected, tune
from core.steering.positions import chosen, first_last, layers, read_painted, uniform
from core.steering.rows import ROWS, Row
from core.steering.steer import LinearSteer, Steering
from core.steering.training import look, loss_of

ASKED = [[("what colour is the ball ? answer", "red", True), ("how many things are there ? answer", "two", True)]] * 2
TOLD = [[("what colour has a ball ? answer", "red", False)]]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def scenes(warm_engine) -> Scenes:
    return Scenes(warm_engine.models.load("embedded/scenes-base"))


@pytest.fixture(scope="module")
def pictures(scenes: Scenes) -> torch.Tensor:
    rng = seeded(1)
    return scenes.look([draw_scene(rng) for _ in range(2)])


def fork(scenes: Scenes) -> LlavaForConditionalGeneration:
    return copy.deepcopy(scenes.model)


def logits(one, scenes: Scenes, lines, features, strength: float = 1.0) -> torch.Tensor:
    one.strength = strength
    batch = pack(lines, scenes.tokenizer)
    with torch.no_grad(), trace(one.model, edit=one.plan(batch)):
        return one.model.get_output_embeddings()(hidden_states(one.model, batch, features))


def moved(steering: Steering) -> None:
    """A steering as after some training."""
    rng = seeded(3)
    for steer in steering.steers.values():
        with torch.no_grad():
            steer.read.weight += 0.3 * torch.randn(steer.read.weight.shape, generator=rng)
            steer.read.bias += 0.3


def test_the_edit_is_the_papers_equation_in_float64():
    steer = LinearSteer(12, 3, seeded(), init="random")
    h = torch.randn(5, 12, generator=seeded(2), dtype=torch.float64)
    r, w, b = (steer.matrices()[name].double() for name in "RWb")
    assert torch.allclose(r @ r.T, torch.eye(3, dtype=torch.float64), atol=1e-5)
    # the equivalent view: coordinates in the subspace are replaced by W h + b, the complement is untouched
    oracle = h - h @ r.T @ r + (h @ w.T + b) @ r
    assert torch.allclose(steer(h.float()).double(), oracle, atol=1e-5)
    assert torch.allclose(steer(h.float(), 0.5).double(), h + 0.5 * (oracle - h), atol=1e-5)
    assert steer(h.half()).dtype == torch.float16


def test_rows_stay_orthonormal_while_it_learns_and_stored_matrices_come_back():
    steer = LinearSteer(16, 4, seeded())
    optimizer = torch.optim.AdamW(steer.parameters(), lr=0.05)
    h, wanted = torch.randn(64, 16, generator=seeded(1)), torch.randn(64, 16, generator=seeded(2))
    losses = []
    for _ in range(30):
        loss = (steer(h) - wanted).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    parts = steer.matrices()
    assert torch.allclose(parts["R"] @ parts["R"].T, torch.eye(4), atol=1e-5)
    other = LinearSteer(16, 4, seeded(9))
    other.take(**parts)
    assert torch.allclose(other(h), steer(h), atol=1e-5)


def test_positions_are_those_of_the_released_scripts():
    assert first_last(64) == [0, 1, 2, 3, 59, 60, 61, 62, 63] and first_last(6) == [0, 1, 2, 3, 4, 5]
    assert uniform(64, 1) == [32] and uniform(64, 16) == list(range(0, 64, 4)) and uniform(3, 9) == [0, 1, 2]
    assert uniform(729, 9) == [91 * i for i in range(9)]
    assert chosen("uniform", 64, share=0.01) == [32] and len(chosen("random", 64, share=0.25, rng=seeded())) == 16
    assert layers("every 2nd", 6) == [0, 2, 4] and layers("deep half", 6) == [3, 4, 5] and layers("all but the last", 6) == [0, 1, 2, 3, 4]
    assert read_painted("1-3, 64") == [0, 1, 2, 63] and chosen("painted", 64, painted=[63, 0, 63]) == [0, 63]


@pytest.mark.parametrize("bad", [lambda: LinearSteer(8, 9, seeded()), lambda: chosen("all", 0), lambda: chosen("painted", 64),
                                 lambda: chosen("painted", 64, painted=[0, 64]),
                                 lambda: read_painted("8-1"), lambda: read_painted("one"), lambda: read_painted("1-99999999999")])
def test_what_cannot_be_steered_is_refused_with_what_to_do(bad):
    with pytest.raises(LabError) as refused:
        bad()
    assert refused.value.hint


@pytest.mark.parametrize("name", ["mores", "mores-4", "mores-every2", "loreft", "lora-1", "lora-16", "ia3", "oft", "adapter", "connector"])
def test_t1_counts_are_those_of_the_formulas(scenes: Scenes, name: str):
    config = scenes.model.config.text_config
    one = tune(fork(scenes), ROWS[name], seeded())
    assert one.inside == expected(ROWS[name], config.hidden_size, config.intermediate_size, config.num_hidden_layers)
    assert one.connector == 61_824 == sum(p.numel() for p in one.parameters) - one.inside
    trained = {name for name, p in one.model.named_parameters() if p.requires_grad}
    assert not any("vision_tower" in name for name in trained)


def test_t1_the_published_counts_come_out():
    """Table 2 of the paper: Vicuna-7B, and the LoRA of rank 128 beside it."""
    vicuna = dict(width=4096, feed_forward=11008, layers=32)
    count = {name: expected(row, **vicuna) for name, row in {
        "mores": Row("", "mores", 0, 1), "lora": Row("", "lora", 0, 128), "ia3": Row("", "ia3", 0)}.items()}
    assert round(count["mores"] / 1e6, 3) == 0.262 and round(count["lora"] / 1e6, 1) == 319.8 and round(count["ia3"] / 1e6, 3) == 0.614


@pytest.mark.parametrize("rank, steered", [(11, 1), (22, 2), (128, 4)])
@pytest.mark.parametrize("width, feed_forward", [(192, 512), (4096, 11008), (5120, 13824)])
def test_t2_a_hundred_times_fewer_from_a_ratio_of_eleven(rank, steered, width, feed_forward):
    lora, mores = (expected(Row("", recipe, 0, r), width, feed_forward, 6) for recipe, r in (("lora", rank), ("mores", steered)))
    assert lora / mores >= 100


def test_t7_words_alone_are_answered_bit_for_bit_as_before(scenes: Scenes):
    nothing = torch.zeros(1, 64, 128)
    plain = tune(fork(scenes), Row("", "base", 0, connector=False), seeded())
    before = logits(plain, scenes, TOLD, nothing)
    mores = tune(fork(scenes), ROWS["mores"], seeded())
    moved(mores.steering)
    with torch.no_grad():
        mores.model.model.multi_modal_projector.linear_1.weight.add_(0.1)
    words = slice(65, None)  # behind the picture's places, which nothing looks at
    assert mores.plan(pack(TOLD, scenes.tokenizer)) == {}
    assert torch.equal(logits(mores, scenes, TOLD, nothing)[:, words], before[:, words])
    ids = scenes.tokenizer("what colour has a ball ? answer", return_tensors="pt")
    with torch.no_grad():  # the model's own forward, without a place for a picture
        assert torch.equal(mores.model(**ids).logits, plain.model(**ids).logits)
    loreft = tune(fork(scenes), ROWS["loreft"], seeded())
    moved(loreft.steering)
    assert not torch.equal(logits(loreft, scenes, TOLD, nothing)[:, words], before[:, words])


def test_invariants_of_a_steered_forward(scenes: Scenes, pictures: torch.Tensor):
    row = Row("", "mores", 0, 2, connector=False)
    plain = tune(fork(scenes), Row("", "base", 0, connector=False), seeded())
    before = logits(plain, scenes, ASKED, pictures)
    one = tune(fork(scenes), row, seeded())
    assert torch.equal(logits(one, scenes, ASKED, pictures), before), "the identity changes nothing"
    moved(one.steering)
    after = logits(one, scenes, ASKED, pictures)
    assert not torch.equal(after, before), "this steering moves the output"
    assert torch.equal(logits(one, scenes, ASKED, pictures, strength=0), before), "strength 0 is the base"
    batch = pack(ASKED, scenes.tokenizer)
    with torch.no_grad():  # without the edits
        again = one.model.get_output_embeddings()(hidden_states(one.model, batch, pictures))
    assert torch.equal(again, before)
    assert torch.equal(after[:, 0], before[:, 0]), "what stands before the picture is not touched"


def test_only_the_chosen_rows_of_a_layer_are_changed():
    steering = Steering(8, [0], 2, seeded(), init="random")
    h, mask = torch.randn(2, 5, 8, generator=seeded(1)), torch.zeros(2, 5, dtype=torch.bool)
    mask[0, 1] = mask[1, 3] = True
    (edit,) = steering.edits(mask).values()
    changed = edit(h, 0)
    assert torch.equal(changed[~mask], h[~mask]) and not torch.allclose(changed[mask], h[mask])
    assert edit(h, 5) is h, "tokens of the answer are left alone"
    assert steering.edits(torch.zeros_like(mask)) == {} == steering.edits(mask, 0)


def test_the_last_layers_module_is_dead_and_the_first_layers_attention_is_the_base(scenes: Scenes, pictures: torch.Tensor):
    one = tune(fork(scenes), Row("", "mores", 0, 1, connector=False, init="random"), seeded())
    loss_of(one, pack(ASKED, scenes.tokenizer), pictures).backward()
    sizes = [float(steer.read.weight.grad.abs().max()) for steer in one.steering.steers.values()]
    assert sizes[-1] == 0 and min(sizes[:-1]) > 0
    plain = tune(fork(scenes), Row("", "base", 0, connector=False), seeded())
    exam = exam_for(pictures)
    steered, base = look(one, scenes, exam).lmar(), look(plain, scenes, exam).lmar()
    assert torch.equal(steered[0], base[0]) and not torch.equal(steered[1:], base[1:])


def exam_for(pictures: torch.Tensor):
    from core.scenes import questions as q
    from core.steering.data import Exam

    scene = Scene()
    return Exam("unbiased", [scene] * 2, [[q.ask(scene, "colour"), q.ask(scene, "count")]] * 2, pictures)


def test_a_cached_answer_equals_an_uncached_one(scenes: Scenes):
    """The model's own generate: steered states of the prompt live on in the cache, tokens of the answer are not steered."""
    from core.steering.data import pixels

    model, steering = scenes.model, Steering(192, range(6), 2, seeded())
    moved(steering)
    ids = scenes.tokenizer("<image>" * 64 + "what colour is the ball ? answer", return_tensors="pt").input_ids
    mask = ids == scenes.model.config.image_token_index
    values = pixels(Scene())
    with trace(model, edit=steering.edits(mask)):
        said = model.generate(input_ids=ids, pixel_values=values, max_new_tokens=4, do_sample=False, output_logits=True,
                              return_dict_in_generate=True)
    whole = said.sequences
    with torch.no_grad(), trace(model, edit=steering.edits(torch.nn.functional.pad(mask, (0, whole.shape[1] - ids.shape[1])))):
        uncached = model(input_ids=whole, pixel_values=values).logits
    for step, cached in enumerate(said.logits):
        assert torch.allclose(cached[0], uncached[0, ids.shape[1] - 1 + step], atol=1e-4)


def test_masks_know_the_picture_and_the_ends_of_a_prompt(scenes: Scenes):
    batch = pack(ASKED, scenes.tokenizer)
    assert at(batch, [0, 63]).sum().item() == 4 and visual(batch).sum().item() == 128 and not at(batch, []).any()
    picked = prompt_ends(batch, 1, 1)
    words = scenes.tokenizer.convert_ids_to_tokens(batch.ids[picked].tolist())
    assert words == ["what", "answer", "how", "answer"] * 2


def test_a_kept_steering_comes_back_and_is_checked(scenes: Scenes, pictures: torch.Tensor, tmp_path):
    one = tune(fork(scenes), ROWS["mores-f4l5"], seeded())
    moved(one.steering)
    kept(one, scenes).save_pretrained(tmp_path / "mine")
    back = read_kept(tmp_path / "mine", scenes)
    assert back.patches == first_last(64) and set(back.connector) == set(one.model.model.multi_modal_projector.state_dict())
    batch = pack(ASKED, scenes.tokenizer)
    with torch.no_grad(), trace(one.model, edit=back.steering.edits(at(batch, back.patches))):
        again = one.model.get_output_embeddings()(hidden_states(one.model, batch, pictures))
    assert torch.allclose(again, logits(one, scenes, ASKED, pictures), atol=1e-4)
    with pytest.raises(LabError, match="another model"):
        read_kept(tmp_path / "mine", SimpleNamespace(width=96, layers=6, model=scenes.model))
    with pytest.raises(LabError, match="not a steering"):
        read_kept(tmp_path, scenes)
