"""Compares a file's tensors with those that a network expects: which keys differ, and what that means."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from torch import Tensor

from harness.plugin.network import Network, Shape
from harness.targets.conformity import wrong_classes
from harness.targets.content import common

Shapes = dict[str, tuple[int, ...]]

# by network: parameters that published code registers and never uses, so its checkpoints have them
UNUSED = dict.fromkeys(("wrn-28-10", "wrn-32-10", "wrn-34-10", "wrn-34-20"), ("sub_block1.",))
_PLACES = 16  # the most places in a state dict at which to look for a network
_SHOWN = 2  # how many keys of each kind a refusal names
# tensors that cannot change a network's answers: counts of averages, operations, or classes
_BOOKKEEPING = re.compile(r"n_averaged|total_ops|total_params|n(?:um)?_classes")
# these cannot either, if they are integers
_COUNTED = re.compile(r"initted|(?:global_)?step|num_updates|epoch|iteration")
# modules of copies, losses, and measures
_APART = re.compile(
    r"attacker|(?:model_?)?(?:ema|swa)(?:_?model)?|averaged_model|teacher(?:_model)?"
    r"|criterion|loss(?:_?f(?:n|unc))?|(?:train_|val(?:id)?_|test_)?(?:acc(?:uracy)?|metrics?|loss|confmat|f1|auroc)"
)
COUNTER = "num_batches_tracked"  # of batch-norm: files older than torch 0.4.1 lack it, and evaluation never reads it


@dataclass(frozen=True)
class Candidate:
    """A network, and the state dict that it would have."""

    network: Network
    built: Mapping[str, Tensor]  # on the meta device; parameters are ``nn.Parameter``
    refusal: str | None = None  # why it does not take images of the data set's size; None if it does

    @cached_property
    def expected(self) -> Shapes:
        return {name: tuple(tensor.shape) for name, tensor in self.built.items()}

    def unused(self, key: str) -> bool:
        """Whether a key is a parameter that published code registers and never uses, so that the network lacks it."""
        return key not in self.expected and key.startswith(UNUSED.get(self.network.name, ()))


@dataclass(frozen=True)
class Differences:
    """The keys, with shapes, in which a file's tensors differ from those that a candidate expects."""

    expected: int  # tensors of the candidate
    missing: Shapes
    shapes: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]  # key -> expected, found
    unexpected: Shapes = field(default_factory=dict)

    @property
    def nearness(self) -> tuple[float, float]:
        """The share of all tensors, of the network and the file, that match; then the share whose names match."""
        every = self.expected + len(self.unexpected) or 1
        strangers = len(self.missing) + len(self.unexpected)
        return 1 - (strangers + len(self.shapes)) / every, 1 - strangers / every

    def __len__(self) -> int:
        return len(self.missing) + len(self.shapes) + len(self.unexpected)

    def in_words(self) -> str:
        """The first differences of each kind, in one line."""
        kinds = [
            [f"missing {key} {shape}" for key, shape in self.missing.items()],
            [f"shape of {key} {expected} expected, {found} found" for key, (expected, found) in self.shapes.items()],
            [f"unexpected {key} {shape}" for key, shape in self.unexpected.items()],
        ]
        first = [line for lines in kinds for line in lines[:_SHOWN]]
        rest = len(self) - len(first)
        return "; ".join(first) + (f"; and {rest} more" if rest else "")


def compared_with(candidate: Candidate, tensors: Mapping[str, Tensor], prefix: str) -> Differences:
    """The candidate's tensors that are missing behind a prefix, or have another shape there, by names in the file."""
    expected = {f"{prefix}{key}": shape for key, shape in candidate.expected.items()}
    found = {key: tuple(tensors[key].shape) for key in expected if key in tensors}
    return Differences(
        len(expected),
        missing={k: s for k, s in expected.items() if k not in found and k.rpartition(".")[2] != COUNTER},
        shapes={k: (s, found[k]) for k, s in expected.items() if k in found and found[k] != s},
    )


def prefixes(candidate: Candidate, tensors: Mapping[str, Tensor]) -> list[str]:
    """The likeliest prefixes of a candidate's names in a state dict; the first fits the most names."""
    votes: Counter[str] = Counter()
    for name, tensor in tensors.items():
        parts = name.split(".")
        for index in range(len(parts)):
            shape = candidate.expected.get(".".join(parts[index:]))
            if shape is not None:
                votes["".join(f"{part}." for part in parts[:index])] += 2 if shape == tuple(tensor.shape) else 1
    return [prefix for prefix, _ in votes.most_common(_PLACES)] or [""]


def plays_no_part(name: str, prefix: str, tensor: Tensor) -> bool:
    """Whether the name of a tensor beside a network says that it cannot change the network's answers."""
    parts, around = name.split("."), prefix.removesuffix(".").split(".")
    counted = not tensor.is_floating_point() and _COUNTED.fullmatch(parts[-1])
    if tensor.numel() == 1 and (counted or _BOOKKEEPING.fullmatch(parts[-1])):
        return True
    parts = parts[common(parts, around) :]
    return len(parts) > 1 and _APART.fullmatch(parts[0]) is not None


def other_data(candidate: Candidate, differences: Differences, label: str, shape: Shape) -> str | None:
    """The refusal of weights that fit the candidate but for the number of classes or channels; else None.

    Such weights differ only in shapes: in the first dimension of the last layer (classes), and in the second dimension
    of the first convolution (channels).
    """
    shapes = differences.shapes.values()
    if differences.missing or differences.unexpected or any(len(ours) != len(theirs) for ours, theirs in shapes):
        return None
    each = [(d, *pair) for expected, found in shapes for d, pair in enumerate(zip(expected, found, strict=True))]
    moved = {(dimension, ours, theirs) for dimension, ours, theirs in each if ours != theirs}
    classes = [theirs for dimension, ours, theirs in moved if (dimension, ours) == (0, shape.classes)]
    channels = [theirs for dimension, ours, theirs in moved if (dimension, ours) == (1, shape.channels)]
    if len(classes) + len(channels) < len(moved) or len(classes) > 1 or len(channels) > 1:
        return None
    if candidate.refusal is not None:
        return f"{label}: {candidate.refusal}"
    if channels:
        theirs = channels.pop()
        read = f", or read a folder with --channels {theirs}" if theirs in (1, 3) else ""
        return (
            f"{label} takes images of {theirs} channel(s), and the data set's have {shape.channels};"
            f" choose the --dataset that it was trained on{read}"
        )
    return wrong_classes(label, classes.pop(), shape.classes) if classes else None
