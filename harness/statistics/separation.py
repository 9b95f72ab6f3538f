"""Which of several methods are separated over training seeds that are added by looking.

The question is asked of every pair of the methods, which are named in advance. Which method is the best is read off the
same figures, so that the pairs of the best one alone would be no family.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from harness.statistics.crossing import FIRST, check_looks
from harness.statistics.figures import Interval
from harness.statistics.paired import ALPHA, holm
from harness.statistics.sequential import SeedLook, next_look

Figures = Sequence[float | None]
"""A method's accuracies in percent for the training seeds 0, 1, ...; None for a network that has no figure."""


@dataclass(frozen=True)
class SeparatedPair:
    """Two methods after the newest look, first minus second, in points.

    Attributes:
        n: training seeds behind ``difference`` and ``interval``: of the look that separated the two, else of the last.
        difference: the mean; None before the first look.
        interval: 95 %, valid at any look; see ``SeedLook``. It is about this pair alone.
        p: over all looks; see ``sequential_p``. 1 before the first look.
        p_holm: after Holm's correction over all pairs of the methods.
        separated: whether ``p_holm`` is below ``ALPHA``, now or at an earlier look.
        open: whether more seeds can still separate the two.
    """

    first: str
    second: str
    n: int
    difference: float | None
    interval: Interval | None
    p: float
    p_holm: float
    separated: bool
    open: bool


@dataclass(frozen=True)
class Separation:
    """Every pair of some methods after the newest look.

    Attributes:
        limit: the most training seeds of a method, named in advance.
        seeds: training seeds at the newest look; 0 before the first.
        without: method -> how many of its seeds until then have no figure, as after a failed training.
    """

    limit: int
    seeds: int
    pairs: tuple[SeparatedPair, ...]
    without: Mapping[str, int] = field(default_factory=dict)

    @property
    def open(self) -> frozenset[str]:
        """The methods that are to get one more seed; none when all is decided, or the limit is reached."""
        if self.seeds >= self.limit:
            return frozenset()
        return frozenset(method for pair in self.pairs if pair.open for method in (pair.first, pair.second))


def separations(figures: Mapping[str, Figures], limit: int) -> Iterator[Separation]:
    """Every look, in the order of the training seeds, as if the seeds had come one by one; before the first, nothing.

    A pair that is separated is looked at no more. So the looks depend on the figures alone: not on how often anybody
    looked, nor on seeds beyond those that the open pairs needed. A seed without a figure on either side is left out. A
    method none of whose first ``FIRST`` networks has a figure is given up.

    Holm's correction of p-values over all looks keeps its error at any look: a p never rises, so that what is found at
    one look would be found at the limit as well.

    Args:
        figures: of each method; those of a method that no open pair needs may end early.
        limit: the most training seeds of a method.
    Raises:
        ValueError: the limit is refused, or there are fewer than two methods.
    """
    check_looks(limit)
    if len(figures) < 2:
        raise ValueError(f"{len(figures)} method(s) have no pair")
    pairs = [_Pair(*names) for names in combinations(figures, 2)]
    found = Separation(limit, 0, tuple(pair.after(1.0) for pair in pairs))
    yield found
    for seeds in range(FIRST, limit + 1):
        needed = found.open
        if not needed or any(len(figures[method]) < seeds for method in needed):
            return
        for pair in pairs:
            pair.look(figures, seeds, limit)
        adjusted = holm([pair.p for pair in pairs])
        after = tuple(pair.after(p_holm) for pair, p_holm in zip(pairs, adjusted, strict=True))
        without = {method: list(held[:seeds]).count(None) for method, held in figures.items()}
        found = Separation(limit, seeds, after, {method: count for method, count in without.items() if count})
        yield found


@dataclass
class _Pair:
    """Two methods on their way from look to look."""

    first: str
    second: str
    looks: list[SeedLook] = field(default_factory=list)
    separated: bool = False
    given_up: bool = False

    @property
    def p(self) -> float:
        return self.looks[-1].p if self.looks else 1.0

    def look(self, figures: Mapping[str, Figures], seeds: int, limit: int) -> None:
        """Look at the first seeds, unless the two are decided."""
        if self.separated or self.given_up:
            return
        sides = [figures[method][:seeds] for method in (self.first, self.second)]
        both = [(one, other) for one, other in zip(*sides, strict=True) if one is not None and other is not None]
        if len(both) >= FIRST and (not self.looks or self.looks[-1].found.n < len(both)):
            first, second = ([pair[side] for pair in both] for side in (0, 1))
            self.looks.append(next_look(first, second, self.looks, limit))
        self.given_up = any(all(figure is None for figure in side) for side in sides)

    def after(self, p_holm: float) -> SeparatedPair:
        """What is known of the two now, with the p-value that Holm's correction makes of ``p``."""
        self.separated = self.separated or p_holm < ALPHA
        shown = self.looks[-1] if self.looks else None
        if self.separated:  # the look that found most, whose interval leaves 0 out
            shown = next(look for look in self.looks if look.p == self.p)
        return SeparatedPair(
            first=self.first,
            second=self.second,
            n=shown.found.n if shown is not None else 0,
            difference=shown.found.difference if shown is not None else None,
            interval=shown.interval if shown is not None else None,
            p=self.p,
            p_holm=p_holm,
            separated=self.separated,
            open=not self.separated and not self.given_up,
        )
