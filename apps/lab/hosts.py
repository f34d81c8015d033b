"""By which names lab and notebook may be called, and what in a request says that a proxy passed it on. Imported before either is open."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Sequence

import psutil
from starlette.types import Scope

LOOPBACK = ("127.0.0.1", "localhost", "::1")
LONGEST_PATH, LONGEST_QUERY = 1000, 8000
FORWARDED = re.compile(r"forwarded|via|x-forwarded-.+|x-forwarded|x-real-.+|x-original-.+|x-rewrite-url|x-gradio-user|x-ip-token|cf-.+|"
                       r"(x-)?(true-|cluster-|fly-|fastly-|remote-)*(client|remote)-(ip|addr)|x-envoy-.+|x-proxyuser-.+")


def header(scope: Scope, name: str) -> str:
    """The first header of that name, "" without one."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name.encode()), "")


class Hosts:
    """The names by which this lab may be called: a foreign page must not reach it by pointing a name of its own here.

    host: what the lab listens on. On a loopback address it answers to loopback names only, on any other to the names and addresses
    of this machine as well; to `more` always.
    """

    def __init__(self, host: str = "127.0.0.1", more: Sequence[str] = ()) -> None:
        self._open = host not in LOOPBACK
        self._added = {name.lower().strip("[]") for name in more} - {*LOOPBACK}
        self._fixed = {*LOOPBACK, *self._added} | ({host.lower()} - {"0.0.0.0", "::"})
        self._since, self._found = -1e9, set[str]()

    def allow(self, host: str) -> bool:
        """Whether a Host header, with or without its port, names this lab."""
        name = _name(host)
        return bool(name) and (name in self._fixed or self._open and name in self._own())

    def added(self, host: str) -> bool:
        """Whether it names the lab as only --allow-host says it may be called, as a proxy does that says nothing of itself."""
        return _name(host) in self._added

    def _own(self) -> set[str]:
        if time.monotonic() - self._since > 30.0:  # a laptop changes its network
            name = socket.gethostname().lower()
            self._found = {name, name.partition(".")[0], f"{name.partition('.')[0]}.local"} | {
                address.address.partition("%")[0].lower() for addresses in psutil.net_if_addrs().values() for address in addresses
                if address.family in (socket.AF_INET, socket.AF_INET6)}
            self._since = time.monotonic()
        return self._found


def _name(host: str) -> str:
    """A Host header without its port, "" for what is none."""
    match = re.fullmatch(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?", host.lower())
    return match[1].strip("[]").rstrip(".") if match else ""
