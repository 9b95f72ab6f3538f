"""The names of a training's arithmetic. Imports no torch."""

from __future__ import annotations

from typing import Literal

Precision = Literal["float32", "tf32", "bfloat16"]


def precision_code(precision: Precision) -> dict[str, str]:
    """What a run's identity contains about the implementation of a precision.

    Earlier versions trained in bfloat16 with the initial weights throughout (a fault), so their results are different.
    """
    return {"bfloat16": "of the present weights"} if precision == "bfloat16" else {}
