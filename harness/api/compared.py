"""A comparison of two methods or networks as a table: over training seeds, over images, by attack seed, by class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harness.api import columns
from harness.api.table import Table
from harness.comparison.alike import Alike, alike
from harness.comparison.comparison import Comparison, NetworkComparison, Tested, compare
from harness.comparison.labels import known_labels
from harness.comparison.naming import Where, find_two
from harness.comparison.resolution import resolution
from harness.leaderboard.pairs import MCNEMAR
from harness.statistics.equivalence import Equivalence
from harness.statistics.seed_sides import PAIRED, WELCH
from harness.store.store import Store

METHODS, IMAGES, SEED, CLASS = "methods", "images", "attack seed", "class"
"""The levels of a comparison."""


def comparison_table(
    store: Store,
    first: str,
    second: str,
    where: Where,
    attack: str | None,
    data_dir: Path | None = None,
    plugins: Sequence[Path] = (),
    margin: float | None = None,
) -> Table:
    """Compare two entrants; see ``Results.compare``."""
    one, other = find_two(store, first, second, where)
    labels = known_labels(one.networks[0].dataset, data_dir, tuple(plugins))
    found = compare(store, one, other, attack, labels)
    same = None if margin is None else alike(found, margin)
    title = f"{one.name} compared with {other.name}"
    return Table.of_rows(title, columns.COMPARISON, list(_rows(found, same)), notes=found.notes)


def power_table(
    store: Store, first: str, second: str, where: Where, attack: str | None, points: Sequence[float]
) -> Table:
    """What the training seeds of two entrants can tell; see ``Results.power``."""
    one, other = find_two(store, first, second, where)
    compared = compare(store, one, other, attack, "they are not asked for")
    found = resolution(store, compared, points, where)
    noise, network = found.noise, compared.networks[0].first
    common: dict[str, Any] = dict.fromkeys(column.name for column in columns.POWER) | {
        "first": one.name,
        "second": other.name,
        "dataset": network.dataset.name,
        "attack": compared.column.name,
        "sample": compared.column.images.sample,
        "examples": compared.column.examples,
        "unit": "training seeds",
        "units": found.sides.seeds,
        "test": PAIRED if found.sides.paired else WELCH,
        "deviation_points": noise.std,
        "deviation_low_points": noise.interval.low,
        "deviation_high_points": noise.interval.high,
        "alpha": found.alpha,
        "power": found.power,
    }
    for side, variance in zip(("first", "second"), found.variances, strict=True):
        if variance is not None:
            common[f"{side}_test_set_share"] = variance.share
            common[f"{side}_share_low"] = variance.interval.low
            common[f"{side}_share_high"] = variance.interval.high
    parts = (("seeds", found.smallest), ("difference", found.needed))
    rows = [
        common
        | {
            "given": given,
            "true_points": row.difference,
            "seeds_a_method": row.seeds,
            "most_seeds_a_method": row.most_seeds,
            "comparisons": row.comparisons,
        }
        for given, of_given in parts
        for row in of_given
    ]
    return Table.of_rows(f"power of {one.name} compared with {other.name}", columns.POWER, rows)


def _rows(found: Comparison, same: Alike | None) -> Iterator[dict[str, Any]]:
    network = found.networks[0].first
    empty = dict.fromkeys((column.name for column in columns.COMPARISON), None)
    common = empty | {
        "first": found.first.name,
        "second": found.second.name,
        "dataset": network.dataset.name,
        "attack": found.column.name,
        "sample": found.column.images.sample,
        "examples": found.column.examples,
    }
    if found.methods is not None:
        t = found.methods
        yield common | {
            "level": METHODS,
            "unit": "training seeds",
            "units": t.n,
            "difference_points": t.difference,
            "low_points": t.interval.low,
            "high_points": t.interval.high,
            "test": t.test,
            "p": t.p,
            **_sided(same.methods if same else None),
            **_by_seed(found),
        }
    for place, pair in enumerate(found.networks):
        equivalence = same.networks[place] if same else None
        yield from (common | row for row in _of_pair(pair, equivalence))


def _by_seed(found: Comparison) -> dict[str, Any]:
    """The seeds of each side, and how the two methods go together over the seeds that both have."""
    assert found.methods is not None
    assert found.sides is not None
    first, second = found.methods.counts
    told: dict[str, Any] = {"first_seeds": first, "second_seeds": second}
    together = found.sides.correlation
    if together is None:
        return told
    ends = together.interval
    if ends is not None:
        told |= {"correlation_low": ends.low, "correlation_high": ends.high}
    return told | {
        "correlation": together.r,
        "correlation_seeds": together.n,
        "variance_ratio": together.ratio,
    }


def _sided(found: Equivalence | None) -> dict[str, Any]:
    if found is None:
        return {}
    return {"margin_points": found.margin, "p_not_worse": found.p_not_worse, "p_not_better": found.p_not_better}


def _of_pair(pair: NetworkComparison, equivalence: Equivalence | None) -> Iterator[dict[str, Any]]:
    place = {"first_run": pair.first.number, "second_run": pair.second.number}
    if pair.first.train_seed == pair.second.train_seed:
        place["train_seed"] = pair.first.train_seed
    interval = {"low_points": pair.interval.low, "high_points": pair.interval.high}
    yield place | {"level": IMAGES} | _tested(pair.every) | interval | _sided(equivalence)
    for seed, tested in pair.by_seed.items():
        yield place | {"level": SEED, "seed": seed} | _tested(tested)
    for name, tested in (pair.classes or {}).items():
        yield place | {"level": CLASS, "class": name} | _tested(tested)


def _tested(tested: Tested) -> dict[str, Any]:
    table = tested.table
    return {
        "unit": "test images",
        "units": table.examples,
        "first_percent": table.first_percent,
        "second_percent": table.second_percent,
        "difference_points": table.difference,
        "test": MCNEMAR,
        "p": tested.p,
        "p_holm": tested.p_holm,
    }
