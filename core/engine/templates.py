"""Chat templates come with a model and are small programs of strangers: they run in the reading process, never in the lab.

    written(tokenizer, [{"role": "user", "content": "Where?"}], add_generation_prompt=True)     # text, as the library writes it
    check_template(tokenizer.chat_template)      # LabError for one that does not end
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from typing import Any

from core.engine.errors import LabError
from core.engine.reader import asked
from core.engine.stopping import go_on

LONGEST, LONGEST_S = 200_000, 5.0  # letters of a template, and of what it writes; seconds for one chat
CHATS = ([{"role": "user", "content": "Where?"}],
         [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where?"}, {"role": "assistant", "content": "Here."}])
USUAL = {"add_generation_prompt": True, "bos_token": "<s>", "eos_token": "</s>"}
_ENDLESS = ("The chat template of this model does not come to an end.", "Use the model without it, or another model.")


def written(tokenizer: Any, turns: list[dict[str, str]], *, add_generation_prompt: bool = False, **wishes: Any) -> str:
    """What the tokenizer's chat template makes of a chat: the text of `apply_chat_template(..., tokenize=False)`.

    wishes: what the template is told besides, such as enable_thinking=False. Raises LabError for a template that refuses the chat,
    is wrong, or takes too long or too much.
    """
    try:
        template = tokenizer.get_chat_template()
    except ValueError:
        raise LabError("This model has several chat templates, and none of them is its usual one.", "Choose another model.") from None
    given = {**tokenizer.special_tokens_map, **wishes, "add_generation_prompt": add_generation_prompt}
    return _written(template, json.dumps(turns), json.dumps(given, sort_keys=True, default=str))


@functools.lru_cache(maxsize=256)
def _written(template: str, turns: str, given: str) -> str:
    [facts] = _asked(template, [json.loads(turns)], json.loads(given))
    if "refused" in facts:
        raise LabError(f"The chat template of this model cannot write this down: {facts['refused']}",
                       "Ask otherwise, or use another model.")
    return facts["text"]


def _asked(template: str, chats: list[Any], given: dict[str, Any]) -> list[dict[str, Any]]:
    try:
        if len(template) > LONGEST:
            raise LabError("")
        return asked("core.engine.templates:rendered", template=template, chats=chats, given=given, longest=LONGEST_S)
    except LabError:
        go_on()  # it may have been stopped
        raise LabError(*_ENDLESS) from None


def check_template(template: Any) -> None:
    """Raises LabError for a template (text, {name: text} or None) that takes too long or too much to render two short chats.

    One that refuses a chat, or is wrong, has come to an end; whoever has it written says so.
    """
    for text in template.values() if isinstance(template, dict) else [template]:
        if isinstance(text, str):
            _asked(text, list(CHATS), USUAL)


# ---- in the reading process ----

def rendered(template: str, chats: list[Any], given: dict[str, Any]) -> Iterator[tuple[dict[str, Any], bytes]]:
    """What the template makes of each chat, with what the library offers to templates: {"text"}, or {"refused"} with its reason."""
    from jinja2 import TemplateError

    for chat in chats:
        try:
            pieces, length = [], 0
            for piece in _compiled(template).generate(messages=chat, tools=None, documents=None, **given):
                pieces.append(piece)
                if (length := length + len(piece)) > LONGEST:
                    raise MemoryError
        except (TemplateError, TypeError, ValueError, KeyError, AttributeError, ArithmeticError, LookupError) as problem:
            yield {"refused": " ".join(str(problem).split())[:200] or type(problem).__name__}, b""
        else:
            yield {"text": "".join(pieces)}, b""


@functools.lru_cache(maxsize=4)
def _compiled(template: str) -> Any:
    """The library's own surroundings of a template (`transformers.utils.chat_template_utils`), which imports torch."""
    from jinja2 import TemplateError, nodes
    from jinja2.exceptions import SecurityError
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment
    from jinja2.utils import Namespace

    class Generation(Extension):
        """{% generation %}, which marks what a model said and writes nothing itself."""

        tags = {"generation"}

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True)).set_lineno(line)

    class Names(Namespace):
        """No underscores: through them one comes to the inside of Python."""

        def __init__(*args: Any, **named: Any) -> None:
            self, *rest = args
            names = dict(*rest, **named)
            for name in names:
                Names._look(name)
            Namespace.__init__(self, names)

        def __setitem__(self, name: str, value: Any) -> None:
            Names._look(name)
            Namespace.__setitem__(self, name, value)

        @staticmethod
        def _look(name: Any) -> None:
            if isinstance(name, str) and name.startswith("_"):
                raise SecurityError(f"a name may not begin with an underscore: {name!r}")

    class Dicts:
        """`dict` without the class itself."""

        def __call__(self, *args: Any, **named: Any) -> dict[Any, Any]:
            return dict(*args, **named)

        def fromkeys(self, *args: Any) -> dict[Any, Any]:
            return dict.fromkeys(*args)

    def refuse(message: str) -> None:
        raise TemplateError(message)

    def tojson(value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    room = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    room.filters["tojson"] = tojson
    room.globals |= {"raise_exception": refuse, "strftime_now": lambda form: form, "dict": Dicts(), "namespace": Names}
    return room.from_string(template)
