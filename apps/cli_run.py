"""The verbs that run something: list, run, sweep."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apps.cli_output import DONE, FAILED, STOPPED, Answer, Bar, say, table, working
from core.engine.errors import LabError
from core.engine.events import to_plain
from core.engine.experiment import Config, Experiment
from core.engine.fields import fields
from core.engine.registry import everything, find
from core.engine.settings import Settings
from core.engine.text_values import config_from_text

if TYPE_CHECKING:
    from core.engine.runner import Engine

VISITOR = "command line"
STATUS = {"finished": DONE, "cancelled": STOPPED}


@contextlib.contextmanager
def own_engine() -> Iterator[Engine]:
    """An engine of this process. What still runs when it closes is cancelled and recorded so."""
    from core.engine.runner import Engine

    engine = Engine(Settings(any_path=True))
    try:
        yield engine
    finally:
        engine.close()


def list_experiments(options: argparse.Namespace) -> Answer:
    """`{"experiments": [{name, title, paper, kind, config_schema, families, outputs}]}`; imports no torch."""
    if options.name is None:
        rows = [entry.described() for entry in everything()]
        text = table(["name", "kind", "paper", "question"], [[row["name"], row["kind"], row["paper"], row["title"]] for row in rows])
        return Answer({"experiments": rows}, text)
    entry = find(options.name)
    row, text = entry.described(), f"{entry.name}: {entry.title}\n\n"
    text += table(["setting", "default", "allowed", "meaning"], settings_of(entry))
    if row["outputs"]:
        text += "\n\n" + table(["it says", "kind", "meaning"], [[one["name"], one["kind"], one["title"]] for one in row["outputs"]])
    return Answer({"experiments": [row]}, text)


def settings_of(experiment: Experiment) -> list[list[str]]:
    """`[field, default, allowed, meaning]` of every field of a config."""
    return [[field.name, json.dumps(to_plain(field.default), ensure_ascii=False), field.allowed, field.description]
            for field in fields(experiment)]


def pairs(experiment: Experiment, given: Sequence[str]) -> dict[str, str]:
    """The words after --set as field -> text. Raises LabError for what is not FIELD=VALUE or names no field."""
    found: dict[str, str] = {}
    for word in given:
        name, equals, value = word.partition("=")
        if not equals:
            raise LabError(f"'{word}' sets nothing.", "Write it as FIELD=VALUE, for example --set steps=30.")
        if name not in experiment.config.model_fields:
            near = get_close_matches(name, experiment.config.model_fields, n=1)
            raise LabError(f"{experiment.name} has no field called '{name}'.",
                           f"Did you mean '{near[0]}'?" if near else f"Its fields: {', '.join(experiment.config.model_fields)}.")
        found[name] = value
    return found


def run(options: argparse.Namespace) -> Answer:
    """Runs an experiment to its end and answers with `engine.result`; a probe is asked, and its answer is the document."""
    experiment = find(options.name)
    config = config_from_text(experiment, pairs(experiment, options.set))
    for path, wrong in ((options.report, Path.is_dir), (options.out, Path.is_file)):
        if path is not None and wrong(path):
            raise LabError(f"{path} is a {'folder' if path.is_dir() else 'file'}.", "Give --report a file name and --out a folder name.")
    with own_engine() as engine:
        for ref in experiment.models(config):
            engine.models.fingerprint(ref)
        if experiment.kind == "probe":
            return _ask(engine, experiment, config, options)
        handle = _start(engine, experiment, config, options)
        if handle.recorded:
            say(f"This was computed before (run {handle.id}); --fresh computes it again.")
        follow(engine, handle.id)
        engine.wait(handle.id)
        result = engine.result(handle.id)
        with working():
            _write(engine, handle.id, options)
    return Answer(result, summary(result), STATUS.get(result["outcome"], FAILED))


def _ask(engine: Engine, probe: Experiment, config: Config, options: argparse.Namespace) -> Answer:
    if options.report or options.out or options.fresh:
        raise LabError(f"'{probe.name}' is a probe: it answers at once and records nothing.", "Leave out --report, --out and --fresh.")
    with working():
        answer = engine.probe(probe.name, config, seed=options.seed)
    return Answer(answer, json.dumps(answer, indent=2, ensure_ascii=False))


def _start(engine: Engine, experiment: Experiment, config: Config, options: argparse.Namespace):
    if not 0 <= options.seed < 2**31:
        raise LabError(f"The seed cannot be {options.seed}.", "A seed is a whole number from 0 to 2147483647.")
    with working():
        return engine.start(experiment.name, config, seed=options.seed, visitor=VISITOR, fresh=options.fresh)


def follow(engine: Engine, run_id: str) -> None:
    """Shows a run until its end. The first Ctrl-C asks it to stop, which it does at its next event; the second leaves."""
    since, stopping = 0, False
    with Bar() as bar:
        while True:
            try:
                for line in engine.watch(run_id, since):
                    since = line["seq"] + 1
                    if line["kind"] == "progress":
                        bar.step(line["step"], line["total"], line["note"])
                    elif line["kind"] == "metric":
                        bar.number(line["name"], line["value"])
                return
            except KeyboardInterrupt:
                if stopping:
                    raise
                stopping = True
                say("Stopping ...")
                engine.cancel(run_id)


def export(engine: Engine, run_id: str, folder: Path) -> list[Path]:
    """Writes data.json, metrics.csv and report.html into `folder`, which is made."""
    from core.engine import report

    folder.mkdir(parents=True, exist_ok=True)
    texts = {"data.json": json.dumps(report.data(engine.records, run_id), ensure_ascii=False, indent=1) + "\n",
             "metrics.csv": report.metrics_csv(engine.records, run_id), "report.html": report.html(engine.records, run_id)}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def _write(engine: Engine, run_id: str, options: argparse.Namespace) -> None:
    from core.engine import report

    if options.report is not None:
        options.report.parent.mkdir(parents=True, exist_ok=True)
        options.report.write_text(report.html(engine.records, run_id), encoding="utf-8")
        say(f"Written: {options.report}")
    if options.out is not None:
        for file in export(engine, run_id, options.out):
            say(f"Written: {file}")


def summary(result: dict[str, Any]) -> str:
    """A result for people: the verdict first, then the numbers, then how to find it again."""
    ending = f"{result['outcome'].capitalize()}. {result.get('error', '')} {result.get('hint', '')}".strip()
    said = result["verdict"]["text"] if result["verdict"] else ending
    numbers = table(["number", "last value"], list(result["metrics"].items())) if result["metrics"] else ""
    seconds = "" if result["duration_s"] is None else f" after {result['duration_s']:.1f} s"
    last = f"Run {result['run_id']}: {result['outcome']}{seconds}."
    return "\n\n".join(part for part in (said, numbers, last) if part)


def _values(text: str) -> list[str]:
    """`a,b` or a JSON list as the words for one value each."""
    if text.startswith("["):
        try:
            listed = json.loads(text)
        except ValueError as error:
            raise LabError(f"'{text}' is not a JSON list ({error}).", 'Write ["a", "b"], or a,b without brackets.') from None
        return [value if isinstance(value, str) else json.dumps(value) for value in listed]
    return [value.strip() for value in text.split(",")]


def _seeds(text: str) -> list[int]:
    words = [word for part in text.split(",") for word in _between(part)]
    if not all(word.strip().isascii() and word.strip().isdigit() and int(word) < 2**31 for word in words):
        raise LabError(f"The seeds cannot be '{text}'.", "Give whole numbers from 0 to 2147483647: --seeds 0,1,2 or --seeds 0..4")
    return [int(word) for word in words]


def _between(part: str) -> list[str]:
    """0..4 as 0, 1, 2, 3, 4; anything else as it is."""
    low, dots, high = (word.strip() for word in part.partition(".."))
    if dots and all(word.isascii() and word.isdigit() and len(word) < 11 for word in (low, high)):
        if 0 <= int(high) - int(low) < 1000:
            return [str(seed) for seed in range(int(low), int(high) + 1)]
    return [part]


def sweep(options: argparse.Namespace) -> Answer:
    """`{"sweep": ID, "runs": [result, ...]}` of every combination, the last field varying fastest and the seed fastest of all."""
    from core.engine.sweep import sweep as run_all

    experiment = find(options.name)
    if experiment.kind == "probe":
        raise LabError(f"'{experiment.name}' is a probe, and probes are not swept.", "Name an experiment from 'glassbox list'.")
    fields = {name: [getattr(config_from_text(experiment, {name: word}), name) for word in _values(text)]
              for name, text in pairs(experiment, options.set).items()}
    if options.address and options.engine != "ray":
        raise LabError("--address is for Ray.", "Add --engine ray.")
    seeds = _seeds(options.seeds)
    combinations = [experiment.validate(dict(zip(fields, values, strict=True))) for values in itertools.product(*fields.values())]
    total, results, sweep_id = len(combinations) * len(seeds), [], None
    with own_engine() as engine, Bar() as bar:
        for ref in {ref: None for config in combinations for ref in experiment.models(config)}:
            engine.models.fingerprint(ref)
        with working():
            bar.step(0, total, "runs")
            for result in run_all(engine, experiment.name, fields, seeds, fresh=options.fresh, jobs=options.jobs,
                                  ray=options.engine == "ray", address=options.address, keep=options.keep_models):
                sweep_id = result.pop("sweep")
                results.append(result)
                bar.step(len(results), total, "runs")
                say(f"{len(results)} of {total}: {result['run_id']} {result['outcome']}")
    failed = [result for result in results if result["outcome"] != "finished"]
    rows = [[*(result["config"][name] for name in fields), result["seed"], result["outcome"],
             ", ".join(f"{name} {value:.4g}" for name, value in result["metrics"].items() if value is not None)] for result in results]
    return Answer({"sweep": sweep_id, "runs": results}, table([*fields, "seed", "outcome", "numbers"], rows), FAILED if failed else DONE)
