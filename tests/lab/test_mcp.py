"""With --mcp the experiments are tools for assistants, with the same names and answers as the API."""

from __future__ import annotations

import asyncio
import json

import pytest

from apps.lab.server import create_app
from core.engine.registry import EXPERIMENTS
from tests.servers import serving

pytest.importorskip("mcp", reason="the extra gradio[mcp] is not installed")


@pytest.fixture(scope="module")
def address(engine):
    with serving(create_app(engine=engine, mcp=True)) as address:
        yield address


def session(address: str, ask):
    """What `ask(session)` gives, over one connection to the tools."""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    async def talk():
        async with streamable_http_client(f"{address}gradio_api/mcp/") as (read, write, _), ClientSession(read, write) as session:
            await session.initialize()
            return await ask(session)

    return asyncio.run(talk())


def test_every_experiment_is_a_tool_and_nothing_else(address):
    tools = session(address, lambda one: one.list_tools()).tools
    wanted = {name.replace("/", "_").replace("-", "_") for name in EXPERIMENTS} | {"list", "claims"}
    assert {tool.name for tool in tools} == wanted
    count = next(tool for tool in tools if tool.name == "test_count")
    assert "How far to count" in count.description
    steps = count.inputSchema["properties"]["config"]["properties"]["steps"]
    assert (steps["minimum"], steps["maximum"], steps["default"]) == (1, 1000, 3) and count.inputSchema["required"] == ["config"]


def test_a_tool_answers_like_the_api(address, engine):
    answer = session(address, lambda one: one.call_tool("test_count", {"config": {"steps": 2, "picks": [20, 22]}}))
    said = json.loads(answer.content[0].text)
    assert said["metrics"]["total"] == 42.0 and said["outcome"] == "finished" and not answer.isError
    refused = session(address, lambda one: one.call_tool("test_count", {"config": {"steps": 0}}))
    assert refused.isError and "0 is less than the minimum of 1" in refused.content[0].text
    refused = session(address, lambda one: one.call_tool("test_count", {"config": {"stepz": 2}}))
    assert refused.isError and "did you mean 'steps'?" in refused.content[0].text, refused.content[0].text
