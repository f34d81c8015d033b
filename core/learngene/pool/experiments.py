"""Paper 10: distil a pool of blocks, stitch it, and measure every path.

learngene/pool     metrics  loss NAME, accuracy NAME (per epoch; NAME is small or large), end small, end large, ancestor accuracy
                   figures  training, storage
                   tables   storage
                   keeps    small, large (together a pool; its stitches are still random)
learngene/stitch   metrics  loss pool, accuracy pool (per epoch: mean over the stitched paths on 256 pictures), before WAY and
                            after WAY for every path (WAY is small, large, or J-K), stitched before, stitched after (means),
                            rank correlation (multiply-adds against accuracy, stitched paths), alone WIDTH (networks trained
                            alone, in rivals.py)
                   figures  board, pareto, training, storage
                   tables   paths, alone
                   keeps    small, large
learngene/inits    metrics  loss INIT, accuracy INIT (per epoch), before INIT, after INIT; INIT is a name of stitches.INITS
                   figures  inits, training
                   tables   inits
learngene/path     a probe, in probes.py

Accuracy is the share of right answers on the task's test pictures, 0..1.
"""

from __future__ import annotations

import copy
from collections.abc import Generator, Iterator

import torch
from torch import nn
from transformers import PreTrainedModel, ViTConfig

from core.engine.events import Event, Figure, Keep, Metric, Progress, Table, Verdict
from core.engine.lab import Lab
from core.engine.models import LoadedModel
from core.engine.steps import Pacer, remembered
from core.learngene import headlines
from core.learngene.data import Task
from core.learngene.metrics import accuracy
from core.learngene.pool import figures
from core.learngene.pool.distil import Distillation
from core.learngene.pool.paths import LARGE, SMALL, Way, all_paths, front, macs_of, paired, parameters_of, plain_parameters, stored
from core.learngene.pool.pool import THIRDS, Matrices, Pool
from core.learngene.pool.rivals import Rival, alone, best_within
from core.learngene.pool.spec import InitsConfig, PoolConfig, StitchConfig
from core.learngene.pool.stitches import INITS, initialise
from core.learngene.running import Curves, Teller, race
from core.learngene.training import Recipe, Step, born_from, fit, steps_of, supervised
from core.learngene.uploads import knowing, taking
from core.learngene.vit import logits, new_model
from core.stats import beyond_chance, share_interval

HEADS = 3


def pool(config: PoolConfig, lab: Lab) -> Iterator[Event]:
    """Stage 1: one ancestor becomes a small and a large model of few blocks; every block is a learngene instance."""
    yield Progress(0, 1, "getting ready")
    task = yield from taking(lab, config.task, config.pictures)
    ancestor = yield from knowing(lab, config.ancestor, task, config.teach)
    made = yield from Curves().along(instances(config, lab, task, ancestor))
    test, classes = (task.test_pixels, task.test_labels), len(task.classes)
    shares = {way: accuracy(lambda pixels, way=way: made(pixels, way), *test) for way in (SMALL, LARGE)}
    teacher = accuracy(lambda pixels: logits(ancestor.model, pixels), *test)
    for way, share in shares.items():
        yield Metric(f"end {way.name}", share)
    yield Metric("ancestor accuracy", teacher)
    for name, model in made.pack().items():
        yield Keep(name, model)
    sizes = storage_rows(made, ancestor.model.config, classes)
    yield Figure("storage", figures.storage(sizes))
    yield Table("storage", ["what is stored", "numbers"], [list(row) for row in sizes.items()])
    evidence = {"small": shares[SMALL], "large": shares[LARGE], "ancestor": teacher, "n": len(task.test_labels)}
    yield Verdict(f"Of an ancestor that is right in {teacher:.1%}, a small model ({shares[SMALL]:.1%}) and a large one "
                  f"({shares[LARGE]:.1%}) of {config.blocks} blocks each were made: {2 * config.blocks} blocks to build "
                  f"{3 * config.blocks} models from.",
                  evidence, headlines.pooled(evidence))


def instances(config: PoolConfig, lab: Lab, task: Task, ancestor: LoadedModel) -> Generator[Event, None, Pool]:
    """Both models of a pool with random stitches, or the ones an equal request of this process made."""
    key = (ancestor.fingerprint, "pool", lab.seed, task.mark, config.model_dump_json())
    packed = yield from remembered(lab, key, lambda: _distilled(config, lab, task, ancestor))
    return Pool.unpack(packed["small"], packed["large"])


def _distilled(config: PoolConfig, lab: Lab, task: Task, ancestor: LoadedModel) -> Generator[Event, None, dict[str, PreTrainedModel]]:
    width, models, found = ancestor.model.config.hidden_size, {}, {"small": {}, "large": {}}
    recipe = Recipe(config.epochs, config.rate)
    progress = Pacer(2 * steps_of(task, recipe))
    yield from progress.step("getting ready", 0)
    trainings = []
    for name, wide, heads, thirds in (("small", config.small_width, HEADS, THIRDS),
                                      ("large", width, ancestor.model.config.num_attention_heads, THIRDS if config.dense else THIRDS[-1:])):
        with born_from(lab.rng(name)):
            model = new_model(config.blocks, wide, heads, task.classes)
            taught = Distillation(ancestor.model, model, thirds) if config.source == "distilled" else None
        loss_of = taught.loss if taught else supervised(lambda pixels, model=model: model(pixels).logits)
        steps = fit((taught or model).named_parameters(), loss_of, task, recipe, lab.rng(f"pictures {name}"))
        trainings.append((steps, Teller(name, progress, lambda model=model: accuracy(lambda pixels: model(pixels).logits, *task.shown),
                                        every=max(1, config.epochs // 10))))
        models[name], found[name] = model, taught.matrices_z if taught else {}
    yield from race(trainings)
    for model in models.values():
        model.requires_grad_(False)
    stitches = nn.ModuleList(nn.Linear(config.small_width, width) for _ in range(config.blocks - 1))
    made = Pool(models["small"], models["large"], stitches, Matrices(**found))
    initialise(made, "random", task.shown[0], lab.rng("stitches"))
    return made.pack()


def stitch(config: StitchConfig, lab: Lab) -> Iterator[Event]:
    """Stage 2: stitches lead from the small model into the large one; every path is a model, and random paths are trained."""
    yield Progress(0, 1, "getting ready")
    task = yield from taking(lab, config.task, config.pictures)
    ancestor = lab.load(config.ancestor)
    if config.retrain == "no":
        made = _stored(config, lab, task)
    else:
        again = PoolConfig(task=config.task, pictures=config.pictures, ancestor=config.ancestor, source=config.retrain, epochs=50)
        ancestor = yield from knowing(lab, config.ancestor, task, again.teach)
        made = yield from instances(again, lab, task, ancestor)
    ways = all_paths(made.blocks)
    progress = Pacer(steps_of(task, Recipe(config.epochs, config.rate)) + 2 * len(ways))
    initialise(made, config.init, task.epoch(lab.rng("pictures for stitches"))[0], lab.rng("stitches"))
    before = after = yield from _measure(made, ways, task, progress)
    yield from _say(made, before, "before")
    if config.epochs:
        curves = Curves()
        yield from curves.along(race([_training(config, made, task, progress, lab, curves, "pool")]))
        made.requires_grad_(False)
        after = yield from _measure(made, ways, task, progress)
    yield from _say(made, after, "after")
    for name, model in made.pack().items():
        yield Keep(name, model)
    yield from _report(config, made, before, after, task, ancestor, *(yield from _alone(lab, task)))


def inits(config: InitsConfig, lab: Lab) -> Iterator[Event]:
    """The same pool stitched in five ways and trained side by side, equally long; what is measured is said, whoever wins."""
    yield Progress(0, 1, "getting ready")
    task, found = (yield from taking(lab, config.task, config.pictures)), {}
    pools = {name: _stored(config, lab, task) for name in INITS}
    ways = paired(pools["random"].blocks)
    progress = Pacer(len(INITS) * (steps_of(task, Recipe(config.epochs, config.rate)) + 2 * len(ways)))
    for name, made in pools.items():
        initialise(made, name, task.epoch(lab.rng("pictures for stitches"))[0], lab.rng("stitches"))
        found[name] = [(0, _mean((yield from _measure(made, ways, task, progress))))]
        yield Metric(f"before {name}", found[name][0][1])
        yield Figure("inits", figures.inits(found))
    if config.epochs:
        plan, curves = StitchConfig(epochs=config.epochs, rate=config.rate), Curves()
        yield from curves.along(race([_training(plan, made, task, progress, lab, curves, name) for name, made in pools.items()]))
    for name, made in pools.items():
        after = _mean((yield from _measure(made.requires_grad_(False), ways, task, progress))) if config.epochs else found[name][0][1]
        found[name].append((config.epochs, after))
        yield Metric(f"after {name}", after)
        yield Figure("inits", figures.inits(found))
    yield Table("inits", ["way to begin", "right before", "right after"], [[name, rows[0][1], rows[1][1]] for name, rows in found.items()])
    order = sorted(found, key=lambda name: -found[name][1][1])
    said = ", ".join(f"{name.replace('_', ' ')} {found[name][1][1]:.1%}" for name in order)
    evidence = {name: rows[1][1] for name, rows in found.items()} | {"n": len(task.test_labels)}
    yield Verdict(f"After {config.epochs} passes over the pictures, mean over the stitched paths: {said}.", evidence,
                  headlines.begun(evidence))


def _stored(config: StitchConfig | InitsConfig, lab: Lab, task: Task) -> Pool:
    return Pool.unpack(lab.load(config.small).model, lab.load(config.large).model).check(task.classes)


def _measure(made: Pool, ways: list[Way], task: Task, progress: Pacer) -> Iterator[Event]:
    """Every path on all test pictures; the generator's value is {way: share}."""
    shares = {}
    for way in ways:
        yield from progress.step(f"measuring path {way.title}")
        shares[way] = accuracy(lambda pixels, way=way: made(pixels, way), task.test_pixels, task.test_labels)
    return shares


def _say(made: Pool, shares: dict[Way, float], when: str) -> Iterator[Event]:
    """The numbers of `_measure` as metrics and as the board."""
    for way, share in shares.items():
        yield Metric(f"{when} {way.name}", share)
    yield Metric(f"stitched {when}", _mean(shares))
    yield Figure("board", figures.board(made.blocks, {(way.j, way.k): share for way, share in shares.items() if way.stitched}))


def _training(config: StitchConfig, made: Pool, task: Task, progress: Pacer, lab: Lab, curves: Curves,
              who: str) -> tuple[Iterator[Step], Teller]:
    """One random path per step, drawn uniformly over all models of the pool (methods/10 section 3.3), and who tells of it."""
    ways, draws = all_paths(made.blocks), lab.rng("paths")
    made.requires_grad_(config.train == "everything")
    made.stitches.requires_grad_(True)
    if config.train == "stitches":
        ways = paired(made.blocks)

    def scores_of(pixels: torch.Tensor) -> torch.Tensor:
        way = ways[torch.randint(len(ways), (1,), generator=draws).item()]
        return made(pixels, way)

    def mean() -> float:
        return _mean({way: accuracy(lambda pixels, way=way: made(pixels, way), *task.shown) for way in paired(made.blocks)})

    steps = fit(made.named_parameters(), supervised(scores_of), task, Recipe(config.epochs, config.rate), lab.rng("pictures"))
    curves.note(who, 0, mean())
    return steps, Teller(who, progress, mean, every=max(1, config.epochs // 5))


def _alone(lab: Lab, task: Task) -> Iterator[Event]:
    """Measures the networks trained alone; the generator's value is [(rival, share of right answers)] and the names of absent ones."""
    rivals, absent = alone(lab, task)
    measured = [(rival, accuracy(lambda pixels, rival=rival: rival.model(pixels).logits, task.test_pixels, task.test_labels))
                for rival in rivals]
    for rival, share in measured:
        yield Metric(f"alone {rival.width}", share)
    return measured, absent


def _report(config: StitchConfig, made: Pool, before: dict[Way, float], after: dict[Way, float], task: Task, ancestor: LoadedModel,
            rivals: list[tuple[Rival, float]], absent: list[str]) -> Iterator[Event]:
    from scipy.stats import spearmanr

    n, classes, ways = len(task.test_labels), len(task.classes), list(after)
    small, large = made.small.config, made.large.config
    cost = {way: macs_of(way, small, large, classes) for way in ways}
    stitched = [way for way in ways if way.stitched]
    shares = [after[way] for way in stitched]
    yield Metric("rank correlation", float(spearmanr([cost[way] for way in stitched], shares).statistic) if len(set(shares)) > 1 else 0.0)
    best = {ways[i] for i in front([(cost[way], after[way]) for way in ways])}
    spots = [figures.Spot(way.title, parameters_of(way, small, large, classes), cost[way], after[way]) for way in ways]
    yield Figure("pareto", figures.pareto(spots, [figures.Spot(one.name, one.parameters, one.macs, right) for one, right in rivals]))
    sizes = storage_rows(made, ancestor.model.config, classes)
    if rivals:
        sizes[f"{len(rivals)} networks trained alone"] = sum(rival.parameters for rival, _ in rivals)
    yield Figure("storage", figures.storage(sizes))
    yield Table("paths", ["path", "parameters", "multiply-adds", "right before", "right after", "95 % from", "95 % to", "on the front"],
                [[way.title, parameters_of(way, small, large, classes), cost[way], before[way], after[way],
                  *share_interval(after[way], n), way in best] for way in ways])
    beside = yield from _beside(rivals, {way: (cost[way], after[way]) for way in ways}, n)
    if not rivals and not absent:
        beside += " Networks that were trained alone, to compare with, come with the lab for digits only."
    elif absent:
        beside += f" Not there to compare with: {', '.join(absent)} (glassbox models build NAME makes each)."
    evidence = {"before": _mean(before), "after": _mean(after), "worst": min(after[way] for way in stitched), "n": n,
                "alone": {rival.width: right for rival, right in rivals}, "smallest difference": beyond_chance(_mean(after), n)}
    yield Verdict(f"{len(stitched)} stitched networks, begun with '{config.init.replace('_', ' ')}': right in {_mean(before):.1%} "
                  f"of the pictures before training and in {_mean(after):.1%} after {config.epochs} passes over them, on average.{beside}",
                  evidence, headlines.stitched(evidence))


def _beside(rivals: list[tuple[Rival, float]], paths: dict[Way, tuple[int, float]], n: int) -> Iterator[Event]:
    """Every network trained alone beside the best path that costs no more, as a table; the generator's value is a sentence about it."""
    found = [(rival, right, best_within(rival.macs, paths)) for rival, right in rivals]
    if found:
        yield Table("alone", ["network", "parameters", "multiply-adds", "right", "95 % from", "95 % to", "best path at no more cost",
                              "right along it"],
                    [[rival.name, rival.parameters, rival.macs, right, *share_interval(right, n), *((best[0].title, best[1]) if best else
                                                                                                     ("none", None))]
                     for rival, right, best in found])
    gaps = [best[1] - right for _, right, best in found if best]
    if not gaps:
        return ""
    mean = sum(gaps) / len(gaps)
    how = "level" if abs(mean) < 5e-4 else f"{100 * abs(mean):.1f} points {'ahead' if mean > 0 else 'behind'}"
    plain = sum(not best[0].stitched for _, _, best in found if best)
    ends = f", and in {plain} of {len(gaps)} cases it has no stitch" if plain else ""
    least = beyond_chance(rivals[0][1], n)
    sure = (f"one such difference would have to be {100 * least:.1f} points to be more than chance" if least < 1 else
            f"with only {n} test picture{'s' * (n > 1)} no such difference can be told from chance")
    return (f" Beside {len(gaps)} networks of such sizes that were each trained alone, the best path that costs no more is {how} on average"
            f"{ends}; {sure}.")


def storage_rows(made: Pool, ancestor: ViTConfig, classes: int) -> dict[str, int]:
    """Numbers to store: the pool, all its models one by one, and SN-Net's two anchors of the ancestor's depth."""
    small, large = made.small.config, made.large.config
    deep_small, deep_large = copy.deepcopy(small), copy.deepcopy(large)
    deep_small.num_hidden_layers = deep_large.num_hidden_layers = ancestor.num_hidden_layers
    ways = all_paths(made.blocks)
    return {"the pool": stored(small, large, classes),
            "two anchors as deep as the ancestor (SN-Net)": stored(deep_small, deep_large, classes),
            f"{len(ways)} models stored one by one": sum(parameters_of(way, small, large, classes) for way in ways),
            "the ancestor alone": plain_parameters(ancestor, classes)}


def _mean(shares: dict[Way, float]) -> float:
    stitched = [share for way, share in shares.items() if way.stitched]
    return sum(stitched) / len(stitched)
