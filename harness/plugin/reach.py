"""How far each example of a crafting may go: examples that stop early, and radii of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from harness.plugin.ball import Ball, ball_of
from harness.plugin.threat import Threat


@dataclass(frozen=True, eq=False)
class Reach:
    """How far each example of a crafting may go; the default is all steps, in the whole ball, for all.

    Attributes:
        stop_after: an example keeps the iterate that is misclassified for the (stop_after + 1)-th time; 0 keeps the
            first misclassified iterate, and K or more stops none. The last iterate is not looked at. None: no example
            stops. Source: Zhang et al., ICML 2020, arXiv:2002.11242, Algorithm 1, whose tau it is.
        radii: ``(batch,)`` factors of the threat's radius, at least 0; the steps keep their length. None: all are 1.
    Raises:
        ValueError: ``stop_after`` is negative.
    """

    stop_after: int | None = None
    radii: Tensor | None = None

    def __post_init__(self) -> None:
        if self.stop_after is not None and self.stop_after < 0:
            raise ValueError(f"stop_after={self.stop_after} is refused: it counts misclassified iterates, so 0 or more")

    def ball(self, threat: Threat, x: Tensor) -> Ball:
        """The ball around each image; ``x`` has the batch once or several times, one after the other.

        Raises:
            ValueError: there are not as many radii as images.
        """
        if self.radii is None:
            return threat.ball(x)
        factors = self.radii.detach().repeat(len(x) // max(len(self.radii), 1))
        return ball_of(threat.norm)(x, threat.epsilon * factors)

    def of(self, rows: slice | Tensor) -> Reach:
        """The same for some rows of the batch, as new memory if the rows are a tensor of indices."""
        return self if self.radii is None else replace(self, radii=self.radii[rows])


WHOLE = Reach()


class Going:
    """Which examples still move. The CPU never waits for the device."""

    def __init__(self, reach: Reach, labels: Tensor) -> None:
        self._left: Tensor | None = None  # misclassified iterates that the example may yet leave behind
        if reach.stop_after is not None:
            self._left = torch.full_like(labels, reach.stop_after)
            self._moves = torch.ones_like(labels, dtype=torch.bool)

    @property
    def some_stop(self) -> bool:
        """Whether an example may stop; if not, ``moved`` gives where a step leads, whatever is classified rightly."""
        return self._left is not None

    def moved(self, iterate: Tensor, onward: Tensor, right: Tensor) -> Tensor:
        """The next iterates.

        Args:
            onward: where a step leads from ``iterate``.
            right: ``(batch,)`` whether ``iterate`` is classified rightly, with logits that are finite.
        """
        if self._left is None:
            return onward
        self._moves &= right | (self._left > 0)
        self._left -= (~right).long()
        return torch.where(self._moves.view(-1, *[1] * (iterate.ndim - 1)), onward, iterate)
