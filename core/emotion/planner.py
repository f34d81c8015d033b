"""The planner: a beam search through the three layers of an emotion's tree - emotion, factor, leaf - on a small picture.

    search = Search(critic, intensity=1.0)
    plans = search.plans(retrieve("fear", critic.first.z), count=3)
    plans[0].steps                       # in the order in which tools are best used
    search.tree                          # every candidate with its score, for the picture of the tree

Methods/04 section 5.3. Steps of a candidate are always tried in that order, so a plan is judged as it will be run, and equal plans are
judged once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from core.emotion.critic import LENGTH_PENALTY, Critic, Score
from core.emotion.knowledge import Found, Leaf, retrieve, whitelist
from core.emotion.tools import OWN, TOOLS, Step, apply_all, canonical
from core.engine.stopping import go_on

STRENGTHS = (0.35, 0.7)
BEAM, DEPTH, LEAST_GAIN = 3, 4, 0.005
UNLIKE, OVERLAP = 0.10, 0.5
Ops = tuple[Step, ...]


@dataclass(frozen=True)
class Plan:
    """Steps with the factor that each stands for, the score expected on the small picture, and why."""

    steps: Ops
    factors: tuple[str, ...]
    expected: Score
    rationale: str


@dataclass
class Node:
    """One candidate of the search. parent: the steps before the last one.  kept: still in the beam; else why it was cut."""

    ops: Ops
    score: Score
    worth: float
    kept: bool = False
    cut: str = ""

    @property
    def depth(self) -> int:
        return len(self.ops)


@dataclass
class Search:
    """A search for one picture and one target. intensity: 0..1, scales all strengths.  restricted: only the emotion's own leaves.

    seed: of chance in tools.  tabu: tools that are not tried. Stop is met before each evaluation.
    """

    critic: Critic
    intensity: float = 1.0
    restricted: bool = True
    seed: int = 0
    tabu: frozenset[str] = frozenset()
    tree: list[Node] = field(default_factory=list)
    _known: dict[str, Node] = field(default_factory=dict, repr=False)

    def plans(self, found: Sequence[Found], count: int) -> list[Plan]:
        """At most `count` plans, each of another kind (D-AIM); fewer where there are no more. Found: what the retriever gave.

        A plan here is a set with one order, so the strongest factor of a plan is kept out of all later ones, not only of their first step.
        """
        made: list[Plan] = []
        forbidden: set[str] = set()
        for _ in range(count + 2):
            if len(made) == count:
                break
            plan = self._beam(found, frozenset(forbidden))
            if plan is None:
                break
            forbidden.add(plan.factors[0])
            if all(self._differs(plan, other) for other in made):
                made.append(plan)
        return made

    def leaves(self, found: Sequence[Found]) -> list[Leaf]:
        """The leaves to try, in the order of the retriever; all tools both ways where the search is not restricted."""
        if not self.restricted:
            return [(name, sign) for name in OWN if name != "remove" for sign in ((1, -1) if TOOLS[name].less else (1,))]
        return [leaf for leaf in dict.fromkeys(leaf for one in found for leaf in one.factor.leaves) if leaf[0] not in self.tabu]

    def step(self, leaf: Leaf, strength: float) -> Step:
        """A leaf at a strength, as this search would do it."""
        return Step(leaf[0], strength=round(leaf[1] * strength * self.intensity, 4), seed=self.seed)

    def _beam(self, found: Sequence[Found], forbidden: frozenset[str]) -> Plan | None:
        why = {leaf: one.factor.phrase for one in reversed(found) for leaf in one.factor.leaves}
        kind = lambda step: why.get(_leaf(step), TOOLS[step.tool].factor)  # noqa: E731
        leaves = self.leaves(found)
        frontier: list[Node] = []
        best: Node | None = None
        strengths: dict[Leaf, tuple[float, ...]] = {}
        for depth in range(1, DEPTH + 1):
            new = []
            for node in frontier or [None]:
                ops = node.ops if node else ()
                for leaf in leaves:
                    if any(step.tool == leaf[0] for step in ops) or why.get(leaf) in forbidden:
                        continue
                    tried = [self._try((*ops, self.step(leaf, s))) for s in strengths.get(leaf, STRENGTHS)]
                    if depth == 1 and tried:  # later only with the better of the two strengths
                        strengths[leaf] = (STRENGTHS[int(np.argmax([one.worth for one in tried]))],)
                    new += tried
            new = list({_key(node.ops): node for node in new}.values())
            good = sorted((node for node in new if not node.cut), key=lambda node: (-node.worth, [(s.tool, s.strength) for s in node.ops]))
            for node in good[:BEAM]:
                node.kept = True
            if not good or (best and good[0].worth < best.worth + LEAST_GAIN):
                break
            best, frontier = good[0], good[:BEAM]
            if self.critic.reached(best.score) and depth >= 2:
                break
        if best is None or best.worth <= 0:
            return None
        order = sorted(best.ops, key=lambda step: -self._alone(step))
        return Plan(best.ops, tuple(kind(step) for step in order), best.score, ", ".join(kind(step) for step in order))

    def _alone(self, step: Step) -> float:
        node = self._known.get(_key((step,)))
        return node.worth if node else 0.0

    def _try(self, ops: Ops) -> Node:
        ops = tuple(canonical(ops))
        if (known := self._known.get(_key(ops))) is not None:
            return known
        go_on()
        score = self.critic.judge(apply_all(self.critic.small, ops, self._mask()))
        node = Node(ops, score, score.j - LENGTH_PENALTY * len(ops), cut="" if score.passes else "changes the picture too much")
        self._known[_key(ops)] = node
        self.tree.append(node)
        return node

    def _mask(self) -> np.ndarray | None:
        from core.emotion.critic import _fitted

        return None if self.critic.mask is None else _fitted(self.critic.mask, self.critic.small.shape[:2])

    def _differs(self, plan: Plan, other: Plan) -> bool:
        mine, theirs = ({step.tool for step in one.steps} for one in (plan, other))
        if len(mine & theirs) / len(mine | theirs) <= OVERLAP:
            return True
        from core.emotion.colour import ssim

        pictures = [apply_all(self.critic.small, one.steps, self._mask()) for one in (plan, other)]
        return 1 - ssim(*pictures) >= UNLIKE

    def one_more(self, picture: np.ndarray, now: Score, used: Sequence[Step]) -> Step | None:
        """The leaf that closes the largest cue gap of a picture, bytes (height, width, 3), without breaking a gate; None: there is none."""
        from core.emotion.cues import small
        from core.emotion.tools import apply

        cue, have, want = next((one["cue"], now.z[one["cue"]], one["want"]) for one in self.critic.diagnosis(now))
        seen, best = small(picture), (0.0, None)
        spent = {step.tool for step in used} | self.tabu
        leaves = whitelist(self.critic.target) if self.restricted else self.leaves(())
        for leaf in leaves:
            if leaf[0] in spent:
                continue
            go_on()
            step = self.step(leaf, STRENGTHS[0])
            score = self.critic.judge(apply(seen, step, self._mask()))
            closed = abs(want - have) - abs(want - score.z[cue])
            if score.passes and (closed, score.j) > best[:1] + (now.j,) and closed > best[0]:
                best = (closed, step)
        return best[1]


def found_for(critic: Critic, *, by_gap: bool, query: str = "", used: dict[str, int] | None = None) -> list[Found]:
    """What the retriever gives for the source of a critic; `by_gap` False ranks by weight alone."""
    return retrieve(critic.target, critic.first.z, query, used=used, by_gap=by_gap, masked=critic.mask is not None)


def _leaf(step: Step) -> Leaf:
    return step.tool, 1 if step.strength >= 0 else -1


def _key(ops: Sequence[Step]) -> str:
    return "|".join(f"{step.tool}:{step.strength}" for step in ops)
