"""How often a training seed is said to have collapsed: on FastAT Benchmark's networks, on our own, and by chance.

``python -m scripts.collapse_study`` prints what ``docs/statistics.md`` states. The rule was fixed on one half of
FastAT's methods, split as ``scripts.gap_study`` splits them, and the other half was then looked at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from scipy.stats import binom

from harness.leaderboard.board import MEASURED, Row, Selection
from harness.leaderboard.ranking import boards
from harness.leaderboard.reported_boards import reported_boards
from harness.reference.fastat import figures
from harness.statistics.collapse import at_chance, chance, clear, clear_of_chance
from harness.store.store import Store
from scripts.gap_study import PLAIN, WITHOUT, halves

ROOT = Path(__file__).resolve().parent.parent
SIZES = ((10, 360), (10, 500), (10, 10_000), (100, 500), (100, 10_000))  # classes, images


@dataclass(frozen=True)
class Judged:
    """A published method on one data set."""

    dataset: str
    method: str
    failed: tuple[int, ...]
    of: int


def fastat_judged(methods: Sequence[str]) -> list[Judged]:
    """The rows of some methods, by the publication's spelling, as the reported boards show them."""
    wanted = {method.replace("_", "-") for method in methods}
    return [
        _judged(board.dataset, row)
        for board in reported_boards(figures())
        for row in board.rows
        if row.method in wanted
    ]


def published() -> list[Judged]:
    """The rows of ``leaderboard.db`` that were measured."""
    store = Store.read(str(ROOT / "leaderboard.db"))
    found = [_judged(board.dataset, row) for board in boards(store, Selection(source=MEASURED)) for row in board.rows]
    store.close()
    return found


def _judged(dataset: str, row: Row) -> Judged:
    assert row.failed is not None
    return Judged(dataset, row.label, tuple(seed.train_seed for seed in row.failed.seeds), row.failed.of)


def chances(classes: int, images: int) -> dict[str, float]:
    """How probable the rule's outcomes are for networks of given true accuracy; exact sums of the binomial law."""
    counts = range(images + 1)
    found = [right for right in counts if at_chance(right, images, classes)]
    stand = next((right for right in counts if clear_of_chance(right, images, classes)), images + 1)
    level = chance(classes)

    def of(share: float) -> float:
        return float(sum(binom.pmf(right, images, share) for right in found))

    return {
        "at chance": of(level),
        "at half of chance": of(level / 2),
        "at 1.5 times chance": of(1.5 * level),
        "at twice chance": of(clear(classes)),
        "a sibling at 3 times chance stands": float(binom.sf(stand - 1, images, 3 * level)),
    }


def lines() -> Iterator[str]:
    """What the study says, a line at a time."""
    chosen, aside = halves()
    for name, methods in (("chosen on", [*chosen, PLAIN, WITHOUT]), ("set aside", aside)):
        yield f"FastAT, {name}: {_said(fastat_judged(methods))}"
    yield f"leaderboard.db: {_said(published())}"
    for classes, images in SIZES:
        said = ", ".join(f"{name} {100 * share:.1f} %" for name, share in chances(classes, images).items())
        yield f"{classes} classes, {images} images, found: {said}"


def _said(found: Sequence[Judged]) -> str:
    hits = [f"{one.dataset} {one.method} {seed}" for one in found for seed in one.failed]
    return f"{len(hits)} of {sum(one.of for one in found)} networks: {', '.join(hits) or 'none'}"


if __name__ == "__main__":
    print("\n".join(lines()))
