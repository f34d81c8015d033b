"""Our scripts and styles as the browser gets them: under an address that names their content, so that it keeps them for good.

    SCRIPTS + "live_view.js"          # "lab/static/3f0c9a51d2e4/live_view.js"; modules that import each other stay in one version
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import re
from importlib import metadata
from pathlib import Path

STATIC = Path(__file__).parent / "static"
PAGES = Path(__file__).parents[1] / "pages"
PLOTLY = "plotly.min.js"
LISTS = "lists.js"
# Said here, because machines disagree about them and the browser is told not to guess.
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".png": "image/png", ".csv": "text/csv"}
FOREVER = "public, max-age=31536000, immutable"
_OF_A_PAGE = re.compile(r"pages/[a-z_]+/desk\.js")
_IMPORT = re.compile(r'^(?:import|export)\b[^;]*?"\./([\w-]+\.js)"', re.MULTILINE)


def file_of(name: str) -> Path | None:
    """The file of that name in our folder, a page's own script, Plotly's where its Python package keeps it, or None."""
    if name == PLOTLY:
        import plotly

        return Path(plotly.__file__).parent / "package_data" / PLOTLY
    if _OF_A_PAGE.fullmatch(name):
        return path if (path := PAGES.parent / name).is_file() else None
    path = (STATIC / name).resolve()
    return path if path.is_relative_to(STATIC) and path.is_file() and path.suffix in TYPES else None


def of_gradio(name: str) -> Path | None:
    """A script or style of Gradio's own pages, whose name changes with what is in it; or None."""
    import gradio

    path = Path(gradio.__file__).parent / "templates" / "frontend" / "assets" / name
    return path if path.parent.name == "assets" and path.is_file() else None


def modules(start: str) -> list[str]:
    """`start` and every module that it imports, directly or not."""
    found, ahead = [], [start]
    while ahead:
        name = ahead.pop(0)
        if name not in found:
            found.append(name)
            ahead += _IMPORT.findall((STATIC / name).read_text(encoding="utf-8"))
    return found


@functools.lru_cache(maxsize=256)
def packed(path: Path, changed: int) -> bytes:
    """The file compressed, once for each version of it: `changed` is its time of change in ns."""
    return gzip.compress(path.read_bytes(), 6)


def version() -> str:
    """Twelve letters that change with the content of any of our files, and with the version of Plotly."""
    digest = hashlib.sha256(metadata.version("plotly").encode())
    for path in [*sorted(STATIC.rglob("*")), *sorted(PAGES.glob("*/desk.js"))]:
        if path.suffix in TYPES:
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


VERSION = version()
SCRIPTS = f"lab/static/{VERSION}/"
# what every page with a live view needs, its desks and its fields of models
VIEW = list(dict.fromkeys([*modules("live_view.js"), "answer.js", "asker.js", LISTS, *modules("own_models.js")]))


def announcement() -> str:
    """The `Link` header of such a page: the browser fetches all of it at once, not one after the other as each script names the next."""
    styles = [f"<{SCRIPTS}{name}>; rel=preload; as=style" for name in ("style.css", "live_view.css")]
    return ", ".join([*styles, f"<{SCRIPTS}{PLOTLY}>; rel=preload; as=script", *(f"<{SCRIPTS}{name}>; rel=modulepreload" for name in VIEW)])
