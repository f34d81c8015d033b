"""The command line: `glassbox VERB ...`, or `./launch.sh cli VERB ...`.

    glassbox list
    glassbox run unlearning/audit --set algorithm=npo --seed 0 --report audit.html
    glassbox runs list --json

With --json exactly one JSON document goes to standard output; progress and remarks go to standard error.
Exit status: 0 done, 1 failed, 2 wrong arguments, 130 stopped with Ctrl-C.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from apps import cli_library, cli_run
from apps.cli_output import FAILED, STOPPED, WRONG, Answer, Failure, alone_on_stdout, hang_up, show
from core.engine.errors import LabError


class _Parser(argparse.ArgumentParser):
    """Says what is wrong like everything else here does: a sentence and a hint."""

    def __init__(self, **options) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        raise LabError(message[:1].upper() + message[1:] + ".", f"See: {self.prog} --help")


def parser() -> argparse.ArgumentParser:
    """Every verb with its options; `python -m docs.build` writes the reference from it."""
    top = _Parser(prog="glassbox", description="Run the experiments of Glassbox Lab and look at what they gave.")
    verbs = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    _run_verbs(verbs)
    _library_verbs(verbs)
    return top


def _verb(verbs, name: str, action, help: str) -> argparse.ArgumentParser:
    verb = verbs.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
    verb.add_argument("--json", action="store_true", help="print exactly one JSON document on standard output")
    verb.set_defaults(action=action)
    return verb


def _run_verbs(verbs) -> None:
    verb = _verb(verbs, "list", cli_run.list_experiments, "what can be run, and every setting of it")
    verb.add_argument("name", nargs="?", metavar="NAME", help="only this one, with its settings")

    verb = _verb(verbs, "run", cli_run.run, "run one experiment, or ask one probe")
    verb.add_argument("name", metavar="NAME", help="a name from 'glassbox list'")
    verb.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="a setting; may be given many times")
    verb.add_argument("--seed", type=int, default=0, metavar="N", help="the number all chance comes from (0)")
    verb.add_argument("--fresh", action="store_true", help="compute again, even if an equal run is recorded")
    verb.add_argument("--report", type=Path, metavar="FILE.html", help="write the run as one page that needs nothing else")
    verb.add_argument("--out", type=Path, metavar="DIR", help="write data.json, metrics.csv and report.html into this folder")

    verb = _verb(verbs, "sweep", cli_run.sweep, "run every combination of the given values")
    verb.add_argument("name", metavar="NAME", help="an experiment from 'glassbox list'")
    verb.add_argument("--grid", "--set", dest="set", action="append", default=[], metavar="FIELD=A,B",
                      help="values of a setting, parted by commas or given as a JSON list")
    verb.add_argument("--seeds", default="0", metavar="0..4", help="the seeds to run each combination with: 0,1,2 or 0..4 (0)")
    verb.add_argument("--jobs", type=int, default=1, metavar="N", help="how many processes compute at once (1: this one)")
    verb.add_argument("--engine", choices=("local", "ray"), default="local", help="processes of this machine, or workers of Ray (local)")
    verb.add_argument("--address", default="", metavar="HOST:PORT", help="the cluster of Ray to use; without it Ray is started here")
    verb.add_argument("--fresh", action="store_true", help="compute again what is recorded already")
    verb.add_argument("--keep-models", action="store_true", help="keep what every run has trained, which takes most of a record")


def _library_verbs(verbs) -> None:
    verb = _verb(verbs, "claims", cli_library.claims, "measure the papers' claims on this machine, which can take long")
    verb.add_argument("--paper", metavar="NN", help="only the claims of one paper, for example 01")
    verb.add_argument("--only", action="append", default=[], metavar="ID", help="only this claim; may be given many times")
    kind = verb.add_mutually_exclusive_group()
    kind.add_argument("--recorded", action="store_true", help="show the results that come with the lab, at once")
    kind.add_argument("--write", action="store_true", help="store what was measured among the results that come with the lab")

    verb = _verb(verbs, "get", cli_library.get, "fetch a real model or a data set once, or list what there is to get")
    verb.add_argument("name", nargs="?", metavar="NAME", help="for example smollm2; without a name: what there is")
    verb.add_argument("--remove", action="store_true", help="take it off this machine again")

    models = _group(verbs, "models", "the models that come with the lab")
    _verb(models, "list", cli_library.list_models, "the embedded models")
    verb = _verb(models, "card", cli_library.show_card, "what a model is and how good it was measured to be")
    verb.add_argument("name", metavar="NAME", help="an embedded model, for example authors")
    verb = _verb(models, "build", cli_library.build_model, "train an embedded model again from its recipe")
    verb.add_argument("name", metavar="NAME", help="a model that has a recipe, for example authors")

    runs = _group(verbs, "runs", "what earlier runs gave")
    verb = _verb(runs, "list", cli_library.list_runs, "recorded runs, newest first")
    verb.add_argument("--name", metavar="NAME", help="only runs of this experiment")
    verb.add_argument("--limit", type=int, default=50, metavar="N", help="at most so many (50)")
    verb = _verb(runs, "show", cli_library.show_run, "the numbers and the verdict of one run")
    verb.add_argument("id", metavar="ID", help="a run from 'glassbox runs list'")
    verb = _verb(runs, "export", cli_library.export_run, "write a run as data.json, metrics.csv and report.html")
    verb.add_argument("id", metavar="ID", help="a run from 'glassbox runs list'")
    verb.add_argument("--out", type=Path, metavar="DIR", help="the folder to write into (a new one named like the run)")
    verb = _verb(runs, "delete", cli_library.delete_runs, "remove runs with all that they kept")
    verb.add_argument("id", nargs="+", metavar="ID", help="runs from 'glassbox runs list'")

    views = _group(verbs, "first-views", "the recorded runs that pages open with")
    verb = _verb(views, "build", cli_library.build_first_views, "run them again and store them with the lab")
    verb.add_argument("page", nargs="?", metavar="PAGE", help="only this page, for example unlearning-auditor")


def _group(verbs, name: str, help: str):
    group = verbs.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
    return group.add_subparsers(dest="what", metavar="VERB", required=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Does what the words say and gives the exit status; `arguments` None: those of the process."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    debug = os.environ.get("GLASSBOX_DEBUG") == "1"
    if not debug:
        logging.getLogger("glassbox").addHandler(logging.NullHandler())  # people get the sentence, not the stack trace
    try:
        options = parser().parse_args(words)
        with alone_on_stdout():
            answer = options.action(options)
        status = show(answer, options.json)
    except LabError as error:
        answer = Answer(error.to_dict(), str(error), FAILED if isinstance(error, Failure) else WRONG)
        status = show(answer, "--json" in words, refused=True)
    except KeyboardInterrupt:
        status = show(Answer(LabError("Stopped.", "").to_dict(), "Stopped.", STOPPED), "--json" in words, refused=True)
    except BrokenPipeError:  # the reader has seen enough, as in `glassbox list | head`
        status = hang_up()
    except Exception as problem:
        if debug:
            traceback.print_exc()
        error = LabError(f"Something in the lab itself went wrong ({type(problem).__name__}).",
                         "With GLASSBOX_DEBUG=1 before the command it shows where.")
        status = show(Answer(error.to_dict(), str(error), FAILED), "--json" in words, refused=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
