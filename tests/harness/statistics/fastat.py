"""The figures of FastAT Benchmark, which ship with harness: a method's accuracies, one a training seed."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import harness

FILE = Path(harness.__file__).parent / "reference" / "fastat.csv"


def under_autoattack(dataset: str) -> dict[str, list[float]]:
    """Method -> accuracies under AutoAttack in percent, in the order of the seeds."""
    found: dict[str, list[float]] = defaultdict(list)
    with FILE.open(encoding="utf-8", newline="") as lines:
        for line in csv.DictReader(lines):
            if line["dataset"] == dataset:
                found[line["method"]].append(float(line["autoattack"]))
    return dict(found)
