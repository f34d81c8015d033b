"""Sweeps on Ray: what a worker says becomes a record here, whoever computed it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from core.engine import rays
from core.engine.errors import LabError
from core.engine.models import ModelStore
from core.engine.sweep import sweep
from tests.warm import warm

HEAD = """
import os, sys
from core.engine import rays
with rays.cluster(1) as ray:
    import psutil
    ports = [c.laddr.ip for p in [psutil.Process(), *psutil.Process().children(recursive=True)]
             for c in p.net_connections() if c.status == "LISTEN"]
    print(ray.get_runtime_context().gcs_address, os.environ["RAY_AUTH_TOKEN"], *set(ports), flush=True)
    sys.stdin.read()
"""
NODE = """
import sys
from ray._private.node import Node
from ray._private.parameter import RayParams
Node(RayParams(gcs_address=sys.argv[1], node_ip_address="127.0.0.1", num_cpus=1), head=False, shutdown_at_exit=True, spawn_reaper=True)
print("joined", flush=True)
sys.stdin.read()
"""
SWEEP = """
import json, os, threading, time, psutil
import core.engine.rays as rays
from core.engine.sweep import sweep
from tests.engine.ray_worker import Worker
rays.Worker = Worker
here, model, address = engine(sys.argv[1]), sys.argv[2], sys.argv[3]
nodes, begun, TOKEN = set(), set(here.records.ids()), os.environ["RAY_AUTH_TOKEN"]
def workers():
    found = []
    for process in psutil.process_iter(["pid", "ppid", "cmdline"]):
        if (process.info["cmdline"] or [""])[0].startswith("ray::Worker") and process.environ().get("RAY_AUTH_TOKEN") == TOKEN:
            nodes.add(process.info["ppid"])
            found.append(process)
    return found
def kill():
    while True:
        busy = [one for one in workers() if one.info["cmdline"][0].startswith("ray::Worker.events")]  # Ray names what it is doing
        if busy and set(here.records.ids()) - begun:
            busy[0].kill()
            break
        time.sleep(0.02)
    while len(nodes) < 2:
        workers()
        time.sleep(0.1)
threading.Thread(target=kill, daemon=True).start()
rows = list(sweep(here, "test/train", {"model": [model], "steps": [60, 61]}, seeds=[0, 1, 2], jobs=2, ray=True, address=address))
told = [[row[field] for field in ("config", "seed", "metrics", "outcome", "run_id")] for row in rows]
print(json.dumps({"rows": told, "nodes": len(nodes)}))
"""


def told(lines):
    """Events without what differs between two computations of the same."""
    return [{field: value for field, value in line.items() if field not in ("t", "ref")} for line in lines]


def kept_model(engine, llama) -> str:
    run = engine.start("test/train", {"model": llama, "steps": 1})
    engine.wait(run.id)
    return f"run/{run.id}/trained"


def finished(worker, copy):
    while not copy.ended:
        copy.write(worker.events(copy.id, copy.seen))
    copy.close()


def test_what_a_worker_computes_is_a_record_here_like_any_other(engine, llama):
    asked = [({"model": kept_model(engine, llama), "steps": 2, "gate": "", "keep": True}, seed) for seed in (0, 1)]
    worker = rays.Worker(1, rays._carried(engine, "test/train", asked))
    for config, seed in asked:
        copy = rays.Copy(engine.records, worker.start("test/train", config, seed))
        assert engine.state(copy.id)["outcome"] == "running"
        finished(worker, copy)
        known = engine.recall("test/train", config, seed=seed)
        alone = engine.start("test/train", config, seed=seed, fresh=True)
        state, single = engine.state(copy.id), engine.wait(alone.id)
        assert told(engine.events(copy.id)) == told(engine.events(alone.id)) and known == (state["key"], copy.id)
        differing = {field for field in state if state[field] != single[field]}
        assert differing <= {"id", "created", "started", "duration_s", "owner", "visitors"}
        assert engine.models.fingerprint(f"run/{copy.id}/trained") == engine.models.fingerprint(f"run/{alone.id}/trained")
    rows = list(sweep(engine, "test/train", {"model": [config["model"]], "steps": [2]}, seeds=[0, 1], ray=True))
    assert len(rows) == 2, "what is recorded needs no Ray any more"


def test_a_worker_loads_a_model_once(experiments, llama, monkeypatch):
    loads, load = [], ModelStore._read
    monkeypatch.setattr(ModelStore, "_read", lambda self, *words: loads.append(words[0]) or load(self, *words))
    worker = rays.Worker(1, {})
    for seed in (0, 1, 2):
        run = worker.start("test/across", {"model": llama}, seed)
        while not worker.events(run["id"], 0)["run"]:
            pass
    assert loads == [llama]


def test_a_worker_that_is_told_to_stop_or_cannot_begin_says_so(engine):
    worker = rays.Worker(1, {})
    copy = rays.Copy(engine.records, worker.start("test/count", {"steps": 5000}, 0))
    worker.cancel(copy.id)
    finished(worker, copy)
    assert engine.state(copy.id)["outcome"] == "cancelled" and engine.events(copy.id)[-1]["kind"] == "end"
    refused = worker.start("test/train", {"model": "embedded/nothing"}, 0)
    assert "no embedded model" in refused["error"] and refused["hint"]


def test_without_ray_a_sentence_says_how_to_get_it(engine, monkeypatch):
    monkeypatch.setattr(rays.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LabError, match="Ray is not installed.*pip install"):
        next(sweep(engine, "test/count", {"steps": [1]}, ray=True))
    assert engine.records.list() == []


@pytest.fixture
def nodes(monkeypatch):
    """A cluster of two processes that are a machine each, with one core: its address, and where its head listens."""
    pytest.importorskip("ray", reason="Ray is not installed: .venv/bin/pip install -c constraints.txt ray")
    opened = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    here = os.environ | {"PYTHONPATH": os.getcwd()}
    head = subprocess.Popen(warm(HEAD), env=here, **opened)
    try:
        address, token, *ports = head.stdout.readline().split()
        for name, value in {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token, "PYTHONPATH": os.getcwd()}.items():
            monkeypatch.setenv(name, value)
        second = subprocess.Popen([sys.executable, "-c", NODE, address], env=os.environ | rays.TELEMETRY_OFF | rays.ONLY_HERE, **opened)
        try:
            assert second.stdout.readline() == "joined\n"
            yield address, ports
        finally:
            second.communicate()
    finally:
        head.communicate()


def test_two_nodes_of_ray_share_a_sweep_and_a_killed_worker_costs_nothing(nodes, python, engine, llama):
    address, ports = nodes
    assert ports and all(port.removeprefix("::ffff:").startswith("127.") for port in ports)
    model = kept_model(engine, llama)
    # Ray prints there that a worker died
    said = json.loads(python(SWEEP, engine.settings.home, model, address, timeout=900).stdout.splitlines()[-1])
    again = list(sweep(engine, "test/train", {"model": [model], "steps": [60, 61]}, seeds=[0, 1, 2], jobs=2, ray=True))
    assert [row["run_id"] for row in again] == [row[4] for row in said["rows"]], "what is finished is not computed again"
    outcomes = [run.outcome for run in engine.records.list("sweep")]
    assert said["nodes"] == 2 and outcomes.count("finished") == 6 and outcomes.count("interrupted") == 1
    for config, seed, metrics, outcome, _ in said["rows"]:
        single = engine.start("test/train", config, seed=seed, fresh=True)
        assert (outcome, engine.wait(single.id)["outcome"]) == ("finished", "finished") and engine.result(single.id)["metrics"] == metrics
