"""The threat: the ball that an adversary may use, and how the adversary searches it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge
from typing_extensions import Doc

from harness.plugin.ball import LINF, Ball, Epsilon, Start, ball_of, refuse_radius
from harness.plugin.settings import LATER, Settings

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Threat(Settings):
    """The budget of the training or of the evaluation. Lengths are on the [0, 1] pixel scale."""

    epsilon: Epsilon
    steps: Annotated[int, Ge(1), Doc("number of gradient steps K")]
    step_size: Annotated[float, Ge(0), Doc("length of a step, on the [0, 1] pixel scale")]
    start: Annotated[Start, Doc("the first iterate: uniform in the ball, 0.001 N(0, 1), or the image itself")]
    norm: Annotated[str, LATER, Doc("norm of the ball")] = LINF

    def check(self) -> None:
        refuse_radius(self.norm, self.epsilon)

    def ball(self, x: Tensor) -> Ball:
        """The ball around these images, in which crafting starts and steps."""
        return ball_of(self.norm)(x, self.epsilon)

    def seen_as(self, budget: Collection[str], refuse: Callable[[str], Exception]) -> Threat:
        """The same budget, of which only these parts can be read.

        A part that was added later, such as the norm, can also be read while it has its default.

        Args:
            refuse: makes the error to raise when another part is read, from the part's name.
        """
        seen = object.__new__(_Seen)
        seen.__dict__.update(vars(self), _hidden=self.resolved().keys() - set(budget), _refuse=refuse)
        return seen


class _Seen(Threat):
    """A threat with hidden parts. ``dataclasses.replace`` makes a threat without hidden parts of it."""

    def __getattribute__(self, name: str) -> Any:
        own = object.__getattribute__(self, "__dict__")
        if name in own.get("_hidden", ()):
            raise own["_refuse"](name)
        return object.__getattribute__(self, name)
