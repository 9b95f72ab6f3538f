"""An evaluation attack: it gives adversarial images, and the evaluator alone decides whether they succeed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from harness.errors import SettingError
from harness.plugin.ball import LINF
from harness.plugin.settings import Plugin
from harness.plugin.threat import Threat


@dataclass(frozen=True)
class Passes:
    """Forward and backward passes through the network, for one image or summed over many."""

    forward: float = 0
    backward: float = 0

    def __add__(self, other: Passes) -> Passes:
        return Passes(self.forward + other.forward, self.backward + other.backward)

    def times(self, count: float) -> Passes:
        """The passes for ``count`` times as many images."""
        return Passes(self.forward * count, self.backward * count)

    @property
    def total(self) -> float:
        """Forward and backward passes together."""
        return self.forward + self.backward


AttackKind = Literal["white-box", "single-step", "black-box", "ensemble", "random", "clean"]


@dataclass(frozen=True, kw_only=True)
class Attack(Plugin, ABC):
    """Base of evaluation attacks. Subclass it as a frozen, keyword-only dataclass and write ``perturb``."""

    kind: ClassVar[AttackKind | None] = None
    """The kind of the attack. The checks of rigour read the kind, and never the name.

    ``white-box`` follows gradients, ``single-step`` takes one gradient, and ``black-box`` reads only outputs. An
    ``ensemble`` runs several attacks, strong ones among them, so that the images it cannot break count as robust.
    ``random`` draws points of the ball, as a baseline. ``clean`` gives the images unchanged. None: the kind is unknown,
    and checks that need a kind leave the attack out.
    """

    budget: ClassVar[tuple[str, ...]] = ("epsilon", "steps", "step_size", "start")
    """The parts of the threat that this attack reads; a change in another part does not change its results.

    An attack that takes its ball from ``threat.ball(x)`` names ``norm``, too. An attack that does not name ``norm``
    works in the L-infinity ball, and is refused in any other.
    """

    seeded: ClassVar[bool] = True
    """Whether the result depends on the generator. If not, the attack runs with one seed alone."""

    fewest_classes: ClassVar[int] = 2
    """On data with fewer classes the attack is refused, before anything is trained."""

    with_fewer_classes: ClassVar[tuple[str, ...]] = ()
    """The attacks to suggest instead, on data with fewer classes than ``fewest_classes``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        parts = [field.name for field in fields(Threat)]
        if isinstance(self.budget, str) or not isinstance(self.budget, Collection) or set(self.budget) - set(parts):
            raise SettingError(f"budget = {self.budget!r} is refused: it must be a tuple of some of {', '.join(parts)}")
        if self.kind is not None and self.kind not in get_args(AttackKind):
            kinds = ", ".join(get_args(AttackKind))
            raise SettingError(f"kind = {self.kind!r} is refused: it must be one of {kinds}")
        if not isinstance(self.seeded, bool):
            raise SettingError(f"seeded = {self.seeded!r} is refused: it must be True or False")
        if not isinstance(self.fewest_classes, int) or self.fewest_classes < 1:
            raise SettingError(f"fewest_classes = {self.fewest_classes!r} is refused: it must be a number from 1")

    @abstractmethod
    def perturb(self, model: nn.Module, x: Tensor, y: Tensor, threat: Threat, generator: torch.Generator) -> Tensor:
        """Adversarial images of the batch, in its shape.

        The evaluator has put the model in evaluation mode, and x is in [0, 1]. It projects the returned images onto
        the ball and [0, 1], and scores them by a forward pass of its own. Python warnings raised here are stored with
        the evaluation. Records of the logger ``harness.attack`` go to the run's log.
        """

    def perturb_pure(
        self, model: nn.Module, x: Tensor, y: Tensor, threat: Threat, generator: torch.Generator
    ) -> Tensor:
        """``perturb`` on a model that computes the logits of an image from that image alone, and does nothing besides.

        An attack that ships may leave out passes here whose outcome it knows. It returns the images that ``perturb``
        returns.
        """
        return self.perturb(model, x, y, threat, generator)

    @abstractmethod
    def passes(self, threat: Threat) -> Passes:
        """The most passes that one image takes, without the evaluator's own forward pass."""

    def settings_under(self, threat: Threat) -> dict[str, Any]:
        """What identifies the attack's results: its own settings, and the parts of the budget that it reads.

        Raises:
            SettingError: it does not attack in the threat's ball, so its result would pass for one in another ball.
        """
        self.refuse_other_balls(threat)
        named = threat.resolved()  # a part added later is in it only if it is not the default
        return self.resolved() | {name: getattr(threat, name) for name in self.budget if name in named}

    def refuse_shape(self, threat: Threat, shape: Sequence[int]) -> None:
        """Raise SettingError if the attack cannot attack images of this shape in the threat's ball; by default it can.

        A command calls it before anything is trained.
        """

    def refuse_other_balls(self, threat: Threat) -> None:
        """Raise SettingError if the attack does not know the norm of the threat's ball."""
        if "epsilon" in self.budget and "norm" not in self.budget and threat.norm != LINF:
            raise SettingError(
                f"attack {self.name!r} is refused in the {threat.norm} ball: it attacks in {LINF} alone; leave it out,"
                " or, if it is yours and takes its ball from threat.ball(x), name 'norm' in its budget"
            )
