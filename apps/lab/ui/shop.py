"""What can be got by one press, on the home page and under the fields that name a model; the routes are in apps/lab/routes.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apps.lab.ui.live_view import BASE
from apps.lab.ui.widget import Widget
from core.engine.families import LANGUAGE


class Shop(Widget):
    """The list of all there is to get, with progress, Stop, Go on and Remove."""

    module = "shop.js"
    place = "gb-shop"

    def __init__(self, *, value: Any = None, **options: Any) -> None:
        super().__init__(value=value, **({"base": BASE} | options))


class OwnModels(Widget):
    """What else a field may name: models that were got or lie under --models, and what can be got. Event: `input`, with {"ref"}.

    families: of the experiment; none means that any will do.
    """

    module = "own_models.js"
    place = "gb-own"

    def __init__(self, families: Sequence[str] = (), *, value: Any = None, **options: Any) -> None:
        speaks = not families or bool({*families} & {*LANGUAGE})  # files that cannot be used are mostly of language models
        super().__init__(value=value, **({"base": BASE, "families": list(families), "speaks": speaks} | options))
