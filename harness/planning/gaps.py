"""Gaps: the blocks of attacks, and the checks of rigour, that the store lacks for one model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.planning.assessment import Assessment
from harness.store.records import CheckpointRecord, EvaluationRecord


@dataclass(frozen=True, kw_only=True)
class AttackGap:
    """An attempt, from 1, at one attack with one seed; and its blocks without verdicts: (first image, their number)."""

    attack: str
    seed: int
    blocks: tuple[tuple[int, int], ...]
    attempt: int = 1

    @property
    def images(self) -> int:
        """How many images have no verdict yet."""
        return sum(length for _, length in self.blocks)

    def without(self, kept: Sequence[tuple[int, int]]) -> AttackGap:
        """The gap without the blocks that overlap a kept block, since they have verdicts by now."""

        def free(start: int, length: int) -> bool:
            return all(start + length <= first or first + number <= start for first, number in kept)

        return replace(self, blocks=tuple(block for block in self.blocks if free(*block)))


@dataclass(frozen=True, kw_only=True)
class ModelGap:
    """What the store lacks for one model under one assessment.

    Attributes:
        network: its network's name and settings, so that the cost can be estimated from similar work.
        attacks: the evaluations that lack blocks.
        complete: how many evaluations lack none.
        examine: whether the checks of rigour on the model itself are wanted and missing.
    """

    assessment: Assessment
    checkpoint: str
    network: tuple[str, Mapping[str, Any]]
    attacks: tuple[AttackGap, ...]
    complete: int
    examine: bool

    @property
    def blocks(self) -> int:
        """How many blocks have no verdicts."""
        return sum(len(gap.blocks) for gap in self.attacks)

    @property
    def items(self) -> int:
        """How many items of work fill the gap."""
        return self.blocks + self.examine


def model_gap(
    assessment: Assessment,
    checkpoint: str,
    network: tuple[str, Mapping[str, Any]],
    known: CheckpointRecord | None,
    *,
    fresh: bool = False,
) -> ModelGap:
    """Compare what is wanted for a model with what the store has for its weights.

    Args:
        known: None if the store does not have the weights.
        fresh: whether everything begins again, as another attempt.
    """
    attempts = (*known.evaluations, *known.begun) if known is not None else ()  # a stopped attempt is gone on with
    gaps = list(attack_gaps(assessment, attempts, fresh=fresh))
    examined = known is not None and not fresh and assessment.examined(known)
    return ModelGap(
        assessment=assessment,
        checkpoint=checkpoint,
        network=network,
        attacks=tuple(gap for gap in gaps if gap.blocks),
        complete=sum(not gap.blocks for gap in gaps),
        examine=assessment.checks and not examined,
    )


def attack_gaps(
    assessment: Assessment, done: Iterable[EvaluationRecord], *, fresh: bool = False
) -> Iterator[AttackGap]:
    """Every evaluation that is wanted for one model, with its missing blocks (none if it is complete).

    Args:
        done: of several attempts at an evaluation the last one given is gone on with; with ``fresh``, the next begins.
    """
    have = {(e.attack, e.settings_sha256, e.seed, e.images): e for e in done}
    for attack in assessment.chosen:
        key = assessment.attack_digest(attack)
        for seed in assessment.attack_seeds(attack):
            known = have.get((attack, key, seed, assessment.images))
            blocks = known.blocks if known is not None and not fresh else ()
            missing = missing_blocks(assessment.examples, assessment.protocol.evaluation.block_size, blocks)
            attempt = (known.attempt + fresh) if known is not None else 1
            yield AttackGap(attack=attack, seed=seed, blocks=tuple(missing), attempt=attempt)


def missing_blocks(examples: int, block_size: int, done: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The images without a verdict, as (first image, number of images), cut at the multiples of the block size.

    If random numbers are drawn by block, the done blocks have the same size, so only whole blocks can be missing. An
    attack without randomness may have run under another block size; then parts of blocks can be missing.
    """
    position = 0
    for start, length in (*sorted(done), (examples, 0)):
        while position < start:
            end = min(start, (position // block_size + 1) * block_size)
            yield position, end - position
            position = end
        position = max(position, start + length)
