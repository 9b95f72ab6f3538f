"""A training method: a frozen dataclass of hyper-parameters, and a loss that reads like its paper.

A method gives the loss. The engine owns the device, the optimiser, checkpoints, records, and seeds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, overload

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.plugin.adversary import Crafter, Objective, Variant, ascend
from harness.plugin.ball import ball_of
from harness.plugin.reach import WHOLE, Reach
from harness.plugin.search import Searched
from harness.plugin.settings import Plugin
from harness.plugin.state import Stateful
from harness.plugin.threat import Threat

Log = Callable[[str, Tensor], None]


@dataclass(frozen=True)
class Bins:
    """Bins of equal width between two values."""

    low: float
    high: float
    number: int


@dataclass
class Smoothing:
    """How much a label is smoothed in an update's loss, and how often the loss took it so."""

    amount: float
    taken: int = 0


@dataclass(frozen=True)
class Mixture:
    """The second label of images that are mixed of two.

    Attributes:
        other: ``(batch,)`` int64 labels.
        share: ``()`` of the first label, ``Step.y``; the second has the rest.
    """

    other: Tensor
    share: Tensor


Tally = Callable[[str, Tensor, Bins], None]


def untallied(_name: str, _values: Tensor, _bins: Bins) -> None:
    """Count nothing."""


@dataclass(frozen=True)
class Step:
    """One batch of the training, as a method sees it.

    Attributes:
        x: ``(batch, channels, height, width)`` clean, augmented images in [0, 1].
        y: ``(batch,)`` int64 labels.
        model: the network, in training mode; each call is one forward pass with batch statistics of its own.
        threat: the training budget.
        progress: the fraction of the whole training done, in [0, 1), for burn-ins.
        epoch: counted from 1, for what a method gathers over one epoch and uses in the next.
        turn: which update on this batch it is, from 0; see ``Method.updates_a_batch``.
        generator: the run's generator for this epoch, on the device.
        log: ``log(name, value)`` records the mean of a scalar tensor over the epoch's updates. The tensor stays on the
            device until the epoch ends, so logging never waits.
        craft: the function that crafts variants; a method calls ``perturb`` instead.
        tally: the function that counts values in bins; a method calls ``count`` instead.
        smoothing: of the labels in ``cross_entropy``; None: none.
        mixture: the second labels, where each image is mixed of two; None: ``y`` is the only one.
    """

    x: Tensor
    y: Tensor
    model: nn.Module
    threat: Threat
    progress: float
    generator: torch.Generator
    log: Log
    epoch: int = field(default=1, kw_only=True)
    turn: int = field(default=0, kw_only=True)
    craft: Crafter = field(default=ascend, kw_only=True)
    tally: Tally = field(default=untallied, kw_only=True)
    smoothing: Smoothing | None = field(default=None, kw_only=True)
    mixture: Mixture | None = field(default=None, kw_only=True)

    @overload
    def perturb(
        self,
        objective: Objective,
        /,
        *,
        threat: Threat | None = ...,
        stop_after: int | None = ...,
        radii: Tensor | None = ...,
    ) -> Variant: ...
    @overload
    def perturb(
        self,
        first: Objective,
        second: Objective,
        /,
        *more: Objective,
        threat: Threat | None = ...,
        stop_after: int | None = ...,
        radii: Tensor | None = ...,
    ) -> tuple[Variant, ...]: ...
    def perturb(
        self,
        *objectives: Objective,
        threat: Threat | None = None,
        stop_after: int | None = None,
        radii: Tensor | None = None,
    ) -> Variant | tuple[Variant, ...]:
        """Craft one variant for each objective, in evaluation mode.

        Args:
            threat: the budget; None: the training's. A method that searches the ball in another way changes a copy,
                as ``replace(step.threat, steps=1)``.
            stop_after: an example keeps the iterate that is misclassified for the (stop_after + 1)-th time; None: no
                example stops before the last step. The passes and the geometric distance stay those of K steps.
            radii: ``(batch,)`` factors of the budget's radius, at least 0; None: all are 1.
        Raises:
            ValueError: ``stop_after`` is negative, or there are not as many radii as images.
        """
        reach = Reach(stop_after, radii)
        variants = self.perturb_all(*objectives, threat=threat, reach=reach)
        return variants[0] if len(variants) == 1 else variants

    def perturb_all(
        self, *objectives: Objective, threat: Threat | None = None, reach: Reach = WHOLE
    ) -> tuple[Variant, ...]:
        """``perturb``, but always a tuple, for callers that do not know the number of objectives."""
        budget, radii = self.threat if threat is None else threat, reach.radii
        if radii is not None and radii.shape != self.y.shape:
            raise ValueError(f"radii of shape {tuple(radii.shape)} are refused: one factor for each of {len(self.y)}")
        return self.craft(self.model, self.x, self.y, objectives, budget, self.generator, reach)

    def uniform(self, radius: float) -> Tensor:
        """A random point for each image, uniform in the ball of that radius; it may lie outside [0, 1].

        Where a wrapper takes the loss twice, both passes get the same points, as they get the same variants.
        """
        return ball_of(self.threat.norm)(self.x, radius).uniform(self.generator)

    def cross_entropy(self, logits: Tensor) -> Tensor:
        """``(batch,)`` the cross-entropy of each example with its label, for the loss that the update descends.

        A method that uses this in place of torch's own takes smoothed labels, too: of k classes, each has the target
        s / k, and the label's is 1 - s higher. Of an image that is mixed of two, the loss is of both labels,
        by their shares.
        """
        amount = 0.0
        if self.smoothing is not None:
            self.smoothing.taken += 1
            amount = self.smoothing.amount
        losses = F.cross_entropy(logits, self.y, reduction="none", label_smoothing=amount)
        if self.mixture is None:
            return losses
        others = F.cross_entropy(logits, self.mixture.other, reduction="none", label_smoothing=amount)
        return self.mixture.share * losses + (1 - self.mixture.share) * others

    def count(self, name: str, values: Tensor, *, low: float, high: float, bins: int) -> None:
        """Count a quantity of single images, such as their weights, in equal bins over the epoch.

        Like ``log``, it never waits for the device. A bin holds its lower edge, and the last one both. Values below
        ``low`` count in the first bin, values above ``high`` in the last, NaN in none; the run's log tells of NaN.

        Args:
            values: ``(batch,)`` real numbers, without gradient.
        """
        self.tally(name, values, Bins(low, high, bins))

    def with_gradient(self, values: Tensor, then: Callable[[Tensor], None]) -> Tensor:
        """The same values, by which the update differentiates the loss, too: ``then`` gets that gradient.

        So a method learns the gradient by its images from the update's own backward pass, and needs none of its own.
        ``then`` may change ``self.memory``; where a wrapper makes several passes in an update, the last one counts.
        """
        leaf = values.detach().requires_grad_()

        def told(gradient: Tensor) -> None:
            with torch.no_grad():
                then(gradient.detach())

        leaf.register_hook(told)  # type: ignore[no-untyped-call]
        return leaf

    def replayable(self) -> ReplayableStep:
        """The same step, which keeps its variants for ``rewound``; it logs and counts nothing the first time."""
        return ReplayableStep(**vars(self) | {"log": _silent, "tally": untallied}, logged=self.log, tallied=self.tally)


class Points(Variant):
    """Random points that a replayable step keeps among its variants; nothing has crafted them."""


@dataclass(frozen=True)
class ReplayableStep(Step):
    """A step that remembers its variants and its random points, for wrappers that take a method's loss twice."""

    logged: Log
    tallied: Tally
    crafted: list[tuple[Variant, ...]] = field(default_factory=list)
    replays: Iterator[tuple[Variant, ...]] | None = None
    outer: tuple[list[tuple[Variant, ...]], ...] = ()  # records of outer wrappers, which replay this step too

    def perturb_all(
        self, *objectives: Objective, threat: Threat | None = None, reach: Reach = WHOLE
    ) -> tuple[Variant, ...]:
        if self.replays is not None:
            variants = next(self.replays)
        else:
            variants = super().perturb_all(*objectives, threat=threat, reach=reach)
        for record in (self.crafted, *self.outer):
            record.append(tuple(Variant(v.x.clone(), v.steps_to_flip.clone()) for v in variants))
        return variants  # not the clones: the loss may write into these

    def uniform(self, radius: float) -> Tensor:
        points = next(self.replays)[0].x if self.replays is not None else super().uniform(radius)
        for record in (self.crafted, *self.outer):
            record.append((Points(points.clone(), torch.zeros_like(self.y)),))
        return points

    def replayable(self) -> ReplayableStep:
        """The step for a wrapper inside a wrapper: what it crafts is also recorded for the outer wrappers."""
        silent: dict[str, Any] = {"log": _silent, "tally": untallied, "logged": self.log, "tallied": self.tally}
        return replace(self, **silent, crafted=[], outer=(self.crafted, *self.outer))

    def rewound(self) -> ReplayableStep:
        """The step from its beginning: it gives the same variants again, in the same order, and it logs and counts."""
        replays = iter(self.crafted)
        return replace(self, log=self.logged, tally=self.tallied, replays=replays, crafted=[], outer=())


def _silent(_name: str, _value: Tensor) -> None:
    """Log nothing."""


@dataclass(frozen=True, kw_only=True)
class Method(Plugin, Stateful, ABC):
    """Base of training methods. Subclass it as a frozen, keyword-only dataclass and write ``loss``.

    A method that remembers something, or has a second network, fills ``memory`` in ``prepare``.
    """

    formula: ClassVar[str] = ""
    """The objective of one example with the defaults, in one line, in the notation of docs/methods.md; may be empty."""

    takes_mixed_labels: ClassVar[bool] = False
    """Whether the loss reads labels by ``Step.cross_entropy`` alone, and crafts without labels: images may be mixed.

    A subclass has another loss, and says it anew.
    """

    search: ClassVar[Mapping[str, Searched | None]] = {}
    """Where ``harness tune`` searches a setting, if not where its annotation says; None: nowhere."""

    @property
    def updates_a_batch(self) -> int:
        """How many updates each batch gets, one after the other: 1 or more, the same in the whole training.

        ``step.turn`` tells a loss which of them it is. Each counts as an update: to ``step.progress``, to a schedule of
        the learning rate by updates, and to wrappers. The number of epochs stays what the protocol says.
        """
        return 1

    @abstractmethod
    def loss(self, step: Step) -> Tensor:
        """The loss on this batch, a scalar, which the update descends."""
