"""What agents cost: a full edit against the tool calls in it, the free search against the tree's, an equal run from the record.

    python -m benchmarks.emotion

A photograph of 512 pixels, the target fear, one thread. "Tool calls" are those that the run makes, on the small copy and at full size,
called again one after the other without planner, critic, graph and checkpoints. Wanted: at most 1.5 times as long; a run from the record
within 50 milliseconds.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.timing import interleaved, summary, table, write

SIDE, TARGET, REPEATS = 512, "fear", 5


def main() -> None:
    import numpy as np
    import torch
    from PIL import Image

    from core.emotion import tools
    from core.emotion.critic import GATES, Critic
    from core.emotion.graph import Agents
    from core.emotion.pictures import photograph
    from core.emotion.planner import Search, found_for
    from core.emotion.store import ImageStore

    torch.set_num_threads(1)
    source = np.asarray(Image.fromarray(photograph("coffee")).resize((SIDE, SIDE)))

    def edit() -> Agents:
        critic = Critic(source, TARGET, GATES["normal"])
        agents = Agents(critic, Search(critic), ImageStore())
        for _ in agents.run():
            pass
        return agents

    calls: list[tuple[Any, ...]] = []
    bare_run = tools.run
    with mock.patch.object(tools, "run", lambda *given: calls.append(given) or bare_run(*given)):
        done = edit()
    at_full_size = [call for call in calls if call[1].shape[0] == SIDE]

    def judged() -> None:
        critic = Critic(source, TARGET, GATES["normal"])
        for call in calls:
            critic.judge(bare_run(*call))

    def search(restricted: bool) -> Search:
        critic = Critic(source, TARGET, GATES["normal"])
        made = Search(critic, restricted=restricted)
        made.plans(found_for(critic, by_gap=True), 1)
        return made

    rows: list[dict[str, Any]] = []
    for what, sides, against in (
            ("edit", {"tool calls": lambda: [bare_run(*call) for call in calls], "tool calls, each judged": judged, "full edit": edit,
                      "only those at full size": lambda: [bare_run(*call) for call in at_full_size]}, "tool calls"),
            ("search", {"the tree": lambda: search(True), "every tool": lambda: search(False)}, "the tree")):
        taken = interleaved(sides, repeats=REPEATS, warm_up=1, clock=time.process_time)
        base = statistics.median(taken[against])
        rows += [{"what": what, "name": name, **summary(seconds), f"against {against}": statistics.median(seconds) / base}
                 for name, seconds in taken.items()]
    rows.append({"what": "record", "name": "an equal run again", **summary(_recalled())})
    print(table(rows))
    notes = [f"{len(calls)} tool calls, {len(at_full_size)} of them at full size; {done.critic.evaluations} pictures judged.",
             f"Pictures judged in the search: {search(True).critic.evaluations} in the tree, "
             f"{search(False).critic.evaluations} with every tool.",
             "Processor seconds of one thread; the equal run by the clock, from the call until its verdict is there."]
    print(write("emotion", rows, about={"side": SIDE, "target": TARGET, "threads": 1}, notes=notes))


def _recalled() -> list[float]:
    """Seconds of asking for a run that is finished, and reading its result."""
    from core.engine.runner import Engine
    from core.engine.settings import Settings

    with tempfile.TemporaryDirectory() as home:
        engine = Engine(Settings(home=Path(home)))
        config = {"chances": 2, "picture": "rocket"}
        engine.wait(engine.start("emotion/edit", config).id)
        taken = []
        for _ in range(25):
            begun = time.perf_counter()
            run = engine.start("emotion/edit", config)
            engine.result(run.id)
            taken.append(time.perf_counter() - begun)
            assert run.recorded
        engine.close()
    return taken


if __name__ == "__main__":
    main()
