"""FastAT Benchmark: Pan and Yao 2026, arXiv:2604.22853.

``fastat.csv`` has one line for each trained network, from the publication's result file of May 2026. Mean and standard
deviation over training seeds are computed here. The file's training times and memory are not used.
"""

from __future__ import annotations

import csv
import statistics
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from importlib import resources

from harness.reference.figure import NetworksBehind, ReportedFigure

PAPER = "Pan and Yao 2026"
ABOUT = (
    "FastAT Benchmark, arXiv:2604.22853, result file of May 2026; epsilon 8/255, 100 epochs of a one-cycle schedule;"
    " weight averaging in every method but pgd-at, so that pgd-at-wa is its fair counterpart; pgd is PGD-20"
)
BIBTEX = """
@article{pan2026fastat,
  author  = {Chao Pan and Xin Yao},
  title   = {{FastAT} Benchmark: A Comprehensive Framework for Fair Evaluation of Fast Adversarial Training Methods},
  journal = {arXiv preprint arXiv:2604.22853},
  year    = {2026},
}
"""
THREAT = ("Linf", 8 / 255)
METRICS = {  # the last one ranks
    "clean": "natural",
    "pgd10": "pgd10",
    "pgd20": "pgd",
    "pgd50": "pgd50",
    "cr_attack": "cr_attack",
    "autoattack": "autoattack",
}
NOTES = {
    "pgd_at": "trained without weight averaging, which every other method has; compare pgd-at-wa",
    "pgd_at_wa": "pgd-at with the weight averaging that every other method has",
    "liet": "the only one with other label smoothing",
}


_CLASSES = {"cifar10": 10, "cifar100": 100}
_IMAGES = 10_000  # of either test set, all attacked


@cache
def _trained() -> dict[tuple[str, str], list[dict[str, str]]]:
    """Data set and method -> the lines of its networks."""
    text = (resources.files("harness.reference") / "fastat.csv").read_text(encoding="utf-8")
    trained: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    for network in csv.DictReader(text.splitlines()):
        trained[network["dataset"], network["method"]].append(network)
    return trained


def networks_behind(dataset: str, method: str) -> NetworksBehind | None:
    """The networks behind a row, by the method's name as ``figures`` spells it; None where there are none."""
    networks = _trained().get((dataset, method.replace("-", "_")))
    if networks is None:
        return None
    percents = {metric: tuple(float(network[column]) for network in networks) for column, metric in METRICS.items()}
    return NetworksBehind(tuple(int(network["seed"]) for network in networks), percents, _IMAGES, _CLASSES[dataset])


def figures() -> Iterator[ReportedFigure]:
    """For every data set, method, and metric: mean and standard deviation (ddof 1) over training seeds.

    Methods keep the publication's spelling, with hyphens: ``fgsm-rs``. The publication does not say which checkpoint
    was attacked.
    """
    for (dataset, method), networks in _trained().items():
        for column, metric in METRICS.items():
            accuracies = [float(network[column]) for network in networks]
            yield ReportedFigure(
                paper=PAPER,
                paper_table="result file of May 2026",
                dataset=dataset,
                network="resnet18",
                method=method.replace("_", "-"),
                checkpoint="unknown",
                metric=metric,
                median_percent=statistics.fmean(accuracies),
                std_percent=statistics.stdev(accuracies),
                note=NOTES.get(method, ""),
                statistic="mean",
                n=len(networks),
            )
