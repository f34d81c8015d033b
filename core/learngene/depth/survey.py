"""Paper 09, the first picture of the page: every depth of a stored learngene, beside networks that inherited nothing.

learngene/depths    metrics  zero-shot D (D in 1..16), flat D (equal layers), scratch D after E (stored rivals), ancestor accuracy
                    figures  by_depth, by_parameters, by_macs, storage, epochs
                    tables   by_depth
"""

from __future__ import annotations

from collections.abc import Iterator

from transformers import PreTrainedModel

from core.engine.errors import LabError
from core.engine.events import Event, Figure, Metric, Progress, Table, Verdict
from core.engine.lab import Lab
from core.engine.steps import Pacer
from core.learngene.depth import figures
from core.learngene.depth.experiments import descendant_parameters, stored_separately
from core.learngene.depth.learngene import Learngene, load_learngene
from core.learngene.depth.spec import DEEPEST, TICKED, DepthsConfig
from core.learngene.metrics import accuracy
from core.learngene.uploads import taking
from core.learngene.vit import check_task, logits, macs, parameters
from core.stats import beyond_chance, share_interval

RIVAL_DEPTHS, RIVAL_EPOCHS = (4, 8, 12), (5, 20)  # networks from scratch that come with the lab, for letters


def depths(config: DepthsConfig, lab: Lab) -> Iterator[Event]:
    """Measures untrained descendants of depth 1 to 16 on all test pictures, one after the other."""
    yield Progress(0, DEEPEST, "getting ready")
    task = yield from taking(lab, config.task, config.pictures)
    ancestor, gene = lab.load(config.ancestor).model, load_learngene(lab, config.learngene)
    check_task(gene.store, task.classes, "learngene")
    check_task(ancestor, task.classes, "ancestor")
    test, n = (task.test_pixels, task.test_labels), len(task.test_labels)
    teacher = accuracy(lambda pixels: logits(ancestor, pixels), *test)
    yield Metric("ancestor accuracy", teacher)
    curves: dict[str, dict[int, float]] = {"straight from the learngene": {}}
    beside = config.rivals and task.name == "letters"
    flat = load_learngene(lab, config.flat) if beside else None
    scratch, absent = _scratch(lab) if beside else ({}, [])
    curves |= {"all layers equal": {}} | {f"from scratch, {epochs} epochs": {} for epochs in RIVAL_EPOCHS}
    progress = Pacer(DEEPEST)
    for depth in range(1, DEEPEST + 1):
        curves["straight from the learngene"][depth] = accuracy(lambda pixels, depth=depth: gene(pixels, depth), *test)
        yield Metric(f"zero-shot {depth}", curves["straight from the learngene"][depth])
        if flat:
            curves["all layers equal"][depth] = accuracy(lambda pixels, depth=depth: flat(pixels, depth), *test)
            yield Metric(f"flat {depth}", curves["all layers equal"][depth])
        for epochs, rival in scratch.get(depth, {}).items():
            share = accuracy(lambda pixels, rival=rival: logits(rival, pixels), *test)
            curves[f"from scratch, {epochs} epochs"][depth] = share
            yield Metric(f"scratch {depth} after {epochs}", share)
        yield Figure("by_depth", figures.by_depth({name: points for name, points in curves.items() if points}, n=n, ancestor=teacher,
                                                  auxiliary_depth=gene.depth))
        yield from progress.step(f"depth {depth}")
    curves = {name: points for name, points in curves.items() if points}
    yield from _sizes(gene, curves, n)
    yield _verdict(gene, curves, teacher, n, absent)


def _scratch(lab: Lab) -> tuple[dict[int, dict[int, PreTrainedModel]], list[str]]:
    """The stored networks from scratch, by depth and epochs, and the names of those that are not there."""
    found: dict[int, dict[int, PreTrainedModel]] = {depth: {} for depth in RIVAL_DEPTHS}
    absent = []
    for depth in RIVAL_DEPTHS:
        for epochs in RIVAL_EPOCHS:
            name = f"learngene-letters-scratch-{depth}-{epochs}"
            try:
                found[depth][epochs] = lab.load(f"embedded/{name}").model
            except LabError:
                absent.append(name)
    return found, absent


def _sizes(gene: Learngene, curves: dict[str, dict[int, float]], n: int) -> Iterator[Event]:
    """The same curves against parameters and multiply-adds, and what storing and training costs."""
    numbers = {name: [(descendant_parameters(gene, depth), share) for depth, share in points.items()] for name, points in curves.items()}
    work = {name: [(macs(gene.store.config, depth), share) for depth, share in points.items()] for name, points in curves.items()}
    yield Figure("by_parameters", figures.against(numbers, "numbers in the network"))
    yield Figure("by_macs", figures.against(work, "multiply-adds for one picture"))
    yield Figure("storage", figures.storage(parameters(gene.store), stored_separately(gene, TICKED), TICKED))
    yield Figure("epochs", figures.epochs(TICKED, gene.epochs, 0, RIVAL_EPOCHS[-1]))
    yield Table("by_depth", ["network", "depth", "right", "95 % from", "95 % to", "parameters", "multiply-adds"],
                [[name, depth, share, *share_interval(share, n), descendant_parameters(gene, depth), macs(gene.store.config, depth)]
                 for name, points in curves.items() for depth, share in points.items()])


def _spans(depths: list[int]) -> str:
    """[1, 4, 5, 6] -> "1 and 4 to 6"."""
    begins = [depth for depth in depths if depth - 1 not in depths]
    ends = [depth for depth in depths if depth + 1 not in depths]
    spans = [str(first) if first == last else f"{first} to {last}" for first, last in zip(begins, ends, strict=True)]
    return ", ".join(spans[:-1]) + (" and " if spans[1:] else "") + spans[-1]


def _verdict(gene: Learngene, curves: dict[str, dict[int, float]], teacher: float, n: int, absent: list[str]) -> Verdict:
    inherited = curves["straight from the learngene"]
    own = inherited[gene.depth]
    near = [depth for depth, share in inherited.items() if share >= own - 0.05]
    said = (f"Untrained networks of depth {_spans(near)} are within 5 points of the one that was trained "
            f"({own:.1%}, depth {gene.depth}).")
    least = beyond_chance(own, n)
    if least >= 1:
        said += f" But with only {n} test picture{'s' * (n > 1)} no two depths can be told apart: bring more."
    evidence = {"trained depth": own, "ancestor": teacher, "within 5 points": near, "n": n, "smallest difference": least}
    rivals = curves.get(f"from scratch, {RIVAL_EPOCHS[-1]} epochs", {})
    if rivals:
        won = [depth for depth, share in rivals.items() if inherited[depth] > share]
        said += f" {len(won)} of {len(rivals)} beat a network of their depth that was trained from scratch for {RIVAL_EPOCHS[-1]} epochs."
        evidence["scratch"] = rivals
    if absent:
        said += f" Not there to compare with: {', '.join(absent)} (glassbox models build NAME makes each)."
    return Verdict(said, evidence)
