"""Paper 06, live: where a model looks while it answers, and the same model with a steering turned down or up.

steering/look        answer: LookAnswer; figures answers, lmar, patches; table words; picture seen; numbers lmar, share
steering/strength    answer: StrengthAnswer; figures bars, lmar, patches; table words; numbers before, after, moved
"""

from __future__ import annotations

import threading
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.engine.answers import Answer, Measure
from core.engine.errors import LabError
from core.engine.lab import Lab
from core.engine.lens import unembed
from core.engine.trace import Site, sites, trace
from core.scenes.packing import IMAGE_TOKENS, hidden_states, pack
from core.steering import anymodel, figures, showing
from core.steering.attention import Looks, read, watching
from core.steering.data import Scenes, at, patch_side, prompt, prompt_ends
from core.steering.keeping import Stored, read_kept
from core.steering.methods import Tuned
from core.steering.rows import Row
from core.steering.spec import LookConfig, MeasuredConfig, StrengthConfig
from core.steering.training import keys

WORDS = 5
SHIPPED = "mores"  # the steering beside embedded/scenes-base
_one_at_a_time = threading.Lock()  # attention is read through hooks on modules that these probes share


@dataclass(frozen=True, kw_only=True)
class LookAnswer(Answer):
    """lmar: per layer.  words: what each layer would say."""

    lmar: list[float]
    words: list[str]


@dataclass(frozen=True, kw_only=True)
class StrengthAnswer(Answer):
    """The answer before and after, and the largest difference of all logits."""

    before: str
    after: str
    moved: float


@dataclass
class Seen:
    """One question answered: logits (vocabulary,), what each layer would say, and attention (None without a picture)."""

    logits: Tensor
    words: list[str]
    looks: Looks | None


def look(config: LookConfig, lab: Lab) -> LookAnswer:
    """Any model that sees and reads: answer, attention per layer, and the words on the way."""
    loaded = lab.load(config.model)
    if not anymodel.speaks_of_scenes(loaded):
        return anymodel.looked(config, lab, LookAnswer)
    scenes = Scenes(loaded)
    seen = _ask(_plain(lab, scenes), scenes, showing.values(lab, config), config.question, 0.0)
    if not 1 <= config.layer <= scenes.layers:
        raise LabError(f"This model has {scenes.layers} layers.", f"Choose one from 1 to {scenes.layers}.")
    ratios = seen.looks.lmar().tolist()
    p = seen.logits.softmax(-1)
    top = p.topk(WORDS)
    said = _words(scenes, top.indices)
    share = float(seen.looks.share.mean())
    return LookAnswer(
        lmar=ratios, words=seen.words,
        says=f"It says '{said[0]}'. A patch of the picture gets {ratios[config.layer - 1]:.2f} times the attention of a word in layer "
             f"{config.layer}.",
        aside="Below 1 words win. That a model looks does not yet mean that it answers from what it sees.",
        numbers={"lmar": Measure(seen.looks.mean(), remark="mean over layers"), "share": Measure(share, "share", "of all attention"),
                 "balance": Measure(seen.looks.balance_error(), remark="0: balanced")},
        figures={"answers": figures.bars(said, {"now": top.values.tolist()}), "lmar": figures.lmar({"this question": ratios}),
                 "patches": figures.patches({f"layer {config.layer}": _map(seen.looks, config.layer - 1),
                                             "mean of all": _map(seen.looks)}, [])},
        tables={"words": _layers({"would say": seen.words}, seen.looks)}, images={"seen": showing.address(lab, config)})


def strength(config: StrengthConfig, lab: Lab) -> StrengthAnswer:
    """The same question without and with the steering; at strength 0 both are the same model, bit for bit."""
    loaded = lab.load(config.model)
    scenes = Scenes(loaded)
    stored, key = _steering(lab, config, scenes)
    view = showing.values(lab, config) if config.shown else None
    before = _ask(_plain(lab, scenes), scenes, view, config.question, 0.0)
    trained = config.connector == "trained" and stored.connector is not None
    after = _ask(_steered(lab, scenes, stored, key, trained), scenes, view, config.question, config.strength)
    p, q = before.logits.softmax(-1), after.logits.softmax(-1)
    ids = torch.unique(torch.cat([p.topk(WORDS - 1).indices, q.topk(WORDS - 1).indices]))
    ids = ids[torch.maximum(p[ids], q[ids]).argsort(descending=True)]
    words = _words(scenes, ids)
    first, second = (_words(scenes, one.argmax()[None])[0] for one in (p, q))
    moved = float((after.logits - before.logits).abs().max())
    says = f"Untouched it says '{first}', steered '{second}'." if moved else f"Both say '{first}': no number differs, not in the last bit."
    aside = ("No picture, so there is nothing to steer: text is answered as before." if view is None else
             f"{scenes_count(stored)} numbers steer {'the picture' if stored.method == 'mores' else 'the question'}"
             + (", and the connector that was trained with them is in place." if trained else "; the connector is as before training."))
    return StrengthAnswer(
        before=first, after=second, moved=moved, says=says, aside=aside,
        numbers={"before": Measure(float(p[p.argmax()]), "share", f"for '{first}', untouched"),
                 "after": Measure(float(q[q.argmax()]), "share", f"for '{second}', steered"),
                 "moved": Measure(moved, remark="largest difference of a logit")},
        figures={"bars": figures.bars(words, {"untouched": p[ids].tolist(), "steered": q[ids].tolist()})}
        | _attention(before, after, stored),
        tables={"words": _layers({"untouched": before.words, "steered": after.words}, None)},
        images={"seen": showing.address(lab, config)} if config.shown else {})


def measured(config: MeasuredConfig, lab: Lab) -> Answer:
    """All points on one picture: what each way of training reached, and what it cost by either count."""
    keys = ("name", "recipe", "inside", "total", "share", "n")
    rows = [dict(zip(keys, point, strict=True)) for point in config.points]
    if not rows:
        return Answer(says="Nothing has been measured on this page yet.", aside="Press Run, and its points appear here.")
    table = {"columns": ["method", "inside", "with connector", "right", "questions"],
             "rows": [[row["name"], row["inside"], row["total"], round(row["share"], 4), row["n"]] for row in rows]}
    return Answer(says=f"{len(rows)} ways of training, measured here.", aside="Thin lines: 95 %. Runs of other lengths are not alike.",
                  figures={"against": figures.against(rows)}, tables={"points": table})


def scenes_count(stored: Stored) -> str:
    """How many numbers a steering has, for a sentence."""
    return f"{stored.steering.count():,}"


def _attention(before: Seen, after: Seen, stored: Stored) -> dict[str, Any]:
    if before.looks is None or after.looks is None:
        return {}
    patches = stored.patches if stored.method == "mores" and len(stored.patches) < IMAGE_TOKENS else []
    return {"lmar": figures.lmar({"untouched": before.looks.lmar().tolist(), "steered": after.looks.lmar().tolist()},
                                 {"untouched": figures.WHO["base"], "steered": figures.WHO["steered"]}),
            "patches": figures.patches({"untouched": _map(before.looks), "steered": _map(after.looks)}, patches)}


@torch.no_grad()
def _ask(one: Tuned, scenes: Scenes, view: Tensor | None, question: str, strength: float) -> Seen:
    """`view` float (1, 3, 64, 64), or None: the question in words alone."""
    text = " ".join(question.lower().split())
    if not text:
        raise LabError("There is no question.", "Ask, for example: what colour is the ball ?")
    scenes.known(text)
    batch = pack([[(prompt(text), "answer", view is not None)]], scenes.tokenizer)
    if batch.ids.shape[1] > scenes.model.config.text_config.max_position_embeddings:
        raise LabError("That question is too long for this model.", "Ask in fewer words.")
    features = scenes.view(view) if view is not None else torch.zeros(1, IMAGE_TOKENS, scenes.model.config.vision_config.hidden_size)
    rows, places = batch.last()
    one.strength = strength
    wanted = [Site(0, "resid_pre"), *sites(one.model, "resid_post")]
    with _one_at_a_time, watching(one.model, rows, places) as weights, trace(one.model, capture=wanted, edit=one.plan(batch)) as acts:
        hidden_states(one.model, batch, features)
    states = torch.stack([acts[site][0, places[0]] for site in wanted])
    logits = unembed(one.model, states).float()
    looks = read(weights, *keys(batch, rows, places), maps=True) if view is not None else None
    return Seen(logits[-1], _words(scenes, logits.argmax(-1)), looks)


def _plain(lab: Lab, scenes: Scenes) -> Tuned:
    key = (scenes.fingerprint, "steering", "eager")
    if (known := lab.cache.get(key)) is None:
        model = lab.fork(scenes.ref, share_weights=True, attention="eager").model.eval()
        lab.cache[key] = known = Tuned(Row("untouched", "base", 0), model, [], 0, 0)
    return known


def _steered(lab: Lab, scenes: Scenes, stored: Stored, key: str, connector: bool) -> Tuned:
    model = _plain(lab, scenes).model
    if connector:
        known = lab.cache.get((scenes.fingerprint, "steering", "eager", key))
        if known is None:
            known = lab.fork(scenes.ref, share_weights=True, attention="eager").model.eval()
            projector = deepcopy(scenes.model.model.multi_modal_projector)
            projector.load_state_dict(stored.connector)
            known.model.multi_modal_projector = projector.requires_grad_(False)
            lab.cache[(scenes.fingerprint, "steering", "eager", key)] = known
        model = known

    def editing(batch: Any, strength: float) -> dict:
        return stored.steering.edits(at(batch, stored.patches) if stored.method == "mores" else prompt_ends(batch), strength)

    return Tuned(Row("steered", stored.method, 0), model, [], 0, 0, editing)


def _steering(lab: Lab, config: StrengthConfig, scenes: Scenes) -> tuple[Stored, str]:
    if config.steering:
        folder, key = lab.kept(config.steering), config.steering
    else:
        folder, key = lab.folder("scenes-base") / SHIPPED, "embedded"
    known = lab.cache.get((scenes.fingerprint, "steering", "stored", key))
    if known is None:
        known = read_kept(folder, scenes)
        lab.cache[(scenes.fingerprint, "steering", "stored", key)] = known
    return known, key


def _map(looks: Looks, layer: int | None = None) -> np.ndarray:
    flat = looks.maps[0].mean(0) if layer is None else looks.maps[0, layer]
    return flat.view(patch_side(len(flat)), -1).numpy()


def _words(scenes: Scenes, ids: Tensor) -> list[str]:
    return [scenes.tokenizer.decode([i]).strip() or "·" for i in ids.tolist()]


def _layers(columns: dict[str, list[str]], looks: Looks | None) -> dict[str, Any]:
    ratios = ["", *(round(v, 3) for v in looks.lmar().tolist())] if looks else None
    count = len(next(iter(columns.values())))
    return {"columns": ["after layer", *columns, *(["LMAR"] if ratios else [])],
            "rows": [["start" if i == 0 else i, *(words[i] for words in columns.values()), *([ratios[i]] if ratios else [])]
                     for i in range(count)]}
