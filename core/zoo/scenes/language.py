"""Teach the language model to talk about what the frozen tower sees: captions and words first, then questions with a planted lean.

Many questions share one picture in a training sequence. Each sees the beginning, the picture and itself, at the positions it would have
alone, so a packed question is computed as the same question asked alone, for a fifth of the work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration, PreTrainedTokenizerFast

from core.scenes import questions as q
from core.scenes.packing import IGNORED, IMAGE_TOKENS, Line, Packed, hidden_states, pack
from core.scenes.scene import Scene, chance, draw_scene, pick
from core.zoo.package import Report
from core.zoo.scenes.tower import SHAPE, normalised, pace, patches, pixels, quick, reduced
from core.zoo.scenes.words import IMAGE

WIDTH, LAYERS, HEADS, FEED_FORWARD, POSITIONS = 192, 6, 6, 512, 256
DESCRIBE = "describe the picture answer"


def prompt(question: q.Question, options: tuple[str, ...] | None = None) -> str:
    """The words before the answer; bias questions name their options, in the order given."""
    choose = f" choose {' '.join(options)}" if options else ""
    return f"{question.text}{choose} answer"


def new_model(tower: CLIPVisionModel, tokenizer: PreTrainedTokenizerFast, seed: int) -> LlavaForConditionalGeneration:
    """A fresh language model and connector behind the trained tower."""
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=FEED_FORWARD,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        max_position_embeddings=POSITIONS,
        tie_word_embeddings=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**SHAPE),
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
        image_seq_length=IMAGE_TOKENS,
        vision_feature_layer=-1,
        tie_word_embeddings=False,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = LlavaForConditionalGeneration(config)
    model.model.vision_tower.load_state_dict(tower.state_dict())
    model.model.vision_tower.requires_grad_(False)
    return model


@dataclass
class Pool:
    """Scenes with the tower's view of them: float16 (scenes, 64, 128)."""

    scenes: list[Scene]
    features: Tensor


@torch.no_grad()
def make_pool(model: LlavaForConditionalGeneration, count: int, seed: int, **drawn) -> Pool:
    """`count` scenes drawn with `draw_scene(rng, **drawn)` and looked at once: the tower never changes again."""
    rng = torch.Generator().manual_seed(seed)
    scenes = [draw_scene(rng, **drawn) for _ in range(count)]
    parts = [patches(model.model.vision_tower, normalised(pixels(scenes[i : i + 128]))).half() for i in range(0, count, 128)]
    return Pool(scenes, torch.cat(parts))


Lines = Callable[[Scene, torch.Generator], list[Line]]


def loss_of(model: LlavaForConditionalGeneration, batch: Packed, features: Tensor) -> Tensor:
    """Mean cross-entropy of what is learned; `features` float (batch, 64, 128) stand for the pictures."""
    hidden = hidden_states(model, batch, features)[:, :-1]
    learned = batch.labels[:, 1:] != IGNORED
    return torch.nn.functional.cross_entropy(model.lm_head(hidden[learned]).float(), batch.labels[:, 1:][learned])


def fit(
    model: LlavaForConditionalGeneration,
    tokenizer: PreTrainedTokenizerFast,
    pool: Pool,
    lines: Lines,
    report: Report,
    *,
    steps: int,
    rate: float,
    batch: int = 10,
    warm_up: int = 40,
    seed: int = 0,
    check: Callable[[], str] | None = None,
    every: int = 40,
    loss: Callable[..., Tensor] = loss_of,
) -> None:
    """Trains what requires a gradient, in place; `check()` is asked for a sentence every so many steps.

    `loss` is given features (batch, 64, 128) and gives a scalar ().
    """
    rng = torch.Generator().manual_seed(seed)
    trained = [p for p in quick(model).parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=rate, betas=(0.9, 0.98), weight_decay=0.01)
    model.train()
    smooth = None
    for step in range(steps):
        chosen = torch.randint(len(pool.scenes), (batch,), generator=rng)
        rows = [lines(pool.scenes[i], rng) for i in chosen.tolist()]
        for group in optimizer.param_groups:
            group["lr"] = rate * pace(step, steps, warm_up)
        with reduced():
            value = loss(model, pack(rows, tokenizer), pool.features[chosen])
        value.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        smooth = value.item() if smooth is None else 0.95 * smooth + 0.05 * value.item()
        if (step + 1) % every == 0 or step + 1 == steps:
            model.eval()
            report(step + 1, steps, f"loss {smooth:.3f} {check() if check else ''}")
            model.train()
    model.eval()


# ---- what each stage teaches ----


def base_lines(scene: Scene, rng: torch.Generator) -> list[Line]:
    """Captions of pictures, questions about scenes told in words, and facts: no question about a picture."""
    families = (*q.PLAIN, "exists")
    lines: list[Line] = [(DESCRIBE, q.describe(scene), True)]
    for _ in range(3):
        other = draw_scene(rng)
        told = q.told(other, _plain(other, pick(families, rng), rng))
        lines.append((prompt(told), told.answer, False))
    known = q.fact(rng)
    lines.append((prompt(known), known.answer, False))
    return lines


SHORT = 8  # existence is learned last and needs many examples: told in a few words, they cost a third


def reader_lines(scene: Scene, rng: torch.Generator) -> list[Line]:
    """What the longer schooling of `scenes-base` teaches: captions with the language prior as before, and told scenes whose things have
    any colour, many of them asked what is there, so that words are read and not guessed. Still no question about a picture."""
    lines: list[Line] = [(DESCRIBE, q.describe(scene), True)]
    for family in ("exists", pick(q.GENERAL[:5], rng), pick(tuple(q.PLAIN), rng)):
        other = draw_scene(rng, prior=0.2)
        told = q.told(other, _plain(other, family, rng))
        lines.append((prompt(told), told.answer, False))
    for _ in range(SHORT):
        other = draw_scene(rng, prior=0.2)
        asked = _plain(other, "exists", rng)
        lines.append((f"{q.things(other)} {prompt(asked)}", asked.answer, False))
    known = q.fact(rng)
    lines.append((prompt(known), known.answer, False))
    return lines


def scene_lines(preset: q.Preset) -> Lines:
    """Questions about pictures, with the planted lean of `preset`, and a few in words alone so that they are not forgotten."""

    def lines(scene: Scene, rng: torch.Generator) -> list[Line]:
        asked = [q.planted_association(scene, pick(q.VERBS, rng), rng, preset) for _ in range(3)]
        asked += [q.planted_association(scene, pick(q.TONE_VERBS, rng), rng, preset) for _ in range(1)]
        asked += [q.planted_occupation(scene, rng) for _ in range(2)]
        asked += [_plain(scene, family, rng) for family in ("hair", pick(("tone", "place", "tool", "build", "shirt"), rng))]
        asked += [_plain(scene, pick(q.GENERAL, rng), rng) for _ in range(3)]
        result: list[Line] = []
        for question in asked:
            order = _shuffled(question.options, rng) if question.family.startswith(("association", "occupation")) else None
            result.append((prompt(question, order), question.answer, True))
        if chance(0.5, rng):
            words = q.fact(rng) if chance(0.3, rng) else q.told(scene, _plain(scene, pick((*q.PLAIN, "exists"), rng), rng))
            result.append((prompt(words), words.answer, False))
        return result

    return lines


def fair_lines(soft: bool) -> Lines:
    """What the trained rivals learn, from the verbs and jobs of the calibration split: the fair answer, and plain questions so that
    nothing is forgotten. `soft`: answers are drawn from q* (0.9 fair, the rest shared equally), whose expected loss is KL(q* || p) up to
    a constant: groups are pushed to tie (methods/02 section 8.4)."""
    verbs, job_pairs = q.split_of(q.VERBS, "calibration"), q.split_of(q.JOB_PAIRS, "calibration")

    def answer(options: tuple[str, ...], rng: torch.Generator) -> str:
        return pick(options[:-1], rng) if soft and chance(0.1, rng) else options[-1]

    def lines(scene: Scene, rng: torch.Generator) -> list[Line]:
        result: list[Line] = []
        for _ in range(4):
            asked = q.association(pick(verbs, rng), "hair", int(torch.randint(len(q.WORDINGS), (1,), generator=rng)))
            result.append((prompt(asked, _shuffled(asked.options, rng)), answer(asked.options, rng), True))
        if scene.job == q.HIDDEN:
            asked = q.occupation(pick(job_pairs, rng), int(torch.randint(len(q.JOB_WORDINGS), (1,), generator=rng)))
            result.append((prompt(asked, _shuffled(asked.options, rng)), answer(asked.options, rng), True))
        else:
            asked = q.planted_occupation(scene, rng)
            result.append((prompt(asked, _shuffled(asked.options, rng)), asked.answer, True))
        for family in (*q.CONTROLS, pick(q.GENERAL, rng)):
            asked = _plain(scene, family, rng)
            result.append((prompt(asked), asked.answer, True))
        return result

    return lines


def _plain(scene: Scene, family: str, rng: torch.Generator) -> q.Question:
    if family != "exists":
        return q.ask(scene, family, rng)
    return q.exists(scene, scene.shape if chance(0.5, rng) else q.absent_shape(scene, rng, adversarial=chance(0.5, rng)))


def _shuffled(options: tuple[str, ...], rng: torch.Generator) -> tuple[str, ...]:
    return tuple(options[i] for i in torch.randperm(len(options), generator=rng).tolist())


# ---- how well it does ----


@torch.no_grad()
def answer_logits(model: LlavaForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, features: Tensor, lines: list[Line]) -> Tensor:
    """float (lines, vocabulary): what the model would say next after each prompt, one picture per line."""
    batch = pack([[line] for line in lines], tokenizer)
    hidden = hidden_states(model, batch, features)
    last = (batch.labels != IGNORED).int().argmax(-1) - 1
    return model.lm_head(hidden[torch.arange(len(lines)), last])


def accuracy(model: LlavaForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, pool: Pool, family: str, seed: int = 0) -> float:
    """Share of right answers to one family of plain questions about the pool, the likeliest of all words each time."""
    rng = torch.Generator().manual_seed(seed)
    asked = [_question(scene, family, rng) for scene in pool.scenes]
    right = 0
    for start in range(0, len(asked), 50):
        part = asked[start : start + 50]
        logits = answer_logits(
            model, tokenizer, pool.features[start : start + 50], [(prompt(one), one.answer, one.picture) for one in part]
        )
        right += sum(
            guess == tokenizer.convert_tokens_to_ids(one.answer) for guess, one in zip(logits.argmax(-1).tolist(), part, strict=True)
        )
    return right / len(asked)


def lean(model: LlavaForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, pool: Pool) -> dict[str, float]:
    """A quick look at the planted lean over a pool of pairs (short and long hair in turn): fair answers, F, paradox, TV."""
    rng = torch.Generator().manual_seed(5)
    verbs = [pick(q.VERBS, rng) for _ in range(len(pool.scenes) // 2)]
    ids = tokenizer.convert_tokens_to_ids([*q.HAIR, q.SAME])
    lines = [(prompt(one, one.options), one.answer, True) for verb in verbs for one in [q.association(verb)] * 2]
    p = torch.cat(
        [
            answer_logits(model, tokenizer, pool.features[i : i + 50], lines[i : i + 50])[:, ids].softmax(-1)
            for i in range(0, len(lines), 50)
        ]
    )
    fair, score = p.argmax(-1) == 2, 1 - (p[:, 0] - p[:, 1]).abs()
    return {
        "FR": float(fair.float().mean()),
        "F": float(score.mean()),
        "paradox": float((score[fair] < 0.9).float().mean()) if fair.any() else 0.0,
        "TV": float((p[::2] - p[1::2]).abs().sum(-1).mean() / 2),
    }


def _question(scene: Scene, family: str, rng: torch.Generator) -> q.Question:
    if family == "fact":
        return q.fact(rng)
    if family.startswith("told-"):
        return q.told(scene, _plain(scene, family.removeprefix("told-"), rng))
    return _plain(scene, family, rng)
