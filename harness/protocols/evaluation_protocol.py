"""The evaluation part of a protocol: how every network is attacked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge
from typing_extensions import Doc

from harness.errors import SettingError
from harness.plugin.ball import Epsilon, Start, ball_of
from harness.plugin.settings import LATER, Settings
from harness.plugin.threat import Threat
from harness.protocols.train_protocol import Positive


@dataclass(frozen=True, kw_only=True)
class EvaluationProtocol(Settings):
    """How every network is attacked."""

    checkpoints: Annotated[
        tuple[Literal["early", "best", "last"], ...],
        Doc("the checkpoints to evaluate; not part of the fingerprint"),
    ]
    steps: Annotated[int, Ge(1), Doc("steps K of the evaluation attacks that take steps")]
    relative_step: Annotated[Positive, Doc("these attacks' step size, as a fraction of epsilon")]
    start: Annotated[Start, Doc("these attacks' start")]
    epsilon: Annotated[Epsilon | None, LATER, Doc("radius of the attacks' ball; none: the training's")] = None
    norm: Annotated[str | None, LATER, Doc("norm of the attacks' ball; none: the training's")] = None
    block_size: Annotated[int, Ge(1), Doc("images attacked together; each block has its own random numbers")]
    attacks: Annotated[tuple[str, ...], Doc("the attacks, weakest first; the board ranks by the last")]

    def check(self) -> None:
        for name in ("checkpoints", "attacks"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise SettingError(f"{name}={','.join(values)} is refused: name at least one, and each once")
        if self.norm is not None:
            ball_of(self.norm)

    def threat(self, epsilon: float, norm: str) -> Threat:
        """The evaluation attacks' budget in this ball."""
        length = epsilon * self.relative_step
        return Threat(epsilon=epsilon, steps=self.steps, step_size=length, start=self.start, norm=norm)
