"""Whether what the store has of an evaluation agrees with itself: counts with bits, and blocks with each other.

A bit that flipped on a disk, or a row that another program wrote, must not become a figure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from harness.errors import StoreError
from harness.store.verdicts import PackedBlock, unpack_classes

_BYTES = 2  # of a margin, and of a predicted class


def count_problems(examples: int, correct: int, verdicts: bytes) -> Iterator[str]:
    """What is wrong with the verdicts of a block, and with their count; it takes less than a microsecond."""
    if examples < 1:
        yield f"it has {examples} images"
        return
    needed = (examples + 7) // 8
    if len(verdicts) != needed:
        yield f"its verdicts are {len(verdicts)} bytes, and {examples} images need {needed}"
        return
    if verdicts[-1] & ((1 << (8 * needed - examples)) - 1):
        yield "bits behind its last image are set"
    right = int.from_bytes(verdicts, "big").bit_count()
    if right != correct:
        yield f"it counts {correct} images as right, and its verdicts {right}"


def length_problems(column: str, examples: int, kept: bytes) -> Iterator[str]:
    """What is wrong with the length of a block's margins, or of its predicted classes."""
    if len(kept) != _BYTES * examples:
        yield f"its column {column} has {len(kept)} bytes, and {examples} images need {_BYTES * examples}"


def block_problems(block: PackedBlock, classes: int | None = None) -> Iterator[str]:
    """What is wrong with a block.

    Args:
        classes: how many classes the data set has; None: the predicted classes are not checked.
    """
    yield from count_problems(block.examples, block.correct, block.verdicts)
    for name, kept in (("margins", block.margins), ("predicted", block.predicted)):
        if kept is not None:
            yield from length_problems(name, block.examples, kept)
    if classes is not None and block.predicted is not None and not len(block.predicted) % _BYTES:
        beyond = [number for number in unpack_classes(block.predicted) if number >= classes]
        if beyond:
            yield f"it has the predicted class {beyond[0]}, and there are {classes} classes"


def place_problems(examples: int, blocks: Iterable[tuple[int, int]]) -> Iterator[str]:
    """What is wrong with the places of an evaluation's blocks, each a first image and a number of images."""
    end = 0
    for start, length in sorted(blocks):
        if start < end:
            yield f"its block at {start} begins before the block ahead of it ends"
        end = max(end, start + length)
    if end > examples:
        yield f"its blocks end at {end}, and it has {examples} images"


def damage_of(what: str, problems: Iterable[str], owner: str | None = None) -> str | None:
    """A line that says why no figure is made of something, and what to do; None where there is no problem.

    Args:
        owner: how ``harness rm`` names what it belongs to, where that is known.
    """
    first = next(iter(problems), None)
    if first is None:
        return None
    remedy = f"`harness rm {owner}` removes what it belongs to, or give" if owner is not None else "give"
    return f"{what} is damaged: {first}; no figure is made of it: {remedy} another --db, or a copy from before"


def refuse_unsound(what: str, problems: Iterable[str]) -> None:
    """Raise StoreError if there is a problem."""
    damage = damage_of(what, problems)
    if damage is not None:
        raise StoreError(damage)
