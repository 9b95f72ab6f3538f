"""The tables of the LRAT paper: Gao et al. 2021, arXiv:2106.15776."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from importlib import resources

from harness.reference.figure import ReportedFigure

PAPER = "Gao et al. 2021"
ABOUT = "arXiv:2106.15776, tables 1, 2, 4, and 5"
BIBTEX = """
@article{gao2021local,
  author  = {Ruize Gao and Feng Liu and Kaiwen Zhou and Gang Niu and Bo Han and James Cheng},
  title   = {Local Reweighting for Adversarial Training},
  journal = {arXiv preprint arXiv:2106.15776},
  year    = {2021},
}
"""
THREAT = ("Linf", 8 / 255)  # of every table
METRICS = {"natural": "natural", "pgd20": "pgd", "cw": "cw", "autoattack": "autoattack"}
TITLES = {"natural": "Natural", "pgd": "PGD", "cw": "CW", "autoattack": "AA"}  # of the tables' columns
ATTACK_SEEDS = 5  # behind every figure under attack (section 5.2); natural accuracy has no seeds


def figures() -> Iterator[ReportedFigure]:
    """Tables 1, 2, 4, and 5, cell by cell: medians over attack seeds on one network."""
    text = (resources.files("harness.reference") / "reported.csv").read_text(encoding="utf-8")
    for cell in csv.DictReader(text.splitlines()):
        yield ReportedFigure(
            paper=PAPER,
            paper_table=cell["table"],
            dataset=cell["dataset"],
            network=cell["arch"],
            method=cell["method"],
            checkpoint=cell["checkpoint"],
            metric=METRICS[cell["metric"]],
            median_percent=float(cell["median_percent"]),
            std_percent=float(cell["std_percent"]) if cell["std_percent"] else None,
            note=cell["note"],
            statistic="median",
            n=ATTACK_SEEDS if cell["std_percent"] else 1,
        )
