"""Processes that are killed, disks that are full, and many runs in one process."""

from __future__ import annotations

import json

import pytest

from core.engine.records import read_events

# One process imports everything and then forks twenty that run experiments without a pause until they are killed.
KILLS = """
import os, random, signal, time, torch
torch.set_num_threads(1)
pick = random.Random(0)
for child in range(20):
    hears, says = os.pipe()
    pid = os.fork()
    if not pid:
        lab, steps = engine(sys.argv[1]), 20
        while True:
            lab.wait(lab.start("test/count", {"steps": steps, "pad": 3000}, seed=child, fresh=True).id)
            os.write(says, b".")
            steps = 150
    os.read(hears, 1)
    time.sleep(pick.uniform(0.0, 0.15))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
"""


def test_a_process_killed_at_any_moment_leaves_a_readable_record_that_reads_interrupted(engine, python):
    python(KILLS, engine.settings.home)
    runs = engine.records.list()
    interrupted = [run for run in runs if run["outcome"] == "interrupted"]
    assert len(interrupted) >= 5 and {run["outcome"] for run in runs} <= {"finished", "interrupted"}
    for run in runs:
        lines = engine.events(run["id"])
        assert [line["seq"] for line in lines] == list(range(len(lines)))
        assert lines[-1]["kind"] == "end" and lines[-1]["outcome"] == run["outcome"] == engine.result(run["id"])["outcome"]
        assert list(engine.watch(run["id"])) == lines
    assert any(len(engine.events(run["id"])) > 1 for run in interrupted), "no run was killed while it spoke"
    again = engine.start("test/count", {"steps": 2})
    assert engine.wait(again.id, timeout=120)["outcome"] == "finished"
    for run in interrupted:
        engine.delete(run["id"])


# No file may grow beyond a limit, as on a full disk: the log, a kept model, then everything.
FULL = """
import json, resource
lab, said = engine(sys.argv[1]), []
def limit(size): resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
def run(name, config):
    try: state = lab.wait(lab.start(name, config, fresh=True).id, timeout=120)
    except Exception as error: said.append(["refused", str(error)])
    else: said.append([state["outcome"], state["error"], state["id"]])
train = {"model": sys.argv[2], "steps": 1}
lab.models.load(sys.argv[2])
limit(40_000); run("test/count", {"steps": 100, "pad": 3000}); run("test/train", train)
limit(100); run("test/count", {})
limit(resource.RLIM_INFINITY); run("test/count", {"steps": 100, "pad": 3000}); run("test/train", train)
print(json.dumps(said))
"""


def test_a_full_disk_ends_a_run_with_a_sentence_and_the_next_good_run_works(engine, python, llama):
    log, model, nothing, good, trained = json.loads(python(FULL, engine.settings.home, llama).stdout)
    for outcome, error, _ in (log, model):
        assert outcome == "failed" and error.startswith("The run could not be recorded any further: ")
    assert nothing[0] == "refused" and "The run could not be recorded: File too large." in nothing[1]
    assert good[0] == trained[0] == "finished"
    root = engine.records.root
    assert sorted(run["id"] for run in engine.records.list()) == sorted(x[2] for x in (log, model, good, trained))
    for _, _, run_id in (log, model, good, trained):
        lines = engine.events(run_id)
        assert lines[-1]["kind"] == "end" and lines[-1]["outcome"] == engine.state(run_id)["outcome"]
        whole = read_events(root / run_id / "events.jsonl")
        assert (root / run_id / "events.jsonl").read_bytes().count(b"\n") == len(whole) <= len(lines)
    assert len(engine.events(log[2])) > 10 and (root / log[2] / "events.jsonl").stat().st_size <= 40_000
    assert not (root / model[2] / "models" / "trained").exists() and (root / trained[2] / "models" / "trained").is_dir()
    assert not [file for file in root.rglob("*") if ".part" in file.name or file.name == ".reserve"]


GROWTH = """
import gc, os, psutil
os.fsync = lambda file: None  # waiting for the disk leaves nothing in memory
from concurrent.futures import ThreadPoolExecutor
lab, seeds = engine(sys.argv[1]), iter(range(10_000))
def run(stop):
    config = {"model": sys.argv[2], "steps": 50 if stop else 1, "keep": False}
    started = lab.start("test/train", config, seed=next(seeds))
    if stop:
        next(lab.watch(started.id))
        lab.cancel(started.id)
    outcome = lab.wait(started.id, timeout=120)["outcome"]
    assert outcome == ("cancelled" if stop else "finished"), outcome
def resident():
    gc.collect()
    return psutil.Process().memory_info().rss
for _ in range(10): run(False), run(True)
before = resident()
for _ in range(40): run(False), run(True)
print(before, resident())
"""


@pytest.fixture
def shallow(tmp_path) -> str:
    """A Llama of one wide layer: quick to build, and 2 MB that would be missed."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(vocab_size=800, hidden_size=192, intermediate_size=384, num_hidden_layers=1, num_attention_heads=2)
    LlamaForCausalLM(config).save_pretrained(tmp_path / "shallow")
    return f"path/{tmp_path / 'shallow'}"


def test_forty_runs_and_forty_stops_leave_the_memory_as_it_was(engine, python, shallow):
    """Hundreds of them: `python -m benchmarks.growth`."""
    before, after = map(int, python(GROWTH, engine.settings.home, shallow, timeout=580).stdout.split())
    assert after < 1.05 * before
    assert len(engine.records.list()) == 100


SAME = """
import json
lab = engine(sys.argv[1])
answer = lab.result((lambda run: lab.wait(run.id)["id"])(lab.start("test/train", {"model": sys.argv[2], "keep": False}, seed=5)))
print(json.dumps(answer))
"""


def test_engine_sweep_and_a_second_process_give_the_same_numbers(engine, python, llama, tmp_path):
    from core.engine.sweep import sweep

    config = {"model": llama, "keep": False}
    run = engine.start("test/train", config, seed=5)
    engine.wait(run.id, timeout=120)
    swept = [row for row in sweep(engine, "test/train", {"model": llama, "keep": [False]}, seeds=[4, 5], fresh=True) if row["seed"] == 5]
    elsewhere = json.loads(python(SAME, tmp_path / "another home", llama).stdout)
    answers = [engine.result(run.id), swept[0], elsewhere]
    assert len({answer["run_id"] for answer in answers}) == 3
    assert len({json.dumps([answer[key] for key in ("config", "seed", "metrics", "verdict", "outcome", "model")])
                for answer in answers}) == 1
