"""The refusal of a model, and how another's exception is told in one line."""

from __future__ import annotations

from harness.errors import HarnessError, ModelFault
from harness.quoting import visible

_LONGEST = 300  # characters of another's text: torch writes pages


class TargetError(HarnessError):
    """A model that cannot be evaluated: what was refused, the rule, what to do next."""


def told(error: BaseException) -> str:
    """The exception's type and its text, on one line; a model's fault says it already."""
    if isinstance(error, ModelFault):
        return str(error)
    try:
        text = visible(" ".join(str(error).split()))
    except Exception:  # a stranger's class may break there, too
        text = ""
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
