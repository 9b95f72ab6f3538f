"""The refusal of a model."""

from __future__ import annotations

from harness.errors import HarnessError


class TargetError(HarnessError):
    """A model that cannot be evaluated: what was refused, the rule, what to do next."""
