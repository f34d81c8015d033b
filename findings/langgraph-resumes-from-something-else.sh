#!/usr/bin/env bash
# langgraph 1.2.24, InMemorySaver: the state that a running graph hands from node to node is not the state that it stores and resumes from.
# Seen: while it runs a tuple is a tuple, a masked array has its mask and an array of objects holds them; what is stored, and what a
#       resumed or branched run gets, is a list, the bare numbers (masked values included) and None. No warning at any point.
#       A node that calls interrupt() is run again from its first line when it is resumed: what it did before the call is done twice.
# Matters to: image editors and agents that keep masks or arrays in the state, and whoever branches from an earlier step.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check langgraph==1.2.24 langgraph-checkpoint==4.3.2 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version
from typing import Any, TypedDict

import numpy as np
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt


class State(TypedDict, total=False):
    size: Any
    region: Any
    names: Any
    answer: int


SETTINGS = {"configurable": {"thread_id": "one"}}
live: dict[str, Any] = {}


def make(state: State) -> dict:
    return {"size": (64, 64), "region": np.ma.masked_array([1.0, 2.0, 3.0], mask=[False, True, False]),
            "names": np.array([{"tool": "blur"}, None], dtype=object)}


def use(state: State) -> dict:
    live.update(size=type(state["size"]).__name__, mask=bool(np.ma.is_masked(state["region"])), names=state["names"][0])
    return {"answer": 1}


graph = StateGraph(State)
graph.add_node("make", make)
graph.add_node("use", use)
graph.add_edge(START, "make")
graph.add_edge("make", "use")
graph.add_edge("use", END)
app = graph.compile(checkpointer=InMemorySaver())
app.invoke({"answer": 0}, SETTINGS)
stored = app.get_state(SETTINGS).values
kept = {"size": type(stored["size"]).__name__, "mask": bool(np.ma.is_masked(stored["region"])), "names": stored["names"]}
print("langgraph", version("langgraph"))
print("running:", live)
print("stored: ", kept, "region", stored["region"])

times = []


def ask(state: State) -> dict:
    times.append("asked")
    return {"answer": interrupt("go on?")}


graph = StateGraph(State)
graph.add_node("ask", ask)
graph.add_edge(START, "ask")
graph.add_edge("ask", END)
app = graph.compile(checkpointer=InMemorySaver())
app.invoke({"answer": 0}, SETTINGS)
answer = app.invoke(Command(resume=7), SETTINGS)["answer"]
print("lines before interrupt() ran", len(times), "times; answer", answer)
assert live == {"size": "tuple", "mask": True, "names": {"tool": "blur"}}
assert kept == {"size": "list", "mask": False, "names": None} and list(stored["region"]) == [1.0, 2.0, 3.0]
assert len(times) == 2 and answer == 7
PYTHON
