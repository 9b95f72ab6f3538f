"""Checks of rigour: warning signs that a robust accuracy may not be what it seems.

``examine_model`` runs the model on a fixed subset; ``examine_verdicts`` reads what is stored. A flag is a reason to
look, not a verdict.
"""

from __future__ import annotations

from harness.rigour.budgets import passes
from harness.rigour.checks import EXAMPLES, MODEL_CHECKS, VERDICT_CHECKS, examine_model, examine_verdicts, subset
from harness.rigour.finding import Check, Finding

__all__ = [
    "EXAMPLES",
    "MODEL_CHECKS",
    "VERDICT_CHECKS",
    "Check",
    "Finding",
    "examine_model",
    "examine_verdicts",
    "passes",
    "subset",
]
