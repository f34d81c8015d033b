"""A real lab for the browser: its own home, one thread, the embedded models; and pages that report what they complained about."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from safetensors.torch import load_file, save_file

from apps.lab.server import create_app
from core.engine.runner import Engine
from core.engine.settings import Settings
from tests.engine.tiny_models import save, tiny
from tests.lab.bad_models import make
from tests.servers import serving

PATIENCE_MS = 150_000  # a busy machine is no failure


class Visitor:
    """One browser with its own cookies; `complaints` and `outside` must stay empty."""

    def __init__(self, context, address: str) -> None:
        self.context, self.address = context, address
        self.complaints: list[str] = []
        self.outside: list[str] = []

    def open(self, path: str = ""):
        """A new tab on `path`, watched from its first request."""
        page = self.context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda message: self.complaints.append(f"{message.text} ({message.location['url']})")
                if message.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self._note(request.url))
        page.goto(self.address + path)
        return page

    def _note(self, url: str) -> None:
        if not url.startswith(("data:", "blob:")) and urlsplit(url).netloc != urlsplit(self.address).netloc:
            self.outside.append(url)


@pytest.fixture(scope="session")
def lab_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = Engine(Settings(home=tmp_path_factory.mktemp("home"), threads=1))
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def lab_address(lab_engine: Engine) -> Iterator[str]:
    """The site, served once for the session: visitors share it as they would share a lab."""
    with serving(create_app(engine=lab_engine)) as address:
        yield address


@pytest.fixture(scope="session")
def engine_with_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """With a folder of models: the bad ones, `tiny`, which never learned anything, `huge`, with nearly the largest numbers there are."""
    root = tmp_path_factory.mktemp("models")
    folder = make(root)
    save(tiny("llama"), folder / "tiny")
    huge = save(tiny("llama"), folder / "huge") / "model.safetensors"
    weights = load_file(huge)
    head = next(name for name in weights if "lm_head" in name or "embed_tokens" in name)
    save_file(weights | {head: weights[head] * 1e37}, huge, metadata={"format": "pt"})
    engine = Engine(Settings(home=root / "home", models_dir=folder, threads=1))
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def address_with_models(engine_with_models: Engine) -> Iterator[str]:
    with serving(create_app(engine=engine_with_models)) as address:
        yield address


@pytest.fixture
def visitor(browser, lab_engine: Engine, lab_address: str) -> Iterator[Callable[..., Visitor]]:
    """Makes visitors: `visitor(width=390, dark=True)`. Afterwards: no complaint, no request beyond this machine."""
    made: list[Visitor] = []

    def make(*, width: int = 1280, height: int = 900, dark: bool = False, **options) -> Visitor:
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", **options)
        made.append(Visitor(context, lab_address))
        return made[-1]

    yield make
    for one in made:
        one.context.close()
    lab_engine.clear_line()  # what a test left running would keep the next one waiting
    assert [url for one in made for url in one.outside] == []
    assert [text for one in made for text in one.complaints] == []
