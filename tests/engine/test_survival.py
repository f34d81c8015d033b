"""What may happen to a lab that works: it is killed, its folder becomes read-only or goes, files run out, the clock is set back.

Nothing that a visitor was told of is lost, and everybody reads a sentence. GLASSBOX_KILLS=20 kills as often, here it is three times.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time

import psutil
import pytest

from core.engine.processes import alive, began
from core.engine.runner import Engine
from core.engine.settings import REPOSITORY
from tests.warm import warm

KILLS = int(os.environ.get("GLASSBOX_KILLS", "3"))

# Says every run and every file once the visitor would know of it; ends when its standard input does.
BUSY = """
import itertools, os, sys, threading
from pathlib import Path
from core.engine import registry
from core.engine.door import Door
from core.engine.runner import Engine
from core.engine.settings import Settings
from tests.engine.experiments_for_tests import TABLE
registry.EXPERIMENTS |= TABLE
home, who = Path(sys.argv[1]), sys.argv[2]
lab, over = Engine(Settings(home=home, threads=1)), threading.Event()
def say(*words): os.write(1, (" ".join(words) + "\\n").encode())
def runs():
    for seed in itertools.count():
        run = Door(lab, who).start("test/count", {"steps": 20, "pad": 500}, seed=seed)
        say("run", who, run.id)
        say(lab.wait(run.id)["outcome"], who, run.id)
        if over.is_set(): return
def files():
    source = home.parent / f"{who}.csv"
    for n in itertools.count():
        owner = f"{who}{n // 20}"  # each may keep no more than fifty
        source.write_text(f"question,answer\\n{who},{n}\\n")
        say("file", owner, Door(lab, owner).bring(source, "a.csv"), str(n))
        if over.wait(0.005): return
threads = [threading.Thread(target=work) for work in (runs, files)]
say("pid", str(os.getpid()))
for thread in threads: thread.start()
sys.stdin.read()
over.set()
for thread in threads: thread.join()
lab.close()
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a fresh interpreter for each would take too long")
def test_two_labs_on_one_home_one_of_which_is_killed_at_any_moment(experiments, settings):
    settings.home.mkdir()
    pick, told, cut = random.Random(4), [], 0
    for turn in range(10 * KILLS):
        if turn >= KILLS and cut:  # a kill may fall between two runs: it goes on until one has met a run at work
            break
        ours = [subprocess.Popen(warm(BUSY, str(settings.home), f"{name}{turn}x"), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 cwd=REPOSITORY, text=True) for name in ("ann", "bob")]
        doomed = int(ours[0].stdout.readline().split()[1])
        first = [ours[0].stdout.readline() for _ in range(3)]
        time.sleep(pick.uniform(0.0, 0.4))
        os.kill(doomed, signal.SIGKILL)
        said = [first + ours[0].stdout.read().splitlines(), ours[1].communicate(timeout=120)[0].splitlines()[1:]]
        ours[0].stdin.close()
        assert ours[0].wait(60) == -signal.SIGKILL and ours[1].wait(60) == 0
        told += [line.split() for lines in said for line in lines]
        lab = Engine(settings)
        cut += _nothing_is_lost(lab, told)
        lab.close()
    assert cut > 0, "no kill met a run at work"


def _nothing_is_lost(lab: Engine, told: list[list[str]]) -> int:
    """Everything that was said is there and whole, and nothing half made; gives how many runs were cut short."""
    listed = {run.id: run for run in lab.records.list()}
    for kind, who, what, *rest in told:
        if kind == "file":
            assert lab.uploads.about(what, who)["name"] == "a.csv"
            assert lab.uploads.path(what).read_text() == f"question,answer\n{who.rpartition('x')[0]}x,{rest[0]}\n"
            continue
        lines = lab.events(what)
        assert who in listed[what].visitors and lines[-1]["outcome"] == listed[what].outcome in ("finished", "interrupted")
        assert [line["seq"] for line in lines] == list(range(len(lines)))
        assert kind == "run" or kind == listed[what].outcome == "finished"
    assert lab.records.damaged() == [] and not list(lab.records.root.rglob("*.part"))
    assert {path.name for path in lab.records.root.glob(".*")} <= {".lock", ".finished"}
    return sum(run.outcome == "interrupted" for run in listed.values())


# Asks for everything that a visitor can ask for, before, during and after; says what each was answered, and what no sentence was.
MISFORTUNE = """
import datetime, json, resource, shutil, time
import psutil
from core.engine import report, runner
from core.engine.door import Door
from core.engine.errors import LabError
home, said = Path(sys.argv[1]), {}
lab = engine(home)
ada, bob = Door(lab, "ada"), Door(lab, "bob")
numbers = iter(range(1000))
def bring(text, door=ada):
    source = home.parent / "a.csv"
    source.write_text(text)
    return door.bring(source, "a.csv")
def run(door=ada): return lab.wait(door.start("test/count", {}, seed=next(numbers)).id, timeout=60)["outcome"]
kept, doomed = [lab.wait(ada.start("test/count", {}, seed=900 + i).id)["id"] for i in range(2)]
file, other = bring("question,answer\\na,b\\n"), bring("question,answer\\nc,d\\n")
source = home.parent / "b.csv"
source.write_text("question,answer\\ne,f\\n")
metrics = lab.result(kept)["metrics"]
asked = {"run": run, "bring": lambda: ada.bring(source, "b.csv"), "bring again": lambda: bob.bring(source, "b.csv"),
         "runs": lambda: len(ada.runs()), "read": lambda: ada.read(kept).outcome, "state": lambda: ada.state(kept)["outcome"],
         "events": lambda: len(ada.events(kept)), "csv": lambda: len(ada.metrics_csv(kept)), "publish": lambda: ada.publish(kept),
         "recall": lambda: bob.start("test/count", {}, seed=900).id, "brought": lambda: ada.brought(file)["name"],
         "probe": lambda: lab.probe("test/sums", {"numbers": [next(numbers), 1]})["total"] > 0,
         "another lab": lambda: bool(engine(home)), "take away": lambda: ada.take_away(other), "delete": lambda: ada.delete(doomed)}
def ask(when):
    answers = said[when] = {}
    for name, question in asked.items():
        try: answers[name] = question()
        except LabError as problem: answers[name] = {"sentence": problem.message, "hint": problem.hint}
        except Exception as problem: answers[name] = {"bug": repr(problem)}
GATES["g"] = Gate()
going = ada.start("test/count", {"gate": "g", "steps": 4}).id
GATES["g"].open(2)
def go_on():
    GATES["g"].open(100)
    try: said["going"] = lab.wait(going, timeout=60)["outcome"]
    except LabError as problem: said["going"] = {"sentence": problem.message}
    said["end"] = lab._slot._queue == [] and lab._active == {}
"""
AFTER = """
ask("after")
try: said["kept"] = lab.result(kept)["metrics"] == metrics
except LabError as problem: said["kept"] = problem.message
try: said["file"] = lab.uploads.path(file).read_text() == "question,answer\\na,b\\n"
except LabError as problem: said["file"] = problem.message
lab.close()
print(json.dumps(said))
"""
READ_ONLY = """
import ctypes
ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)())  # the administrator may write everywhere, until now
folders = [path for path in [home, *home.rglob("*")] if path.is_dir()]
def allow(mode):
    for folder in reversed(folders) if mode == 0o500 else folders: folder.chmod(mode)
allow(0o500)
ask("during")
allow(0o700)
go_on()
"""
GONE = """
shutil.rmtree(home)
go_on()
ask("during")
"""
HANDLES = """
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + ROOM, hard))
go_on()
ask("during")
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
"""
CLOCK = """
real, back = time.time, datetime.timedelta(days=3)
class Earlier(datetime.datetime):
    @classmethod
    def now(cls, tz=None): return datetime.datetime.now(tz) - back
runner.datetime, time.time = Earlier, lambda: real() - back.total_seconds()
boot = psutil.boot_time
psutil.boot_time = psutil._psplatform.boot_time = lambda: boot() - back.total_seconds()
go_on()
ask("during")
"""
MISFORTUNES = {"read-only": READ_ONLY, "gone": GONE, "no file more": "ROOM = 0\n" + HANDLES, "one file more": "ROOM = 1\n" + HANDLES,
               "two files more": "ROOM = 2\n" + HANDLES, "clock set back": CLOCK}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits and rights are set as Linux has them")
@pytest.mark.parametrize("what", MISFORTUNES)
def test_whatever_happens_nothing_is_lost_and_everybody_reads_a_sentence(python, tmp_path, what):
    said = json.loads(python(f"import os\n{MISFORTUNE}{MISFORTUNES[what]}{AFTER}", tmp_path / "home").stdout)
    for when in ("during", "after"):
        assert not {name: answer for name, answer in said[when].items() if isinstance(answer, dict) and "bug" in answer}, when
        assert all(answer["sentence"].endswith(".") and answer["hint"] for answer in said[when].values() if isinstance(answer, dict))
    assert said["after"]["run"] == "finished" and said["after"]["bring"].startswith("upload/") and said["end"] is True
    if what == "gone":
        assert "no such run" in said["going"]["sentence"] and "no such run" in said["kept"] and "no longer here" in said["file"]
        assert said["during"]["run"] == "finished" and "sentence" in said["during"]["read"]
        return
    assert said["kept"] is True and said["file"] is True and said["during"]["probe"] is True
    assert said["after"]["read"] == "finished" and said["after"]["brought"] == "a.csv"
    assert said["going"] in ("finished", "failed") if "file" in what else said["going"] == "finished"
    if what == "read-only":
        assert {name for name, answer in said["during"].items() if isinstance(answer, dict)} == {
            "run", "bring", "bring again", "publish", "recall", "take away", "delete"}
        assert all("ermission" in answer["sentence"] for answer in said["during"].values() if isinstance(answer, dict))


@pytest.mark.skipif(not psutil.LINUX, reason="elsewhere the system itself remembers when a process began")
def test_a_clock_that_is_set_ends_no_run_of_another_process(monkeypatch):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    since, boot = began(psutil.Process(child.pid)), psutil.boot_time()
    for module in (psutil, psutil._psplatform):  # what the kernel says when its clock was set back by a day
        monkeypatch.setattr(module, "boot_time", lambda: boot - 86400)
    assert alive(child.pid, since) and not alive(child.pid, since - 100)
    child.kill(), child.wait()
    assert not alive(child.pid, since)
