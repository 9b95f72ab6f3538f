"""The part of a training's protocol that says which images the network sees, and which choose the checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Interval
from typing_extensions import Doc

from harness.errors import SettingError
from harness.plugin.settings import LATER, Settings

STEPS = 10  # of the attack on images held out, as in Rice et al. 2020


@dataclass(frozen=True, kw_only=True)
class ImagesProtocol(Settings):
    """The images of a training. A setting that has no effect is refused: two names would be two identities."""

    validation: Annotated[
        int,
        LATER,
        Interval(ge=0, le=1_000_000),
        Doc("training images held out, balanced over the classes, to choose the checkpoint `best`; 0: none"),
    ] = 0
    validation_steps: Annotated[
        int, LATER, Interval(ge=1, le=1_000), Doc("steps of the PGD that attacks the images held out")
    ] = STEPS

    def check(self) -> None:
        """Refuse settings that have no effect."""
        if not self.validation and self.validation_steps != STEPS:
            raise SettingError("validation_steps is refused without validation, the number of images held out")
