"""The lab for programs: one named endpoint per experiment and probe, over HTTP (gradio_client) and as MCP tools.

    client = gradio_client.Client("http://127.0.0.1:7860/")
    client.predict({"algorithm": "npo"}, api_name="/unlearning_audit")      # the same JSON as `glassbox run --json`

Every endpoint takes a config and answers with plain data; what was wrong comes back as {"error", "hint"}.
A tool tells the schema of its config, answers with JSON text, and marks what was wrong as an error.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
from collections.abc import Callable
from typing import Any

import gradio as gr
from gradio.context import LocalContext, get_blocks_context

from apps.lab.visitors import Here
from core.engine import claims
from core.engine.door import Door
from core.engine.errors import LabError
from core.engine.experiment import Experiment
from core.engine.registry import everything

AT_ONCE = 64


def add_endpoints(engine: Here) -> None:
    """Adds all endpoints to the Blocks being built."""
    for experiment in everything():
        answer = _runner(engine, experiment) if experiment.kind == "experiment" else _prober(engine, experiment)
        _offer(answer, endpoint_name(experiment.name), describe(experiment), experiment.config.model_json_schema())
    _offer(_list, "list", "All experiments and probes with the schema of their configuration.")
    _offer(_claims, "claims", "The papers' claims and what this lab measured.")


def endpoint_name(experiment: str) -> str:
    """unlearning/soft-tokens -> unlearning_soft_tokens"""
    return experiment.replace("/", "_").replace("-", "_")


def _offer(answer: Callable[..., Any], name: str, description: str, schema: dict[str, Any] | None = None) -> None:
    """`schema`: of the first argument, which Gradio would only call an object."""
    offered = _as_json(answer)
    offered.__name__ = name  # what Gradio calls the MCP tool
    gr.api(offered, api_name=name, api_description=description, concurrency_limit=AT_ONCE)
    if schema:
        made = list(get_blocks_context().fns.values())[-1]
        # Gradio reads no `additionalProperties: false`; a config refuses a field that it does not know by itself
        made.inputs[0]._api_info = {key: part for key, part in schema.items() if key != "additionalProperties"}


def _as_json(answer: Callable[..., Any]) -> Callable[..., Any]:
    """The same for MCP tools, whose answers Gradio would write as Python does: JSON text, and what was wrong marked as an error."""
    @functools.wraps(answer)
    async def offered(*given: Any, **named: Any) -> Any:
        said = answer(*given, **named)
        said = await said if inspect.isawaitable(said) else said
        request = LocalContext.request.get(None)
        if request is None or "mcp-protocol-version" not in request.headers:  # Gradio passes on what the assistant's call carried
            return said
        text = json.dumps(said, ensure_ascii=False)
        if set(said) == {"error", "hint"}:
            raise gr.Error(text, print_exception=False)
        return text

    return offered


def describe(experiment: Experiment) -> str:
    """The endpoint in words: what it does and every field with its meaning and default."""
    schema = experiment.config.model_json_schema()["properties"]
    fields = "; ".join(f"{name}: {field.get('description', name)} (default {field.get('default')!r})" for name, field in schema.items())
    return f"{experiment.title} (paper {experiment.paper}). config fields: {fields}."


def _runner(engine: Here, experiment: Experiment) -> Callable[..., Any]:
    async def run(config: dict, seed: int = 0, fresh: bool = False) -> dict:
        door = engine.door()
        try:
            handle = await asyncio.to_thread(door.start, experiment.name, config, seed=_whole(seed), fresh=bool(fresh))
            await _end(door, handle.id)
            return await asyncio.to_thread(door.result, handle.id)
        except LabError as error:
            return error.to_dict()

    return run


def _prober(engine: Here, experiment: Experiment) -> Callable[..., Any]:
    async def ask(config: dict) -> dict:
        try:
            return await asyncio.to_thread(engine.door().probe, experiment.name, config)
        except LabError as error:
            return error.to_dict()

    return ask


def _whole(seed: Any) -> Any:
    return int(seed) if isinstance(seed, float) and seed.is_integer() else seed


async def _end(door: Door, run_id: str) -> None:
    """Waits without holding a thread, however long the run takes; the listener counts as somebody watching."""
    loop, news = asyncio.get_running_loop(), asyncio.Event()
    stop = door.listen(run_id, lambda: loop.call_soon_threadsafe(news.set))
    try:
        while (await asyncio.to_thread(door.state, run_id))["outcome"] == "running":
            try:
                await asyncio.wait_for(news.wait(), timeout=1.0)
            except TimeoutError:
                pass
            news.clear()
    finally:
        stop()


def _list() -> dict:
    return {"experiments": [experiment.described() for experiment in everything()]}


def _claims(paper: str = "") -> dict:
    try:
        return {"claims": claims.recorded(paper or None)}
    except LabError as error:
        return error.to_dict()
