"""How fast the site is: the home page against an empty Gradio app, and 100 watchers against Gradio's own streaming.

    python -m benchmarks.site

Servers run in processes of their own, the watchers in this one. Both streams carry the time at which each event was
made, so a latency is the time from there to the moment at which a watcher has parsed it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx

from benchmarks.timing import interleaved, summary, table, versions, write

WATCHERS, EVENTS, PAUSE_S = 100, 100, 0.1
STREAM = "benchmark/stream"


def main() -> None:
    rows = [*home(), *watchers()]
    print(table(rows))
    print(write("site", rows, notes=[
        "Home page: one GET each, interleaved; aim: lab <= 1.5x empty Gradio app.",
        f"Watchers: {WATCHERS} at once, {EVENTS} events {PAUSE_S} s apart; aim: no event lost, p99 no worse than Gradio's.",
        "Gradio's echo runs one generator per watcher, the lab one run that all of them follow."],
        about=versions("gradio", "fastapi", "uvicorn", "httpx")))


def home() -> list[dict[str, Any]]:
    """Medians of serving the first page, and their ratio."""
    with serving("empty") as empty, serving("lab") as lab, httpx.Client() as client:
        def get(address: str) -> Callable[[], httpx.Response]:
            return lambda: client.get(address, headers={"accept": "text/html"}).raise_for_status()

        taken = interleaved({"empty Gradio app": get(empty), "lab home": get(lab)}, repeats=60, warm_up=10)
    base = statistics.median(taken["empty Gradio app"])
    return [{"what": "home page", "name": name, **summary(seconds), "ratio": statistics.median(seconds) / base}
            for name, seconds in taken.items()]


def watchers() -> list[dict[str, Any]]:
    """Latencies of both streams in milliseconds, and what was lost; two rounds, interleaved."""
    latencies: dict[str, list[float]] = {"Gradio echo": [], "lab run": []}
    lost = dict.fromkeys(latencies, 0)
    with serving("echo") as echo, serving("lab") as lab:
        for _ in range(2):
            for name, address, watch in (("Gradio echo", echo, _watch_gradio), ("lab run", lab, _watch_lab)):
                for seen in asyncio.run(_all(address, watch)):
                    latencies[name] += seen
                    lost[name] += EVENTS - len(seen)
    worst = {name: statistics.quantiles(values, n=100)[98] for name, values in latencies.items()}
    return [{"what": f"{WATCHERS} watchers", "name": name, "median_ms": 1e3 * statistics.median(values), "p99_ms": 1e3 * worst[name],
             "n": len(values), "lost": lost[name], "ratio": worst[name] / worst["Gradio echo"]} for name, values in latencies.items()]


async def _all(address: str, watch: Callable[[httpx.AsyncClient, str, str], Awaitable[list[float]]]) -> list[list[float]]:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=WATCHERS)
    async with httpx.AsyncClient(base_url=address, timeout=120, limits=limits) as client:
        run = ""
        if watch is _watch_lab:
            run = (await client.post("benchmark/start")).json()["run"]
        return await asyncio.gather(*(watch(client, address, run) for _ in range(WATCHERS)))


async def _watch_lab(client: httpx.AsyncClient, address: str, run: str) -> list[float]:
    """As static/client.js does it."""
    seen, since = [], 0
    while True:
        async with client.stream("GET", f"lab/runs/{run}/events", params={"since": since, "wait": 20}) as stream:
            async for line in stream.aiter_lines():
                now, answer = time.time(), json.loads(line)
                since = answer["next"]
                seen += [now - event["value"] for event in answer["events"] if event["kind"] == "metric"]
                if any(event["kind"] == "end" for event in answer["events"]):
                    return seen


async def _watch_gradio(client: httpx.AsyncClient, address: str, run: str) -> list[float]:
    call = (await client.post("gradio_api/call/echo", json={"data": []})).json()["event_id"]
    seen: list[float] = []
    async with client.stream("GET", f"gradio_api/call/echo/{call}") as stream:
        kind = ""
        async for line in stream.aiter_lines():
            if line.startswith("event:"):
                kind = line.removeprefix("event:").strip()
            elif line.startswith("data:") and kind == "generating":
                seen.append(time.time() - json.loads(line.removeprefix("data:"))[0])
            elif line.startswith("data:") and kind in ("complete", "error"):
                break
    return seen


@contextlib.contextmanager
def serving(kind: str) -> Iterator[str]:
    """The address of a server in a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}/"
    with tempfile.TemporaryDirectory() as home:
        process = subprocess.Popen([sys.executable, "-m", "benchmarks.site", kind, str(port)], env=os.environ | {"GLASSBOX_HOME": home})
        try:
            for _ in range(600):
                with contextlib.suppress(httpx.HTTPError):
                    if httpx.get(address, headers={"accept": "text/html"}).is_success:
                        break
                time.sleep(0.1)
            yield address
        finally:
            process.terminate()
            process.wait(20)


def serve(kind: str, port: int) -> None:
    """One of the servers: the lab with a run to watch, an empty Gradio app, one with a plot, or Gradio's streaming echo."""
    import uvicorn

    uvicorn.run({"lab": _lab, "empty": _empty, "plot": _plot, "echo": _echo}[kind](), host="127.0.0.1", port=port, log_level="warning")


def _empty() -> Any:
    import gradio as gr
    from fastapi import FastAPI

    with gr.Blocks(analytics_enabled=False) as blocks:
        pass
    return gr.mount_gradio_app(FastAPI(), blocks, path="", ssr_mode=False)


def _plot() -> Any:
    import gradio as gr
    import plotly.graph_objects as go
    from fastapi import FastAPI

    with gr.Blocks(analytics_enabled=False) as blocks:
        gr.Plot(go.Figure(go.Scatter(y=[1, 3, 2])))
    return gr.mount_gradio_app(FastAPI(), blocks, path="", ssr_mode=False)


def _echo() -> Any:
    import gradio as gr
    from fastapi import FastAPI

    def echo() -> Iterator[float]:
        for _ in range(EVENTS):
            time.sleep(PAUSE_S)
            yield time.time()

    with gr.Blocks(analytics_enabled=False) as blocks:
        out = gr.Number()
        gr.Button().click(echo, outputs=out, api_name="echo", concurrency_limit=None)
    blocks.queue(max_size=None)
    app = FastAPI()

    blocks.max_threads = 2 * WATCHERS  # a generator of its own for everybody
    return gr.mount_gradio_app(app, blocks, path="", ssr_mode=False)


def _lab() -> Any:
    from apps.lab.server import create_app
    from core.engine import registry
    from core.engine.runner import Engine
    from core.engine.settings import Settings

    registry.EXPERIMENTS[STREAM] = "benchmarks.stream:stream"
    engine = Engine(Settings())
    app = create_app(engine=engine)

    @app.post("/benchmark/start")
    def start() -> dict[str, str]:
        run = engine.start(STREAM, {"events": EVENTS, "pause": PAUSE_S}, visitor="api", fresh=True)
        return {"run": run.id}

    # before Gradio's catch-all mount
    app.router.routes.insert(0, app.router.routes.pop())
    return app


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2])) if len(sys.argv) == 3 else main()
