"""The tokenizer of a model folder, whose chat template has been tried apart and writes the same day every day."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core.engine.settings import ASSETS
from core.engine.templates import check_template

FIXED_DAY = ("{%- macro strftime_now(form) -%}{{ form|replace('%d','28')|replace('%b','Nov')|replace('%B','November')|replace('%m','11')"
             "|replace('%Y','2025')|replace('%y','25')|replace('%A','Friday')|replace('%a','Fri')|replace('%-d','28')"
             "|replace('%H','12')|replace('%M','00')|replace('%S','00') }}{%- endmacro -%}")
FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")


def read_tokenizer(folder: Path) -> Any:
    """The tokenizer that the folder holds, None if it holds none. Raises LabError for a chat template that does not end."""
    from transformers import AutoTokenizer

    if not any((folder / name).is_file() for name in FILES):
        return None
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if not folder.is_relative_to(ASSETS):
        check_template(tokenizer.chat_template)
    tokenizer.chat_template = _undated(tokenizer.chat_template)
    return tokenizer


def _undated(template: Any) -> Any:
    """A chat template that writes one fixed day instead of today's: equal settings give equal numbers tomorrow, too.

    The macro stands in for the library's `strftime_now`; `template` may be text, {name: text} or None.
    """
    if isinstance(template, dict):
        return {name: _undated(text) for name, text in template.items()}
    if not isinstance(template, str) or "strftime_now" not in template or template.startswith(FIXED_DAY):
        return template
    return FIXED_DAY + template
