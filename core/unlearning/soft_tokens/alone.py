"""One model without twins: can true answers be told from false ones and from facts about what does not exist, by soft tokens?

For a real model nobody stands for "never knew", and making a copy forget takes gigabytes. What is left is what methods/05 section 5 calls
the false-answer control and the stranger: the same model, the same attack, texts that cannot be in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from core.engine.events import Event, Figure, Metric, Verdict
from core.stats import apart
from core.unlearning.prompts import put
from core.unlearning.replies import reply
from core.unlearning.soft_tokens import figures
from core.unlearning.soft_tokens.attack import attack
from core.unlearning.soft_tokens.cells import CELLS, Row, draw_alone
from core.unlearning.soft_tokens.results import Outcome, cells_table, estimate, mean, median_steps, targets_table
from core.unlearning.soft_tokens.settling import encoded, settle
from core.unlearning.soft_tokens.state import Bench

KS = (1, 4, 10)
SHOWN_EVERY = 10
Found = Mapping[int, Mapping[str, Sequence[Outcome]]]  # by number of soft tokens and cell


def alone(bench: Bench) -> Iterator[Event]:
    """True, false and made-up answers under 1, 4 and 10 soft tokens, all texts of one number in one batch."""
    rows = draw_alone(bench.plan, bench.world, bench.lab.rng)
    given = bench.subjects["original"]
    asked = [record for record in bench.world.records if record.question in {row.question for row in rows if row.cell == "A"}]
    plainly = reply(given.model, given.tokenizer, [put(record) for record in asked])
    bench.asked["original"] = plainly.share
    yield Metric("direct recall original", plainly.share, unit="share")
    found: dict[int, dict[str, list[Outcome]]] = {}
    for k in KS:
        yield from _attacked(bench, rows, k, found)
        settle(bench, "original", rows, bench.attempts)
        found[k] = dict(bench.outcomes)
        yield Figure("alone", figures.alone(_bars(found)))
        yield cells_table(bench.outcomes)
        yield targets_table(bench.outcomes)
    for k, cells in found.items():
        for cell, outcomes in cells.items():
            name = f"{CELLS[cell].name}, {k} soft tokens"
            yield Metric(f"success {name}", estimate(outcomes)[0], unit="share")
            yield Metric(f"right tokens {name}", mean([o.accuracy for o in outcomes]), unit="share")
            if (steps := median_steps(outcomes)) is not None:
                yield Metric(f"median steps {name}", steps, unit="steps")
    checked = [o.generated for cells in found.values() for outcomes in cells.values() for o in outcomes if o.generated is not None]
    if checked:
        yield Metric("generated as promised", mean(checked), unit="share")
    numbers = evidence(found, plainly.hits, len(plainly.counted))
    yield Verdict(say(numbers), numbers, headline(numbers))


def _attacked(bench: Bench, rows: Sequence[Row], k: int, found: Found) -> Iterator[Event]:
    given, steps, step = bench.subjects["original"], bench.settings.steps, 0
    starts = [bench.start("original", i, k) for i in range(len(rows))]
    for step, attempts in enumerate(attack(given.model, encoded(given, rows, k), starts, bench.settings)):
        over = sum(not a.running for a in attempts)
        yield from bench.pacer.step(f"{k} soft token{'s' if k > 1 else ''}, {over} of {len(rows)} texts are over")
        bench.attempts = attempts
        if step % SHOWN_EVERY == 0:
            now = {cell: [a.hit_at is not None for row, a in zip(rows, attempts, strict=True) if row.cell == cell] for cell in "APN"}
            yield Figure("alone", figures.alone(_bars(found) | {k: {cell: _share(hits) for cell, hits in now.items()}}))
    yield from bench.pacer.step("next", by=steps - step)


def _share(hits: Sequence[bool]) -> tuple[float, float, float]:
    """A share that is still growing: without an interval."""
    share = sum(hits) / len(hits)
    return share, share, share


def _bars(found: Found) -> dict[int, dict[str, tuple[float, float, float]]]:
    return {k: {cell: estimate(outcomes) for cell, outcomes in cells.items()} for k, cells in found.items()}


def evidence(found: Found, plainly: int, of: int) -> dict[str, Any]:
    """Counts by number of soft tokens and kind of text, and how much oftener true ones came out, with 95 % intervals (Newcombe)."""
    numbers: dict[str, Any] = {"just asked": {"right": plainly, "of": of}}
    for k, cells in found.items():
        said = {CELLS[cell].text: (sum(o.success for o in outcomes), len(outcomes), outcomes) for cell, outcomes in cells.items()}
        numbers[str(k)] = {text: {"said": hits, "of": n, "interval": [round(x, 4) for x in estimate(outcomes)[1:]]}
                           for text, (hits, n, outcomes) in said.items()}
        (true, n, _), *others = said.values()
        numbers[f"true minus others, {k}"] = {text: [round(x, 4) for x in apart(true, n, hits, m)]
                                              for text, (hits, m, _) in list(said.items())[1:]}
    return numbers


def say(numbers: Mapping[str, Any]) -> str:
    """One sentence for each number of soft tokens, and what they mean."""
    asked = numbers["just asked"]
    parts = [f"Just asked, the model gives {asked['right']} of {asked['of']} of the true answers."]
    for k in KS:
        counts = list(numbers[str(k)].values())
        true, false, made_up = (f"{one['said']} of {one['of']}" for one in counts)
        parts.append(f"With {k} soft token{'s' if k > 1 else ''} it writes {true} true answers, {false} false ones and {made_up} about "
                     "what does not exist.")
    parts.append(_conclusion(numbers))
    parts.append("No model that never knew stands beside it; answers that cannot be in it take its place.")
    return " ".join(parts)


def _conclusion(numbers: Mapping[str, Any]) -> str:
    last = numbers[f"true minus others, {KS[-1]}"].values()
    if any(low > 0 for low, _ in last):
        return f"With {KS[-1]} soft tokens true answers come out oftener for sure: here the attack is a sign of memory."
    counts = numbers[str(KS[-1])].values()
    if not any(one["said"] for one in counts):
        return "The attack got too little to compare."
    return "What cannot be remembered comes out as well, so an answer under this attack proves nothing."


def headline(numbers: Mapping[str, Any]) -> str:
    """The answer in at most 25 words."""
    true, false, made_up = (one["said"] for one in numbers[str(KS[-1])].values())
    of = next(iter(numbers[str(KS[-1])].values()))["of"]
    sure = any(low > 0 for low, _ in numbers[f"true minus others, {KS[-1]}"].values())
    start = "Here an answer says something" if sure else "An answer proves nothing"
    return f"{start}: {KS[-1]} soft tokens get {true} of {of} true, {false} false and {made_up} made-up answers from one model."
