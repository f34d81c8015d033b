"""Ask and look inside: one desk for every page with a text model, on the models of the run on show and with its question.

    with gr.Tab("Ask and look inside", id="ask"):
        ask_and_look(view, lambda config: {"Knows it": config.model}, question=lambda config: config.question)

The model answers; beside the answer stand its likeliest first words, what each layer would say (logit lens) and where each layer looks.
The probe is `unlearning/ask`, whatever the page.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from apps.lab.ui.desk import Desk
from apps.lab.ui.view import View
from apps.lab.visitors import Here
from core.engine.errors import LabError
from core.engine.experiment import Config
from core.engine.outputs import figure, table

SHOWS = (
    table("answers", "What they say", look="answers"),
    figure("next_tokens", "What it would say first", note="The five likeliest first tokens of the answer."),
    figure("lens", "What each layer would say (logit lens)", height=520, wide=True,
           note="If the model had to speak after that layer. The bluer, the likelier it finds what was really said."),
    figure("attention", "Where each layer looks before it answers", height=360, wide=True,
           note="How attention is shared among the words it has read; mean over heads. What is looked at need not be what counts."),
)
INVITE = "Type a question and press Ask: the model answers, and you see what each of its layers would have said."
Shown = dict[str, Any] | None


def ask_and_look(view: View, models: Callable[[Config], Mapping[str, str | None]] | None = None, *,
                 among: Callable[[Shown], dict[str, str]] | None = None, question: Callable[[Config], str] | None = None,
                 style: str = "plain", invite: str = INVITE) -> Desk:
    """The desk, where the page stands.

    models: who -> model, from the settings of the run on show; those that are not here are left out.  among: instead, from the value of
    the live view.  question: what that run was about, as the question begins; without it the field keeps what was typed.
    style: how that is asked.
    """
    def asked(shown: Shown) -> dict[str, str]:
        named = models(settings_on_show(view, shown)) if models else {}
        return {who: ref for who, ref in named.items() if ref and is_here(view.site.engine, ref)}

    def about(shown: Shown) -> dict[str, Any]:
        return {"question": question(settings_on_show(view, shown)), "style": style} if question else {}

    return Desk(view, "unlearning/ask", fields=("question", "style"), more=("system",), press="Ask", among=among or asked,
                given=about if question else None, shows=SHOWS, prefix="ask", invite=invite)


def settings_on_show(view: View, shown: Shown) -> Config:
    """The settings of the run on show, or the defaults."""
    run = (shown or {}).get("run", "")
    try:
        return view.experiment.validate(view.site.engine.read(run)["config"]) if run else view.experiment.config()
    except LabError:
        return view.experiment.config()


def is_here(engine: Here, ref: str) -> bool:
    """Whether a model can be asked on this computer as it is."""
    try:
        engine.fingerprint(ref)
    except LabError:
        return False
    return True
