"""The second judge of EmoAgent: scenes are drawn in the moods that people's colour words go with, and a small ViT learns to tell them.

    glassbox models build emotion-judge

A scene has a sky, hills, ground and things. Which families of light it shows (bright, dark, warm, ...) is drawn by the shares of
methods/04 section 4.2; half of the scenes also hold a thing that goes with their emotion. Colours are made in HSV while the scene is
drawn; none of the tools of core/emotion has a part in it.
"""

from __future__ import annotations

import colorsys
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter
from transformers import ViTConfig, ViTForImageClassification

from core.emotion.judge import judge
from core.emotion.mikels import EMOTIONS, FAMILIES, SHARES
from core.emotion.second_judge import FACTS, PATCH, SIDE, SecondJudge, seen
from core.stats import wilson
from core.zoo.learngene import store
from core.zoo.package import Report, table

TRAIN, HELD_OUT = 8000, 1200
EPOCHS, BATCH, RATE = 14, 64, 1e-3
WIDTH, DEPTH, HEADS = 64, 3, 4
DRAWN = 96  # pixels along a side while it is drawn
THINGS = {
    "amusement": "balloons",
    "awe": "peaks",
    "contentment": "flowers",
    "excitement": "fireworks",
    "anger": "flames",
    "disgust": "worms",
    "fear": "eyes",
    "sadness": "graves",
}
OWN_THING = 0.5


def scene(emotion: str, rng: np.random.Generator) -> np.ndarray:
    """One scene, bytes (96, 96, 3), in the mood of an emotion."""
    mood = {family for family, share in zip(FAMILIES, SHARES[emotion], strict=True) if rng.random() * 100 < share}
    sheet = Image.new("RGB", (DRAWN, DRAWN))
    pen = ImageDraw.Draw(sheet)
    horizon = int(DRAWN * rng.uniform(0.35, 0.75))
    top, low = _tone(rng, mood, rng.choice([0.55, 0.6, 0.08]), 0.5), _tone(rng, mood, rng.choice([0.55, 0.1, 0.12]), 0.65)
    for y in range(horizon):
        pen.line([(0, y), (DRAWN, y)], fill=_between(top, low, y / horizon))
    ground, far = _tone(rng, mood, rng.choice([0.3, 0.1, 0.08, 0.6]), 0.4), _tone(rng, mood, rng.choice([0.3, 0.6, 0.75]), 0.35)
    ridge = [(x, horizon - rng.uniform(0, 0.22) * DRAWN) for x in range(0, DRAWN + 12, 12)]
    pen.polygon([(0, horizon + 4), *ridge, (DRAWN, horizon + 4)], fill=far)
    pen.rectangle([0, horizon, DRAWN, DRAWN], fill=ground)
    for _ in range(int(rng.integers(1, 5))):  # whatever stands about
        x, y, r = rng.uniform(0, DRAWN), rng.uniform(horizon - 10, DRAWN), rng.uniform(3, 13)
        shape = pen.ellipse if rng.random() < 0.5 else pen.rectangle
        shape([x - r, y - r, x + r, y + r], fill=_tone(rng, mood, rng.random(), 0.5))
    kind = THINGS[emotion] if rng.random() < OWN_THING else THINGS[EMOTIONS[int(rng.integers(8))]] if rng.random() < 0.3 else ""
    if kind:
        _THINGS[kind](pen, rng, mood)
    return _finished(sheet, rng, mood)


def _tone(rng: np.random.Generator, mood: set[str], hue: float, value: float) -> tuple[int, int, int]:
    """A colour near a hue, as the mood has it."""
    h, s, v = (hue + rng.normal(0, 0.05)) % 1, rng.uniform(0.25, 0.6), value + rng.normal(0, 0.1)
    if "warm" in mood:
        h = 0.09 + rng.normal(0, 0.03) if rng.random() < 0.65 else h
    if "cool" in mood:
        h = 0.6 + rng.normal(0, 0.04) if rng.random() < 0.7 else h
    if "unclean" in mood:
        h, s = (0.2 + rng.normal(0, 0.03), s + 0.1) if rng.random() < 0.6 else (h, s)
    v += 0.28 * ("bright" in mood) - 0.3 * ("dark" in mood)
    s = s + 0.35 * ("vivid" in mood) - 0.25 * ("muted" in mood) - 0.08 * ("soft" in mood)
    if "stark" in mood:
        v = 0.5 + 1.7 * (v - 0.5)
    if "soft" in mood:
        v = 0.62 + 0.5 * (v - 0.62)
    rgb = colorsys.hsv_to_rgb(h, min(max(s, 0.02), 1), min(max(v, 0.03), 1))
    return tuple(int(255 * c) for c in rgb)


def _between(one, other, share: float) -> tuple[int, int, int]:
    return tuple(int(a + (b - a) * share) for a, b in zip(one, other, strict=True))


def _balloons(pen, rng, mood) -> None:
    for _ in range(int(rng.integers(3, 7))):
        x, y, r = rng.uniform(8, 88), rng.uniform(8, 50), rng.uniform(4, 8)
        pen.line([x, y + r, x + 2, y + r + 14], fill=(90, 90, 90))
        pen.ellipse([x - r, y - r, x + r, y + 1.2 * r], fill=_tone(rng, mood | {"vivid"}, rng.random(), 0.8))


def _peaks(pen, rng, mood) -> None:
    x, w, h = rng.uniform(20, 76), rng.uniform(25, 40), rng.uniform(35, 55)
    pen.polygon([(x - w, 66), (x, 66 - h), (x + w, 66)], fill=_tone(rng, mood, 0.62, 0.45))
    pen.polygon([(x - 0.25 * w, 66 - 0.75 * h), (x, 66 - h), (x + 0.25 * w, 66 - 0.75 * h)], fill=_tone(rng, mood | {"bright"}, 0.6, 0.8))


def _flowers(pen, rng, mood) -> None:
    for _ in range(int(rng.integers(5, 11))):
        x, y, r = rng.uniform(4, 92), rng.uniform(60, 92), rng.uniform(2, 4)
        fill = _tone(rng, mood, rng.choice([0.0, 0.9, 0.14]), 0.75)
        for dx, dy in ((-r, 0), (r, 0), (0, -r), (0, r)):
            pen.ellipse([x + dx - r, y + dy - r, x + dx + r, y + dy + r], fill=fill)


def _fireworks(pen, rng, mood) -> None:
    for _ in range(int(rng.integers(2, 4))):
        x, y, fill = rng.uniform(15, 81), rng.uniform(10, 45), _tone(rng, mood | {"vivid", "bright"}, rng.random(), 0.9)
        for turn in np.linspace(0, 2 * np.pi, 12, endpoint=False):
            reach = rng.uniform(8, 16)
            pen.line([x, y, x + reach * np.cos(turn), y + reach * np.sin(turn)], fill=fill, width=2)


def _flames(pen, rng, mood) -> None:
    for _ in range(int(rng.integers(3, 7))):
        x, w, h = rng.uniform(5, 91), rng.uniform(6, 12), rng.uniform(18, 45)
        pen.polygon([(x - w, 96), (x, 96 - h), (x + w, 96)], fill=(int(rng.integers(190, 250)), int(rng.integers(40, 120)), 20))


def _worms(pen, rng, mood) -> None:
    for _ in range(int(rng.integers(3, 7))):
        x, y = rng.uniform(8, 70), rng.uniform(55, 88)
        points = [(x + 5 * i, y + rng.uniform(-4, 4)) for i in range(6)]
        pen.line(points, fill=_tone(rng, mood | {"unclean"}, 0.2, 0.45), width=4, joint="curve")


def _eyes(pen, rng, mood) -> None:
    for _ in range(int(rng.integers(1, 4))):
        x, y, r = rng.uniform(12, 80), rng.uniform(15, 70), rng.uniform(2, 4)
        pen.ellipse([x - 9, y - 7, x + 15, y + 9], fill=(12, 12, 16))
        for dx in (0, 3 * r):
            pen.ellipse([x + dx - r, y - r, x + dx + r, y + r], fill=(225, 215, 150))


def _graves(pen, rng, mood) -> None:
    for _ in range(int(rng.integers(2, 5))):
        x, y, w = rng.uniform(10, 80), rng.uniform(60, 86), rng.uniform(4, 7)
        fill = _tone(rng, mood | {"muted"}, 0.6, 0.45)
        pen.rectangle([x - w, y - w, x + w, y + w], fill=fill)
        pen.ellipse([x - w, y - 2 * w, x + w, y], fill=fill)


_THINGS = {
    "balloons": _balloons,
    "peaks": _peaks,
    "flowers": _flowers,
    "fireworks": _fireworks,
    "flames": _flames,
    "worms": _worms,
    "eyes": _eyes,
    "graves": _graves,
}


def _finished(sheet: Image.Image, rng: np.random.Generator, mood: set[str]) -> np.ndarray:
    """Softened, with some texture and sometimes darker corners, as photographs have."""
    soft = sheet.filter(ImageFilter.GaussianBlur(rng.uniform(1.5, 3) if "soft" in mood else rng.uniform(0.4, 1.2)))
    array = np.asarray(soft, np.float32)
    array += rng.normal(0, rng.uniform(2, 9), (DRAWN, DRAWN, 1))
    if rng.random() < (0.5 if "dark" in mood else 0.15):
        y, x = np.mgrid[-1 : 1 : DRAWN * 1j, -1 : 1 : DRAWN * 1j]
        array *= (1 - rng.uniform(0.2, 0.5) * np.clip(np.hypot(x, y) - 0.3, 0, 1))[..., None]
    return np.clip(array, 0, 255).astype(np.uint8)


def scenes(count: int, seed: int) -> tuple[list[np.ndarray], np.ndarray]:
    """So many scenes, bytes (96, 96, 3) each, and which emotion each was drawn for, (count,)."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % len(EMOTIONS)
    return [scene(EMOTIONS[label], rng) for label in labels], labels


def build_judge(folder: Path, report: Report) -> None:
    """Trains on 8,000 scenes, measures on 1,200 others after the round trip through fp16, and fills `folder`. No colour is jittered:
    a classifier that learned to ignore colour could not see what the tools do (methods/04 section 7.2)."""
    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=WIDTH,
        num_hidden_layers=DEPTH,
        num_attention_heads=HEADS,
        intermediate_size=2 * WIDTH,
        image_size=SIDE,
        patch_size=PATCH,
        num_channels=3,
        initializer_range=0.07,
        id2label=dict(enumerate(EMOTIONS)),
        label2id={name: i for i, name in enumerate(EMOTIONS)},
    )
    model = ViTForImageClassification(config)
    pictures, labels = scenes(TRAIN, seed=1)
    pixels, wanted = torch.from_numpy(np.stack([seen(picture) for picture in pictures])), torch.from_numpy(labels)
    _fit(model, pixels, wanted, report)
    model = store(model.eval(), folder)
    held, truth = scenes(HELD_OUT, seed=2)
    second = SecondJudge(model, {}).read_all(held).argmax(-1)
    first = np.array([judge(picture).argmax() for picture in held])
    right = int((second == truth).sum())
    facts = {
        "accuracy": right / HELD_OUT,
        "interval": wilson(right, HELD_OUT),
        "n": HELD_OUT,
        "agreement": float((first == second).mean()),
        "agreement_n": HELD_OUT,
        "first_accuracy": float((first == truth).mean()),
        "each": {name: float((second == truth)[truth == i].mean()) for i, name in enumerate(EMOTIONS)},
    }
    (folder / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    _card(folder, model, facts)


def _fit(model: ViTForImageClassification, pixels: torch.Tensor, wanted: torch.Tensor, report: Report) -> None:
    draw = torch.Generator().manual_seed(0)
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.05)
    total = EPOCHS * (len(wanted) // BATCH)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=total + 1, pct_start=0.1)
    step = 0
    for _ in range(EPOCHS):
        order = torch.randperm(len(wanted), generator=draw)
        for batch in order[: len(wanted) // BATCH * BATCH].split(BATCH):
            flip = torch.rand(len(batch), generator=draw) < 0.5
            x = torch.where(flip[:, None, None, None], pixels[batch].flip(-1), pixels[batch])
            loss = torch.nn.functional.cross_entropy(model(pixel_values=x).logits, wanted[batch], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            rate.step()
            step += 1
            report(step, total, f"loss {loss.item():.3f}")


def _card(folder: Path, model: ViTForImageClassification, facts: dict) -> None:
    rows = [[name, f"{share:.0%}"] for name, share in facts["each"].items()]
    low, high = facts["interval"]
    count = sum(p.numel() for p in model.parameters())
    text = f"""# emotion-judge

The second judge of the EmoAgent page: it says which of eight emotions a picture was drawn for. It learned from drawn scenes only,
never from photographs and never from what people said about a picture.

Measured after the weights had been stored in 16 bits, on {facts["n"]:,} scenes that it never saw: {facts["accuracy"]:.1%} right
(95 %: {low:.1%} to {high:.1%}; chance is 12.5 %). The first judge, which reads light and colour alone, is right on
{facts["first_accuracy"]:.1%} of them, and both say the same of {facts["agreement"]:.1%}.

{table(["emotion", "right"], rows)}

- Architecture: ViTForImageClassification, width {WIDTH}, {DEPTH} layers, {SIDE} x {SIDE} pixels in three colours, {count:,} numbers
- Trained on: {TRAIN:,} scenes of core/zoo/emotion.py, whose families of light follow the shares in methods/04 section 4.2
- How: {EPOCHS} passes, AdamW, peak rate {RATE}, mirrored at random, no colour jitter, seed 0
- Rebuild: `glassbox models build emotion-judge`
- Licence: CC0 for the weights
"""
    (folder / "card.md").write_text(text, encoding="utf-8")
