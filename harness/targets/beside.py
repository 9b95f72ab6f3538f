"""What a state dict has beside the network that FILE:KEY chose: it is told, and what may act on the images is refused.

A layer in front of the network (a denoiser, offsets and scales) decides the figure. Without it the figure is another
model's. So whatever is not known to lie elsewhere may be in front, and the user says that it is not. Known are: other
copies of the network and what is nearer to one of them, higher numbers of the same Sequential, and names of copies,
losses, measures, outputs, targets, and optimisers.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from harness.targets.comparison import plays_no_part
from harness.targets.content import Place, of_training, shortened, spelled
from harness.targets.errors import TargetError
from harness.targets.normalisation import SAY
from harness.targets.statistics import common, words_of

_BEHIND = re.compile(r"targets?|labels?|outputs?|logits?|loss|losses")


@dataclass(frozen=True)
class Beside:
    """What a state dict has beside a network.

    Attributes:
        copies: where other copies of the network are.
        names: of all other tensors.
        in_front: those of them that may act on the images before the network does.
    """

    copies: tuple[Place, ...]
    names: tuple[str, ...]
    in_front: tuple[str, ...]

    @property
    def told(self) -> list[str]:
        return [*(f"the copy at {spelled(copy.address)}" for copy in self.copies), *self.names]

    def refuse(self, label: str) -> None:
        """Refuse a file whose network may have another layer in front.

        Raises:
            TargetError: there is such a tensor.
        """
        if self.in_front:
            names = ", ".join(shortened(self.in_front))
            raise TargetError(
                f"{label} leaves out {names}, which may act on the images before the network does; {SAY} if the network"
                " takes images as they are, or bring the model as module:factory"
            )


def beside(place: Place, copies: Sequence[Place], described: Collection[str]) -> Beside:
    """What lies beside the network at a place, in its state dict.

    Args:
        copies: where the state dict has the same network, the place itself with them.
        described: the names of the tensors that are known to describe a normalisation.
    """
    others = tuple(copy for copy in copies if copy.own != place.own)
    taken = place.own.union(described, *(copy.own for copy in others))
    names = tuple(name for name in place.state.tensors if name not in taken)
    in_front = [name for name in names if not _elsewhere(name, place, others)]
    return Beside(others, names, tuple(in_front))


def _elsewhere(name: str, place: Place, others: Sequence[Place]) -> bool:
    """Whether a tensor is another copy's, behind the network, or of what trained it."""
    if plays_no_part(name, place.prefix, place.state.tensors[name]):
        return True
    address = place.state.address(name)
    if any(common(address, other.address) > common(address, place.address) for other in others):
        return True
    parts, around = name.split("."), place.prefix.removesuffix(".").split(".")
    level = common(parts, around)
    if level < len(around) and parts[level].isdecimal() and around[level].isdecimal():
        return int(parts[level]) > int(around[level])
    return of_training(tuple(parts)) or any(_BEHIND.fullmatch(word) for part in parts for word in words_of(part))
