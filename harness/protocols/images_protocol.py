"""The part of a training's protocol that says which images the network sees, and which choose the checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from annotated_types import Interval
from typing_extensions import Doc

from harness.errors import SettingError
from harness.plugin.settings import LATER, Settings

STEPS = 10  # of the attack on images held out, as in Rice et al. 2020
FRACTION = 0.7  # of a batch that is generated, as in Wang et al. 2023
LENGTH = 16  # of Cutout's square, as DeVries and Taylor 2017 have it on CIFAR-10
PROBABILITY = 0.5  # that a batch is mixed, as in the released code of Yun et al. 2019 on CIFAR

Augment = Literal["autoaugment", "idbh-weak", "idbh-strong", "idbh-svhn", "cutout", "cutmix"]
_ORDER: tuple[str, ...] = get_args(Augment)
POLICIES = frozenset(name for name in _ORDER if name.startswith(("auto", "idbh")))


def generated_in(size: int, fraction: float) -> int:
    """How many images of a batch are generated: all but the rest of its images, rounded down.

    Source: as in the released code of Carmon et al. 2019. Departs: a rest that is a whole number stays so in spite of
    rounding; and the released code of Wang et al. 2023 rounds the generated part down instead, so that it has 358
    generated images in a batch of 512 at 0.7, where here are 359.
    """
    return size - int(size * (1 - fraction) + 1e-9)


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
    augment: Annotated[
        tuple[Augment, ...], LATER, Doc("changes of a training image after the data set's own crop and flip")
    ] = ()
    cutout_length: Annotated[
        int, LATER, Interval(ge=1, le=10_000), Doc("side in pixels of the square that cutout makes black")
    ] = LENGTH
    cutmix_probability: Annotated[
        float, LATER, Interval(gt=0, le=1), Doc("probability that the images of a batch are mixed by cutmix")
    ] = PROBABILITY
    extra: Annotated[
        str, LATER, Doc("a file .npz of generated images (`image`, `label`); identified by its content; empty: none")
    ] = ""
    extra_fraction: Annotated[
        float, LATER, Interval(gt=0, lt=1), Doc("fraction of each batch that is drawn from the generated images")
    ] = FRACTION

    def check(self) -> None:
        """Refuse settings that have no effect, and two ways to write one training."""
        needs = {
            "validation_steps": (STEPS, bool(self.validation), "validation, the number of images held out"),
            "cutout_length": (LENGTH, "cutout" in self.augment, "augment=cutout"),
            "cutmix_probability": (PROBABILITY, "cutmix" in self.augment, "augment=cutmix"),
            "extra_fraction": (FRACTION, bool(self.extra), "extra, the file of generated images"),
        }
        for name, (default, used, what) in needs.items():
            if getattr(self, name) != default and not used:
                raise SettingError(f"{name} is refused without {what}")
        ordered = sorted(set(self.augment), key=_ORDER.index)
        if list(self.augment) != ordered:
            raise SettingError(
                f"augment={','.join(self.augment)} is refused: write {','.join(ordered)}, each once, in the order in"
                " which they change an image"
            )
        if len(POLICIES & set(self.augment)) > 1:
            raise SettingError(f"augment={','.join(self.augment)} is refused: name one of autoaugment and idbh")
