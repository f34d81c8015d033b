"""The one error that a person may see, and the one that nobody sees."""

from __future__ import annotations


class Stopped(BaseException):
    """Somebody pressed Stop, and an experiment that has not said anything since asked its lab for something. Only the runner catches it."""


class LabError(Exception):
    """Something a visitor can act on: `message` says what was wrong, `hint` what is allowed or what to do.

    >>> raise LabError("There is no model called 'gpt9'.", "Pick one of: embedded/worlds.")

    Page, command line and API show both sentences and nothing else. Anything that is not a LabError is a bug.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def to_dict(self) -> dict[str, str]:
        """`{"error": message, "hint": hint}`, the shape of every error answer."""
        return {"error": self.message, "hint": self.hint}
