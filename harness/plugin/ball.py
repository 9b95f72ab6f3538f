"""The ball: the images that an adversary may put in place of a given image.

Everything that depends on the norm is here: the random start, the step along a gradient, the projection, and the
distance. To add a norm, add a class to ``BALLS``, and change nothing else.

torch is imported where it is first needed, so that protocols, which name a norm, can be read without it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, overload

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
_FAR = 1e6  # what an infinite pixel counts as in L2: its square is finite in float32
_ROUNDING = 1e-6  # of the radius: a point of the sphere, computed in float32, may lie so far outside


class Ball(ABC):
    """All images in [0, 1] within a radius of the given images.

    A subclass writes ``uniform``, ``direction``, ``project``, and ``distance``. ``tests/harness/plugin/test_ball.py``
    checks what their docstrings promise.

    Attributes:
        x: ``(batch, ...)`` images in [0, 1], the centres.
        epsilon: the radius, or ``(batch,)`` a radius for each image; none is negative.
        radius: the same, shaped to go with x.
    Raises:
        ValueError: there are not as many radii as images.
    """

    norm: ClassVar[str]
    """The norm's name in settings and identities, as the literature writes it."""

    widest: ClassVar[float] = math.inf
    """The largest radius to accept; a larger one must be in other units."""

    def __init__(self, x: Tensor, epsilon: float | Tensor) -> None:
        self.x, self.epsilon = x, epsilon
        self.radius = each(epsilon, x)

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

    @abstractmethod
    def shorten(self, offset: Tensor) -> Tensor:
        """Finite offsets ``(batch, ...)`` from the images, cut to the radius where they are longer.

        [0, 1] plays no part, so that an offset may go with one image after the other.
        """

    def start(self, how: Start, generator: torch.Generator) -> Tensor:
        """The first iterate, in the ball and in [0, 1]; ``none`` is the image itself."""
        if how == "uniform":
            return self.project(self.uniform(generator))
        if how == "none":
            return self.project(self.x)
        import torch

        noise = torch.randn(self.x.shape, generator=generator, device=self.x.device, dtype=self.x.dtype)
        return self.project(self.x + GAUSSIAN_START_SCALE * noise)

    def step(self, x_adv: Tensor, gradient: Tensor, length: float | Tensor) -> Tensor:
        """One step of steepest ascent, projected back; ``length`` is a number, or ``(batch,)`` one for each image."""
        return self.project(x_adv + each(length, x_adv) * self.direction(gradient))

    def slope(self, gradient: Tensor) -> Tensor:
        """``(batch,)`` how much a step of length 1 raises the objective, to first order: the gradient's dual norm."""
        return (gradient * self.direction(gradient)).flatten(1).sum(1)

    @classmethod
    def grey(cls, shape: Sequence[int]) -> float:
        """The radius within which every image of this shape can be turned into the same grey image."""
        return cls._from_black(shape, 0.5)

    @classmethod
    def whole(cls, shape: Sequence[int]) -> float:
        """The radius within which every image of this shape can be turned into every other one."""
        return cls._from_black(shape, 1.0)

    @classmethod
    def _from_black(cls, shape: Sequence[int], brightness: float) -> float:
        import torch

        black = torch.zeros(1, *shape)
        return float(cls(black, 0.0).distance(black + brightness))


class LInf(Ball):
    """The L-infinity ball: no pixel changes by more than the radius."""

    norm: ClassVar[str] = LINF
    widest: ClassVar[float] = 1.0

    def __init__(self, x: Tensor, epsilon: float | Tensor) -> None:
        super().__init__(x, epsilon)
        low, high = x - self.radius, x + self.radius
        self._low, self._high = low.clamp(min=0.0), high.clamp(max=1.0)  # once for all steps

    def uniform(self, generator: torch.Generator) -> Tensor:
        import torch

        noise = torch.rand(self.x.shape, generator=generator, device=self.x.device, dtype=self.x.dtype)
        return self.x + self.radius * (2 * noise - 1)

    def direction(self, gradient: Tensor) -> Tensor:
        return gradient.sign()

    def project(self, x_adv: Tensor) -> Tensor:
        return x_adv.clamp(self._low, self._high)

    def distance(self, x_adv: Tensor) -> Tensor:
        return (x_adv - self.x).abs().flatten(1).amax(1)

    def shorten(self, offset: Tensor) -> Tensor:
        return offset.clamp(-self.radius, self.radius)  # type: ignore[arg-type]  # two numbers, or two tensors


class L2(Ball):
    """The Euclidean ball: the root of the summed squares of all changes is at most the radius.

    Departs: ``project`` scales a point back to the radius, and then clips it to [0, 1], as Auto-PGD (Croce and Hein,
    ICML 2020, arXiv:2003.01690) and the released code of Rice et al. (ICML 2020, arXiv:2002.11569) do. The result is
    in both sets. It is the nearest point of both only where nothing is clipped.
    """

    norm: ClassVar[str] = "L2"

    def uniform(self, generator: torch.Generator) -> Tensor:
        import torch

        x = self.x
        way = self.direction(torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype))
        share = torch.rand(len(x), generator=generator, device=x.device, dtype=x.dtype)
        return x + self.radius * each(share ** (1 / math.prod(x.shape[1:])), x) * way

    def direction(self, gradient: Tensor) -> Tensor:
        numbers = gradient.nan_to_num(0.0)  # an infinite entry becomes the largest finite number
        largest = numbers.abs().flatten(1).amax(1)
        scaled = numbers / each(largest.masked_fill(largest == 0, 1.0), numbers)  # no square of it is 0 or infinite
        length: Tensor = scaled.flatten(1).norm(dim=1)
        return scaled / each(length.clamp(min=1.0), scaled)  # 0 stays 0; any other length is 1 or more

    def project(self, x_adv: Tensor) -> Tensor:
        import torch

        offset = x_adv.clamp(-_FAR, _FAR) - self.x
        length = each(offset.flatten(1).norm(dim=1), offset)
        inside = length <= self.radius * (1 + _ROUNDING)
        scaled = self.x + self.radius * length.masked_fill(length == 0, 1.0).reciprocal() * offset
        return torch.where(inside, x_adv, scaled).clamp(0.0, 1.0)

    def distance(self, x_adv: Tensor) -> Tensor:
        distance: Tensor = (x_adv - self.x).flatten(1).norm(dim=1)
        return distance

    def shorten(self, offset: Tensor) -> Tensor:
        length = each(offset.flatten(1).norm(dim=1), offset)
        factor = self.radius * length.masked_fill(length == 0, 1.0).reciprocal()
        shortened: Tensor = offset * factor.clamp(max=1.0)
        return shortened


BALLS: dict[str, type[Ball]] = {ball.norm: ball for ball in (LInf, L2)}


def ball_of(norm: str) -> type[Ball]:
    """The ball of a norm.

    Raises:
        UnknownName: there is no such norm.
    """
    if norm not in BALLS:
        raise UnknownName("norm", norm, BALLS)
    return BALLS[norm]


@overload
def each(values: Tensor, like: Tensor) -> Tensor: ...


@overload
def each(values: float | Tensor, like: Tensor) -> float | Tensor: ...


def each(values: float | Tensor, like: Tensor) -> float | Tensor:
    """Values of single images, ``(batch,)``, shaped and typed to go with ``(batch, ...)``; a number stays a number.

    Raises:
        ValueError: there are not as many values as images.
    """
    if isinstance(values, (int, float)):
        return values
    if values.shape != like.shape[:1]:
        raise ValueError(f"{tuple(values.shape)} is not one value for each of {len(like)} images")
    return values.to(like).view(-1, *[1] * (like.ndim - 1))


def radius_text(epsilon: float, norm: str = LINF) -> str:
    """``8/255`` where a person would write the radius so; else a decimal, such as ``0.1``; ``0.5 (L2)`` in a norm."""
    levels = round(epsilon * 255) if math.isfinite(epsilon) else 0
    decimal = f"{epsilon:.6g}"
    radius = f"{levels}/255" if abs(epsilon * 255 - levels) < 1e-6 and len(decimal) > 4 else decimal
    return radius if norm == LINF else f"{radius} ({norm})"


def refuse_radius(norm: str, epsilon: float, name: str = "epsilon", shape: Sequence[int] = ()) -> None:
    """Refuse a radius that the ball of that norm cannot have.

    Args:
        name: the name of the setting that holds the radius.
        shape: of the images; empty: not known yet.
    Raises:
        UnknownName: there is no ball of that norm.
        SettingError: the radius is not finite, or larger than ``widest``, or than the ball that holds all images.
    """
    ball = ball_of(norm)
    widest = min(ball.widest, ball.whole(shape)) if shape else ball.widest
    if not math.isfinite(epsilon) or epsilon > widest:
        rule = "a finite number" if math.isinf(widest) else f"less than or equal to {widest:.4g}"
        if widest < ball.widest:
            rule += f", within which every image of {'x'.join(map(str, shape))} can become any other"
        advice = f"; pixels are in [0, 1], so write {epsilon:g}/255 rather than {epsilon:g}"
        raise SettingError(
            f"{name}={epsilon:g} is refused: it should be {rule}{advice if widest < epsilon < math.inf else ''}"
        )
