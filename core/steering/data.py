"""Questions about scenes, split so that leaning on words can be told from seeing, and the model that is asked them.

    scenes = Scenes(loaded)                                  # a little model that sees scenes, its tower used once per picture
    lesson = training_set(scenes, 800, rng)                  # pictures whose things mostly have the colour of their kind
    exam = exam_of(scenes, "unbiased", 100, rng)             # pictures in which all colours are alike

Columns: `seen` (new pictures, colours as in training), `unbiased` (all colours alike: guessing from words no longer pays), `existence`
("is there a ball?", half of them no: random, popular and adversarial, as POPE asks), `words` (scenes told in words, no picture).
Every question about a picture is also asked about the picture of another scene: the control, which shows how much is guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from core.engine.errors import LabError
from core.engine.stopping import ask_before
from core.scenes import questions as q
from core.scenes.packing import IMAGE_TOKENS, Line, Packed, pack
from core.scenes.render import render
from core.scenes.scene import SHAPES, USUAL_COLOUR, Scene, below, chance, draw_scene, pick

COLUMNS = ("seen", "unbiased", "existence", "words")
PICTURED = COLUMNS[:3]
ASKED = ("colour", "shape", "count", "side", "height")
POPULAR = SHAPES[0]  # for POPE's popular negatives: the kind that is named most often
LINES = 4  # questions about one picture in a row of training
AT_ONCE = 64  # pictures the tower sees at once


def prompt(text: str) -> str:
    """What the model reads before its answer."""
    return f"{text} answer"


def meets_stop(model: Any) -> None:
    """Lets Stop end a batch before any layer of tower and language model: one layer of a large batch takes a good part of a second."""
    ask_before(module for module in model.modules() if type(module).__name__.endswith(("EncoderLayer", "DecoderLayer")))


class Scenes:
    """A model of scenes and what asking it takes: tokenizer, and the tower's view of pictures, computed once.

    Raises LabError for a model that does not speak the language of scenes.
    """

    def __init__(self, loaded: Any) -> None:
        self.model, self.tokenizer, self.fingerprint, self.ref = loaded.model, loaded.tokenizer, loaded.fingerprint, loaded.ref
        words = getattr(self.tokenizer, "get_vocab", dict)()
        if not getattr(self.tokenizer, "image_token", None) or not {"answer", *SHAPES} <= set(words):
            raise LabError(f"{loaded.ref} cannot be asked about scenes.",
                           "Train embedded/scenes-base; the tab 'Any model' shows how other models look at a picture.")
        meets_stop(self.model)

    @property
    def width(self) -> int:
        return self.model.config.text_config.hidden_size

    @property
    def layers(self) -> int:
        return self.model.config.text_config.num_hidden_layers

    @torch.no_grad()
    def look(self, pictures: Sequence[Scene]) -> Tensor:
        """What the frozen tower makes of the pictures: float (n, 64, tower width)."""
        return torch.cat([self.view(torch.cat([pixels(p) for p in pictures[i : i + AT_ONCE]])) for i in range(0, len(pictures), AT_ONCE)])

    @torch.no_grad()
    def view(self, values: Tensor) -> Tensor:
        """The same of float (n, 3, 64, 64) in [-2, 2]."""
        seen = self.model.model.vision_tower(values, output_hidden_states=True)
        return seen.hidden_states[self.model.config.vision_feature_layer][:, 1:]

    def known(self, text: str) -> None:
        """Raises LabError for a word that the model does not know."""
        for word in text.split():
            if self.tokenizer.unk_token_id in self.tokenizer(word, add_special_tokens=False).input_ids:
                raise LabError(f"The little model does not know the word '{word[:30]}'.",
                               "It was taught 160 words; ask about the things in the picture, for example: what colour is the ball ?")


def pixels(scene: Scene) -> Tensor:
    """float (1, 3, 64, 64) in [-2, 2], as the stored picture processor makes it."""
    return ((torch.from_numpy(render(scene)).permute(2, 0, 1)[None].float() / 255) - 0.5) / 0.25


@dataclass
class Lesson:
    """What is trained on: scenes with the tower's view of them (n, 64, tower width)."""

    pictures: list[Scene]
    features: Tensor

    def batch(self, tokenizer: Any, size: int, rng: torch.Generator) -> tuple[Packed, Tensor]:
        """`size` pictures by chance with `LINES` questions each, and their features (size, 64, tower width)."""
        picked = torch.randint(len(self.pictures), (size,), generator=rng).tolist()
        rows = []
        for scene in (self.pictures[i] for i in picked):
            asked = [q.ask(scene, pick(ASKED, rng), rng) for _ in range(LINES - 1)] + [existence(scene, chance(0.5, rng), rng)]
            rows.append([(prompt(one.text), one.answer, True) for one in asked])
        return pack(rows, tokenizer), self.features[picked]


def training_set(scenes: Scenes, count: int, rng: torch.Generator) -> Lesson:
    """`count` pictures in which three things in four have the colour of their kind."""
    pictures = [draw_scene(rng) for _ in range(count)]
    return Lesson(pictures, scenes.look(pictures))


def existence(scene: Scene, there: bool, rng: torch.Generator, kind: str = "") -> q.Question:
    """Whether a thing is there. `kind` of an absent one: random, popular, adversarial (the kind that usually has the colour shown)."""
    if there:
        return q.exists(scene, scene.shape)
    kind = kind or pick(("random", "popular", "adversarial"), rng)
    if kind == "popular" and scene.shape != POPULAR:
        return q.exists(scene, POPULAR)
    tempting = [s for s, colour in USUAL_COLOUR.items() if colour == scene.colour and s != scene.shape]
    if kind == "adversarial" and tempting:
        return q.exists(scene, tempting[0])
    return q.exists(scene, pick(tuple(s for s in SHAPES if s != scene.shape), rng))


@dataclass
class Exam:
    """Questions of one column. asked[i]: those about picture i; `others[i]`: the scene whose questions are asked about picture i too.

    features: float (pictures, 64, tower width), None where words alone are asked.
    """

    column: str
    pictures: list[Scene]
    asked: list[list[q.Question]]
    features: Tensor | None
    others: list[int] = field(default_factory=list)

    @property
    def count(self) -> int:
        return sum(map(len, self.asked))

    def lines(self, i: int, control: bool) -> list[Line]:
        """The questions about picture i, and with `control` those about another."""
        questions = self.asked[i] + (self.asked[self.others[i]] if control and self.others else [])
        return [(prompt(one.text), one.answer, self.column != "words") for one in questions]


def exam_of(scenes: Scenes, column: str, count: int, rng: torch.Generator, known: Exam | None = None) -> Exam:
    """`count` new pictures with the questions of this column; `known`: an exam whose pictures are used again."""
    pictures = known.pictures if known else [draw_scene(rng, **({} if column == "seen" else {"prior": 0.0})) for _ in range(count)]
    kinds = ("random", "popular", "adversarial")
    if column == "existence":
        asked = [[existence(s, True, rng), existence(s, False, rng, kinds[i % 3])] for i, s in enumerate(pictures)]
    elif column == "words":
        asked = [[q.told(s, existence(s, chance(0.5, rng), rng) if f == "exists" else q.ask(s, f, rng))
                  for f in (ASKED[i % len(ASKED)], ASKED[(i + 2) % len(ASKED)], "exists")] for i, s in enumerate(pictures)]
    else:
        asked = [[q.ask(s, family, rng) for family in ASKED] for s in pictures]
    features = None if column == "words" else known.features if known else scenes.look(pictures)
    shift = 1 + below(max(1, len(pictures) - 1), rng)
    others = [] if column == "words" or len(pictures) < 2 else [(i + shift) % len(pictures) for i in range(len(pictures))]
    return Exam(column, pictures, asked, features, others)


def exams(scenes: Scenes, count: int, rng: torch.Generator) -> dict[str, Exam]:
    """All columns; existence is asked about the pictures of `unbiased`."""
    made: dict[str, Exam] = {}
    for column in COLUMNS:
        made[column] = exam_of(scenes, column, count, rng, made.get("unbiased") if column == "existence" else None)
    return made


def visual(batch: Packed) -> Tensor:
    """bool (batch, tokens): the picture's tokens, in rows in which a question sees it."""
    return (batch.segments == 1) & (batch.segments > 1).any(1, keepdim=True)


def at(batch: Packed, patches: Sequence[int]) -> Tensor:
    """bool (batch, tokens): these patches of the picture, which stands after the first token. Nothing for words alone."""
    mask = torch.zeros_like(batch.segments, dtype=torch.bool)
    if patches:
        mask[:, [1 + i for i in patches]] = True
    return mask & visual(batch)


def prompt_ends(batch: Packed, first: int = 4, last: int = 4) -> Tensor:
    """bool (batch, tokens): the first and last few tokens of every prompt (LoReFT: "f4+l4"), never of an answer."""
    mask = torch.zeros_like(batch.segments, dtype=torch.bool)
    rows, ends = batch.last()
    for row, end in zip(rows.tolist(), ends.tolist(), strict=True):
        own = (batch.segments[row, : end + 1] == batch.segments[row, end]).nonzero().flatten().tolist()
        a, b = min(first, len(own) // 2), min(last, len(own) // 2)
        mask[row, own[:a] + own[len(own) - b :]] = True
    return mask


def patch_side(count: int = IMAGE_TOKENS) -> int:
    """Patches of one side of the picture."""
    return int(count**0.5)
