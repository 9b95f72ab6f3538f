"""What stands between images in [0, 1] and a stranger's network, and between its outputs and logits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple

from typing_extensions import Doc

from harness.errors import SettingError
from harness.plugin.settings import Settings

Outputs = Literal["logits", "probabilities", "binary-logit", "binary-probability"]
BINARY: tuple[Outputs, ...] = ("binary-logit", "binary-probability")


@dataclass(frozen=True, kw_only=True)
class Preprocessing(Settings):
    """What is put inside the model, so that epsilon stays on the [0, 1] pixel scale."""

    mean: Annotated[tuple[float, ...], Doc("subtracted from images in [0, 1]: one value a channel; empty: none")] = ()
    std: Annotated[tuple[float, ...], Doc("what they are divided by then: one value a channel; empty: none")] = ()
    outputs: Annotated[Outputs, Doc("what the network returns; logits are made of it")] = "logits"

    def check(self) -> None:
        if bool(self.mean) != bool(self.std):
            given, lacking = ("mean", "std") if self.mean else ("std", "mean")
            raise SettingError(
                f"--{given} without --{lacking} is refused: a normalisation is (x - mean) / std; give both"
            )
        if self.mean and len(self.mean) != len(self.std):
            raise SettingError(
                f"--mean has {len(self.mean)} values and --std has {len(self.std)}; give one a channel to each"
            )
        for value in self.mean:
            if not 0 <= value <= 1:
                raise SettingError(f"--mean {value:g} is refused: it must be in [0, 1]{_advice(value)}")
        for value in self.std:
            if not 0 < value <= 1:
                raise SettingError(f"--std {value:g} is refused: it must be above 0 and at most 1{_advice(value)}")

    def check_channels(self, channels: int) -> None:
        """Raise SettingError unless there is one value, or one for each channel."""
        if self.mean and len(self.mean) not in (1, channels):
            raise SettingError(
                f"--mean and --std have {len(self.mean)} values and the images have {channels} channel(s);"
                " give one value a channel"
            )


class Asked(NamedTuple):
    """What a user says about a target.

    Attributes:
        network_name, values: the registered network of a weights file, and its settings; None: recognise it.
        no_normalisation: whether the network takes images as they are, whatever the file has.
    """

    network_name: str | None
    values: Mapping[str, Any]
    preprocessing: Preprocessing
    no_normalisation: bool

    @property
    def decides(self) -> bool:
        """Whether the user decides what is in front of the network."""
        return self.no_normalisation or bool(self.preprocessing.mean)


def _advice(value: float) -> str:
    pixels = 1 < value <= 255 and math.isfinite(value)
    return f"; pixels are in [0, 1], so write {value:g}/255 rather than {value:g}" if pixels else ""


def merge(asked: Preprocessing, found: Preprocessing | None) -> Preprocessing:
    """Join what the user asked for with the normalisation that a file carries.

    Raises:
        SettingError: the two contradict each other.
    """
    if found is None:
        return asked
    for name in ("mean", "std"):
        given, carried = getattr(asked, name), getattr(found, name)
        size = max(len(given), len(carried))  # one value stands for all channels
        ours, theirs = (values * (size // len(values)) if values else () for values in (given, carried))
        if ours and any(abs(g - c) >= 1e-4 for g, c in zip(ours, theirs, strict=True)):
            raise SettingError(
                f"--{name} {','.join(f'{g:g}' for g in given)} contradicts the normalisation in the file,"
                f" {name} = ({', '.join(f'{value:.4g}' for value in carried)}); leave --mean and --std out"
            )
    return Preprocessing(mean=found.mean, std=found.std, outputs=asked.outputs)
