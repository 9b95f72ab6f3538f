"""Stored verdicts of one checkpoint: what the free checks read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

CLEAN = "natural"
GRADIENT_ATTACKS = ("fgsm", "pgd", "cw", "apgd-ce", "apgd-t", "fab-t")
"""The attacks that follow the gradient, by the names that they are stored under."""


@dataclass(frozen=True)
class Record:
    """What was stored of one checkpoint.

    Attributes:
        verdicts: for each attack ``(seeds, n)`` bool, right under the attack.
        labels: ``(n,)``.
        warnings: for each attack, the texts that it warned with.
        block: images of a block, which one warning is about.
        names: of the classes, by their labels; empty where they are not known.
    """

    verdicts: Mapping[str, Tensor]
    labels: Tensor
    warnings: Mapping[str, Sequence[str]]
    block: int
    names: Sequence[str] = ()

    @classmethod
    def of(
        cls,
        verdicts: Mapping[str, Sequence[bytes]],
        labels: Tensor | Sequence[int],
        warnings: Mapping[str, Sequence[str]],
        block: int | None,
        names: Sequence[str] = (),
    ) -> Record:
        """From bytes as the store gives them.

        Raises:
            ValueError: an attack has verdicts of another number of images than there are labels.
        """
        y = torch.as_tensor(labels).cpu()
        read = {}
        for attack, seeds in verdicts.items():
            lengths = {len(seed) for seed in seeds}
            if lengths - {len(y)}:
                raise ValueError(f"{attack} has verdicts of {sorted(lengths)} images, and there are {len(y)} labels")
            if seeds:
                read[attack] = torch.tensor([list(seed) for seed in seeds], dtype=torch.bool)
        return cls(read, y, warnings, min(block or len(y), len(y)), names)

    @property
    def n(self) -> int:
        """How many images."""
        return len(self.labels)

    @property
    def attacks(self) -> list[str]:
        """Whose verdicts there are."""
        return list(self.verdicts)

    @property
    def classes(self) -> list[int]:
        """The labels that occur, in order."""
        return sorted(set(self.labels.tolist()))

    def median_seed(self, attack: str) -> Tensor:
        """``(n,)`` the verdicts of the seed of median accuracy (the lower one of two)."""
        seeds = self.verdicts[attack]
        order = seeds.sum(1).argsort(stable=True)
        return seeds[order[(len(seeds) - 1) // 2]]

    def always(self, *attacks: str) -> Tensor:
        """``(n,)`` right under every seed of those attacks that there are."""
        found = [self.verdicts[a].all(0) for a in attacks if a in self.verdicts]
        return torch.stack(found).all(0)
