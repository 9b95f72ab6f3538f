"""The refusal of a model, and how another's exception is told in one line."""

from __future__ import annotations

from harness.errors import HarnessError

_LONGEST = 300  # characters of another's text: torch writes pages


class TargetError(HarnessError):
    """A model that cannot be evaluated: what was refused, the rule, what to do next."""


def told(error: BaseException) -> str:
    """The exception's type and its text, on one line."""
    text = " ".join(str(error).split())
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
