"""Opens the notebook: `python -m apps.notebook [--port 8501] [--host 127.0.0.1] [--allow-host NAME] [--no-browser] [--lab ADDRESS]`."""

from __future__ import annotations

import argparse
import errno
import inspect
import sys
import threading
import webbrowser

from apps.notebook import here
from core.engine.errors import LabError
from core.engine.settings import Settings

PORT = 8501


def main(arguments: list[str] | None = None) -> int:
    """Serves until Ctrl-C. Returns 2 when it cannot start, after a sentence that says why."""
    options = _options(arguments)
    from apps.lab.__main__ import everywhere, listen, refuse, serve

    try:
        listening = listen(options.host, options.port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return refuse(f"Port {options.port} is taken.", f"Is it open already? Or choose another: --port {options.port + 1}")
        return refuse(f"The notebook cannot listen on {options.host}:{options.port} ({error.strerror or error}).",
                       f"Try --host 127.0.0.1 --port {PORT}.")
    print("The notebook is starting ...", flush=True)
    try:
        here.open_home(Settings(any_path=True), alone=not options.beside_lab, lab=options.lab)
    except LabError as error:
        return refuse(error.message, error.hint)
    import uvicorn

    from apps.notebook.serve import create_app

    app = create_app(options.host, options.allow_host, options.behind_proxy)
    address = f"http://{'127.0.0.1' if everywhere(options.host) else options.host}:{listening.getsockname()[1]}/"
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="websockets-sansio", timeout_graceful_shutdown=2,
                                           server_header=False, proxy_headers=options.behind_proxy))
    threading.Thread(target=_announce, args=(server, address, options), daemon=True).start()
    serve(server, listening)
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./launch.sh notebook", description="Opens the notebook of Glassbox Lab in the browser.")
    parser.add_argument("--port", type=int, default=PORT, help=f"port to listen on ({PORT}; 0 takes any free one)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 lets other machines in")
    parser.add_argument("--allow-host", action="append", default=[], metavar="NAME", help="another name by which browsers may call it")
    parser.add_argument("--behind-proxy", action="store_true", help="a proxy on this machine stands in front: believe its headers")
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser window")
    parser.add_argument("--lab", default=here.LAB, metavar="ADDRESS", help=f"where the lab is open, for links to it ({here.LAB})")
    parser.add_argument("--beside-lab", action="store_true", help="show everybody their own runs only; the lab hands over who is asking")
    return parser.parse_args(arguments)


def _announce(server, address: str, options: argparse.Namespace) -> None:
    while not server.started:
        threading.Event().wait(0.05)
    print(f"The notebook is open at {address}   (Ctrl-C closes it)", flush=True)
    if not options.no_browser:
        webbrowser.open(address)
    _ahead()


def _ahead() -> None:
    """While the first browser still reads its scripts: what pages and tables need is imported, and the index is made."""
    import pandas  # noqa: F401
    import pyarrow.pandas_compat  # noqa: F401

    from core.engine import board, library, question, sweep  # noqa: F401

    here.home().index.rows()
    inspect.getmodule(inspect.currentframe())  # a look at every module, which Streamlit takes at its first word too; the second is quick


if __name__ == "__main__":
    sys.exit(main())
