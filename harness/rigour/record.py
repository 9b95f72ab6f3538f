"""Stored verdicts of one checkpoint: the input of the checks that cost no passes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from harness.plugin.attack import Attack, AttackKind


class Record:
    """The stored verdicts and warnings of one checkpoint.

    Attributes:
        verdicts: for each attack ``(seeds, n)`` bool: right under the attack; made from bytes, as the store has them.
        types: the classes of the registered attacks, which declare what kind of attack each is. An attack that is not
            among them takes part only in the checks that need no kind.
        labels: ``(n,)``.
        warnings: for each attack, the texts that it warned with.
        block: how many images a block has, and so a warning is about.
        names: of the classes, by their labels; empty if unknown.
    """

    def __init__(
        self,
        verdicts: Mapping[str, Sequence[bytes]],
        types: Mapping[str, type[Attack]],
        labels: Tensor | Sequence[int],
        warnings: Mapping[str, Sequence[str]],
        block: int | None = None,
        names: Sequence[str] = (),
    ) -> None:
        self.labels, self.types, self.warnings, self.names = torch.as_tensor(labels).cpu(), types, warnings, names
        self.block = min(block or self.n, self.n)
        self.verdicts: dict[str, Tensor] = {}
        for attack, seeds in verdicts.items():
            lengths = {len(seed) for seed in seeds}
            if lengths - {self.n}:
                raise ValueError(f"{attack} has verdicts of {sorted(lengths)} images, and there are {self.n} labels")
            if seeds:
                self.verdicts[attack] = torch.tensor([list(seed) for seed in seeds], dtype=torch.bool)

    @property
    def n(self) -> int:
        """How many images."""
        return len(self.labels)

    def of_kind(self, *kinds: AttackKind) -> list[str]:
        """The attacks of these kinds that have verdicts."""
        return [attack for attack in self.verdicts if self.kind(attack) in kinds]

    def kind(self, attack: str) -> AttackKind | None:
        """The kind that an attack declares; None if it declares none, or is not registered."""
        return self.types[attack].kind if attack in self.types else None

    def wanted(self, kind: AttackKind) -> str:
        """The registered attacks of a kind, in words: ``a or b``."""
        return " or ".join(name for name, cls in self.types.items() if cls.kind == kind) or f"an attack of kind {kind}"

    def strongest_ensemble(self) -> str | None:
        """The ensemble that leaves the fewest images right; None if none was run."""
        return min(self.of_kind("ensemble"), key=lambda name: float(self.verdicts[name].float().mean()), default=None)

    def title(self, attack: str) -> str:
        """The attack's name in a sentence: its class's name, as its publication writes it."""
        return self.types[attack].__name__

    def median_seed(self, attack: str) -> Tensor:
        """``(n,)`` the verdicts of the seed of median accuracy (the lower one of two)."""
        seeds = self.verdicts[attack]
        order = seeds.sum(1).argsort(stable=True)
        return seeds[order[(len(seeds) - 1) // 2]]

    def always(self, *attacks: str) -> Tensor:
        """``(n,)`` right under every seed of these attacks."""
        return torch.stack([self.verdicts[attack].all(0) for attack in attacks]).all(0)
