"""The round over Flower: a ServerApp that asks every place once, ClientApps that answer with one upload, the same bytes as everywhere.

    ./launch.sh flower                     four places as Flower's own simulation, beside the same round in one process
    ./launch.sh flower --mishap night=nan,harbour=silent       what happens to the others when some send nonsense, or die
    ./launch.sh flower --processes 2       a SuperLink and two SuperNodes as processes of their own (flower_link.py)

Flower needs older releases of what the site runs on, so it has an environment of its own (constraints-flower.txt) and is imported here
only when it is used. Nothing but an upload crosses: `payload.pack` makes it, `server.receive` looks at it before believing a word.
A place that dies, is late, or sends nonsense is left out with a sentence.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.engine import settings
from core.engine.errors import LabError
from core.engine.lab import Cache, Lab
from core.federated.flower_link import over_processes
from core.federated.rounds import Outcome, learns, loopback, place_sends
from core.federated.spec import FederatedConfig, Mishap
from core.federated.world import World, spoiled, world

if TYPE_CHECKING:
    from flwr.clientapp import ClientApp
    from flwr.serverapp import Grid, ServerApp

KIND = "train.fedbip"
PATIENCE_S, LOOK_S = 120.0, 0.2


class Folders(Lab):
    """A lab without models of its own: random numbers, and where the painter lies."""

    def __init__(self, painter: str, seed: int) -> None:
        super().__init__(None, Cache(), seed=seed, threads=1)  # type: ignore[arg-type]
        self._painter = Path(painter)

    def folder(self, name: str) -> Path:
        return self._painter


@functools.cache
def _here(asked: str) -> tuple[FederatedConfig, Lab, World]:
    """What a message asks for, as JSON {config, seed, painter, places}: once per process, since Flower calls an app anew for every
    message. places: how many of them take part, the first ones."""
    import torch

    torch.set_num_threads(1)
    given = json.loads(asked)
    config, lab = FederatedConfig(**given["config"]), Folders(given["painter"], given["seed"])
    made = world(config, lab)
    return config, lab, made.only(list(made.held)[: given["places"]])


def answer(asked: str, number: int, mishaps: dict[str, Mishap]) -> bytes:
    """What place `number` sends, or what is left of it after its mishap."""
    from core.federated.payload import unpack

    config, lab, made = _here(asked)
    name = list(made.held)[number]
    sent = place_sends(made, config, lab, name)
    if name not in mishaps:
        return sent
    if mishaps[name] == "silent":
        raise RuntimeError("This place dies on purpose.")
    return spoiled(unpack(sent), mishaps[name]) or b""


def client_app() -> ClientApp:
    """Answers one message with one upload. The node's partition says which place it is."""
    from flwr.app import ConfigRecord, Context, Message, RecordDict
    from flwr.clientapp import ClientApp

    app = ClientApp()

    @app.train("fedbip")
    def fedbip(message: Message, context: Context) -> Message:
        asked = message.content["ask"]
        number = int(context.node_config["partition-id"])
        if number == asked["late"]:
            time.sleep(float(asked["late_s"]))
        sent = answer(str(asked["what"]), number, json.loads(str(asked["mishaps"])))
        return Message(content=RecordDict({"upload": ConfigRecord({"number": number, "sent": sent})}), reply_to=message)

    return app


def server_app(asked: str, patience: float, late: tuple[int, float], mishaps: dict[str, Mishap],
               outcomes: list[Outcome]) -> ServerApp:
    """Waits until all places are there, asks each once, and learns from those that answered. Puts its outcome into `outcomes`."""
    from flwr.app import Context
    from flwr.serverapp import ServerApp

    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        outcomes.append(served(grid, asked, patience, late, mishaps))

    return app


def served(grid: Grid, asked: str, patience: float, late: tuple[int, float], mishaps: dict[str, Mishap]) -> Outcome:
    """All that the server does, whatever it was started by."""
    config, lab, made = _here(asked)
    return learns(made, config, lab, gathered(grid, asked, list(made.held), patience, late, mishaps))


def deployed() -> ServerApp:
    """The same ServerApp as a SuperLink starts it: what it is asked, and the file for its outcome, stand in the config of the run."""
    from flwr.app import Context
    from flwr.serverapp import ServerApp

    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        given: Any = context.run_config
        outcome = served(grid, given["what"], given["patience"], (given["late"], given["late-s"]), json.loads(given["mishaps"]))
        part = Path(f"{given['out']}.part")
        part.write_text(json.dumps(dataclasses.asdict(outcome)), encoding="utf-8")
        part.rename(given["out"])

    return app


def gathered(grid: Grid, asked: str, names: list[str], patience: float, late: tuple[int, float],
             mishaps: dict[str, Mishap]) -> dict[str, bytes | None]:
    """The uploads by place; None for a place that failed or was not there in time. One message to every node, all nodes required."""
    from flwr.app import ConfigRecord, Message, RecordDict

    until = time.monotonic() + patience
    while len(nodes := list(grid.get_node_ids())) < len(names):
        if time.monotonic() > until:
            raise LabError(f"{len(nodes)} of {len(names)} places are there.", "Start the others, then try again.")
        time.sleep(LOOK_S)
    ask = ConfigRecord({"what": asked, "late": late[0], "late_s": late[1], "mishaps": json.dumps(mishaps)})
    messages = [Message(content=RecordDict({"ask": ask}), message_type=KIND, dst_node_id=node) for node in nodes]
    sent: dict[str, bytes | None] = dict.fromkeys(names)
    for reply in grid.send_and_receive(messages, timeout=max(1.0, until - time.monotonic())):
        if not reply.has_error():
            upload: Any = reply.content["upload"]
            sent[names[int(upload["number"])]] = bytes(upload["sent"])
    return sent


def simulated(asked: str, places: int, patience: float = PATIENCE_S, late: tuple[int, float] = (-1, 0.0),
              mishaps: dict[str, Mishap] | None = None) -> Outcome:
    """The round in Flower's simulation, one processor for a place. late: (number of a place, seconds it sleeps).  mishaps: by place."""
    from flwr.simulation import run_simulation

    outcomes: list[Outcome] = []
    run_simulation(server_app(asked, patience, late, mishaps or {}, outcomes), client_app(), places,
                   backend_config={"client_resources": {"num_cpus": 1, "num_gpus": 0.0}, "init_args": {"num_cpus": 2}})
    if not outcomes:
        raise LabError("Flower gave no result.", "Its own words above say why.")
    return outcomes[0]


def main() -> None:
    """Runs both and prints one JSON: the outcome of each, and whether hashes and accuracy are equal."""
    parser = argparse.ArgumentParser(prog="./launch.sh flower", description="One round over Flower beside the same round in one process.")
    parser.add_argument("--mishap", default="", help="what goes wrong where: PLACE=nan, loud, painter or silent, with commas between")
    parser.add_argument("--late", type=float, default=0.0, help="seconds that the last place sleeps before it answers")
    parser.add_argument("--patience", type=float, default=PATIENCE_S, help="seconds that the server waits for all of them")
    parser.add_argument("--processes", type=int, default=0, metavar="N",
                        help="a SuperLink and N SuperNodes as processes of this machine, for the first N places")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--painter", default=str(settings.ASSETS / "models" / "painter"), help="where the painter lies")
    parser.add_argument("--config", default="{}", help="other settings of federated/run, as JSON")
    given = parser.parse_args()
    config = FederatedConfig(**json.loads(given.config))
    mishaps = dict(pair.split("=", 1) for pair in given.mishap.split(",") if pair)
    if given.processes not in (0, 2, 3, 4):
        parser.error("--processes takes 2, 3 or 4: one place alone has nobody to share with, and there are four.")
    asked = json.dumps({"config": config.model_dump(mode="json"), "seed": given.seed, "painter": given.painter,
                        "places": given.processes or None})
    _, lab, made = _here(asked)
    began = time.monotonic()
    carry = over_processes if given.processes else simulated
    flower = carry(asked, len(made.held), given.patience, (len(made.held) - 1 if given.late else -1, given.late), mishaps)
    middle = time.monotonic()
    alone = loopback(made, config, lab, flower.hashes)
    print(json.dumps({"flower": dataclasses.asdict(flower), "loopback": dataclasses.asdict(alone),
                      "equal hashes": flower.hashes == alone.hashes, "equal accuracy": flower.accuracy == alone.accuracy,
                      "seconds over Flower": round(middle - began, 1), "seconds in one process": round(time.monotonic() - middle, 1)}))


if __name__ == "__main__":
    from core.federated import flower

    try:
        flower.main()  # not this module's own: workers find functions by the name of their module
    except LabError as error:
        sys.exit(f"{error.message}\n{error.hint}")
