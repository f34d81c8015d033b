"""Chat templates come with a model and are small programs: tried in the reading process before the lab itself renders one.

    check_template(tokenizer.chat_template)      # LabError for one that does not end
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from core.engine.errors import LabError
from core.engine.reader import apart

LONGEST, LONGEST_S = 200_000, 5.0
CHATS = [[{"role": "user", "content": "Where?"}],
         [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where?"}, {"role": "assistant", "content": "Here."}]]


def check_template(template: Any) -> None:
    """Raises LabError for a template (text, {name: text} or None) that takes too long or too much to render a short chat."""
    for text in template.values() if isinstance(template, dict) else [template]:
        if not isinstance(text, str):
            continue
        try:
            if len(text) > LONGEST:
                raise LabError("")
            for _ in apart("core.engine.templates:rendered", template=text, longest=LONGEST_S):
                pass
        except LabError:
            raise LabError("The chat template of this model does not come to an end.",
                           "Use the model without it, or another model.") from None


def rendered(template: str) -> Iterator[tuple[dict[str, Any], bytes]]:
    """In the reading process: what the template makes of two short chats, with what the library offers to templates.

    A template that refuses a chat, or is wrong, has come to an end; whoever renders it says so.
    """
    from jinja2 import TemplateError
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> None:
        raise TemplateError(message)

    room = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    room.filters["tojson"] = lambda value, **how: json.dumps(value, ensure_ascii=False)
    room.globals |= {"raise_exception": refuse, "strftime_now": lambda form: form}
    for chat in CHATS:
        try:
            length = sum(len(piece) for piece in room.from_string(template).generate(
                messages=chat, add_generation_prompt=True, bos_token="<s>", eos_token="</s>", tools=None, documents=None))
        except (TemplateError, TypeError, ValueError, KeyError, AttributeError, ArithmeticError):
            length = 0
        yield {"length": length}, b""
