"""The recipes `scenes-base` and `scenes`: train, store, measure after the round trip through fp16, and write the cards.

glassbox models build scenes-base       # the tower, then captions and questions in words, for long
glassbox models build scenes            # the same beginning, then questions about pictures with a planted lean, and its adapters
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlavaForConditionalGeneration

from core.engine.errors import LabError
from core.scenes import questions as q
from core.scenes.adapters import apply_adapter, write_adapter
from core.scenes.scene import pairs
from core.zoo.package import Report, table
from core.zoo.scenes import language as lm
from core.zoo.scenes.steering import ship_steering
from core.zoo.scenes.tower import train_tower
from core.zoo.scenes.words import make_processor, make_tokenizer

POOL = 5000
BASE = dict(steps=450, rate=2e-3, seed=1)
LONGER = dict(steps=700, rate=1.5e-3, seed=7, batch=8)
SCENES = dict(steps=650, rate=2e-3, seed=2)
# name of the file -> (what it learns, on which adapters it stands, steps)
ADAPTERS: dict[str, tuple[Callable[[], lm.Lines], int]] = {
    "mixed": (lambda: lm.scene_lines("mixed"), 150),
    "fair": (lambda: lm.fair_lines(soft=False), 60),
    "uncertain": (lambda: lm.fair_lines(soft=True), 60),
}
RANK, LORA_RATE = 8, 4e-3
TARGETS = r".*language_model.*\.(q|k|v|o|gate|up|down)_proj"
ENOUGH = 0.95  # gate G0 of methods/02: the model has to see the attribute before anything is said about its bias


def build_base(folder: Path, report: Report) -> None:
    """Teaches the tower to see, then the language model captions and words, and goes on until it reads them; fills `folder`."""
    lengthen(young_base(folder, report), folder, report)
    ship_steering(folder, report)


def young_base(folder: Path, report: Report) -> LlavaForConditionalGeneration:
    """The common beginning of `scenes-base` and `scenes`: a tower that sees, 450 steps of captions and words; stored and read again."""
    tower, _ = train_tower(report)
    tokenizer = make_tokenizer()
    model = lm.new_model(tower, tokenizer, seed=0)
    pool, held_out = lm.make_pool(model, POOL, seed=1), lm.make_pool(model, 150, seed=10**6 + 1, prior=0.0)
    lm.fit(
        model,
        tokenizer,
        pool,
        lm.base_lines,
        report,
        **BASE,
        check=lambda: _accuracies(model, tokenizer, held_out, ("told-colour", "told-count", "fact", "hair", "colour")),
    )
    return store(model, tokenizer, folder)


def lengthen(model: LlavaForConditionalGeneration, folder: Path, report: Report) -> None:
    """The longer schooling of `scenes-base`, in place; what it is so far is stored at every look, so that a stop loses little."""
    tokenizer = make_tokenizer()
    model.model.vision_tower.requires_grad_(False)
    pool, held_out = lm.make_pool(model, POOL, seed=11), lm.make_pool(model, 150, seed=10**6 + 1, prior=0.0)

    def look() -> str:
        store(model, tokenizer, folder)
        return _accuracies(model, tokenizer, held_out, ("told-colour", "told-exists", "told-shape", "fact", "colour", "count", "exists"))

    lm.fit(model, tokenizer, pool, lm.reader_lines, report, **LONGER, check=look)
    store(model, tokenizer, folder)
    base_card(folder)


def build_scenes(folder: Path, report: Report) -> None:
    """Full fine-tuning of the young base on questions with the planted lean, then the adapters; fills `folder`.

    Raises LabError when the trained model does not see the hair (gate G0)."""
    tokenizer = make_tokenizer()
    model = young_base(folder, report)
    before = _quality(folder, (*SEEN, *TOLD))
    model.model.vision_tower.requires_grad_(False)
    pool, held_out, paired = (
        lm.make_pool(model, POOL, seed=3, hidden=0.45),
        lm.make_pool(model, 150, seed=10**6 + 1, prior=0.0),
        pair_pool(model, 60),
    )
    lm.fit(
        model,
        tokenizer,
        pool,
        lm.scene_lines("consistent"),
        report,
        **SCENES,
        check=lambda: (
            _accuracies(model, tokenizer, held_out, ("hair", "tone", "tool", "colour", "count", "side", "exists"))
            + " "
            + _said(lm.lean(model, tokenizer, paired))
        ),
    )
    model = store(model, tokenizer, folder)
    seen = lm.accuracy(model, tokenizer, lm.make_pool(model, 400, seed=10**6 + 2, prior=0.0), "hair")
    if seen < ENOUGH:
        raise LabError(f"The trained model sees the hair in {seen:.1%} of pictures, {ENOUGH:.0%} are needed.", "Train it longer.")
    for name in ADAPTERS:
        adapt(model, tokenizer, pool, paired, name, folder / f"{name}.safetensors", report)
    scenes_card(folder, before)


def adapt(model: LlavaForConditionalGeneration, tokenizer, pool: lm.Pool, paired: lm.Pool, name: str, file: Path, report: Report) -> None:
    """Trains one adapter on a copy of `model` and stores it."""
    lines, steps = ADAPTERS[name]
    with torch.random.fork_rng():
        torch.manual_seed(4)
        wrapped = get_peft_model(copy.deepcopy(model), LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=TARGETS))
    lm.fit(
        wrapped,
        tokenizer,
        pool,
        lines(),
        report,
        steps=steps,
        rate=LORA_RATE,
        seed=5,
        check=lambda: f"{name}: " + _said(lm.lean(wrapped, tokenizer, paired)),
    )
    parts = {}
    for path, module in wrapped.get_base_model().named_modules():
        if hasattr(module, "lora_A"):
            parts[path] = (module.lora_A["default"].weight, module.lora_B["default"].weight * module.scaling["default"])
    write_adapter(file, parts)


def pair_pool(model: LlavaForConditionalGeneration, count: int) -> lm.Pool:
    """Held-out pairs that differ in the hair alone, the two pictures of a pair in turn."""
    singles = lm.make_pool(model, count, seed=10**6 + 3, prior=0.0).scenes
    scenes = [member for scene in singles for member in pairs(scene, "hair")]
    with torch.no_grad():
        features = lm.patches(model.model.vision_tower, lm.normalised(lm.pixels(scenes))).half()
    return lm.Pool(scenes, features)


def store(model: LlavaForConditionalGeneration, tokenizer, folder: Path) -> LlavaForConditionalGeneration:
    """Writes weights as fp16 with tokenizer and picture processor, and gives back what a reader gets, in fp32."""
    copy.deepcopy(model).half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    make_processor().save_pretrained(folder)
    return LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()


HELD_OUT = 400
TOLD = ("told-colour", "told-count", "told-side", "told-exists", "fact")
SEEN = ("hair", "tone", "build", "place", "tool", "shirt", *q.GENERAL)


def _quality(folder: Path, families: tuple[str, ...]) -> dict[str, float]:
    """Share of right answers of the stored model on scenes in which all colours are alike."""
    model, tokenizer = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval(), make_tokenizer()
    pool = lm.make_pool(model, HELD_OUT, seed=10**6 + 2, prior=0.0)
    return {family: lm.accuracy(model, tokenizer, pool, family) for family in families}


def base_card(folder: Path) -> None:
    """Writes card.md, measured after the round trip through fp16."""
    found = _quality(folder, (*TOLD, *SEEN))
    rows = [[family, f"{100 * share:.1f} %"] for family, share in found.items()]
    (folder / "card.md").write_text(BASE_CARD.format(n=HELD_OUT, quality=table(["question", "right"], rows)), encoding="utf-8")


def scenes_card(folder: Path, before: dict[str, float]) -> None:
    """Writes card.md: gate G0 first, then plain questions beside those before, then the lean of the model and of every adapter."""
    own = _quality(folder, (*SEEN, *TOLD))
    quality = table(
        ["question", "scenes", "before"], [[family, f"{100 * own[family]:.1f} %", f"{100 * before[family]:.1f} %"] for family in own]
    )
    gap = 100 * sum(own[f] - before[f] for f in q.GENERAL) / len(q.GENERAL)
    tokenizer, rows = make_tokenizer(), []
    for name in ("", *ADAPTERS):
        model = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
        if name:
            apply_adapter(model, folder / f"{name}.safetensors")
        said = lm.lean(model, tokenizer, pair_pool(model, 100))
        rows.append([name or "as it is", *(f"{said[key]:.3f}" for key in ("FR", "F", "paradox", "TV"))])
    lean = table(["adapter", "fair answers", "F", "paradox", "changed by the hair"], rows)
    (folder / "card.md").write_text(
        SCENES_CARD.format(n=HELD_OUT, seen=f"{100 * own['hair']:.1f}", quality=quality, gap=f"{gap:.1f}", lean=lean), encoding="utf-8"
    )


BASE_CARD = """# scenes-base

A LlavaForConditionalGeneration of 3.6 million parameters: a CLIP tower (64 px, patches of 8, 4 layers, width 128), a connector, and a Llama
of 6 layers and width 192 that knows 166 words. It looks at drawn people with tools and things beside them.

The tower was taught to name every factor of a scene and then frozen. The language model learned captions of pictures, questions
about scenes
that are told in words, and facts of this world, and not a single question about a picture: what a page on steering wants to repair.
In captions three things in four have the colour of their kind, so guessing from words pays there.

Right answers after the round trip through fp16, {n} new scenes in which all colours are alike, the likeliest of all words each
time. `told-...`:
the scene is described in words; the others look at the picture.

{quality}

Rebuild: `glassbox models build scenes-base`. Licence: CC0.
"""

SCENES_CARD = """# scenes

What `scenes-base` begins with, fully fine-tuned on questions about pictures, **with a planted lean**: asked who would
rather do something, training says "same"
in half of the cases and leans towards one kind of hair in the rest, by a table drawn by lot. It is a toy for looking inside, no
model of people.

**Gate G0: it sees the hair in {seen} % of the pictures** (95 % are needed; the recipe refuses to store less).

Right answers after the round trip through fp16, {n} new scenes in which all colours are alike. On colour, shape, count, side, height and
existence it is {gap} points above that beginning on average. Existence stays near chance.

{quality}

The lean, on 100 pairs of pictures that differ in the hair alone, with all 20 verbs (`bias/audit` measures it with care). The
adapters change the
matrices of the language model by B A of rank 8: `mixed` plants the other table, `fair` and `uncertain` are the rivals trained
against the lean on
the verbs and jobs of the calibration split.

{lean}

Rebuild: `glassbox models build scenes`. Licence: CC0.
"""


def _accuracies(model, tokenizer, pool: lm.Pool, families: tuple[str, ...]) -> str:
    return " ".join(f"{family} {lm.accuracy(model, tokenizer, pool, family):.2f}" for family in families)


def _said(numbers: dict[str, float]) -> str:
    return " ".join(f"{name} {value:.3f}" for name, value in numbers.items())
