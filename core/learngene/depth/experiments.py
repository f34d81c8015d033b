"""Paper 09: train a learngene, and let its descendants learn on.

learngene/train      metrics  loss auxiliary, accuracy auxiliary (per epoch), ancestor accuracy, auxiliary accuracy,
                              zero-shot D for D in 1..16, one-less D for D in 2..4, flat accuracy (slope set to
                              zero), parameters, ancestor parameters
                     figures  training, by_depth (also while it learns), linearity, positions, storage
                     tables   by_depth
                     keeps    learngene, and ancestor where it had to learn the classes first (loss ancestor, accuracy ancestor)
learngene/finetune   metrics  loss NAME, accuracy NAME (per epoch), start NAME, end NAME; NAME is inherited, scratch, or the rival's
                     figures  training, epochs
                     tables   compared
                     keeps    inherited, and ancestor where it had to learn the classes to teach a rival (loss, accuracy ancestor)
learngene/expand     a probe, in probes.py; learngene/linearity likewise

Accuracy is the share of right answers on the task's test pictures, 0..1. A visitor's pictures may take the place of a task
(core/learngene/uploads.py).
"""

from __future__ import annotations

import copy
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor
from transformers import PreTrainedModel

from core.engine.events import Event, Figure, Keep, Metric, Progress, Table, Verdict
from core.engine.lab import Lab
from core.engine.models import LoadedModel
from core.engine.steps import Pacer, remembered
from core.learngene import headlines
from core.learngene.data import Task
from core.learngene.depth import figures
from core.learngene.depth.learngene import Learngene, freeze_slope, load_learngene, new_learngene
from core.learngene.depth.rivals import RIVALS, Start
from core.learngene.depth.spec import DEEPEST, TICKED, FinetuneConfig, TrainConfig
from core.learngene.metrics import Linearity, accuracy, linearity, weight_groups
from core.learngene.running import Curves, Teller, race, told
from core.learngene.spec import SCRATCH_RATE, TEACH
from core.learngene.training import Recipe, Step, born_from, fit, soft_distillation, steps_of, supervised
from core.learngene.uploads import knowing, taking
from core.learngene.vit import block_parameters, check_task, logits, macs, new_head, parameters, parts_of
from core.stats import beyond_chance, share_interval

AUXILIARY_EPOCHS = 100  # passes of stage 1 when a run trains its learngene afresh
ONE_LESS = (2, 3, 4)  # depths at which dividing by one less is compared (methods/09 T12)
GLANCED = (1, 2, 4, 8, 12, 16)  # depths measured while it learns



def train(config: TrainConfig, lab: Lab) -> Iterator[Event]:
    """Stage 1: an auxiliary model whose layers all come from two sets of numbers learns to answer as the ancestor does."""
    yield Progress(0, 1, "getting ready")
    task = yield from taking(lab, config.task, config.pictures)
    ancestor = yield from knowing(lab, config.ancestor, task, config.teach)
    gene = yield from Curves().along(stage_one(config, lab, task, ancestor, glance=True))
    yield Keep("learngene", gene.store)
    yield from _look_at(gene, ancestor.model, task, lab)


def stage_one(config: TrainConfig, lab: Lab, task: Task, ancestor: LoadedModel, glance: bool = False) -> Generator[Event, None, Learngene]:
    """Trains a learngene, or takes the one that an equal request of this process trained.

    `glance`: measure other depths as well while it learns.
    """
    key = (ancestor.fingerprint, "learngene", lab.seed, task.mark, config.model_dump_json())
    shape = ancestor.model.config
    with born_from(lab.rng("learngene")):
        gene = new_learngene(config.depth, shape.hidden_size, shape.num_attention_heads, task.classes, config.epochs)

    def again(state: dict[str, Tensor]) -> Learngene:
        gene.store.load_state_dict(state)
        return gene

    return (yield from remembered(
        lab, key, lambda: _trained(config, lab, task, ancestor, gene, glance), again=again,
        keep=lambda made: {name: tensor.clone() for name, tensor in made.store.state_dict().items()}))


def _trained(config: TrainConfig, lab: Lab, task: Task, ancestor: LoadedModel, gene: Learngene,
             glance: bool) -> Generator[Event, None, Learngene]:
    if config.flat:
        freeze_slope(gene)
    loss_of = soft_distillation(gene, lambda pixels: logits(ancestor.model, pixels), alpha=config.alpha, tau=config.tau,
                                legacy=config.legacy_loss)
    recipe = Recipe(config.epochs, config.rate)
    progress = Pacer(steps_of(task, recipe) + 2 * DEEPEST)
    yield from progress.step("getting ready", 0)
    for event in told(fit(gene.store.named_parameters(), loss_of, task, recipe, lab.rng("pictures")), "auxiliary", progress,
                      lambda: accuracy(gene, *task.shown), every=max(1, config.epochs // 20)):
        yield event
        if glance and isinstance(event, Metric) and event.name == "accuracy auxiliary":
            yield Figure("by_depth", _glance(gene, task))
    gene.store.requires_grad_(False)
    return gene


def _glance(gene: Learngene, task: Task) -> dict[str, Any]:
    curve = {depth: accuracy(lambda pixels, depth=depth: gene(pixels, depth), *task.shown) for depth in GLANCED}
    return figures.by_depth({"straight from the learngene": curve}, n=len(task.shown[1]), auxiliary_depth=gene.depth)


def _look_at(gene: Learngene, ancestor: PreTrainedModel, task: Task, lab: Lab) -> Iterator[Event]:
    test, n = (task.test_pixels, task.test_labels), len(task.test_labels)
    progress = Pacer(2 * DEEPEST)
    curve: dict[int, float] = {}
    for depth in range(1, DEEPEST + 1):
        yield from progress.step(f"looking at depth {depth}", 2)
        curve[depth] = accuracy(lambda pixels, depth=depth: gene(pixels, depth), *test)
        yield Metric(f"zero-shot {depth}", curve[depth])
        if depth in ONE_LESS:
            share = accuracy(lambda pixels, depth=depth: gene(pixels, depth, divisor=depth - 1), *test)
            yield Metric(f"one-less {depth}", share)
    teacher = accuracy(lambda pixels: logits(ancestor, pixels), *test)
    own, flat = curve[gene.depth], accuracy(_flattened(gene), *test)
    yield Metric("ancestor accuracy", teacher)
    yield Metric("auxiliary accuracy", own)
    yield Metric("flat accuracy", flat)
    yield Metric("parameters", parameters(gene.store))
    yield Metric("ancestor parameters", parameters(ancestor))
    yield Figure("by_depth", figures.by_depth({"straight from the learngene": curve}, n=n, ancestor=teacher, auxiliary_depth=gene.depth))
    rows = linear_groups(ancestor, lab)
    if rows:
        yield Figure("linearity", figures.linearity(rows))
        yield Figure("positions", figures.positions(rows))
    yield Figure("storage", figures.storage(parameters(gene.store), stored_separately(gene, TICKED), TICKED))
    yield Table("by_depth", ["depth", "right", "95 % from", "95 % to", "parameters", "multiply-adds"],
                [[depth, share, *share_interval(share, n), descendant_parameters(gene, depth), macs(gene.store.config, depth)]
                 for depth, share in curve.items()])
    good = [depth for depth, share in curve.items() if share >= own - 0.05]
    evidence = {"auxiliary": own, "ancestor": teacher, "within 5 points": good, "n": n, "smallest difference": beyond_chance(own, n)}
    learned = own > 2 / len(task.classes)
    yield Verdict(
        f"Two layers' worth of numbers gave {len(good)} networks, of depth {good[0]} to {good[-1]}, within 5 points of the one that was "
        f"trained ({own:.1%} right at depth {gene.depth}); the ancestor has {teacher:.1%}." if learned else
        f"After this little training the auxiliary model is right in {own:.1%} of the cases only: give it more epochs.",
        evidence, headlines.trained(evidence) if learned else "")


def linear_groups(model: PreTrainedModel, lab: Lab) -> list[Linearity]:
    """Position against weight for every matrix of a model's layers; nothing for fewer than four layers."""
    blocks = parts_of(model).blocks
    if len(blocks) < 4:
        return []
    return [linearity(name, layers, lab.rng(f"shuffles {name}")) for name, layers in weight_groups(blocks).items()]


def descendant_parameters(gene: Learngene, depth: int) -> int:
    """Numbers in a descendant, by formula."""
    return parameters(gene.store) + (depth - 2) * block_parameters(gene.store.config)


def stored_separately(gene: Learngene, depths: tuple[int, ...]) -> int:
    """Numbers to store when every depth is a network of its own."""
    return sum(descendant_parameters(gene, depth) for depth in depths)


def _flattened(gene: Learngene) -> Learngene:
    flat = Learngene(copy.deepcopy(gene.store))
    freeze_slope(flat)
    return flat


@dataclass
class _Racer:
    """One network that learns, and how."""

    name: str
    model: PreTrainedModel
    recipe: Recipe
    teacher: PreTrainedModel | None = None


def finetune(config: FinetuneConfig, lab: Lab) -> Iterator[Event]:
    """Stage 2: all layers of a descendant become independent and learn on labels, side by side with networks that inherited nothing.

    They take turns, one step each, on the same pictures; nobody's numbers depend on who else runs.
    """
    yield Progress(0, 1, "getting ready")
    source = yield from taking(lab, config.source, config.source_pictures)
    task = yield from taking(lab, config.task, config.pictures)
    ancestor = (lab.fork if config.rival == "gradient" else lab.load)(config.ancestor)
    gene = load_learngene(lab, config.learngene)
    check_task(gene.store, source.classes, "learngene")
    if config.retrain or config.rival in ("heuristic", "gradient", "every_other"):  # only these ask it about the source
        check_task(ancestor.model, source.classes, "ancestor")
    if config.retrain:
        again = TrainConfig(task=config.source, pictures=config.source_pictures, ancestor=config.ancestor, depth=gene.depth,
                            epochs=AUXILIARY_EPOCHS)
        gene = yield from stage_one(again, lab, source, ancestor)
    racers = yield from _line_up(config, lab, Start(gene, ancestor.model, config.depth, task, source, lab.rng("gradients")))
    progress = Pacer(sum(steps_of(task, racer.recipe) for racer in racers))
    test, curves = (task.test_pixels, task.test_labels), Curves()
    for racer in racers:
        model = racer.model.requires_grad_(True)
        curves.note(racer.name, 0, accuracy(lambda pixels, model=model: logits(model, pixels), *test))
        yield Metric(f"start {racer.name}", curves.points[racer.name][1][0])
    yield from curves.along(race([_training(racer, task, progress, lab) for racer in racers]))
    for racer in racers:
        racer.model.eval().requires_grad_(False)
    yield Keep("inherited", racers[0].model)
    yield from _compare(config, gene, racers, curves, task)


def _line_up(config: FinetuneConfig, lab: Lab, start: Start) -> Iterator[Event]:
    """The descendant, the network from scratch, and the rival if one is asked for; its teacher learns the classes first if need be."""
    same = start.task.classes == start.source.classes
    with born_from(lab.rng("head")):
        descendant = start.gene.expand(config.depth, None if same else start.task.classes)
    with born_from(lab.rng("scratch")):
        scratch = RIVALS["scratch"](start)
    racers = [_Racer("inherited", descendant, Recipe(config.epochs, config.rate, warm_up=0.0)),
              _Racer("scratch", scratch, Recipe(config.scratch_epochs, SCRATCH_RATE))]
    if config.rival == "none":
        return racers
    inherits = config.rival in ("pretrained", "every_other")
    recipe = Recipe(config.scratch_epochs, config.rate if inherits else SCRATCH_RATE, warm_up=0.0 if inherits else 0.1)
    if config.rival == "pretrained":
        racers.append(_Racer(config.rival, (yield from _pretrained(config, lab, start)), recipe))
    else:
        teacher = (yield from knowing(lab, config.ancestor, start.task, TEACH)).model if config.rival == "distilled" else None
        with born_from(lab.rng("rival")):
            rival = RIVALS[config.rival](start)
        racers.append(_Racer(config.rival, rival, recipe, teacher))
    return racers


def _pretrained(config: FinetuneConfig, lab: Lab, start: Start) -> Iterator[Event]:
    """Pre-Fin: a network of exactly this depth, trained on the source's labels first."""
    with born_from(lab.rng("rival")):
        model = RIVALS["pretrained"](replace(start, task=start.source))
    recipe = Recipe(config.pretrain_epochs, SCRATCH_RATE)
    progress = Pacer(steps_of(start.source, recipe))
    steps = fit(model.named_parameters(), supervised(lambda pixels: logits(model, pixels)), start.source, recipe, lab.rng("pretraining"))
    yield from told(steps, "pretraining", progress, lambda: accuracy(lambda pixels: logits(model, pixels), *start.source.shown),
                    every=config.pretrain_epochs)
    if start.task.classes != start.source.classes:
        with born_from(lab.rng("rival head")):
            new_head(model, start.task.classes)
    return model


def _training(racer: _Racer, task: Task, progress: Pacer, lab: Lab) -> tuple[Iterator[Step], Teller]:
    """One network's steps, on the same pictures in the same order as every other's, and who tells of them."""
    def scores_of(pixels):
        return logits(racer.model, pixels)

    loss_of = supervised(scores_of)
    if racer.teacher is not None:
        loss_of = soft_distillation(scores_of, lambda pixels: logits(racer.teacher, pixels))
    steps = fit(racer.model.named_parameters(), loss_of, task, racer.recipe, lab.rng(f"pictures {task.name}"))
    test = (task.test_pixels, task.test_labels)
    return steps, Teller(racer.name, progress, lambda: accuracy(scores_of, *test), every=max(1, racer.recipe.epochs // 20))


def _compare(config: FinetuneConfig, gene: Learngene, racers: list[_Racer], curves: Curves, task: Task) -> Iterator[Event]:
    n, shares = len(task.test_labels), {racer.name: curves.points[racer.name][1] for racer in racers}
    for name, curve in shares.items():
        yield Metric(f"end {name}", curve[-1])
    yield Figure("epochs", figures.epochs(TICKED, gene.epochs, config.epochs, config.scratch_epochs))
    rows = [[racer.name, racer.recipe.epochs, shares[racer.name][0], shares[racer.name][-1], *share_interval(shares[racer.name][-1], n)]
            for racer in racers]
    yield Table("compared", ["network", "epochs", "right before", "right after", "95 % from", "95 % to"], rows)
    inherited, scratch = shares["inherited"][-1], shares["scratch"][-1]
    least = beyond_chance((inherited + scratch) / 2, n)
    told_apart = ("That is more than chance would give." if abs(inherited - scratch) > least else "That difference could be chance."
                  if least < 1 else f"With only {n} test picture{'s' * (n > 1)} no difference can be told from chance: bring more.")
    evidence = {"inherited": inherited, "scratch": scratch, "n": n, "smallest difference": least,
                "auxiliary epochs not counted": gene.epochs}
    yield Verdict(f"With {config.depth} layers, after {config.epochs} passes over the pictures the network that inherited is right in "
                  f"{inherited:.1%}, the one from scratch after {config.scratch_epochs} in {scratch:.1%} of {n} pictures. {told_apart}",
                  evidence, headlines.finetuned(evidence))
