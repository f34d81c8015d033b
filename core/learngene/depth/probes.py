"""Paper 09, the slider: a network of the depth it stands at exists at once and is measured.

learngene/expand       answer: Descendant; figures coefficients, attention, prediction (and by_depth from every depth asked so far)
learngene/storage      answer: Storage; figures storage, epochs
learngene/linearity    answer: LinearGroups; figures linearity, positions, for any ViT or DeiT classifier
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor
from transformers import PreTrainedModel

from core.engine.answers import Answer, Measure
from core.engine.claims import recorded
from core.engine.errors import LabError
from core.engine.lab import Lab
from core.learngene.data import Task
from core.learngene.depth import figures
from core.learngene.depth.expansion import coefficients
from core.learngene.depth.experiments import linear_groups, stored_separately
from core.learngene.depth.learngene import load_learngene
from core.learngene.depth.spec import DEEPEST, ExpandConfig, LinearityConfig, StorageConfig
from core.learngene.figures import prediction
from core.learngene.focus import as_picture, focus_of, likeliest
from core.learngene.metrics import agreement, all_logits, latency_ms
from core.learngene.uploads import task_of
from core.learngene.vit import check_task, logits, look_closely, macs, parameters
from core.stats import beyond_chance, share_interval


@dataclass(frozen=True)
class Descendant(Answer):
    """A network of one depth, measured. Shares are 0..1 on the `pictures` shown, at most 256; sizes count the head.

    trained_depth: layers of the auxiliary model that the learngene was trained through; extrapolated: this network has more.
    answers: the likeliest classes of the picture in focus as (class, probability), likeliest first.
    seen: the picture in focus as the network gets it, 16 rows of 16 numbers from -1 to 1.
    single_ms, batch_ms: median time of one picture and of 64, None unless asked for.
    figures coefficients, attention, prediction, by_depth; picture seen. `sets` keeps the depths tried so far.
    """

    depth: int
    width: int
    trained_depth: int
    extrapolated: bool
    pictures: int
    parameters: int
    stored_parameters: int
    stored_bytes: int
    macs: int
    coefficients: list[float]
    right: float
    right_interval: tuple[float, float]
    ancestor_right: float
    agrees: float
    smallest_difference: float
    truth: str | None
    answers: list[tuple[str, float]]
    ancestor_answer: str
    seen: list[list[float]]
    single_ms: float | None
    batch_ms: float | None


def expand(config: ExpandConfig, lab: Lab) -> Descendant:
    """Grows a descendant, measures it on the fixed 256 pictures, and looks closely at one picture."""
    task = task_of(lab, config.task, config.pictures)
    gene, ancestor = load_learngene(lab, config.learngene, attention="eager"), lab.load(config.ancestor)
    check_task(gene.store, task.classes, "learngene")
    check_task(ancestor.model, task.classes, "ancestor")
    model, (pixels, labels) = gene.expand(config.depth), task.shown
    focus, truth = focus_of(task, config, lab)
    teacher = _ancestor_says(ancestor, task, lab)
    if config.drawing or config.own:
        said, ((scores,), maps) = all_logits(lambda part: logits(model, part), pixels), look_closely(model, focus)
        asked = logits(ancestor.model, focus)[0]
    else:  # one of the pictures that are measured anyway
        said, maps = look_closely(model, pixels, config.picture)
        scores, asked = said[config.picture], teacher[config.picture]
    answers, right = likeliest(task, scores), (said.argmax(-1) == labels).float().mean().item()
    shares, stored, n = coefficients(config.depth), parameters(gene.store), len(labels)
    tried = sorted({*config.tried, config.depth, *(range(1, DEEPEST + 1) if config.every else ())})
    mark = lab.load(config.learngene).fingerprint
    rights = {depth: right if depth == config.depth else _right_at(depth, gene, mark, task, lab) for depth in tried}
    ancestor_right = (teacher.argmax(-1) == labels).float().mean().item()
    single, batch = (_time(model, pixels[:size]) if config.latency else None for size in (1, 64))
    asked_for = task.classes[asked.argmax().item()]
    return Descendant(
        depth=config.depth, width=model.config.hidden_size, trained_depth=gene.depth, extrapolated=config.depth > gene.depth,
        pictures=len(labels), parameters=parameters(model), stored_parameters=stored, stored_bytes=2 * stored, macs=macs(model.config),
        coefficients=shares,
        right=right, right_interval=share_interval(right, len(labels)),
        ancestor_right=ancestor_right, agrees=agreement(said, teacher),
        smallest_difference=beyond_chance(right, len(labels)), truth=truth, answers=answers,
        ancestor_answer=asked_for, seen=focus[0, 0].tolist(), single_ms=single, batch_ms=batch,
        **_said(config.depth, gene.depth, right, n, answers[0][0], truth, asked_for),
        numbers=_tiles(model, stored, right, ancestor_right, agreement(said, teacher), n, single, batch), sets={"tried": tried},
        images={"seen": as_picture(focus)},
        figures={"by_depth": figures.tried(rights, config.depth, n, ancestor_right),
                 "coefficients": figures.coefficients(shares), "prediction": prediction(*zip(*answers, strict=True)),
                 "attention": figures.attention([given.tolist() for given in maps])})


def _right_at(depth: int, gene: Any, fingerprint: str, task: Task, lab: Lab) -> float:
    """The share of right answers at another depth, measured once per process."""
    key = ("right at", fingerprint, task.name, task.mark, depth)
    if (known := lab.cache.get(key)) is None:
        model, (pixels, labels) = gene.expand(depth), task.shown
        known = lab.cache[key] = (all_logits(lambda part: logits(model, part), pixels).argmax(-1) == labels).float().mean().item()
    return known


def _said(depth: int, trained: int, right: float, n: int, answer: str, truth: str | None, ancestor: str) -> dict[str, str]:
    """The answer in words."""
    beyond = f" That is deeper than anything it was trained for ({trained} layers)." if depth > trained else ""
    layers = "1 layer" if depth == 1 else f"{depth} layers"
    return {"says": f"{layers}, no training: right in {right:.1%} of {n} pictures.{beyond}",
            "aside": f"Here it says {answer} ({f'it is {truth}' if truth else 'your own picture'}); the ancestor says {ancestor}."}


def _tiles(model: PreTrainedModel, stored: int, right: float, ancestor: float, agrees: float, n: int, single: float | None,
           batch: float | None) -> dict[str, Measure]:
    low, high = share_interval(right, n)
    return {"right": Measure(right, "share", f"95 % interval {low:.0%} to {high:.0%}; ancestor {ancestor:.1%}"),
            "agrees": Measure(agrees, "share", f"of {n} pictures"),
            "parameters": Measure(parameters(model), "", f"{model.config.hidden_size} wide, all made from {stored:,}"),
            "stored": Measure(round(2 * stored / 1000), "kB", "the same at every depth"),
            "macs": Measure(round(macs(model.config) / 1e6, 2), "million", "for one picture"),
            "ms": Measure(single, "ms", "" if batch is None else f"{batch:.3g} ms for 64")}


def _ancestor_says(ancestor: Any, task: Task, lab: Lab) -> Tensor:
    """The ancestor's logits on the pictures shown, computed once per process."""
    key = (ancestor.fingerprint, "shown", task.name, task.mark)
    if (known := lab.cache.get(key)) is None:
        known = lab.cache[key] = all_logits(lambda part: logits(ancestor.model, part), task.shown[0])
    return known


def _time(model: PreTrainedModel, pixels: Tensor) -> float:
    return latency_ms(lambda: logits(model, pixels))


@dataclass(frozen=True)
class Storage(Answer):
    """Numbers to store and epochs to train for all depths asked for; with the head, and without it as the paper counts.

    auxiliary: the epochs that the learngene itself took, counted in epochs_inherited; None, and not counted, where nobody wrote it down.
    """

    learngene: int
    separate: int
    ratio: float
    ratio_without_head: float
    auxiliary: int | None
    epochs_inherited: int
    epochs_scratch: int


def storage(config: StorageConfig, lab: Lab) -> Storage:
    """The storage card and the total of epochs, the auxiliary model's own counted (methods/09 sections 6 and 7)."""
    gene, depths = load_learngene(lab, config.learngene), tuple(sorted(set(config.depths)))
    one, many, head = parameters(gene.store), stored_separately(gene, depths), parameters(gene.parts.head)
    drawn = {"storage": figures.storage(one, many, depths), "epochs": figures.epochs(depths, gene.epochs, config.each, config.scratch)}
    bare = (many - len(depths) * head) / (one - head)
    inherited, scratch = (gene.epochs or 0) + len(depths) * config.each, len(depths) * config.scratch
    own = (f"{gene.epochs} of them for the learngene itself" if gene.epochs is not None
           else "those of the learngene itself not counted, because they were not written down")
    return Storage(one, many, many / one, bare, gene.epochs, inherited, scratch, figures=drawn,
                   says=f"{many / one:.1f} times less to store.",
                   aside=f"Without the last step: {bare:.1f} times (our arithmetic; how the paper counts could not be read). Training: "
                         f"{inherited} passes, {own}, against {scratch} from scratch. Passes say nothing about how good the networks "
                         f"become.{_how_good()}")


def _how_good() -> str:
    """What the evidence measured of quality at the passes that the question opens with."""
    row = next(row for row in recorded("09") if row["id"] == "09.T10")
    if row["measured"] is None:
        return ""
    points = 100 * row["measured"]
    return (f" Measured on digits: 20 passes after inheriting are {abs(points):.1f} points {'behind' if points < 0 else 'ahead of'} 100 "
            f"from scratch (the worse of two depths, mean of {len(row['seeds'])} trainings).")


@dataclass(frozen=True)
class LinearGroups(Answer):
    """Per group of weights: does a straight line over the layers explain more than in shuffled layers?"""

    rows: list[dict[str, Any]]
    above_chance: int


def linearity(config: LinearityConfig, lab: Lab) -> LinearGroups:
    """Position against weight for every matrix of every layer, with the band that shuffled layers give (methods/09 section 5)."""
    rows = linear_groups(lab.load(config.model).model, lab)
    if not rows:
        raise LabError("A line through fewer than four layers says nothing.", "Choose a model with at least four layers.")
    above = sum(row.r2 > row.chance_p95 for row in rows)
    return LinearGroups([asdict(row) for row in rows], above, aside="About one in twenty would by luck alone.",
                        says=f"In {above} of {len(rows)} groups of weights a line explains more than 95 of 100 shuffles do.",
                        figures={"linearity": figures.linearity(rows), "positions": figures.positions(rows)})
