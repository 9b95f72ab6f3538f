"""Whether training seeds were added by looking, so that a test that takes them as they are errs more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.comparison.naming import Entrant
from harness.leaderboard.board import Row
from harness.runtime.provenance import looked_at
from harness.store.store import Store


def told_of_looks(store: Store, entrants: Sequence[Entrant | Row]) -> Iterator[str]:
    """A note where training seeds were added by looking: tests that take the seeds as they are then err more often."""
    numbers = {network.number for entrant in entrants for network in entrant.networks if network.number is not None}
    known = [found for kept in store.provenances(numbers).values() if (found := looked_at(kept)) is not None]
    if known:
        limits = " and ".join(str(limit) for limit in sorted({found.limit for found in known}))
        yield (
            f"training seeds were added by looking (harness run --until-separated {limits}): p and interval over"
            " training seeds do not keep their 5 %; that command tells what is separated"
        )
