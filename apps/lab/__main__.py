"""Opens the lab: `python -m apps.lab [--port 7860] [--host 127.0.0.1] [--allow-host NAME] [--no-browser] [--models DIR] [--mcp]`."""

from __future__ import annotations

import argparse
import contextlib
import errno
import ipaddress
import os
import socket
import subprocess
import sys
import tempfile
import threading
import webbrowser
from pathlib import Path

from core.engine.settings import Settings  # first: switches telemetry off

AT_ONCE = 1000  # requests, most of which wait for news
OPEN_FILES = 8192


def main(arguments: list[str] | None = None) -> int:
    """Serves until Ctrl-C. Returns 2 when it cannot start, after a sentence that says why."""
    options = _options(arguments)
    if options.models is not None and not options.models.is_dir():
        return refuse(f"There is no folder {options.models}.", "Give --models a folder that holds model folders.")
    try:
        listening = listen(options.host, options.port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return refuse(f"Port {options.port} is taken.", f"Is the lab open already? Or choose another: --port {options.port + 1}")
        return refuse(f"The lab cannot listen on {options.host}:{options.port} ({error.strerror or error}).",
                       "Try --host 127.0.0.1 --port 7860.")

    print("Glassbox Lab is starting ...", flush=True)
    import uvicorn

    from apps.lab.server import create_app

    settings = Settings(models_dir=options.models)
    try:
        _make_room(settings.home)
        app = create_app(settings, host=options.host, allow_hosts=options.allow_host, trusted=options.behind_proxy, mcp=options.mcp,
                         notebook=options.notebook_port if options.with_notebook else None)
    except OSError as error:
        return refuse(f"The lab cannot write into its folder {settings.home} ({error.strerror or error}).",
                       "Make room there, or choose another folder with GLASSBOX_HOME.")
    port = listening.getsockname()[1]
    address = f"http://{'127.0.0.1' if everywhere(options.host) else options.host}:{port}/"
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2, limit_concurrency=AT_ONCE, ws="none",
                                           proxy_headers=options.behind_proxy, server_header=False))
    notebook = _notebook(options, address) if options.with_notebook else None
    threading.Thread(target=_announce, args=(server, address, options), daemon=True).start()
    try:
        serve(server, listening)
    finally:
        if notebook:
            notebook.terminate()
            notebook.wait()
    return 0


def _notebook(options: argparse.Namespace, address: str) -> subprocess.Popen:
    """The notebook in a process of its own, which shows everybody what is theirs; it says itself what keeps it from starting."""
    words = ["--beside-lab", "--no-browser", "--host", options.host, "--port", str(options.notebook_port), "--lab", address]
    words += [word for name in options.allow_host for word in ("--allow-host", name)] + (["--behind-proxy"] if options.behind_proxy else [])
    return subprocess.Popen([sys.executable, "-P", "-m", "apps.notebook", *words])


def _make_room(home: Path) -> None:
    """What a library writes for a moment lies in the lab's own folder too, and as many files may be open as the system allows."""
    spool = home / "tmp" / str(os.getpid()) / "spool"  # swept when a later lab starts, see Handed
    spool.mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = os.environ["TMPDIR"] = str(spool)
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./launch.sh", description="Opens Glassbox Lab in the browser.")
    parser.add_argument("--port", type=int, default=7860, help="port to listen on (7860; 0 takes any free one)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 lets other machines in")
    parser.add_argument("--allow-host", action="append", default=[], metavar="NAME",
                        help="another name or address by which browsers may call the lab; may be given several times")
    parser.add_argument("--behind-proxy", action="store_true",
                        help="a proxy on this machine stands in front: believe its X-Forwarded headers")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser window")
    parser.add_argument("--models", type=Path, metavar="DIR", help="a folder of model folders that pages may load as path/NAME")
    parser.add_argument("--mcp", action="store_true", help="also offer the experiments as MCP tools, under /gradio_api/mcp/")
    parser.add_argument("--with-notebook", action="store_true", help="also open the notebook, where every run stands beside every other")
    parser.add_argument("--notebook-port", type=int, default=8501, metavar="N", help="port of the notebook (8501)")
    return parser.parse_args(arguments)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises OSError for a port that is taken, or none at all."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named asyncio sends small answers at once; without it each waits 40 ms for a packet to fill.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(2048)
    except (OSError, OverflowError) as error:
        listening.close()
        raise error if isinstance(error, OSError) else OSError(errno.EINVAL, "no such port") from error
    return listening


def serve(server, listening: socket.socket) -> None:
    """Until Ctrl-C, which uvicorn hands on as KeyboardInterrupt."""
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[listening])


def everywhere(host: str) -> bool:
    """Whether an address stands for all of this machine's."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _announce(server, address: str, options: argparse.Namespace) -> None:
    while not server.started:
        threading.Event().wait(0.05)
    print(f"Glassbox Lab is open at {address}   (Ctrl-C closes it)", flush=True)
    if everywhere(options.host):
        print("Other machines in your network can open it too: everybody who knows the address can start runs.", flush=True)
    if options.mcp:
        print(f"MCP tools are at {address}gradio_api/mcp/", flush=True)
    if not options.no_browser:
        webbrowser.open(address)


def refuse(message: str, hint: str) -> int:
    """Says why it cannot start; the exit status for that."""
    print(message, hint, sep="\n", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
