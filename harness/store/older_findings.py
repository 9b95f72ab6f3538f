"""Findings that an older version of a check stored, as the check says them now.

``autoattack-gap`` judged a network by its share alone, and flagged plain adversarial training on CIFAR-100. What it
stored beside the judgement is what it stores now. So nothing is examined anew, and nothing that is stored changes.
"""

from __future__ import annotations

from dataclasses import replace

from harness.events import Finding
from harness.statistics import attack_gaps
from harness.statistics.attack_gaps import NetworkGaps


def as_said_now(finding: Finding) -> Finding:
    """The finding; one of ``autoattack-gap`` without its judgement."""
    if finding.check != attack_gaps.CHECK:
        return finding
    try:
        seen = NetworkGaps.of_finding(finding.reason, finding.details)
    except ValueError as error:  # somebody edited the database
        seen, why = None, str(error)
    else:
        why = finding.reason if finding.status == "not-applicable" else f"no gap is stored; {attack_gaps.BESIDE}"
    value, reason = (None, why) if seen is None else (seen.widest.share, seen.reason)
    return replace(finding, status="not-applicable", mark="", value=value, threshold=None, reason=reason)
