"""Imports AutoAttack by the name that RobustBench 1.1.1 does."""

from autoattack import AutoAttack as AutoAttack  # type: ignore[import-not-found]
from autoattack.state import EvaluationState as EvaluationState  # type: ignore[import-not-found]


def benchmark() -> None:
    """Never called."""
