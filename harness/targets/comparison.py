"""A file's tensors beside what a network expects: which keys differ, and what that tells."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from harness.network import Network, Shape
from harness.targets.conformity import wrong_classes

Shapes = dict[str, tuple[int, ...]]

# parameters that published code registers and never uses, by the network whose checkpoints have them
UNUSED = {"wrn-32-10": ("sub_block1.",)}
_TOLD = 2  # keys of each kind that a refusal names
_COUNTER = "num_batches_tracked"  # of batch-norm: files older than torch 0.4.1 lack it, and nothing here reads it


@dataclass(frozen=True)
class Candidate:
    """A network, and the state dict that it would have.

    Attributes:
        refusal: why it does not take images of the data set's size; None where it does.
    """

    network: Network
    expected: Shapes
    refusal: str | None = None

    def unused(self, key: str) -> bool:
        """Whether a parameter that the network does not have is one that published code never uses."""
        return key not in self.expected and key.startswith(UNUSED.get(self.network.name, ("\0",)))


@dataclass(frozen=True)
class Differences:
    """The keys in which some tensors differ from what a candidate expects, with shapes."""

    missing: Shapes
    shapes: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]  # key -> expected, found
    unexpected: Shapes

    def __len__(self) -> int:
        return len(self.missing) + len(self.shapes) + len(self.unexpected)

    def told(self) -> str:
        """The first of each kind, in one line."""
        kinds = [
            [f"missing {key} {shape}" for key, shape in self.missing.items()],
            [f"shape of {key} {expected} expected, {found} found" for key, (expected, found) in self.shapes.items()],
            [f"unexpected {key} {shape}" for key, shape in self.unexpected.items()],
        ]
        first = [line for lines in kinds for line in lines[:_TOLD]]
        rest = len(self) - len(first)
        return "; ".join(first) + (f"; and {rest} more" if rest else "")


def compare(candidate: Candidate, tensors: dict[str, Tensor]) -> Differences:
    """What the tensors lack, have in another shape, and have too much."""
    expected, found = candidate.expected, {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    return Differences(
        missing={k: s for k, s in expected.items() if k not in found and k.rpartition(".")[2] != _COUNTER},
        shapes={k: (s, found[k]) for k, s in expected.items() if k in found and found[k] != s},
        unexpected={k: s for k, s in found.items() if k not in expected and not candidate.unused(k)},
    )


def other_data(candidate: Candidate, differences: Differences, label: str, shape: Shape) -> str | None:
    """The refusal of weights that are the candidate's but for other images or classes; None for any other case.

    Such weights differ in shapes alone: the first dimension of the last layer is their number of classes, the second
    one of the first convolution their channels.
    """
    if differences.missing or differences.unexpected:
        return None
    classes: set[int] = set()
    channels: set[int] = set()
    for expected, found in differences.shapes.values():
        if len(expected) != len(found) or expected[2:] != found[2:]:
            return None
        for theirs, dimension, ours in ((classes, 0, shape.classes), (channels, 1, shape.channels)):
            if expected[dimension : dimension + 1] != found[dimension : dimension + 1]:
                if expected[dimension] != ours:
                    return None
                theirs.add(found[dimension])
    if len(classes) > 1 or len(channels) > 1:
        return None
    if candidate.refusal is not None:
        return f"{label}: {candidate.refusal}"
    if channels:
        return (
            f"{label} takes images of {channels.pop()} channel(s), and the data set's have {shape.channels};"
            " choose the --dataset that it was trained on, or read a folder of grey images with --channels 1"
        )
    return wrong_classes(label, classes.pop(), shape.classes) if classes else None
