"""Tools: the identity at strength 0, one answer for one seed, the declared effect, the mask, and the same at every size."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageCms

from core.emotion.colour import Likeness, from_lab, psnr, ssim, to_bytes, to_lab
from core.emotion.cues import CUES, cues, dominance, pleasure_arousal, raw_cues, small
from core.emotion.knowledge import knowledge, retrieve, whitelist
from core.emotion.mikels import EMOTIONS
from core.emotion.pictures import photograph
from core.emotion.region import region_of
from core.emotion.spec import TOOL_NAMES
from core.emotion.tools import ORDER, OWN, TOOLS, Step, apply, canonical, steps_of
from core.engine.errors import LabError

WAYS = [(name, sign) for name in OWN if name != "remove" for sign in ((1, -1) if TOOLS[name].less else (1,))]


def test_the_spec_names_the_tools_that_there_are():
    assert TOOL_NAMES == OWN and set(ORDER) == set(TOOLS)


@pytest.mark.parametrize("name", TOOLS)
def test_strength_0_gives_the_very_bytes_back(name, photographs):
    assert apply(photographs[0], Step(name, strength=0.0)).tobytes() == photographs[0].tobytes()


@pytest.mark.parametrize(("name", "sign"), WAYS)
def test_a_tool_does_what_it_declares_the_same_each_time_and_only_inside_its_mask(name, sign, reference):
    step = Step(name, strength=0.6 * sign, seed=5)
    right = {cue: 0 for cue in TOOLS[name].touches}
    for picture in reference:
        before, after = raw_cues(small(picture)), apply(picture, step)
        assert after.dtype == np.uint8 and after.shape == picture.shape and (after != picture).any()
        now = raw_cues(small(after))
        for cue, way in TOOLS[name].touches.items():
            right[cue] += (now[cue] - before[cue]) * way * sign > 0 or abs(now[cue] - before[cue]) < 1e-9 and before[cue] in (0.0, 1.0)
    assert all(count >= 0.9 * len(reference) for count in right.values()), right
    picture = reference[0]
    assert apply(picture, step).tobytes() == apply(picture, step).tobytes()
    mask = np.zeros(picture.shape[:2])
    mask[:, : picture.shape[1] // 2] = 1
    edited = apply(picture, step, mask)
    assert (edited[:, int(0.6 * picture.shape[1]) :] == picture[:, int(0.6 * picture.shape[1]) :]).all()


def test_a_tool_without_an_opposite_says_so(photographs):
    with pytest.raises(LabError, match="no opposite"):
        apply(photographs[0], Step("fog", strength=-0.5))


@pytest.mark.parametrize("name", ["exposure", "fog", "vignette", "glow", "grain", "tint_red", "murk", "spotlight"])
def test_a_tool_does_the_same_to_a_small_and_to_a_large_picture(name):
    large = photograph("coffee")
    step = Step(name, strength=0.7, seed=2)
    one, other = cues(apply(large, step)), cues(apply(small(large, 200), step))
    assert max(abs(one[cue] - other[cue]) for cue in CUES if cue != "roughness") < 0.25


def test_a_marked_thing_is_filled_from_its_rim():
    picture = np.full((60, 80, 3), 120, np.uint8)
    picture[20:40, 30:50] = (255, 0, 0)
    mask = np.zeros((60, 80))
    mask[19:41, 29:51] = 1
    assert np.abs(apply(picture, Step("remove", strength=1.0), mask).astype(int) - 120).max() <= 2
    with pytest.raises(LabError, match="Nothing is marked"):
        apply(picture, Step("remove", strength=1.0))


def test_lab_agrees_with_littlecms(photographs):
    picture = photographs[1]
    to = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB", renderingIntent=1)
    peer = np.asarray(ImageCms.applyTransform(Image.fromarray(picture), to)).astype(np.float64)
    light, a, b = peer[..., 0] * 100 / 255, peer[..., 1].astype(np.uint8).view(np.int8), peer[..., 2].astype(np.uint8).view(np.int8)
    ours = to_lab(picture)
    assert np.abs(ours[..., 0] - light).mean() < 0.6  # littlecms works with D50, bytes and whole numbers
    assert np.corrcoef(ours[..., 1].ravel(), a.ravel())[0, 1] > 0.98 and np.corrcoef(ours[..., 2].ravel(), b.ravel())[0, 1] > 0.98
    assert (np.abs(to_bytes(from_lab(ours)).astype(int) - picture) <= 1).all()


def test_ssim_and_psnr_agree_with_their_definition():
    rng = np.random.default_rng(0)
    one = rng.integers(0, 256, (12, 14, 3), np.uint8)
    other = np.clip(one.astype(int) + rng.integers(-30, 31, one.shape), 0, 255).astype(np.uint8)
    found = []
    for channel in range(3):
        for y in range(3, 9):
            for x in range(3, 11):
                p, q = (im[y - 3 : y + 4, x - 3 : x + 4, channel].astype(float).ravel() for im in (one, other))
                c = np.cov(p, q)
                found.append((2 * p.mean() * q.mean() + 6.5025) * (2 * c[0, 1] + 58.5225)
                             / ((p.mean() ** 2 + q.mean() ** 2 + 6.5025) * (c[0, 0] + c[1, 1] + 58.5225)))
    assert ssim(one, other) == pytest.approx(np.mean(found), abs=1e-4)
    assert Likeness(one).to(one) == pytest.approx(1)
    assert psnr(one, other) == pytest.approx(10 * np.log10(255**2 / ((one.astype(float) - other) ** 2).mean()))


def test_light_moves_affect_as_valdez_and_mehrabian_found_and_grey_has_no_colour():
    dim, bright = ({"brightness": z, "saturation": 0.3} for z in (-1, 1))
    assert pleasure_arousal(bright)[0] > pleasure_arousal(dim)[0] and pleasure_arousal(bright)[1] < pleasure_arousal(dim)[1]
    assert dominance(bright) < dominance(dim)
    assert raw_cues(np.full((160, 160, 3), 90, np.uint8))["colourfulness"] == 0


def test_the_retriever_prefers_what_is_missing_and_what_was_not_used(photographs):
    z = cues(photographs[0])
    assert {one.emotion for one in knowledge()} == set(EMOTIONS) and all(whitelist(name) for name in EMOTIONS)
    dark = retrieve("fear", z | {"brightness": -1.5, "dark": 1.6})
    assert [one.factor.phrase for one in retrieve("fear", z)].index("deep darkness") == 0
    assert dark[0].factor.phrase != "deep darkness"
    used = retrieve("fear", z, used={"exposure": 3, "night": 3})
    assert used[0].factor.phrase != "deep darkness"
    assert retrieve("sadness", z, "falling rain")[0].factor.phrase == "rain"


def test_wrong_steps_are_refused_and_steps_have_an_order():
    for wrong in ([{"tool": "music", "strength": 1}], [{"tool": "fog", "strength": 7}], ["fog"], [{"tool": "fog", "sound": 1}]):
        with pytest.raises(LabError, match="cannot be done"):
            steps_of(wrong)
    assert [step.tool for step in canonical([Step("grain"), Step("exposure"), Step("fog")])] == ["exposure", "fog", "grain"]


def test_a_region_is_a_box_or_what_a_brush_painted_and_an_empty_one_is_refused():
    box = region_of("25, 10 75% 60")
    assert box.shape == (200, 200) and box[20:120, 50:150].all() and box.sum() == 100 * 100
    cells = np.zeros((32, 32), int)
    cells[3, 5:9] = 1
    painted = region_of("brush:" + "".join(f"{int(''.join(map(str, cells.ravel()[i : i + 4])), 2):x}" for i in range(0, 1024, 4)))
    assert (painted == cells).all()
    for empty in ("", "  ", "brush:" + "0" * 256):
        with pytest.raises(LabError, match="Nothing is marked"):
            region_of(empty)
    for wrong in ("10 20 30", "60 0 20 50", "0 0 100 101", "nan 0 50 50", "a b c d", "brush:12", "1e400 0 1 1"):
        with pytest.raises(LabError, match="A box is four numbers|not what the brush writes"):
            region_of(wrong)
