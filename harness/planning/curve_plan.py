"""What is measured while a network is trained: accuracies on fixed samples, after every so many epochs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, get_args

from harness.events import Part
from harness.planning.assessment import Assessment
from harness.plugin.attack import Attack, Passes
from harness.plugin.threat import Threat
from harness.registry.shipped import code_of
from harness.runtime.device import LARGE_NETWORK

IMAGES = 128  # of the test images, and of the training images; a balanced sample of each
MOST_PASSES = 100  # an image, forward and backward, of an attack that is run after an epoch
POINTS = 10  # in the training of a small network, if the user does not say how many
PARTS: tuple[Part, ...] = get_args(Part)
_KINDS = ("clean", "single-step", "white-box")


@dataclass(frozen=True, kw_only=True)
class CurveAttack:
    """An attack as a worker makes it again, and the settings that identify its results."""

    name: str
    settings: dict[str, Any]
    code: str
    identity: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class CurvePlan:
    """After which epochs which attacks are run.

    Attributes:
        every: after every so many epochs, and after the last.
        block_size: the images that an attack takes together, as in an evaluation.
    """

    every: int
    epochs: int
    attacks: tuple[CurveAttack, ...]
    threat: Threat
    block_size: int
    passes: Passes  # of one image, under all attacks

    def due(self, epoch: int) -> bool:
        """Whether the network is measured after this epoch, counted from 1."""
        return epoch % self.every == 0 or epoch == self.epochs

    def passes_after(self, done: int, sizes: Iterable[int]) -> Passes:
        """The passes of all measurements after the first ``done`` epochs.

        Args:
            sizes: the number of test images, and of training images.
        """
        points = sum(self.due(epoch) for epoch in range(done + 1, self.epochs + 1))
        return self.passes.times(points * sum(min(IMAGES, size) for size in sizes))


def plan_curve(assessment: Assessment, every: int | None, parameters: int) -> CurvePlan | None:
    """The plan of a training; None if nothing is measured.

    The cheap attacks of the protocol are run: natural accuracy, and attacks that follow the gradient for at most
    ``MOST_PASSES`` passes an image. So PGD and CW are those of the board, and AutoAttack is left out.

    Args:
        every: as the user says; 0: never. None: ``POINTS`` times in the training of a small network, of a large one
            never.
        parameters: of the network, their number.
    """
    epochs, threat = assessment.protocol.train.epochs, assessment.threat
    if every is None:
        every = math.ceil(epochs / POINTS) if parameters < LARGE_NETWORK else 0
    chosen = {name: attack for name, attack in assessment.attacks.items() if _cheap(attack, threat)}
    if not every or not chosen:
        return None
    return CurvePlan(
        every=every,
        epochs=epochs,
        attacks=tuple(
            CurveAttack(
                name=name,
                settings=attack.resolved(),
                code=code_of(type(attack)),
                identity=assessment.attack_settings(name),
            )
            for name, attack in chosen.items()
        ),
        threat=threat,
        block_size=assessment.protocol.evaluation.block_size,
        passes=sum((attack.passes(threat) + Passes(1, 0) for attack in chosen.values()), Passes()),
    )


def _cheap(attack: Attack, threat: Threat) -> bool:
    return attack.kind in _KINDS and attack.passes(threat).total <= MOST_PASSES
