"""What a page's event may carry: for a handler that exists, in the right number, and files only where a control takes files.

    Values(blocks, handed).checked("/gradio_api/run/predict", body, visitor)     # the body that is passed on, or Refused
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from apps.lab.answers import Refused
from apps.lab.handed import Handed

DEEPEST, MOST_VALUES = 40, 1000
PASSED_ON = ("data", "event_data", "fn_index", "trigger_id", "session_hash")
_EVENT = re.compile(r"[A-Za-z0-9_-]{1,100}")


class Values:
    """Checks the bodies of events against the handlers of one site."""

    def __init__(self, blocks: Any, handed: Handed) -> None:
        import gradio as gr

        self._blocks, self._handed = blocks, handed
        self._take_files = (gr.UploadButton, gr.File, gr.Image)

    def checked(self, path: str, body: dict[str, Any], visitor: str) -> dict[str, Any]:
        """The body with nothing but what the handler needs. Raises Refused."""
        handler = self._handler(path, body)
        data = body.get("data")
        if not isinstance(data, list) or len(data) > MOST_VALUES:
            raise Refused(400)
        inputs = list(getattr(handler, "inputs", ()))
        if any(_files(body.get("event_data"))):
            raise _no_file()
        data = [self._value(value, inputs[i] if i < len(inputs) else None, visitor) for i, value in enumerate(data)]
        passed = {name: body[name] for name in PASSED_ON if name in body} | {"data": data}
        if not isinstance(passed.get("trigger_id", 0), (int, type(None))) or isinstance(passed.get("trigger_id"), bool):
            raise Refused(400)
        return passed

    def _handler(self, path: str, body: dict[str, Any]) -> Any:
        """The one that is meant. Those of pages are asked directly, those for programs through the queue, and only so."""
        handlers, direct = self._blocks.fns, path.startswith("/gradio_api/run/")
        if "/call/" in path:
            name = path.rstrip("/").rpartition("/")[2]
            body.pop("fn_index", None)
            found = next((one for one in handlers.values() if one.api_name == name and one.api_visibility == "public"), None)
        else:
            index = body.get("fn_index")
            found = handlers.get(index) if type(index) is int else None
        if found is None or bool(found.queue) == direct:
            raise Refused(404, "The lab has no such control.", "The page may be of an older version: open it again.")
        return found

    def _value(self, value: Any, component: Any, visitor: str) -> Any:
        if isinstance(component, self._take_files):
            return self._file(value, visitor)
        if any(_files(value)):
            raise _no_file()
        return value

    def _file(self, value: Any, visitor: str) -> Any:
        if value is None:
            return None
        if isinstance(value, list):
            return [self._file(item, visitor) for item in value]
        path = value.get("path") if isinstance(value, dict) else None
        if not isinstance(path, str) or not self._handed.owns(visitor, path):
            raise Refused(400, "That file is not one that you have just sent.", "Choose it again on the page.")
        name = value.get("orig_name")
        return {"path": path, "orig_name": name[:200] if isinstance(name, str) else None, "meta": {"_type": "gradio.FileData"}}


def session_only(body: dict[str, Any]) -> dict[str, Any]:
    """What stopping an event needs. Raises Refused."""
    passed = {name: body[name] for name in ("session_hash", "event_id", "fn_index") if name in body}
    if not passed.get("session_hash"):
        raise Refused(400)
    event, index = passed.get("event_id"), passed.get("fn_index", 0)
    if event is not None and not (isinstance(event, str) and _EVENT.fullmatch(event)) or type(index) is not int:
        raise Refused(400)
    return passed


def _files(value: Any) -> Iterator[bool]:
    """Something for everything in plain data that claims to be a file."""
    waiting = [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        if depth > DEEPEST:
            raise Refused(400, "That is nested too deeply.")
        if isinstance(item, dict):
            meta = item.get("meta")
            marked = isinstance(meta, dict) and "_type" in meta
            if marked or isinstance(item.get("path"), str) and {"url", "meta", "orig_name", "is_stream", "mime_type"} & set(item):
                yield True
            waiting += [(inner, depth + 1) for inner in item.values()]
        elif isinstance(item, list):
            waiting += [(inner, depth + 1) for inner in item]


def _no_file() -> Refused:
    return Refused(400, "This control takes no file.", "Use the button that brings a file.")
