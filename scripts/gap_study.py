"""How often ``autoattack-gap`` warns: on FastAT Benchmark's networks, on the LRAT paper's tables, and by chance.

``python -m scripts.gap_study`` prints what ``docs/rigour.md`` states. FastAT's methods were split at random before the
rule was chosen, both data sets alike: the rule was fixed on one half, and the other half was then looked at once.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from scipy.stats import binom

from harness.reference import lrat_paper
from harness.statistics.attack_gaps import LEAST, TIMES, BrokenShare, NetworkGaps, baseline_gap, worst_gap
from harness.statistics.exact_bounds import lower_bound, upper_bound

SEED = 16
PLAIN = "pgd_at_wa"  # plain adversarial training, with the weight averaging that the other methods have
WITHOUT = "pgd_at"  # the same without weight averaging
IMAGES = {"cifar10": 10_000, "cifar100": 10_000, "svhn": 26_032}  # of the test sets, all attacked


@dataclass(frozen=True)
class Case:
    """A published network: what its publication calls it, and its gaps."""

    dataset: str
    network: str
    method: str
    seed: str
    gaps: NetworkGaps


@dataclass(frozen=True)
class Judged:
    """A network beside its baseline: how often the baseline's share it loses, and whether it is flagged."""

    case: Case
    ratio: float
    flagged: bool


def gaps_of_figures(accuracies: Mapping[str, float], images: int) -> NetworkGaps:
    """The gaps that published accuracies show, in percent, of attacks and of ``autoattack``.

    Publications have no verdicts. So an image that AutoAttack leaves is taken for one that the weaker attack leaves.
    """
    strong, gaps = accuracies["autoattack"], []
    for attack, accuracy in accuracies.items():
        if attack != "autoattack":
            left, broken = round(images * accuracy / 100), round(images * max(0.0, accuracy - strong) / 100)
            gaps.append(BrokenShare(attack, broken / left, accuracy - strong, broken, left))
    return NetworkGaps("AutoAttack", tuple(gaps))


def halves() -> tuple[list[str], list[str]]:
    """FastAT's methods without the baselines: those by which the rule was chosen, and those set aside."""
    methods = sorted({case.method for case in fastat()} - {PLAIN, WITHOUT})
    random.Random(SEED).shuffle(methods)
    chosen = len(methods) // 2 + 1
    return sorted(methods[:chosen]), sorted(methods[chosen:])


def fastat() -> Iterator[Case]:
    """Each network of FastAT Benchmark, under PGD-20 and AutoAttack."""
    text = (resources.files("harness.reference") / "fastat.csv").read_text(encoding="utf-8")
    for line in csv.DictReader(text.splitlines()):
        figures = {"pgd": float(line["pgd20"]), "autoattack": float(line["autoattack"])}
        dataset = line["dataset"]
        yield Case(dataset, "resnet18", line["method"], line["seed"], gaps_of_figures(figures, IMAGES[dataset]))


def lrat_tables() -> Iterator[Case]:
    """Each network of the LRAT paper's tables, under PGD, CW, and AutoAttack; its seed is the checkpoint."""
    rows: dict[tuple[str, ...], dict[str, float]] = {}
    for f in lrat_paper.figures():
        if f.metric != "natural":
            rows.setdefault((f.dataset, f.network, f.method, f.checkpoint), {})[f.metric] = f.median_percent
    for (dataset, network, method, checkpoint), figures in rows.items():
        yield Case(dataset, network, method, checkpoint, gaps_of_figures(figures, IMAGES[dataset]))


def judged(case: Case, plain: Sequence[Case]) -> Judged | None:
    """The case beside its baseline, without itself; None where there is no baseline."""
    beside = baseline_gap([other.gaps for other in plain if other is not case])
    if beside is None:
        return None
    ratio = case.gaps.widest.share / beside.share
    return Judged(case, ratio, worst_gap(case.gaps, beside) is not None)


def fastat_judged(methods: Sequence[str], plain: str = PLAIN) -> list[Judged]:
    """The networks of some methods, each beside plain adversarial training on its data set."""
    cases = list(fastat())
    beside = {dataset: [c for c in cases if (c.dataset, c.method) == (dataset, plain)] for dataset in IMAGES}
    found = [judged(case, beside[case.dataset]) for case in cases if case.method in methods]
    return [one for one in found if one is not None]


def lrat_judged() -> tuple[list[Judged], list[Case]]:
    """The networks of the LRAT paper beside ``sat`` of the same network and checkpoint; and those without one."""
    cases = list(lrat_tables())
    found, without = [], []
    for case in cases:
        place = (case.dataset, case.network, case.seed)
        plain = [c for c in cases if c.method == "sat" and (c.dataset, c.network, c.seed) == place]
        one = judged(case, plain)
        found += [one] if one is not None else []
        without += [case] if one is None else []
    return found, without


def power(left: int, share: float, times: float, images: int) -> float:
    """How probably a network that loses ``times`` the share of one baseline network is flagged; exact.

    Args:
        left: images that the weaker attack leaves of each.
        share: of them, that AutoAttack breaks of the baseline.
        images: that were attacked.
    """
    counts = range(left + 1)
    of_baseline = [(b, p) for b in counts if (p := float(binom.pmf(b, left, share))) > 1e-9]
    of_network = [(k, p) for k in counts if (p := float(binom.pmf(k, left, share * times))) > 1e-9]
    high = {b: upper_bound(b, left) for b, _ in of_baseline}
    low = {k: lower_bound(k, left) for k, _ in of_network}
    return sum(
        p * q
        for b, p in of_baseline
        for k, q in of_network
        if k > TIMES * b and 100 * k / images >= LEAST and low[k] > high[b]
    )


def lines() -> Iterator[str]:
    """What the study says, a line at a time."""
    for name, methods in zip(("chosen on", "set aside"), halves(), strict=True):
        found = fastat_judged(methods)
        yield f"FastAT, {name}: {', '.join(methods)}"
        yield from _lines_of(found)
    yield f"FastAT, {PLAIN} and {WITHOUT}, each beside its other two seeds"
    yield from _lines_of([*fastat_judged([PLAIN]), *fastat_judged([WITHOUT], WITHOUT)])
    yield f"FastAT, all other methods beside {WITHOUT}, which has no weight averaging"
    yield from _lines_of(fastat_judged([m for half in halves() for m in half], WITHOUT))
    found, without = lrat_judged()
    yield "LRAT paper"
    yield from _lines_of(found)
    yield f"  not judged: {', '.join(f'{c.method} {c.network} {c.seed}' for c in without)}"
    for left, share, images in ((113, 0.2, 500), (260, 0.1, 360), (1000, 0.1, 2000)):
        said = [f"{times} times {100 * power(left, share, times, images):.1f} %" for times in (1, 1.5, 2, 2.5, 3, 4)]
        yield f"flagged, of {left} images that PGD leaves, baseline {100 * share:.0f} %: {', '.join(said)}"


def _lines_of(found: Sequence[Judged]) -> Iterator[str]:
    for dataset in dict.fromkeys(one.case.dataset for one in found):
        here = [one for one in found if one.case.dataset == dataset]
        hits = [f"{o.case.method} {o.case.network} {o.case.seed} ({o.ratio:.2f})" for o in here if o.flagged]
        others = [one.ratio for one in here if not one.flagged]
        yield f"  {dataset}: {len(hits)} of {len(here)} flagged: {', '.join(hits) or 'none'}"
        yield f"    the others: {min(others):.2f} to {max(others):.2f} times the baseline's share"


if __name__ == "__main__":
    print("\n".join(lines()))
