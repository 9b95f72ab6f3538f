"""Stored verdicts of one checkpoint: what the free checks read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.plugin.attack import Attack, AttackKind


@dataclass(frozen=True)
class Record:
    """What was stored of one checkpoint.

    Attributes:
        verdicts: for each attack ``(seeds, n)`` bool, right under the attack.
        types: the classes of the registered attacks, which declare what kind of attack each is. An attack that is not
            among them takes part in the checks that ask for no kind, and in no others.
        labels: ``(n,)``.
        warnings: for each attack, the texts that it warned with.
        block: images of a block, which one warning is about.
        names: of the classes, by their labels; empty where they are not known.
    """

    verdicts: Mapping[str, Tensor]
    types: Mapping[str, type[Attack]]
    labels: Tensor
    warnings: Mapping[str, Sequence[str]]
    block: int
    names: Sequence[str] = ()

    @classmethod
    def of(
        cls,
        verdicts: Mapping[str, Sequence[bytes]],
        types: Mapping[str, type[Attack]],
        labels: Tensor | Sequence[int],
        warnings: Mapping[str, Sequence[str]],
        block: int | None,
        names: Sequence[str] = (),
    ) -> Record:
        """As ``examine_verdicts`` is given it: verdicts are bytes, as the store has them."""
        y = torch.as_tensor(labels).cpu()
        read = {}
        for attack, seeds in verdicts.items():
            lengths = {len(seed) for seed in seeds}
            if lengths - {len(y)}:
                raise ValueError(f"{attack} has verdicts of {sorted(lengths)} images, and there are {len(y)} labels")
            if seeds:
                read[attack] = torch.tensor([list(seed) for seed in seeds], dtype=torch.bool)
        return cls(read, types, y, warnings, min(block or len(y), len(y)), names)

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

    def of_kind(self, *kinds: AttackKind) -> list[str]:
        """The attacks of these kinds whose verdicts there are."""
        return [attack for attack in self.verdicts if self.kind(attack) in kinds]

    def kind(self, attack: str) -> AttackKind | None:
        """What an attack declares to be; None where it declares nothing, or is not known."""
        return self.types[attack].kind if attack in self.types else None

    def wanted(self, kind: AttackKind) -> str:
        """The registered attacks of a kind, in a sentence that asks for one of them."""
        return " or ".join(name for name, cls in self.types.items() if cls.kind == kind) or f"an attack of kind {kind}"

    def strongest_ensemble(self) -> str | None:
        """The ensemble that leaves the fewest images right; None where none was run."""
        return min(self.of_kind("ensemble"), key=lambda name: float(self.verdicts[name].float().mean()), default=None)

    def title(self, attack: str) -> str:
        """An attack in a sentence: by its class's name, as its publication writes it."""
        return self.types[attack].__name__

    def median_seed(self, attack: str) -> Tensor:
        """``(n,)`` the verdicts of the seed of median accuracy (the lower one of two)."""
        seeds = self.verdicts[attack]
        order = seeds.sum(1).argsort(stable=True)
        return seeds[order[(len(seeds) - 1) // 2]]

    def always(self, *attacks: str) -> Tensor:
        """``(n,)`` right under every seed of these attacks."""
        return torch.stack([self.verdicts[attack].all(0) for attack in attacks]).all(0)
