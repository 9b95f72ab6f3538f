"""The ball: the images that an adversary may put in place of a given image.

Everything that depends on the norm is here: the random start, the step along a gradient, the projection, and the
distance. To add a norm, add a class to ``BALLS``, and change nothing else.

torch is imported where it is first needed, so that protocols, which name a norm, can be read without it.
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
"""The default norm, and the norm of every result stored before a threat could name one."""

Epsilon = Annotated[float, Ge(0), Doc("radius of the ball, on the [0, 1] pixel scale")]
"""A radius; its upper bound depends on the norm: see ``refuse_radius``."""

Start = Literal["uniform", "gaussian", "none"]
GAUSSIAN_START_SCALE = 0.001  # as in the released TRADES code; the same in any norm


class Ball(ABC):
    """All images in [0, 1] within a radius of the given images.

    A subclass writes ``uniform``, ``direction``, ``project``, and ``distance``. ``tests/harness/plugin/test_ball.py``
    checks what their docstrings promise.

    Attributes:
        x: ``(batch, ...)`` images in [0, 1], the centres.
        epsilon: the radius.
    """

    norm: ClassVar[str]
    """The norm's name in settings and identities, as the literature writes it."""

    widest: ClassVar[float] = math.inf
    """The largest radius to accept; a larger one must be in other units."""

    def __init__(self, x: Tensor, epsilon: float) -> None:
        self.x, self.epsilon = x, epsilon

    @abstractmethod
    def uniform(self, generator: torch.Generator) -> Tensor:
        """A random point for each image, uniform in the ball; it may lie outside [0, 1]."""

    @abstractmethod
    def direction(self, gradient: Tensor) -> Tensor:
        """The direction of steepest ascent, of length 1 in this norm, from a gradient ``(batch, ...)``.

        The direction is always finite; it is zero where the gradient is zero or NaN.
        """

    @abstractmethod
    def project(self, x_adv: Tensor) -> Tensor:
        """Project points onto the ball and [0, 1], as a new tensor; a point that is inside stays where it is.

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
        """The radius within which every image of this shape can be turned into the same grey image."""
        import torch

        black = torch.zeros(1, *shape)
        return float(cls(black, 0.0).distance(black + 0.5))


class LInf(Ball):
    """The L-infinity ball: no pixel changes by more than the radius."""

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
        UnknownName: there is no such norm.
    """
    if norm not in BALLS:
        raise UnknownName("norm", norm, BALLS)
    return BALLS[norm]


def radius_text(epsilon: float) -> str:
    """``8/255`` where a person would write the radius so; else a decimal, such as ``0.1``."""
    levels = round(epsilon * 255) if math.isfinite(epsilon) else 0
    decimal = f"{epsilon:.6g}"
    return f"{levels}/255" if abs(epsilon * 255 - levels) < 1e-6 and len(decimal) > 4 else decimal


def refuse_radius(norm: str, epsilon: float, name: str = "epsilon") -> None:
    """Refuse a radius that the ball of that norm cannot have.

    Args:
        name: the name of the setting that holds the radius.
    Raises:
        UnknownName: there is no ball of that norm.
        SettingError: the radius is not finite, or larger than ``widest``.
    """
    widest = ball_of(norm).widest
    if not math.isfinite(epsilon) or epsilon > widest:
        rule = "a finite number" if math.isinf(widest) else f"less than or equal to {widest:g}"
        advice = f"; pixels are in [0, 1], so write {epsilon:g}/255 rather than {epsilon:g}"
        raise SettingError(
            f"{name}={epsilon:g} is refused: it should be {rule}{advice if widest < epsilon < math.inf else ''}"
        )
