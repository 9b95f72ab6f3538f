"""What chose the networks of the checkpoint ``best``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Chosen:
    """How the networks of a row were chosen.

    Attributes:
        images: held out of the training images; each network was chosen by them.
        networks: of the row.
        robust_percent: their robust accuracy on these images at the epochs that were chosen, the mean over networks.
        epochs: those that were chosen, in the order of the row's networks.
    """

    images: int
    networks: int
    robust_percent: float
    epochs: tuple[int, ...]

    @property
    def text(self) -> str:
        """The figure in words."""
        over = f", the mean over {self.networks} networks" if self.networks > 1 else ""
        return (
            f"best: {self.robust_percent:.2f} % robust on {self.images:,} training images held out{over};"
            " the same images chose the epoch, so the figure is optimistic"
        )
