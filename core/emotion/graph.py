"""Three agents as a LangGraph: perceive -> retrieve -> plan -> edit -> judge -> keep, roll back, refine, plan again, or stop.

    agents = Agents(critic, search, store, rounds=3, count=1)
    for node, update in agents.run():
        update["log"]                        # what was said and done, as plain data

Every step of a plan goes through `edit` and `judge` once. The state is plain data that survives a checkpoint - tuples and numpy numbers
would not, pictures go by id - and what a node gives is checked at its edge: an unknown key would vanish without a word. Nothing here
interrupts: a node that does runs twice. The number of steps is bounded, for the library's own bound is 10,007.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypedDict

from core.emotion.critic import BETTER, WORSE, Critic, Score, advice
from core.emotion.cues import WORDS
from core.emotion.knowledge import Found
from core.emotion.planner import DEPTH, Plan, Search, found_for
from core.emotion.store import ImageStore
from core.emotion.tools import TOOLS, Step, apply

Said = dict[str, Any]
REFINEMENTS, IDLE = 3, 2  # of one round: how many extra steps, and how many of them may bring nothing
BOUND = 60
Planner = Callable[["Agents", "State"], "list[Plan] | None"]


class State(TypedDict, total=False):
    """What the agents know. Pictures are ids of the store; steps, scores and plans are plain data.

    pending: the step whose picture waits for the judge.  done: steps of this branch that stand.  best: {picture, j, steps, score}.
    """

    strictness: float
    plans: list[dict[str, Any]]
    branch: int
    at: int
    round: int
    refinements: int
    idle: int
    current: str
    score: dict[str, Any]
    done: list[dict[str, Any]]
    pending: dict[str, Any]
    seen: str
    tabu: list[str]
    best: dict[str, Any]
    results: list[dict[str, Any]]
    judged: int
    log: Annotated[list[Said], operator.add]


def node(function: Callable[..., Any]) -> Callable[..., Any]:
    """A node whose update is checked: known keys only, and plain data that comes back from JSON as it was."""

    @functools.wraps(function)
    def checked(self, state: State) -> Any:
        given = function(self, state)
        update = getattr(given, "update", given) if not isinstance(given, dict) else given
        unknown = set(update) - set(State.__annotations__)
        if unknown:
            raise TypeError(f"{function.__name__} writes {sorted(unknown)}, which the state does not have")
        if json.loads(json.dumps(update)) != update:
            raise TypeError(f"{function.__name__} writes what a checkpoint would change")
        return given

    return checked


@dataclass
class Agents:
    """The agents of one picture and one target.

    count: how many different results.  use_critic: False keeps every step, the ablation.  by_gap: False, the retriever ranks by weight.
    harm: a step that the planner did not ask for, put before the last one of each plan: the critic should undo it.  learned: a step of
    a diffusion model, the last of each plan; nobody searches with it, since each picture costs it seconds to minutes.
    think: another planner, such as a chat model; None from it means that the local one plans.
    """

    critic: Critic
    search: Search
    store: ImageStore
    rounds: int = 3
    count: int = 1
    use_critic: bool = True
    by_gap: bool = True
    wish: str = ""
    harm: Step | None = None
    learned: Step | None = None
    think: Planner | None = None
    lines: tuple[Said, ...] = ()  # what a planner of another kind says while it plans

    def __post_init__(self) -> None:
        self.found: list[Found] = []
        self._graph = self._build()

    # ---- the nodes

    @node
    def perceive(self, state: State) -> dict[str, Any]:
        first = self.critic.first
        picture = self.store.put(self.critic.source)
        feels = f"It feels like {first.felt} now ({max(first.q):.0%}); {self.critic.target} has {first.share:.0%}."
        best = {"picture": picture, "j": 0.0, "steps": [], "score": first.plain()}
        return {
            "current": picture,
            "score": first.plain(),
            "best": best,
            "branch": 0,
            "at": 0,
            "round": 1,
            "refinements": 0,
            "idle": 0,
            "done": [],
            "tabu": [],
            "results": [],
            "plans": [],
            "judged": 0,
            "log": [said("Planner", feels, "perceive")],
        }

    @node
    def retrieve(self, state: State) -> dict[str, Any]:
        self.found = found_for(self.critic, by_gap=self.by_gap, query=self.wish)
        names = "; ".join(one.factor.phrase for one in self.found[:4])
        factors = [
            {
                "factor": one.factor.factor,
                "phrase": one.factor.phrase,
                "score": round(one.score, 4),
                "gap": round(one.gap, 4),
                "weight": one.factor.weight,
                "leaves": [list(leaf) for leaf in one.factor.leaves],
            }
            for one in self.found
        ]
        return {"log": [said("Planner", f"What this picture lacks for {self.critic.target}: {names}.", "retrieve", factors=factors)]}

    @node
    def plan(self, state: State) -> dict[str, Any]:
        again = bool(state["plans"])
        wanted = self.think(self, state) if self.think and not again else None
        plans = wanted or self._local_plans(state, again)
        log = [
            *self.lines,
            *(
                said(
                    "Planner",
                    f"Plan {len(state['results']) + i + 1}: {plan.rationale}.",
                    "plan",
                    plan=[step.plain() for step in plan.steps],
                    expected=plan.expected.plain(),
                )
                for i, plan in enumerate(plans)
            ),
        ]
        self.lines = ()
        if not plans:
            log = [*log, said("Planner", "I find no further edit that would help.", "plan")]
        made = [{"steps": [step.plain() for step in self._completed(plan.steps)], "why": list(plan.factors)} for plan in plans]
        if again and not made:  # what this branch has reached stands, and the next one has its turn
            update: dict[str, Any] = {"log": log}
            self._settle(dict(state), update)
            return update
        if again:
            kept = state["plans"][: state["branch"]] + made[:1] + state["plans"][state["branch"] + 1 :]
            return {"plans": kept, "at": 0, "refinements": 0, "idle": 0, "log": log}
        return {"plans": made, "log": log}

    def _local_plans(self, state: State, again: bool) -> list[Plan]:
        if not again:
            return self.search.plans(self.found, self.count)
        search = self._other_search(state)
        made = search.plans(self.found, 1)
        self.search.tree += search.tree
        return made

    def _other_search(self, state: State) -> Search:
        """A search like the first one, without the tools that were undone."""
        return dataclasses.replace(self.search, tabu=frozenset(state["tabu"]), tree=[], _known={})

    def _completed(self, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        """A plan with what is done whatever the planner found."""
        steps = steps if self.harm is None else (*steps[:-1], self.harm, *steps[-1:])
        return steps if self.learned is None else (*steps, self.learned)

    @node
    def edit(self, state: State) -> dict[str, Any]:
        step = Step(**state["plans"][state["branch"]]["steps"][state["at"]])
        picture = self.store.get(state["current"])
        after = self.store.put(apply(picture, step, None if TOOLS[step.tool].whole else self.critic.mask))
        return {
            "pending": step.plain(),
            "seen": after,
            "log": [
                said(
                    "Painter",
                    f"I try {step.what} (strength {abs(step.strength):.0%}).",
                    "edit",
                    step=step.plain(),
                    picture=after,
                    branch=state["branch"],
                )
            ],
        }

    @node
    def judge(self, state: State) -> Any:
        from langgraph.types import Command

        score, before = self.critic.judge(self.store.get(state["seen"])), state["score"]
        step, change = Step(**state["pending"]), score.j - before["j"]
        planned = state["at"] < len(state["plans"][state["branch"]]["steps"])
        least = WORSE + 0.06 * (state["strictness"] - 1)
        keep = not self.use_critic or (change >= least and score.passes) or (planned and change >= least and not before["passes"])
        update: dict[str, Any] = {"at": state["at"] + 1, "judged": state["judged"] + 1}
        if state["refinements"]:
            update["idle"] = state["idle"] + 1 if not keep or change <= BETTER else 0
        if keep:
            update |= {"current": state["seen"], "score": score.plain(), "done": [*state["done"], state["pending"]]}
            if score.passes and score.j > state["best"]["j"] or not self.use_critic:
                update["best"] = {"picture": state["seen"], "j": score.j, "steps": update["done"], "score": score.plain()}
        else:
            update["tabu"] = [*state["tabu"], step.tool]
        after = {**state, **update}
        action = self._next(after)
        update["log"] = [
            said(
                "Critic",
                self._words(score, before, keep, action),
                "judge",
                step=state["pending"],
                kept=keep,
                change=round(change, 4),
                score=score.plain(),
                action=action,
                branch=state["branch"],
                picture=state["seen"],
                judged=update["judged"],
                current=after["current"],
            )
        ]
        if action == "settle":
            self._settle(after, update)
            action = "edit" if update["branch"] < len(state["plans"]) else "finalize"
        elif action == "plan":
            update |= {"round": state["round"] + 1, "tabu": [*after["tabu"], *(one["tool"] for one in after["done"])]}
        return Command(update=update, goto=action)

    def _next(self, state: dict[str, Any]) -> Literal["edit", "refine", "plan", "settle"]:
        if state["at"] < len(state["plans"][state["branch"]]["steps"]):
            return "edit"
        if not self.use_critic or self.reached(state["score"], state["strictness"]):
            return "settle"
        if state["refinements"] < REFINEMENTS and state["idle"] < IDLE:
            return "refine"
        return "plan" if state["round"] < self.rounds else "settle"

    def reached(self, score: dict[str, Any], strictness: float) -> bool:
        """Whether a score, as plain data, is what this critic asks for."""
        return score["passes"] and score["margin"] > 0 and score["share"] >= min(0.95, self.critic.threshold * strictness)

    def _settle(self, state: dict[str, Any], update: dict[str, Any]) -> None:
        best, first = state["best"], self.critic.first.plain()
        update["results"] = [
            *state["results"],
            {**best, "branch": state["branch"], "reached": self.reached(best["score"], state["strictness"])},
        ]
        source = self.store.put(self.critic.source)
        update |= {
            "branch": state["branch"] + 1,
            "at": 0,
            "round": 1,
            "refinements": 0,
            "idle": 0,
            "done": [],
            "current": source,
            "score": first,
            "best": {"picture": source, "j": 0.0, "steps": [], "score": first},
        }

    @node
    def refine(self, state: State) -> Any:
        from langgraph.types import Command

        picture, now = self.store.get(state["current"]), self._score(state["score"])
        missing = advice(now.z, self.critic.target)
        spent = [Step(**one) for one in state["done"]]
        step = self._other_search(state).one_more(picture, now, spent)
        if step is None:
            line = said("Planner", f"It still wants {missing}, but I have no tool left for that.", "refine")
            action = "plan" if state["round"] < self.rounds else "settle"
            update: dict[str, Any] = {"idle": IDLE, "log": [line]}
            if action == "settle":
                self._settle(dict(state), update)
                action = "edit" if update["branch"] < len(state["plans"]) else "finalize"
            else:
                update |= {"round": state["round"] + 1, "tabu": [*state["tabu"], *(one["tool"] for one in state["done"])]}
            return Command(update=update, goto=action)
        plans = [dict(one) for one in state["plans"]]
        plans[state["branch"]]["steps"] = [*plans[state["branch"]]["steps"], step.plain()]
        line = said("Planner", f"It still wants {missing}: one more step, {step.what}.", "refine", plan=[step.plain()])
        return Command(update={"plans": plans, "refinements": state["refinements"] + 1, "log": [line]}, goto="edit")

    @node
    def finalize(self, state: State) -> dict[str, Any]:
        results = state["results"]
        best = max(results, key=lambda one: (one["reached"], one["j"]), default=None)
        reached = sum(one["reached"] for one in results)
        if best is None or not best["steps"]:
            text = f"I leave the picture as it is: no allowed edit brings it nearer to {self.critic.target}."
        elif reached:
            text = (
                f"Done: {best['score']['share']:.0%} {self.critic.target}, and the picture is still {best['score']['likeness']:.0%} alike."
            )
        else:
            text = f"Target not reached. Closest: {best['score']['felt']}, with {best['score']['share']:.0%} {self.critic.target}."
        return {"log": [said("Critic", text, "finalize", reached=reached)]}

    def _score(self, plain: dict[str, Any]) -> Score:
        kept = {name: value for name, value in plain.items() if name != "felt"}
        return Score(**(kept | {"q": tuple(plain["q"]), "clipped": 0.0}))

    def _words(self, score: Score, before: dict[str, Any], keep: bool, action: str) -> str:
        seen = f"{score.share:.0%} {self.critic.target}, {before['share']:.0%} before, and {score.likeness:.0%} like the original"
        if not keep:
            why = "that is no help" if score.passes else "that changes too much"
            return f"{seen}: {why}. Undo it."
        cue = self.critic.diagnosis(score)[0]
        ends = {
            "edit": "Keep it, go on.",
            "settle": "Keep it, that is it.",
            "plan": "Keep it, but think again.",
            "refine": f"Keep it. I still miss {'more' if cue['gap'] > 0 else 'less'} {WORDS[cue['cue']]}.",
        }
        return f"{seen}. {ends[action]}"

    # ---- the graph

    def _build(self) -> Any:
        from langgraph.checkpoint.memory import InMemorySaver
        from langgraph.graph import END, START, StateGraph

        graph = StateGraph(State)
        for name in ("perceive", "retrieve", "plan", "edit", "refine", "finalize"):
            graph.add_node(name, getattr(self, name), destinations=("edit", "plan", "finalize") if name == "refine" else None)
        graph.add_node("judge", self.judge, destinations=("edit", "refine", "plan", "finalize"))
        graph.add_edge(START, "perceive")
        graph.add_edge("perceive", "retrieve")
        graph.add_edge("retrieve", "plan")
        graph.add_conditional_edges("plan", self._after_plan, ["edit", "finalize"])
        graph.add_edge("edit", "judge")
        graph.add_edge("finalize", END)
        return graph.compile(checkpointer=InMemorySaver())

    def _after_plan(self, state: State) -> str:
        """Without a step to do, the next node must be named: an empty answer would end the run in silence."""
        if state["branch"] >= len(state["plans"]):
            return "finalize"
        return "edit" if state["at"] < len(state["plans"][state["branch"]]["steps"]) else "finalize"

    @property
    def limit(self) -> int:
        """The most super-steps that a run may take: per round one plan, and two steps for each edit, three for each refinement."""
        return 6 + max(1, self.count) * self.rounds * (1 + 2 * (DEPTH + 2) + 3 * REFINEMENTS)

    def run(self, strictness: float = 1.0, thread: str = "main") -> Iterator[tuple[str, dict[str, Any]]]:
        """(node, its update) for each node as it ends."""
        yield from self._stream({"strictness": strictness}, {"configurable": {"thread_id": thread}})

    def branch(self, judged: int, strictness: float, thread: str = "main") -> Iterator[tuple[str, dict[str, Any]]]:
        """Goes back to just before verdict number `judged` (from 1) and lets a critic of another strictness go on from there."""
        config = {"configurable": {"thread_id": thread}}
        for past in self._graph.get_state_history(config):
            if past.next == ("judge",) and past.values.get("judged") == judged - 1:
                yield from self._stream(None, self._graph.update_state(past.config, {"strictness": strictness}))
                return

    def _stream(self, given: dict[str, Any] | None, config: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        config = {**config, "recursion_limit": self.limit, "max_concurrency": 1}
        for update in self._graph.stream(given, config, stream_mode="updates", durability="sync"):
            yield from ((name, said or {}) for name, said in update.items())

    def state(self, thread: str = "main") -> dict[str, Any]:
        """What is known now: after a run, its results."""
        return dict(self._graph.get_state({"configurable": {"thread_id": thread}}).values)


def said(who: str, text: str, node: str, **more: Any) -> Said:
    """One line of the agents' talk, with what it is about."""
    return {"who": who, "text": text, "node": node, **more}
