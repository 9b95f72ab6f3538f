"""The arithmetic of a training, by name; imports no torch."""

from __future__ import annotations

from typing import Literal

Precision = Literal["float32", "tf32", "bfloat16"]


def precision_code(precision: Precision) -> dict[str, str]:
    """What a run's identity takes of how a precision is computed.

    Trainings in bfloat16 of earlier versions computed with the weights that they began with: theirs are other results.
    """
    return {"bfloat16": "of the present weights"} if precision == "bfloat16" else {}
