"""Comparisons as JSON that other programs may rely on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from harness.comparison.alike import Alike
from harness.comparison.comparison import Comparison, Family, NetworkComparison, Tested
from harness.comparison.orders import OrderComparison
from harness.comparison.resolution import Resolution
from harness.comparison.vulnerable import SeedAgreement, Vulnerable
from harness.leaderboard.columns import Column
from harness.leaderboard.contestants import Contestant
from harness.leaderboard.failed_text import failed_document
from harness.leaderboard.render_json import decision_document, difference_document, interval_document
from harness.statistics.equivalence import Equivalence
from harness.statistics.figures import LEVEL
from harness.statistics.paired import ALPHA
from harness.statistics.seed_sides import PAIRED, WELCH
from harness.statistics.seed_variance import SeedVariance

IMAGES = "test images"


def comparison_document(comparison: Comparison) -> dict[str, Any]:
    """Two entrants in one column; differences are first minus second, in points."""
    return {
        "first": comparison.first.name,
        "second": comparison.second.name,
        **_column(comparison.column, comparison.networks[0].first),
        "protocol": None if comparison.protocol is None else comparison.protocol.name,
        "protocol_fingerprint": None if comparison.protocol is None else comparison.protocol.fingerprint,
        "methods": None if comparison.methods is None else _methods(comparison),
        "networks": [_networks(network) for network in comparison.networks],
        "failed_seeds": dict(zip(("first", "second"), map(failed_document, comparison.failed), strict=True)),
        "notes": list(comparison.notes),
    }


def _methods(comparison: Comparison) -> dict[str, Any]:
    """The test over training seeds, and how the two methods go together seed by seed."""
    test, sides = comparison.methods, comparison.sides
    assert test is not None
    assert sides is not None
    found, (first, second) = sides.correlation, test.counts
    counts = {"paired": sides.paired, "n_first": first, "n_second": second}
    together = None
    if found is not None:
        interval = interval_document(found.interval, "Fisher", "training seeds", found.n)
        together = {"r": found.r, "n": found.n, "interval": interval, "variance_ratio": found.ratio}
    return difference_document(test, test.test) | counts | {"correlation": together}


def _column(column: Column, network: Contestant) -> dict[str, Any]:
    return {
        "dataset": network.dataset.name,
        "dataset_fingerprint": network.dataset.fingerprint,
        "attack": column.name,
        "attack_settings_sha256": dict(column.attacks),
        "examples": column.examples,
        "sample": column.images.sample,
    }


def _network(network: Contestant) -> dict[str, Any]:
    return {
        "run": network.number,
        "label": network.label,
        "arch": network.network,
        "checkpoint": network.checkpoint.name,
        "train_seed": network.train_seed,
    }


def _networks(n: NetworkComparison) -> dict[str, Any]:
    table = n.every.table
    return {
        "first": _network(n.first),
        "second": _network(n.second),
        "unit": IMAGES,
        "attack_seeds": n.attack_seeds,
        "every_seed": {
            **_tested(n.every),
            "first_percent": table.first_percent,
            "second_percent": table.second_percent,
            "interval": interval_document(n.interval, "bootstrap", IMAGES, table.examples),
        },
        "by_seed": [{"seed": seed, **_tested(tested)} for seed, tested in n.by_seed.items()],
        "classes": None
        if n.classes is None
        else [{"class": name, **_tested(tested), "p_holm": tested.p_holm} for name, tested in n.classes.items()],
    }


def _tested(tested: Tested) -> dict[str, Any]:
    table = tested.table
    return {
        "test": "McNemar",
        "n": table.examples,
        "table": asdict(table),
        "difference": table.difference,
        "p": tested.p,
    }


def alike_document(found: Alike) -> dict[str, Any]:
    """Whether two entrants are alike within a margin, in points; the entries of ``networks`` are in their order."""
    return {
        "margin": found.margin,
        "alpha": ALPHA,
        "methods": None if found.methods is None else _equivalence(found.methods, "t", "training seeds"),
        "networks": [_equivalence(one, "score", IMAGES) for one in found.networks],
    }


def _equivalence(found: Equivalence, test: str, unit: str) -> dict[str, Any]:
    sides = {"p_not_worse": found.p_not_worse, "not_worse": found.not_worse}
    sides |= {"p_not_better": found.p_not_better, "not_better": found.not_better}
    interval = {"kind": test, "level": 1 - 2 * ALPHA, "unit": unit, "n": found.n}
    ends = {"low": found.interval.low, "high": found.interval.high}
    return {"test": f"two one-sided {test}", "unit": unit, "n": found.n, **sides} | {
        "equivalent": found.equivalent,
        "interval": interval | ends,
    }


def resolution_document(found: Resolution) -> dict[str, Any]:
    """What the training seeds of two entrants can tell; differences and deviations are in points."""
    noise = found.noise
    return {
        "unit": "training seeds",
        "test": PAIRED if found.sides.paired else WELCH,
        "n": found.sides.seeds,
        "first_percents": list(found.sides.first),
        "second_percents": list(found.sides.second),
        "deviation": noise.std,
        "interval": interval_document(noise.interval, "chi-square", "training seeds", found.sides.seeds),
        "alpha": found.alpha,
        "power": found.power,
        "smallest": [asdict(row) for row in found.smallest],
        "needed": [asdict(row) for row in found.needed],
        **dict(zip(("first_variance", "second_variance"), map(_variance, found.variances), strict=True)),
    }


def _variance(found: SeedVariance | None) -> dict[str, Any] | None:
    """The variance of one side over training seeds; the share of the test set is of 1, deviations are in points."""
    if found is None:
        return None
    interval = interval_document(found.interval, "F", "training seeds", found.networks)
    deviations = {"deviation": found.std, "lasting_deviation": found.lasting}
    return {"test_set_share": found.share, "interval": interval, **deviations, "examples": found.examples}


def family_document(families: Sequence[Family]) -> dict[str, Any]:
    """All pairs of rows, board by board."""
    return {
        "boards": [
            {
                "dataset": family.board.dataset,
                "protocol": family.board.protocol,
                "protocol_fingerprint": family.board.fingerprint,
                "examples": family.board.examples,
                "sample": family.column.images.sample,
                "column": family.column.name,
                "correction": {"method": "Holm", "comparisons": len(family.tested)},
                "pairs": [
                    {"first": first, "second": second, "comparison": decision_document(decision)}
                    for (first, second), decision in family.pairs.items()
                ],
                "notes": list(family.notes),
            }
            for family in families
        ]
    }


def order_document(found: OrderComparison) -> dict[str, Any]:
    """The same rows on two boards; the interval of tau is over images and seeds, for these rows."""
    interval = None
    if found.interval is not None:
        ends = {"low": found.interval.low, "high": found.interval.high}
        interval = {"kind": "bootstrap", "level": LEVEL, "unit": found.unit, **ends}
    return {
        "boards": [
            {
                "dataset": board.dataset,
                "protocol": board.protocol,
                "protocol_fingerprint": board.fingerprint,
                "examples": board.examples,
                "column": board.ranked_by,
                "networks": networks,
            }
            for board, networks in zip((found.first, found.second), found.networks, strict=True)
        ],
        "rows": [
            {"row": name, "first_percent": one, "second_percent": other} for name, (one, other) in found.rows.items()
        ],
        "tau": found.tau,
        "interval": interval,
        "same_images": found.same_images,
        "same_networks": found.same_networks,
        "left_out": list(found.left_out),
        "notes": list(found.notes),
    }


def vulnerable_document(found: Sequence[Vulnerable]) -> dict[str, Any]:
    """How far the sets of most vulnerable images agree, with the data for a plot: V of every image, and the sets."""
    return {
        "vulnerability": "p_y(x_adv) - max over i != y of p_i(x_adv)",
        "unit": "these networks on these images",
        "pairs": [
            {
                "names": list(pair.names),
                "networks": [_network(network) for network in pair.networks],
                "columns": [_column(pair.columns[side], pair.networks[side]) for side in (0, 1)],
                "seeds": [_seed(seed) for seed in pair.seeds],
                "notes": list(pair.notes),
            }
            for pair in found
        ],
    }


def _seed(seed: SeedAgreement) -> dict[str, Any]:
    sets, first, second = seed.sets, set(seed.sets.first), set(seed.sets.second)
    return {
        "seed": seed.seed,
        "most_vulnerable": len(sets.first),
        "in_both": sets.shared,
        "overlap": sets.overlap,
        "overlap_if_independent": sets.expected,
        "jaccard": sets.jaccard,
        "images": [
            {"image": i, "first": one, "second": other, "in_first": i in first, "in_second": i in second}
            for i, (one, other) in enumerate(zip(seed.first, seed.second, strict=True))
        ],
    }
