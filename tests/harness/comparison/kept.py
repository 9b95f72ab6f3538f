"""What comparisons are made of: data sets, attacks, and a store that has margins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.comparison.comparison import Comparison, compare
from harness.comparison.naming import Where, find_two
from harness.store.records import DatasetRecord
from harness.store.store import Store

DIGITS = DatasetRecord("digits", "d" * 64, 20, 8, 1, 8, 8, 10)
OTHER = DatasetRecord("letters", "e" * 64, 20, 8, 1, 8, 8, 10)
TRAINING = {"epochs": 3}


PGD, CW, NATURAL = {"steps": 20, "block_size": 4}, {"kappa": 50.0, "block_size": 4}, {"natural": True}
SETTINGS: dict[str, dict[str, Any]] = {"natural": NATURAL, "pgd": PGD, "cw": CW}
UNKNOWN = "no labels here"


Put = Callable[..., int]


class Kept(Store):
    """A store that has the vulnerability of some evaluations' images."""

    kept: dict[int, list[float]]

    def margins(self, evaluation_id: int) -> list[float] | None:
        return self.kept.get(evaluation_id)


def run(store: Store, first: str, second: str, attack: str | None = None, **where: Any) -> Comparison:
    return compare(store, *find_two(store, first, second, Where(**where)), attack, UNKNOWN)
