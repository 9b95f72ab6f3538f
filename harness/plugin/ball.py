"""The ball: the images that an adversary may put in place of a given image.

Everything that depends on the norm is here: the random start, the step along a gradient, the projection, and the
distance. Another norm is one more class in ``BALLS``, and no other change.

torch is imported where it is first needed: protocols, which name a norm, are read and listed without it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from annotated_types import Ge
from typing_extensions import Doc

from harness.errors import SettingError, UnknownName

if TYPE_CHECKING:
    import torch
    from torch import Tensor

LINF = "Linf"
"""The norm of a threat that names none, and of every result that was stored before a threat could name one."""

Epsilon = Annotated[float, Ge(0), Doc("radius of the ball, on the [0, 1] pixel scale")]
"""A radius; ``refuse_radius`` asks the ball of the norm for its upper bound."""

Start = Literal["uniform", "gaussian", "none"]
GAUSSIAN_START_SCALE = 0.001  # the released TRADES code's start, in any norm


class Ball(ABC):
    """All images in [0, 1] within a radius of the given images.

    A new norm writes ``uniform``, ``direction``, ``project``, and ``distance``. ``tests/harness/plugin/test_ball.py``
    checks what their docstrings promise.

    Attributes:
        x: ``(batch, ...)`` images in [0, 1], the centres.
        epsilon: the radius.
    """

    norm: ClassVar[str]
    """Its name in settings and identities, as the field writes it."""

    widest: ClassVar[float] = math.inf
    """The largest radius that is accepted; a larger one was given in other units."""

    def __init__(self, x: Tensor, epsilon: float) -> None:
        self.x, self.epsilon = x, epsilon

    @abstractmethod
    def uniform(self, generator: torch.Generator) -> Tensor:
        """A point for each image, uniform in the ball without the bounds of [0, 1]."""

    @abstractmethod
    def direction(self, gradient: Tensor) -> Tensor:
        """The direction of steepest ascent, of length 1 in this norm, from a gradient ``(batch, ...)``.

        It is always finite. Where the gradient is zero or NaN, it is zero.
        """

    @abstractmethod
    def project(self, x_adv: Tensor) -> Tensor:
        """Points in the ball and in [0, 1], as a new tensor; a point that is inside already stays where it is.

        An infinite entry is projected like a very large one.
        """

    @abstractmethod
    def distance(self, x_adv: Tensor) -> Tensor:
        """``(batch,)`` how far each point is from its image."""

    def start(self, how: Start, generator: torch.Generator) -> Tensor:
        """The first iterate, in the ball and in [0, 1]; ``none`` is the image itself."""
        if how == "uniform":
            return self.project(self.uniform(generator))
        if how == "none":
            return self.project(self.x)
        import torch

        noise = torch.randn(self.x.shape, generator=generator, device=self.x.device, dtype=self.x.dtype)
        return self.project(self.x + GAUSSIAN_START_SCALE * noise)

    def step(self, x_adv: Tensor, gradient: Tensor, length: float) -> Tensor:
        """One step of steepest ascent, projected back."""
        return self.project(x_adv + length * self.direction(gradient))

    def slope(self, gradient: Tensor) -> Tensor:
        """``(batch,)`` how much a step of length 1 raises the objective, to first order: the gradient's dual norm."""
        return (gradient * self.direction(gradient)).flatten(1).sum(1)

    @classmethod
    def grey(cls, shape: Sequence[int]) -> float:
        """The radius within which every image of this shape can be turned into the same grey one."""
        import torch

        black = torch.zeros(1, *shape)
        return float(cls(black, 0.0).distance(black + 0.5))


class LInf(Ball):
    """No pixel changes by more than the radius."""

    norm: ClassVar[str] = LINF
    widest: ClassVar[float] = 1.0

    def __init__(self, x: Tensor, epsilon: float) -> None:
        super().__init__(x, epsilon)
        self._low, self._high = (x - epsilon).clamp(min=0.0), (x + epsilon).clamp(max=1.0)  # once for all steps

    def uniform(self, generator: torch.Generator) -> Tensor:
        import torch

        noise = torch.rand(self.x.shape, generator=generator, device=self.x.device, dtype=self.x.dtype)
        return self.x + self.epsilon * (2 * noise - 1)

    def direction(self, gradient: Tensor) -> Tensor:
        return gradient.sign()

    def project(self, x_adv: Tensor) -> Tensor:
        return x_adv.clamp(self._low, self._high)

    def distance(self, x_adv: Tensor) -> Tensor:
        return (x_adv - self.x).abs().flatten(1).amax(1)


BALLS: dict[str, type[Ball]] = {ball.norm: ball for ball in (LInf,)}


def ball_of(norm: str) -> type[Ball]:
    """The ball of a norm.

    Raises:
        UnknownName: there is none of that name.
    """
    if norm not in BALLS:
        raise UnknownName("norm", norm, BALLS)
    return BALLS[norm]


def refuse_radius(norm: str, epsilon: float, name: str = "epsilon") -> None:
    """Refuse a radius that the ball of that norm cannot have.

    Args:
        name: of the setting that holds the radius.
    Raises:
        UnknownName: there is no ball of that norm.
        SettingError: the radius is infinite, or beyond the widest of that norm.
    """
    widest = ball_of(norm).widest
    if not math.isfinite(epsilon) or epsilon > widest:
        rule = "a finite number" if math.isinf(widest) else f"less than or equal to {widest:g}"
        advice = f"; pixels are in [0, 1], so write {epsilon:g}/255 rather than {epsilon:g}"
        raise SettingError(
            f"{name}={epsilon:g} is refused: it should be {rule}{advice if widest < epsilon < math.inf else ''}"
        )
